"""What a run keeps: the results that were wanted, up to the failures that are allowed."""

import itertools
from collections.abc import Callable, Collection, Iterable

from tunproof.runs.results import Problem, Record, Result, Results

__all__ = ["Taker"]


class Taker:
    """Keeps the results of the cases that were wanted, until there are as many failures as are allowed."""

    def __init__(
        self,
        wanted: Collection[str],
        most_failures: int | None,
        results: Results,
        record: Callable[[Iterable[Record]], None],
    ) -> None:
        """`wanted` are ids of cases; `most_failures` None: any number is allowed."""
        self._wanted = wanted
        self._room = most_failures
        self._results = results
        self._record = record

    @property
    def is_full(self) -> bool:
        """Whether there are as many failures as are allowed."""
        return self._room == 0

    def take(self, records: Iterable[Result | Problem]) -> None:
        """Keep some records, and write them down at once."""
        kept = list(itertools.takewhile(self._has_room, (one for one in records if self._is_wanted(one))))
        for one in kept:
            self._results.add(one)
        self._record(kept)

    def _is_wanted(self, one: Result | Problem) -> bool:
        return isinstance(one, Problem) or one.id in self._wanted

    def _has_room(self, one: Result | Problem) -> bool:
        if self.is_full:
            return False
        if self._room is not None and (isinstance(one, Problem) or one.unexpected):
            self._room -= 1
        return True
