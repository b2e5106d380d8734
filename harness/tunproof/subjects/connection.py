"""What cases can be run against: an implementation in this process, or a program behind the protocol."""

import abc
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Self

import msgspec

from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    EmitInput,
    HeaderCase,
    LifecycleCase,
    ReadCase,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
)
from tunproof.corpus.claims import ORDINARY, Claims, in_pieces
from tunproof.judge.decide import decide
from tunproof.judge.outcome import Answered, Broken, Inapplicable, Outcome, TurnedDown, Unable
from tunproof.judge.verdict import Verdict
from tunproof.protocol.messages import Implementation
from tunproof.subjects.subject import InapplicableError, Subject, TurnedDownError, UnsupportedError

__all__ = ["Connection", "Direct", "Observation", "judge", "observe"]


class Observation(msgspec.Struct, frozen=True):  # faster to create than a dataclass, and there are many
    """A case, what the subject did, and what it wrote to stderr meanwhile."""

    case: Case
    outcome: Outcome
    stderr: str = ""


class Connection(abc.ABC):
    """A context manager.

    Attributes:
        name: the subject's name in reports.
        mode: how frames reach it.
        ops: the operations that it has; None if it says so case by case.
        capabilities: what it claims; None if it says so case by case.
        claims: the conditions that it was written for.
        implementation: its own description.
    """

    name: str
    mode: str
    ops: frozenset[str] | None = None
    capabilities: frozenset[str] | None = None
    claims: Claims = ORDINARY
    implementation: Implementation | None = None

    @property
    def restarts(self) -> int:
        """How often it had to be restarted."""
        return 0

    @abc.abstractmethod
    def observe(self, cases: Sequence[Case]) -> list[Observation]:
        """Return the outcome of each case, in order. Raises `EnvironmentProblem` if the subject is lost."""

    def troubles(self) -> list[str]:
        """Return what went wrong since the last call and concerns no single case, in words."""
        return []

    def finish(self) -> None:  # noqa: B027 (most just end)
        """End the subject properly; problems in doing so become troubles."""

    def begin_again(self) -> None:  # noqa: B027 (in this process there is no other start)
        """Start the subject afresh after `finish`. Raises `EnvironmentProblem` if it does not start."""

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Release everything. Closing twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Direct(Connection):
    """A subject in this process. If it crashes or hangs, so does the whole run."""

    mode = "direct"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.name = subject.name
        self.capabilities = subject.capabilities
        self.claims = subject.claims

    def observe(self, cases: Sequence[Case]) -> list[Observation]:
        """See `Connection.observe`."""
        subject = self._subject
        return [Observation(case, observe(case, subject)) for case in cases]

    def close(self) -> None:
        """See `Connection.close`."""
        self._subject.close()


def judge(case: Case, subject: Subject, *, exact: bool = False) -> Verdict:
    """Run a case against a subject and return the verdict.

    `exact` is for the reference: it has none of the `freedoms`, and must give exactly the header and rule of the case.
    """
    return decide(case, observe(case, subject), exact=exact)


def observe(case: Case, subject: Subject) -> Outcome:
    """Run a case against a subject in this process. Any exception is a result."""
    try:
        return Answered(_CALLS[type(case)](case, subject))
    except TurnedDownError as error:
        return TurnedDown(error.reason, error.frames, error.fault)
    except InapplicableError as error:
        return Inapplicable(str(error))
    except UnsupportedError as error:
        return Unable(str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 (any exception of a subject is a result)
        return Broken("error", f"{type(error).__name__}: {error}", traceback.format_exc())


def _batch(case: WriteBatchCase, subject: Subject) -> list[bytes]:
    """Write a batch, in pieces no longer than the subject claims."""
    limits = subject.claims.limits
    before = [piece for batch in case.input.before for piece in in_pieces(batch, limits)]
    first, *others = in_pieces(case.input.packets, limits)
    frames = subject.write_batch(first, before, _poison(case))
    for piece in others:
        frames = [*frames, *subject.write_batch(piece, (), _poison(case))]
    return frames


def _header(case: HeaderCase, subject: Subject) -> object:
    given = case.input
    if isinstance(given, EmitInput):
        return subject.emit_header(given.fields, given.size, given.byte_order)
    return subject.parse_header(given.bytes, given.size, given.byte_order)


_CALLS: dict[type, Callable[[Any, Subject], object]] = {
    ChecksumCase: lambda case, subject: subject.checksum(case.input.data, case.input.initial),
    HeaderCase: _header,
    ReadCase: lambda case, subject: subject.read(case.input.frame, case.input.before),
    WriteCase: lambda case, subject: subject.write(case.input.packet, case.input.before, _poison(case)),
    WriteGsoCase: lambda case, subject: subject.write_gso(case.input, case.input.before),
    WriteBatchCase: _batch,
    LifecycleCase: lambda case, subject: subject.lifecycle(case.input),
}


def _poison(case: WriteCase | WriteBatchCase) -> int | None:
    return None if case.input.poison is None else case.input.poison[0]
