"""Batches in which TCP packets have flags: one flag on the first, on a middle and on the last packet, and on all."""

from typing import Final

from tunproof.authoring.authors.batching import CUT, GRO, KINDS, alone, borders, put
from tunproof.authoring.draft import Topic, rfc
from tunproof.packets.builder import Flow

_topics = {kind: Topic("write_batch", f"flags-{kind}", basis=(*CUT[kind], GRO)) for kind in ("tcp4", "tcp6")}
TOPICS = tuple(_topics.values())

Ideal = tuple[tuple[int, ...], ...]
_COUNT: Final = 4

# How a flag on packet 0, 1 or 3 affects the joining of four packets.
_ENDS: dict[int, Ideal] = {0: ((0,), (1, 2, 3)), 1: ((0, 1), (2, 3)), 3: ((0, 1, 2, 3),)}
_BEGINS: dict[int, Ideal] = {0: ((0, 1, 2, 3),), 1: ((0,), (1, 2, 3)), 3: ((0, 1, 2), (3,))}
_STANDS_ALONE: dict[int, Ideal] = {0: ((0,), (1, 2, 3)), 1: ((0,), (1,), (2, 3)), 3: ((0, 1, 2), (3,))}

_FLAGS: dict[str, tuple[str, dict[int, Ideal], str, str]] = {
    "psh": ("PA", _ENDS, "FlagMoved", "PSH ends a superpacket: its last segment has PSH again, and no other does."),
    "fin": ("FA", _ENDS, "FlagMoved", "FIN ends a superpacket: its last segment has FIN again, and no other does."),
    "fin-psh": ("FPA", _ENDS, "FlagMoved", "FIN and PSH together end a superpacket."),
    "cwr": (
        "CA",
        _BEGINS,
        "FlagMoved",
        "CWR comes back on the first segment only, so only a first packet may have it.",
    ),
    "ece": (
        "EA",
        _STANDS_ALONE,
        "FlagMoved",
        "ECE is on one packet, not on its neighbours: cutting would copy it to them.",
    ),
    "no-ack": ("", _STANDS_ALONE, "FlagMoved", "Data without ACK is not joined to data with it."),
    "syn": ("SA", _STANDS_ALONE, "ControlJoined", "A packet with SYN goes out alone, whatever data it has."),
    "rst": ("RA", _STANDS_ALONE, "ControlJoined", "A packet with RST goes out alone, whatever data it has."),
    "urg": (
        "UA",
        _STANDS_ALONE,
        "ControlJoined",
        "The urgent pointer counts from its own packet, which goes out alone.",
    ),
}
_PLACES = {0: "first", 1: "middle", 3: "last"}

for _kind, _topic in _topics.items():
    for _name, (_bits, _ideals, _flag, _about) in _FLAGS.items():
        for _place, _ideal in _ideals.items():
            _flow = Flow(KINDS[_kind])
            put(
                _topic,
                f"{_name}-on-{_PLACES[_place]}",
                _about,
                [_flow.packet(transport={"flags": _bits if _place == at else "A"}) for at in range(_COUNT)],
                ideal=_ideal,
                apart=borders(_ideal),
                flags=(_flag,),
                importance="critical" if _name in {"psh", "fin", "cwr"} else "high",
            )
    for _name, _bits, _ideal, _flag, _about in (
        ("psh", "PA", alone(_COUNT), "FlagMoved", "PSH on every packet: each ends a superpacket."),
        ("fin", "FA", alone(_COUNT), "FlagMoved", "FIN on every packet: each ends a superpacket."),
        ("cwr", "CA", alone(_COUNT), "FlagMoved", "CWR on every packet: joined, all but the first would lose it."),
        (
            "cwr-ece",
            "CEA",
            alone(_COUNT),
            "FlagMoved",
            "CWR and ECE on every packet: joined, all but the first would lose CWR.",
        ),
        (
            "ece",
            "EA",
            ((0, 1, 2, 3),),
            "PacketsJoined",
            "ECE on every packet is copied to all segments, so they can be joined.",
        ),
        (
            "no-flags",
            "",
            ((0, 1, 2, 3),),
            "PacketsJoined",
            "No flag on any packet: cutting adds none, so they can be joined.",
        ),
        (
            "syn",
            "SA",
            alone(_COUNT),
            "ControlJoined",
            "SYN on every packet: a stack that gets a superpacket whole sees only one.",
        ),
        (
            "rst",
            "RA",
            alone(_COUNT),
            "ControlJoined",
            "RST on every packet: a stack that gets a superpacket whole sees only one.",
        ),
        (
            "urg",
            "UA",
            alone(_COUNT),
            "ControlJoined",
            "URG on every packet: a stack that gets a superpacket whole sees only the first pointer.",
        ),
    ):
        _flow = Flow(KINDS[_kind])
        put(
            _topic,
            f"{_name}-on-all",
            _about,
            [_flow.packet(transport={"flags": _bits, "urgptr": 3 if "U" in _bits else 0}) for _ in range(_COUNT)],
            ideal=_ideal,
            apart=borders(_ideal),
            flags=(_flag,),
        )
    _flow = Flow(KINDS[_kind])
    put(
        _topic,
        "psh-on-short-tail",
        "A shorter packet with PSH ends a superpacket for two reasons, and keeps its PSH.",
        [*_flow.packets(16, 16), _flow.packet(9, transport={"flags": "PA"}), *_flow.packets(16, 16)],
        ideal=((0, 1, 2), (3, 4)),
        apart=((2, 3),),
        flags=("FlagMoved", "UnequalSizesJoined"),
    )
    for _name, _bits, _about in (
        ("fin", "FA", "FIN ends"),
        ("fin-psh", "FPA", "FIN and PSH end"),
    ):
        _other = KINDS[_kind].copy()
        _other.payload.sport = 40001
        _both = (Flow(KINDS[_kind]), Flow(_other, seed=31))
        put(
            _topic,
            f"{_name}-ends-two-interleaved-flows",
            f"{_about} two connections whose packets alternate. A writer that returns to the superpacket of a flow "
            "still joins the last packet to it, flag and all.",
            [_flow.packet(transport={"flags": _flags}) for _flags in ("A", "A", _bits) for _flow in _both],
            ideal=((0, 2, 4), (1, 3, 5)),
            apart=((0, 1), (4, 5)),
            flags=("FlagMoved", "InterleavedNotJoined"),
        )
    _flow = Flow(KINDS[_kind])
    put(
        _topic,
        "no-psh-where-a-short-tail-meets-older-data",
        "Newer data that ends in a short packet, then the data before it. No packet has PSH, and none may gain it.",
        [_flow.packet(start=32), _flow.packet(9), _flow.packet(start=0), _flow.packet()],
        ideal=((0, 1), (2, 3)),
        flags=("PshInvented",),
        importance="critical",
    )
    _flow = Flow(KINDS[_kind])
    put(
        _topic,
        "cwr-on-first-psh-on-last",
        "A superpacket may begin with CWR and end with PSH and FIN at once.",
        [_flow.packet(transport={"flags": bits}) for bits in ("CA", "A", "FPA")],
        ideal=((0, 1, 2),),
        flags=("FlagMoved", "CwrOnFirstOnly"),
        basis=(rfc(3168, "6.1.2"),),
    )
