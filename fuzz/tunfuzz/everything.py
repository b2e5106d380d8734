"""All fuzzing that needs no third-party implementation, for some seconds: what `make fuzz` calls.

Six tenths of the time go to the coverage-guided targets, three to the kernel differential, one to the property tests
with fresh seeds.
"""

from pathlib import Path

from tunfuzz import __main__ as properties
from tunfuzz.campaign.text import show as show_summary
from tunfuzz.differential import alone
from tunfuzz.targets import command as targets
from tunproof import lab
from tunproof.cli.terminal import Terminal
from tunproof.errors import INTERRUPTED, EnvironmentProblem
from tunproof.runs import findings

__all__ = ["run"]

_TARGETS, _KERNEL, _PROPERTIES = 0.6, 0.3, 0.1


def run(seconds: float, *, out: Path, terminal: Terminal) -> int:
    """Fuzz, print the results, and return the exit code.

    1 if anything was found, else 130 after Ctrl-C, else 3 if a part could not run.
    """
    findings.prepare(out)
    there = set(findings.in_folder(out))
    codes = []
    try:
        codes.append(_run_targets(_TARGETS * seconds, out, terminal))
        codes.append(_run_kernel(_KERNEL * seconds, out, terminal))
        if INTERRUPTED not in codes:
            codes.append(properties.main(["--seconds", str(_PROPERTIES * seconds), "--out", str(out)]))
    except KeyboardInterrupt:
        codes.append(INTERRUPTED)
    found = [path for path in findings.in_folder(out) if path not in there]
    for path in found:
        terminal.say(f"found: {path}")
    return 1 if found or 1 in codes else max(codes)


def _run_targets(seconds: float, out: Path, terminal: Terminal) -> int:
    try:
        results = targets.run_all(seconds, terminal=terminal, out=out)
    except EnvironmentProblem as problem:
        terminal.say(f"the targets were skipped: {problem}")
        return problem.exit_code
    targets.show(terminal, results)
    return 0


def _run_kernel(seconds: float, out: Path, terminal: Terminal) -> int:
    try:
        lab.ensure()
    except EnvironmentProblem as problem:
        terminal.say(f"the kernel differential was skipped: {problem}")
        return problem.exit_code
    with terminal.progress("cases") as tick:
        summary = alone.fuzz(
            alone.Wanted(cases=None, seconds=seconds, seed=None, out=out),
            progress=lambda done, total, note: tick(done, total, note=note),
        )
    show_summary(terminal, summary)
    return summary.exit_code
