"""The results of several kernels, side by side: where they differ, and which trait explains it."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from tio.linux import ABOUT, Trait, observable, traits_of
from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus
from tunproof.corpus.model import KernelDelivers, KernelLoses, KernelRefuses, KernelSame
from tunproof.kernel.probes import PROBES
from tunproof.matrix.conduct import KernelResult
from tunproof.matrix.order import order

__all__ = [
    "UNEXPLAINED",
    "Group",
    "Row",
    "departures",
    "differing",
    "grouped",
    "names",
    "oldest_first",
    "regressions",
    "traits_that_differ",
    "unexplained",
]

UNEXPLAINED = "unexplained"
"""The mark of a kernel that does not do what its traits say."""


@dataclass(frozen=True, slots=True)
class Row:
    """A case on which kernels differ: what each does, by release, and the deciding traits, if they differ."""

    case: Case
    answers: dict[str, str]
    because: tuple[Trait, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that share each kernel's answer and the traits behind it. No traits: they are unexplained."""

    cases: tuple[Case, ...]
    answers: dict[str, str]
    because: tuple[Trait, ...]


def oldest_first(results: Sequence[KernelResult]) -> list[KernelResult]:
    """Return results in the order of their versions."""
    return sorted(results, key=lambda one: order(one.version))


def names(results: Sequence[KernelResult]) -> dict[str, str]:
    """Return a short name for each release: its version, if no other kernel has the same."""
    counts = Counter(one.version for one in results)
    return {one.release: one.version if counts[one.version] == 1 else one.release for one in results}


def differing(results: Sequence[KernelResult], corpus: Corpus) -> list[Row]:
    """Return the cases on which these kernels differ, unexplained ones first."""
    probed = [one for one in oldest_first(results) if one.cases]
    traits = traits_that_differ(probed)
    rows = [row for case in corpus.cases.values() if (row := _row(case, probed, traits)) is not None]
    return sorted(rows, key=lambda row: (bool(row.because), row.because))


def _row(case: Case, results: Sequence[KernelResult], traits: Sequence[Trait]) -> Row | None:
    others: list[tuple[bytes, ...]] = []
    answers = {one.release: _answer(case, one, others) for one in results}
    if len(set(answers.values())) < 2:
        return None
    if UNEXPLAINED in answers.values():
        return Row(case, answers, ())
    return Row(case, answers, tuple(trait for trait in traits if _decides(trait, case, results)))


def _decides(trait: Trait, case: Case, results: Sequence[KernelResult]) -> bool:
    """Whether one of these kernels would do something else with this trait, or without it."""
    return trait in case.traits and any(
        case.answer_of(frozenset(one.traits)) != case.answer_of(frozenset(one.traits) ^ {trait}) for one in results
    )


def _answer(case: Case, result: KernelResult, others: list[tuple[bytes, ...]]) -> str:
    """Return what a kernel does, in a word or two. New packets go to `others`; all but the first have a number."""
    if case.id in result.disagree:
        return UNEXPLAINED
    match case.answer_of(frozenset(result.traits)):
        case KernelSame():
            return "as expected"
        case KernelRefuses(errno=name):
            return name
        case KernelLoses():
            return "lost"
        case KernelDelivers(packets=packets):
            if packets not in others:
                others.append(packets)
            return f"other packets ({at + 1})" if (at := others.index(packets)) else "other packets"
    return "not run"


def grouped(rows: Sequence[Row]) -> list[Group]:
    """Return rows with the same reason and the same answers as one: unexplained ones first, then large ones."""
    alike: dict[Hashable, list[Row]] = {}
    for row in rows:
        alike.setdefault((row.because, *row.answers.items()), []).append(row)
    groups = [Group(tuple(row.case for row in some), some[0].answers, some[0].because) for some in alike.values()]
    return sorted(groups, key=lambda group: (bool(group.because), -len(group.cases)))


def traits_that_differ(results: Sequence[KernelResult]) -> list[Trait]:
    """Return the traits that some of the kernels have and others lack, in the order of the probes."""
    probed = [one for one in results if one.cases]
    return [trait for trait in PROBES if len({trait in one.traits for one in probed if trait not in one.unknown}) > 1]


def regressions(results: Sequence[KernelResult]) -> list[tuple[Trait, list[KernelResult]]]:
    """Return the regressions that some of the kernels have, each with those kernels."""
    found = [(trait, [one for one in results if trait in one.traits]) for trait in PROBES if ABOUT[trait].regression]
    return [(trait, having) for trait, having in found if having]


def departures(result: KernelResult) -> Iterator[tuple[Trait, bool]]:
    """Yield the traits in which a kernel differs from its kernel.org release, and whether it has them."""
    known = observable(traits_of(result.version))
    for trait in PROBES:
        has = trait in result.traits
        if (trait in known) != has and trait not in result.unknown:
            yield trait, has


def unexplained(results: Sequence[KernelResult]) -> int:
    """Return how many cases and frames no trait explains."""
    return sum(one.differences for one in results)
