"""Frames with one fault each, and what becomes of them."""

from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.packet import Raw

from tunproof.corpus.authoring import Topic, kernel, rfc, virtio
from tunproof.corpus.builder import frame, ip4, ip6, packet_bytes, payload, plain, superpacket

vnet = Topic("read", "vnet-faults", basis=(kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h"),))
packets = Topic("read", "packet-faults", basis=(kernel("tun_get_user", "drivers/net/tun.c"),))
TOPICS = (vnet, packets)

_TCP4 = superpacket(ip4() / TCP(flags="A"), payload(24), gso_size=8)
_TCP6 = superpacket(ip6() / TCP(flags="A"), payload(24), gso_size=8)
_UDP4 = superpacket(ip4() / UDP(), payload(24), gso_size=8)

vnet.add("valid-tcp4", "The valid sibling of the faults below.", _TCP4, flags=("Basic",), requires=("gso.tcp4",))
vnet.add("valid-tcp6", "The valid sibling of the faults below.", _TCP6, flags=("Basic",), requires=("gso.tcp6",))
vnet.add(
    "valid-udp4",
    "The valid sibling of the faults below.",
    _UDP4,
    flags=("Basic",),
    requires=("gso.udp4",),
    traits=("uso",),
)


_CSUM = plain(ip4() / UDP(), payload(8))
vnet.add("valid-csum", "The valid sibling of the faults below.", _CSUM, flags=("Basic",), requires=("csum.partial",))


def _patched(good: bytes, offset: int, value: bytes) -> bytes:
    return good[:offset] + value + good[offset + len(value) :]


for _name, _type in (
    ("type-2", 2),
    ("type-6", 6),
    ("type-127", 127),
    ("ecn-alone", 0x80),
    ("ecn-on-type-2", 0x82),
):
    vnet.add(
        f"unknown-{_name}",
        "A type that nobody defined: the frame is turned down, never delivered whole.",
        _patched(_TCP4, 1, bytes((_type,))),
        flags=("UnknownType",),
        sibling="valid-tcp4",
        requires=("gso.tcp4",),
        basis=(virtio("5.1.6"),),
    )
vnet.add(
    "ecn-on-udp",
    "The ECN qualifier belongs to TCP.",
    _patched(_UDP4, 1, b"\x85"),
    flags=("UnknownType",),
    sibling="valid-udp4",
    requires=("gso.udp4",),
    traits=("uso",),
)
for _sibling, _good, _require in (("valid-tcp4", _TCP4, "gso.tcp4"), ("valid-tcp6", _TCP6, "gso.tcp6")):
    vnet.add(
        f"gso-size-zero-{_sibling[6:]}",
        "A type with gso_size 0.",
        _patched(_good, 4, b"\0\0"),
        flags=("GsoSizeZero",),
        sibling=_sibling,
        requires=(_require,),
        importance="critical",
    )
vnet.add(
    "gso-size-zero-udp4",
    "A type with gso_size 0.",
    _patched(_UDP4, 4, b"\0\0"),
    flags=("GsoSizeZero",),
    sibling="valid-udp4",
    requires=("gso.udp4",),
    traits=("uso",),
    importance="critical",
)
vnet.add(
    "udp4-without-needs-csum",
    "UDP_L4 without NEEDS_CSUM.",
    _patched(_UDP4, 0, b"\0"),
    flags=("NeedsCsumMissing",),
    sibling="valid-udp4",
    requires=("gso.udp4",),
    traits=("uso",),
    basis=(virtio("5.1.6.2.1"),),
)
vnet.add(
    "udp4-129-segments",
    "One segment more than a UDP superpacket may have.",
    superpacket(ip4() / UDP(), payload(129 * 8), gso_size=8),
    flags=("TooManyUdpSegments",),
    sibling="valid-udp4",
    requires=("gso.udp4",),
    traits=("uso",),
)
vnet.add(
    "csum-past-the-end",
    "A checksum field of which the last byte lies behind the packet.",
    frame(packet_bytes(ip4() / UDP() / Raw(payload(8))), flags=1, csum_start=20, csum_offset=15),
    flags=("BadCsumFields",),
    sibling="valid-csum",
    requires=("csum.partial",),
)
vnet.add(
    "csum-start-past-the-end",
    "Summing would start behind the packet.",
    frame(packet_bytes(ip4() / UDP() / Raw(payload(8))), flags=1, csum_start=60, csum_offset=6),
    flags=("BadCsumFields",),
    sibling="valid-csum",
    requires=("csum.partial",),
)
vnet.add(
    "csum-fields-overflow",
    "csum_start and csum_offset add up to more than 16 bits can say.",
    frame(packet_bytes(ip4() / UDP() / Raw(payload(8))), flags=1, csum_start=0xFFF0, csum_offset=0x10),
    flags=("BadCsumFields",),
    sibling="valid-csum",
    requires=("csum.partial",),
)
for _name, _start in (("zero", 0), ("in-the-addresses", 14), ("last-byte-of-the-ip-header", 19)):
    vnet.add(
        f"csum-start-{_name}",
        "Summing would start inside the IPv4 header; kernels before 6.12 wrote a checksum over it.",
        _patched(_CSUM, 6, _start.to_bytes(2, "little")),
        flags=("BadCsumFields",),
        sibling="valid-csum",
        requires=("csum.partial",),
        traits=("csum_start_floor",),
        importance="critical",
    )
vnet.add(
    "csum-start-in-the-ipv6-header",
    "Summing starts in the destination address. A kernel trusts the field and writes into the header all the same.",
    _patched(plain(ip6() / UDP(), payload(8)), 6, (30).to_bytes(2, "little")),
    flags=("BadCsumFields",),
    sibling="valid-csum",
    requires=("csum.partial",),
    level="should",
    differs="the kernel's floor is 20 bytes for every packet without a type; no IPv6 checksum is in the fixed header",
)
for _name, _start in (("one-too-large", 21), ("two-too-large", 22)):
    vnet.add(
        f"tcp4-csum-start-{_name}",
        "csum_start of a superpacket is not where the TCP header begins.",
        _patched(_TCP4, 6, _start.to_bytes(2, "little")),
        flags=("BadCsumFields",),
        sibling="valid-tcp4",
        requires=("gso.tcp4",),
        traits=("tso_csum_checked",),
        importance="critical",
    )
vnet.add(
    "tcp4-csum-start-at-the-payload",
    "csum_start of a superpacket is where the payload begins.",
    _patched(_TCP4, 6, (40).to_bytes(2, "little")),
    flags=("BadCsumFields",),
    sibling="valid-tcp4",
    requires=("gso.tcp4",),
    traits=("tso_csum_checked",),
    differs="a kernel counts the payload from csum_start, finds too little for two segments, and completes a checksum "
    "inside the payload of one packet",
)
vnet.add(
    "tcp4-csum-offset-of-udp",
    "csum_offset of a TCP superpacket is 6, which is UDP's.",
    _patched(_TCP4, 8, b"\x06\x00"),
    flags=("BadCsumFields",),
    sibling="valid-tcp4",
    requires=("gso.tcp4",),
    traits=("tso_csum_checked",),
)
vnet.add(
    "udp4-csum-offset-of-tcp",
    "csum_offset of a UDP superpacket is 16, which is TCP's.",
    _patched(_UDP4, 8, b"\x10\x00"),
    flags=("BadCsumFields",),
    sibling="valid-udp4",
    requires=("gso.udp4",),
    traits=("uso",),
)
vnet.add(
    "tcp6-type-on-ipv4",
    "The type says IPv6, the packet is IPv4.",
    _patched(_TCP4, 1, b"\x04"),
    flags=("TypeMismatch",),
    sibling="valid-tcp4",
    requires=("gso.tcp6",),
    traits=("csum_start_floor",),
)
vnet.add(
    "udp-fragmentation",
    "Type 3, UDP fragmentation: nobody can ask to be handed it, so a reader turns it down.",
    frame(
        packet_bytes(ip4() / UDP() / Raw(payload(40))),
        flags=1,
        gso_type=3,
        hdr_len=28,
        gso_size=24,
        csum_start=20,
        csum_offset=6,
    ),
    flags=("UnknownType",),
    sibling="valid-udp4",
    requires=("gso.udp4",),
    differs="a kernel that is written to still fragments such a packet itself",
    basis=(kernel("udp4_ufo_fragment", "net/ipv4/udp_offload.c"),),
)
vnet.add(
    "tcp4-type-on-ipv6",
    "The type says IPv4, the packet is IPv6.",
    _patched(_TCP6, 1, b"\x01"),
    flags=("TypeMismatch",),
    sibling="valid-tcp6",
    requires=("gso.tcp4",),
)
vnet.add(
    "udp-type-on-tcp",
    "The type says UDP, the packet is TCP.",
    _patched(_patched(_TCP4, 1, b"\x05"), 8, b"\x06\x00"),
    flags=("TypeMismatch",),
    sibling="valid-tcp4",
    requires=("gso.udp4",),
    traits=("uso",),
)
vnet.add(
    "hdr-len-past-the-end",
    "hdr_len one more than the packet has. A kernel refuses to allocate that; to a reader it is a hint like any other.",
    superpacket(ip4() / TCP(flags="A"), payload(24), gso_size=8, hdr_len=65),
    flags=("HdrLenIsAHint",),
    requires=("gso.tcp4",),
    basis=(virtio("5.1.6.4"), kernel("tun_get_user", "drivers/net/tun.c")),
    differs="hdr_len never proves anything to a reader, but a kernel that is written to uses it to size a buffer",
)
for _name, _offset in (("9", 9), ("0", 0), ("1", 1)):
    vnet.add(
        f"frame-of-{_name}-bytes",
        "A frame that ends inside the vnet header.",
        _TCP4[:_offset],
        flags=("Truncated",),
        sibling="valid-tcp4",
    )
vnet.add(
    "vnet-header-alone",
    "A vnet header with no packet behind it.",
    _TCP4[:10],
    flags=("Truncated",),
    sibling="valid-tcp4",
    requires=("gso.tcp4",),
)

# Faults of the packet.

packets.add("valid-tcp4", "The valid sibling of the faults below.", _TCP4, flags=("Basic",), requires=("gso.tcp4",))
packets.add("valid-tcp6", "The valid sibling of the faults below.", _TCP6, flags=("Basic",), requires=("gso.tcp6",))
packets.add(
    "valid-udp4",
    "The valid sibling of the faults below.",
    _UDP4,
    flags=("Basic",),
    requires=("gso.udp4",),
    traits=("uso",),
)
for _nibble in (0, 5, 15):
    packets.add(
        f"version-nibble-{_nibble}",
        "A packet that is neither IPv4 nor IPv6.",
        frame(bytes((_nibble << 4 | 5,)) + packet_bytes(ip4() / UDP() / Raw(payload(8)))[1:]),
        flags=("UnknownVersion",),
        sibling="valid-tcp4",
    )
for _name, _data_offset in (("four", 4), ("zero", 0), ("past-the-end", 15)):
    packets.add(
        f"tcp-data-offset-{_name}",
        "A TCP data offset under 5, or past the end of the packet.",
        _patched(_TCP4, 10 + 20 + 12, bytes((_data_offset << 4,))),
        flags=("Truncated",),
        sibling="valid-tcp4",
        requires=("gso.tcp4",),
        basis=(rfc(9293, "3.1"),),
    )
packets.add(
    "icmp-as-tcp",
    "The type says TCP, the packet is ICMP.",
    frame(
        packet_bytes(ip4() / ICMP() / Raw(payload(40))),
        flags=1,
        gso_type=1,
        hdr_len=40,
        gso_size=8,
        csum_start=20,
        csum_offset=16,
    ),
    flags=("TypeMismatch",),
    sibling="valid-tcp4",
    requires=("gso.tcp4",),
)
packets.add(
    "ipv6-fragment-header",
    "A Fragment header in front of TCP: this is a fragment and no superpacket.",
    superpacket(ip6() / IPv6ExtHdrFragment(offset=0, m=0, id=7) / TCP(flags="A"), payload(24), gso_size=8),
    flags=("Fragmented", "ExtensionHeaders"),
    sibling="valid-tcp6",
    requires=("gso.tcp6",),
)
packets.add(
    "ipv6-extension-cut-off",
    "A hop-by-hop header that is longer than the packet.",
    _patched(_patched(_TCP6, 10 + 6, b"\x00"), 10 + 40, b"\x06\xff"),
    flags=("Truncated", "ExtensionHeaders"),
    sibling="valid-tcp6",
    requires=("gso.tcp6",),
)
for _name, _delta in (("one-more", 1), ("one-less", -1)):
    packets.add(
        f"ipv4-total-length-{_name}",
        "The total length of a superpacket does not say how long it is.",
        _patched(_TCP4, 10 + 2, (64 + _delta).to_bytes(2, "big")),
        flags=("LengthMismatch",),
        sibling="valid-tcp4",
        requires=("gso.tcp4",),
        level="should",
        importance="low",
        basis=(rfc(791, "3.1"),),
        differs="a redirect hands the frame to the cutter without a look at the IP length, which is written anew; "
        "where it goes through the IP layer, that trims or drops it",
    )
