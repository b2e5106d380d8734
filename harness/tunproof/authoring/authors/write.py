"""Packets that are written as they are: one frame each, an all-zero vnet header in front, not a byte touched."""

from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.packet import Packet, Raw

from tunproof.authoring.draft import Topic, contract, kernel, virtio
from tunproof.corpus.cases import WriteInput
from tunproof.packets.builder import ip4, ip6, packet_bytes, payload

_CONTRACT = contract("Queue.write: one packet, as it is (W4, W5, W9)")
protocols = Topic("write", "protocols", basis=(_CONTRACT, kernel("tun_get_user", "drivers/net/tun.c")))
sizes = Topic("write", "sizes", basis=(_CONTRACT,))
state = Topic("write", "state", basis=(_CONTRACT, virtio("5.1.6.2.1")))
manners = Topic("write", "manners", basis=(virtio("5.1.6.2.1"), kernel("tun_get_user", "drivers/net/tun.c")))
TOPICS = (protocols, sizes, state, manners)

_UDP4 = packet_bytes(ip4() / UDP() / Raw(payload(20)))
_TCP4 = packet_bytes(ip4() / TCP(flags="PA") / Raw(payload(20)))
_TCP6 = packet_bytes(ip6() / TCP(flags="PA") / Raw(payload(20)))
_LARGEST = packet_bytes(ip4() / UDP() / Raw(payload(65535 - 28)))

_PROTOCOLS: tuple[tuple[str, Packet, str], ...] = (
    ("tcp4", ip4() / TCP(flags="PA") / Raw(payload(20)), "A complete TCP packet is not a superpacket of one segment."),
    ("tcp6", ip6() / TCP(flags="PA") / Raw(payload(20)), "TCP over IPv6."),
    ("udp4", ip4() / UDP() / Raw(payload(20)), "UDP."),
    ("udp6", ip6() / UDP() / Raw(payload(20)), "UDP over IPv6."),
    ("icmp4", ip4() / ICMP() / Raw(payload(20)), "ICMP has no checksum field where UDP has one."),
    ("icmp6", ip6() / ICMPv6EchoRequest(data=payload(20)), "ICMPv6."),
    ("gre", ip4() / GRE() / Raw(payload(20)), "GRE."),
    ("protocol-253", ip4(proto=253) / Raw(payload(20)), "An unknown protocol."),
    ("no-next-header", ip6(nh=59), "IPv6 with nothing after the header, as it announces."),
    ("ipv4-in-ipv4", ip4() / IP(src="192.0.2.9", dst="198.51.100.9") / UDP() / Raw(payload(8)), "An IPv4 tunnel."),
    ("ipv6-in-ipv4", ip4() / IPv6(src="2001:db8::9", dst="2001:db8::8") / UDP() / Raw(payload(8)), "6in4."),
    ("fragment4-first", ip4(flags="MF") / UDP(len=108) / Raw(payload(24)), "A fragment with a UDP header in it."),
    ("fragment4-later", ip4(flags=0, frag=3, proto=17) / Raw(payload(24)), "A fragment without a UDP header."),
    ("fragment6", ip6() / IPv6ExtHdrFragment(m=1, id=7) / UDP(len=108) / Raw(payload(24)), "An IPv6 fragment."),
    ("ipv4-options", ip4(options=[IPOption_NOP()] * 8) / TCP(flags="A") / Raw(payload(9)), "An IHL of 7."),
    ("hop-by-hop", ip6() / IPv6ExtHdrHopByHop() / TCP(flags="A") / Raw(payload(9)), "A hop-by-hop header."),
    (
        "extension-headers",
        ip6()
        / IPv6ExtHdrHopByHop()
        / IPv6ExtHdrRouting(segleft=0, addresses=["2001:db8::9"])
        / IPv6ExtHdrDestOpt()
        / UDP()
        / Raw(payload(9)),
        "A chain of extension headers.",
    ),
    ("congestion-marks", ip4(tos=0xB9 | 3) / TCP(flags="CEA") / Raw(payload(9)), "DSCP, ECN, CWR and ECE are kept."),
)
for _name, _packet, _about in _PROTOCOLS:
    protocols.add(
        _name,
        f"{_about} The packet goes out behind a vnet header of zeros.",
        WriteInput(packet=packet_bytes(_packet)),
        flags=("VnetHeaderMissing", "WrittenAsItIs"),
    )

_CHECKSUMS: tuple[tuple[str, Packet, str], ...] = (
    ("tcp4-wrong-checksum", ip4() / TCP(flags="A", chksum=0x1234) / Raw(payload(8)), "A wrong TCP checksum."),
    ("udp4-wrong-checksum", ip4() / UDP(chksum=0x1234) / Raw(payload(8)), "A wrong UDP checksum."),
    ("udp6-wrong-checksum", ip6() / UDP(chksum=0x1234) / Raw(payload(8)), "A wrong UDP checksum over IPv6."),
    ("icmp4-wrong-checksum", ip4() / ICMP(chksum=0x1234) / Raw(payload(8)), "A wrong ICMP checksum."),
    ("udp4-without-checksum", ip4() / UDP(chksum=0) / Raw(payload(8)), "UDP over IPv4 without a checksum."),
    ("udp6-without-checksum", ip6() / UDP(chksum=0) / Raw(payload(8)), "Illegal over IPv6, but not for us to repair."),
)
for _name, _packet, _about in _CHECKSUMS:
    protocols.add(
        _name,
        f"{_about} The packet is written as it is, with neither NEEDS_CSUM nor DATA_VALID: its receiver must see that.",
        WriteInput(packet=packet_bytes(_packet)),
        flags=("WrittenAsItIs", "ChecksumUntouched"),
    )

sizes.add(
    "empty",
    "An empty packet: nothing is written, and that is not an error.",
    WriteInput(packet=b""),
    flags=("EmptyWrite",),
)
for _name, _data, _about in (
    ("ipv4-header-alone", packet_bytes(ip4(proto=6)), "20 bytes: TCP is announced, but not one byte of it is there."),
    ("ipv6-header-alone", packet_bytes(ip6(nh=6)), "40 bytes: TCP is announced, but not one byte of it is there."),
    ("tcp4-four-bytes", packet_bytes(ip4(proto=6) / Raw(b"\x01\xbb\x9c\x40")), "Only the ports of a TCP header."),
    ("udp6-four-bytes", packet_bytes(ip6(nh=17) / Raw(b"\x01\xbb\x9c\x40")), "Only the ports of a UDP header."),
):
    sizes.add(
        _name,
        f"{_about} `write` does not judge a packet's contents, and must not read past its end.",
        WriteInput(packet=_data),
        flags=("Truncated",),
    )
sizes.add(
    "65535-bytes",
    "The largest possible packet.",
    WriteInput(packet=_LARGEST),
    flags=("MaximumSize",),
)
sizes.add(
    "65536-bytes",
    "One byte more than the length field of any packet can hold.",
    WriteInput(packet=_LARGEST + b"\0"),
    flags=("LengthOverflow",),
    sibling="65535-bytes",
    level="should",
)
for _nibble in (0, 5, 15):
    sizes.add(
        f"version-nibble-{_nibble}",
        "Neither IPv4 nor IPv6. A kernel returns EINVAL; it is better to refuse the packet before it gets there.",
        WriteInput(packet=bytes((_nibble << 4 | 5,)) + _UDP4[1:]),
        flags=("UnknownVersion",),
        sibling="write/protocols/udp4",
        level="should",
    )

for _name, _data, _about in (
    ("udp4", _UDP4, "A UDP packet"),
    ("tcp4", _TCP4, "A TCP packet"),
    ("tcp6", _TCP6, "A TCP packet over IPv6"),
):
    state.add(
        f"poisoned-headroom-{_name}",
        f"{_about} in a buffer whose room for the vnet header is full of ones: the header goes out all zero.",
        WriteInput(packet=_data, poison=b"\xff"),
        flags=("StaleVnetHeader",),
        importance="critical",
    )
state.add(
    "poisoned-headroom-without-checksum",
    "A datagram without a checksum, and header room that says NEEDS_CSUM: no checksum may be filled in.",
    WriteInput(packet=packet_bytes(ip4() / UDP(chksum=0) / Raw(payload(8))), poison=b"\x01"),
    flags=("StaleVnetHeader",),
)
state.add(
    "short-after-long",
    "A short packet after a long one in the same buffer: nothing of the long one follows it.",
    WriteInput(packet=packet_bytes(ip4() / UDP()), before=(packet_bytes(ip6() / UDP() / payload(1400)),)),
    flags=("StaleVnetHeader", "WrittenAsItIs"),
)
state.add(
    "after-an-empty-one",
    "An empty packet leaves nothing behind that the next write would be appended to.",
    WriteInput(packet=_UDP4, before=(b"",)),
    flags=("EmptyWrite",),
)
state.add(
    "after-a-refused-one",
    "A refused packet leaves nothing behind.",
    WriteInput(packet=_UDP4, before=(b"\x55" * 40,)),
    flags=("StaleVnetHeader",),
)
state.add(
    "empty-after-a-packet",
    "An empty packet after another: the other one is not written again.",
    WriteInput(packet=b"", before=(_UDP4,)),
    flags=("EmptyWrite",),
)
state.add(
    "twice-the-same",
    "The same packet again is a new packet, and is written again.",
    WriteInput(packet=_UDP4, before=(_UDP4,)),
    flags=("WrittenAsItIs",),
)

# Faults of a packet are for its receiver to find. These have a right version nibble; the rest may be missing.

_DAMAGED: tuple[tuple[str, bytes, str], ...] = (
    ("ipv4-19-bytes", packet_bytes(ip4(proto=6))[:19], "An IPv4 header that lacks its last byte."),
    ("ipv6-20-bytes", packet_bytes(ip6(nh=6))[:20], "Half an IPv6 header."),
    ("ipv6-39-bytes", packet_bytes(ip6(nh=6))[:39], "An IPv6 header that lacks its last byte."),
    ("ipv4-4-bytes", packet_bytes(ip4(proto=6))[:4], "The first word of an IPv4 header."),
    ("ipv4-ihl-of-15", packet_bytes(ip4(ihl=15) / UDP() / Raw(payload(8))), "An IPv4 header longer than the packet."),
    ("ipv4-total-length-zero", packet_bytes(ip4(len=0) / UDP() / Raw(payload(8))), "A total length of 0."),
    (
        "ipv4-wrong-header-checksum",
        packet_bytes(ip4(chksum=0x1234) / UDP() / Raw(payload(8))),
        "A wrong header checksum.",
    ),
    ("ipv6-payload-length-more", packet_bytes(ip6(plen=99) / UDP() / Raw(payload(8))), "A payload length too large."),
)
for _name, _data, _about in _DAMAGED:
    sizes.add(
        _name,
        f"{_about} `write` does not judge a packet's contents, and must not read past its end.",
        WriteInput(packet=_data),
        flags=("Truncated",),
        basis=(kernel("tun_get_user", "drivers/net/tun.c"),),
    )

# What a header should not say. Linux ignores it; another device may not.

for _name, _packet, _about in (
    ("right-checksum", ip4() / TCP(flags="A") / Raw(payload(8)), "A packet whose checksum is right."),
    ("wrong-checksum", ip4() / UDP(chksum=0x1234) / Raw(payload(8)), "A packet whose checksum is wrong."),
):
    manners.add(
        f"{_name}-without-data-valid",
        f"{_about} A driver must not set DATA_VALID, and the kernel does not trust it (V12).",
        WriteInput(packet=packet_bytes(_packet)),
        flags=("DataValid",),
        level="should",
        importance="low",
    )
