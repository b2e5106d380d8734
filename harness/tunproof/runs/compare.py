"""Two runs compared by their causes: what is new, what is gone, and what has changed."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tunproof.judge.verdict import Signature
from tunproof.runs.results import Cause, Results

__all__ = ["Change", "Comparison", "compared"]

_Key = tuple[str, Signature]


@dataclass(frozen=True, slots=True)
class Change:
    """What happened under one signature in both runs: the causes then and now, the weightiest first."""

    then: tuple[Cause, ...]
    now: tuple[Cause, ...]

    @property
    def is_worse(self) -> bool:
        """Whether more cases fail the run than before."""
        return _failing(self.now) > _failing(self.then)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The causes that only one of two runs has, and those of both that differ in cases or weight.

    Attributes:
        new: causes of the newer run alone.
        gone: causes of the older run alone.
        changed: those of both.
    """

    new: tuple[Cause, ...]
    gone: tuple[Cause, ...]
    changed: tuple[Change, ...]

    @property
    def is_worse(self) -> bool:
        """Whether something fails the newer run that did not fail the older one."""
        return any(cause.unexpected for cause in self.new) or any(change.is_worse for change in self.changed)


def compared(then: Results, now: Results) -> Comparison:
    """Compare an older run with a newer one. Causes are the same if operation and signature are."""
    before, after = _by_signature(then.causes), _by_signature(now.causes)
    return Comparison(
        new=tuple(one for key, causes in after.items() if key not in before for one in causes),
        gone=tuple(one for key, causes in before.items() if key not in after for one in causes),
        changed=tuple(
            Change(before[key], causes)
            for key, causes in after.items()
            if key in before and _weights(before[key]) != _weights(causes)
        ),
    )


def _by_signature(causes: Iterable[Cause]) -> dict[_Key, tuple[Cause, ...]]:
    found: defaultdict[_Key, list[Cause]] = defaultdict(list)
    for cause in causes:
        found[cause.operation, cause.signature].append(cause)
    return {key: tuple(together) for key, together in found.items()}


def _weights(causes: Iterable[Cause]) -> list[tuple[str, str, frozenset[str]]]:
    return [(cause.verdict, cause.level, frozenset(cause.cases)) for cause in causes]


def _failing(causes: Iterable[Cause]) -> int:
    return sum(len(cause.cases) for cause in causes if cause.unexpected)
