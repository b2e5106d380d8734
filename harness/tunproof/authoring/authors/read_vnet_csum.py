"""csum_start and csum_offset of frames that are read: on single packets, where they are trusted, and on superpackets.

For a single packet they alone say where the checksum goes: ICMPv6 has a partial like TCP and UDP, and so do packets in
a tunnel. A superpacket's headers say it too, and a reader rejects one in which the two do not agree.
"""

from scapy.layers.inet import ICMP, TCP, UDP, IPOption
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6ExtHdrDestOpt, PadN
from scapy.packet import Packet, Raw
from scapy.utils import checksum as rfc1071

from tunproof.authoring.authors.shapes import CSUM_SIBLING, SHAPES, Shape
from tunproof.authoring.draft import LOST, KernelRule, Topic, by_trait, kernel, like, observed, refused, rfc, virtio
from tunproof.corpus.model import Basis
from tunproof.packets.builder import frame, ip4, ip6, packet_bytes, payload, plain, superpacket

csum = Topic(
    "read",
    "vnet-csum",
    requires=("csum.partial",),
    basis=(virtio("5.1.6.2"), kernel("skb_checksum_help", "net/core/dev.c")),
)
csum_gso = Topic(
    "read",
    "vnet-csum-gso",
    basis=(kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h"),),
)
TOPICS = (csum, csum_gso)

_BOOTED = observed("Linux 5.10.262, 6.1.192 and 6.12.95, booted")
_UDP_START = kernel("__udp_gso_segment", "net/ipv4/udp_offload.c", since="6.11: csum_start is looked at")

_TCP4, _TCP6, _UDP4, _UDP6 = SHAPES


# csum_start and csum_offset of a single packet: where they say, the checksum goes.


def _partial_at(packet: bytes, start: int, offset: int) -> bytes:
    """Return the frame of a single packet whose checksum is requested at `start` + `offset`."""
    return frame(packet, flags=1, csum_start=start, csum_offset=offset)


def _pseudo(packet: bytes, at: int, offset: int) -> bytes:
    """Put the partial of the pseudo-header of IPv6 (RFC 8200, 8.1) into a checksum field, by scapy's sum."""
    partial = ~rfc1071(packet[8:40] + (len(packet) - at).to_bytes(4, "big") + packet[6].to_bytes(4, "big")) & 0xFFFF
    field = at + offset
    finished: bytes = packet[:field] + partial.to_bytes(2, "big") + packet[field + 2 :]
    return finished


def _icmp6(length: int) -> bytes:
    echo = packet_bytes(ip6() / ICMPv6EchoRequest(id=7, seq=1, data=payload(length)))
    return _partial_at(_pseudo(echo, 40, 2), 40, 2)


def _icmp6_zero() -> bytes:
    """Return an echo request whose checksum is zero, by scapy's: it is added to a word of the data."""
    echo = packet_bytes(ip6() / ICMPv6EchoRequest(id=7, seq=1, data=payload(20)))
    word = (int.from_bytes(echo[48:50], "big") + int.from_bytes(echo[42:44], "big")) % 0xFFFF
    return _partial_at(_pseudo(echo[:48] + word.to_bytes(2, "big") + echo[50:], 40, 2), 40, 2)


def _zero_sum(shape: Shape) -> bytes:
    """Return data that makes scapy's checksum of the packet zero."""
    data = bytearray(payload(8))
    field = shape.network + (16 if shape.is_tcp else 6)
    total = int.from_bytes(data[0:2], "big") + int.from_bytes(
        packet_bytes(shape.headers / Raw(bytes(data)))[field : field + 2], "big"
    )
    data[0:2] = (total % 0xFFFF).to_bytes(2, "big")
    return bytes(data)


def _icmp4(length: int) -> bytes:
    echo = packet_bytes(ip4() / ICMP(id=7, seq=1, chksum=0) / Raw(payload(length)))
    return _partial_at(echo, 20, 2)


def _inside(outer: Packet) -> bytes:
    """Return a packet inside a tunnel whose inner checksum is the one to be completed."""
    inner = plain(ip4(src="192.0.2.9") / UDP(), payload(20))[10:]
    packet = packet_bytes(outer / Raw(inner))
    return _partial_at(packet, len(packet) - 28, 6)


_OTHERS: dict[str, tuple[bytes, str]] = {
    "icmp6": (_icmp6(20), "ICMPv6 has a pseudo-header and a partial like UDP."),
    "icmp6-odd": (_icmp6(21), "ICMPv6 with an odd number of bytes."),
    "icmp4": (_icmp4(20), "ICMP has no pseudo-header: its partial is zero."),
    "icmp4-odd": (_icmp4(21), "ICMP with an odd number of bytes."),
    "inside-an-ip-tunnel": (_inside(ip4(proto=4)), "The inner UDP header of an IP tunnel has the partial."),
    "inside-a-udp-tunnel": (
        _inside(ip4() / UDP(dport=8472, chksum=0) / Raw(bytes.fromhex("0800000000002a00" + "02" * 12 + "0800"))),
        "The inner UDP header behind VXLAN has the partial; the outer UDP has no checksum.",
    ),
    "behind-ipv6-options": (
        plain(ip6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")]) / UDP(), payload(20)),
        "An extension header precedes UDP: csum_start is 48, not 40.",
    ),
    "behind-ipv4-options": (
        plain(ip4(options=[IPOption(b"\x01" * 4)]) / TCP(flags="A"), payload(20)),
        "IPv4 options precede TCP: csum_start is 24, not 20.",
    ),
}

for _name, (_frame, _about) in _OTHERS.items():
    csum.add(
        _name,
        f"{_about} The checksum goes where csum_start and csum_offset say; the protocol does not matter.",
        _frame,
        flags=("CsumFieldsTrusted", "ChecksumCompleted"),
        importance="critical" if _name == "icmp6" else "high",
        sound=_name != "inside-a-udp-tunnel",
    )
csum.add(
    "icmp6-sum-that-folds-to-zero",
    "The completed checksum is zero and is stored as 0xFFFF, for ICMPv6 as for UDP. Outside UDP both zeros verify.",
    _icmp6_zero(),
    flags=("ZeroChecksum", "CsumFieldsTrusted"),
    level="may",
)

_RAW = packet_bytes(ip4(proto=253) / Raw(payload(24)))  # RFC 3692: 253 is for experiments; 44 bytes

_PLACES: dict[str, tuple[int, int, str]] = {
    "field-first": (20, 0, "The checksum field is the first thing that is summed."),
    "field-last": (20, 22, "The checksum is the last two bytes of the packet."),
    "start-odd": (21, 6, "csum_start is odd: words are counted from there, not from even bytes of the packet."),
    "start-and-length-odd": (23, 1, "csum_start and csum_offset are odd, so the field is even."),
    "offset-odd": (20, 7, "csum_offset is odd: the checksum is stored across two words."),
    "last-word-alone": (42, 0, "Nothing is summed but the field itself."),
}

for _name, (_start, _offset, _about) in _PLACES.items():
    csum.add(
        f"other-protocol-{_name}",
        f"{_about} The protocol is unknown, so nothing else can say where the checksum goes.",
        _partial_at(_RAW, _start, _offset),
        flags=("CsumFieldsTrusted",),
        basis=(rfc(1071, "4.1"),),
        level="may" if _offset % 2 else "must",  # no protocol has its checksum there
        importance="medium",
    )
csum.add(
    "all-zero-bytes",
    "Everything that is summed is zero, and so is the partial: the checksum is 0xFFFF.",
    _partial_at(packet_bytes(ip4(proto=253) / Raw(bytes(24))), 20, 6),
    flags=("ZeroChecksum", "CsumFieldsTrusted", "MinusZero"),
    level="may",
)
csum.add(
    "all-one-bits",
    "The sum of 0xFFFF words is 0xFFFF and its inverse zero, which is stored as 0xFFFF.",
    _partial_at(packet_bytes(ip4(proto=253) / Raw(b"\xff" * 24)), 20, 6),
    flags=("ZeroChecksum", "CsumFieldsTrusted"),
    level="may",
)

_LENGTH = len(_UDP4.single()) - 10  # 48 bytes

_OUTSIDE: dict[str, tuple[int, int, str]] = {
    "field-one-past-the-end": (_LENGTH - 2, 1, "The second byte of the field is past the end of the packet."),
    "start-at-the-last-byte": (_LENGTH - 1, 0, "Only one byte of the field is inside the packet."),
    "start-at-the-end": (_LENGTH, 0, "csum_start is the end of the packet: nothing is left to sum."),
    "start-one-past-the-end": (_LENGTH + 1, 0, "Summing would start past the end of the packet."),
    "start-largest": (0xFFFF, 0, "The largest csum_start."),
    "offset-largest": (20, 0xFFFF, "The largest csum_offset; added to csum_start it wraps to 19."),
    "offset-negative": (20, 0xFFF2, "csum_offset is -14 if signed: the field would be at byte 6, before csum_start."),
    "both-largest": (0xFFFF, 0xFFFF, "csum_start and csum_offset both have their largest value."),
    "wraps-to-zero": (0x8000, 0x8000, "csum_start plus csum_offset wraps to zero, where the IP header begins."),
    "wraps-to-the-checksum": (0xFFF0, 0x2A, "csum_start plus csum_offset wraps to 26, exactly where the checksum is."),
    "end-wraps": (0xFFFE, 0, "Only with the two bytes of the field does the sum wrap."),
}

for _name, (_start, _offset, _about) in _OUTSIDE.items():
    csum.add(
        f"fields-{_name}",
        f"{_about} The frame is rejected, and nothing is written anywhere.",
        _UDP4.single(csum_start=_start, csum_offset=_offset),
        flags=("CsumFieldsOverflow" if _start + _offset > 0xFFFD else "BadCsumFields",),
        sibling=CSUM_SIBLING,
        importance="critical",
    )
csum.add(
    "tcp6-sum-that-folds-to-zero",
    "The completed checksum is zero and is stored as 0xFFFF, over IPv6 as over IPv4.",
    plain(_TCP6.headers, _zero_sum(_TCP6)),
    flags=("ZeroChecksum",),
)
for _shape in SHAPES:
    csum.add(
        f"{_shape.name}-typed-sum-that-folds-to-zero",
        "A type on a single packet: its completed checksum is zero and is stored as 0xFFFF.",
        superpacket(_shape.headers, _zero_sum(_shape), gso_size=24),
        flags=("ZeroChecksum", "SmallSuperpacket"),
        requires=_shape.requires,
        kernels=_shape.kernels,
    )


# csum_start and csum_offset of a superpacket: they must agree with its headers.


def _ignored_by_old(good: bytes) -> tuple[KernelRule, ...]:
    """Return rules for a csum_start that is at least the floor, and wrong: old kernels ignore it."""
    return by_trait("tso_csum_checked", yes=LOST, no=like(good))


def _ignored_by_old_uso(good: bytes) -> tuple[KernelRule, ...]:
    """Return the same rules for UDP, which some kernels do not accept at all."""
    return (
        KernelRule({"uso": True, "tso_csum_checked": True}, LOST),
        KernelRule({"uso": True, "tso_csum_checked": False}, like(good)),
        KernelRule({"uso": False}, refused("EINVAL")),
    )


def _place(
    shape: Shape,
    name: str,
    about: str,
    kernels: tuple[KernelRule, ...] | None,
    *,
    basis: Basis = _BOOTED,
    **vnet: int,
) -> None:
    """Add a superpacket whose checksum is requested in a place that its headers contradict."""
    csum_gso.add(
        f"{shape.name}-{name}",
        f"{about} The frame is rejected: completing a checksum elsewhere would overwrite headers or payload.",
        shape.superpacket(**vnet),
        flags=("BadCsumFields", "CsumStartAssumed") if "csum_start" in vnet else ("BadCsumFields",),
        requires=shape.requires,
        kernels=kernels,
        sibling=shape.sibling,
        basis=(basis,),
    )


for _shape in SHAPES:
    _right = 16 if _shape.is_tcp else 6
    _other = 22 - _right
    _good = _shape.superpacket()
    _offset_rules = by_trait("tso_csum_checked", yes=refused("EINVAL"), no=like(_good)) if _shape.is_tcp else None
    _start_rules = _ignored_by_old(_good) if _shape.is_tcp else _ignored_by_old_uso(_good)
    _start_basis = _BOOTED if _shape.is_tcp else _UDP_START  # UDP, without the trait, was not booted
    _offsets = [("zero", 0), ("one-less", _right - 1), ("one-more", _right + 1)]
    if _shape.network == 40:  # for IPv4 this is in vnet-faults
        _offsets.append(("of-the-other-protocol", _other))
    for _name, _offset in _offsets:
        _place(
            _shape,
            f"csum-offset-{_name}",
            f"csum_offset is {_offset}, not {_right}.",
            _offset_rules,
            csum_offset=_offset,
        )
    _place(
        _shape,
        "csum-offset-out-of-range",
        "The last byte of the checksum field is past the end of the packet.",
        None,
        csum_offset=_shape.length + 24 - _shape.network - 1,
    )
    _place(
        _shape,
        "csum-offset-largest",
        "The sum of csum_start and csum_offset wraps to the byte before csum_start.",
        None,
        csum_offset=0xFFFF,
    )
    _place(
        _shape,
        "csum-start-at-the-end",
        "csum_start is the end of the packet: nothing is left to sum.",
        None,
        csum_start=_shape.length + 24,
    )
    _place(_shape, "csum-start-largest", "The sum of csum_start and csum_offset wraps.", None, csum_start=0xFFFF)
    if _shape is not _TCP4:  # vnet-faults has it
        _place(
            _shape,
            "csum-start-one-too-large",
            "csum_start is one byte too large.",
            _start_rules,
            basis=_start_basis,
            csum_start=_shape.network + 1,
        )
    _place(
        _shape,
        "csum-start-far-into-the-headers",
        "csum_start is eight bytes too large.",
        _start_rules,
        basis=_start_basis,
        csum_start=_shape.network + 8,
    )

_OPTIONS4 = ip4(options=[IPOption(b"\x01" * 4)]) / TCP(flags="A")
_OPTIONS6 = ip6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")]) / TCP(flags="A")
for _shape, _headers, _sibling, _about in (
    (
        _TCP4,
        _OPTIONS4,
        "read/tcp4/ip-options-of-4-bytes",
        "IPv4 options precede TCP, but csum_start is 20, as if there were none.",
    ),
    (
        _TCP6,
        _OPTIONS6,
        "read/ipv6/tcp-valid-with-extension",
        "An extension header precedes TCP, but csum_start is 40, as if there were none.",
    ),
):
    csum_gso.add(
        f"{_shape.name}-csum-start-before-options",
        f"{_about} Where the header begins is not a constant.",
        superpacket(_headers, payload(24), gso_size=8, csum_start=_shape.network),
        flags=("CsumStartAssumed",),
        requires=_shape.requires,
        sibling=_sibling,
        basis=(_BOOTED,),
        kernels=_ignored_by_old(superpacket(_headers, payload(24), gso_size=8)),
    )
