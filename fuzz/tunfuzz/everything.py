"""All of fuzzing that needs no implementation of somebody's, for some seconds: what `make fuzz` calls.

Six tenths of the time go to the coverage-guided targets, three to the kernel differential, one to the property tests
with fresh seeds.
"""

from pathlib import Path

from tunfuzz import __main__ as properties
from tunfuzz.campaign.text import show as show_summary
from tunfuzz.differential import alone
from tunfuzz.targets import command as targets
from tunproof import lab
from tunproof.errors import EnvironmentProblem
from tunproof.terminal import Terminal

__all__ = ["run"]

_TARGETS, _KERNEL, _PROPERTIES = 0.6, 0.3, 0.1


def run(seconds: float, *, out: Path, terminal: Terminal) -> int:
    """Fuzz, print what came of it, and return the exit code: 1 where anything was found, else 3 where a part failed."""
    codes = [
        _run_targets(_TARGETS * seconds, out, terminal),
        _run_kernel(_KERNEL * seconds, out, terminal),
        properties.main(["--seconds", str(_PROPERTIES * seconds)]),
    ]
    return 1 if 1 in codes else max(codes)


def _run_targets(seconds: float, out: Path, terminal: Terminal) -> int:
    try:
        results = targets.run_all(seconds, terminal=terminal, out=out)
    except EnvironmentProblem as problem:
        terminal.say(f"the targets were left out: {problem}")
        return problem.exit_code
    targets.show(terminal, results)
    return int(any(result.finding for result in results))


def _run_kernel(seconds: float, out: Path, terminal: Terminal) -> int:
    try:
        lab.ensure()
    except EnvironmentProblem as problem:
        terminal.say(f"the kernel differential was left out: {problem}")
        return problem.exit_code
    with terminal.progress("cases") as tick:
        summary = alone.fuzz(
            alone.Wanted(cases=None, seconds=seconds, seed=None, out=out),
            progress=lambda done, total, note: tick(done, total, note=note),
        )
    show_summary(terminal, summary)
    return summary.exit_code
