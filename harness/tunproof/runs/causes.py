"""Causes: the results of a run that one defect explains, as one entry.

What belongs together is found from what happened (`judge.signature`). The class of bugs that a cause is shown with is
the one that separates its cases best from those of the same operation that passed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tunproof.corpus.cases import Case
from tunproof.corpus.codec import encode
from tunproof.judge.verdict import Kind, Signature
from tunproof.runs.results import Cause, Result

__all__ = ["causes_of"]

_LEVELS = ("must", "should", "may")
_REACHES = ("kernel", "peer", "caller", "hostile")
_WEIGHTS = (Kind.FAIL, Kind.ADVISED, Kind.HARDENING, Kind.POLICY, Kind.XFAIL)
_FITS = 0.5  # of a class of bugs, the least F-score with which it is named

_Key = tuple[str, Signature, bool, Kind]


def causes_of(results: Iterable[Result], cases: Mapping[str, Case]) -> list[Cause]:
    """Return the causes of the results that did not pass: first those that fail the run, the most frequent first.

    `cases` are the cases of the run by id; results of others are left out.
    """
    found: defaultdict[_Key, list[Result]] = defaultdict(list)
    passed: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        case = cases.get(result.id)
        if case is None:
            continue
        operation = result.id.partition("/")[0]
        if result.signature is not None:
            found[operation, result.signature, result.unexpected, _weight(result)].append(result)
        elif result.verdict is Kind.PASS:
            passed[operation].update(case.flags)
    causes = [_cause(key, together, cases, passed[key[0]]) for key, together in found.items()]
    return sorted(causes, key=_order)


def _weight(result: Result) -> Kind:
    """Return what a result amounts to: all ways to fail are one."""
    return result.verdict if result.verdict in _WEIGHTS else Kind.FAIL


def _cause(key: _Key, together: Sequence[Result], cases: Mapping[str, Case], passed: Counter[str]) -> Cause:
    operation, signature, unexpected, verdict = key
    involved = [cases[result.id] for result in together]
    return Cause(
        operation=operation,
        signature=signature,
        verdict=verdict,
        unexpected=unexpected,
        level=min((case.level for case in involved), key=_LEVELS.index),
        reach=min((case.reach for case in involved), key=_REACHES.index),
        cases=tuple(result.id for result in together),
        smallest=min(involved, key=lambda case: len(encode(case.input))).id,
        flag=_flag(involved, passed),
    )


def _flag(involved: Sequence[Case], passed: Counter[str]) -> str | None:
    """Return the class of bugs that fits best: the highest F-score of having it among failing and passing cases."""
    failed = Counter(flag for case in involved for flag in case.flags)
    scores = {flag: 2 * count / (count + passed[flag] + len(involved)) for flag, count in failed.items()}
    best = max(scores, key=lambda flag: (scores[flag], flag))
    return best if scores[best] >= _FITS else None


def _order(cause: Cause) -> tuple[bool, int, int, int, int]:
    return (
        not cause.unexpected,
        _WEIGHTS.index(cause.verdict),
        _LEVELS.index(cause.level),
        _REACHES.index(cause.reach),
        -len(cause.cases),
    )
