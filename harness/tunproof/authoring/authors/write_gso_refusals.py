"""Arguments of `write_gso` that must be refused, with nothing written. One fault each."""

from dataclasses import replace

from scapy.layers.inet import ICMP, UDP
from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.utils import checksum as rfc1071

from tunproof.authoring.authors.write_gso_kinds import changed
from tunproof.authoring.authors.write_gso_superpackets import fragments, tcp
from tunproof.authoring.draft import Topic, bug, kernel, needs, rfc, uapi
from tunproof.packets.builder import GsoPieces, ip4, ip6, packet_bytes, pieces

_NEBULA = bug("https://github.com/slackhq/nebula/pull/1704", "nebula")
refusals = Topic("write_gso", "refusals", requires=("gso.tcp4",), basis=(_NEBULA,))
TOPICS = (refusals,)

_GOOD = pieces(ip4() / tcp(), fragments(100, 100, 50))
_GOOD6 = pieces(ip6() / tcp(), fragments(100, 100, 50))
_UDP = pieces(ip4() / UDP(), fragments(100, 100, 50))

refusals.add("valid-tcp4", "Valid arguments: the sibling of the faulty ones.", _GOOD, flags=("Basic",))
refusals.add(
    "valid-tcp6", "Valid arguments: the sibling of the faulty ones.", _GOOD6, flags=("Basic",), requires=("gso.tcp6",)
)
refusals.add(
    "valid-udp4",
    "Valid arguments: the sibling of the faulty ones.",
    _UDP,
    flags=("Basic",),
    requires=("gso.udp4",),
    kernels=needs("uso"),
)


def _of_length(hdr: bytes, total: int) -> bytes:
    """Return an IPv4 header that says `total`, with the header checksum that goes with it."""
    changed = hdr[:2] + total.to_bytes(2, "big") + hdr[4:10] + b"\0\0" + hdr[12:]
    checksum: int = rfc1071(changed)
    return changed[:10] + checksum.to_bytes(2, "big") + changed[12:]


_FLAG_BASIS = {
    "UnknownNextHeader": rfc(791, "3.1"),
    "Fragmented": rfc(8200, "4.5"),
    "LengthMismatch": rfc(791, "3.1"),
    "HeaderNotFinal": uapi("include/uapi/linux/virtio_net.h", "VIRTIO_NET_HDR_F_NEEDS_CSUM"),
    "TinyFragments": kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h", since="c27c449d455a"),
}


def _refuse(name: str, about: str, built: GsoPieces, *flags: str, sibling: str = "valid-tcp4") -> None:
    """Add one refusal."""
    basis = [_FLAG_BASIS[flag] for flag in flags if flag in _FLAG_BASIS]
    extra = {"valid-tcp4": (), "valid-tcp6": ("gso.tcp6",), "valid-udp4": ("gso.udp4",)}[sibling]
    refusals.add(name, about, built, flags=flags, sibling=sibling, requires=extra, basis=basis)


_refuse("empty-hdr", "No IP header.", replace(_GOOD, hdr=b""), "EmptyHeader")
_refuse("empty-transport-hdr", "No transport header.", replace(_GOOD, transport_hdr=b""), "EmptyHeader")
_refuse("no-fragments", "No payload at all.", replace(_GOOD, pays=()), "EmptyHeader")

_EMPTY: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("alone", (0,)),
    ("first", (0, 100, 100)),
    ("in-the-middle", (100, 0, 100)),
    ("last", (100, 100, 0)),
)
for _name, _sizes in _EMPTY:
    _refuse(
        f"empty-fragment-{_name}",
        "An empty fragment would become an extra datagram, or nothing.",
        pieces(ip4() / tcp(), fragments(*_sizes)),
        "EmptyFragment",
    )

_UNEQUAL: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("short-in-the-middle", (100, 50, 100)),
    ("growing", (50, 100)),
    ("long-last", (100, 100, 101)),
    ("short-first", (99, 100, 100)),
)
for _name, _sizes in _UNEQUAL:
    _refuse(
        f"fragments-{_name}",
        "All fragments but the last must have the size of the first, and the last must not be longer.",
        pieces(ip4() / tcp(), fragments(*_sizes)),
        "UnequalFragments",
    )

for _name, _sizes in (("of-seven-bytes", (7, 7, 7)), ("of-seven-and-five-bytes", (7, 5)), ("two-of-seven", (7, 7))):
    _refuse(
        f"fragments-{_name}",
        "Several fragments of under 8 bytes: kernels cut these in different places.",
        pieces(ip4() / tcp(), fragments(*_sizes)),
        "TinyFragments",
    )
for _nibble in (0, 5):
    _refuse(
        f"version-nibble-{_nibble}",
        "Neither IPv4 nor IPv6.",
        changed(_GOOD, 0, bytes((_nibble << 4 | 5,))),
        "UnknownVersion",
    )
_refuse("hdr-too-short", "hdr ends before the IP header does.", replace(_GOOD, hdr=_GOOD.hdr[:19]), "HeaderLength")
_refuse(
    "hdr-too-long", "hdr is longer than the IP header says.", replace(_GOOD, hdr=_GOOD.hdr + b"\1" * 4), "HeaderLength"
)
_refuse(
    "hdr6-too-long",
    "hdr has bytes after the IPv6 header that are not an extension header.",
    replace(_GOOD6, hdr=_GOOD6.hdr + bytes(8)),
    "HeaderLength",
    sibling="valid-tcp6",
)
_refuse(
    "transport-hdr-too-short",
    "16 bytes of TCP header cannot hold the checksum: the kernel would store it in the payload.",
    replace(_GOOD, transport_hdr=_GOOD.transport_hdr[:16]),
    "HeaderLength",
)
_refuse(
    "transport-hdr-too-long",
    "The TCP header is longer than its data offset says.",
    replace(_GOOD, transport_hdr=_GOOD.transport_hdr + bytes(4)),
    "HeaderLength",
)
_refuse(
    "data-offset-of-four",
    "A TCP data offset under 5.",
    changed(_GOOD, 20 + 12, b"\x40"),
    "HeaderLength",
)
_refuse(
    "icmp",
    "Neither TCP nor UDP follows.",
    GsoPieces(packet_bytes(ip4(len=128) / ICMP())[:20], packet_bytes(ip4() / ICMP())[20:], tuple(fragments(100))),
    "UnknownNextHeader",
)
_refuse(
    "ipv4-fragment",
    "A superpacket cannot be a fragment.",
    pieces(ip4(flags="MF") / tcp(), fragments(100, 100, 50)),
    "Fragmented",
)
_refuse(
    "ipv6-fragment",
    "A superpacket cannot be a fragment.",
    pieces(ip6() / IPv6ExtHdrFragment(id=7) / tcp(), fragments(100, 100, 50)),
    "Fragmented",
    sibling="valid-tcp6",
)
_refuse(
    "total-length-one-more",
    "The IPv4 total length does not match the whole packet.",
    pieces(ip4(len=40 + 251) / tcp(), fragments(100, 100, 50)),
    "LengthMismatch",
)
_refuse(
    "total-length-zero",
    "A total length of zero.",
    pieces(ip4(len=0) / tcp(), fragments(100, 100, 50)),
    "LengthMismatch",
)
_refuse(
    "payload-length-one-less",
    "The IPv6 payload length does not match what follows the header.",
    pieces(ip6(plen=20 + 249) / tcp(), fragments(100, 100, 50)),
    "LengthMismatch",
    sibling="valid-tcp6",
)
_refuse(
    "udp-length-of-one-datagram",
    "The UDP length of a superpacket must cover all of its data.",
    pieces(ip4() / UDP(len=108), fragments(100, 100, 50)),
    "LengthMismatch",
    sibling="valid-udp4",
)
_refuse(
    "wrong-ip-checksum",
    "The IPv4 header checksum is wrong: the caller has to finish it.",
    changed(_GOOD, 10, b"\xde\xad"),
    "HeaderNotFinal",
)
_refuse(
    "checksum-instead-of-partial",
    "The TCP checksum field holds a complete checksum where the partial belongs.",
    changed(_GOOD, 36, packet_bytes(ip4() / tcp() / b"".join(_GOOD.pays))[36:38]),
    "HeaderNotFinal",
)
_refuse(
    "inverted-partial",
    "The partial is inverted, as a checksum would be.",
    changed(_GOOD, 36, bytes(byte ^ 0xFF for byte in _GOOD.transport_hdr[16:18])),
    "HeaderNotFinal",
)
_refuse(
    "65536-bytes",
    "One byte more than a length field can hold; the field has what is left in 16 bits, which is 0.",
    GsoPieces(_of_length(_GOOD.hdr, 0), _GOOD.transport_hdr, tuple(fragments(*[1400] * 46, 65536 - 40 - 46 * 1400))),
    "LengthOverflow",
)
refusals.add(
    "1022-fragments",
    "One piece more than one writev accepts.",
    pieces(ip4() / tcp(), fragments(*[8] * 1022)),
    flags=("IovecLimit",),
    sibling="valid-tcp4",
    basis=(uapi("include/uapi/linux/uio.h", "UIO_MAXIOV is 1024"),),
)
refusals.add(
    "129-datagrams",
    "One datagram more than a UDP superpacket may have.",
    pieces(ip4() / UDP(), fragments(*[8] * 129)),
    flags=("TooManyUdpSegments",),
    sibling="valid-udp4",
    requires=("gso.udp4",),
    basis=(kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h", since="UDP_MAX_SEGMENTS is 128 since 6.9"),),
)
