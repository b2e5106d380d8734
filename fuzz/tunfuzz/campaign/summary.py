"""The results of a campaign."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunfuzz.shard import Tally
from tunproof.errors import INTERRUPTED

__all__ = ["Summary"]

FOUND, ENVIRONMENT = 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A campaign's results so far, all its runs together.

    Attributes:
        seed: determined the cases.
        tally: of all finished shards.
        rules: names of all rules that could be exercised.
        seconds: wall-clock time until the last shard was finished.
        missing: cases that were not run, or whose shard was not finished.
        findings: their folders; also those of shards that were not finished.
        problems: why cases are missing.
        again: the words of the command that continues.
        interrupted: whether Ctrl-C ended it.
    """

    seed: int
    tally: Tally
    rules: tuple[str, ...]
    seconds: float
    missing: int
    findings: tuple[Path, ...]
    problems: tuple[str, ...]
    again: tuple[str, ...]
    interrupted: bool = False

    @property
    def per_s(self) -> float:
        """Cases per second of wall-clock time, all workers together."""
        return self.tally.cases / self.seconds if self.seconds else 0.0

    @property
    def never_exercised(self) -> list[str]:
        """Rules that no case met."""
        return [name for name in self.rules if not self.tally.rules.get(name)]

    @property
    def resume(self) -> str | None:
        """The command that continues, or None if nothing is left to do."""
        return shlex.join(self.again) if self.missing else None

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 1 if something was found, else 3 if something is missing, else 0."""
        if self.interrupted:
            return INTERRUPTED
        if self.tally.differences or self.findings:
            return FOUND
        return ENVIRONMENT if self.missing else 0

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "cases": self.tally.cases,
            "seconds": round(self.seconds, 3),
            "per_s": round(self.per_s, 1),
            "differences": self.tally.differences,
            "findings": [str(folder) for folder in self.findings],
            "outcomes": self.tally.outcomes,
            "shapes": self.tally.shapes,
            "masks": self.tally.masks,
            "rules_exercised": len(self.rules) - len(self.never_exercised),
            "rules_total": len(self.rules),
            "rules": dict.fromkeys(self.rules, 0) | self.tally.rules,
            "never_exercised": self.never_exercised,
            "missing": self.missing,
            "problems": list(self.problems),
            "seed": self.seed,
            "resume": self.resume,
        }
