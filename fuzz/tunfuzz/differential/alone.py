"""The kernel differential in one process, shard after shard: for a number of cases, or for some time."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tio.linux import Model
from tunfuzz.campaign.summary import Summary
from tunfuzz.differential.experiment import experiment
from tunfuzz.differential.kernel import Differential, look
from tunfuzz.differential.report import Difference, way_from
from tunfuzz.shard import Shard, Tally
from tunproof import findings, lab
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.lab import RunningKernel

__all__ = ["Wanted", "fuzz", "replay"]

_SHARD = 10_000
"""Cases between two looks at the clock."""

_CASES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How many cases, or how many seconds; None and None: 200 000 cases. `seed` None: a new one."""

    cases: int | None
    seconds: float | None
    seed: int | None
    out: Path


def fuzz(wanted: Wanted, *, progress: Callable[[int, int, str], None] = lambda *_: None) -> Summary:
    """Ask, and return what came out. What was found is on disk, whatever ends this. Raises `EnvironmentProblem`."""
    most = wanted.cases if wanted.cases is not None or wanted.seconds is not None else _CASES
    seed = secrets.randbits(32) if wanted.seed is None else wanted.seed
    asked = experiment()
    tally, problems, interrupted = Tally(), [], False
    started = time.monotonic()
    try:
        while (most is None or tally.cases < most) and (
            wanted.seconds is None or time.monotonic() - started < wanted.seconds
        ):
            count = _SHARD if most is None else min(_SHARD, most - tally.cases)
            tally.add(asked.runner(Shard(seed, tally.cases, count), wanted.out))
            progress(tally.cases, most or tally.cases, f"{tally.cases / (time.monotonic() - started):,.0f} per second")
    except EnvironmentProblem as problem:
        problems.append(str(problem))
    except KeyboardInterrupt:
        interrupted = True
    missing = 0 if most is None or wanted.seconds is not None else most - tally.cases
    return Summary(
        seed=seed,
        tally=tally,
        rules=tuple(asked.rules),
        seconds=time.monotonic() - started,
        missing=missing or int(bool(problems)),
        findings=tuple(wanted.out / name for name in tally.findings),
        problems=tuple(problems),
        again=("tunproof", "fuzz", "kernel", "--seed", str(seed), "--out", str(wanted.out)),
        interrupted=interrupted,
    )


def replay(path: Path) -> Difference | None:
    """Ask kernel and model once more what a finding is about; return None where they agree.

    Raises `UsageError` where it is no finding of the kernel differential, and `EnvironmentProblem`.
    """
    finding = findings.load(path)
    if finding.kind != "kernel":
        raise UsageError(f"{path}: a finding of kind {finding.kind!r}; see repro.txt beside it")
    runner = experiment().runner
    assert isinstance(runner, Differential)  # noqa: S101 (for the type checker)
    lab.ensure()
    with RunningKernel() as kernel:
        difference = look(kernel, Model(runner.traits, way_from(finding)), bytes.fromhex(finding.input["frame"]))
    return None if difference.rule == "nothing" else difference
