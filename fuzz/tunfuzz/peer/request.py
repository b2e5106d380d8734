"""What is wanted of a run, and what came of it."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from tunfuzz.options import FOLDER
from tunfuzz.peer.report import Kept
from tunproof.subjects.connect import Connector

__all__ = ["CASES", "FOLDER", "Request", "Summary"]

CASES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is wanted.

    Attributes:
        connector: the subject.
        seed: decides the inputs.
        cases: how many are made, those that cannot be asked among them; None for as many as `seconds` let.
        seconds: for how long; None for as long as `cases` take.
        out: the folder for findings.
        select: one operation instead of all.
    """

    connector: Connector
    seed: int
    cases: int | None = CASES
    seconds: float | None = None
    out: Path = FOLDER
    select: str | None = None


@dataclass(slots=True)
class Summary:
    """What came of it.

    Attributes:
        subject, mode: who was asked, and how frames reached it.
        seed: what decided the inputs.
        operations: how many inputs of each were asked.
        refused: how many of them the reference turns down.
        skipped: what was not asked, by reason. Numbers of inputs; 0 for a whole operation.
        waived: differences that are right all the same, by the rule that says so.
        advice: rules that should be kept, and that are not: how often.
        policies: what the subject does that it may do or not: how often.
        findings: what is wrong.
        troubles: what is wrong and is about no single input.
        seconds: how long inputs were made, asked and judged; `minimising` is what findings took on top.
        restarts: how often the subject was started again.
        stopped: why it ended before its time, or "".
        interrupted: whether somebody ended it.
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
    troubles: list[str] = field(default_factory=list)
    seconds: float = 0.0
    minimising: float = 0.0
    restarts: int = 0
    stopped: str = ""
    interrupted: bool = False

    @property
    def cases(self) -> int:
        """How many inputs were asked."""
        return self.operations.total()

    @property
    def per_s(self) -> float:
        """Inputs per second."""
        return self.cases / self.seconds if self.seconds else 0.0

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return 130 if self.interrupted else int(bool(self.findings or self.troubles or self.stopped))

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
            **{name: dict(getattr(self, name)) for name in ("skipped", "waived", "advice", "policies")},
            "findings": msgspec.to_builtins(self.findings),
            "troubles": self.troubles,
            "restarts": self.restarts,
            "stopped": self.stopped,
            "interrupted": self.interrupted,
        }
