"""TCP and UDP headers of superpackets field by field, sizes of payload and segments, and sums at their borders."""

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from tunproof.authoring.authors.read_udp import udp
from tunproof.authoring.authors.shapes import TIMESTAMPS, tcp
from tunproof.authoring.draft import ANY_KERNEL, KernelRule, Topic, bug, kernel, needs, rfc
from tunproof.packets.builder import ip4, ip6, packet_bytes, payload, superpacket

_CUT = kernel("tcp_gso_segment", "net/ipv4/tcp_offload.c")
_CUT_UDP = kernel("__udp_gso_segment", "net/ipv4/udp_offload.c", since="6.2 for TUN")
_MAX_SEGMENTS = kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h", since="UDP_MAX_SEGMENTS is 128 since 6.9")

header = Topic("read", "tcp-header", basis=(_CUT,))
datagrams = Topic("read", "udp-header", basis=(_CUT_UDP,), kernels=needs("uso"))
sizes = Topic("read", "segment-sizes", basis=(_CUT, _CUT_UDP))
sums = Topic("read", "segment-sums", basis=(_CUT, _CUT_UDP))
TOPICS = (header, datagrams, sizes, sums)

_KINDS: dict[str, tuple[Packet, Packet, tuple[KernelRule, ...]]] = {
    "tcp4": (ip4(), tcp(), ANY_KERNEL),
    "tcp6": (ip6(), tcp(), ANY_KERNEL),
    "udp4": (ip4(), udp(), needs("uso")),
    "udp6": (ip6(), udp(), needs("uso")),
}


def _tcp(kind: str, name: str, about: str, fields: dict[str, object], *flags: str, length: int = 24) -> None:
    """Add a TCP superpacket of segments of 8 bytes that differs from the usual one in these fields."""
    header.add(
        f"{name}-{kind}",
        about,
        superpacket(_KINDS[kind][0] / tcp(**fields), payload(length), gso_size=8),
        flags=flags,
        requires=(f"gso.{kind}",),
        basis=(rfc(9293, "3.1"),),
    )


# Each TCP flag by itself, without the ACK that usually comes along.

_ALONE = {
    "fin": ("F", "FinOnLastOnly"),
    "syn": ("S", "FlagsCopied"),
    "rst": ("R", "FlagsCopied"),
    "psh": ("P", "PshOnLastOnly"),
    "urg": ("U", "FlagsCopied"),
    "ece": ("E", "FlagsCopied"),
    "cwr": ("C", "CwrOnFirstOnly"),
    "ae": ("N", "FlagsCopied"),
}

for _name, (_bits, _flag) in _ALONE.items():
    _tcp("tcp4", f"{_name}-alone", f"{_name.upper()} and no other flag, not even ACK.", {"flags": _bits}, _flag)
for _bit in (1, 2, 4):
    _tcp(
        "tcp4", f"reserved-bit-{_bit}", "A reserved bit is copied to every segment.", {"reserved": _bit}, "FlagsCopied"
    )

_NEIGHBOURS: dict[str, tuple[str, tuple[str, ...], int, str]] = {
    "cwr-and-fin-on-two-segments": (
        "CFA",
        ("CwrOnFirstOnly", "FinOnLastOnly"),
        16,
        "CWR goes on the first segment, FIN on the last.",
    ),
    "cwr-fin-psh-on-two-segments": (
        "CFPA",
        ("CwrOnFirstOnly", "FinOnLastOnly"),
        9,
        "CWR first, FIN and PSH last, on a single byte.",
    ),
    "cwr-and-ece": (
        "CEA",
        ("CwrOnFirstOnly", "FlagsCopied"),
        24,
        "CWR goes on the first segment, its neighbour ECE on all.",
    ),
    "psh-and-rst": (
        "PRA",
        ("PshOnLastOnly", "FlagsCopied"),
        24,
        "PSH goes on the last segment, its neighbour RST on all.",
    ),
    "fin-and-syn": (
        "FSA",
        ("FinOnLastOnly", "FlagsCopied"),
        24,
        "FIN goes on the last segment, its neighbour SYN on all.",
    ),
    "cwr-and-ae": ("CNA", ("CwrOnFirstOnly", "FlagsCopied"), 24, "AE belongs to AccECN; it is not part of CWR."),
}

for _name, (_bits, _flags, _length, _about) in _NEIGHBOURS.items():
    _tcp("tcp6", _name, _about, {"flags": _bits}, *_flags, length=_length)

# Other fields.

_FIELDS: dict[str, tuple[str, dict[str, object], tuple[str, ...], str]] = {
    "sequence-passes-the-sign": ("tcp4", {"seq": 0x7FFFFFFC}, ("SequenceWrap",), "The sequence number passes 2**31."),
    "sequence-of-all-ones": (
        "tcp6",
        {"seq": 0xFFFFFFFF},
        ("SequenceWrap",),
        "The first byte has the last sequence number before the wrap.",
    ),
    "sequence-wraps-in-the-last": (
        "tcp4",
        {"seq": 0xFFFFFFF0},
        ("SequenceWrap",),
        "Only the third segment's sequence number wraps.",
    ),
    "sequence-carries": (
        "tcp6",
        {"seq": 0x00FFFFF8},
        ("SequenceWrap",),
        "A carry runs through three bytes of the sequence number.",
    ),
    "acknowledgment-zero": ("tcp4", {"ack": 0}, ("TcpFieldsCopied",), "An acknowledgment of zero is copied."),
    "acknowledgment-of-all-ones": (
        "tcp6",
        {"ack": 0xFFFFFFFF},
        ("TcpFieldsCopied",),
        "The acknowledgment is copied, not advanced.",
    ),
    "acknowledgment-without-ack": (
        "tcp4",
        {"flags": "P", "ack": 0xDEADBEEF},
        ("TcpFieldsCopied",),
        "Without ACK the acknowledgment means nothing, but is still copied.",
    ),
    "window-zero": ("tcp4", {"window": 0}, ("TcpFieldsCopied",), "A closed window is copied."),
    "window-of-all-ones": ("tcp6", {"window": 0xFFFF}, ("TcpFieldsCopied",), "The largest window is copied."),
    "port-zero": ("tcp4", {"sport": 0, "dport": 0}, ("TcpFieldsCopied",), "Ports of zero are copied."),
    "port-of-all-ones": (
        "tcp6",
        {"sport": 0xFFFF, "dport": 0xFFFF},
        ("TcpFieldsCopied",),
        "The largest ports are copied.",
    ),
    "urgent-pointer-into-the-second-segment": (
        "tcp4",
        {"flags": "UA", "urgptr": 12},
        ("TcpFieldsCopied",),
        "The urgent pointer counts from each segment's own sequence number; it is copied, not moved.",
    ),
    "urgent-pointer-without-urg": (
        "tcp6",
        {"urgptr": 0xFFFF},
        ("TcpFieldsCopied",),
        "Without URG the urgent pointer means nothing, but is still copied.",
    ),
}

for _name, (_kind, _changes, _flags, _about) in _FIELDS.items():
    _tcp(_kind, _name, _about, _changes, *_flags)

# Options: each data offset that read/tcp4 and read/tcp6 do not have, and each form.

_SACK = ("SAck", (0x0A0B1000, 0x0A0B2000, 0x0A0B3000, 0x0A0B4000, 0x0A0B5000, 0x0A0B6000))
_NOPS = [("NOP", None), ("NOP", None)]
_OPTIONS: dict[str, tuple[str, list[tuple[object, object]], str]] = {
    "mss": ("tcp4", [("MSS", 1460)], "Data offset 6: MSS."),
    "padding-behind-the-end": (
        "tcp6",
        [("NOP", None), ("EOL", None)],
        "Data offset 6: the end of options, then padding.",
    ),
    "window-scale-and-sack-permitted": (
        "tcp6",
        [("NOP", None), ("WScale", 7), *_NOPS, ("SAckOK", b"")],
        "Data offset 7: what a SYN carries.",
    ),
    "timestamps-unaligned": (
        "tcp4",
        [("Timestamp", (0x01020304, 0x05060708)), *_NOPS],
        "Data offset 8: timestamps before their padding.",
    ),
    "unknown-option": ("tcp4", [(0xFD, bytes(range(14)))], "Data offset 9: an experimental option."),
    "one-sack-block-and-timestamps": (
        "tcp6",
        [*TIMESTAMPS, *_NOPS, ("SAck", _SACK[1][:2])],
        "Data offset 11: what a receiver with a gap in its data sends.",
    ),
    "three-sack-blocks": ("tcp4", [*_NOPS, _SACK], "Data offset 12: three SACK blocks."),
    "all-of-a-syn": (
        "tcp6",
        [("MSS", 1440), ("SAckOK", b""), *TIMESTAMPS[2:], ("NOP", None), ("WScale", 7), (0x22, bytes(10))],
        "Data offset 13: MSS, SACK permitted, timestamps, window scale, fast open.",
    ),
    "four-sack-blocks": (
        "tcp4",
        [*_NOPS, ("SAck", (*_SACK[1], 1, 2))],
        "Data offset 14: four SACK blocks.",
    ),
    "three-sack-blocks-and-timestamps": (
        "tcp6",
        [*TIMESTAMPS, *_NOPS, _SACK],
        "Data offset 15: the largest header, full.",
    ),
}

for _name, (_kind, _options, _about) in _OPTIONS.items():
    header.add(
        f"{_name}-{_kind}",
        f"{_about} Options are copied to every segment.",
        superpacket(_KINDS[_kind][0] / tcp(options=_options), payload(150), gso_size=64),
        flags=("TcpOptions",),
        requires=(f"gso.{_kind}",),
        basis=(rfc(9293, "3.1"),),
    )

# The UDP header.

_DATA = payload(24)

for _name, _port in (("zero", 0), ("of-all-ones", 0xFFFF)):
    datagrams.add(
        f"port-{_name}",
        "Ports are copied, whatever they are.",
        superpacket(ip4() / UDP(sport=_port, dport=_port), _DATA, gso_size=8),
        flags=("Basic",),
        requires=("gso.udp4",),
        basis=(rfc(768, "Fields"),),
        importance="medium",
    )
for _kind, _ip in (("udp4", ip4()), ("udp6", ip6())):
    datagrams.add(
        f"valid-{_kind}",
        "A valid frame: the sibling of the faulty ones.",
        superpacket(_ip / udp(), _DATA, gso_size=8),
        flags=("Basic",),
        requires=(f"gso.{_kind}",),
    )
    for _name, _length in (("zero", 0), ("of-one-datagram", 16), ("one-more", 33), ("one-less", 31)):
        datagrams.add(
            f"length-{_name}-{_kind}",
            "The UDP length of a superpacket does not match its actual length.",
            superpacket(_ip / UDP(sport=40000, dport=443, len=_length), _DATA, gso_size=8),
            flags=("LengthMismatch",),
            requires=(f"gso.{_kind}",),
            sibling=f"valid-{_kind}",
            basis=(rfc(768, "Fields"),),
            level="should",
            importance="low",
            differs="the kernel takes the length field out of the partial without checking it: if it is wrong, so are "
            "the checksums of all datagrams",
        )

# Sizes.

_SIZES: dict[str, tuple[int, int, str, str]] = {
    "one-segment-and-one-byte": (9, 8, "SegmentSize", "One byte more than fits one segment."),
    "odd-segment-and-one-byte": (12, 11, "OddLength", "A segment of odd length, then one byte."),
    "even-segments-and-an-odd-one": (29, 10, "OddLength", "Only the last segment is of odd length."),
    "odd-segments-and-an-even-one": (35, 11, "OddLength", "All segments are of odd length but the last, of two bytes."),
    "one-byte-less-than-two-segments": (19, 10, "SegmentSize", "The last segment is one byte short."),
}

for _name, (_length, _gso_size, _flag, _about) in _SIZES.items():
    for _kind, (_ip, _transport, _kernels) in _KINDS.items():
        sizes.add(
            f"{_name}-{_kind}",
            _about,
            superpacket(_ip / _transport, payload(_length), gso_size=_gso_size),
            flags=(_flag,),
            requires=(f"gso.{_kind}",),
            kernels=_kernels,
        )

_MSS: dict[str, tuple[str, int, int, str]] = {
    "mss-and-one-byte": ("tcp4", 1461, 1460, "A full segment and one byte."),
    "two-mss": ("tcp6", 2880, 1440, "Two full segments, and nothing more."),
    "two-mss-and-one-byte": ("tcp4", 2897, 1448, "Two full segments and one byte."),
    "two-datagrams-and-one-byte": ("udp6", 2401, 1200, "Two full datagrams and one byte."),
    "jumbo-segments": ("tcp4", 9001, 8960, "Segments of a 9000-byte link: longer than a page."),
}

for _name, (_kind, _length, _gso_size, _about) in _MSS.items():
    _ip, _transport, _kernels = _KINDS[_kind]
    sizes.add(
        f"{_name}-{_kind}",
        _about,
        superpacket(_ip / _transport, payload(_length), gso_size=_gso_size),
        flags=("SegmentSize",),
        requires=(f"gso.{_kind}",),
        kernels=_kernels,
    )

for _kind, _length, _about in (
    ("udp4", 513, "65 datagrams, the last of one byte: one more than kernels before 6.9 accepted."),
    ("udp6", 520, "65 datagrams: one more than kernels before 6.9 accepted."),
    ("udp4", 1016, "127 datagrams."),
    ("udp6", 1023, "128 datagrams, the last one byte short."),
    ("udp4", 1024, "128 datagrams: the maximum."),
):
    sizes.add(
        f"{_length}-bytes-of-datagrams-{_kind}",
        _about,
        superpacket(_KINDS[_kind][0] / udp(), payload(_length), gso_size=8),
        flags=("TooManyUdpSegments", "ManySegments"),
        requires=(f"gso.{_kind}",),
        kernels=needs("uso", "uso_128"),
        basis=(_MAX_SEGMENTS,),
    )

sizes.add(
    "300-segments-without-df-tcp4",
    "300 segments with DF clear: the identification grows by more than a byte holds, and wraps on the way.",
    superpacket(ip4(id=0xFF80, flags=0) / tcp(), payload(2400), gso_size=8),
    flags=("IdIncrement", "IdWrap", "ManySegments"),
    requires=("gso.tcp4",),
    basis=(rfc(6864, "4"),),
)

for _kind, _ip, _headers in (("udp4", ip4(), 28), ("udp6", ip6(), 48)):
    sizes.add(
        f"largest-{_kind}",
        "A UDP superpacket of 65535 bytes, the largest that fits 16 bits of total length.",
        superpacket(_ip / udp(), payload(65535 - _headers), gso_size=1024),
        flags=("MaximumSize",),
        requires=(f"gso.{_kind}",),
        kernels=needs("uso"),
        importance="critical",
    )

# Sums.


def _data_for_zero(kind: str, index: int, size: int = 8) -> bytes:
    """Return data for three segments of which the one of this index has a checksum of zero, by scapy's sum."""
    ip, transport, _ = _KINDS[kind]
    layer = TCP if TCP in transport else UDP
    data = bytearray(payload(3 * size))
    at = index * size
    own = transport.copy()
    if layer is TCP:
        own.seq += at
    built = (IP if IP in ip else IPv6)(packet_bytes(ip / own / Raw(bytes(data[at : at + size]))))
    word = (int.from_bytes(data[at : at + 2], "big") + built[layer].chksum) % 0xFFFF
    data[at : at + 2] = word.to_bytes(2, "big")
    return bytes(data)


for _kind, (_ip, _transport, _kernels) in _KINDS.items():
    for _index, _where in enumerate(("first", "middle", "last")):
        if _kind in {"udp4", "udp6"} and _index == 0:
            continue  # the first is read/udp4 and read/udp6
        _what = "is 0x0000 and stays so" if "tcp" in _kind else "would be zero, which means none: it is sent as 0xFFFF"
        sums.add(
            f"zero-in-the-{_where}-{_kind}",
            f"The checksum of the {_where} segment {_what}.",
            superpacket(_ip / _transport, _data_for_zero(_kind, _index), gso_size=8),
            flags=("ZeroChecksum",),
            requires=(f"gso.{_kind}",),
            kernels=_kernels,
            basis=(rfc(768, "Fields") if "udp" in _kind else rfc(1071, "1"),),
            importance="critical" if "udp" in _kind else "high",
        )

for _kind, (_ip, _transport, _kernels) in _KINDS.items():
    for _name, _byte in (("zeros", b"\0"), ("ones", b"\xff")):
        sums.add(
            f"payload-of-all-{_name}-{_kind}",
            "Data that adds nothing to the sum, or carries at every word; the last byte of a segment is half a word.",
            superpacket(_ip / _transport, _byte * 70, gso_size=27),
            flags=("MinusZero", "OddLength"),
            requires=(f"gso.{_kind}",),
            kernels=_kernels,
            basis=(rfc(1071, "1"), bug("https://github.com/firezone/firezone/pull/14110", "firezone")),
        )


def _addresses_for(kind: str, wanted: int) -> Packet:
    """Return an IP header whose pseudo-header for `wanted` bytes of transport sums up to a multiple of 0xFFFF."""
    ip, transport, _ = _KINDS[kind]
    protocol = 6 if TCP in transport else 17
    fixed = packet_bytes(ip)[12:20] if IP in ip else packet_bytes(ip)[8:40]
    total = sum(int.from_bytes(fixed[at : at + 2], "big") for at in range(0, len(fixed) - 2, 2))
    last = -(total + protocol + wanted) % 0xFFFF
    if IP in ip:
        return ip4(dst=f"198.51.{last >> 8}.{last & 0xFF}")
    return ip6(dst=f"2001:db8:ffff::{last:x}")


for _kind, (_ip, _transport, _kernels) in _KINDS.items():
    _own = len(packet_bytes(_transport))
    for _name, _wanted, _about in (
        ("whole", _own + 24, "The given partial is 0xFFFF, one of the two zeros."),
        ("segment", _own + 8, "The partial of each segment comes out as one of the two zeros."),
    ):
        sums.add(
            f"partial-of-the-{_name}-is-zero-{_kind}",
            f"{_about} Both mean the same in one's complement, and the checksums come out right with either.",
            superpacket(_addresses_for(_kind, _wanted) / _transport, _DATA, gso_size=8),
            flags=("MinusZero",),
            requires=(f"gso.{_kind}",),
            kernels=_kernels,
            basis=(rfc(1624, "3"),),
        )
