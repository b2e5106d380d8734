"""Which class of bugs a difference resembles: that whose golden cases this subject fails in the same way.

The golden cases of the operation run against the subject once, when the operation's first difference occurs. Those that
break the same rule or field vote for their flags: the flag wins most of whose cases the subject fails, weighted by how
many of them break that rule.
"""

import itertools
import math
import time
from collections import Counter
from collections.abc import Iterable

from tunfuzz.peer.judging import judged
from tunproof.corpus.cases import Case, MustRefuse, MustReject
from tunproof.corpus.load import Corpus
from tunproof.subjects.connection import Connection

__all__ = ["Resemblance"]

_AT_A_TIME = 32
_PATIENCE = 5.0  # seconds for the golden cases of an operation: a subject that hangs need not run all of them


class Resemblance:
    """Knows how a subject fails golden cases."""

    def __init__(self, connection: Connection, corpus: Corpus) -> None:
        self._connection = connection
        self._corpus = corpus
        self._known: dict[str, dict[str, list[Case]]] = {}

    def of(self, operation: str, rule: str) -> tuple[str, str]:
        """Return the flag that differences of a rule resemble, and the golden case that is most like them.

        Two empty strings if none is like it.
        """
        failing = self._failing(operation)
        alike = (
            failing.get(rule) or self._named(operation, rule) or [case for cases in failing.values() for case in cases]
        )
        if not alike:
            return "", ""
        likely = _flags(alike)
        usual = _flags(self._of(operation))
        failed = _flags(itertools.chain(*failing.values())) or likely
        flag = max(likely, key=lambda name: (failed[name] / usual[name] * math.sqrt(likely[name]), name))
        case = min((case for case in alike if flag in case.flags), key=lambda case: (len(str(case.input)), case.id))
        return flag, case.id

    def _of(self, operation: str) -> list[Case]:
        return [case for case in self._corpus.cases.values() if case.id.startswith(f"{operation}/")]

    def _named(self, operation: str, rule: str) -> list[Case]:
        """Return the cases in which the reference names the rule, for a rule that no golden case finds broken."""
        return [
            case
            for case in self._of(operation)
            if isinstance(case.expect, MustReject | MustRefuse) and case.expect.fault.rule == rule
        ]

    def _failing(self, operation: str) -> dict[str, list[Case]]:
        """Return the golden cases that the subject fails, by the rule that they break."""
        if operation not in self._known:
            found: dict[str, list[Case]] = {}
            self._known[operation] = found
            cases = [case for case in self._of(operation) if self._claims(case)]
            started = time.monotonic()
            for at in range(0, len(cases), _AT_A_TIME):
                if time.monotonic() - started > _PATIENCE:
                    break
                for observed in self._connection.observe(cases[at : at + _AT_A_TIME]):
                    rule = judged(observed, claims=False).rule
                    if rule:
                        found.setdefault(rule, []).append(observed.case)
        return self._known[operation]

    def _claims(self, case: Case) -> bool:
        return self._connection.capabilities is None or self._connection.capabilities.issuperset(case.requires)


def _flags(cases: Iterable[Case]) -> Counter[str]:
    return Counter(flag for case in cases for flag in case.flags)
