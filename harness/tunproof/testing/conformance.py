'''Conformance from within Python: your own `Subject` against the corpus, in one call, in this process.

A subject has the operations that it overrides; cases of the others are unsupported, which is not a failure.

    from tunproof import Subject, run_conformance

    class Sums(Subject):
        """An RFC 1071 sum, and nothing else."""

        name = "sums"

        def checksum(self, data: bytes, initial: int) -> int:
            total = initial + sum(data[::2]) * 256 + sum(data[1::2])
            while total > 0xFFFF:
                total = (total & 0xFFFF) + (total >> 16)
            return total

    def test_sums() -> None:
        run_conformance(Sums(), select="checksum/*")

Its methods must return: nothing interrupts them. A subject that may crash or hang is better run behind an adapter.
'''

import glob
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tunproof.corpus.load import load
from tunproof.errors import UsageError
from tunproof.reports.failure import Explanations
from tunproof.reports.write import write_reports
from tunproof.runs import check, runner
from tunproof.runs.results import Problem, Result, Results
from tunproof.runs.runner import planned, why_nothing_ran
from tunproof.subjects.connection import Direct
from tunproof.subjects.subject import Subject
from tunproof.text import legible

__all__ = ["ConformanceError", "run_conformance"]

_SHOWN = 3  # explanations of a dozen lines each
_NAMED = 20


class ConformanceError(AssertionError):
    """Results that are not as expected.

    Attributes:
        results: all of them.
    """

    def __init__(self, text: str, results: Results) -> None:
        super().__init__(text)
        self.results = results


def run_conformance(
    subject: Subject,
    *,
    select: str = "*",
    baseline: str | os.PathLike[str] | None = None,
    report: str | os.PathLike[str] | None = None,
    exact: bool = False,
) -> Results:
    """Run the cases whose id matches the glob `select` against a subject, and return the results.

    The subject is not closed.

    `baseline` is a file of known failures. `report` is the folder for the stream of results and for all reports.
    `exact` permits none of the freedoms that an implementation normally has.

    Raises `ConformanceError` if results are not as expected. Raises `UsageError` for a selection that matches nothing,
    or nothing that the subject can do, and for a flaw in the baseline; `EnvironmentProblem` if no report can be
    written.
    """
    __tracebackhide__ = True  # pytest shows the caller's line, not the inside of this function
    corpus = load()
    plan = planned(corpus, select, known=None if baseline is None else os.fspath(baseline), exact=exact)
    connection = Direct(subject)
    heading = runner.heading(connection, corpus, plan, ("run_conformance",))
    folder = None if report is None else Path(report)
    results = check.run(plan, connection, corpus, heading, folder=folder)
    explanations = Explanations(results, corpus)
    if folder is not None:
        write_reports(folder, explanations)
    if unexpected := results.unexpected():
        raise ConformanceError("\n\n".join(_told(unexpected, explanations)), results)
    if reasons := why_nothing_ran(results.results.values()):
        raise UsageError(f"{select!r} selects no case that can be run against {subject.name}: {reasons}")
    return results


def _told(unexpected: list[Result | Problem], run: Explanations) -> Iterator[str]:
    """Yield the message, in paragraphs."""
    count = len(unexpected)
    yield f"{legible(run.results.run.subject)}: {count} {'result is' if count == 1 else 'results are'} not as expected"
    for item in unexpected[:_SHOWN]:
        if isinstance(item, Problem):
            yield legible(f"{item.id}  {item.what}\n  {item.text}")
        else:
            again = f"run_conformance(..., select={glob.escape(item.id)!r})"
            yield msgspec.structs.replace(run.of(item), command=again).text
    more = [legible(item.id) for item in unexpected[_SHOWN:]]
    if more:
        left = f", and {len(more) - _NAMED} others" if len(more) > _NAMED else ""
        yield f"and {len(more)} more: {', '.join(more[:_NAMED])}{left}"
