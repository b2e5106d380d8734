"""Running targets: one for some seconds, or all of them sharing the time, as many at once as there are cores."""

import os
import selectors
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from tunfuzz.targets import Target, crashes
from tunfuzz.targets.driver import DEFAULT, Fuzzer, Limits

__all__ = ["Result", "run"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a target.

    Attributes:
        target: its name.
        seed: libFuzzer's; 0 if it chose one.
        seconds: how long the child lived, from start to end.
        executions, per_s, coverage: what libFuzzer counted; coverage is branches taken.
        finding: the folder of what was found; "" if nothing was. A target stops there.
        error: what was found, in words.
    """

    target: str
    seed: int
    seconds: float
    executions: int
    per_s: int
    coverage: int
    finding: str = ""
    error: str = ""


Watch = Callable[[Sequence[Fuzzer], Sequence[Result]], None]
"""Called with the running targets and the results, whenever either changes."""


def run(  # noqa: PLR0913 (all but the first two have a default)
    targets: Sequence[Target],
    seconds: float,
    *,
    out: Path,
    seed: int = 0,
    grow: Path | None = None,
    limits: Limits = DEFAULT,
    watch: Watch = lambda _running, _done: None,
) -> list[Result]:
    """Fuzz targets, which share `seconds` (each has at least one); findings are in `out` before this returns.

    `grow` is a folder for new inputs; without it they are discarded. Raises `EnvironmentProblem`. No process is left.
    """
    jobs = min(len(targets), os.cpu_count() or 1)
    each = max(1, round(seconds * jobs / len(targets)))
    waiting, done = list(reversed(targets)), list[Result]()
    running: list[Fuzzer] = []
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        while waiting or running:
            while waiting and len(running) < jobs:
                fuzzer = stack.enter_context(Fuzzer(waiting.pop(), seconds=each, seed=seed, grow=grow, limits=limits))
                selector.register(fuzzer, selectors.EVENT_READ, fuzzer)
                running.append(fuzzer)
            for key, _ in selector.select():
                fuzzer = key.data
                if not fuzzer.read():
                    selector.unregister(fuzzer)
                    running.remove(fuzzer)
                    done.append(_result(fuzzer, out, seed))
                    fuzzer.close()
                watch(running, done)
    return done


def _result(fuzzer: Fuzzer, out: Path, seed: int) -> Result:
    """Return the result of a finished run, with its finding minimised and kept."""
    target, stats, seconds = fuzzer.target, fuzzer.stats, fuzzer.seconds
    finding = error = ""
    if fuzzer.crash is not None:
        crash = crashes.minimised(target, fuzzer.crash)
        finding, error = str(crashes.keep(out, target, crash, seed=seed)), crash.error
    return Result(
        target=target.name,
        seed=seed,
        seconds=round(seconds, 2),
        executions=stats.executions,
        per_s=stats.per_s,
        coverage=stats.coverage,
        finding=finding,
        error=error,
    )
