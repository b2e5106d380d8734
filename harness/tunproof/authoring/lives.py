"""Writing lifecycles: each step beside its correct answers."""

from collections.abc import Sequence
from typing import Any

from scapy.layers.inet import UDP

from tunproof.authoring.draft import Life, Topic
from tunproof.corpus.script import (
    Add,
    Answer,
    Close,
    Closed,
    Count,
    Descriptors,
    Done,
    Feed,
    FinishRead,
    Frames,
    LetGo,
    OpenWire,
    Read,
    ReadPackets,
    RefusedStep,
    Script,
    StartRead,
    StartWrite,
    Step,
    Take,
    Waiting,
    WriteGsoStep,
    WriteStep,
)
from tunproof.packets.builder import GsoPieces, frame, ip4, packet_bytes, payload

__all__ = [
    "CLOSED",
    "CLOSED_FOR_GOOD",
    "CONCURRENT",
    "DONE",
    "LENT",
    "NOTHING_OPEN",
    "REFUSED",
    "WAITING",
    "ScriptLine",
    "add_life",
    "does",
    "feed",
    "feed_frame",
    "gso_step",
    "opened",
    "packet",
    "packets",
    "read_gives",
    "reader_gets",
    "reader_is_woken",
    "reader_waits",
    "reads",
    "refused",
    "taken",
    "whole",
    "write",
    "writer_waits",
    "writes",
]

DONE, REFUSED, CLOSED, WAITING = Done(), RefusedStep(), Closed(), Waiting()

ScriptLine = tuple[Step, Sequence[Answer]]
"""A step, and its correct answers."""

CONCURRENT = "lifecycle.concurrent"
LENT = "lifecycle.lent"


def packet(number: int) -> bytes:
    """Return one of several packets that are all different."""
    return packet_bytes(ip4(id=number) / UDP(sport=1000 + number) / payload(8 + number, seed=number))


def packets(*those: bytes) -> ReadPackets:
    """Return the answer that a read gave these packets."""
    return ReadPackets(packets=those)


def does(step: Step, *right: Answer) -> ScriptLine:
    """Return a line: a step that succeeds, unless other answers are correct."""
    return step, right or (DONE,)


NOTHING_OPEN: ScriptLine = does(Descriptors(), Count(count=0))
"""Finds no fd left open."""

CLOSED_FOR_GOOD: tuple[ScriptLine, ScriptLine] = (does(Close()), NOTHING_OPEN)
"""Close the container, which leaves no fd open."""


def opened(fd: str) -> tuple[ScriptLine, ScriptLine]:
    """Return the lines that make a wire and add it."""
    return does(OpenWire(fd=fd)), does(Add(fd=fd))


def refused(fd: str) -> tuple[ScriptLine, ScriptLine]:
    """Return the lines that add a fd in vain: it stays the caller's."""
    return does(Add(fd=fd), REFUSED), does(LetGo(fd=fd))


def feed_frame(fd: str, data: bytes) -> ScriptLine:
    """Return the line that lets a queue read these bytes."""
    return does(Feed(fd=fd, frame=data))


def feed(fd: str, packet: bytes) -> ScriptLine:
    """Return the line that lets a queue with vnet headers read a plain packet."""
    return feed_frame(fd, frame(packet))


def read_gives(fd: str, *those: bytes) -> ScriptLine:
    """Return the line that reads, and gets these packets."""
    return does(Read(fd=fd), packets(*those))


def reads(fd: str, packet: bytes) -> tuple[ScriptLine, ScriptLine]:
    """Return the lines by which a plain packet goes through a queue with vnet headers, to the reader."""
    return feed(fd, packet), read_gives(fd, packet)


def reader_waits(fd: str) -> ScriptLine:
    """Return the line that begins a read while there is nothing to read."""
    return does(StartRead(fd=fd), WAITING)


def reader_gets(fd: str, *those: bytes) -> ScriptLine:
    """Return the line that ends the read that waited, with these packets."""
    return does(FinishRead(fd=fd), packets(*those))


def reader_is_woken(fd: str) -> ScriptLine:
    """Return the line that ends the read that waited, because the queue is closed."""
    return does(FinishRead(fd=fd), CLOSED)


def write(fd: str, packet: bytes, *right: Answer) -> ScriptLine:
    """Return the line that writes a packet."""
    return does(WriteStep(fd=fd, packet=packet), *right)


def writes(fd: str, packet: bytes) -> tuple[ScriptLine, ScriptLine]:
    """Return the lines by which a packet goes through a queue, from the writer."""
    return write(fd, packet), taken(fd, packet)


def writer_waits(fd: str) -> ScriptLine:
    """Return the line that begins a write for which there is no room: 64 times the first packet."""
    return does(StartWrite(fd=fd, packet=packet(1), count=64), WAITING)


def gso_step(fd: str, built: GsoPieces) -> WriteGsoStep:
    """Return the step that writes a superpacket."""
    return WriteGsoStep(fd=fd, hdr=built.hdr, transport_hdr=built.transport_hdr, pays=built.pays)


def taken(fd: str, *those: bytes) -> ScriptLine:
    """Return the line that takes what was written: these packets."""
    return does(Take(fd=fd), Frames(packets=those))


def whole(built: GsoPieces) -> bytes:
    """Return a superpacket in one piece."""
    return built.hdr + built.transport_hdr + b"".join(built.pays)


def add_life(topic: Topic, name: str, about: str, *lines: ScriptLine, backend: str = "offload", **options: Any) -> None:
    """Add a case whose steps and answers are side by side."""
    script = Script(backend=backend, steps=tuple(step for step, _ in lines))  # type: ignore[arg-type]
    topic.add(name, about, Life(script, [list(right) for _, right in lines]), **options)
