"""Reading and writing over a queue's life, on wires: what a call leaves behind, what is lent, and what waits."""

from scapy.layers.inet import TCP, UDP

from tunproof.authoring.draft import Topic, contract, uapi
from tunproof.authoring.lives import (
    CLOSED,
    CONCURRENT,
    DONE,
    LENT,
    REFUSED,
    ScriptLine,
    add_life,
    does,
    feed,
    feed_frame,
    gso_step,
    opened,
    packet,
    packets,
    read_gives,
    reader_gets,
    reader_is_woken,
    reader_waits,
    reads,
    taken,
    whole,
    write,
    writer_waits,
    writes,
)
from tunproof.corpus.script import (
    Close,
    FinishWrite,
    Grow,
    Look,
    Read,
    Released,
)
from tunproof.packets.builder import frame, ip4, ip6, payload, pieces, superpacket

reading = Topic("lifecycle", "reading", requires=("lifecycle.wire",), basis=(contract("Queue.read, W1 and W8"),))
writing = Topic("lifecycle", "writing", requires=("lifecycle.wire",), basis=(contract("Queue.write, W4 to W7"),))
plain = Topic(
    "lifecycle",
    "plain",
    requires=("lifecycle.wire", "lifecycle.plain"),
    basis=(contract("Queue without GSOWriter"), uapi("include/uapi/linux/if_tun.h", "IFF_VNET_HDR")),
)
TOPICS = (reading, writing, plain)

_RELEASED = Released()
_ONE_QUEUE = "lifecycle/adding/one-queue"  # plain packets, read and written: it requires no superpackets
_TCP4, _TCP6, _UDP4 = "gso.tcp4", "gso.tcp6", "gso.udp4"


def _data(*sizes: int, seed: int = 0) -> list[bytes]:
    return [payload(size, seed=seed + index) for index, size in enumerate(sizes)]


def _segments(count: int, seed: int) -> tuple[bytes, ...]:
    """Return the packets that the superpacket of `_super` stands for."""
    data = payload(8 * count, seed=seed)
    return tuple(
        bytes(ip4(id=seed + index) / TCP(flags="A", seq=1000 + 8 * index) / data[8 * index : 8 * index + 8])
        for index in range(count)
    )


def _super(count: int, seed: int) -> ScriptLine:
    """Return the line that lets a queue read a superpacket of some segments of 8 bytes."""
    headers = ip4(id=seed) / TCP(flags="A", seq=1000)
    return feed_frame("a", superpacket(headers, payload(8 * count, seed=seed), gso_size=8))


_GSO = pieces(ip4() / TCP(flags="PA"), _data(20, 20, 7))
_SHORT_GSO = pieces(ip4(id=9) / TCP(flags="A", seq=9), _data(9, 9, seed=4))
_GSO6 = pieces(ip6() / TCP(flags="PA"), _data(30, 30, seed=6))
_USO = pieces(ip4() / UDP(), _data(25, 25, seed=8))
_BAD_GSO = pieces(ip4() / TCP(flags="PA"), _data(20, 9, 20))

# Reading.

add_life(
    reading,
    "one-after-another",
    "Each read gives the packets of one frame, in the order in which the frames came.",
    *opened("a"),
    feed("a", packet(1)),
    feed("a", packet(2)),
    _super(3, 5),
    feed("a", packet(3)),
    read_gives("a", packet(1)),
    read_gives("a", packet(2)),
    read_gives("a", *_segments(3, 5)),
    read_gives("a", packet(3)),
    flags=("Basic",),
    requires=(_TCP4,),
)
add_life(
    reading,
    "long-then-short",
    "A superpacket, a shorter one and a packet: no segment of the first is handed out again.",
    *opened("a"),
    _super(9, 5),
    _super(2, 77),
    feed("a", packet(1)),
    read_gives("a", *_segments(9, 5)),
    read_gives("a", *_segments(2, 77)),
    read_gives("a", packet(1)),
    flags=("LentTooLong",),
    requires=(_TCP4,),
)
add_life(
    reading,
    "waiting-reader",
    "A waiting reader gets the packet that arrives, and the next read waits again.",
    *opened("a"),
    reader_waits("a"),
    feed("a", packet(1)),
    reader_gets("a", packet(1)),
    reader_waits("a"),
    feed("a", packet(2)),
    reader_gets("a", packet(2)),
    flags=("CloseWakes",),
    requires=(CONCURRENT,),
)
add_life(
    reading,
    "empty-datagram",
    "An empty datagram is dropped like any frame without a header; it is not the end of the wire.",
    *opened("a"),
    feed_frame("a", b""),
    *reads("a", packet(1)),
    flags=("EmptyIsNoEnd",),
    sibling=_ONE_QUEUE,
)
_BAD = (
    ("unknown-type", superpacket(ip4() / TCP(flags="A"), payload(24), gso_size=8, gso_type=2)),
    ("gso-size-zero", superpacket(ip4() / TCP(flags="A"), payload(24), gso_size=0)),
    ("header-cut-off", bytes(5)),
    ("unknown-version", frame(b"\x55" * 40)),
)
for _name, _bad in _BAD:
    add_life(
        reading,
        f"good-after-{_name}",
        "A frame that cannot be read is dropped, and the same read continues with the next one.",
        *opened("a"),
        feed_frame("a", _bad),
        *reads("a", packet(1)),
        flags=("BadFrameStopsReader",),
        sibling=_ONE_QUEUE,
    )
add_life(
    reading,
    "waiting-reader-and-a-bad-frame",
    "A frame that cannot be read does not end a waiting reader, and is not delivered.",
    *opened("a"),
    reader_waits("a"),
    feed_frame("a", _BAD[0][1]),
    feed("a", packet(1)),
    reader_gets("a", packet(1)),
    flags=("BadFrameStopsReader",),
    requires=(CONCURRENT,),
    sibling="waiting-reader",
)

# Lending.

add_life(
    reading,
    "lent-until-the-next-read",
    "All segments of a superpacket can be examined after the read, in any order, even after a write.",
    *opened("a"),
    _super(3, 5),
    feed("a", packet(1)),
    read_gives("a", *_segments(3, 5)),
    write("a", packet(2)),
    *(does(Look(fd="a", packet=index), packets(_segments(3, 5)[index])) for index in (2, 0, 1)),
    flags=("LentTooLong",),
    requires=(LENT, _TCP4),
)
add_life(
    reading,
    "lent-and-read-on",
    "After the next read a packet is gone or still shows its own bytes; it never shows another packet's.",
    *opened("a"),
    feed("a", packet(1)),
    feed("a", packet(2)),
    _super(3, 5),
    read_gives("a", packet(1)),
    read_gives("a", packet(2)),
    does(Look(fd="a", packet=0, reads_ago=1), _RELEASED, packets(packet(1))),
    read_gives("a", *_segments(3, 5)),
    does(Look(fd="a", packet=0, reads_ago=1), _RELEASED, packets(packet(2))),
    does(Look(fd="a", packet=0, reads_ago=2), _RELEASED, packets(packet(1))),
    does(Look(fd="a", packet=0), packets(_segments(3, 5)[0])),
    flags=("LentTooLong",),
    requires=(LENT, _TCP4),
    level="should",
)
add_life(
    reading,
    "lent-and-closed",
    "After close a packet is gone or still shows its own bytes.",
    *opened("a"),
    *reads("a", packet(1)),
    does(Close()),
    does(Look(fd="a", packet=0), _RELEASED, packets(packet(1))),
    flags=("LentTooLong", "UseAfterClose"),
    requires=(LENT,),
    level="should",
)
add_life(
    reading,
    "segment-that-grows",
    "Bytes appended to the first segment do not reach the second, and the next read is intact.",
    *opened("a"),
    _super(3, 5),
    feed("a", packet(1)),
    read_gives("a", *_segments(3, 5)),
    does(Grow(fd="a", packet=0, data=b"\xff" * 16), DONE, REFUSED),
    does(Look(fd="a", packet=1), packets(_segments(3, 5)[1])),
    does(Look(fd="a", packet=2), packets(_segments(3, 5)[2])),
    read_gives("a", packet(1)),
    flags=("LentOverrun",),
    requires=(LENT, _TCP4),
)

# Writing.

add_life(
    writing,
    "order",
    "Plain packets and superpackets leave in the order in which they were written.",
    *opened("a"),
    write("a", packet(1)),
    does(gso_step("a", _GSO)),
    write("a", packet(2)),
    does(gso_step("a", _SHORT_GSO)),
    taken("a", packet(1), whole(_GSO), packet(2), whole(_SHORT_GSO)),
    flags=("WriteOrder",),
    requires=(_TCP4,),
)
add_life(
    writing,
    "plain-after-superpacket",
    "The vnet header of a plain packet keeps nothing of the superpacket before it.",
    *opened("a"),
    does(gso_step("a", _GSO)),
    taken("a", whole(_GSO)),
    *writes("a", packet(1)),
    flags=("WriterState", "StaleVnetHeader"),
    requires=(_TCP4,),
    importance="critical",
)
add_life(
    writing,
    "short-after-long-superpacket",
    "Three fragments, then two, then one: nothing of a longer superpacket follows a shorter one.",
    *opened("a"),
    does(gso_step("a", _GSO)),
    does(gso_step("a", _SHORT_GSO)),
    does(gso_step("a", pieces(ip4() / TCP(flags="A"), _data(5)))),
    taken("a", whole(_GSO), whole(_SHORT_GSO), whole(pieces(ip4() / TCP(flags="A"), _data(5)))),
    flags=("WriterState",),
    requires=(_TCP4,),
)
add_life(
    writing,
    "protocols-in-turn",
    "TCP over IPv6, UDP and TCP over IPv4 in turn: each has its own type and offsets.",
    *opened("a"),
    does(gso_step("a", _GSO6)),
    does(gso_step("a", _USO)),
    does(gso_step("a", _GSO)),
    taken("a", whole(_GSO6), whole(_USO), whole(_GSO)),
    flags=("WriterState",),
    requires=(_TCP4, _TCP6, _UDP4),
)
add_life(
    writing,
    "after-a-refused-superpacket",
    "A refused superpacket writes nothing, and the next packet and superpacket are written as usual.",
    *opened("a"),
    does(gso_step("a", _BAD_GSO), REFUSED),
    write("a", packet(1)),
    does(gso_step("a", _BAD_GSO), REFUSED),
    does(gso_step("a", _GSO)),
    taken("a", packet(1), whole(_GSO)),
    flags=("WriterState", "UnequalFragments"),
    requires=(_TCP4,),
    sibling="order",
)
add_life(
    writing,
    "after-a-refused-packet",
    "A refused packet writes nothing, and the next one is written as usual.",
    *opened("a"),
    write("a", b"\x55" * 40, REFUSED),
    *writes("a", packet(1)),
    flags=("WriterState", "UnknownVersion"),
    sibling=_ONE_QUEUE,
    level="should",
)
add_life(
    writing,
    "empty-between",
    "Writing an empty packet succeeds, writes nothing, and does not end the wire.",
    *opened("a"),
    write("a", packet(1)),
    write("a", b""),
    write("a", packet(2)),
    taken("a", packet(1), packet(2)),
    flags=("EmptyWrite",),
)
add_life(
    writing,
    "waiting-writer",
    "A writer waits for room, and then continues: every packet arrives once.",
    *opened("a"),
    writer_waits("a"),
    does(FinishWrite(fd="a")),
    taken("a", *[packet(1)] * 64),
    flags=("CloseWakes",),
    requires=(CONCURRENT,),
)
add_life(
    writing,
    "two-waiting-writers",
    "Two writers wait for room on one queue, and both continue: every packet arrives once and whole.",
    *opened("a"),
    writer_waits("a"),
    writer_waits("a"),
    does(FinishWrite(fd="a")),
    does(FinishWrite(fd="a")),
    taken("a", *[packet(1)] * 128),
    flags=("ConcurrentWriters",),
    requires=(CONCURRENT,),
)
add_life(
    writing,
    "while-a-reader-waits",
    "A waiting reader does not block a writer, and gets none of its packets.",
    *opened("a"),
    reader_waits("a"),
    write("a", packet(1)),
    does(gso_step("a", _GSO)),
    taken("a", packet(1), whole(_GSO)),
    feed("a", packet(2)),
    reader_gets("a", packet(2)),
    flags=("ConcurrentWriters",),
    requires=(CONCURRENT, _TCP4),
)

# Without vnet headers.

add_life(
    plain,
    "read-and-write",
    "Packets are read and written bare, one per call.",
    *opened("a"),
    feed_frame("a", packet(1)),
    feed_frame("a", packet(2)),
    read_gives("a", packet(1)),
    read_gives("a", packet(2)),
    write("a", packet(3)),
    write("a", packet(4)),
    taken("a", packet(3), packet(4)),
    does(Close()),
    backend="plain",
    flags=("HeaderlessBackend",),
)
add_life(
    plain,
    "superpacket",
    "Without a vnet header a superpacket cannot be described: it is refused, and the next packet goes out.",
    *opened("a"),
    does(gso_step("a", _GSO), REFUSED),
    *writes("a", packet(1)),
    backend="plain",
    flags=("HeaderlessBackend",),
    sibling="read-and-write",
)
add_life(
    plain,
    "empty",
    "Writing an empty packet succeeds and writes nothing; an empty datagram is not the end of the wire.",
    *opened("a"),
    write("a", b""),
    *writes("a", packet(1)),
    feed_frame("a", b""),
    feed_frame("a", packet(2)),
    read_gives("a", packet(2)),
    backend="plain",
    flags=("EmptyWrite", "EmptyIsNoEnd"),
)
add_life(
    plain,
    "close-wakes-reader",
    "A waiting reader returns when the container is closed.",
    *opened("a"),
    reader_waits("a"),
    does(Close()),
    reader_is_woken("a"),
    does(Read(fd="a"), CLOSED),
    write("a", packet(1), CLOSED),
    backend="plain",
    flags=("CloseWakes", "UseAfterClose"),
    requires=(CONCURRENT,),
)
add_life(
    plain,
    "lent-and-read-on",
    "After the next read a packet is gone or still shows its own bytes; it never shows another packet's.",
    *opened("a"),
    feed_frame("a", packet(1)),
    feed_frame("a", packet(2)),
    read_gives("a", packet(1)),
    does(Look(fd="a", packet=0), packets(packet(1))),
    read_gives("a", packet(2)),
    does(Look(fd="a", packet=0, reads_ago=1), _RELEASED, packets(packet(1))),
    backend="plain",
    flags=("LentTooLong",),
    requires=(LENT,),
    level="should",
)
