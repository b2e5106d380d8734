"""Adding fds and closing them, on wires, which need no privileges.

Not covered: a `read` that fails with EINVAL, or an ioctl with an unusual result, needs an fd that lies, and a wire
never does; memory that is freed right after a write, and a second reader, can only be tested in the implementation's
own language.
"""

from scapy.layers.inet import TCP

from tunproof.authoring.draft import Topic, contract
from tunproof.authoring.lives import (
    CLOSED,
    CLOSED_FOR_GOOD,
    CONCURRENT,
    NOTHING_OPEN,
    REFUSED,
    add_life,
    does,
    feed,
    gso_step,
    opened,
    packet,
    read_gives,
    reader_gets,
    reader_is_woken,
    reader_waits,
    reads,
    taken,
    write,
    writer_waits,
    writes,
)
from tunproof.corpus.script import (
    Add,
    Close,
    CloseQueue,
    Count,
    FinishWrite,
    HangUp,
    LetGo,
    OpenOther,
    OpenWire,
    Queues,
    Read,
    Renew,
    WriteStep,
)
from tunproof.packets.builder import ip4, payload, pieces

adding = Topic("lifecycle", "adding", requires=("lifecycle.wire",), basis=(contract("Container.add, A1 to A7"),))
closing = Topic("lifecycle", "closing", requires=("lifecycle.wire",), basis=(contract("Container.close, W7"),))
TOPICS = (adding, closing)

_GSO = pieces(ip4() / TCP(flags="PA"), [payload(20, seed=1), payload(20, seed=2), payload(7, seed=3)])

# Adding.

add_life(
    adding,
    "one-queue",
    "A container accepts an fd, lists its queue, reads, writes and closes.",
    does(Queues(), Count(count=0)),
    *opened("a"),
    does(Queues(), Count(count=1)),
    *reads("a", packet(1)),
    *writes("a", packet(2)),
    does(Close()),
    flags=("Basic",),
    importance="critical",
)
add_life(
    adding,
    "two-queues",
    "Each queue reads and writes its own fd.",
    *opened("a"),
    *opened("b"),
    does(Queues(), Count(count=2)),
    feed("b", packet(1)),
    *reads("a", packet(2)),
    read_gives("b", packet(1)),
    write("b", packet(3)),
    *writes("a", packet(4)),
    taken("b", packet(3)),
    flags=("Basic",),
)
add_life(
    adding,
    "large-number",
    "An fd whose number does not fit the bitmap of `select` works like any other.",
    does(OpenWire(fd="a", least=1024)),
    does(Add(fd="a")),
    reader_waits("a"),
    feed("a", packet(1)),
    reader_gets("a", packet(1)),
    *writes("a", packet(2)),
    flags=("LargeDescriptor",),
    requires=(CONCURRENT,),
)
add_life(
    adding,
    "closed-fd",
    "An fd that is not open is refused, and the container works as before.",
    does(OpenOther(fd="x", what="closed")),
    does(Add(fd="x"), REFUSED),
    does(Queues(), Count(count=0)),
    *opened("a"),
    *writes("a", packet(1)),
    flags=("AddRefusedHalfway",),
    sibling="one-queue",
)
add_life(
    adding,
    "same-fd-twice",
    "An fd that is already a queue is refused, and the queue keeps working.",
    *opened("a"),
    does(Add(fd="a"), REFUSED),
    does(Queues(), Count(count=1)),
    *reads("a", packet(1)),
    *CLOSED_FOR_GOOD,
    flags=("AddRefusedHalfway",),
    sibling="two-queues",
    level="should",
)
add_life(
    adding,
    "after-close",
    "A closed container accepts no fd; the fd stays the caller's, and open.",
    does(Close()),
    does(OpenWire(fd="a")),
    does(Add(fd="a"), CLOSED, REFUSED),
    does(LetGo(fd="a")),
    NOTHING_OPEN,
    flags=("AddAfterClose", "AddRefusedHalfway"),
    sibling="one-queue",
)
add_life(
    adding,
    "refused-leaks-nothing",
    "An add that fails leaves no fd behind, however often it is tried.",
    does(OpenOther(fd="x", what="closed")),
    *(does(Add(fd="x"), REFUSED) for _ in range(3)),
    NOTHING_OPEN,
    does(Close()),
    flags=("DescriptorLeak",),
    sibling="one-queue",
)

# Closing.

add_life(
    closing,
    "empty-container",
    "A container without queues is closed like any other.",
    does(Close()),
    does(Queues(), Count(count=0)),
    NOTHING_OPEN,
    flags=("DescriptorLeak",),
)
add_life(
    closing,
    "twice",
    "Closing a second time is harmless.",
    *opened("a"),
    does(Close()),
    *CLOSED_FOR_GOOD,
    flags=("DoubleClose",),
)
add_life(
    closing,
    "queue-twice",
    "Closing a queue a second time, and its container after it, is harmless.",
    *opened("a"),
    does(CloseQueue(fd="a")),
    does(CloseQueue(fd="a")),
    *CLOSED_FOR_GOOD,
    flags=("DoubleClose",),
)
add_life(
    closing,
    "another-fd-in-its-place",
    "A second close must not close an fd that was given the same number in between.",
    *opened("a"),
    does(CloseQueue(fd="a")),
    does(OpenWire(fd="b")),
    does(CloseQueue(fd="a")),
    does(Close()),
    does(LetGo(fd="b")),
    flags=("DoubleClose",),
    importance="critical",
)
for _name, _step in (
    ("read", Read(fd="a")),
    ("write", WriteStep(fd="a", packet=packet(1))),
    ("write-gso", gso_step("a", _GSO)),
):
    add_life(
        closing,
        f"{_name}-after",
        "A call after close reports that the queue is closed, even if there is something to read or room to write.",
        *opened("a"),
        feed("a", packet(2)),
        does(Close()),
        does(_step, CLOSED),
        flags=("UseAfterClose",),
        sibling="lifecycle/adding/one-queue",
    )
add_life(
    closing,
    "queue-alone",
    "One queue is closed and the other keeps working; the container may or may not still list the first.",
    *opened("a"),
    *opened("b"),
    does(CloseQueue(fd="a")),
    does(Read(fd="a"), CLOSED),
    does(Queues(), Count(count=2), Count(count=1)),
    *reads("b", packet(1)),
    *writes("b", packet(2)),
    *CLOSED_FOR_GOOD,
    flags=("UseAfterClose",),
)
for _name, _close in (("container", Close()), ("queue", CloseQueue(fd="a"))):
    add_life(
        closing,
        f"{_name}-wakes-reader",
        "A waiting reader returns when the queue is closed.",
        *opened("a"),
        reader_waits("a"),
        does(_close),
        reader_is_woken("a"),
        *CLOSED_FOR_GOOD,
        flags=("CloseWakes", "ParkedReader"),
        requires=(CONCURRENT,),
        importance="critical",
    )
    add_life(
        closing,
        f"{_name}-wakes-writer",
        "A writer that waits for room returns when the queue is closed.",
        *opened("a"),
        writer_waits("a"),
        does(_close),
        does(FinishWrite(fd="a"), CLOSED),
        *CLOSED_FOR_GOOD,
        flags=("CloseWakes",),
        requires=(CONCURRENT,),
    )
add_life(
    closing,
    "wakes-everybody",
    "A reader on each of two queues, and two writers on one of them: close wakes all four.",
    *opened("a"),
    *opened("b"),
    reader_waits("a"),
    reader_waits("b"),
    writer_waits("b"),
    writer_waits("b"),
    does(Close()),
    reader_is_woken("b"),
    reader_is_woken("a"),
    does(FinishWrite(fd="b"), CLOSED),
    does(FinishWrite(fd="b"), CLOSED),
    flags=("CloseWakes", "ConcurrentWriters"),
    requires=(CONCURRENT,),
)
add_life(
    closing,
    "five-times-leaks-nothing",
    "Opening and closing five times leaves no fd behind.",
    *(line for number in range(5) for line in (*opened(f"a{number}"), does(Close()), does(Renew()))),
    NOTHING_OPEN,
    flags=("DescriptorLeak",),
)
add_life(
    closing,
    "reader-parked-then-new-session",
    "A new session starts after a close with a waiting reader: nothing of the old one holds an fd or takes a packet.",
    *opened("a"),
    reader_waits("a"),
    does(Close()),
    reader_is_woken("a"),
    NOTHING_OPEN,
    does(Renew()),
    *opened("b"),
    *reads("b", packet(1)),
    flags=("ParkedReader",),
    requires=(CONCURRENT,),
)
add_life(
    closing,
    "far-end-gone",
    "The far end hung up: reads and writes report it every time, and do not spin.",
    *opened("a"),
    does(HangUp(fd="a")),
    does(Read(fd="a"), CLOSED),
    write("a", packet(1), CLOSED),
    does(Read(fd="a"), CLOSED),
    *CLOSED_FOR_GOOD,
    flags=("DeviceVanished", "EmptyIsNoEnd"),
)
add_life(
    closing,
    "far-end-gone-after-a-packet",
    "What was sent before the far end hung up is still read.",
    *opened("a"),
    feed("a", packet(1)),
    does(HangUp(fd="a")),
    read_gives("a", packet(1)),
    does(Read(fd="a"), CLOSED),
    flags=("EmptyIsNoEnd",),
)
add_life(
    closing,
    "far-end-gone-with-frames-unread",
    "The far end hung up with frames unread, which the fd may report once (ECONNRESET): what came before is still "
    "read.",
    *opened("a"),
    write("a", packet(2)),
    feed("a", packet(1)),
    does(HangUp(fd="a")),
    read_gives("a", packet(1)),
    does(Read(fd="a"), CLOSED),
    flags=("EmptyIsNoEnd",),
    level="should",
)
add_life(
    closing,
    "far-end-wakes-reader",
    "A waiting reader returns when the far end hangs up.",
    *opened("a"),
    reader_waits("a"),
    does(HangUp(fd="a")),
    reader_is_woken("a"),
    flags=("DeviceVanished",),
    requires=(CONCURRENT,),
)
add_life(
    closing,
    "far-end-wakes-writer",
    "A waiting writer returns when the far end hangs up.",
    *opened("a"),
    writer_waits("a"),
    does(HangUp(fd="a")),
    does(FinishWrite(fd="a"), CLOSED),
    flags=("DeviceVanished",),
    requires=(CONCURRENT,),
)
add_life(
    closing,
    "one-far-end-gone",
    "One of two queues has lost its far end: the other keeps working, and both are closed.",
    *opened("a"),
    *opened("b"),
    does(HangUp(fd="a")),
    write("a", packet(1), CLOSED),
    *reads("b", packet(2)),
    *CLOSED_FOR_GOOD,
    flags=("DeviceVanished", "DescriptorLeak"),
)
