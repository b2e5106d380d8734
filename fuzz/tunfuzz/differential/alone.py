"""The kernel differential in one process, shard after shard: for a number of cases, or for some time."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tio.linux import Model, NotModelled
from tunfuzz.campaign.summary import Summary
from tunfuzz.differential.experiment import experiment
from tunfuzz.differential.kernel import Differential, look
from tunfuzz.differential.report import frame_from, way_from
from tunfuzz.shard import Shard, Tally
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.lab import RunningKernel
from tunproof.runs import findings

__all__ = ["Wanted", "fuzz", "replay"]

_SHARD = 10_000
"""Cases between clock checks."""

_CASES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How many cases, or how many seconds (200 000 cases), starting where, by which seed (None: a new one)."""

    cases: int | None
    seconds: float | None
    seed: int | None
    out: Path
    first: int = 0


def fuzz(wanted: Wanted, *, progress: Callable[[int, int, str], None] = lambda *_: None) -> Summary:
    """Run, and return the results. Findings are on disk, however this ends. Raises `EnvironmentProblem`."""
    findings.prepare(wanted.out)
    there = set(findings.in_folder(wanted.out))
    seed = secrets.randbits(32) if wanted.seed is None else wanted.seed
    most = wanted.cases if wanted.cases is not None or wanted.seconds is not None else _CASES
    asked = experiment()
    tally, problems, interrupted = Tally(), list[str](), False
    started = time.monotonic()
    try:
        for shard in _shards(wanted, seed, most, started):
            tally.add(asked.runner(shard, wanted.out))
            progress(tally.cases, most or tally.cases, f"{tally.cases / (time.monotonic() - started):,.0f} per second")
    except EnvironmentProblem as problem:
        problems.append(str(problem))
    except KeyboardInterrupt:
        interrupted = True
    left = (most or 0) - tally.cases if wanted.seconds is None else 0
    return Summary(
        seed=seed,
        tally=tally,
        rules=tuple(asked.rules),
        seconds=time.monotonic() - started,
        missing=left if left > 0 else int(bool(problems)),
        # Also those of a shard that was not finished.
        findings=tuple(path for path in findings.in_folder(wanted.out) if path not in there),
        problems=tuple(problems),
        again=_again(wanted, seed, wanted.first + tally.cases, left),
        interrupted=interrupted,
    )


def _shards(wanted: Wanted, seed: int, most: int | None, started: float) -> Iterator[Shard]:
    """Yield shards until there are enough, or the time is up; each is run before the next one is requested."""
    done = 0
    while most is None or done < most:
        if wanted.seconds is not None and time.monotonic() - started >= wanted.seconds:
            return
        count = _SHARD if most is None else min(_SHARD, most - done)
        yield Shard(seed, wanted.first + done, count)
        done += count


def _again(wanted: Wanted, seed: int, first: int, left: int) -> tuple[str, ...]:
    how_many = ("--cases", str(left)) if left > 0 else ()
    return (
        "tunproof",
        "fuzz",
        "kernel",
        "--seed",
        str(seed),
        "--first",
        str(first),
        *how_many,
        "--out",
        str(wanted.out),
    )


def replay(path: Path) -> tuple[bool, str]:
    """Send a finding's frame to kernel and model again; return whether they differ, and a message.

    Raises `UsageError` if it is not a finding of the kernel differential, and `EnvironmentProblem`.
    """
    finding = findings.load(path)
    if finding.kind != "kernel":
        raise UsageError(f"{path}: a finding of kind {finding.kind!r}; see repro.txt beside it")
    frame, way = frame_from(finding), way_from(finding)
    runner = experiment().runner
    assert isinstance(runner, Differential)  # noqa: S101 (for the type checker)
    other = "" if finding.kernel in {"", runner.kernel} else f" (it was found on Linux {finding.kernel})"
    with RunningKernel() as kernel:
        kernel.sender(way)  # a lab that cannot be made is not a difference
        try:
            difference = look(kernel, Model(runner.traits, way), frame)
        except NotModelled as because:
            return False, f"the model makes no prediction: {because}{other}"
    if difference.rule == "nothing":
        return False, f"kernel and model agree{other}"
    return True, f"{difference.title}{other}"
