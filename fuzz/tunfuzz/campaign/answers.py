"""The results of an attempt at a shard, and of a shard."""

from dataclasses import dataclass
from typing import Final

from tunfuzz.shard import Shard, Tally

__all__ = ["ATTEMPTS", "Answer", "Answered", "Broken", "GivenUp", "Obstacle", "Reply"]

ATTEMPTS: Final = 3
"""How often a shard is run before it is given up: what kills three workers is not bad luck."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The machine does not allow it, and the next attempt would fail too: an `EnvironmentProblem` that travels.

    The exception itself cannot be pickled.
    """

    what: str
    cure: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker died, hung or raised: `why` in words, perhaps with a trace."""

    why: str


Reply = Tally | Obstacle | Broken
"""The result of one attempt."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A finished shard. Its findings are on the disk of this machine."""

    shard: Shard
    tally: Tally


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A shard that no worker could finish."""

    shard: Shard
    why: str


Answer = Answered | GivenUp
