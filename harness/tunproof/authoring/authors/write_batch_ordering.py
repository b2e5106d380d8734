"""Batches whose order is tempting to change: retransmissions, reordering, acknowledgments, ends of streams."""

from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, PadN
from scapy.packet import Raw

from tunproof.authoring.authors.batching import KINDS, alone, put, tcp, udp
from tunproof.authoring.draft import Topic, bug, kernel, rfc
from tunproof.packets.builder import Flow, ip4, ip6, payload, whole

_NEBULA = bug("https://github.com/slackhq/nebula/pull/1704", "nebula")
order = Topic("write_batch", "order", basis=(kernel("inet_gro_receive", "net/ipv4/af_inet.c"), rfc(5681, "3.2")))
TOPICS = (order,)

_NETWORKS = {"tcp4": ip4(), "tcp6": ip6()}


def _stamps(value: int) -> dict[str, object]:
    return {"options": [("NOP", None), ("NOP", None), ("Timestamp", (value, 5))]}


for _kind, _network in _NETWORKS.items():
    _headers = _network / tcp()
    _flow = Flow(_network / tcp(**_stamps(10)))
    put(
        order,
        f"{_kind}-repeat-with-newer-timestamp",
        "Newer data, then a retransmission of older data with a newer timestamp. If the retransmission goes first, the "
        "receiver discards the newer data for its old timestamp.",
        [_flow.packet(start=64), _flow.packet(), *(_flow.packet(start=at, transport=_stamps(20)) for at in (0, 16))],
        ideal=((0, 1), (2, 3)),
        apart=((1, 2),),
        flags=("RetransmissionSorted",),
        basis=(rfc(7323, "5"), _NEBULA),
        importance="critical",
    )
    _flow = Flow(_network / tcp(**_stamps(10)))
    put(
        order,
        f"{_kind}-repeat-that-fills-the-gap",
        "Data with a gap, then the missing packet with a newer timestamp: it would fit into the gap, but comes last.",
        [_flow.packet(), _flow.packet(start=32), _flow.packet(start=16, transport=_stamps(20))],
        ideal=alone(3),
        apart=((0, 1), (1, 2)),
        flags=("RetransmissionSorted", "SequenceNotContinued"),
        basis=(rfc(7323, "5"), _NEBULA),
        importance="critical",
    )
    _flow = Flow(_headers)
    put(
        order,
        f"{_kind}-repeat-in-the-middle",
        "The second packet is sent again after the third, and the fourth follows: they leave in that order.",
        [_flow.packet(), _flow.packet(), _flow.packet(), _flow.packet(start=16), _flow.packet(start=48)],
        ideal=((0, 1, 2), (3,), (4,)),
        apart=((2, 3), (3, 4)),
        flags=("SequenceNotContinued",),
        level="should",
    )
    _flow = Flow(_headers)
    put(
        order,
        f"{_kind}-two-exchanged",
        "The network swapped two packets. A writer does not swap them back: it cannot know.",
        [_flow.packet(), *(_flow.packet(start=at) for at in (32, 16, 48))],
        ideal=alone(4),
        apart=((0, 1), (1, 2)),
        flags=("RetransmissionSorted",),
        level="should",
    )
    _flow = Flow(_headers)
    put(
        order,
        f"{_kind}-descending",
        "The packets arrive in reverse order. Sorted, they would be one superpacket; they stay as they came.",
        [_flow.packet(start=at) for at in (48, 32, 16, 0)],
        ideal=alone(4),
        flags=("RetransmissionSorted",),
        level="should",
    )
    _flow = Flow(_headers)
    put(
        order,
        f"{_kind}-pure-ack-between-data",
        "A pure acknowledgment between data comes out once, and the data in order. The acknowledgment should keep its "
        "place.",
        [_flow.packet(), _flow.packet(0), _flow.packet()],
        ideal=alone(3),
        flags=("PureAckOrder",),
        basis=(_NEBULA,),
        importance="critical",
    )
    _flow = Flow(_headers)
    _first, _ack = _flow.packets(16, 0)
    put(
        order,
        f"{_kind}-duplicate-acks",
        "Three equal acknowledgments request a retransmission. Each of them comes out: merged into one they request "
        "nothing.",
        [_first, _ack, _ack, _ack, _flow.packet()],
        ideal=alone(5),
        flags=("PureAckOrder",),
        importance="critical",
    )
    _flow = Flow(_headers)
    put(
        order,
        f"{_kind}-acks-only",
        "Acknowledgments without data, each further than the last. None is joined, and none is left out.",
        [_flow.packet(0, transport={"ack": 0x0A0B0C0D + 1000 * number}) for number in range(3)],
        ideal=alone(3),
        flags=("PureAckOrder",),
        basis=(rfc(9293, "3.4"),),
    )
    _flow = Flow(_headers)
    put(
        order,
        f"{_kind}-fin-without-data-behind-data",
        "The end of the stream comes after its last data, not before.",
        [*_flow.packets(16, 16), _flow.packet(0, transport={"flags": "FA"})],
        ideal=((0, 1), (2,)),
        flags=("FlowOvertaken",),
        basis=(rfc(9293, "3.6"),),
        importance="critical",
    )
    _flow = Flow(_headers)
    put(
        order,
        f"{_kind}-rst-behind-data",
        "A reset without data after data: if it overtakes, the data is never read.",
        [*_flow.packets(16, 16), _flow.packet(0, transport={"flags": "R", "ack": 0, "window": 0})],
        ideal=((0, 1), (2,)),
        flags=("FlowOvertaken", "ControlJoined"),
        basis=(rfc(9293, "3.5.2"),),
        importance="critical",
    )
    _flow = Flow(_headers)
    _syn = _flow.packet(0, transport={"flags": "S", "ack": 0, "options": [("MSS", 1240)]})
    put(
        order,
        f"{_kind}-handshake-and-data",
        "SYN, acknowledgment and the first data in one burst leave as they came.",
        [_syn, _flow.packet(0, start=1), *_flow.packets(16, 16)],
        ideal=((0,), (1,), (2, 3)),
        flags=("FlowOvertaken", "ControlJoined"),
        basis=(rfc(9293, "3.5"),),
        importance="critical",
    )
    _flow = Flow(_headers)
    _end = [*_flow.packets(16, 16), _flow.packet(0, transport={"flags": "FA"})]
    _again = Flow(_network / tcp(seq=0x70000000))
    put(
        order,
        f"{_kind}-ports-used-again",
        "A connection ends and another begins on the same ports: nothing of the second overtakes the end of the first.",
        [*_end, _again.packet(0, transport={"flags": "S", "ack": 0}), _again.packet(start=1), _again.packet()],
        ideal=((0, 1), (2,), (3,), (4, 5)),
        apart=((1, 4),),
        flags=("FlowOvertaken", "SequenceNotContinued"),
    )

# UDP: nothing but the order of arrival says which datagram is first.

for _kind, _sizes, _ideal in (
    ("udp4", (16, 24, 16, 24), ((0,), (1, 2), (3,))),
    ("udp6", (16, 24, 16, 24), ((0,), (1, 2), (3,))),
    ("udp4", (24, 16, 24, 16), ((0, 1), (2, 3))),
    ("udp6", (24, 16, 24, 16), ((0, 1), (2, 3))),
):
    put(
        order,
        f"{_kind}-sizes-alternate-{'up' if _sizes[0] < _sizes[1] else 'down'}",
        "Datagrams of two sizes in turn. Grouped by size, more could be joined, but in an order that was never sent.",
        Flow(KINDS[_kind]).packets(*_sizes),
        ideal=_ideal,
        flags=("FlowOvertaken", "UnequalSizesJoined"),
        importance="critical",
    )

_DATA = Raw(payload(24))
_flow = Flow(KINDS["udp4"])
put(
    order,
    "udp4-fragments-then-datagrams",
    "Both fragments of a datagram, then whole datagrams of the same flow: fragments leave first.",
    [
        whole(ip4(flags="MF", id=9) / udp(len=56) / _DATA),
        whole(ip4(flags=0, id=9, frag=4, proto=17) / _DATA),
        *_flow.packets(16, 16),
    ],
    ideal=((0,), (1,), (2, 3)),
    apart=((0, 1), (1, 2)),
    flags=("FlowOvertaken", "FragmentJoined"),
    basis=(_NEBULA,),
    importance="critical",
)
_flow = Flow(KINDS["udp6"])
put(
    order,
    "udp6-fragments-then-datagrams",
    "Both fragments of a datagram, then whole datagrams of the same flow: fragments leave first.",
    [
        whole(ip6() / IPv6ExtHdrFragment(m=1, id=9) / udp(len=56) / _DATA),
        whole(ip6() / IPv6ExtHdrFragment(offset=4, id=9, nh=17) / _DATA),
        *_flow.packets(16, 16),
    ],
    ideal=((0,), (1,), (2, 3)),
    apart=((0, 1), (1, 2)),
    flags=("FlowOvertaken", "FragmentJoined"),
    basis=(_NEBULA,),
    importance="critical",
)
_plain, _extended = Flow(KINDS["tcp6"]), Flow(ip6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")]) / tcp())
put(
    order,
    "tcp6-extension-headers-then-none",
    "The first half of the data has an extension header, the second has none. Each half is joined, and order is kept.",
    [*_extended.packets(16, 16), _plain.packet(start=32), _plain.packet()],
    ideal=((0, 1), (2, 3)),
    apart=((1, 2),),
    flags=("FlowOvertaken", "ExtensionHeaders"),
    basis=(_NEBULA,),
)
for _name, _about, _fields in (
    ("first", "offset 0, more to follow: the bit is 0x20 of byte 6, not 0x80", {"flags": "MF"}),
    ("later", "the same offset of 2048 bytes, which only byte 6 shows", {"flags": 0, "frag": 0x100}),
):
    put(
        order,
        f"tcp4-two-{_name}-fragments",
        f"Two fragments ({_about}) whose bytes look like consecutive segments: they must not be joined.",
        [
            whole(ip4(id=9 + _index, **_fields) / tcp(seq=1000 + 16 * _index) / Raw(payload(16, seed=_index)))
            for _index in range(2)
        ],
        ideal=((0,), (1,)),
        apart=((0, 1),),
        flags=("FragmentJoined",),
        basis=(bug("https://github.com/WireGuard/wireguard-go/commit/052af4a8", "wireguard-go"),),
    )
_flow = Flow(KINDS["tcp4"])
put(
    order,
    "tcp4-fragment-first",
    "A fragment of a TCP packet, whose ports cannot be read, keeps its place before data of the same hosts.",
    [whole(ip4(flags="MF", frag=3, proto=6) / _DATA), *_flow.packets(16, 16)],
    ideal=((0,), (1, 2)),
    apart=((0, 1),),
    flags=("FlowOvertaken", "FragmentJoined"),
    basis=(_NEBULA,),
)
