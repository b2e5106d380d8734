"""What several kernels said, side by side: where they differ, and which trait explains it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tio.linux import Trait, observable, traits_of
from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus
from tunproof.corpus.model import KernelAnswer, KernelDelivers, KernelLoses, KernelRefuses, KernelSame
from tunproof.matrix.conduct import KernelResult
from tunproof.probes import PROBES

__all__ = ["UNEXPLAINED", "Row", "departures", "differing", "oldest_first", "traits_that_differ", "unexplained"]


UNEXPLAINED = "unexplained"
"""What stands for a kernel that does not do what its traits say."""


@dataclass(frozen=True, slots=True)
class Row:
    """A case on which kernels differ: what each does, by release, and the traits that decide and are not the same."""

    case: Case
    answers: dict[str, str]
    because: tuple[Trait, ...]


def oldest_first(results: Sequence[KernelResult]) -> list[KernelResult]:
    """Return results in the order of their versions."""
    return sorted(results, key=lambda one: [int(part) for part in one.version.split(".") if part.isdigit()])


def differing(results: Sequence[KernelResult], corpus: Corpus) -> list[Row]:
    """Return the cases on which these kernels differ, those that nobody explains first."""
    probed = [one for one in oldest_first(results) if one.cases]
    rows = [row for case in corpus.cases.values() if (row := _row(case, probed)) is not None]
    return sorted(rows, key=lambda row: (bool(row.because), row.because))


def _row(case: Case, results: Sequence[KernelResult]) -> Row | None:
    seen: dict[str, list[KernelAnswer]] = {}
    answers = {one.release: _answer(case, one, seen) for one in results}
    if len(set(answers.values())) < 2:
        return None
    if UNEXPLAINED in answers.values():
        return Row(case, answers, ())
    return Row(case, answers, tuple(trait for trait in traits_that_differ(results) if trait in case.traits))


def _answer(case: Case, result: KernelResult, seen: dict[str, list[KernelAnswer]]) -> str:
    """Return what a kernel does, in a word or two; packets that differ from others have a number."""
    if case.id in result.disagree:
        return UNEXPLAINED
    answer = case.answer_of(frozenset(result.traits))
    match answer:
        case KernelSame():
            return "as expected"
        case KernelRefuses(errno=name):
            return name
        case KernelLoses():
            return "lost"
        case KernelDelivers():
            others = seen.setdefault(case.id, [])
            if answer not in others:
                others.append(answer)
            return "other packets" if len(others) == 1 else f"other packets ({others.index(answer) + 1})"
    return "not asked"


def traits_that_differ(results: Sequence[KernelResult]) -> list[Trait]:
    """Return the traits that some of the kernels have and others lack, in the order of the probes."""
    probed = [one.traits for one in results if one.cases]
    return [trait for trait in PROBES if len({trait in traits for traits in probed}) > 1]


def departures(result: KernelResult) -> Iterator[tuple[Trait, bool]]:
    """Yield the traits in which a kernel is not as its version left kernel.org, and whether it has them."""
    known = observable(traits_of(result.version))
    for trait in PROBES:
        has = trait in result.traits
        if (trait in known) != has and trait not in result.unknown:
            yield trait, has


def unexplained(results: Sequence[KernelResult]) -> int:
    """Return how many cases and frames no trait explains."""
    return sum(len(one.disagree) + (one.frames.differences if one.frames else 0) for one in results)
