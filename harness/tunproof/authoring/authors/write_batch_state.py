"""Batches after other batches, and in memory that is not clean: nothing of what was there may show."""

from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.packet import Raw

from tunproof.authoring.authors.batching import KINDS, alone, put, tcp
from tunproof.authoring.draft import Topic, bug, uapi
from tunproof.packets.builder import Flow, ip4, ip6, patched, payload, whole

after = Topic("write_batch", "after", basis=(uapi("Documentation/networking/tuntap.rst", "one write is one packet"),))
poison = Topic(
    "write_batch",
    "unclean-memory",
    basis=(bug("https://github.com/WireGuard/wireguard-go/pull/145", "wireguard-go"),),
)
TOPICS = (after, poison)

_LEAKS = ("BatchStateLeaks",)

for _kind, _headers in KINDS.items():
    _flow = Flow(_headers)
    put(
        after,
        f"{_kind}-flow-goes-on",
        "The flow of the previous batch continues. What was written is gone: only these packets are joined.",
        before=[_flow.packets(16, 16)],
        packets=_flow.packets(16, 16),
        ideal=((0, 1),),
        flags=(*_LEAKS, "ExtraBytes") if "udp" in _kind else _LEAKS,
        importance="critical",
    )
    _flow = Flow(_headers)
    put(
        after,
        f"{_kind}-one-packet-goes-on",
        "One packet that continues the previous batch: it goes out now, alone, and does not wait for more.",
        before=[_flow.packets(16, 16), _flow.packets(16)],
        packets=_flow.packets(16),
        ideal=alone(1),
        flags=_LEAKS,
    )
    _packets = Flow(_headers).packets(16, 16, 9)
    put(
        after,
        f"{_kind}-same-batch-again",
        "The same batch twice: all of it comes out twice.",
        before=[_packets],
        packets=_packets,
        ideal=((0, 1, 2),),
        flags=_LEAKS,
    )
    put(
        after,
        f"{_kind}-larger-batch-before",
        "The previous batch had more and larger packets: no more comes out of this one than went in.",
        before=[Flow(_headers, seed=77).packets(*[200] * 12)],
        packets=Flow(_headers).packets(16, 16, 9),
        ideal=((0, 1, 2),),
        flags=_LEAKS,
        importance="critical",
    )
    put(
        after,
        f"{_kind}-nothing-after-something",
        "A batch without packets after one with some: nothing is written a second time.",
        before=[Flow(_headers).packets(16, 16)],
        packets=[],
        ideal=(),
        flags=_LEAKS,
    )

_ORDINARY = Flow(KINDS["tcp4"], seed=5)
_BAD_BEFORE: dict[str, tuple[list[bytes], str]] = {
    "byte": ([b"\x45"], "one byte, which no kernel delivers"),
    "non-ip": ([b"\x50" + bytes(40)], "a packet that is not IP"),
    "empty": ([b""], "an empty item"),
    "cut-off": ([Flow(KINDS["tcp4"]).packet()[:30]], "a packet that is cut off"),
    "fragment": ([whole(ip4(flags="MF", proto=6) / Raw(payload(24)))], "the first fragment of a packet"),
    "wrong-checksum": ([patched(Flow(KINDS["tcp4"]).packet(), 36, b"\xab\xcd")], "a packet with a wrong checksum"),
    "short-tail": (Flow(KINDS["tcp4"]).packets(16, 16, 3), "a superpacket ended by a short packet"),
    "reset": ([whole(ip4() / tcp(flags="R"))], "a reset of the connection"),
}
for _name, (_batch, _what) in _BAD_BEFORE.items():
    put(
        after,
        f"tcp4-{_name}-before",
        f"The previous batch held {_what}. This one is joined as if nothing had happened.",
        before=[_batch],
        packets=Flow(KINDS["tcp4"]).packets(16, 16, 16),
        ideal=((0, 1, 2),),
        flags=_LEAKS,
    )
put(
    after,
    "many-batches-before",
    "Many batches of one packet each, then this one: only its own packets come out.",
    before=[[_ORDINARY.packet()] for _ in range(40)],
    packets=_ORDINARY.packets(16, 16),
    ideal=((0, 1),),
    flags=_LEAKS,
)

# The memory around the packets is full of ones: a vnet header that was never written would show.

_STALE = ("StaleVnetHeader",)
_SINGLE: dict[str, tuple[bytes, str]] = {
    "tcp4-pure-ack": (Flow(KINDS["tcp4"]).packet(0), "A pure acknowledgment"),
    "tcp6-syn": (whole(ip6() / tcp(flags="S", ack=0)), "A SYN"),
    "udp4-single": (Flow(KINDS["udp4"]).packet(), "A single datagram"),
    "udp6-empty": (Flow(KINDS["udp6"]).packet(0), "An empty datagram"),
    "icmp": (whole(ip4() / ICMP() / Raw(b"ping")), "An ICMP packet"),
    "icmpv6": (whole(ip6() / ICMPv6EchoRequest(data=b"ping")), "An ICMPv6 packet"),
    "fragment": (whole(ip4(flags="MF", proto=6) / Raw(payload(24))), "A fragment"),
    "cut-off": (Flow(KINDS["tcp4"]).packet()[:30], "A packet that is cut off"),
}
for _name, (_packet, _what) in _SINGLE.items():
    put(
        poison,
        _name,
        f"{_what} goes out behind a vnet header that was written for it, whatever was in its place.",
        [_packet],
        ideal=alone(1),
        poison=b"\xff",
        flags=(*_STALE, "VnetHeaderMissing"),
        importance="critical",
    )
for _kind, _headers in KINDS.items():
    put(
        poison,
        f"{_kind}-joined",
        "Joined packets: each field of the vnet header is written, and nothing that follows the packets in memory is "
        "sent.",
        Flow(_headers).packets(16, 16, 9),
        ideal=((0, 1, 2),),
        poison=b"\xff",
        flags=_STALE,
        importance="critical",
    )
    _flow = Flow(_headers)
    put(
        poison,
        f"{_kind}-short-after-long",
        "A single packet, shorter than the superpacket before it, in the same memory: nothing of that one shows.",
        before=[_flow.packets(200, 200, 200)],
        packets=_flow.packets(9),
        ideal=alone(1),
        poison=b"\x5a",
        flags=_STALE,
    )
