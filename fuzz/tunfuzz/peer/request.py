"""What a run is to do, and its results."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from tunfuzz.options import FOLDER
from tunfuzz.peer.known import Known
from tunfuzz.peer.report import Kept
from tunproof.errors import INTERRUPTED, EnvironmentProblem
from tunproof.subjects.connect import Connector

__all__ = ["CASES", "FOLDER", "Request", "Summary"]

CASES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run is to do.

    Attributes:
        connector: the subject.
        seed: determines the inputs.
        cases: how many are made, including those that cannot run; None for as many as `seconds` allow.
        seconds: for how long; None for as long as `cases` take.
        out: the folder for findings.
        select: one operation instead of all.
        known: what is known to differ.
    """

    connector: Connector
    seed: int
    cases: int | None = CASES
    seconds: float | None = None
    out: Path = FOLDER
    select: str | None = None
    known: Known = field(default_factory=Known)


@dataclass(slots=True)
class Summary:
    """The results of a run.

    Attributes:
        subject, mode: what was tested, and how frames reached it.
        seed: determined the inputs.
        operations: how many inputs of each were run.
        refused: how many of them the reference rejects.
        skipped: what was not run, by reason. Numbers of inputs; 0 for a whole operation.
        waived: legitimate differences, by the rule that says so.
        advice: recommendations that are not followed: how often.
        policies: optional behaviours of the subject: how often.
        findings: what is wrong.
        known: what is wrong and known to be: how often, by operation and rule.
        stale: what should be wrong, and was not met.
        troubles: what is wrong and concerns no single input.
        seconds: spent making, running and judging inputs; `minimising` is spent on findings in addition.
        restarts: how often the subject was restarted.
        stopped: why it ended before its time, or "".
        interrupted: whether Ctrl-C ended it.
        mishaps: bugs of tunproof that it met, in words. They say nothing about the subject.
        broken_off: the error that ended it, if one did.
    """

    subject: str
    mode: str
    seed: int
    operations: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    waived: Counter[str] = field(default_factory=Counter)
    advice: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    findings: list[Kept] = field(default_factory=list)
    known: Counter[str] = field(default_factory=Counter)
    stale: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    seconds: float = 0.0
    minimising: float = 0.0
    restarts: int = 0
    stopped: str = ""
    interrupted: bool = False
    mishaps: list[str] = field(default_factory=list)
    broken_off: Exception | None = None

    @property
    def cases(self) -> int:
        """How many inputs were run."""
        return self.operations.total()

    @property
    def per_s(self) -> float:
        """Inputs per second."""
        return self.cases / self.seconds if self.seconds else 0.0

    @property
    def exit_code(self) -> int:
        """The command's exit code: 3 if all that is wrong is tunproof itself, or the machine."""
        if self.interrupted:
            return INTERRUPTED
        if self.findings or self.troubles or (self.stopped and self.broken_off is None):
            return 1
        return EnvironmentProblem.exit_code if self.mishaps or self.broken_off else 0

    def as_json(self) -> dict[str, Any]:
        """Return the summary for machines."""
        return {
            "subject": self.subject,
            "mode": self.mode,
            "seed": self.seed,
            "cases": self.cases,
            "seconds": round(self.seconds, 3),
            "per_s": round(self.per_s),
            "minimising_s": round(self.minimising, 3),
            "operations": {op: {"cases": n, "refused": self.refused[op]} for op, n in self.operations.items()},
            **{name: dict(getattr(self, name)) for name in ("skipped", "waived", "advice", "policies", "known")},
            "stale": self.stale,
            "findings": msgspec.to_builtins(self.findings),
            "troubles": self.troubles,
            "restarts": self.restarts,
            "stopped": self.stopped,
            "interrupted": self.interrupted,
            "mishaps": self.mishaps,
        }
