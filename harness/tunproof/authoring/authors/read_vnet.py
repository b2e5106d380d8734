"""The vnet header of frames that are read, field by field; csum_start and csum_offset are in `read_vnet_csum`.

A reader trusts NEEDS_CSUM, the type, gso_size and where the checksum goes, as far as the headers of the packet agree.
Everything else in the vnet header is a hint or a leftover. On a write the kernel sizes a buffer by hdr_len, and it
reserves one gso_size for itself; where that makes a difference the case says so.
"""

from scapy.layers.inet import TCP, UDP
from scapy.packet import Raw

from tunproof.authoring.authors import read_vnet_csum
from tunproof.authoring.authors.shapes import SHAPES, TIMESTAMPS
from tunproof.authoring.draft import LOST, RECORDED, Topic, bug, by_trait, kernel, like, observed, refused, virtio
from tunproof.packets.builder import frame, ip4, ip6, packet_bytes, payload, superpacket

_PARSE = kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h")
_TUN = kernel("tun_get_user", "drivers/net/tun.c")
_OLD = observed("Linux 5.10.262, 6.1.192 and 6.12.95, booted")

flags = Topic("read", "vnet-flags", basis=(virtio("5.1.6"), _PARSE))
types = Topic("read", "vnet-types", basis=(virtio("5.1.6"), _PARSE))
hdr_len = Topic("read", "vnet-hdr-len", basis=(virtio("5.1.6.4"), _TUN))
gso_size = Topic("read", "vnet-gso-size", basis=(_PARSE,))
TOPICS = (flags, types, hdr_len, gso_size, *read_vnet_csum.TOPICS)

_TCP4, _TCP6, _UDP4, _UDP6 = SHAPES


# flags: NEEDS_CSUM is bit 0. DATA_VALID is 2, RSC_INFO 4, the outer checksum of tunnels 8.

_BITS = {"data-valid": 0x02, "rsc-info": 0x04, "bit-3": 0x08, "all-other-bits": 0xFE}

for _name, _bits in _BITS.items():
    for _shape in SHAPES if _name in {"data-valid", "all-other-bits"} else (_TCP4,):
        flags.add(
            f"{_shape.name}-needs-csum-and-{_name}",
            "NEEDS_CSUM among other bits: the superpacket is cut as if they were not there.",
            _shape.superpacket(flags=1 | _bits),
            flags=("FlagBitsIgnored",),
            requires=_shape.requires,
            kernels=_shape.kernels,
        )
    flags.add(
        f"udp4-single-needs-csum-and-{_name}",
        "NEEDS_CSUM among other bits on a single packet: its checksum is completed, whatever the others claim.",
        _UDP4.single(flags=1 | _bits),
        flags=("FlagBitsIgnored", "ChecksumCompleted"),
        requires=("csum.partial",),
    )
    flags.add(
        f"udp4-single-{_name}-without-needs-csum",
        "Without NEEDS_CSUM not a byte of a single packet is touched. Its checksum is wrong and stays wrong.",
        frame(packet_bytes(ip4() / UDP(chksum=0x1234) / Raw(payload(20))), flags=_bits),
        flags=("FlagBitsIgnored", "ChecksumUntouched"),
        sound=False,
    )

for _shape in (_TCP4, _TCP6):
    flags.add(
        f"{_shape.name}-all-other-bits-without-needs-csum",
        "Every bit but NEEDS_CSUM: the checksums of the segments are computed from scratch.",
        _shape.superpacket(flags=0xFE, csum_start=0, csum_offset=0),
        flags=("FlagBitsIgnored", "ChecksumComputed"),
        requires=_shape.requires,
        importance="medium",
    )
for _shape in (_UDP4, _UDP6):
    flags.add(
        f"{_shape.name}-all-other-bits-without-needs-csum",
        "UDP_L4 requires NEEDS_CSUM, and no other bit stands in for it.",
        _shape.superpacket(flags=0xFE),
        flags=("NeedsCsumMissing", "FlagBitsIgnored"),
        requires=_shape.requires,
        sibling=_shape.sibling,
        importance="medium",
    )

for _shape in (_TCP4, _TCP6):
    flags.add(
        f"{_shape.name}-left-over-csum-fields",
        "Without NEEDS_CSUM csum_start and csum_offset of a superpacket mean nothing, however wild. Some kernels of "
        "2024 checked a stale csum_offset and refused the write.",
        _shape.superpacket(flags=0, csum_start=0xFFFF, csum_offset=6),
        flags=("LeftOverFields",),
        requires=_shape.requires,
    )
flags.add(
    "single-left-over-csum-fields",
    "Without NEEDS_CSUM csum_start and csum_offset of a single packet mean nothing.",
    frame(packet_bytes(ip4() / UDP(chksum=0x1234) / Raw(payload(20))), csum_start=20, csum_offset=6),
    flags=("LeftOverFields", "ChecksumUntouched"),
    sound=False,
)
flags.add(
    "single-left-over-csum-fields-out-of-range",
    "Without NEEDS_CSUM csum_start and csum_offset are not even checked: no packet is rejected for them.",
    frame(packet_bytes(ip4() / UDP() / Raw(payload(20))), csum_start=0xFFFF, csum_offset=0xFFFF),
    flags=("LeftOverFields",),
)


# gso_type. Undefined types are in vnet-faults.

_QUALIFIED = {
    "acc-ecn": (0x11, "AccEcnQualifier", "TCPV4 with the bit that is proposed for Accurate ECN."),
    "acc-ecn-and-ecn": (0x91, "AccEcnQualifier", "TCPV4 with ECN and the bit that is proposed for Accurate ECN."),
    "acc-ecn-alone": (0x10, "AccEcnQualifier", "The proposed bit qualifies a type; alone it is not one."),
    "tunnel4": (0x21, "TunnelType", "TCPV4 inside UDP over IPv4: a vnet header of 10 bytes cannot say where."),
    "tunnel6": (0x41, "TunnelType", "TCPV4 inside UDP over IPv6: a vnet header of 10 bytes cannot say where."),
    "both-tunnels": (0x61, "TunnelType", "Both tunnel bits contradict each other."),
    "tunnel4-alone": (0x20, "TunnelType", "A tunnel bit without a type."),
    "type-7": (0x07, "UnknownType", "A type between the defined ones: bits must not be tested one by one."),
    "type-9": (0x09, "UnknownType", "TCPV4 with an undefined bit."),
    "type-64": (0x40, "TunnelType", "A tunnel bit without a type."),
    "type-255": (0xFF, "UnknownType", "All bits are set."),
}

for _name, (_type, _flag, _about) in _QUALIFIED.items():
    types.add(
        f"tcp4-{_name}",
        f"{_about} The frame is rejected, neither cut as plain TCP nor delivered whole.",
        superpacket(ip4() / TCP(flags="CA"), payload(24), gso_size=8, gso_type=_type),
        flags=(_flag,),
        requires=("gso.tcp4",),
        sibling=_TCP4.sibling,
        level="should" if _flag == "AccEcnQualifier" else "must",
    )
for _name, _type, _flag in (
    ("acc-ecn", 0x15, "AccEcnQualifier"),
    ("tunnel4", 0x25, "TunnelType"),
    ("tunnel6", 0x45, "TunnelType"),
):
    types.add(
        f"udp4-{_name}",
        "UDP_L4 with a bit that is not defined for this header: the frame is rejected.",
        _UDP4.superpacket(gso_type=_type),
        flags=(_flag,),
        requires=("gso.udp4",),
        sibling=_UDP4.sibling,
    )
types.add(
    "udp6-ecn",
    "The ECN qualifier is for TCP only, over IPv6 too: the frame is rejected.",
    _UDP6.superpacket(gso_type=0x85),
    flags=("EcnQualifier",),
    requires=("gso.udp6",),
    sibling=_UDP6.sibling,
)
types.add(
    "udp4-ecn-on-udp-fragmentation",
    "Type 3 with the ECN qualifier: readers never get either, so the frame is rejected.",
    superpacket(ip4() / UDP(), payload(40), gso_size=24, gso_type=0x83),
    flags=("EcnQualifier", "UdpFragmentation"),
    requires=("gso.udp4",),
    sibling=_UDP4.sibling,
    basis=(kernel("udp4_ufo_fragment", "net/ipv4/udp_offload.c"),),
    differs="on a write the kernel ignores the qualifier and fragments the packet itself",
)
for _shape, _type, _version in ((_TCP6, 0x81, "4"), (_TCP4, 0x84, "6")):
    types.add(
        f"{_shape.name}-with-the-ecn-type-of-ipv{_version}",
        "With the ECN qualifier the type still names an IP version, here the wrong one.",
        _shape.superpacket(gso_type=_type),
        flags=("EcnQualifier", "TypeMismatch"),
        requires=("gso.tcp4", "gso.tcp6"),
        sibling=_shape.sibling,
        kernels=None if _type == 0x81 else by_trait("csum_start_floor", yes=refused("EINVAL"), no=LOST),
        basis=(bug("https://github.com/slackhq/nebula/pull/1704", "nebula"), _OLD),
    )
types.add(
    "unknown-type-on-one-segment",
    "An undefined type on a packet that fits one segment: the type is checked first.",
    _TCP4.superpacket(8, gso_size=8, gso_type=2),
    flags=("UnknownType",),
    requires=("gso.tcp4",),
    sibling=_TCP4.sibling,
)
for _shape in SHAPES:
    types.add(
        f"{_shape.name}-type-none-on-a-large-packet",
        "No type: one packet, whatever gso_size says. Its checksum is completed over all of it.",
        _shape.superpacket(gso_type=0),
        flags=("LeftOverFields", "SingleFragment"),
        requires=("csum.partial",),
    )


# hdr_len. For TCP zero, one, some bytes too many and the whole packet are in tcp4 and tcp6.

_PAST = "hdr_len proves nothing to a reader, but on a write the kernel uses it to size a buffer"

for _shape in SHAPES:
    _shared = {"flags": ("HdrLenIsAHint",), "requires": _shape.requires, "kernels": _shape.kernels}
    for _name, _value, _about in (
        ("ip-header-alone", _shape.network, "hdr_len counts the IP header alone."),
        ("one-short", _shape.length - 1, "hdr_len is one byte less than the headers."),
        ("one-more", _shape.length + 1, "hdr_len is one byte more than the headers: odd, and into the payload."),
    ):
        hdr_len.add(
            f"{_shape.name}-{_name}",
            f"{_about} The packet's own headers say where the payload begins.",
            _shape.superpacket(hdr_len=_value),
            **_shared,  # type: ignore[arg-type]
        )
    hdr_len.add(
        f"{_shape.name}-of-a-linear-buffer",
        "3712 bytes, what the linear part of a kernel buffer holds: the usual hdr_len of a large superpacket.",
        _shape.superpacket(4000, gso_size=1340, hdr_len=3712),
        importance="critical",
        **_shared,  # type: ignore[arg-type]
    )
    for _name, _value in (("one-past-the-end", _shape.length + 25), ("largest", 0xFFFF)):
        if (_shape.name, _name) == ("tcp4", "one-past-the-end"):
            continue  # vnet-faults has it
        hdr_len.add(
            f"{_shape.name}-{_name}",
            "hdr_len is more than the packet has: to a reader it is only a hint.",
            _shape.superpacket(hdr_len=_value),
            importance="medium",
            differs=_PAST,
            flags=("HdrLenIsAHint",),
            requires=_shape.requires,
        )

for _shape, _ip in ((_TCP4, ip4()), (_TCP6, ip6())):
    hdr_len.add(
        f"{_shape.name}-without-the-tcp-options",
        "hdr_len leaves out 12 bytes of TCP options, which still belong to every segment's header.",
        superpacket(_ip / TCP(flags="A", options=TIMESTAMPS), payload(60), gso_size=20, hdr_len=_shape.length),
        flags=("HdrLenIsAHint", "TcpOptions"),
        requires=_shape.requires,
    )

_WHOLE = frame(packet_bytes(ip4() / UDP() / Raw(payload(20))))
for _name, _value in (("one", 1), ("whole-packet", 48)):
    hdr_len.add(
        f"single-{_name}-without-needs-csum",
        "Neither a type nor NEEDS_CSUM: hdr_len means nothing, and not a byte is touched.",
        frame(_WHOLE[10:], hdr_len=_value),
        flags=("HdrLenIsAHint", "LeftOverFields"),
        importance="medium",
    )
for _name, _value in (("one-past-the-end", 49), ("largest", 0xFFFF)):
    hdr_len.add(
        f"single-{_name}",
        "Without a type hdr_len means nothing to a reader, even if the packet has fewer bytes.",
        frame(_WHOLE[10:], hdr_len=_value),
        flags=("HdrLenIsAHint", "LeftOverFields"),
        differs=_PAST,
        importance="medium",
    )
for _name, _value in (("short", 27), ("exact", 28)):
    hdr_len.add(
        f"single-{_name}-with-needs-csum",
        "The checksum of a single packet goes where csum_start and csum_offset say, not where hdr_len ends.",
        _UDP4.single(hdr_len=_value),
        flags=("HdrLenIsAHint",),
        requires=("csum.partial",),
        importance="medium",
    )
hdr_len.add(
    "single-past-the-end-with-needs-csum",
    "hdr_len past the end, and a checksum to complete: to a reader it is only a hint.",
    _UDP4.single(hdr_len=49),
    flags=("HdrLenIsAHint",),
    requires=("csum.partial",),
    differs=_PAST,
    importance="medium",
)


# gso_size. Zero is in vnet-faults; the payload itself and far more are in small.

for _shape in SHAPES:
    _sizes = {
        "below-header-length": (100, _shape.length - 1, "Segments shorter than their headers, as with a small MSS."),
        "header-length": (100, _shape.length, "Segments as long as their headers."),
        "one-less-than-payload": (24, 23, "A second segment of one byte."),
        "one-more-than-payload": (24, 25, "The payload fits one packet: its checksum is completed."),
        "with-the-high-bit": (24, 0x8000, "0x8000 is large, not negative: one packet."),
        "next-to-largest": (24, 0xFFFE, "65534 is a size like any other: one packet."),
    }
    for _name, (_length, _size, _about) in _sizes.items():
        gso_size.add(
            f"{_shape.name}-{_name}",
            _about,
            _shape.superpacket(_length, gso_size=_size),
            flags=("SmallSuperpacket", "WideGsoSize") if _size > _length else ("SegmentSize",),
            requires=_shape.requires,
            kernels=_shape.kernels,
        )
    gso_size.add(
        f"{_shape.name}-largest",
        "65535 is more than the payload: to a reader this is one packet.",
        _shape.superpacket(gso_size=0xFFFF),
        flags=("GsoByFrags", "WideGsoSize"),
        requires=_shape.requires,
        basis=(virtio("5.1.6.2"),),
        differs="the kernel reserves 0xFFFF for itself (GSO_BY_FRAGS) and refuses it on a write, whatever the payload",
    )

_CLAMP = observed("Linux 6.1.192, 6.12.117, 7.2.12 and 7.3.4, booted")

for _shape in (_TCP4, _TCP6):
    for _size in (1, 4, 7):
        gso_size.add(
            f"{_shape.name}-of-{_size}",
            "The size is what the header says, however small. Some kernels raise it to 8, and two TCP packets become "
            "one.",
            _shape.superpacket(gso_size=_size),
            flags=("GsoSizeUnderEight",),
            requires=_shape.requires,
            kernels=by_trait("min_gso_8", yes=like(_shape.superpacket()), no=RECORDED),
            basis=(_CLAMP,),
        )

for _value in (1, 0xFFFF):
    gso_size.add(
        f"single-left-over-{_value}",
        "Without a type gso_size means nothing, and not a byte is touched.",
        frame(_WHOLE[10:], gso_size=_value),
        flags=("LeftOverFields",),
    )
gso_size.add(
    "single-left-over-one-with-needs-csum",
    "Without a type gso_size means nothing: one packet, however small the number, and its checksum is completed.",
    _UDP4.single(gso_size=1),
    flags=("LeftOverFields", "SingleFragment"),
    requires=("csum.partial",),
)
gso_size.add(
    "single-left-over-largest-with-needs-csum",
    "Without a type not even a gso_size of 0xFFFF means anything: one packet, and its checksum is completed.",
    _UDP4.single(gso_size=0xFFFF),
    flags=("LeftOverFields", "SingleFragment"),
    requires=("csum.partial",),
)
