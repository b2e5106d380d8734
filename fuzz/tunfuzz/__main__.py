"""`python -m tunfuzz --seconds N`: try the invariants on fresh random values until the time is up.

Exit codes: 0 nothing found, 1 something was found, 2 invalid arguments, 3 the machine cannot do it.
"""

import argparse
import gc
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisException

from tunfuzz.options import FOLDER
from tunfuzz.properties import PROPERTIES, Property
from tunfuzz.values import Framed
from tunproof import lab
from tunproof.errors import EnvironmentProblem
from tunproof.runs.findings import Finding, keep

__all__ = ["main"]

FOUND, ENVIRONMENT = 1, 3
_EXAMPLES_A_ROUND = 100

_SETTINGS = settings(
    max_examples=_EXAMPLES_A_ROUND,
    database=None,
    deadline=None,
    derandomize=False,
    phases=(Phase.generate, Phase.shrink),
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    chosen = [each for each in PROPERTIES if options.only in {None, each.name}]
    with ExitStack() as stack:
        kernel = None
        if any(each.needs_lab for each in chosen):
            try:
                kernel = _open_lab(stack)
            except EnvironmentProblem as problem:
                if options.require_lab or options.only is not None:
                    print(f"tunfuzz: no lab: {problem}", file=sys.stderr)
                    return ENVIRONMENT
                print(f"tunfuzz: continuing without the kernel: {problem.what}", file=sys.stderr)
                chosen = [each for each in chosen if not each.needs_lab]
        # Nothing loaded so far is garbage, and scanning it again and again costs a third of the time.
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)
        try:
            return _run(chosen, kernel, options)
        except EnvironmentProblem as problem:
            print(f"tunfuzz: the lab failed: {problem}", file=sys.stderr)
            return ENVIRONMENT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tunfuzz", description="Try the invariants on fresh random values.")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help="about how long (default: 60)")
    parser.add_argument("--seed", type=int, help="the seed of the first round (default: a new one)")
    parser.add_argument("--only", choices=[each.name for each in PROPERTIES], help="one invariant instead of all")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="for findings")
    parser.add_argument("--require-lab", action="store_true", help="without a lab, end with 3 instead of continuing")
    return parser


def _open_lab(stack: ExitStack) -> lab.Exchange:
    lab.ensure()
    return lab.Exchange(stack.enter_context(lab.redirect()))


@dataclass(slots=True)
class _Finding:
    """The latest failure: once hypothesis has ended, that is the smallest example it found."""

    value: object
    error: Exception


@dataclass(slots=True)
class _Progress:
    """Counts examples, and shows them on a terminal; in a pipe it is silent."""

    started: float = field(default_factory=time.monotonic)
    examples: int = 0
    rounds: int = 0

    def show(self, name: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{self.text()}, now {name}")
            sys.stderr.flush()

    def clear(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")

    def text(self) -> str:
        elapsed = time.monotonic() - self.started
        return f"{self.examples} examples in {elapsed:.0f} s, {self.examples / max(elapsed, 0.001):.0f} per second"


def _run(chosen: Sequence[Property], kernel: lab.Exchange | None, options: argparse.Namespace) -> int:
    """Go through the invariants, a hundred examples at a time, each round from the next seed."""
    seconds, out = options.seconds, options.out
    number = secrets.randbits(32) if options.seed is None else options.seed
    progress = _Progress()
    print(f"tunfuzz: {len(chosen)} invariants, starting from seed {number}")
    while True:
        for each in chosen:
            progress.show(each.name)
            finding = _try(each, kernel, number, progress)
            if finding is not None:
                progress.clear()
                _report(each, number, finding, out)
                return FOUND
            if time.monotonic() - progress.started >= seconds:
                progress.clear()
                print(f"tunfuzz: nothing found; {progress.text()}")
                return 0
        number += 1


def _try(each: Property, kernel: lab.Exchange | None, number: int, progress: _Progress) -> _Finding | None:
    """Run one invariant on a round of examples; return the failure, as small as hypothesis can make it."""
    findings: list[_Finding] = []
    extra: tuple[Any, ...] = (kernel,) if each.needs_lab else ()

    def test(value: object) -> None:
        progress.examples += 1
        try:
            each.check(value, *extra)
        except EnvironmentProblem:
            raise
        except Exception as error:
            findings[:] = [_Finding(value, error)]
            raise

    run: Callable[[], None] = seed(number)(_SETTINGS(given(each.strategy)(test)))
    try:
        run()
    except (EnvironmentProblem, HypothesisException):
        if not findings:
            raise
    except Exception:
        if not findings:
            raise
    return findings[0] if findings else None


def _report(each: Property, number: int, finding: _Finding, out: Path) -> None:
    repeat = f"python -m tunfuzz --seconds 0 --only {each.name} --seed {number}"
    print(f"tunfuzz: {each.name} does not hold: {type(finding.error).__name__}: {finding.error}")
    print(f"  smallest example: {finding.value!r}")
    print(f"  as code:          invariants.{each.check.__name__}(<the example>{', kernel' if each.needs_lab else ''})")
    print(f"  to repeat it:     {repeat}")
    value = finding.value.frame() if isinstance(finding.value, Framed) else finding.value
    kept = Finding(
        kind="property",
        title=f"{each.name} does not hold: {finding.error}",
        rule=each.name,
        operation="read" if isinstance(value, bytes) else "",
        input={"frame": value.hex()} if isinstance(value, bytes) else {"value": repr(value)},
        expected={"outcome": "holds"},
        got={"outcome": type(finding.error).__name__, "detail": str(finding.error)},
        seed=number,
        repro=repeat,
    )
    print(f"  kept in:          {keep(out, kept)}")


if __name__ == "__main__":
    sys.exit(main())
