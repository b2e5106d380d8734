"""What a matrix run says about the corpus: which kernels did what a case expects of kernels with their traits."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tunproof.corpus.load import Corpus
from tunproof.corpus.model import Reached
from tunproof.errors import UsageError
from tunproof.judge.verdict import Kind
from tunproof.matrix.conduct import HANDED, KernelResult, answers_digest
from tunproof.matrix.examine import Handed
from tunproof.matrix.publish import MATRIX
from tunproof.runs.results import STREAM, read

__all__ = ["Seen", "seen_in"]


@dataclass(frozen=True, slots=True)
class Seen:
    """The kernels with complete results, those without, the releases that passed a case, and how they handed it over.

    `passed` and `handed` are by id and digest: what a kernel did with other bytes confirms nothing.
    """

    kernels: list[KernelResult]
    incomplete: list[KernelResult]
    passed: dict[tuple[str, str], frozenset[str]]
    handed: dict[tuple[str, str], tuple[Reached, ...]]


def seen_in(folder: Path, corpus: Corpus) -> Seen:
    """Read the report of a matrix run.

    Raises `UsageError` if the folder has none, or one that does not cover exactly this corpus.
    """
    results = _results(folder)
    whole = [one for one in results if not one.problem]
    if not whole:
        first = f" ({results[0].release}: {results[0].problem.splitlines()[0]})" if results else ""
        raise UsageError(f"{folder}: no kernel has complete results{first}; run `tunproof matrix run --report` again")
    digest = answers_digest(corpus.cases.values())
    if any(one.answers != digest for one in whole):
        raise UsageError(f"{folder} is about different cases: run the matrix again, without --select")
    incomplete = [one for one in results if one.problem]
    return Seen(kernels=whole, incomplete=incomplete, passed=_passed(folder, whole), handed=_handed(folder, whole))


def _results(folder: Path) -> list[KernelResult]:
    try:
        return msgspec.json.decode((folder / MATRIX).read_bytes(), type=list[KernelResult])
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{folder} has no report of `tunproof matrix run`: {error}") from error


def _passed(folder: Path, kernels: Iterable[KernelResult]) -> dict[tuple[str, str], frozenset[str]]:
    """Return the releases that passed each case, by its id and digest."""
    passed: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for one in kernels:
        for result in read(folder / one.release / STREAM).results.values():
            if result.verdict is Kind.PASS:
                passed[result.id, result.digest].add(one.release)
    return {case: frozenset(releases) for case, releases in passed.items()}


def _handed(folder: Path, kernels: Iterable[KernelResult]) -> dict[tuple[str, str], tuple[Reached, ...]]:
    """Return how kernels handed over each case, by its id and digest. Raises `UsageError`."""
    handed: defaultdict[tuple[str, str], tuple[Reached, ...]] = defaultdict(tuple)
    for one in kernels:
        path = folder / one.release / HANDED
        try:
            cases = msgspec.json.decode(path.read_bytes(), type=list[Handed])
        except (OSError, msgspec.DecodeError) as error:
            raise UsageError(f"{path} does not say what {one.release} hands to a reader: {error}") from error
        for case in cases:
            handed[case.id, case.digest] += case.reached
    return dict(handed)
