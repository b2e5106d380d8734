"""Is this kernel right? The corpus through a real TUN, and what came out compared with what should have.

The loop in `replay` is the hot path: everything is prepared before it, and it calls nothing but the exchange and one
comparison.
"""

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tio.linux import Delivered, Lost, Outcome, Refused
from tio.virtio import HEADER_SIZE
from tunproof import lab
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
from tunproof.corpus.model import KernelAnswer, KernelDelivers, KernelLoses, KernelRefuses, KernelSame, from_hex
from tunproof.kernel.probes import Probed, running_kernel
from tunproof.lab import Exchange
from tunproof.packets.difference import describe_packets, first_difference
from tunproof.packets.frame import cut
from tunproof.packets.summing import completed_frame

__all__ = [
    "Disagreement",
    "KernelReport",
    "Question",
    "describe_outcome",
    "expected_outcome",
    "frames_of",
    "prepare",
    "replay",
    "report_on",
    "verify",
]


_AT_A_TIME = 256  # questions between two looks at the progress


@dataclass(frozen=True, slots=True)
class Question:
    """A case as it is put to a kernel: the frame, and the outcome that is right. `hint` is how many packets that is."""

    case: Case
    frame: bytes
    expected: Outcome
    hint: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A kernel that did something else."""

    case: Case
    expected: Outcome
    got: Outcome

    def explain(self) -> str:
        """Return what is different, down to the field where packets can be compared."""
        if isinstance(self.expected, Delivered) and isinstance(self.got, Delivered):
            return str(first_difference(self.expected.packets, self.got.packets))
        return f"expected {describe_outcome(self.expected)}, got {describe_outcome(self.got)}"


@dataclass(frozen=True, slots=True)
class KernelReport:
    """What a kernel said to a corpus. `not_applicable` gives the reason for each case that was not put to it."""

    kernel: str
    probed: Probed
    cases: int
    agree: int
    disagreements: tuple[Disagreement, ...]
    not_applicable: dict[str, str]
    seconds: float


def prepare(cases: Iterable[Case], traits: frozenset[str]) -> tuple[list[Question], dict[str, str]]:
    """Return the questions for a kernel with these traits, and the reason for each case that is none."""
    questions: list[Question] = []
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
            questions.append(Question(case, frame, expected, hint))
    return questions, not_applicable


_WRITER_REFUSES = "the writer must refuse, or has nothing to write, so nothing reaches a kernel (see `tunproof check`)"
_NOT_ASKED = {
    HeaderCase: "a vnet header alone is no frame",
    LifecycleCase: "a lifecycle is about fds and queues, not about frames",
    WriteCase: _WRITER_REFUSES,
    WriteGsoCase: _WRITER_REFUSES,
    WriteBatchCase: _WRITER_REFUSES,
}


def frames_of(case: Case) -> list[tuple[bytes, tuple[bytes, ...]]]:
    """Return what is put to a kernel, each with the packets that "same" means; none where nothing is."""
    match case:
        case ChecksumCase(input=given):
            frame, packet = completed_frame(bytes.fromhex(given.data), given.initial)
            return [(frame, (packet,))]
        case ReadCase(input=given, expect=expect):
            return [
                (bytes.fromhex(given.frame), tuple(from_hex(expect.packets if isinstance(expect, Packets) else ())))
            ]
        case WriteCase(input=given, expect=Written(header=header, segments=segments)):
            return [(bytes.fromhex(header + given.packet), tuple(from_hex(segments)))]
        case WriteGsoCase(input=given, expect=Written(header=header, segments=segments)):
            return [(bytes.fromhex(header) + given.whole, tuple(from_hex(segments)))]
        case WriteBatchCase(expect=expect):
            return [(frame, tuple(cut(frame))) for frame in from_hex(expect.example)]
    return []


def expected_outcome(case: Case, answer: KernelAnswer, frame: bytes, packets: tuple[bytes, ...]) -> Outcome:
    """Return what a kernel that answers so must do with a frame. `packets` are what "same" stands for.

    Of a batch an answer other than "same" is about the superpackets; a plain packet goes through every kernel.
    """
    match answer:
        case KernelSame():
            return Delivered(packets)
        case _ if isinstance(case, WriteBatchCase) and not any(frame[:HEADER_SIZE]):
            return Delivered(packets)
        case KernelDelivers(packets=others):
            return Delivered(tuple(from_hex(others)))
        case KernelRefuses(errno=name):
            return Refused(getattr(errno, name))
        case KernelLoses():
            return Lost()


def replay(exchange: Exchange, questions: Sequence[Question]) -> Iterator[Disagreement]:
    """Put every question to the kernel, and yield where it disagrees. Raises `EnvironmentProblem`."""
    send = exchange.send
    for question in questions:
        got = send(question.frame, question.hint)
        if got != question.expected:
            yield Disagreement(question.case, question.expected, got)


Ask = Callable[[Sequence[Question]], Iterable[Disagreement]]
"""Put questions to a kernel, and yield where it disagrees."""


def verify(cases: Sequence[Case], *, progress: Callable[[int, int], None] = lambda *_: None) -> KernelReport:
    """Put cases to the running kernel. `progress` is called now and then with how many are done, and of how many.

    Raises `EnvironmentProblem`.
    """
    probed = running_kernel()
    with lab.redirect() as pair:
        exchange = Exchange(pair)
        return report_on(os.uname().release, probed, cases, lambda some: replay(exchange, some), progress)


def report_on(
    kernel: str, probed: Probed, cases: Sequence[Case], ask: Ask, progress: Callable[[int, int], None]
) -> KernelReport:
    """Put cases to a kernel, some at a time, and return what it said. Raises what `ask` does."""
    started = time.perf_counter()
    disagreements: list[Disagreement] = []
    questions, not_applicable = prepare(cases, probed.traits)
    for start in range(0, len(questions), _AT_A_TIME):
        disagreements += ask(questions[start : start + _AT_A_TIME])
        progress(min(start + _AT_A_TIME, len(questions)), len(questions))
    asked = {question.case.id for question in questions}
    return KernelReport(
        kernel=kernel,
        probed=probed,
        cases=len(cases),
        agree=len(asked - {item.case.id for item in disagreements}),
        disagreements=tuple(disagreements),
        not_applicable=not_applicable,
        seconds=time.perf_counter() - started,
    )


def describe_outcome(outcome: Outcome) -> str:
    """Return an outcome in a few words."""
    match outcome:
        case Refused(errno=number):
            return f"write refused with {errno.errorcode.get(number, number)}"
        case Lost():
            return "accepted and lost"
        case Delivered(packets=packets):
            return describe_packets(packets)
