"""What a campaign is to do, and how it is split into shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tunfuzz.options import FOLDER
from tunfuzz.shard import Shard, ShardRunner

__all__ = ["DEADLINE", "FOLDER", "SHARD", "Campaign", "Experiment", "shards_of"]

SHARD: Final = 200_000
"""Cases in a shard: some seconds of work. Making and closing its labs takes a quarter of a second, a small part of
that; and a killed worker or an interrupted client wastes only seconds."""

DEADLINE: Final = 300.0
"""Seconds that a shard may take: a hundred times what it needs, so a worker that is not done by then hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What a campaign is to do.

    Attributes:
        cases: how many; None to take it from the file of `resume`.
        seed: determines the cases; None for a new one, or for that of `resume`.
        out: folder for the state file and for findings; None for `./tunproof-findings`, or for that of `resume`.
        resume: the state file to continue from.
        workers: how many processes, if there is no `scheduler`; None for one per core.
        scheduler: address of a Dask scheduler, such as `tcp://192.0.2.1:8786`.
        shard: cases in a shard.
        deadline: seconds that a shard may take.
    """

    cases: int | None = None
    seed: int | None = None
    out: Path | None = None
    resume: Path | None = None
    workers: int | None = None
    scheduler: str | None = None
    shard: int = SHARD
    deadline: float = DEADLINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What a campaign repeats: `runner` runs a shard, `rules` are the names of all that it could exercise.

    `corpus` is the digest of the corpus that cases are made from, or "".
    """

    runner: ShardRunner
    rules: Sequence[str]
    corpus: str = ""


def shards_of(*, seed: int, cases: int, shard: int = SHARD) -> Iterator[Shard]:
    """Yield shards that cover each of the cases 0 to `cases` - 1 once, in order; the last one may be smaller."""
    for first in range(0, cases, shard):
        yield Shard(seed, first, min(shard, cases - first))
