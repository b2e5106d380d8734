"""What a matrix run says about the corpus: which kernels did what a case expects of kernels with their traits."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tunproof.corpus.load import Corpus
from tunproof.errors import UsageError
from tunproof.judge.verdict import Kind
from tunproof.matrix.conduct import KernelResult, answers_digest
from tunproof.matrix.publish import MATRIX
from tunproof.runs.results import STREAM, read

__all__ = ["Seen", "seen_in"]


@dataclass(frozen=True, slots=True)
class Seen:
    """The kernels with complete results, those without, and the releases that passed a case.

    `passed` is by id and digest: what a kernel did with other bytes confirms nothing.
    """

    kernels: list[KernelResult]
    incomplete: list[KernelResult]
    passed: dict[tuple[str, str], frozenset[str]]


def seen_in(folder: Path, corpus: Corpus) -> Seen:
    """Read the report of a matrix run.

    Raises `UsageError` if the folder has none, or one that does not cover exactly this corpus.
    """
    try:
        results = msgspec.json.decode((folder / MATRIX).read_bytes(), type=list[KernelResult])
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{folder} has no report of `tunproof matrix run`: {error}") from error
    whole = [one for one in results if not one.problem]
    if not whole:
        first = f" ({results[0].release}: {results[0].problem.splitlines()[0]})" if results else ""
        raise UsageError(f"{folder}: no kernel has complete results{first}; run `tunproof matrix run --report` again")
    if any(one.answers != answers_digest(corpus.cases.values()) for one in whole):
        raise UsageError(f"{folder} is about different cases: run the matrix again, without --select")
    passed: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for one in whole:
        for result in read(folder / one.release / STREAM).results.values():
            if result.verdict is Kind.PASS:
                passed[result.id, result.digest].add(one.release)
    return Seen(
        kernels=whole,
        incomplete=[one for one in results if one.problem],
        passed={case: frozenset(releases) for case, releases in passed.items()},
    )
