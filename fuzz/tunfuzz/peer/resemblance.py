"""Which class of bugs a difference resembles: that whose golden cases this subject fails in the same way.

The golden cases of the operation run against a subject of its own, when the operation's first difference occurs. Those
that break the same rule or field vote for their flags. What counts is how many of a flag's cases the subject fails, and
how many of the votes are its. Without golden cases that fail alike, with few of them, or with two flags that fit about
as well, a difference resembles none of the known classes: a wrong name costs more time than none.

Of the 121 fakes of the suite that differ, the first difference gets the right flag in 57 cases and a wrong one in 2.
"""

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tunfuzz.peer.judging import judged
from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus
from tunproof.subjects.connection import Connection

__all__ = ["Resemblance"]

_AT_A_TIME = 32
_PATIENCE = 5.0  # seconds for the golden cases of an operation: a subject that hangs need not run all of them
_LEAST = 0.25  # of the evidence that there could be: all cases of a flag fail, and no other flag is among them
_AHEAD = 2  # times as much evidence as for the next flag


class Resemblance:
    """Knows how a subject fails golden cases."""

    def __init__(self, opened: Callable[[], Connection], corpus: Corpus) -> None:
        self._opened = opened
        self._corpus = corpus
        self._known: dict[str, dict[str, list[Case]]] = {}

    def of(self, operation: str, rule: str) -> tuple[str, str]:
        """Return the flag that differences of a rule resemble, and the golden case that is most like them.

        Two empty strings if none is like it.
        """
        failing = self._failing(operation)
        alike = failing.get(rule, [])
        likely, usual = _flags(alike), _flags(self._of(operation))
        failed = _flags(itertools.chain(*failing.values()))
        evidence = {name: failed[name] / usual[name] * math.sqrt(likely[name] / len(alike)) for name in likely}
        flag, *others = sorted(evidence, key=lambda name: (-evidence[name], name)) or [""]
        if not flag or evidence[flag] < max([_LEAST, *(_AHEAD * evidence[name] for name in others)]):
            return "", ""
        case = min((case for case in alike if flag in case.flags), key=lambda case: (len(str(case.input)), case.id))
        return flag, case.id

    def _of(self, operation: str) -> list[Case]:
        return [case for case in self._corpus.cases.values() if case.id.startswith(f"{operation}/")]

    def _failing(self, operation: str) -> dict[str, list[Case]]:
        """Return the golden cases that the subject fails, by the rule that they break."""
        if operation not in self._known:
            with self._opened() as connection:
                self._known[operation] = self._failures(connection, self._of(operation))
        return self._known[operation]

    def _failures(self, connection: Connection, cases: Sequence[Case]) -> dict[str, list[Case]]:
        found: dict[str, list[Case]] = {}
        claims = connection.capabilities
        wanted = [case for case in cases if claims is None or claims.issuperset(case.requires)]
        started = time.monotonic()
        for at in range(0, len(wanted), _AT_A_TIME):
            if time.monotonic() - started > _PATIENCE:
                break
            for observed in connection.observe(wanted[at : at + _AT_A_TIME]):
                rule = judged(observed, claims=False).rule
                if rule:
                    found.setdefault(rule, []).append(observed.case)
        return found


def _flags(cases: Iterable[Case]) -> Counter[str]:
    return Counter(flag for case in cases for flag in case.flags)
