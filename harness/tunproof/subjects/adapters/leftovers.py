"""What errors leave behind in an adapter, by kind of error: learnt from cases that ran with it and without.

A fresh start after each error is right, and slow where hundreds of inputs raise. The cases that follow an error in the
same message have run already; after the fresh start they run again. If they are the same often enough, errors of that
kind leave nothing behind. Less is enough where no kind of error has ever left anything.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tunproof.judge.outcome import Broken, Outcome

__all__ = ["Leftovers"]

_PROOF = 12  # cases after errors of a kind, which were the same after a fresh start
_TRUST = 24  # such cases of all kinds, and not one that was different
_PROOF_WITH_TRUST = 1
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|[0-9]+")


class Leftovers:
    """What errors leave behind, by kind: learnt from cases that ran after an error, and again after a fresh start."""

    def __init__(self) -> None:
        self._alike: Counter[str] = Counter()
        self._harmful: set[str] = set()
        self._expected: tuple[frozenset[str], Sequence[Outcome]] = (frozenset(), ())

    def none_from(self, errors: Iterable[str]) -> bool:
        """Whether errors with these details are of kinds that leave nothing behind."""
        is_trusted = not self._harmful and self._alike.total() >= _TRUST
        least = _PROOF_WITH_TRUST if is_trusted else _PROOF
        return all(self._alike[kind] >= least and kind not in self._harmful for kind in map(_kind, errors))

    def expect(self, errors: Iterable[str], outcomes: Sequence[Outcome]) -> None:
        """Remember what came after errors with these details. The same cases are run next, after a fresh start."""
        self._expected = (frozenset(map(_kind, errors)), outcomes)

    def compare(self, outcomes: Sequence[Outcome]) -> None:
        """Take the outcomes of the cases that were run next, as far as that went."""
        kinds, expected = self._expected
        self._expected = (frozenset(), ())
        count = min(len(expected), len(outcomes))
        if list(map(_without_words, expected[:count])) != list(map(_without_words, outcomes[:count])):
            self._harmful |= kinds
        for kind in kinds:
            self._alike[kind] += count


def _kind(detail: str) -> str:
    """Return the beginning of an error's detail without its numbers."""
    return _NUMBERS.sub("#", detail.partition("\n")[0])[:80]


def _without_words(outcome: Outcome) -> object:
    """Return an outcome without what may differ from run to run."""
    return (outcome.how, _kind(outcome.detail)) if isinstance(outcome, Broken) else outcome
