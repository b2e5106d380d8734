"""The reference as a subject: what it does with the input of a case.

It works on a wire, so exact bytes are seen and no privileges are needed.
"""

import contextlib
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import tio
from tunproof.corpus.model import Case, Expectation, Packets, ReadCase, Refused, Rejected, Written
from tunproof.judge import describe_packets, first_difference

__all__ = ["Failure", "ReferenceReport", "Wire", "check", "read", "write_gso"]

_LARGEST_FRAME = 10 + 65535


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that the reference got wrong, and the first difference in words."""

    case: Case
    difference: str


@dataclass(frozen=True, slots=True)
class ReferenceReport:
    """What the reference said to a corpus."""

    cases: int
    failures: tuple[Failure, ...]
    seconds: float


class Wire:
    """The reference's offload queue on a socket pair that stands in for a TUN, and the pair's other end."""

    def __init__(self) -> None:
        near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _LARGEST_FRAME)
        self._far.setblocking(False)
        self._container = tio.OffloadContainer()
        self._container.add(near.detach())
        (self.queue,) = self._container.queues()

    def written(self) -> list[bytes]:
        """Return the frames that were written since the last call."""
        frames = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frames.append(self._far.recv(_LARGEST_FRAME + 1))
        return frames

    def close(self) -> None:
        """Close both ends."""
        self._container.close()
        self._far.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check(cases: Sequence[Case]) -> ReferenceReport:
    """Put cases to the reference and compare every byte."""
    started = time.perf_counter()
    failures = []
    with Wire() as wire:
        for case in cases:
            got = read(case.frame) if isinstance(case, ReadCase) else write_gso(wire, *case.pieces)
            if got != case.expect:
                failures.append(Failure(case, _explain(case.expect, got)))
    return ReferenceReport(cases=len(cases), failures=tuple(failures), seconds=time.perf_counter() - started)


def read(frame: bytes) -> Packets | Rejected:
    """Return what the reference reads from a frame."""
    try:
        packets = tio.segment(frame, byte_order=tio.ByteOrder.LITTLE)
    except tio.FrameError as error:
        return Rejected(rule=error.rule)
    return Packets(packets=tuple(packet.hex() for packet in packets))


def write_gso(wire: Wire, hdr: bytes, transport_hdr: bytes, pays: Sequence[bytes]) -> Written | Refused:
    """Return what the reference writes, and the segments that it takes the frame to stand for."""
    try:
        wire.queue.write_gso(hdr, transport_hdr, pays)
    except tio.FrameError as error:
        frames = wire.written()
        return Refused(rule=error.rule if not frames else f"{error.rule}, but {len(frames)} frames were written")
    frames = wire.written()
    if len(frames) != 1 or frames[0][10:] != b"".join((hdr, transport_hdr, *pays)):
        return Written(header="", segments=tuple(frame.hex() for frame in frames))
    header = tio.VnetHeader.parse(frames[0]).emit(byte_order=tio.ByteOrder.LITTLE)
    return Written(header=header.hex(), segments=tuple(packet.hex() for packet in tio.segment(frames[0])))


def _explain(expect: Expectation, got: Expectation) -> str:
    """Return what is different, down to the field where packets can be compared."""
    match expect, got:
        case Packets(packets=right), Packets(packets=found):
            pass
        case Written(header=header, segments=right), Written(header=other, segments=found):
            if header != other:
                return f"vnet header: expected {header}, got {other or 'no single frame with the given packet'}"
        case _:
            return f"expected {_brief(expect)}, got {_brief(got)}"
    return str(first_difference(tuple(map(bytes.fromhex, right)), tuple(map(bytes.fromhex, found))))


def _brief(expectation: Expectation) -> str:
    match expectation:
        case Packets(packets=packets) | Written(segments=packets):
            return describe_packets(tuple(map(bytes.fromhex, packets)))
        case Rejected(rule=rule):
            return f"a frame that is turned down ({rule})"
        case Refused(rule=rule):
            return f"a write that is refused ({rule})"
