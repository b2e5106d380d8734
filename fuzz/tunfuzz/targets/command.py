"""`tunproof fuzz TARGET`, and all targets for `make fuzz`."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tunfuzz.options import FOLDER
from tunfuzz.targets import TARGETS, Target
from tunfuzz.targets.crashes import data_of
from tunfuzz.targets.driver import Fuzzer
from tunfuzz.targets.runs import Result, Watch, run
from tunproof.cli.options import print_json
from tunproof.cli.terminal import Terminal
from tunproof.errors import UsageError

__all__ = ["FOUND", "fuzz_target", "replay", "run_all", "show"]

FOUND: Final = 1
_NUMBERS: Final = ("executions", "per s", "coverage")


def fuzz_target(  # noqa: PLR0913 (the command's options)
    name: str,
    file: Path | None = None,
    *,
    seconds: float = 60,
    seed: int = 0,
    out: Path = FOLDER,
    grow: Path | None = None,
    as_json: bool = False,
) -> int:
    """Fuzz one target for some seconds, or replay a file, print the result, and return the exit code.

    `seed` 0: libFuzzer chooses. `grow` is a folder for inputs that reach new code.
    Raises `UsageError`, `EnvironmentProblem`.
    """
    target = _target(name)
    if file is not None:
        return replay(target, file, as_json=as_json)
    if grow is not None and not grow.is_dir():
        raise UsageError(f"{grow} is not a folder; create it for the inputs that reach new code")
    terminal = Terminal()
    with _watched(terminal, 1) as watch:
        results = run([target], seconds, out=out, seed=seed, grow=grow, watch=watch)
    if as_json:
        print_json(msgspec.to_builtins(results[0]))
    else:
        show(terminal, results)
    return FOUND if results[0].finding else 0


def replay(target: Target, file: Path, *, as_json: bool = False) -> int:
    """Run a target on one input, say whether the invariant holds, and return the exit code. Works without atheris.

    `file` is an input or a finding. Raises `UsageError`.
    """
    data = data_of(file)
    error = trace = ""
    try:
        target.check(data)
    except Exception as raised:  # noqa: BLE001 (whatever it is, the invariant does not hold)
        error, trace = f"{type(raised).__name__}: {raised}", traceback.format_exc()
    if as_json:
        said = {"target": target.name, "bytes": len(data), "holds": not error, "error": error, "trace": trace}
        print_json(said)
    else:
        terminal = Terminal()
        terminal.say(f"{target.name}: {target.invariant}")
        terminal.say(f"{len(data)} bytes: {'does not hold' if error else 'holds'}\n{trace}".rstrip())
    return FOUND if error else 0


def run_all(seconds: float, *, terminal: Terminal, seed: int = 0, out: Path = FOLDER) -> list[Result]:
    """Fuzz all targets, sharing the time, with progress on a terminal. Raises `EnvironmentProblem`."""
    with _watched(terminal, len(TARGETS)) as watch:
        return run(list(TARGETS.values()), seconds, out=out, seed=seed, watch=watch)


def show(terminal: Terminal, results: Sequence[Result]) -> None:
    """Print one line per target, then the findings."""
    table = terminal.table("target", *_NUMBERS, "found", numbers=_NUMBERS)
    for result in results:
        numbers = (f"{number:,}" for number in (result.executions, result.per_s, result.coverage))
        table.add_row(result.target, *numbers, "[red]yes[/red]" if result.finding else "·")
    terminal.out.print(table)
    for result in results:
        if result.finding:
            terminal.say(f"{result.target}: {result.error}\n  kept in {result.finding}")
            terminal.say(f"  repeat: tunproof fuzz {result.target} {result.finding}")


def _target(name: str) -> Target:
    if name not in TARGETS:
        raise UsageError(f"there is no target {name!r}; there are {', '.join(TARGETS)}")
    return TARGETS[name]


@contextmanager
def _watched(terminal: Terminal, total: int) -> Iterator[Watch]:
    """Show which targets are running: a progress bar on a terminal, nothing in a pipe."""
    with terminal.progress("targets") as tick:

        def watch(running: Sequence[Fuzzer], done: Sequence[Result]) -> None:
            found = sum(bool(result.finding) for result in done)
            notes = [f"{one.target.name} {one.stats.per_s:,}/s, coverage {one.stats.coverage}" for one in running]
            tick(len(done), total, note="; ".join([*notes, f"{found} found"]))

        yield watch
