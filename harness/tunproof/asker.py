"""Whatever can be asked cases: an implementation in this process, a program behind the protocol."""

import abc
from collections.abc import Sequence
from typing import Self

import msgspec

from tunproof.corpus.cases import Case
from tunproof.outcome import Outcome
from tunproof.protocol import Implementation
from tunproof.subject import Subject
from tunproof.verdict import ask

__all__ = ["Asked", "Asker", "Direct"]


class Asked(msgspec.Struct, frozen=True):  # made faster than a dataclass, and there are many
    """A case, what the subject did, and what it wrote to stderr meanwhile."""

    case: Case
    outcome: Outcome
    stderr: str = ""


class Asker(abc.ABC):
    """A context manager.

    Attributes:
        name: how reports call the subject.
        mode: how frames reach it.
        ops: the operations that it has; None where it says so case by case.
        capabilities: what it claims; None where it says so case by case.
        implementation: what it says of itself.
    """

    name: str
    mode: str
    ops: frozenset[str] | None = None
    capabilities: frozenset[str] | None = None
    implementation: Implementation | None = None

    @property
    def restarts(self) -> int:
        """How often it had to be started again."""
        return 0

    @abc.abstractmethod
    def ask(self, cases: Sequence[Case]) -> list[Asked]:
        """Return what became of each case, in order. Raises `EnvironmentProblem` where nobody is left to ask."""

    def troubles(self) -> list[str]:
        """Return what went wrong since the last call that is about no single case, in words."""
        return []

    def finish(self) -> None:  # noqa: B027 (most just end)
        """Say goodbye; what is wrong with the subject's end is among its troubles."""

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Give everything back. Closing twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Direct(Asker):
    """A subject in this process. A crash or a hang of it is one of the whole run."""

    mode = "direct"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.name = subject.name
        self.capabilities = subject.capabilities

    def ask(self, cases: Sequence[Case]) -> list[Asked]:
        """See `Asker.ask`."""
        subject = self._subject
        return [Asked(case, ask(case, subject)) for case in cases]

    def close(self) -> None:
        """See `Asker.close`."""
        self._subject.close()
