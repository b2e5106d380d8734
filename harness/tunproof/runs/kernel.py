"""Is this kernel right? A run of the corpus through a real TUN, recorded like any other run.

A kernel that does something else fails; there is no baseline, and nothing is run twice.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from tio.linux import Delivered, KernelOutcome
from tunproof import lab
from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus
from tunproof.judge.kernel import decide
from tunproof.judge.verdict import Kind, Verdict
from tunproof.kernel.probes import Probed, running_kernel
from tunproof.kernel.replay import Disagreement, Trial, prepare, replay
from tunproof.lab import Exchange
from tunproof.runs.results import Got, Result, Results, Run
from tunproof.runs.runner import today

__all__ = ["Ask", "heading", "leave_out", "run_kernel", "verify"]

_AT_A_TIME = 256  # frames between two looks at the progress

Ask = Callable[[Sequence[Trial]], Iterable[Disagreement]]
"""Send frames to a kernel, and yield where it disagrees."""


def verify(
    corpus: Corpus, select: str = "*", *, progress: Callable[[int, int], None] = lambda *_: None
) -> tuple[Results, Probed]:
    """Run the selected cases through the running kernel; return the results, and the kernel's traits.

    `progress` is called now and then with the number of frames sent so far and in total. Raises `UsageError`,
    `EnvironmentProblem`.
    """
    cases = corpus.select(select)
    probed = running_kernel()
    with lab.redirect() as pair:
        exchange = Exchange(pair)
        release = os.uname().release
        results = run_kernel(
            heading(release, probed, cases, corpus, select), cases, lambda some: replay(exchange, some), progress
        )
    return results, probed


def heading(release: str, probed: Probed, cases: Sequence[Case], corpus: Corpus, select: str) -> Run:
    """Return the first record of a run of a kernel."""
    return Run(
        subject=f"Linux {release}",
        command=("tunproof", "kernel"),
        mode="kernel",
        cases=len(cases),
        select=select,
        kernel=release,
        traits=tuple(sorted(probed.traits)),
        exact=True,
        **today(corpus),
    )


def run_kernel(run: Run, cases: Sequence[Case], ask: Ask, progress: Callable[[int, int], None]) -> Results:
    """Send the frames of cases to a kernel with the traits of `run`, some at a time. Raises what `ask` does."""
    started = time.perf_counter()
    wrong: dict[str, Disagreement] = {}
    trials, not_applicable = prepare(cases, frozenset(run.traits))
    for start in range(0, len(trials), _AT_A_TIME):
        for one in ask(trials[start : start + _AT_A_TIME]):
            wrong.setdefault(one.case.id, one)
        progress(min(start + _AT_A_TIME, len(trials)), len(trials))
    results = Results(run)
    for case in cases:
        results.add(_result(case, wrong.get(case.id), not_applicable))
    results.end = results.ended(time.perf_counter() - started)
    return results


def leave_out(results: Results, cases: Iterable[Case], reasons: Mapping[str, str]) -> None:
    """Make cases not applicable after all, each for a reason: they were not sent, or not answered."""
    for case in cases:
        if case.id in reasons:
            results.add(_result(case, None, reasons))
    if results.end is not None:
        results.end = results.ended(results.end.seconds)


def _result(case: Case, wrong: Disagreement | None, not_applicable: Mapping[str, str]) -> Result:
    got: KernelOutcome | None = None
    if case.id in not_applicable:
        verdict = Verdict(Kind.NOT_APPLICABLE, not_applicable[case.id])
    elif wrong is None:
        verdict = Verdict(Kind.PASS)
    else:
        verdict, got = decide(wrong.expected, wrong.got), wrong.got
    return Result(
        id=case.id,
        digest=case.digest,
        verdict=verdict.kind,
        unexpected=verdict.kind is Kind.FAIL,
        difference=verdict.difference,
        got=Got(what="packets", packets=got.packets) if isinstance(got, Delivered) else None,
        mismatches=verdict.mismatches,
        mismatched=verdict.mismatched,
    )
