"""Batches in which two neighbours differ in one field of the TCP or UDP header, in size, or in nothing at all."""

from collections.abc import Mapping
from typing import Any

from tunproof.authoring.authors.batching import CUT, GRO, GRO_UDP, KINDS, PAIRS_APART, alone, borders, put, tcp
from tunproof.authoring.draft import Topic, rfc
from tunproof.packets.builder import Flow, ip4, ip6

_topics = {kind: Topic("write_batch", f"pairs-{kind}", basis=CUT[kind]) for kind in KINDS}
TOPICS = tuple(_topics.values())

Fields = Mapping[str, object]
_PAIRS = ((0, 1), (2, 3))
_TCP_KINDS = ("tcp4", "tcp6")


def _border(kind: str, name: str, about: str, flag: str, transport: Fields, **options: Any) -> None:
    """Add two packets, and two more with other fields."""
    flow = Flow(KINDS[kind])
    packets = flow.packets(16, 16) + [flow.packet(transport=transport) for _ in range(2)]
    put(
        _topics[kind],
        name,
        f"{about} {PAIRS_APART}",
        packets,
        ideal=_PAIRS,
        apart=((1, 2),),
        flags=(flag,),
        basis=(GRO,) if kind in _TCP_KINDS else (GRO_UDP,),
        **options,
    )


# The ports.

for _kind in KINDS:
    put(
        _topics[_kind],
        "same",
        "Four packets that differ only in what cutting restores: they go out as one.",
        Flow(KINDS[_kind]).packets(16, 16, 16, 16),
        ideal=((0, 1, 2, 3),),
        flags=("PacketsJoined", "PartialOfJoined", *(("ExtraBytes",) if "udp" in _kind else ())),
        importance="critical",
    )
    _border(_kind, "source-port", "The source port differs: another program sends.", "FlowsMixed", {"sport": 40512})
    _border(
        _kind, "source-port-low-byte", "The source ports differ only in the low byte.", "FlowsMixed", {"sport": 40001}
    )
    _border(
        _kind,
        "destination-port",
        "The destination port differs: another program receives.",
        "FlowsMixed",
        {"dport": 50003},
    )

# The TCP header.

_STREAM = {
    "sequence-gap-of-one": ((0, 16, 33, 49), "One byte is missing between the second packet and the third."),
    "sequence-gap-of-one-segment": ((0, 16, 48, 64), "A whole packet is missing after the second, as after a loss."),
    "sequence-overlap": ((0, 16, 31, 47), "The third packet begins with the last byte of the second."),
    "sequence-backwards": ((32, 48, 0, 16), "Older data after newer: the order of arrival is kept."),
    "sequence-high-byte": (
        (0, 16, 32 + (1 << 24), 48 + (1 << 24)),
        "Only the high byte of the sequence number is off.",
    ),
}
_FIELDS: dict[str, tuple[Fields, str]] = {
    "acknowledgment": ({"ack": 0x0A0B0C0E}, "The later packets acknowledge one byte more."),
    "acknowledgment-high-byte": ({"ack": 0x0B0B0C0D}, "The acknowledgments differ only in the high byte."),
    "window": ({"window": 503}, "The later packets open the window by one."),
    "window-closed": ({"window": 0}, "The later packets close the window: joined, the peer would keep sending."),
    "reserved-bits": ({"reserved": 1}, "A reserved bit next to the data offset differs."),
    "accurate-ecn-bit": ({"flags": "AN"}, "The bit next to the data offset that AccECN uses differs."),
}
_STAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (100, 50))]
_OPTIONS: dict[str, tuple[list[object], str]] = {
    "timestamp-value": ([*_STAMPS[:2], ("Timestamp", (101, 50))], "The sender's clock has moved on."),
    "timestamp-echo": ([*_STAMPS[:2], ("Timestamp", (100, 51))], "The echo of the peer's clock has moved on."),
    "no-timestamp": ([], "The later packets have no options, so their payload begins elsewhere."),
    "option-order": ([_STAMPS[2], *_STAMPS[:2]], "The later packets have the same options in another order."),
    "longer-options": ([*_STAMPS, *[("NOP", None)] * 4], "The later packets have four more bytes of options."),
    "sack-added": ([*_STAMPS, *_STAMPS[:2], ("SAck", (1, 9))], "The later packets report a gap."),
}
_SACK = [("NOP", None), ("NOP", None), ("SAck", (1, 9))]
_NETWORKS = {"tcp4": ip4(), "tcp6": ip6()}

for _kind in _TCP_KINDS:
    for _name, (_starts, _about) in _STREAM.items():
        _flow = Flow(KINDS[_kind])
        put(
            _topics[_kind],
            _name,
            f"{_about} {PAIRS_APART}",
            [_flow.packet(start=start) for start in _starts],
            ideal=_PAIRS,
            apart=((1, 2),),
            flags=("SequenceNotContinued",),
            basis=(rfc(9293, "3.4"), GRO),
            importance="critical",
        )
    for _name, _seq in (("sequence-wraps", 0xFFFFFFF8), ("sequence-wraps-to-zero", 0xFFFFFFF0)):
        put(
            _topics[_kind],
            _name,
            "The sequence number passes 2**32, but the packets still continue each other.",
            Flow(_NETWORKS[_kind] / tcp(seq=_seq)).packets(16, 16, 16),
            ideal=((0, 1, 2),),
            flags=("SequenceWrap",),
            basis=(rfc(9293, "3.4"),),
        )
    for _name, (_fields, _about) in _FIELDS.items():
        _border(_kind, _name, _about, "FieldNotCompared", _fields)
    _border(
        _kind,
        "urgent-pointer",
        "Without URG the urgent pointer means nothing (RFC 9293, 3.1), and a kernel joins such packets as well.",
        "FieldNotCompared",
        {"urgptr": 5},
        level="may",
    )
    for _name, (_options, _about) in _OPTIONS.items():
        _flow = Flow(_NETWORKS[_kind] / tcp(options=_STAMPS))
        put(
            _topics[_kind],
            _name,
            f"{_about} {PAIRS_APART}",
            _flow.packets(16, 16) + [_flow.packet(transport={"options": _options}) for _ in range(2)],
            ideal=_PAIRS,
            apart=((1, 2),),
            flags=("TcpOptionsNotCompared",),
            basis=(rfc(7323, "3"), GRO),
        )
    _flow = Flow(_NETWORKS[_kind] / tcp(options=_SACK))
    _moved = [("NOP", None), ("NOP", None), ("SAck", (1, 10))]
    put(
        _topics[_kind],
        "sack-block",
        f"The SACK block of the later packets ends one byte later. {PAIRS_APART}",
        _flow.packets(16, 16) + [_flow.packet(transport={"options": _moved}) for _ in range(2)],
        ideal=_PAIRS,
        apart=((1, 2),),
        flags=("TcpOptionsNotCompared",),
        basis=(rfc(2018, "3"), GRO),
    )
    put(
        _topics[_kind],
        "same-timestamps",
        "Packets of one clock tick have the same timestamps, and are joined.",
        Flow(_NETWORKS[_kind] / tcp(options=_STAMPS)).packets(16, 16, 16),
        ideal=((0, 1, 2),),
        flags=("PacketsJoined", "TcpOptions"),
        basis=(rfc(7323, "3"),),
        importance="critical",
    )
    put(
        _topics[_kind],
        "same-forty-bytes-of-options",
        "A data offset of 15: 60 bytes of header, and the payload only after them.",
        Flow(_NETWORKS[_kind] / tcp(options=[("NOP", None)] * 40)).packets(48, 48, 5),
        ideal=((0, 1, 2),),
        flags=("TcpOptions",),
        basis=(rfc(9293, "3.1"),),
    )

# Sizes.

_SIZES: dict[str, tuple[tuple[int, ...], tuple[tuple[int, ...], ...], str]] = {
    "short-tail": ((16, 16, 9), ((0, 1, 2),), "The last packet is shorter: it ends the superpacket."),
    "tail-of-one-byte": ((16, 16, 1), ((0, 1, 2),), "The last packet has one byte: it ends the superpacket."),
    "behind-a-short-tail": (
        (16, 16, 9, 16, 16),
        ((0, 1, 2), (3, 4)),
        "After a shorter packet nothing more can be joined; the next one begins a new superpacket.",
    ),
    "two-short-tails": ((16, 16, 9, 9), ((0, 1, 2), (3,)), "A second short packet cannot follow the first."),
    "larger-second": (
        (16, 17, 17),
        ((0,), (1, 2)),
        "A larger packet begins a new superpacket: the first one sets the size.",
    ),
    "larger-third": ((16, 16, 17), ((0, 1), (2,)), "The third packet is larger by one byte, and must not be joined."),
    "growing": ((8, 9, 10, 11), alone(4), "Each packet is larger than the one before: none can be joined."),
    "shrinking": (
        (19, 18, 17, 16),
        ((0, 1), (2, 3)),
        "Each packet is shorter than the one before: every second one ends a superpacket.",
    ),
    "odd": ((17, 17, 17), ((0, 1, 2),), "Payloads of odd length: each begins in the middle of a checksum word."),
    "ethernet-sized": ((1200, 1200, 200), ((0, 1, 2),), "Packets as a tunnel sees them all day."),
}
_GREEDY = {"two-short-tails", "shrinking"}
"""Batches that a writer who joins less at first may rightly join otherwise: what is wrong there shows in the sizes."""

for _kind in KINDS:
    for _name, (_sizes, _ideal, _about) in _SIZES.items():
        put(
            _topics[_kind],
            _name,
            _about,
            Flow(KINDS[_kind]).packets(*_sizes),
            ideal=_ideal,
            apart=() if _name in _GREEDY else borders(_ideal),
            flags=("OddLength",)
            if _name == "odd"
            else ("PacketsJoined",)
            if _name == "ethernet-sized"
            else ("UnequalSizesJoined",),
            importance="critical",
        )
    _flow = Flow(KINDS[_kind])
    _packets = _flow.packets(16, 16)
    put(
        _topics[_kind],
        "same-packet-twice",
        "The same packet twice, bit for bit, as a network may deliver it now and then: it comes out twice.",
        [_packets[0], _packets[0], _packets[1]],
        ideal=((0, 1, 2),) if _kind == "udp6" else ((0,), (1, 2)),
        apart=((0, 1),) if "tcp" in _kind else (),
        flags=("SequenceNotContinued",) if "tcp" in _kind else ("IdNotRestored",),
    )

for _kind in ("udp4", "udp6"):
    for _name, _sizes, _ideal in (
        ("empty-alone", (0,), alone(1)),
        ("empty-only", (0, 0, 0), alone(3)),
        ("empty-first", (0, 16, 16), ((0,), (1, 2))),
        ("empty-between", (16, 16, 0, 16, 16), ((0, 1), (2,), (3, 4))),
        ("empty-last", (16, 16, 0), ((0, 1), (2,))),
    ):
        put(
            _topics[_kind],
            _name,
            "A datagram without data is still a datagram, of length 8: it comes out once, in its place.",
            Flow(KINDS[_kind]).packets(*_sizes),
            ideal=_ideal,
            flags=("EmptyPayload",),
            basis=(rfc(768, "Format"),),
            importance="critical",
        )
