"""A shard: a range of numbered cases, and the tally of what happened to them.

A case is determined by its campaign's seed and its number alone: any split into shards runs the same cases.
"""

from pathlib import Path
from typing import Protocol, Self

import msgspec

__all__ = ["Shard", "ShardRunner", "Tally"]


class Shard(msgspec.Struct, frozen=True):
    """The cases `first` to `first + count - 1` of the campaign with this seed."""

    seed: int
    first: int
    count: int


class Tally(msgspec.Struct, kw_only=True):
    """What happened to some cases; tallies of shards add up.

    `cases`        how many were run; `seconds` spent on them by all workers together
    `outcomes`     "delivered", "refused", "lost": how many times
    `shapes`       how a frame was made ("mutated", "grammar", "raw", ...): how many times
    `rules`        rules of the model: how many frames exercised each
    `masks`        masks, which hide bytes that no seed controls: how many frames needed each
    `differences`  frames on which kernel and model differ (before findings are deduplicated)
    `findings`     folders of findings, by name
    """

    cases: int = 0
    seconds: float = 0.0
    outcomes: dict[str, int] = msgspec.field(default_factory=dict)
    shapes: dict[str, int] = msgspec.field(default_factory=dict)
    rules: dict[str, int] = msgspec.field(default_factory=dict)
    masks: dict[str, int] = msgspec.field(default_factory=dict)
    differences: int = 0
    findings: list[str] = msgspec.field(default_factory=list)

    def add(self, other: Self) -> None:
        """Add `other`."""
        self.cases += other.cases
        self.seconds += other.seconds
        self.differences += other.differences
        for mine, theirs in (
            (self.outcomes, other.outcomes),
            (self.shapes, other.shapes),
            (self.rules, other.rules),
            (self.masks, other.masks),
        ):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        self.findings += [name for name in other.findings if name not in self.findings]


class ShardRunner(Protocol):
    """Runs the cases of a shard; findings are in `out` before it returns. Picklable; raises `EnvironmentProblem`."""

    def __call__(self, shard: Shard, out: Path) -> Tally:
        """Return the tally."""
        ...
