"""Arguments of `write_gso` that must be refused, field by field. One fault each."""

from dataclasses import replace
from itertools import pairwise

from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6ExtHdrHopByHop, Jumbo
from scapy.packet import Packet

from tunproof.authoring.authors.write_gso_kinds import KINDS, add, changed, folding, usual, zero_header_checksum
from tunproof.authoring.authors.write_gso_superpackets import fragments, tcp
from tunproof.authoring.draft import Topic, bug, rfc, uapi
from tunproof.packets.builder import GsoPieces, ip4, ip6, packet_bytes, pieces

faults = Topic("write_gso", "field-faults", basis=(bug("https://github.com/slackhq/nebula/pull/1704", "nebula"),))

_FLAG_BASIS = {
    "TypeMismatch": rfc(9293, "3.1"),
    "Fragmented": rfc(791, "3.1"),
    "LengthMismatch": rfc(791, "3.1"),
    "HeaderNotFinal": uapi("include/uapi/linux/virtio_net.h", "VIRTIO_NET_HDR_F_NEEDS_CSUM"),
    "UnknownNextHeader": rfc(8200, "4"),
    "MinusZero": rfc(1624, "3"),
    "HeaderChecksumZero": rfc(1624, "3"),
}
_SIZES = (100, 100, 50)

for _kind in KINDS:
    add(faults, _kind, "valid", "Valid arguments: the sibling of the faulty ones.", usual(_kind, *_SIZES), "Basic")


def _refuse(kind: str, name: str, about: str, built: GsoPieces, flag: str, **options: object) -> None:
    """Add one refusal."""
    basis = (_FLAG_BASIS[flag],) if flag in _FLAG_BASIS else ()
    add(faults, kind, name, about, built, flag, **({"sibling": f"valid-{kind}", "basis": basis} | options))


def _made(kind: str, ip: Packet | None = None, transport: Packet | None = None) -> GsoPieces:
    """Return the pieces of the kind with another IP or transport header, everything else finished by scapy."""
    usual_ip, usual_transport, _ = KINDS[kind]
    return pieces((ip or usual_ip) / (transport or usual_transport), fragments(*_SIZES))


def _with(kind: str, offset: int, value: bytes) -> GsoPieces:
    """Return the pieces of the kind with some bytes of the headers replaced; the offset counts from `hdr`."""
    return changed(usual(kind, *_SIZES), offset, value)


def _split(kind: str, border: int, end: int | None = None) -> GsoPieces:
    """Return the pieces of the kind with the border between the headers moved, and the whole cut short at `end`."""
    good = usual(kind, *_SIZES)
    whole = (good.hdr + good.transport_hdr)[:end]
    return replace(good, hdr=whole[:border], transport_hdr=whole[border:])


_FIELDS = {"tcp4": 36, "tcp6": 56, "udp4": 26, "udp6": 46}


def _partial(kind: str) -> bytes:
    good = usual(kind, *_SIZES)
    return (good.hdr + good.transport_hdr)[_FIELDS[kind] : _FIELDS[kind] + 2]


def _complete(kind: str) -> bytes:
    ip, transport, _ = KINDS[kind]
    whole = packet_bytes(ip / transport / b"".join(fragments(*_SIZES)))
    return whole[_FIELDS[kind] : _FIELDS[kind] + 2]


def _partial_of(kind: str, length: int) -> bytes:
    """Return the partial that a superpacket with this much payload has."""
    good = usual(kind, length)
    return (good.hdr + good.transport_hdr)[_FIELDS[kind] : _FIELDS[kind] + 2]


def _shifted(kind: str, hdr: int, transport_hdr: int) -> GsoPieces:
    """Return pieces that are a whole packet when put together, cut these many bytes too late.

    Length fields are those of the packet, and the partial is that of the transport header and data as they are cut.
    """
    good = usual(kind, transport_hdr + sum(_SIZES))
    whole = good.hdr + good.transport_hdr + good.pays[0]
    partial = _partial_of(kind, transport_hdr - hdr + sum(_SIZES))
    whole = whole[: _FIELDS[kind]] + partial + whole[_FIELDS[kind] + 2 :]
    borders = [0, len(good.hdr) + hdr, len(good.hdr) + len(good.transport_hdr) + transport_hdr]
    for size in _SIZES:
        borders.append(borders[-1] + size)
    first, second, *pays = (whole[start:end] for start, end in pairwise(borders))
    return GsoPieces(first, second, tuple(pays))


# Which headers these are.

_refuse(
    "tcp4",
    "version-nibble-15",
    "Neither IPv4 nor IPv6, although the header checksum is right.",
    replace(usual("tcp4", *_SIZES), hdr=packet_bytes(ip4(version=15, len=290, proto=6))),
    "UnknownVersion",
)
_refuse("tcp4", "version-nibble-6", "An IPv4 header that says IPv6.", _with("tcp4", 0, b"\x65"), "UnknownVersion")
_refuse("tcp6", "version-nibble-4", "An IPv6 header that says IPv4.", _with("tcp6", 0, b"\x40"), "UnknownVersion")
for _kind, _name, _ip in (
    ("tcp4", "esp", ip4(proto=50)),
    ("tcp4", "udp-over-tcp-header", ip4(proto=17)),
    ("udp4", "tcp-over-udp-header", ip4(proto=6)),
    ("udp4", "udp-lite", ip4(proto=136)),
    ("tcp6", "icmp6", ip6(nh=58)),
):
    _refuse(
        _kind,
        f"protocol-{_name}",
        "The IP header does not name the protocol of the transport header.",
        _made(_kind, _ip),
        "TypeMismatch",
    )
_refuse(
    "tcp6",
    "no-next-header",
    "The IPv6 header says that nothing follows.",
    _made("tcp6", ip6(nh=59)),
    "UnknownNextHeader",
)
_refuse(
    "udp6",
    "mobility-header",
    "A Mobility header is not an extension header that is walked.",
    replace(
        _made("udp6", ip6(nh=135, plen=8 + 8 + 250)), hdr=packet_bytes(ip6(nh=135, plen=266)) + b"\x11\x00" + bytes(6)
    ),
    "UnknownNextHeader",
)
for _kind, _name, _changes in (
    ("udp4", "more-fragments", {"flags": "MF"}),
    ("tcp4", "more-fragments-and-df", {"flags": "MF+DF"}),
    ("tcp4", "fragment-offset", {"flags": 0, "frag": 1}),
    ("udp4", "fragment-offset-high", {"flags": 0, "frag": 0x1000}),
):
    _refuse(_kind, _name, "A superpacket cannot be a fragment.", _made(_kind, ip4(**_changes)), "Fragmented")

# How long they are.

_refuse("tcp4", "header-length-of-four", "An IHL under 5.", _made("tcp4", ip4(ihl=4)), "HeaderLength")
_refuse(
    "tcp4",
    "options-missing",
    "IHL 6, but hdr has 20 bytes: the ports would be read as options.",
    _made("tcp4", ip4(ihl=6)),
    "HeaderLength",
)
_refuse("tcp6", "hdr-one-byte-short", "hdr ends in the destination address.", _split("tcp6", 39), "HeaderLength")
_refuse(
    "tcp6",
    "extension-cut-off",
    "hdr ends inside an extension header.",
    replace(_made("tcp6", ip6(nh=60)), hdr=packet_bytes(ip6(nh=60, plen=20 + 250 + 4)) + b"\x06\x00\x01\x02"),
    "HeaderLength",
)
for _kind in ("tcp4", "udp6"):
    _refuse(
        _kind,
        "border-too-late",
        "hdr has the first 4 bytes of the transport header, and transport_hdr has the first 4 of the payload.",
        _shifted(_kind, 4, 4),
        "HeaderLength",
    )
    _refuse(
        _kind,
        "payload-in-transport-hdr",
        "transport_hdr has the first 4 bytes of the payload: all segments but the first would lack them.",
        _shifted(_kind, 0, 4),
        "HeaderLength",
    )
_refuse(
    "udp6", "border-too-early", "transport_hdr has the last 8 bytes of the address.", _split("udp6", 32), "HeaderLength"
)
_refuse("tcp4", "transport-hdr-one-byte-short", "Only 19 bytes of TCP header.", _split("tcp4", 20, 39), "HeaderLength")
_refuse("udp4", "transport-hdr-one-byte-short", "Only 7 bytes of UDP header.", _split("udp4", 20, 27), "HeaderLength")
_refuse(
    "udp4",
    "transport-hdr-too-long",
    "A UDP header has 8 bytes, not 12.",
    replace(usual("udp4", *_SIZES), transport_hdr=usual("udp4", *_SIZES).transport_hdr + bytes(4)),
    "HeaderLength",
)
_refuse(
    "tcp6",
    "tcp-options-missing",
    "A data offset of 8, but only 20 bytes of header.",
    _with("tcp6", 52, b"\x80"),
    "HeaderLength",
)
_refuse("tcp6", "data-offset-of-zero", "A data offset of 0.", _with("tcp6", 52, b"\x00"), "HeaderLength")

# What the length fields say.

for _kind, _name, _ip in (
    ("tcp4", "total-length-one-less", ip4(len=40 + 249)),
    ("udp4", "total-length-one-more", ip4(len=28 + 251)),
    ("tcp4", "total-length-of-one-segment", ip4(len=140)),
    ("tcp6", "payload-length-one-more", ip6(plen=20 + 251)),
    ("tcp6", "payload-length-with-the-header", ip6(plen=60 + 250)),
    ("udp6", "payload-length-zero", ip6(plen=0)),
):
    _refuse(_kind, _name, "The IP length does not match the whole packet.", _made(_kind, _ip), "LengthMismatch")
for _kind, _name, _length in (
    ("udp4", "one-more", 259),
    ("udp6", "one-less", 257),
    ("udp4", "zero", 0),
    ("udp6", "without-header", 250),
):
    _refuse(
        _kind,
        f"udp-length-{_name}",
        "The UDP length of a superpacket must cover its header and all data.",
        _made(_kind, None, UDP(sport=40000, dport=443, len=_length)),
        "LengthMismatch",
        basis=(rfc(768, "Fields"),),
    )
_refuse(
    "tcp6",
    "jumbo-payload",
    "A jumbo payload option replaces the length, which is zero: superpackets of a TUN do not use it.",
    pieces(ip6(plen=0) / IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=278)]) / tcp(), fragments(*_SIZES)),
    "LengthMismatch",
    basis=(rfc(2675, "2"),),
)
_refuse(
    "udp4",
    "65536-bytes",
    "One byte more than a length field can hold; the field says 0.",
    pieces(ip4(len=0) / UDP(sport=40000, dport=443, len=65516), fragments(*[1400] * 46, 65536 - 28 - 46 * 1400)),
    "LengthOverflow",
)
_refuse(
    "tcp6",
    "65536-bytes",
    "One byte more than fits 16 bits with the IPv6 header, although the payload length could still hold it.",
    usual("tcp6", *[1400] * 46, 65536 - 60 - 46 * 1400),
    "LengthOverflow",
    level="should",
)
_refuse(
    "tcp4",
    "1100-fragments",
    "Far more pieces than one writev accepts.",
    usual("tcp4", *[8] * 1100),
    "IovecLimit",
    basis=(uapi("include/uapi/linux/uio.h", "UIO_MAXIOV is 1024"),),
)

_refuse(
    "udp4",
    "datagrams-of-seven-bytes",
    "Several datagrams of under 8 bytes have crashed kernels behind tunnel sockets.",
    usual("udp4", 7, 7, 3),
    "TinyFragments",
    basis=(bug("https://git.kernel.org/torvalds/c/3d010c8031e3", "Linux"),),
)

# The sums that the caller finishes.

_SUMS: tuple[tuple[str, str, bytes, str], ...] = (
    ("tcp6", "zero", b"\0\0", "The checksum field is zero, left to hardware: the kernel takes it for a partial."),
    ("udp4", "zero", b"\0\0", "The checksum field is zero, which for a datagram would mean no checksum."),
    ("tcp4", "byte-swapped", _partial("tcp4")[::-1], "The partial is in the other byte order."),
    ("udp6", "inverted", bytes(byte ^ 0xFF for byte in _partial("udp6")), "The partial is inverted like a checksum."),
    ("udp4", "complete", _complete("udp4"), "A complete checksum of the whole in place of the partial."),
    ("tcp6", "of-one-segment", _partial_of("tcp6", 100), "The partial of the first segment, not of the whole."),
    ("udp4", "of-one-datagram", _partial_of("udp4", 100), "The partial of the first datagram, not of the whole."),
    ("tcp4", "without-header", _partial_of("tcp4", 230), "The partial has the length of the payload alone."),
)

for _kind, _name, _value, _about in _SUMS:
    _refuse(_kind, f"partial-{_name}", _about, _with(_kind, _FIELDS[_kind], _value), "HeaderNotFinal")
_refuse(
    "tcp4", "header-checksum-missing", "The IPv4 header checksum is zero.", _with("tcp4", 10, b"\0\0"), "HeaderNotFinal"
)
_refuse(
    "udp4",
    "header-checksum-inverted",
    "The IPv4 header checksum is not inverted.",
    _with("udp4", 10, bytes(byte ^ 0xFF for byte in usual("udp4", *_SIZES).hdr[10:12])),
    "HeaderNotFinal",
)
_refuse(
    "tcp4",
    "header-checksum-of-all-ones",
    "0xFFFF where the header checksum is 0x0000: it verifies, but is never the result of a sum.",
    replace(
        zero_header_checksum(), hdr=zero_header_checksum().hdr[:10] + b"\xff\xff" + zero_header_checksum().hdr[12:]
    ),
    "HeaderChecksumZero",
    level="may",
    importance="low",
)
_refuse(
    "tcp4",
    "partial-of-the-other-zero",
    "0x0000 where the partial is 0xFFFF: it verifies, but is never the result of a sum.",
    replace(folding("tcp4"), transport_hdr=folding("tcp4").transport_hdr[:16] + bytes(4)),
    "MinusZero",
    level="may",
    importance="low",
)
