"""Writing lifecycles: each step beside its correct answers."""

from collections.abc import Sequence
from typing import Any

from scapy.layers.inet import UDP

from tunproof.authoring.draft import Life, Topic
from tunproof.corpus.script import (
    Add,
    Answer,
    Closed,
    Done,
    Feed,
    Frames,
    OpenWire,
    Read,
    ReadPackets,
    RefusedStep,
    Script,
    Step,
    Take,
    Waiting,
    WriteGsoStep,
    WriteStep,
)
from tunproof.packets.builder import GsoPieces, frame, ip4, packet_bytes, payload

__all__ = [
    "CLOSED",
    "CONCURRENT",
    "DONE",
    "LENT",
    "REFUSED",
    "WAITING",
    "Line",
    "add_life",
    "does",
    "feed",
    "gso_step",
    "opened",
    "packet",
    "packets",
    "read_gives",
    "taken",
    "whole",
    "write",
]

DONE, REFUSED, CLOSED, WAITING = Done(), RefusedStep(), Closed(), Waiting()

Line = tuple[Step, Sequence[Answer]]
"""A step, and its correct answers."""

CONCURRENT = "lifecycle.concurrent"
LENT = "lifecycle.lent"


def packet(number: int) -> bytes:
    """Return one of several packets that are all different."""
    return packet_bytes(ip4(id=number) / UDP(sport=1000 + number) / payload(8 + number, seed=number))


def packets(*those: bytes) -> ReadPackets:
    """Return the answer that a read gave these packets."""
    return ReadPackets(packets=tuple(one.hex() for one in those))


def does(step: Step, *right: Answer) -> Line:
    """Return a line: a step that succeeds, unless other answers are correct."""
    return step, right or (DONE,)


def opened(fd: str) -> tuple[Line, Line]:
    """Return the lines that make a wire and add it."""
    return does(OpenWire(fd=fd)), does(Add(fd=fd))


def feed(fd: str, packet: bytes) -> Line:
    """Return the line that lets a queue with vnet headers read a plain packet."""
    return does(Feed(fd=fd, frame=frame(packet).hex()))


def read_gives(fd: str, *those: bytes) -> Line:
    """Return the line that reads, and gets these packets."""
    return does(Read(fd=fd), packets(*those))


def write(fd: str, packet: bytes, *right: Answer) -> Line:
    """Return the line that writes a packet."""
    return does(WriteStep(fd=fd, packet=packet.hex()), *right)


def gso_step(fd: str, built: GsoPieces) -> WriteGsoStep:
    """Return the step that writes a superpacket."""
    pays = tuple(pay.hex() for pay in built.pays)
    return WriteGsoStep(fd=fd, hdr=built.hdr.hex(), transport_hdr=built.transport_hdr.hex(), pays=pays)


def taken(fd: str, *those: bytes) -> Line:
    """Return the line that takes what was written: these packets."""
    return does(Take(fd=fd), Frames(packets=tuple(one.hex() for one in those)))


def whole(built: GsoPieces) -> bytes:
    """Return a superpacket in one piece."""
    return built.hdr + built.transport_hdr + b"".join(built.pays)


def add_life(topic: Topic, name: str, about: str, *lines: Line, backend: str = "offload", **options: Any) -> None:
    """Add a case whose steps and answers are side by side."""
    script = Script(backend=backend, steps=tuple(step for step, _ in lines))  # type: ignore[arg-type]
    topic.add(name, about, Life(script, [list(right) for _, right in lines]), **options)
