"""Is this kernel right? The corpus through a real TUN, and what came out compared with what should have.

The loop in `replay` is the hot path: everything is prepared before it, and it calls nothing but the exchange and one
comparison.
"""

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tunproof import lab
from tunproof.corpus.model import (
    Case,
    KernelDelivers,
    KernelLost,
    KernelNotAsked,
    KernelRefused,
    Packets,
    Written,
)
from tunproof.judge import describe_packets, first_difference
from tunproof.lab import Delivered, Exchange, Lost, Outcome, Refused
from tunproof.traits import probe

__all__ = [
    "Disagreement",
    "KernelReport",
    "Question",
    "describe_outcome",
    "expected_outcome",
    "prepare",
    "replay",
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
        missing = sorted(set(case.traits) - traits)
        frame = case.frame
        if missing:
            not_applicable[case.id] = f"this kernel lacks {', '.join(missing)}"
        elif frame is None or isinstance(case.kernel, KernelNotAsked):
            not_applicable[case.id] = "the writer must refuse, so nothing reaches a kernel (see `tunproof check`)"
        else:
            expected = expected_outcome(case)
            hint = len(expected.packets) if isinstance(expected, Delivered) else 0
            questions.append(Question(case, frame, expected, hint))
    return questions, not_applicable


def expected_outcome(case: Case) -> Outcome:
    """Return what a kernel must do with the frame of a case."""
    match case.kernel:
        case KernelRefused(errno=name):
            return Refused(getattr(errno, name))
        case KernelLost():
            return Lost()
        case KernelDelivers(packets=packets):
            return Delivered(tuple(map(bytes.fromhex, packets)))
    match case.expect:
        case Packets(packets=packets) | Written(segments=packets):
            return Delivered(tuple(map(bytes.fromhex, packets)))
    raise ValueError(f"{case.id}: `load` lets no such case pass")


def replay(exchange: Exchange, questions: Sequence[Question]) -> Iterator[Disagreement]:
    """Put every question to the kernel, and yield where it disagrees. Raises `EnvironmentProblem`."""
    send = exchange.send
    for question in questions:
        got = send(question.frame, question.hint)
        if got != question.expected:
            yield Disagreement(question.case, question.expected, got)


def verify(cases: Sequence[Case], *, progress: Callable[[int, int], None] = lambda *_: None) -> KernelReport:
    """Put cases to the running kernel. `progress` is called now and then with how many are done, and of how many.

    Raises `EnvironmentProblem`.
    """
    started = time.perf_counter()
    questions, not_applicable = prepare(cases, probe())
    disagreements: list[Disagreement] = []
    with lab.redirect() as pair:
        exchange = Exchange(pair)
        for start in range(0, len(questions), _AT_A_TIME):
            disagreements += replay(exchange, questions[start : start + _AT_A_TIME])
            progress(min(start + _AT_A_TIME, len(questions)), len(questions))
    return KernelReport(
        kernel=os.uname().release,
        cases=len(cases),
        agree=len(questions) - len(disagreements),
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
