"""Batches of several flows, and of packets of other shapes between those of a flow: nothing is mixed or overtaken."""

from collections.abc import Sequence

from scapy.layers.inet import ICMP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    PadN,
)
from scapy.packet import Packet, Raw

from tunproof.authoring.authors.batching import CUT, GRO, KINDS, put, tcp, udp
from tunproof.authoring.draft import Topic, kernel, rfc
from tunproof.packets.builder import Flow, ip4, ip6, patched, payload, whole

flows = Topic("write_batch", "flows", basis=(kernel("inet_gro_receive", "net/ipv4/af_inet.c"), GRO))
between = Topic("write_batch", "between", basis=(kernel("inet_gro_receive", "net/ipv4/af_inet.c"),))
TOPICS = (flows, between)

_BACK4 = {"src": "198.51.100.2", "dst": "192.0.2.1"}
_BACK6 = {"src": "2001:db8:ffff::2", "dst": "2001:db8::1"}


def _interleaved(*headers: Packet, rounds: int = 3) -> tuple[list[bytes], tuple[tuple[int, ...], ...]]:
    """Return packets of several flows in turn, and which of them belong together."""
    made = [Flow(one, seed=31 * number) for number, one in enumerate(headers)]
    packets = [flow.packet() for _ in range(rounds) for flow in made]
    return packets, tuple(tuple(range(number, len(packets), len(made))) for number in range(len(made)))


_TURNS: dict[str, tuple[tuple[Packet, ...], str]] = {
    "two-tcp4-ports": ((KINDS["tcp4"], ip4() / tcp(sport=40001)), "Two connections between two hosts."),
    "two-tcp6-ports": ((KINDS["tcp6"], ip6() / tcp(dport=444)), "Two connections between two hosts."),
    "two-udp4-ports": ((KINDS["udp4"], ip4() / udp(sport=40002)), "Two conversations between two hosts."),
    "two-udp6-ports": ((KINDS["udp6"], ip6() / udp(dport=40003)), "Two conversations between two hosts."),
    "three-tcp4": (
        (KINDS["tcp4"], ip4() / tcp(sport=40001), ip4(dst="198.51.100.9") / tcp()),
        "Three connections, one of them to another host.",
    ),
    "three-udp6": (
        (KINDS["udp6"], ip6() / udp(sport=40002), ip6(dst="2001:db8:ffff::9") / udp()),
        "Three conversations, one of them with another host.",
    ),
    "tcp4-other-source": (
        (KINDS["tcp4"], ip4(src="192.0.2.3") / tcp()),
        "Two flows with the same ports, from two sources.",
    ),
    "tcp6-other-source": (
        (KINDS["tcp6"], ip6(src="2001:db8::3") / tcp()),
        "Two flows with the same ports, from two sources.",
    ),
    "udp4-other-destination": (
        (KINDS["udp4"], ip4(dst="198.51.100.9") / udp()),
        "Two flows with the same ports, to two destinations.",
    ),
    "udp6-other-destination": (
        (KINDS["udp6"], ip6(dst="2001:db8::9") / udp()),
        "Two flows with the same ports, to two destinations.",
    ),
    "tcp4-swapped-ports": (
        (KINDS["tcp4"], ip4() / tcp(sport=443, dport=40000)),
        "Two flows with source and destination port swapped, but not the addresses.",
    ),
    "udp6-swapped-ports": (
        (KINDS["udp6"], ip6() / udp(sport=40001, dport=40000)),
        "Two flows with source and destination port swapped, but not the addresses.",
    ),
    "tcp4-both-directions": (
        (KINDS["tcp4"], ip4(**_BACK4) / tcp(sport=443, dport=40000)),
        "Both directions of one connection carry data.",
    ),
    "tcp6-both-directions": (
        (KINDS["tcp6"], ip6(**_BACK6) / tcp(sport=443, dport=40000)),
        "Both directions of one connection carry data.",
    ),
    "udp4-both-directions": (
        (KINDS["udp4"], ip4(**_BACK4) / udp(sport=40001, dport=40000)),
        "Both directions of one conversation.",
    ),
    "tcp4-and-tcp6": ((KINDS["tcp4"], KINDS["tcp6"]), "The same ports over both versions of IP."),
    "udp4-and-udp6": ((KINDS["udp4"], KINDS["udp6"]), "The same ports over both versions of IP."),
}
for _name, (_headers, _about) in _TURNS.items():
    _packets, _ideal = _interleaved(*_headers)
    put(
        flows,
        _name,
        f"{_about} Their packets alternate; each flow is joined separately.",
        _packets,
        ideal=_ideal,
        apart=((0, 1), (2, 3)),
        flags=("FlowsMixed", "InterleavedNotJoined"),
        importance="critical",
    )

_one, _other = Flow(KINDS["tcp4"]), Flow(ip4() / tcp(sport=40001), seed=31)
put(
    flows,
    "bursts",
    "Three packets of one connection, three of another, then three that still continue the first.",
    _one.packets(16, 16, 16) + _other.packets(16, 16, 16) + _one.packets(16, 16, 16),
    ideal=((0, 1, 2, 6, 7, 8), (3, 4, 5)),
    flags=("InterleavedNotJoined",),
)

put(
    flows,
    "other-flow-that-would-continue",
    "The other connection's sequence number, identification and size are exactly what would come next; its port is "
    "not.",
    [Flow(KINDS["tcp4"]).packet(), *Flow(ip4(id=0x1235) / tcp(sport=40001, seq=0x01020314)).packets(16, 16)],
    ideal=((0,), (1, 2)),
    apart=((0, 1),),
    flags=("FlowsMixed",),
    importance="critical",
)

for _version, _network, _joined in (("4", ip4, "tcp"), ("4", ip4, "udp"), ("6", ip6, "tcp"), ("6", ip6, "udp")):
    # One of the two protocols grows with each packet, so only the other can be joined: one superpacket type per case.
    _tcp, _udp = Flow(_network() / tcp(dport=40001)), Flow(_network() / udp(), seed=31)
    _sizes = {"tcp": (16, 16, 16), "udp": (17, 18, 19)} if _joined == "tcp" else {"tcp": (17, 18, 19), "udp": (16,) * 3}
    _packets = []
    for _for_tcp, _for_udp in zip(_sizes["tcp"], _sizes["udp"], strict=True):
        _packets += [_tcp.packet(_for_tcp), _udp.packet(_for_udp)]
    put(
        flows,
        f"tcp-and-udp-on-the-same-ports-{_joined}{_version}",
        "TCP and UDP between the same hosts and ports are two flows.",
        _packets,
        ideal=((0, 2, 4), (1,), (3,), (5,)) if _joined == "tcp" else ((0,), (1, 3, 5), (2,), (4,)),
        apart=((0, 1), (2, 3)),
        flags=("FlowsMixed",),
    )

for _kind, _back in (("tcp4", ip4(**_BACK4)), ("tcp6", ip6(**_BACK6))):
    _data, _acks = Flow(KINDS[_kind]), Flow(_back / tcp(sport=443, dport=40000))
    _packets = []
    for _number in range(3):
        _packets += [_data.packet(), _acks.packet(0, transport={"ack": 0x01020304 + 16 * _number})]
    put(
        flows,
        f"{_kind}-acknowledgments-of-the-other-direction",
        "Acknowledgments that travel the other way do not keep data from being joined.",
        _packets,
        ideal=((0, 2, 4), (1,), (3,), (5,)),
        flags=("InterleavedNotJoined", "PureAckOrder"),
    )

# The UDP packets grow and the ICMP packets are of other hosts, so only TCP is joined: one superpacket type per case.
_tcp, _udp = Flow(KINDS["tcp4"]), Flow(KINDS["udp4"], seed=31)
_packets = []
for _number in range(43):
    _ping = ip4(src="192.0.2.7", dst="198.51.100.7", id=_number) / ICMP(id=7, seq=_number)
    _packets += [_tcp.packet(40), _udp.packet(40 + _number), whole(_ping, payload(40, seed=_number))]
_packets.append(_tcp.packet(40))
put(
    flows,
    "three-lanes-in-a-long-batch",
    "TCP, UDP and ICMP in turn, 130 packets: however one of them uses shared memory, the others stay intact.",
    _packets,
    ideal=(tuple(range(0, 130, 3)), *((_number,) for _number in range(130) if _number % 3)),
    flags=("BatchStateLeaks", "InterleavedNotJoined"),
)

# What tells flows apart, and what does not.

for _kind, _network in (("tcp4", ip4), ("tcp6", ip6)):
    _packets, _ideal = _interleaved(_network() / tcp(seq=0x01FFFFF0), _network() / tcp(sport=40001))
    put(
        flows,
        f"two-{_kind}-ports-sequence-past-16-mib",
        "The sequence number of the first connection passes a multiple of 2**24 between two packets. A key one byte "
        "too long includes the first byte of the sequence number, and finds another flow.",
        _packets,
        ideal=_ideal,
        apart=((0, 1), (2, 3)),
        flags=("InterleavedNotJoined", "SequenceWrap"),
    )
for _kind, _network in (("udp4", ip4), ("udp6", ip6)):
    _made = (Flow(_network() / udp()), Flow(_network() / udp(sport=40002), seed=31))
    put(
        flows,
        f"two-{_kind}-ports-length-past-256",
        "The last datagram of each conversation is short, so the high byte of its length differs. A key one byte too "
        "long includes that byte, and finds another flow.",
        [_flow.packet(_size) for _size in (300, 300, 100) for _flow in _made],
        ideal=((0, 2, 4), (1, 3, 5)),
        apart=((0, 1), (2, 3)),
        flags=("InterleavedNotJoined", "UnequalSizesJoined"),
    )
for _kind, _headers in KINDS.items():
    _other_port = _headers.copy()
    _other_port.payload.sport ^= 0x0100
    _packets, _ideal = _interleaved(_headers, _other_port)
    put(
        flows,
        f"two-{_kind}-ports-high-byte",
        "Two conversations between two hosts, whose source ports differ only in the high byte. Their packets "
        "alternate; each flow is joined separately.",
        _packets,
        ideal=_ideal,
        apart=((0, 1), (2, 3)),
        flags=("FlowsMixed", "InterleavedNotJoined"),
        importance="critical",
    )

# Packets of other shapes between mergeable ones: D D x D D.

Ideal = tuple[tuple[int, ...], ...]
_OVER: Ideal = ((0, 1, 3, 4), (2,))
_CLOSES: Ideal = ((0, 1), (2,), (3, 4))
_UNSEEN: Ideal = ((0, 1, 3, 4),)


def _between(kind: str, name: str, about: str, packet: bytes, *, ideal: Ideal, flags: Sequence[str]) -> None:  # noqa: PLR0913
    flow = Flow(KINDS[kind])
    packets = [*flow.packets(16, 16), packet, *flow.packets(16, 16)]
    put(between, f"{kind}-{name}", about, packets, ideal=ideal, flags=flags, basis=CUT[kind])


_PADDING = PadN(optdata=b"\0\0\0\0")
_DATA = Raw(payload(24))
_SHAPES4: dict[str, tuple[Packet, str]] = {
    "icmp": (ip4() / ICMP() / _DATA, "An ICMP packet between the same hosts."),
    "first-fragment": (ip4(flags="MF") / udp(len=1000) / _DATA, "The first fragment of a datagram."),
    "middle-fragment": (ip4(flags="MF", frag=3, proto=6) / _DATA, "A fragment from the middle of a TCP packet."),
    "last-fragment": (ip4(flags=0, frag=6, proto=17) / _DATA, "The last fragment of a datagram."),
    "ah": (ip4(proto=51) / Raw(bytes.fromhex("060400000000000100000001") + bytes(12)) / tcp(), "AH before TCP."),
    "esp": (ip4(proto=50) / _DATA, "An encrypted packet: the bytes in the place of ports are not ports."),
    "sctp": (ip4(proto=132) / _DATA, "Another protocol with ports in the same place."),
    "ipip": (ip4(proto=4) / ip4() / tcp() / _DATA, "A tunnelled packet whose inner header belongs to this flow."),
}
_SHAPES6: dict[str, tuple[Packet, str]] = {
    "icmpv6": (ip6() / ICMPv6EchoRequest(data=b"ping"), "An ICMPv6 packet between the same hosts."),
    "first-fragment": (
        ip6() / IPv6ExtHdrFragment(m=1, id=9) / udp(len=1000) / _DATA,
        "The first fragment of a datagram.",
    ),
    "later-fragment": (ip6() / IPv6ExtHdrFragment(offset=4, id=9, nh=6) / _DATA, "The last fragment of a TCP packet."),
    "ah": (ip6(nh=51) / Raw(bytes.fromhex("060400000000000100000001") + bytes(12)) / tcp(), "AH before TCP."),
    "esp": (ip6(nh=50) / _DATA, "An encrypted packet: the bytes in the place of ports are not ports."),
    "no-next-header": (ip6(nh=59) / _DATA, "A packet with nothing after its header."),
}
_FLOW_FLAGS = ("FlowOvertaken", "VnetHeaderMissing")
for _kinds, _shapes in ((("tcp4", "udp4"), _SHAPES4), (("tcp6", "udp6"), _SHAPES6)):
    for _kind in _kinds:
        for _name, (_shape, _about) in _shapes.items():
            _between(
                _kind, _name, f"{_about} It comes out once, as it was.", whole(_shape), ideal=_CLOSES, flags=_FLOW_FLAGS
            )

_BY_EXTENSION = {
    "hop-by-hop": IPv6ExtHdrHopByHop(options=[_PADDING]),
    "destination-options": IPv6ExtHdrDestOpt(options=[_PADDING]),
}
for _kind, _l4 in (("tcp6", tcp(seq=0x01020304 + 32)), ("udp6", udp())):
    for _name, _header in _BY_EXTENSION.items():
        _flow = Flow(KINDS[_kind])
        _packets = [*_flow.packets(16, 16), whole(ip6() / _header / _l4, payload(16, seed=9)), *_flow.packets(16, 16)]
        put(
            between,
            f"{_kind}-{_name}",
            "A packet of the flow itself with an extension header keeps its place among those without.",
            _packets,
            ideal=_CLOSES,
            apart=((1, 2), (2, 3)),
            flags=("FlowOvertaken", "ExtensionHeaders"),
            basis=(rfc(8200, "4"),),
        )

_STRANGER4, _STRANGER6 = ip4(src="203.0.113.7"), ip6(src="2001:db8:7::7")
_between(
    "tcp4",
    "icmp-of-others",
    "An ICMP packet between other hosts does not keep data from being joined.",
    whole(_STRANGER4 / ICMP() / _DATA),
    ideal=_OVER,
    flags=("InterleavedNotJoined",),
)
_between(
    "udp6",
    "icmpv6-of-others",
    "An ICMPv6 packet between other hosts does not keep datagrams from being joined.",
    whole(_STRANGER6 / ICMPv6EchoRequest(data=b"ping")),
    ideal=_OVER,
    flags=("InterleavedNotJoined",),
)
_between(
    "tcp4",
    "fragment-of-others",
    "A fragment between other hosts does not keep data from being joined.",
    whole(ip4(src="203.0.113.7", flags="MF", proto=6) / _DATA),
    ideal=_OVER,
    flags=("InterleavedNotJoined", "FragmentJoined"),
)

# Empty items, packets that are not IP at all, and packets that end too early.

for _kind in KINDS:
    _between(
        _kind,
        "empty",
        "An empty item is not a packet: nothing is written for it.",
        b"",
        ideal=_UNSEEN,
        flags=("EmptyPayload",),
    )
    _between(
        _kind,
        "no-ip",
        "A version nibble of 5: the packet may be refused or passed to the kernel, which refuses it; the others come "
        "out.",
        patched(Flow(KINDS[_kind]).packet(), 0, b"\x50"),
        ideal=_UNSEEN,
        flags=("UnknownVersion",),
    )

for _kind, _first in (("tcp4", b"\x05"), ("udp4", b"\xf5"), ("tcp6", b"\xf0"), ("udp6", b"\x00")):
    _between(
        _kind,
        f"no-ip-{_first.hex()[0]}",
        "A version nibble far from 4 and 6, with the addresses of this flow: the packet is not part of the flow.",
        patched(Flow(KINDS[_kind]).packet(), 0, _first),
        ideal=_UNSEEN,
        flags=("UnknownVersion",),
    )
_between(
    "tcp4",
    "ihl-of-six-in-twenty-bytes",
    "A packet of 20 bytes whose header claims 24.",
    patched(Flow(KINDS["tcp4"]).packet()[:20], 0, b"\x46"),
    ideal=_CLOSES,
    flags=("HeaderLength", "Truncated"),
)

_CUTS = {"tcp4": (4, 19, 20, 39), "udp4": (27,), "tcp6": (4, 39, 40, 59), "udp6": (47,)}
for _kind, _lengths in _CUTS.items():
    for _length in _lengths:
        _seen = _length >= (20 if "4" in _kind else 40)
        _between(
            _kind,
            f"cut-off-after-{_length}",
            f"A packet that ends after {_length} bytes. No byte of an earlier packet may be read as its own.",
            Flow(KINDS[_kind]).packet()[:_length],
            ideal=_CLOSES if _seen else _OVER,
            flags=("Truncated",),
        )
for _kind, _length in (("tcp6", 40), ("tcp6", 41), ("udp6", 47)):
    _between(
        _kind,
        f"extension-header-cut-off-after-{_length}",
        f"A packet that ends after {_length} bytes, inside an extension header.",
        whole(ip6() / IPv6ExtHdrHopByHop(options=[_PADDING]) / KINDS[_kind].payload, payload(16))[:_length],
        ideal=_CLOSES,
        flags=("Truncated", "ExtensionHeaders"),
    )
for _kind, _offset, _value, _name in (
    ("tcp4", 0, b"\x44", "ihl-of-four"),
    ("tcp4", 0, b"\x4f", "ihl-past-the-end"),
    ("udp4", 0, b"\x43", "ihl-of-three"),
    ("tcp4", 32, b"\x40", "data-offset-of-four"),
    ("tcp4", 32, b"\xf0", "data-offset-past-the-end"),
    ("tcp6", 52, b"\x40", "data-offset-of-four"),
    ("tcp6", 52, b"\xf0", "data-offset-past-the-end"),
):
    _between(
        _kind,
        _name,
        "A packet whose header claims to be shorter than any header can be, or longer than the packet.",
        patched(Flow(KINDS[_kind]).packet(), _offset, _value),
        ideal=_CLOSES,
        flags=("HeaderLength",),
    )
