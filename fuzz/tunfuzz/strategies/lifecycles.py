"""Strategies for lifecycles: scripts that a container goes through, and what each step must answer.

A script is played, not drawn: a list of events ("feed queue 1", "close") is turned into steps by a rehearsal, which
knows who is open and what is where. Events that make no sense where they stand become others that do, or nothing; so
shrinking removes events, and what remains is still a script that anybody can play.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tio.virtio import HEADER_SIZE
from tunfuzz import cargo
from tunfuzz.values import Lifecycle
from tunproof.corpus.script import (
    Add,
    Answer,
    Answers,
    Close,
    Closed,
    CloseQueue,
    Count,
    Descriptors,
    Done,
    Feed,
    FinishRead,
    FinishWrite,
    Frames,
    HangUp,
    LetGo,
    Look,
    OpenOther,
    OpenWire,
    Queues,
    Read,
    ReadPackets,
    RefusedStep,
    Released,
    Renew,
    Script,
    StartRead,
    StartWrite,
    Step,
    Take,
    Waiting,
    WriteGsoStep,
    WriteStep,
)

__all__ = ["lifecycles"]

_MOST_FRAMES: Final = 6  # in either direction: a wire has room for 8 frames
_TOO_MANY: Final = 64
Backend = Literal["offload", "plain"]


@dataclass(slots=True)
class _Wire:
    """A wire: who has its ends, and what is on it."""

    name: str
    is_open: bool = True
    hung_up: bool = False
    inbound: deque[tuple[bytes, ...]] = field(default_factory=deque)
    outbound: list[bytes] = field(default_factory=list)
    reads: list[tuple[bytes, ...]] = field(default_factory=list)
    lent: bool = False
    reader: bool = False  # it waits
    ended_reader: bool = False  # it waited, and nobody asked yet what it came to: Closed
    writer: list[bytes] = field(default_factory=list)  # what a write that waits goes on with
    ended_writer: bool = False
    torn: bool = False  # nobody can say how many of its frames went out, or whether the far end can be looked at

    @property
    def works(self) -> bool:
        return self.is_open and not self.hung_up

    def next_packets(self) -> tuple[bytes, ...]:
        """Return what the next read gets: frames that nobody can read are passed over (W8)."""
        while self.inbound:
            packets = self.inbound.popleft()
            if packets:
                return packets
        return ()

    def end(self, *, closed: bool) -> None:
        """Note that the queue was closed, or the far end: who waits gets Closed."""
        self.torn |= bool(self.writer) or (closed and bool(self.inbound))
        if self.reader:
            self.reader, self.ended_reader = False, True
        if self.writer:
            # Not asked about a wire that was closed before all was read: its far end says ECONNRESET.
            self.writer, self.ended_writer = [], not (closed and self.inbound)
        if closed:
            self.is_open = self.lent = False


class _Rehearsal:
    """A script as far as it was written, and what is true after its last step."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.lines: list[tuple[Step, tuple[Answer, ...]]] = []
        self.wires: list[_Wire] = []
        self.listed = 0
        self.opened = 0  # one name each: at most 21, for there are 20 events
        self.is_open = True
        self.numbers = 1

    def does(self, step: Step, *right: Answer) -> None:
        """Write a step down, and the answers that are right."""
        self.lines.append((step, right or (Done(),)))

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def framed(self, packet: bytes) -> bytes:
        return bytes(HEADER_SIZE) + packet if self.backend == "offload" else packet

    # Adding.

    def add(self, _: _Wire | None, number: int) -> None:
        """Add a wire, or, in a closed container, see that it is refused and still there."""
        self.opened += 1
        name = chr(ord("a") + self.opened - 1)
        if number % 4 == 3:
            self.does(OpenOther(fd=name, what="closed"))
            self.does(Add(fd=name), RefusedStep(), *(() if self.is_open else (Closed(),)))
        elif self.is_open:
            self.does(OpenWire(fd=name))
            self.does(Add(fd=name))
            self.wires.append(_Wire(name))
            self.listed += 1
        else:
            self.does(OpenWire(fd=name))
            self.does(Add(fd=name), Closed(), RefusedStep())
            self.does(LetGo(fd=name))

    def add_again(self, wire: _Wire, _: int) -> None:
        if wire.is_open:
            self.does(Add(fd=wire.name), RefusedStep())

    def queues(self, _: _Wire | None, _number: int) -> None:
        self.does(Queues(), Count(count=self.listed))

    # Reading.

    def feed(self, wire: _Wire, number: int) -> None:
        if not wire.works or len(wire.inbound) >= _MOST_FRAMES:
            return
        kind = cargo.KINDS[number % 3]
        frame, packets = cargo.frame(kind, self.number(), 2 + number % 4, headers=self.backend == "offload")
        self.does(Feed(fd=wire.name, frame=frame.hex()))
        if wire.reader and packets:  # asked at once: a close could come before the reader looks
            self.does(FinishRead(fd=wire.name), self.lend(wire, packets))
            wire.reader = False
            wire.inbound.clear()
        else:  # a reader that waits will pass over what nobody can read, if there is time before the next step
            wire.inbound.append(packets)

    def lend(self, wire: _Wire, packets: tuple[bytes, ...]) -> Answer:
        wire.reads.append(packets)
        wire.lent = True
        return ReadPackets(packets=tuple(packet.hex() for packet in packets))

    def read(self, wire: _Wire, number: int) -> None:
        """Read, in another thread if that must wait; finish a read that was begun before."""
        if wire.reader and number % 2 == 0:
            self.does(Read(fd=wire.name), RefusedStep())  # one reader (W2)
        elif wire.reader:
            self.feed(wire, 0)
        if wire.ended_reader:
            self.finish(wire)
        elif not wire.reader:
            self.read_next(wire)

    def read_next(self, wire: _Wire) -> None:
        packets = wire.next_packets() if wire.is_open else ()
        wire.lent = False
        if packets:
            self.does(Read(fd=wire.name), self.lend(wire, packets))
        elif wire.works:
            self.does(StartRead(fd=wire.name), Waiting())
            wire.reader = True
        else:
            self.does(Read(fd=wire.name), Closed())

    def look(self, wire: _Wire, number: int) -> None:
        """Look at a packet of the last read or of the one before."""
        if not wire.reads:
            return
        ago = number % min(2, len(wire.reads))
        packets = wire.reads[-1 - ago]
        which = number % len(packets)
        shown = ReadPackets(packets=(packets[which].hex(),)) if wire.lent and not ago else Released()
        self.does(Look(fd=wire.name, packet=which, reads_ago=ago), shown)

    # Writing.

    def write(self, wire: _Wire, number: int) -> None:
        """Write a packet, nothing, or nonsense."""
        if wire.writer or len(wire.outbound) >= _MOST_FRAMES:
            return
        packet = cargo.plain(self.number())
        if not wire.works:
            self.does(WriteStep(fd=wire.name, packet=packet.hex()), Closed())
        elif number % 4 == 2:
            self.does(WriteStep(fd=wire.name, packet=""))
        elif number % 4 == 3:
            self.does(WriteStep(fd=wire.name, packet="55" * 20), RefusedStep())
        else:
            self.does(WriteStep(fd=wire.name, packet=packet.hex()))
            wire.outbound.append(self.framed(packet))

    def write_gso(self, wire: _Wire, number: int) -> None:
        """Write a superpacket, or one with an empty fragment."""
        if wire.writer or len(wire.outbound) >= _MOST_FRAMES:
            return
        load = cargo.superpacket(self.number(), 2 + number // 4 % 4)
        pays = (*load.pays, b"") if number % 4 == 3 and wire.works else load.pays
        right: Answer = Done() if wire.works else Closed()
        if self.backend == "plain" or pays is not load.pays:
            right = RefusedStep()
        step = WriteGsoStep(
            fd=wire.name,
            hdr=load.hdr.hex(),
            transport_hdr=load.transport_hdr.hex(),
            pays=tuple(pay.hex() for pay in pays),
        )
        if right == RefusedStep() and not wire.works:
            return  # which of the two is said first is not agreed
        self.does(step, right)
        if right == Done():
            wire.outbound.append(load.frame)

    def write_too_much(self, wire: _Wire, _: int) -> None:
        """Write more than there is room for, and later let it go on."""
        if wire.ended_writer:
            self.finish(wire)
        elif wire.writer:
            self.does(FinishWrite(fd=wire.name))
            wire.outbound += wire.writer
            wire.writer = []
        elif wire.works and not wire.torn and len(wire.outbound) < _MOST_FRAMES:
            packet = cargo.plain(self.number())
            self.does(StartWrite(fd=wire.name, packet=packet.hex(), count=_TOO_MANY), Waiting())
            wire.writer = [self.framed(packet)] * _TOO_MANY

    def take(self, wire: _Wire, _: int) -> None:
        if not (wire.hung_up or wire.torn or wire.writer):
            self.does(Take(fd=wire.name), Frames(packets=tuple(frame.hex() for frame in wire.outbound)))
            wire.outbound = []

    # Ending.

    # Seldom: what ends something leaves nothing to do for other events.

    def hang_up(self, wire: _Wire, number: int) -> None:
        if number % 4 == 0 and not wire.hung_up and not wire.ended_writer:
            self.does(HangUp(fd=wire.name))
            wire.hung_up = True
            if wire.is_open:
                wire.end(closed=False)

    def close_queue(self, wire: _Wire, number: int) -> None:
        if number % 4:
            return
        self.does(CloseQueue(fd=wire.name))
        wire.end(closed=True)

    def close(self, _: _Wire | None, number: int) -> None:
        """Close the container, and see sometimes that it has no fds any more."""
        if number % 4:
            return
        self.does(Close())
        self.is_open = False
        for wire in self.wires:
            if wire.is_open:
                wire.end(closed=True)
        if number % 8:
            self.does(Descriptors(), Count(count=0))

    def finish(self, wire: _Wire) -> None:
        """Ask what a read and a write came to that waited until the end."""
        if wire.ended_reader:
            self.does(FinishRead(fd=wire.name), Closed())
        if wire.ended_writer:
            self.does(FinishWrite(fd=wire.name), Closed())
        wire.ended_reader = wire.ended_writer = False

    def renew(self, _: _Wire | None, _number: int) -> None:
        if not self.is_open:
            self.does(Renew())
            self.is_open, self.listed = True, 0


_Event = tuple[Callable[..., None], int, int]
_OF_CONTAINERS = (_Rehearsal.add, _Rehearsal.close, _Rehearsal.queues, _Rehearsal.renew)
_OF_QUEUES = (
    _Rehearsal.read,
    _Rehearsal.feed,
    _Rehearsal.write,
    _Rehearsal.look,
    _Rehearsal.take,
    _Rehearsal.look,
    _Rehearsal.write_gso,
    _Rehearsal.feed,
    _Rehearsal.read,
    _Rehearsal.close_queue,
    _Rehearsal.hang_up,
    _Rehearsal.write_too_much,
    _Rehearsal.add_again,
)
_EVENTS = st.lists(
    st.tuples(st.sampled_from((_Rehearsal.add, *_OF_QUEUES, *_OF_CONTAINERS)), st.integers(0, 2), st.integers(0, 15)),
    max_size=20,
)


def _play(backend: Backend, events: list[_Event]) -> Lifecycle:
    rehearsal = _Rehearsal(backend)
    rehearsal.add(None, 0)
    for event, which, number in events:
        wires = rehearsal.wires
        event(rehearsal, wires[which % len(wires)], number)
    for wire in rehearsal.wires:
        rehearsal.finish(wire)
    steps = tuple(step for step, _ in rehearsal.lines)
    answers = tuple(right for _, right in rehearsal.lines)
    return Lifecycle(Script(backend=backend, steps=steps), Answers(answers=answers))


def lifecycles(*, backend: Backend | None = None) -> SearchStrategy[Lifecycle]:
    """Draw a script of up to some 40 steps on wires, and the answers that are right by the contract.

    Wires are added, also to a closed container, twice, or closed already; fed with packets, superpackets and what
    nobody can read; read by one thread and by a second; written to, in too many packets for the wire, with
    nonsense, after the end; closed one by one, all, and again. No step waits that is not begun in another thread.
    """
    backends = st.just(backend) if backend else st.sampled_from(("offload", "plain"))
    return st.builds(_play, backends, _EVENTS)
