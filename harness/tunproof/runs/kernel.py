"""What a kernel said, as a stream of results beside those of implementations."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tio.linux import Delivered
from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus
from tunproof.judge.verdict import Kind
from tunproof.kernel.replay import Disagreement, KernelReport
from tunproof.runs.results import FORMAT, STREAM, Got, Result, Results, Run, Writer
from tunproof.runs.runner import corpus_digest
from tunproof.version import __version__

__all__ = ["keep", "results_of"]


def keep(folder: Path, report: KernelReport, cases: Sequence[Case], corpus: Corpus, *, select: str) -> Results:
    """Write the stream of a kernel into a folder, and return its results. Raises `OSError`."""
    results = results_of(report, cases, corpus, select=select)
    folder.mkdir(parents=True, exist_ok=True)
    with Writer(folder / STREAM) as writer:
        writer.write([results.run, *results.results.values(), *([results.end] if results.end else [])])
    return results


def results_of(report: KernelReport, cases: Sequence[Case], corpus: Corpus, *, select: str) -> Results:
    """Return the results of a kernel. A kernel that disagrees fails; there is no baseline."""
    results = Results(
        Run(
            format=FORMAT,
            subject=f"Linux {report.kernel}",
            command=("tunproof", "kernel"),
            mode="kernel",
            corpus=corpus_digest(corpus),
            cases=len(cases),
            select=select,
            kernel=report.kernel,
            tunproof=__version__,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            traits=tuple(sorted(report.probed.traits)),
        )
    )
    wrong = {item.case.id: item for item in report.disagreements}
    for case in cases:
        results.add(_result(case, report, wrong.get(case.id)))
    results.end = results.ended(report.seconds)
    return results


def _result(case: Case, report: KernelReport, wrong: Disagreement | None) -> Result:
    if case.id in report.not_applicable:
        reason = report.not_applicable[case.id]
        return Result(id=case.id, digest=case.digest, verdict=Kind.NOT_APPLICABLE, difference=reason)
    if wrong is None:
        return Result(id=case.id, digest=case.digest, verdict=Kind.PASS)
    packets = tuple(wrong.got.packets) if isinstance(wrong.got, Delivered) else None
    got = None if packets is None else Got(what="packets", packets=packets)
    return Result(
        id=case.id, digest=case.digest, verdict=Kind.FAIL, unexpected=True, difference=wrong.explain(), got=got
    )
