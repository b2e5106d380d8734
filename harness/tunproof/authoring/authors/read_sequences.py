"""Frames one after another: what a reader keeps of a frame must not show in the next one.

`before` is read by the same reader first. Its outcome is not judged; what it leaves behind is: bytes in a buffer,
lengths, counters, a sum, or a reader that has stopped.
"""

from scapy.layers.inet import ICMP, TCP, UDP, IPOption
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, PadN
from scapy.packet import Raw

from tunproof.authoring.authors.shapes import CSUM_SIBLING, NO_CSUM, SHAPES, TIMESTAMPS, Shape, patched
from tunproof.authoring.draft import KernelRule, Topic, bug, kernel, refused
from tunproof.corpus.cases import ReadInput
from tunproof.packets.builder import frame, ip4, ip6, packet_bytes, payload, superpacket

_TUN = kernel("tun_do_read", "drivers/net/tun.c")
_NEBULA = bug("https://github.com/slackhq/nebula/pull/1704", "nebula")

sequences = Topic("read", "sequences", basis=(_TUN, _NEBULA))
TOPICS = (sequences,)

_TCP4, _TCP6, _UDP4, _UDP6 = SHAPES
_BY_NAME = {shape.name: shape for shape in SHAPES}
_PLAIN = frame(packet_bytes(ip4() / ICMP() / Raw(payload(20))))


def _after(built: bytes, *before: bytes) -> ReadInput:
    """Return a frame that is read after others."""
    return ReadInput(frame=built, before=tuple(before))


# The reader continues: a good frame after each kind of bad one.

_BAD: dict[str, tuple[bytes, str]] = {
    "an-empty-datagram": (b"", "Nothing at all, which looks like the end of a wire."),
    "one-byte": (b"\1", "A frame of one byte."),
    "half-a-vnet-header": (bytes(5), "Half a vnet header."),
    "a-vnet-header-alone": (bytes(10), "A vnet header with no packet after it."),
    "an-unknown-version": (frame(b"\x55" + bytes(27)), "A packet of no known IP version."),
    "an-unknown-type": (_TCP4.superpacket(gso_type=2), "An undefined type."),
    "a-type-of-udp-fragmentation": (_UDP4.superpacket(gso_type=3), "A type that was never asked for."),
    "gso-size-zero": (_TCP4.superpacket(gso_size=0), "A type with gso_size 0."),
    "another-ip-version": (_TCP6.superpacket(gso_type=1), "A type for the other IP version."),
    "another-protocol": (_UDP4.superpacket(gso_type=1, csum_offset=16), "A type for the other protocol."),
    "a-wild-csum-start": (_TCP4.superpacket(csum_start=0xFFF0), "csum_start far past the end of the packet."),
    "a-single-packet-with-wild-csum-fields": (_UDP4.single(csum_offset=0xFFF0), "csum_offset far past the packet."),
    "a-short-transport-header": (_TCP4.superpacket()[: 10 + 30], "A packet that ends inside its TCP header."),
    "a-wrong-data-offset": (patched(_TCP4.superpacket(), 32, b"\x10"), "A data offset of 1."),
    "a-wrong-ihl": (patched(_TCP4.superpacket(), 0, b"\x41"), "An IHL of 1."),
    "a-wrong-total-length": (patched(_TCP4.superpacket(), 2, b"\xff\xff"), "A total length of 65535."),
    "too-many-datagrams": (_UDP4.superpacket(129 * 8), "129 datagrams in one superpacket."),
    "an-extension-cut-off": (
        patched(patched(_TCP6.superpacket(), 6, b"\0"), 40, b"\x06\xff"),
        "An extension header longer than the packet.",
    ),
}

for _index, (_name, (_bad, _about)) in enumerate(_BAD.items()):
    _shape = (_TCP4, _TCP6)[_index % 2]
    sequences.add(
        f"{_shape.name}-after-{_name}",
        f"{_about} The reader rejects the frame and continues: the superpacket after it is cut as if nothing had "
        "happened.",
        _after(_shape.superpacket(), _bad),
        flags=("ReaderGoesOn",),
        requires=_shape.requires,
        importance="critical",
    )
for _shape in SHAPES:
    sequences.add(
        f"{_shape.name}-after-all-kinds-of-bad-frames",
        "One bad frame of each kind: none of them stops the reader or costs it the good frame.",
        _after(_shape.superpacket(), *(bad for bad, _ in _BAD.values())),
        flags=("ReaderGoesOn",),
        requires=_shape.requires,
        kernels=_shape.kernels,
    )
sequences.add(
    "single-after-all-kinds-of-bad-frames",
    "One bad frame of each kind, then a packet that must be passed on untouched.",
    _after(_PLAIN, *(bad for bad, _ in _BAD.values())),
    flags=("ReaderGoesOn", "ChecksumUntouched"),
)

# Runts: what an earlier frame left after them in the buffer does not belong to them.

_RUNTS = {"tcp4": (1, 19, 20, 39), "tcp6": (1, 19, 39, 40, 59), "udp4": (20, 27), "udp6": (40, 47)}


def _cut(shape: Shape, length: int) -> bytes:
    """Return the first bytes of a superpacket, with an IP length that matches them if the header is whole."""
    runt = shape.superpacket()[: 10 + length]
    if length < shape.network:
        return runt
    at, stated = (2, length) if shape.network == 20 else (4, length - 40)
    return patched(runt, at, stated.to_bytes(2, "big"))


for _kind, _lengths in _RUNTS.items():
    _shape = _BY_NAME[_kind]
    for _length in _lengths:
        sequences.add(
            f"{_kind}-cut-to-{_length}-bytes-after-its-like",
            f"A superpacket cut off after byte {_length}, followed in the buffer by the rest of an earlier one, which "
            "is "
            "not its own.",
            _after(_cut(_shape, _length), _shape.superpacket()),
            flags=("StaleBytes", "Truncated"),
            requires=_shape.requires,
            sibling=_shape.sibling,
            importance="critical",
        )
for _length in (30, 39):
    sequences.add(
        f"tcp6-of-{_length}-bytes-with-csum-start-zero",
        "A runt whose csum_start fits it, followed in the buffer by the rest of an IPv6 packet. A reader that looks "
        "for addresses before it checks the length finds those of another packet.",
        _after(_TCP6.superpacket(csum_start=0)[: 10 + _length], _TCP6.superpacket()),
        flags=("StaleBytes", "Truncated"),
        requires=("gso.tcp6",),
        sibling=_TCP6.sibling,
        basis=(kernel("ipv6_gso_segment", "net/ipv6/ip6_offload.c"),),
        kernels=(KernelRule({}, refused("EINVAL")),),  # for its hdr_len, before csum_start is checked
        importance="critical",
    )
for _kind, _good in (("v4", _UDP4.single()), ("v6", _UDP6.single())):
    _shape = _UDP4 if _kind == "v4" else _UDP6
    sequences.add(
        f"single-{_kind}-without-its-checksum-field",
        "A single packet that ends before its checksum field, followed in the buffer by the field of an earlier one.",
        _after(_good[: 10 + _shape.network + 7], _good),
        flags=("StaleBytes", "BadCsumFields"),
        requires=("csum.partial",),
        sibling=CSUM_SIBLING,
    )
for _name, _built in (
    ("four-bytes", _PLAIN[:14]),
    ("19-bytes", _PLAIN[:29]),
    ("39-bytes-of-ipv6", frame(_UDP6.single()[10:49])),
):
    sequences.add(
        f"single-of-{_name}",
        "A runt with neither a type nor NEEDS_CSUM: a reader only has to pass on what arrived, and no more.",
        _after(_built, _PLAIN),
        flags=("StaleBytes", "ChecksumUntouched"),
        level="may",
        importance="low",
        sound=False,
    )
sequences.add(
    "vnet-header-alone-after-a-packet",
    "A vnet header of zeros, followed only by what the last packet left in the buffer: that is not its packet.",
    _after(bytes(10), _PLAIN),
    flags=("StaleBytes", "Truncated"),
    sibling="read/plain/icmp4",
    importance="critical",
)
sequences.add(
    "nine-bytes-after-a-packet",
    "A frame one byte short of a vnet header, followed in the buffer by the missing byte of an earlier one.",
    _after(_PLAIN[:9], _PLAIN),
    flags=("StaleBytes", "Truncated"),
    sibling="read/plain/icmp4",
)
sequences.add(
    "tcp6-runt-after-a-full-buffer-of-ones",
    "A packet of 20 bytes, after a frame that filled the whole buffer with ones: those are not part of it.",
    _after(_TCP6.superpacket()[: 10 + 20], b"\xff" * 65545),
    flags=("StaleBytes", "MaximumSize"),
    requires=("gso.tcp6",),
    sibling=_TCP6.sibling,
)
for _name, _length in (("odd", 21), ("even", 20)):
    sequences.add(
        f"single-{_name}-after-ones",
        "A single packet's checksum is completed over its own bytes: nothing past its end is summed.",
        _after(_UDP4.single(_length), b"\xff" * 200),
        flags=("StaleBytes", "OddLength"),
        requires=("csum.partial",),
    )
sequences.add(
    "tcp4-odd-segments-after-ones",
    "Segments of odd length, cut from a buffer that was full of 0xFF.",
    _after(_TCP4.superpacket(31, gso_size=11), b"\xff" * 200),
    flags=("StaleBytes", "OddLength"),
    requires=("gso.tcp4",),
)

for _shape in (_UDP4, _UDP6):
    _version = _shape.name[-1]
    _whole = frame(packet_bytes(_shape.headers / Raw(payload(20))))
    sequences.add(
        f"single-v{_version}-shorter-than-its-ip-length",
        "A packet shorter than its IP length says, followed in the buffer by the missing bytes: it is passed on as "
        "short as it arrived.",
        _after(_whole[:-9], _whole),
        flags=("StaleBytes", "ChecksumUntouched"),
        sound=False,
    )
    sequences.add(
        f"completed-v{_version}-shorter-than-its-ip-length",
        "A checksum is completed over the bytes that were read, not over those that the IP length promises.",
        _after(_shape.single()[:-9], _shape.single()),
        flags=("StaleBytes", "ChecksumCompleted"),
        requires=("csum.partial",),
        sound=False,
    )
for _shape in SHAPES:
    sequences.add(
        f"{_shape.name}-without-its-last-segment-after-its-like",
        "A superpacket shorter than its IP length says, followed in the buffer by the missing segment of an earlier "
        "one, which must not be sent a second time.",
        _after(_shape.superpacket()[:-8], _shape.superpacket()),
        flags=("StaleBytes", "LengthMismatch"),
        requires=_shape.requires,
        kernels=_shape.kernels,
        sibling=_shape.sibling,
        level="should",
        differs="cutting does not check the IP length and rewrites it",
    )

# State: each frame is cut independently.

_FULL = superpacket(
    ip4(options=[IPOption(b"\x01" * 40)]) / TCP(flags="A", options=[("NOP", None)] * 40), payload(200), gso_size=8
)
_STAMPED = superpacket(ip6() / TCP(flags="A", options=TIMESTAMPS), payload(60), gso_size=20)
_EXTENDED = superpacket(
    ip6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(20))]) / TCP(flags="A"), payload(60), gso_size=20
)
_FLAGGED = superpacket(ip4() / TCP(flags="CFPA"), payload(24), gso_size=8)
_COUNTED = superpacket(ip4(id=7, flags=0) / TCP(flags="A"), payload(24), gso_size=8)
_COUNTED_UDP = superpacket(ip4(id=7, flags=0) / UDP(), payload(24), gso_size=8)

_STATE: dict[str, tuple[str, bytes, tuple[bytes, ...], str]] = {
    "fewer-segments-after-more": ("tcp4", _TCP4.superpacket(), (_TCP4.superpacket(200),), "25 segments, then three."),
    "more-segments-after-fewer": ("tcp4", _TCP4.superpacket(200), (_TCP4.superpacket(),), "Three segments, then 25."),
    "shorter-segments-after-longer": (
        "tcp6",
        _TCP6.superpacket(),
        (_TCP6.superpacket(600, gso_size=300),),
        "Segments of 300 bytes, then of 8.",
    ),
    "longer-segments-after-shorter": (
        "tcp6",
        _TCP6.superpacket(600, gso_size=300),
        (_TCP6.superpacket(),),
        "Segments of 8 bytes, then of 300.",
    ),
    "short-tail-after-whole": (
        "tcp4",
        _TCP4.superpacket(17),
        (_TCP4.superpacket(24),),
        "A full last segment, then one of a byte.",
    ),
    "whole-after-short-tail": (
        "tcp4",
        _TCP4.superpacket(24),
        (_TCP4.superpacket(17),),
        "A last segment of one byte, then a full one.",
    ),
    "short-headers-after-long": ("tcp4", _TCP4.superpacket(), (_FULL,), "Headers of 120 bytes, then of 40."),
    "long-headers-after-short": ("tcp4", _FULL, (_TCP4.superpacket(),), "Headers of 40 bytes, then of 120."),
    "no-options-after-timestamps": ("tcp6", _TCP6.superpacket(), (_STAMPED,), "TCP options, then none."),
    "no-extension-after-one": ("tcp6", _TCP6.superpacket(), (_EXTENDED,), "An extension header, then none."),
    "ipv4-after-ipv6": ("tcp4", _TCP4.superpacket(), (_TCP6.superpacket(),), "IPv6, then IPv4."),
    "ipv6-after-ipv4": ("tcp6", _TCP6.superpacket(), (_TCP4.superpacket(),), "IPv4, then IPv6."),
    "udp-after-tcp": ("udp4", _UDP4.superpacket(), (_TCP4.superpacket(),), "TCP, then UDP."),
    "tcp-after-udp": ("tcp4", _TCP4.superpacket(), (_UDP4.superpacket(),), "UDP, then TCP."),
    "udp6-after-tcp6": ("udp6", _UDP6.superpacket(), (_TCP6.superpacket(),), "TCP over IPv6, then UDP."),
    "no-flags-after-all": ("tcp4", _TCP4.superpacket(), (_FLAGGED,), "CWR, FIN and PSH, then none of them."),
    "flags-after-none": ("tcp4", _FLAGGED, (_TCP4.superpacket(),), "None of CWR, FIN and PSH, then all of them."),
    "the-same-twice": (
        "tcp4",
        _COUNTED,
        (_COUNTED,) * 2,
        "The same frame three times: identification (DF is clear) and sequence numbers start over.",
    ),
    "the-same-datagrams-twice": (
        "udp4",
        _COUNTED_UDP,
        (_COUNTED_UDP,),
        "The same datagrams twice: the identification (DF is clear) starts over.",
    ),
    "without-needs-csum-after-with": (
        "tcp4",
        _TCP4.superpacket(**NO_CSUM),
        (_TCP4.superpacket(),),
        "With NEEDS_CSUM, then without it.",
    ),
    "with-needs-csum-after-without": (
        "tcp6",
        _TCP6.superpacket(),
        (_TCP6.superpacket(**NO_CSUM),),
        "Without NEEDS_CSUM, then with it.",
    ),
    "superpacket-after-a-single-packet": (
        "tcp4",
        _TCP4.superpacket(),
        (_PLAIN,),
        "A single packet, then a superpacket.",
    ),
    "superpacket-after-a-completed-one": (
        "udp6",
        _UDP6.superpacket(),
        (_UDP6.single(),),
        "A single packet with NEEDS_CSUM, then a superpacket.",
    ),
    "superpacket-after-a-full-buffer": (
        "tcp4",
        _TCP4.superpacket(),
        (frame(packet_bytes(ip4() / UDP() / Raw(bytes(65535 - 28)))),),
        "A single packet of 65535 bytes, then a superpacket.",
    ),
    "superpacket-after-one-segment": (
        "tcp6",
        _TCP6.superpacket(),
        (_TCP6.superpacket(8),),
        "A type on one segment, then a superpacket.",
    ),
}

for _name, (_kind, _frame, _before, _about) in _STATE.items():
    _shape = _BY_NAME[_kind]
    sequences.add(
        _name,
        f"{_about} Nothing of the earlier frame shows.",
        _after(_frame, *_before),
        flags=("StateBetweenReads",),
        requires=_shape.requires,
        kernels=_shape.kernels,
    )
for _name, _earlier, _about in (
    ("a-superpacket", _TCP4.superpacket(200), "A single packet after 25 segments stays one packet."),
    ("a-completed-one", _UDP4.single(), "A packet after one that was completed: its own wrong checksum stays."),
    ("a-typed-one", _TCP4.superpacket(8), "A packet without a type after one with a type."),
):
    sequences.add(
        f"single-after-{_name}",
        f"{_about} Not a byte is touched.",
        _after(frame(packet_bytes(ip4() / UDP(chksum=0x1234) / Raw(payload(20)))), _earlier),
        flags=("StateBetweenReads", "ChecksumUntouched"),
        sound=False,
    )
for _name, _earlier in (("an-untouched-one", _PLAIN), ("a-superpacket", _UDP4.superpacket())):
    sequences.add(
        f"completed-after-{_name}",
        "A single packet with NEEDS_CSUM after one of another kind: its checksum is completed.",
        _after(_UDP4.single(), _earlier),
        flags=("StateBetweenReads", "ChecksumCompleted"),
        requires=("csum.partial",),
    )
