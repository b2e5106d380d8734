"""Is this kernel correct? The corpus goes through a real TUN, and the output is compared with what is expected.

The loop in `replay` is the hot path: everything is prepared before it, and it calls nothing but the exchange and one
comparison.
"""

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tio.linux import Delivered, KernelOutcome, Lost, Refused
from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    HeaderCase,
    LifecycleCase,
    Packets,
    ReadCase,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    Written,
)
from tunproof.corpus.model import KernelAnswer, KernelDelivers, KernelLoses, KernelRefuses, KernelSame
from tunproof.lab import Exchange
from tunproof.packets.frame import segments_of
from tunproof.packets.summing import completed_frame

__all__ = [
    "Disagreement",
    "Trial",
    "expected_outcome",
    "frames_of",
    "prepare",
    "replay",
]


@dataclass(frozen=True, slots=True)
class Trial:
    """A case as a kernel runs it: the frame, and the correct outcome. `hint` is how many packets that has."""

    case: Case
    frame: bytes
    expected: KernelOutcome
    hint: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A kernel's outcome that differs from the correct one."""

    case: Case
    expected: KernelOutcome
    got: KernelOutcome


def prepare(cases: Iterable[Case], traits: frozenset[str]) -> tuple[list[Trial], dict[str, str]]:
    """Return the trials for a kernel with these traits, and why each remaining case was skipped."""
    trials: list[Trial] = []
    not_applicable: dict[str, str] = {}
    for case in cases:
        answer = case.answer_of(traits)
        frames = frames_of(case)
        if answer is None or not frames:
            not_applicable[case.id] = _NOT_ASKED[type(case)]
            continue
        for frame, packets in frames:
            expected = expected_outcome(case, answer, frame, packets)
            hint = len(expected.packets) if isinstance(expected, Delivered) else 0
            trials.append(Trial(case, frame, expected, hint))
    return trials, not_applicable


_WRITER_REFUSES = "the writer must refuse, or has nothing to write, so nothing reaches a kernel (see `tunproof check`)"
_NOT_ASKED = {
    HeaderCase: "a bare vnet header is not a frame",
    LifecycleCase: "a lifecycle is about fds and queues, not about frames",
    WriteCase: _WRITER_REFUSES,
    WriteGsoCase: _WRITER_REFUSES,
    WriteBatchCase: _WRITER_REFUSES,
}


def frames_of(case: Case) -> list[tuple[bytes, tuple[bytes, ...]]]:
    """Return the frames to send to a kernel, each with the packets that "same" means; none if there are none."""
    match case:
        case ChecksumCase(input=given):
            frame, packet = completed_frame(given.data, given.initial)
            return [(frame, (packet,))]
        case ReadCase(input=given, expect=expect):
            return [(given.frame, tuple(expect.packets if isinstance(expect, Packets) else ()))]
        case WriteCase(input=given, expect=Written(header=header, segments=segments)):
            return [(header + given.packet, tuple(segments))]
        case WriteGsoCase(input=given, expect=Written(header=header, segments=segments)):
            return [(header + given.whole, tuple(segments))]
        case WriteBatchCase(expect=expect):
            return [(frame, tuple(segments_of(frame))) for frame in expect.example]
    return []


def expected_outcome(case: Case, answer: KernelAnswer, frame: bytes, packets: tuple[bytes, ...]) -> KernelOutcome:
    """Return what a kernel with this answer must do with a frame. `packets` are what "same" stands for.

    For a batch, an answer other than "same" is about the superpackets; a plain packet passes through every kernel.
    """
    match answer:
        case KernelSame():
            return Delivered(packets)
        case _ if isinstance(case, WriteBatchCase) and not any(frame[:HEADER_SIZE]):
            return Delivered(packets)
        case KernelDelivers(packets=others):
            return Delivered(tuple(others))
        case KernelRefuses(errno=name):
            return Refused(getattr(errno, name))
        case KernelLoses():
            return Lost()


def replay(exchange: Exchange, trials: Sequence[Trial]) -> Iterator[Disagreement]:
    """Send every frame to the kernel, and yield where it disagrees. Raises `EnvironmentProblem`."""
    send = exchange.send
    for trial in trials:
        got = send(trial.frame, trial.hint)
        if got != trial.expected:
            yield Disagreement(trial.case, trial.expected, got)
