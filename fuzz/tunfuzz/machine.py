"""A stateful machine: containers and queues, used by several threads, against a simple model of the contract.

Queues use wires (SOCK_SEQPACKET socket pairs), so no privileges are needed. Rules A1 to A7 are those of
`tio.container`, W1 to W9 those of `tio.queue`. Whatever may wait runs in its own thread (`Call`), and nothing takes
longer than `patience`. After each example every fd and thread is gone.
"""

import fcntl
import itertools
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import tio
from tio.container import BaseContainer
from tio.virtio import HEADER_SIZE
from tunfuzz import cargo
from tunfuzz.contract import Wire, expect, is_open, must, open_fds, pick, wire_pair
from tunproof.subjects.lifecycle.calls import Call

__all__ = ["OffloadMachine", "PollMachine", "QueueMachine"]

T = TypeVar("T")

_MOST_WIRES = 3
_TOO_MANY = 64
_WHICH = st.integers(0, _MOST_WIRES - 1)
_BUFFERS = st.sampled_from((bytes, bytearray, memoryview))
_FRAMES = st.sampled_from(cargo.KINDS)
_SEGMENTS = st.integers(2, 5)
_SELDOM = st.sampled_from((True, False, False, False))  # whether to do what leaves other rules nothing to do


class QueueMachine(RuleBasedStateMachine):
    """Does to a container what programs do, in any order.

    Attributes:
        make: the kind of container.
        patience: seconds that anything may take.
    """

    make: ClassVar[type[BaseContainer]]
    patience: ClassVar[float] = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.fds = open_fds()
        self.container = self.make()
        self.is_open = True
        self.wires: list[Wire] = []
        self.calls: list[Call[Any]] = []
        self.numbers = itertools.count(2)

    # Adding.

    @initialize()
    def add_the_first(self) -> None:
        """Most rules need a queue."""
        self.add()

    @precondition(lambda self: self.is_open and len(self.wires) < _MOST_WIRES)
    @rule()
    def add(self) -> None:
        """Add an fd: it is the container's now, the last of its queues, and non-blocking (A7)."""
        near, peer = wire_pair()
        fd = near.fileno()
        self.do(partial(self.container.add, fd))
        near.detach()
        self.wires.append(Wire(self.container.queues()[-1], fd, peer))
        must(self.wires[-1].queue.fd == fd, "the last queue is not that of the fd")
        must(bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK), "A7: O_NONBLOCK is not set")

    @rule(fd=st.sampled_from((None, -1, 1 << 20, 1 << 40)))
    def add_what_cannot_be_added(self, fd: int | None) -> None:
        """Add a number that is not an fd, or an fd that already is a queue, and stays one (A2)."""
        taken = next((wire.fd for wire in self.wires if wire.open), -1)
        self.refused(taken if fd is None else fd)
        must(taken < 0 or is_open(taken), "A2: a refused fd is closed")

    @precondition(lambda self: not self.is_open)
    @rule()
    def add_after_close(self) -> None:
        """Add to a closed container (A1): the fd stays the caller's, open, with its flags."""
        near, peer = wire_pair()
        flags = fcntl.fcntl(near, fcntl.F_GETFL)
        try:
            self.refused(near.fileno())
            must(is_open(near.fileno()), "A1: a refused fd is closed")
            must(fcntl.fcntl(near, fcntl.F_GETFL) == flags, "A1: the flags of a refused fd are changed")
        finally:
            peer.close()
            if is_open(near.fileno()):
                near.close()
            near.detach()

    def refused(self, fd: int) -> None:
        """Test that `add` refuses an fd and changes nothing."""
        error, which = (tio.AddRefused, "A2") if self.is_open else (tio.Closed, "A1")
        queues, fds = self.container.queues(), open_fds()
        raised = expect(error, partial(self.do, partial(self.container.add, fd)), which)
        must(getattr(raised, "rule", which) == which, f"{which}: refused by {raised}")
        must(self.container.queues() == queues, f"{which}: a refused fd is listed")
        must(open_fds() == fds, f"{which}: a refused fd was closed, or another opened")

    # Reading.

    @precondition(lambda self: any(wire.can_be_fed() for wire in self.wires))
    @rule(which=_WHICH, kind=_FRAMES, segments=_SEGMENTS)
    def feed(self, which: int, kind: cargo.Kind, segments: int) -> None:
        """Send a frame; a waiting reader gets it, unless it is unreadable (W8)."""
        self.feed_to(pick(self.wires, which, Wire.can_be_fed), kind, segments)

    def feed_to(self, wire: Wire, kind: cargo.Kind, segments: int) -> None:
        """Send a frame to a queue, and test what a waiting reader gets."""
        frame, packets = cargo.frame(kind, next(self.numbers), segments, headers=self.make.vnet_header)
        wire.feed(frame, packets)
        if wire.reader is not None and packets:
            wire.check_read(wire.reader.result(), wire.next_packets())
            wire.reader = None

    @precondition(lambda self: any(wire.reader is None for wire in self.wires))
    @rule(which=_WHICH, kind=_FRAMES, segments=_SEGMENTS, keep=st.booleans())
    def feed_and_read(self, which: int, kind: cargo.Kind, segments: int, *, keep: bool) -> None:
        """Feed and read, after taking a slice of a lent view: it must keep its bytes forever (W1)."""
        wire = pick(self.wires, which, lambda wire: wire.reader is None)
        if keep and wire.lent.now:
            wire.lent.keep(segments)
        if wire.can_be_fed():
            self.feed_to(wire, kind, segments)
        self.read_from(wire)

    @precondition(lambda self: any(wire.reader is None for wire in self.wires))
    @rule(which=_WHICH)
    def read(self, which: int) -> None:
        """Read the next readable frame, which ends the lending (W1). If there is none, wait (W7)."""
        self.read_from(pick(self.wires, which, lambda wire: wire.reader is None))

    def read_from(self, wire: Wire) -> None:
        """Test one read, or start one that waits."""
        call = self.call(wire.queue.read)
        packets = wire.next_packets() if wire.open else ()
        if packets:
            wire.lent.end()
            wire.check_read(call.result(), packets)
        elif wire.works:
            must(call.waits(), "W7: a read without a frame must wait")
            wire.lent.end()
            wire.reader = call
        else:
            expect(tio.Closed, call.result, "I2: a read after close, or after the wire's end")
            wire.lent.end()

    @precondition(lambda self: any(wire.reader is not None for wire in self.wires))
    @rule(which=_WHICH)
    def read_twice(self, which: int) -> None:
        """Read while another read waits: that is refused, and the first reader keeps waiting (W2)."""
        wire = pick(self.wires, which, lambda wire: wire.reader is not None)
        expect(tio.ConcurrentRead, partial(self.do, wire.queue.read), "W2: a second reader")
        must(wire.reader is None or not wire.reader.ended(0), "W2: a second reader disturbed the first")

    # Writing.

    @precondition(lambda self: any(wire.has_room() for wire in self.wires))
    @rule(which=_WHICH, kind=_BUFFERS)
    def write(self, which: int, kind: Callable[[bytes], tio.Buffer]) -> None:
        """Write a packet: it goes out whole, and the caller's buffer is unchanged (W6); not after close (I2)."""
        wire, packet = pick(self.wires, which, Wire.has_room), cargo.plain(next(self.numbers))
        buffer = kind(packet)
        if not wire.works:
            expect(tio.Closed, partial(self.do, partial(wire.queue.write, buffer)), "I2: a write after close")
            return
        must(self.do(partial(wire.queue.write, buffer)) == len(packet), "write returns the length of the packet")
        must(bytes(buffer) == packet, "W6: the caller's buffer was changed")
        wire.outbound.append(self.header + packet)

    @precondition(lambda self: any(wire.has_room() for wire in self.wires))
    @rule(which=_WHICH, segments=_SEGMENTS)
    def write_gso(self, which: int, segments: int) -> None:
        """Write a superpacket: it goes out as one frame; a backend without vnet headers refuses it."""
        wire, load = pick(self.wires, which, Wire.has_room), cargo.superpacket(next(self.numbers), segments)
        call = partial(self.do, partial(wire.queue.write_gso, load.hdr, load.transport_hdr, load.pays))
        if not wire.queue.gso_supported():
            expect(tio.Unsupported, call, "a superpacket without vnet headers")
        elif not wire.works:
            expect(tio.Closed, call, "I2: write_gso after close")
        else:
            call()
            wire.outbound.append(load.frame)

    @precondition(lambda self: any(wire.works and wire.writer is None for wire in self.wires))
    @rule(which=_WHICH)
    def write_nonsense(self, which: int) -> None:
        """Write what breaks a rule: not a byte goes out (W4, W9); nor does an empty packet (W5)."""
        wire = pick(self.wires, which, lambda wire: wire.works and wire.writer is None)
        load = cargo.superpacket(next(self.numbers), 2)
        broken = partial(wire.queue.write_gso, load.hdr, load.transport_hdr, (*load.pays, b""))
        refusal = tio.GeometryError if wire.queue.gso_supported() else tio.Unsupported
        expect(refusal, partial(self.do, broken), "G: an empty fragment")
        expect(tio.PacketError, partial(self.do, partial(wire.queue.write, b"\x55" * 20)), "W9: a version 5")
        must(self.do(partial(wire.queue.write, b"")) == 0, "W5: an empty packet")
        wire.check_taken(wire.received())

    @precondition(lambda self: any(wire.can_be_filled() for wire in self.wires))
    @rule(which=_WHICH)
    def write_too_much(self, which: int) -> None:
        """Write until there is no room: then the writer waits (W7)."""
        wire = pick(self.wires, which, Wire.can_be_filled)
        packets = [cargo.plain(next(self.numbers)) for _ in range(_TOO_MANY)]
        wire.unwritten = [self.header + packet for packet in packets]
        wire.writer = self.call(partial(wire.write_all, packets))
        must(wire.writer.waits(), "W7: a write without room must wait")

    @precondition(lambda self: any(wire.can_be_filled() for wire in self.wires))
    @rule(which=_WHICH, writers=st.integers(2, 4))
    def write_from_threads(self, which: int, writers: int) -> None:
        """Write from several threads: frames arrive whole, and those of one thread in their order (W3)."""
        wire = pick(self.wires, which, Wire.can_be_filled)
        wire.check_taken(wire.received())
        batches = [[cargo.plain(next(self.numbers)) for _ in range(10)] for _ in range(writers)]
        calls = [self.call(partial(wire.write_all, batch)) for batch in batches]
        frames = self.taken_from(wire, calls)
        for batch in batches:
            mine = [self.header + packet for packet in batch]
            must([frame for frame in frames if frame in mine] == mine, "W3: a writer's frames are out of order")
        must(len(frames) == 10 * writers, "W3: frames are missing, or were made up")

    @precondition(lambda self: any(wire.peer is not None for wire in self.wires))
    @rule(which=_WHICH)
    def take(self, which: int) -> None:
        """Take from the far end what was written; a writer that waited for room continues (W7)."""
        wire = pick(self.wires, which, lambda wire: wire.peer is not None)
        if wire.writer is None:
            wire.check_taken(wire.received())
            return
        frames = self.taken_from(wire, [wire.writer])
        wire.outbound += wire.unwritten
        wire.writer = None
        wire.check_taken(frames)

    def taken_from(self, wire: Wire, calls: list[Call[None]]) -> list[bytes]:
        """Return what arrives until these calls have returned."""
        frames: list[bytes] = []
        for call in calls:
            for _ in range(int(self.patience / 0.0005)):
                if call.ended(0.0005):
                    break
                frames += wire.received()
            call.result()
        return frames + wire.received()

    # Ending.

    @precondition(lambda self: any(wire.peer is not None for wire in self.wires))
    @rule(which=_WHICH, really=_SELDOM)
    def hang_up(self, which: int, *, really: bool) -> None:
        """Close the far end: waiting calls get Closed, and what was fed before can still be read."""
        if not really:
            return
        wire = pick(self.wires, which, lambda wire: wire.peer is not None)
        wire.hang_up()
        if wire.open:
            wire.wake("the end of a wire must end the wait with Closed")

    @precondition(lambda self: bool(self.wires))
    @rule(which=_WHICH, times=st.integers(1, 2), really=_SELDOM)
    def close_queue(self, which: int, times: int, *, really: bool) -> None:
        """Close one queue; closing again, or from a second thread, is harmless."""
        if not really:
            return
        wire = self.wires[which % len(self.wires)]
        for call in [self.call(wire.queue.close) for _ in range(times)]:
            call.result()
        self.note_closed(wire)

    @rule(times=st.integers(1, 2), really=_SELDOM)
    def close(self, times: int, *, really: bool) -> None:
        """Close the container; closing again, or from a second thread, is harmless."""
        if not really:
            return
        for call in [self.call(self.container.close) for _ in range(times)]:
            call.result()
        self.is_open = False
        for wire in self.wires:
            self.note_closed(wire)

    @precondition(lambda self: any(wire.can_be_filled() and wire.reader is None for wire in self.wires))
    @rule(which=_WHICH, segments=_SEGMENTS, really=_SELDOM)
    def close_amid_traffic(self, which: int, segments: int, *, really: bool) -> None:
        """Close while others read, write and add: each of them completes, or raises Closed."""
        if not really:
            return
        wire = pick(self.wires, which, lambda wire: wire.can_be_filled() and wire.reader is None)
        self.feed_to(wire, "superpacket", segments)
        packets = [cargo.plain(next(self.numbers)) for _ in range(5)]
        wire.unwritten, wire.torn = [self.header + packet for packet in packets], True
        near, peer = wire_pair()
        adding = self.call(partial(self.container.add, near.fileno()))
        calls: list[Call[Any]] = [self.call(partial(wire.write_all, packets)), self.call(wire.queue.read)]
        self.call(self.container.close).result()
        self.is_open = False
        for call in calls:
            _done_or_closed(call)
        if _done_or_closed(adding):
            must(not is_open(near.detach()), "I1: an fd that was added while the container closed is open")
        near.close()
        peer.close()
        wire.inbound.clear()  # read or not
        wire.lent.now.clear()  # whichever came first
        for each in self.wires:
            self.note_closed(each)

    @precondition(lambda self: not self.is_open)
    @rule()
    def renew(self) -> None:
        """Replace the closed container by a new one."""
        while self.wires:
            self.wires.pop().hang_up()
        self.container = self.make()
        self.is_open = True

    def note_closed(self, wire: Wire) -> None:
        """Test what must be true of a closed queue, once."""
        if wire.open:
            wire.ended()

    # After each step.

    @invariant()
    def queues(self) -> None:
        """Test that the queues are listed in the order they were added, closed ones included."""
        listed = self.container.queues()[: len(self.wires)]
        must(listed == tuple(wire.queue for wire in self.wires), "queues are not in the order they were added")
        fds = [wire.fd if wire.open else None for wire in self.wires]
        must([queue.fd for queue in listed] == fds, "a queue is closed, or is not")

    @invariant()
    def views(self) -> None:
        """Test what was lent (W1)."""
        for wire in self.wires:
            wire.lent.check()

    def teardown(self) -> None:
        """Close everything; every fd and thread must be gone. An earlier failure is raised first."""
        failed = sys.exc_info()[0] is not None
        closing = self.call(self.container.close)
        if failed:
            closing.ended()
        else:
            closing.result()
        for wire in self.wires:
            wire.hang_up()  # wakes any thread that missed that everything is closed
        stuck = [call for call in self.calls if not call.ended()]
        if not failed:
            must(not stuck, f"{len(stuck)} threads are left")
            must(open_fds() == self.fds, f"{open_fds() - self.fds} fds are left")

    # Tools.

    @property
    def header(self) -> bytes:
        """The vnet header of a plain packet, if there are vnet headers."""
        return bytes(HEADER_SIZE) if self.make.vnet_header else b""

    def call(self, function: Callable[[], T]) -> Call[T]:
        """Start a call in its own thread."""
        call = Call(function, self.patience)
        self.calls.append(call)
        return call

    def do(self, function: Callable[[], T]) -> T:
        """Return the result of a call that must not wait."""
        return self.call(function).result()


class OffloadMachine(QueueMachine):
    """The machine for the backend with vnet headers."""

    make = tio.OffloadContainer


class PollMachine(QueueMachine):
    """The machine for the backend without."""

    make = tio.PollContainer


def _done_or_closed(call: Call[T]) -> bool:
    try:
        call.result()
    except tio.Closed:
        return False
    return True
