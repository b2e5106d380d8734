"""Frames with one fault each, and what happens to them."""

from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.packet import Raw

from tunproof.authoring.authors.shapes import CSUM6_SIBLING, completed
from tunproof.authoring.draft import (
    ANY_KERNEL,
    LOST,
    Topic,
    by_trait,
    delivers,
    kernel,
    like,
    needs,
    refused,
    rfc,
    virtio,
)
from tunproof.packets.builder import frame, ip4, ip6, packet_bytes, patched, payload, plain, superpacket

vnet = Topic("read", "vnet-faults", basis=(kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h"),))
packets = Topic("read", "packet-faults", basis=(kernel("tun_get_user", "drivers/net/tun.c"),))
TOPICS = (vnet, packets)

_TCP4 = superpacket(ip4() / TCP(flags="A"), payload(24), gso_size=8)
_TCP6 = superpacket(ip6() / TCP(flags="A"), payload(24), gso_size=8)
_UDP4 = superpacket(ip4() / UDP(), payload(24), gso_size=8)
_CSUM = plain(ip4() / UDP(), payload(8))

_REQUIRES = {"tcp4": "gso.tcp4", "tcp6": "gso.tcp6", "udp4": "gso.udp4", "csum": "csum.partial"}
_KERNELS = {"udp4": needs("uso")}

for _topic, _siblings in (
    (vnet, {"tcp4": _TCP4, "tcp6": _TCP6, "udp4": _UDP4, "csum": _CSUM}),
    (packets, {"tcp4": _TCP4, "tcp6": _TCP6, "udp4": _UDP4}),
):
    for _kind, _frame in _siblings.items():
        _topic.add(
            f"valid-{_kind}",
            "A valid frame: the sibling of the faulty ones.",
            _frame,
            flags=("Basic",),
            requires=(_REQUIRES[_kind],),
            kernels=_KERNELS.get(_kind),
        )


def _fault(  # noqa: PLR0913, PLR0917 (what every fault states)
    topic: Topic, kind: str, flag: str, name: str, about: str, built: bytes, **options: object
) -> None:
    """Add a fault of this kind, which decides what it requires and, by default, its valid sibling."""
    usual: dict[str, object] = {
        "requires": (_REQUIRES[kind],),
        "kernels": _KERNELS.get(kind),
        "sibling": f"valid-{kind}",
    }
    topic.add(name, about, built, flags=(flag,), **(usual | options))  # type: ignore[arg-type]


def _csum_start(good: bytes, start: int) -> bytes:
    return patched(good, 6, start.to_bytes(2, "little"))


# The type and its size.

for _name, _type in (("type-2", 2), ("type-6", 6), ("type-127", 127), ("ecn-alone", 0x80), ("ecn-on-type-2", 0x82)):
    _fault(
        vnet,
        "tcp4",
        "UnknownType",
        f"unknown-{_name}",
        "An undefined type: the frame is rejected, never delivered whole.",
        patched(_TCP4, 1, bytes((_type,))),
        basis=(virtio("5.1.6"),),
    )
_fault(
    vnet,
    "udp4",
    "UnknownType",
    "ecn-on-udp",
    "The ECN qualifier is for TCP only: on UDP the frame is rejected.",
    patched(_UDP4, 1, b"\x85"),
)
_fault(
    vnet,
    "udp4",
    "UnknownType",
    "udp-fragmentation",
    "Type 3, UDP fragmentation: no reader can ask for it, so the frame is rejected.",
    superpacket(ip4() / UDP(), payload(40), gso_size=24, gso_type=3),
    kernels=ANY_KERNEL,
    differs="on a write the kernel still fragments such a packet itself",
    basis=(kernel("udp4_ufo_fragment", "net/ipv4/udp_offload.c"),),
)
for _kind, _good in (("tcp4", _TCP4), ("tcp6", _TCP6), ("udp4", _UDP4)):
    _fault(
        vnet,
        _kind,
        "GsoSizeZero",
        f"gso-size-zero-{_kind}",
        "A type with gso_size 0: there is no size to cut by, so the frame is rejected.",
        patched(_good, 4, b"\0\0"),
        importance="critical",
    )
_fault(
    vnet,
    "udp4",
    "TooManyUdpSegments",
    "udp4-129-segments",
    "One segment more than a UDP superpacket may have.",
    superpacket(ip4() / UDP(), payload(129 * 8), gso_size=8),
)
_fault(
    vnet,
    "tcp4",
    "TypeMismatch",
    "tcp4-type-on-ipv6",
    "The type says IPv4, but the packet is IPv6.",
    patched(_TCP6, 1, b"\x01"),
)
_fault(
    vnet,
    "tcp6",
    "TypeMismatch",
    "tcp6-type-on-ipv4",
    "The type says IPv6, but the packet is IPv4.",
    patched(_TCP4, 1, b"\x04"),
    kernels=by_trait("csum_start_floor", yes=refused("EINVAL"), no=LOST),
)
_fault(
    vnet,
    "udp4",
    "TypeMismatch",
    "udp-type-on-tcp",
    "The type says UDP, but the packet is TCP.",
    patched(patched(_TCP4, 1, b"\x05"), 8, b"\x06\x00"),
)

# Where the checksum goes.

_fault(
    vnet,
    "udp4",
    "NeedsCsumMissing",
    "udp4-without-needs-csum",
    "UDP_L4 without NEEDS_CSUM, which the type requires.",
    patched(_UDP4, 0, b"\0"),
    basis=(virtio("5.1.6.2.1"),),
)
for _name, _start, _offset, _about in (
    ("past-the-end", 20, 15, "The last byte of the checksum field is past the end of the packet."),
    ("start-past-the-end", 60, 6, "Summing would start past the end of the packet."),
    ("fields-overflow", 0xFFF0, 0x10, "csum_start and csum_offset add up to more than 16 bits can hold."),
):
    _fault(
        vnet,
        "csum",
        "BadCsumFields",
        f"csum-{_name}",
        _about,
        plain(ip4() / UDP(), payload(8), csum_start=_start, csum_offset=_offset),
    )
for _name, _start in (("zero", 0), ("in-the-addresses", 14), ("last-byte-of-the-ip-header", 19)):
    _fault(
        vnet,
        "csum",
        "BadCsumFields",
        f"csum-start-{_name}",
        "Summing would start inside the IPv4 header; kernels before 6.12 wrote a checksum over it.",
        _csum_start(_CSUM, _start),
        kernels=by_trait("csum_start_floor", yes=refused("EINVAL"), no=delivers(completed(_CSUM[10:], _start, 6))),
        importance="critical",
    )
_fault(
    vnet,
    "csum",
    "BadCsumFields",
    "csum-start-in-the-ipv6-header",
    "Summing would start in the destination address. Kernels trust the field and write into the header anyway.",
    _csum_start(plain(ip6() / UDP(), payload(8)), 30),
    sibling=CSUM6_SIBLING,
    level="should",
    differs="the kernel's floor is 20 bytes for every packet without a type, although the fixed IPv6 header has 40",
)
for _name, _start in (("one-too-large", 21), ("two-too-large", 22)):
    _fault(
        vnet,
        "tcp4",
        "BadCsumFields",
        f"tcp4-csum-start-{_name}",
        "csum_start of a superpacket does not point at the TCP header.",
        _csum_start(_TCP4, _start),
        kernels=by_trait("tso_csum_checked", yes=LOST, no=like(_TCP4)),
        importance="critical",
    )
_fault(
    vnet,
    "tcp4",
    "BadCsumFields",
    "tcp4-csum-start-at-the-payload",
    "csum_start of a superpacket points at the payload.",
    _csum_start(_TCP4, 40),
    differs="the kernel counts the payload from csum_start, finds too little for two segments, and completes a "
    "checksum "
    "inside the payload of one packet",
)
_fault(
    vnet,
    "tcp4",
    "BadCsumFields",
    "tcp4-csum-offset-of-udp",
    "csum_offset of a TCP superpacket is 6, which is UDP's.",
    patched(_TCP4, 8, b"\x06\x00"),
    kernels=by_trait("tso_csum_checked", yes=refused("EINVAL"), no=like(_TCP4)),
)
_fault(
    vnet,
    "udp4",
    "BadCsumFields",
    "udp4-csum-offset-of-tcp",
    "csum_offset of a UDP superpacket is 16, which is TCP's.",
    patched(_UDP4, 8, b"\x10\x00"),
)

# Lengths of the frame.

vnet.add(
    "hdr-len-past-the-end",
    "hdr_len is one byte more than the packet. The kernel refuses to allocate that; to a reader it is only a hint.",
    superpacket(ip4() / TCP(flags="A"), payload(24), gso_size=8, hdr_len=65),
    flags=("HdrLenIsAHint",),
    requires=("gso.tcp4",),
    basis=(virtio("5.1.6.4"), kernel("tun_get_user", "drivers/net/tun.c")),
    differs="hdr_len proves nothing to a reader, but on a write the kernel uses it to size a buffer",
)
for _length in (9, 0, 1):
    _fault(
        vnet,
        "tcp4",
        "Truncated",
        f"frame-of-{_length}-bytes",
        "A frame that ends inside the vnet header.",
        _TCP4[:_length],
        requires=(),
        sibling="read/plain/tcp4",
    )
_fault(vnet, "tcp4", "Truncated", "vnet-header-alone", "A vnet header with no packet after it.", _TCP4[:10])

# Faults of the packet.

for _nibble in (0, 5, 15):
    _fault(
        packets,
        "tcp4",
        "UnknownVersion",
        f"version-nibble-{_nibble}",
        "A packet that is neither IPv4 nor IPv6.",
        frame(bytes((_nibble << 4 | 5,)) + packet_bytes(ip4() / UDP() / Raw(payload(8)))[1:]),
        requires=(),
        sibling="read/plain/udp4",
    )
for _name, _data_offset in (("four", 4), ("zero", 0), ("past-the-end", 15)):
    _fault(
        packets,
        "tcp4",
        "Truncated",
        f"tcp-data-offset-{_name}",
        "A TCP data offset under 5, or past the end of the packet.",
        patched(_TCP4, 10 + 20 + 12, bytes((_data_offset << 4,))),
        basis=(rfc(9293, "3.1"),),
    )
_fault(
    packets,
    "tcp4",
    "TypeMismatch",
    "icmp-as-tcp",
    "The type says TCP, but the packet is ICMP.",
    _TCP4[:10] + packet_bytes(ip4() / ICMP() / Raw(payload(40))),
)
_fault(
    packets,
    "tcp6",
    "Fragmented",
    "ipv6-fragment-header",
    "A Fragment header before TCP: this is a fragment, not a superpacket.",
    superpacket(ip6() / IPv6ExtHdrFragment(offset=0, m=0, id=7) / TCP(flags="A"), payload(24), gso_size=8),
)
_fault(
    packets,
    "tcp6",
    "ExtensionHeaders",
    "ipv6-extension-cut-off",
    "A hop-by-hop header that is longer than the packet.",
    patched(patched(_TCP6, 10 + 6, b"\x00"), 10 + 40, b"\x06\xff"),
)
for _name, _delta in (("one-more", 1), ("one-less", -1)):
    _fault(
        packets,
        "tcp4",
        "LengthMismatch",
        f"ipv4-total-length-{_name}",
        "The total length of a superpacket does not match its actual length.",
        _TCP4[:10] + packet_bytes(ip4(len=64 + _delta, proto=6) / Raw(_TCP4[30:])),
        level="should",
        importance="low",
        basis=(rfc(791, "3.1"),),
        differs="a redirect passes the frame on without checking the IP length, which cutting rewrites; a frame that "
        "goes through the IP layer is trimmed or dropped there",
    )
