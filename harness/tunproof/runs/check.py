"""Is this implementation correct? A run from its start to its last record."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.runs import results, runner
from tunproof.runs.results import STREAM, Record, Results, Run
from tunproof.runs.runner import Plan, planned, why_nothing_ran
from tunproof.subjects.connect import Connector
from tunproof.subjects.connection import Connection

__all__ = ["Request", "check", "require_a_case_that_ran", "run"]

_SAME = tuple(
    "subject implementation claims command mode corpus select only strict kernel tunproof baseline".split()  # noqa: SIM905
)
"""What a run and the one that it continues have in common, by the attributes of `results.Run`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run should do.

    Attributes:
        connector: the subject.
        select: a glob of case ids.
        only: what narrows the selection, by the names of the options.
        strict: advice counts as a failure.
        most_failures: the run stops at so many.
        baseline: the file of known failures.
        report: the folder for the stream of results.
        resume: continue from the existing stream.
        repeat: how often each case is run.
    """

    connector: Connector
    select: str = "*"
    only: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False
    most_failures: int | None = None
    baseline: Path | None = None
    report: Path | None = None
    resume: bool = False
    repeat: int = 1


def check(request: Request, corpus: Corpus, *, progress: Callable[[int, int], None] = lambda *_: None) -> Results:
    """Run, judge and record. Raises `UsageError` and `EnvironmentProblem`; what was recorded stays."""
    known = None if request.baseline is None else str(request.baseline)
    plan = planned(
        corpus,
        request.select,
        only=request.only,
        known=known,
        exact=request.connector.exact,
        strict=request.strict,
        most_failures=request.most_failures,
        repeat=request.repeat,
    )
    _prepare(plan.cases, request.connector.mode)
    if request.resume and request.report is None:
        raise UsageError("--resume continues from the stream in a folder: name it with --report")
    with request.connector.open(corpus) as connection:
        heading = runner.heading(connection, corpus, plan, request.connector.command)
        return run(plan, connection, corpus, heading, folder=request.report, resume=request.resume, progress=progress)


def require_a_case_that_ran(found: Results, select: str) -> None:
    """Raise `UsageError` if not a single case was run against the subject."""
    if reasons := why_nothing_ran(found.results.values()):
        raise UsageError(f"{select!r} selects no case that can be run against it here: {reasons}")


def run(  # noqa: PLR0913 (two give the destination, one the progress)
    plan: Plan,
    connection: Connection,
    corpus: Corpus,
    heading: Run,
    *,
    folder: Path | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Results:
    """Execute a plan, and write the stream into `folder` if there is one."""
    with ExitStack() as stack:
        found = Results(heading)
        record: Callable[[Iterable[Record]], None] = lambda _: None  # noqa: E731 (the other one is a method)
        if folder is not None:
            if resume:
                found = _resumed(folder, heading)
            record = stack.enter_context(_writer(folder, keep=resume)).write
        digests = {case.id: case.digest for case in corpus.cases.values()}
        problems = plan.baseline.check(digests, {case.id for case in plan.cases}, heading.kernel)
        new = [problem for problem in problems if problem not in found.problems]
        found.problems += new
        record(new if resume else [heading, *new])
        if found.end is None:
            runner.perform(plan, connection, found, record=record, progress=progress)
    return found


def _prepare(cases: Iterable[Case], mode: str | None) -> None:
    """Acquire what the lab needs, before any threads start."""
    on_device = mode is not None and mode.startswith("device")
    if not on_device and not any("lifecycle.device" in case.requires for case in cases):
        return
    from tunproof import lab  # noqa: PLC0415 (takes time, and few runs need it)

    if on_device:
        lab.ensure()
    else:
        with suppress(EnvironmentProblem):  # without a lab these cases are not applicable, and say why
            lab.ensure()


def _writer(folder: Path, *, keep: bool) -> results.Writer:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return results.Writer(folder / STREAM, keep=keep)
    except OSError as error:
        what = f"results cannot be written to {folder}: {os.strerror(error.errno or 0)}"
        raise EnvironmentProblem(what, cure="name a writable folder with free space") from error


def _resumed(folder: Path, heading: Run) -> Results:
    """Return the existing results. Raises `UsageError` if they belong to another run."""
    found = results.read(folder, incomplete=True)
    for name in _SAME:
        then, now = getattr(found.run, name), getattr(heading, name)
        if then != now:
            shown = tuple(msgspec.to_builtins(value) for value in (then, now))
            raise UsageError(f"{folder} holds another run: its {name} is {shown[0]!r}, this one's {shown[1]!r}")
    return found
