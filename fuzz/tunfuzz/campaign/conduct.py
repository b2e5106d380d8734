"""A campaign from its first shard to its summary."""

import os
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tunfuzz.campaign.answers import Answer, Answered
from tunfuzz.campaign.cluster import connected
from tunfuzz.campaign.pool import Pool
from tunfuzz.campaign.request import FOLDER, Campaign, Experiment
from tunfuzz.campaign.state import STATE, Finished, Heading, Journal, State, read, refuse_taken
from tunfuzz.campaign.summary import Summary
from tunfuzz.shard import Shard, ShardRunner, Tally
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.runs import findings
from tunproof.version import __version__

__all__ = ["Progress", "run"]

_HOPELESS: Final = 3
"""Shards given up in a run that has finished none: the next ones would fail too."""

Ask = Callable[[Iterable[Shard]], Generator[Answer]]
Progress = Callable[[int, int, str], None]
"""Called with the number of cases done, the total, and a note."""


def run(request: Campaign, experiment: Experiment, *, progress: Progress = lambda *_: None) -> Summary:
    """Run what has not run yet.

    Raises `UsageError` for an invalid request, `EnvironmentProblem` for obstacles before the
    first case; later ones are in the summary.
    """
    path, state = _begun(request, experiment)
    left = [shard for shard in state.shards() if shard not in state.finished]
    with ExitStack() as stack:
        ask = stack.enter_context(_asker(request, experiment.runner, path.parent, idle=not left))
        journal = stack.enter_context(Journal(path, new=() if request.resume else [state.heading]))
        course = _Course(state, journal, progress)
        course.follow(stack.enter_context(closing(ask(left))))
    elsewhere = () if request.scheduler is None else ("--scheduler", request.scheduler)
    return _summary(course, path, experiment.rules, ("tunproof", "campaign", "--resume", str(path), *elsewhere))


@dataclass(slots=True)
class _Course:
    """A campaign under way: `total` is the tally, `started` when it would have started had it never paused."""

    state: State
    journal: Journal
    progress: Progress
    total: Tally = field(init=False)
    started: float = field(init=False)
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.total = self.state.tally()
        self.started = time.monotonic() - self.state.clock

    def follow(self, answers: Iterator[Answer]) -> None:
        """Take answers until there are no more, an obstacle occurs, or Ctrl-C."""
        self._report()
        try:
            self._take(answers)
        except EnvironmentProblem as problem:
            self.problems.append(str(problem))
        except KeyboardInterrupt:
            self.interrupted = True

    def _take(self, answers: Iterator[Answer]) -> None:
        finished = given_up = 0
        for answer in answers:
            if isinstance(answer, Answered):
                self._record(answer)
                finished += 1
                continue
            given_up += 1
            shard = answer.shard
            self.problems.append(f"cases {shard.first} to {shard.first + shard.count - 1}: {answer.why}")
            if given_up == _HOPELESS and not finished:
                self.problems.append("nothing was finished so far, so no more is run")
                return

    def _record(self, answer: Answered) -> None:
        """Count a shard, once it is on disk."""
        clock = time.monotonic() - self.started
        self.journal.write(Finished(shard=answer.shard, tally=answer.tally, clock=clock))
        self.total.add(answer.tally)
        self._report()

    def _report(self) -> None:
        rate = self.total.cases / max(time.monotonic() - self.started, 0.001)
        note = f"{rate:,.0f} per second, {len(self.total.findings)} findings"
        self.progress(self.total.cases, self.state.heading.cases, note)


def _begun(request: Campaign, experiment: Experiment) -> tuple[Path, State]:
    """Return the state file's path, and its present or future contents. Raises `UsageError`."""
    if request.scheduler is not None and request.workers is not None:
        raise UsageError("--workers are processes of this machine, and --scheduler has its own workers: choose one")
    if request.resume is not None:
        return _resumed(request, experiment, request.resume)
    if request.cases is None:
        raise UsageError("say how many cases: --cases N")
    out = request.out or FOLDER
    refuse_taken(out / STATE)
    heading = Heading(
        seed=secrets.randbits(32) if request.seed is None else request.seed,
        cases=request.cases,
        shard=request.shard,
        tunproof=__version__,
        corpus=experiment.corpus,
        kernel=_kernel(request),
        there=tuple(each.name for each in findings.in_folder(out)),
    )
    return out / STATE, State(heading)


def _resumed(request: Campaign, experiment: Experiment, file: Path) -> tuple[Path, State]:
    path = file / STATE if file.is_dir() else file
    state = read(path)
    if request.out is not None and request.out.resolve() != path.parent.resolve():
        raise UsageError(f"a campaign continues where it began: omit --out, or name {path.parent}")
    for name, now in (
        ("seed", request.seed),
        ("cases", request.cases),
        ("tunproof", __version__),
        ("corpus", experiment.corpus),
        ("kernel", _kernel(request)),
    ):
        then = getattr(state.heading, name)
        if now is not None and now != then:
            raise UsageError(f"{path} holds another campaign: its {name} is {then!r}, and now it is {now!r}")
    return path, state


def _kernel(request: Campaign) -> str:
    return os.uname().release if request.scheduler is None else "any of a cluster"


@contextmanager
def _asker(request: Campaign, runner: ShardRunner, out: Path, *, idle: bool) -> Iterator[Ask]:
    """Yield the function that runs shards. If nothing is left to run, no cluster is needed."""
    if request.scheduler is None or idle:
        workers = request.workers or len(os.sched_getaffinity(0))
        yield Pool(runner, out, workers=workers, deadline=request.deadline).ask
    else:
        with connected(request.scheduler) as cluster:
            yield partial(cluster.ask, runner, out, request.deadline)


def _is_of(folder: Path, seed: int) -> bool:
    """Whether a finding may be one of the campaign with this seed: other commands keep theirs in the same folder."""
    try:
        finding = findings.load(folder)
    except UsageError:
        return True
    return finding.kind == "kernel" and finding.seed in {None, seed}


def _summary(course: _Course, path: Path, rules: Sequence[str], again: tuple[str, ...]) -> Summary:
    """Sum up what the file says: Ctrl-C may have come between its last line and our own count.

    Findings are those that tallies name, and those of shards that were not finished.
    """
    state = read(path)
    tally = state.tally()
    new = (each for each in findings.in_folder(path.parent) if each.name not in state.heading.there)
    here = {each.name for each in new if _is_of(each, state.heading.seed)}
    return Summary(
        seed=state.heading.seed,
        tally=tally,
        rules=tuple(rules),
        seconds=state.clock,
        missing=state.missing,
        findings=tuple(path.parent / name for name in sorted(here | set(tally.findings))),
        problems=tuple(course.problems),
        again=again,
        interrupted=course.interrupted,
    )
