"""The command: mutate the reference, run the corpus, report what it missed (see the package's docstring)."""

import argparse
import fnmatch
import importlib.metadata
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # so that this folder is the package `mutation`

from mutation.config import MODULES, TOOL
from mutation.equivalent import Key, load_arguments
from mutation.pool import CHECKOUT, JudgeFailed, judge_all
from mutation.report import Result, Run

if TYPE_CHECKING:
    from mutation.mutants import Mutant

INTERRUPTED = 130


def main() -> int:
    """Run the command and return its exit code."""
    options = _options()
    modules = [name for name in MODULES if fnmatch.fnmatchcase(name, options.select)]
    if not modules:
        print(f"mutants: {options.select!r} selects none of {', '.join(MODULES)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(128 + signal.SIGHUP))
    try:
        arguments = load_arguments()
    except ValueError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    try:
        _check_tool()
        run = Run(_results(modules, options.jobs), arguments, modules)
    except JudgeFailed as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("mutants: interrupted; nothing is left behind", file=sys.stderr)
        return INTERRUPTED
    if options.report is not None:
        options.report.write_text(run.markdown(), encoding="utf-8")
    print(json.dumps(run.as_json(), indent=2) if options.json else "\n".join(run.summary()))
    for complaint in run.complaints():
        print(f"mutants: {complaint}", file=sys.stderr)
    return 1 if run.complaints() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mutation testing of the reference, judged by the corpus alone.")
    parser.add_argument("--jobs", type=int, default=2, help="how many workers (2)")
    parser.add_argument("--select", default="*", metavar="GLOB", help="only modules whose name matches, such as 'tcp'")
    parser.add_argument("--report", type=Path, metavar="PATH", help="write a Markdown report there")
    parser.add_argument("--json", action="store_true", help="print one JSON object for machines")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error("--jobs: at least 1")
    return options


def _check_tool() -> None:
    name, _, version = TOOL.partition("==")
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise JudgeFailed(f"{name} is not installed; `make mutants` installs it") from None
    if found != version:
        raise JudgeFailed(f"{name} is {found}, not {version}: its mutants may be others; `make mutants` installs it")


def _results(modules: Sequence[str], jobs: int) -> list[Result]:
    from mutation.mutants import changed_lines, mutants_of  # noqa: PLC0415  (imports the tool)

    mutants: list[Mutant] = []
    for module in modules:
        mutants += mutants_of(module, CHECKOUT / "reference" / "tio" / f"{module}.py", MODULES[module])
    tasks = ((mutant, mutant.module, mutant.source()) for mutant in mutants)
    progress = _Progress(len(mutants))
    results = []
    for mutant, verdict in judge_all(tasks, jobs):
        line, mutated = changed_lines(mutant.original, mutant.source()) if verdict.outcome == "survived" else ("", "")
        key = Key(mutant.module, mutant.function, mutant.operator, line, mutated)
        results.append(Result(key, mutant.line, verdict.outcome, verdict.seconds))
        progress.tick(survived=verdict.outcome == "survived")
    progress.end()
    return results


class _Progress:
    """How far it is: one line rewritten on a terminal, a line every 5 % in a pipe. On stderr, results are on stdout."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = self._survived = 0
        self._started = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def tick(self, *, survived: bool) -> None:
        self._done += 1
        self._survived += survived
        if self._terminal or 20 * self._done // self._total != 20 * (self._done - 1) // self._total:
            seconds = time.monotonic() - self._started
            text = f"{self._done}/{self._total} mutants, {self._survived} survive, {seconds:.0f} s"
            print(f"\r{text}\x1b[K" if self._terminal else text, end="" if self._terminal else "\n", file=sys.stderr)
            sys.stderr.flush()

    def end(self) -> None:
        if self._terminal:
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
