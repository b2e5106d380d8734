"""Where kernels disagree: each case names the trait that decides, and says what kernels with and without it do.

The frames are written to a TUN whose other end has no offload, with nothing between but a redirect, so what comes out
is the kernel's own cut. A reader does the same whatever the kernel.

Counts and sizes are in `read_kernels_limits`. Left out: frames without NEEDS_CSUM that are too short for their headers,
because what dissecting kernels do with them was not observed.
"""

from scapy.layers.inet import ICMP, TCP, IPOption
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, PadN
from scapy.packet import Packet, Raw

from tunproof.authoring.authors import read_kernels_limits
from tunproof.authoring.authors.shapes import CSUM6_SIBLING, NO_CSUM, SHAPES, TIMESTAMPS, Shape, completed, patched
from tunproof.authoring.draft import (
    LOST,
    RECORDED,
    KernelRule,
    Topic,
    by_trait,
    delivers,
    kernel,
    like,
    needs,
    observed,
    refused,
    rfc,
    virtio,
)
from tunproof.packets.builder import frame, ip4, ip6, packet_bytes, payload, superpacket

_PARSE = kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h")
_CUT = kernel("tcp_gso_segment", "net/ipv4/tcp_offload.c")
_BOOTED = observed("Linux 5.10.262, 6.1.192, 6.12.95, 6.12.117, 6.17.13, 7.2.12 and 7.3.4, booted")

checksums = Topic("read", "kernel-checksums", basis=(_PARSE, _BOOTED))
small = Topic("read", "kernel-small", basis=(_PARSE, _CUT, _BOOTED))
types = Topic("read", "kernel-types", basis=(_PARSE, _BOOTED))
packets = Topic("read", "kernel-packets", basis=(_CUT, kernel("inet_gso_segment", "net/ipv4/af_inet.c"), _BOOTED))
TOPICS = (checksums, small, types, packets, *read_kernels_limits.TOPICS)

_TCP4, _TCP6, _UDP4, _UDP6 = SHAPES

_OPTIONS4 = ip4(options=[IPOption(b"\x01" * 20)]) / TCP(flags="A")
_OPTIONS6 = ip6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]) / TCP(flags="A")


# csum_start_floor: where a checksum may be summed from. Single packets over IPv4 are in vnet-faults.

for _start in (0, 8, 19):
    _frame = _UDP6.single(csum_start=_start)
    checksums.add(
        f"single6-csum-start-{_start}",
        "Summing would start inside the first 20 bytes of an IPv6 header. Kernels without the floor write into it.",
        _frame,
        flags=("CsumStartFloor", "BadCsumFields"),
        requires=("csum.partial",),
        sibling=CSUM6_SIBLING,
        kernels=by_trait("csum_start_floor", yes=refused("EINVAL"), no=delivers(completed(_frame[10:], _start, 6))),
    )
for _start in (20, 39):
    checksums.add(
        f"single6-csum-start-{_start}",
        "Summing would start in the last 20 bytes of an IPv6 header: above the floor of every kernel, but still wrong.",
        _UDP6.single(csum_start=_start),
        flags=("CsumStartFloor", "BadCsumFields"),
        requires=("csum.partial",),
        sibling=CSUM6_SIBLING,
        level="should",
        differs="the kernel's floor is 20 bytes for every packet without a type, and the fixed IPv6 header has 40",
    )


def _below_floor(shape: Shape) -> tuple[KernelRule, ...]:
    """Return rules for a TCP superpacket with csum_start under the floor: refused, lost when it is cut, or ignored."""
    return (
        KernelRule({"csum_start_floor": True}, refused("EINVAL")),
        KernelRule({"csum_start_floor": False, "tso_csum_checked": True}, LOST),
        KernelRule({"csum_start_floor": False, "tso_csum_checked": False}, like(shape.superpacket())),
    )


for _shape, _starts in ((_TCP4, (0, 10, 19)), (_TCP6, (0, 20, 39))):
    for _start in _starts:
        checksums.add(
            f"{_shape.name}-csum-start-{_start}",
            "csum_start of a superpacket is inside the IP header. Three generations of kernels refuse the frame, lose "
            "it, or ignore the field.",
            _shape.superpacket(csum_start=_start),
            flags=("CsumStartFloor", "BadCsumFields"),
            requires=_shape.requires,
            sibling=_shape.sibling,
            kernels=_below_floor(_shape),
        )

# tso_csum_checked: csum_start and csum_offset of TCP superpackets. More of them are in vnet-csum-gso.

for _shape in (_TCP4, _TCP6):
    _good = _shape.superpacket(60)
    for _name, _offset in (("before-the-checksum", 14), ("behind-the-checksum", 18)):
        checksums.add(
            f"{_shape.name}-csum-offset-{_name}",
            f"csum_offset is {_offset}: the word next to the TCP checksum would be overwritten.",
            _shape.superpacket(60, csum_offset=_offset),
            flags=("BadCsumFields",),
            requires=_shape.requires,
            sibling=_shape.sibling,
            kernels=by_trait("tso_csum_checked", yes=refused("EINVAL"), no=like(_good)),
        )
    checksums.add(
        f"{_shape.name}-csum-start-at-the-payload",
        "csum_start points at the payload, and enough payload follows for two segments even counted from there.",
        _shape.superpacket(60, csum_start=_shape.length),
        flags=("BadCsumFields", "CsumStartAssumed"),
        requires=_shape.requires,
        sibling=_shape.sibling,
        kernels=by_trait("tso_csum_checked", yes=LOST, no=like(_good)),
    )
checksums.add(
    "tcp4-on-ipv6-with-needs-csum",
    "The type says IPv4, the packet is IPv6, and csum_start fits the type: with NEEDS_CSUM no kernel compares type and "
    "packet on a write, and all of them lose the packet.",
    _TCP6.superpacket(gso_type=1, csum_start=20),
    flags=("TypeMismatch", "CsumStartAssumed"),
    requires=("gso.tcp4",),
    sibling=_TCP4.sibling,
)
for _shape in (_TCP4, _TCP6):
    for _name, _value in (("zero", b"\0\0"), ("all-ones", b"\xff\xff")):
        checksums.add(
            f"{_shape.name}-garbage-without-needs-csum-{_name}",
            "Without NEEDS_CSUM the checksum field of a superpacket is not read: it is not a partial, whatever it "
            "holds.",
            patched(_shape.superpacket(**NO_CSUM), _shape.network + 16, _value),
            flags=("ChecksumComputed",),
            requires=_shape.requires,
            importance="medium",
        )


# Where the payload begins: a type on a packet that fits one segment, with and without NEEDS_CSUM.


def _whole(headers: Packet, length: int) -> bytes:
    """Return a complete packet, every checksum right."""
    return packet_bytes(headers / Raw(payload(length)))


def _typed(headers: Packet, length: int, gso_type: int, gso_size: int) -> bytes:
    """Return the frame of a complete packet with a type, and without NEEDS_CSUM."""
    return frame(_whole(headers, length), gso_type=gso_type, gso_size=gso_size)


for _shape in (_TCP4, _TCP6):
    for _name, _length in (("equal-to", 24), ("just-below", 23)):
        small.add(
            f"{_shape.name}-payload-{_name}-gso-size-without-needs-csum",
            "A complete packet that fits one segment: it is passed on untouched. Old kernels count the IP header as "
            "payload, treat the packet as a superpacket, and find nothing to cut.",
            _typed(_shape.headers, _length, _shape.gso_type, 24),
            flags=("HeaderCountedAsPayload", "SmallSuperpacket"),
            requires=_shape.requires,
            kernels=by_trait("nocsum_min_len", yes=RECORDED, no=LOST),
        )
for _shape in (_TCP4, _TCP6):
    small.add(
        f"{_shape.name}-garbage-checksum-equal-to-gso-size-without-needs-csum",
        "A packet that fits one segment, with a wrong checksum and without NEEDS_CSUM: it is a single packet, and not "
        "a byte of it changes. An implementation that computes a checksum here hides the damage.",
        patched(_typed(_shape.headers, 24, _shape.gso_type, 24), _shape.network + 16, b"\xde\xad"),
        flags=("ChecksumUntouched", "SmallSuperpacket", "HeaderCountedAsPayload"),
        requires=_shape.requires,
        sound=False,
        kernels=by_trait("nocsum_min_len", yes=RECORDED, no=LOST),
    )
for _shape, _headers in ((_TCP4, _OPTIONS4), (_TCP6, _OPTIONS6)):
    small.add(
        f"{_shape.name}-ip-options-without-needs-csum",
        "A complete packet that fits one segment, with IP options before TCP: only a kernel that dissects it knows "
        "that they are not payload; the others lose it.",
        _typed(_headers, 24, _shape.gso_type, 24),
        flags=("HeaderCountedAsPayload", "SmallSuperpacket"),
        requires=_shape.requires,
        kernels=by_trait("dissected", yes=like(frame(_whole(_headers, 24))), no=LOST),
    )
    small.add(
        f"{_shape.name}-ip-options-two-segments-without-needs-csum",
        "IP options before TCP and two segments of payload: cut after the options, on every kernel.",
        _typed(_headers, 48, _shape.gso_type, 24),
        flags=("HeaderCountedAsPayload", "ChecksumComputed"),
        requires=_shape.requires,
    )

_TRAPPED = "a reader sees the payload and delivers one packet; every kernel accepts such a write and loses it"
# gso_size counts payload, and the data offset says where that begins.
_ONE_PACKET = (virtio("5.1.6.2"), rfc(9293, "3.1"))
_TRAPS: dict[str, tuple[int, int, int]] = {  # bytes of options, payload, gso_size
    "four-bytes": (4, 24, 24),
    "four-bytes-least": (4, 21, 24),
    "twelve-bytes-least": (12, 13, 24),
    "forty-bytes": (40, 40, 40),
    "forty-bytes-one-byte-of-payload": (40, 1, 40),
}

for _shape, _ip in ((_TCP4, ip4()), (_TCP6, ip6())):
    for _name, (_options, _length, _size) in _TRAPS.items():
        small.add(
            f"{_shape.name}-options-trap-{_name}",
            "TCP options and payload together are more than gso_size, but the payload alone is not: this is one "
            "packet. Kernels treat it as a superpacket and find nothing to cut.",
            superpacket(_ip / TCP(flags="A", options=[("NOP", None)] * _options), payload(_length), gso_size=_size),
            flags=("OptionsTrap",),
            requires=_shape.requires,
            basis=_ONE_PACKET,
            differs=_TRAPPED,
        )
    small.add(
        f"{_shape.name}-options-just-out-of-the-trap",
        "TCP options and payload together are exactly gso_size: one packet, for kernels too.",
        superpacket(_ip / TCP(flags="A", options=TIMESTAMPS), payload(12), gso_size=24),
        flags=("OptionsTrap", "SmallSuperpacket"),
        requires=_shape.requires,
    )
    small.add(
        f"{_shape.name}-options-one-byte-more-than-gso-size",
        "The payload alone is one byte more than gso_size: two segments, options or not.",
        superpacket(_ip / TCP(flags="A", options=TIMESTAMPS), payload(25), gso_size=24),
        flags=("OptionsTrap", "SegmentSize"),
        requires=_shape.requires,
    )
    small.add(
        f"{_shape.name}-options-trap-without-needs-csum",
        "TCP options push one segment over gso_size, without NEEDS_CSUM: the packet is complete and stays untouched.",
        _typed(_ip / TCP(flags="A", options=TIMESTAMPS), 24, _shape.gso_type, 24),
        flags=("OptionsTrap", "ChecksumUntouched"),
        requires=_shape.requires,
        basis=_ONE_PACKET,
        differs=_TRAPPED,
    )

# min_gso_8: gso_size of TCP is raised to 8. Three segments and more are in vnet-gso-size.

_CLAMP = kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h", since="7.2: gso_size of TCP is at least 8")

for _shape, _ip in ((_TCP4, ip4()), (_TCP6, ip6())):
    small.add(
        f"{_shape.name}-eight-bytes-in-two-segments",
        "8 bytes with a gso_size of 4 are two segments; kernels that raise it to 8 pass on one packet.",
        _shape.superpacket(8, gso_size=4),
        flags=("GsoSizeUnderEight",),
        requires=_shape.requires,
        basis=(_CLAMP,),
        kernels=by_trait("min_gso_8", yes=like(_shape.superpacket(8)), no=RECORDED),
    )
    small.add(
        f"{_shape.name}-thirty-segments-of-one-byte",
        "30 bytes with a gso_size of 1 are 30 segments; kernels that raise it to 8 make four.",
        _shape.superpacket(30, gso_size=1),
        flags=("GsoSizeUnderEight", "ManySegments"),
        requires=_shape.requires,
        basis=(_CLAMP,),
        kernels=by_trait("min_gso_8", yes=like(_shape.superpacket(30)), no=RECORDED),
    )
    small.add(
        f"{_shape.name}-options-and-eight-bytes-of-payload",
        "8 bytes after TCP options, with a gso_size of 7, are two segments; kernels that raise it to 8 count the "
        "options as payload, find nothing to cut, and lose the packet.",
        superpacket(_ip / TCP(flags="A", options=TIMESTAMPS), payload(8), gso_size=7),
        flags=("GsoSizeUnderEight", "OptionsTrap"),
        requires=_shape.requires,
        basis=(_CLAMP,),
        kernels=by_trait("min_gso_8", yes=LOST, no=RECORDED),
    )


# dissected: the type against the packet, where no csum_start says which of them is right.


def _mistyped(name: str, about: str, built: bytes, shape: Shape) -> None:
    """Add a frame without NEEDS_CSUM whose type is that of this shape, and whose packet is another."""
    types.add(
        name,
        f"{about} Kernels that dissect such a packet refuse it; the others accept it, and lose it when they cut.",
        built,
        flags=("TypeMismatch",),
        requires=shape.requires,
        sibling=f"read/{shape.name}/without-needs-csum",
        kernels=by_trait("dissected", yes=refused("EINVAL"), no=LOST),
    )


_mistyped(
    "tcp4-on-ipv6-without-needs-csum",
    "The type says IPv4, but the packet is IPv6.",
    _TCP6.superpacket(gso_type=1, **NO_CSUM),
    _TCP4,
)
_mistyped(
    "tcp6-on-ipv4-without-needs-csum",
    "The type says IPv6, but the packet is IPv4.",
    _TCP4.superpacket(60, gso_type=4, **NO_CSUM),
    _TCP6,
)
types.add(
    "tcp6-on-short-ipv4-without-needs-csum",
    "The type says IPv6, but the packet is IPv4, and too short for two segments after an IPv6 header. Some kernels "
    "count that header, find one segment, and pass the superpacket on whole.",
    _TCP4.superpacket(gso_type=4, **NO_CSUM),
    flags=("TypeMismatch", "HeaderCountedAsPayload"),
    requires=("gso.tcp6",),
    sibling="read/tcp6/without-needs-csum",
    kernels=(
        KernelRule({"dissected": True}, refused("EINVAL")),
        KernelRule({"dissected": False, "nocsum_min_len": True}, delivers(_TCP4.superpacket()[10:])),
        KernelRule({"dissected": False, "nocsum_min_len": False}, LOST),
    ),
)
for _tcp, _udp in ((_TCP4, _UDP4), (_TCP6, _UDP6)):
    _mistyped(
        f"{_tcp.name}-on-udp-without-needs-csum",
        "The type says TCP, but the packet is UDP.",
        _udp.superpacket(gso_type=_tcp.gso_type, **NO_CSUM),
        _tcp,
    )
_mistyped(
    "tcp4-on-icmp-without-needs-csum",
    "The type says TCP, but the packet is ICMP.",
    _typed(ip4() / ICMP(), 40, 1, 8),
    _TCP4,
)
_mistyped(
    "tcp4-with-ecn-on-ipv6-without-needs-csum",
    "The type says IPv4 with the ECN qualifier, but the packet is IPv6.",
    _TCP6.superpacket(gso_type=0x81, **NO_CSUM),
    _TCP4,
)
types.add(
    "tcp4-on-udp-with-needs-csum",
    "The type says TCP, the packet is UDP, and csum_start and csum_offset are TCP's: with NEEDS_CSUM every kernel "
    "accepts such a write, and loses the packet when it cuts.",
    _UDP4.superpacket(gso_type=1, csum_offset=16),
    flags=("TypeMismatch",),
    requires=("gso.tcp4",),
    sibling=_TCP4.sibling,
)
types.add(
    "udp-on-tcp6",
    "The type says UDP, and csum_offset is UDP's, but the packet is TCP over IPv6.",
    _TCP6.superpacket(gso_type=5, csum_offset=6),
    flags=("TypeMismatch",),
    requires=("gso.udp6",),
    sibling=_UDP6.sibling,
    kernels=needs("uso"),
)
for _shape, _nibble in ((_TCP4, 6), (_TCP6, 4)):
    types.add(
        f"{_shape.name}-with-version-nibble-{_nibble}",
        "Only the version nibble is that of the other IP version: it contradicts the type.",
        patched(_shape.superpacket(), 0, bytes((_nibble << 4 | _shape.superpacket()[10] & 0xF,))),
        flags=("TypeMismatch",),
        requires=_shape.requires,
        sibling=_shape.sibling,
    )
types.add(
    "tcp4-with-version-nibble-5-and-unknown-type",
    "Neither type nor version is known. Kernels differ in which they check first; the answer is the same.",
    patched(_TCP4.superpacket(gso_type=2), 0, b"\x55"),
    flags=("UnknownVersion", "UnknownType"),
    requires=("gso.tcp4",),
    sibling=_TCP4.sibling,
)

# What the TCP header claims. Kernels trust the data offset when they cut, and csum_start when they decide whether to.

for _shape in (_TCP4, _TCP6):
    _offset = _shape.network + 12
    packets.add(
        f"{_shape.name}-data-offset-into-the-payload",
        "The data offset claims four bytes of options that look like payload. Nothing tells them apart: they are "
        "copied to every segment.",
        patched(_shape.superpacket(28), _offset, b"\x60"),
        flags=("TcpOptions",),
        requires=_shape.requires,
        sound=False,
    )
    packets.add(
        f"{_shape.name}-data-offset-leaves-one-segment",
        "The data offset claims 40 bytes of options and leaves a payload of gso_size: one packet. Kernels count the "
        "options as payload and lose it.",
        patched(_shape.superpacket(48), _offset, b"\xf0"),
        flags=("TcpOptions", "OptionsTrap"),
        requires=_shape.requires,
        basis=_ONE_PACKET,
        sound=False,
        differs=_TRAPPED,
    )
    packets.add(
        f"{_shape.name}-data-offset-leaves-nothing",
        "The data offset claims the whole payload as options: one packet without data.",
        patched(_shape.superpacket(40), _offset, b"\xf0"),
        flags=("TcpOptions", "OptionsTrap"),
        level="should",
        requires=_shape.requires,
        basis=_ONE_PACKET,
        sound=False,
        differs=_TRAPPED,
    )
    packets.add(
        f"{_shape.name}-data-offset-one-word-past-the-end",
        "The data offset claims four bytes more than the packet has.",
        patched(_shape.superpacket(36), _offset, b"\xf0"),
        flags=("Truncated", "TcpOptions"),
        requires=_shape.requires,
        sibling=_shape.sibling,
    )
    packets.add(
        f"{_shape.name}-data-offset-four-without-needs-csum",
        "A data offset under 5, and no csum_start to fall back on.",
        patched(_shape.superpacket(**NO_CSUM), _offset, b"\x40"),
        flags=("Truncated",),
        requires=_shape.requires,
        sibling=_shape.sibling,
    )

for _name, _total in (("one-more", 65), ("one-less", 63), ("zero", 0)):
    packets.add(
        f"tcp4-total-length-{_name}-without-needs-csum",
        "The total length of a superpacket does not match its actual length, and there is no partial made from either.",
        patched(_TCP4.superpacket(**NO_CSUM), 2, _total.to_bytes(2, "big")),
        flags=("LengthMismatch",),
        requires=("gso.tcp4",),
        sibling=_TCP4.sibling,
        level="should",
        importance="low",
        differs="cutting does not check the IP length and rewrites it",
    )
