"""`tunproof matrix`: test many kernels."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunproof.cli.matrix_run import run_kernels
from tunproof.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from tunproof.cli.terminal import Terminal
    from tunproof.matrix.fetch import Fetched
    from tunproof.matrix.suites import Suite

__all__ = ["matrix_app"]

matrix_app = typer.Typer(help="Test many kernels.", no_args_is_help=True)


matrix_app.command("run")(run_kernels)


@matrix_app.callback()
def _group() -> None:
    """Test many kernels."""  # without a callback, typer would take a single command for the group itself


@matrix_app.command("fetch")
def fetch_kernels(
    kernels: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KERNEL]...",
            help="A series (6.12: its newest version), a version (6.12.43), or a release or package of Debian's "
            "(default: all supported series).",
        ),
    ] = None,
    *,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Where kernels are kept (default: in ~/.cache).")
    ] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Look for newer kernels even if the cache has some.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch Debian's kernels into the cache, verified by apt. Nothing is installed; apt's settings stay as they are."""
    from tunproof.cli.terminal import Terminal
    from tunproof.matrix.choose import DEFAULT_SERIES
    from tunproof.matrix.fetch import fetch
    from tunproof.matrix.kernels import cache_folder

    names = kernels or DEFAULT_SERIES
    folder = (cache or cache_folder()).absolute()
    terminal = Terminal()

    def got(one: "Fetched") -> None:
        if not as_json:
            terminal.say(_line(one))

    with terminal.progress("kernels") as tick:

        def tell(done: int, what: str) -> None:
            tick(done, len(names), note=what)

        results, suites = fetch(names, folder, refresh=refresh, tell=tell, got=got)
    if as_json:
        print_json(_as_json(folder, results, suites))
    else:
        _summary(terminal, folder, results, suites)
    if any(one.kernel is None for one in results):
        raise typer.Exit(3)


def _line(one: "Fetched") -> str:
    if one.kernel is None:
        return f"missing: {one.problem}"
    how = f"{one.bytes / 1e6:.1f} MB, {one.seconds:.1f} s" if one.new else "was in the cache"
    return f"{one.wish}  {one.kernel.package}  ({how})"


def _summary(terminal: "Terminal", folder: Path, results: "list[Fetched]", suites: "tuple[Suite, ...]") -> None:
    _unread(terminal, suites)
    for cure in dict.fromkeys(one.cure for one in results if one.kernel is None):
        terminal.say(f"cure: {cure}")
    there = sum(one.kernel is not None for one in results)
    terminal.say(f"{there} of {len(results)} kernels are in {folder}")


def _unread(terminal: "Terminal", suites: "tuple[Suite, ...]") -> None:
    """Name the suites that could not be read, those in the same state together."""
    if absent := [suite.name for suite in suites if suite.state == "missing"]:
        terminal.say(f"suites that the archive does not have: {', '.join(absent)}")
    for state in ("unverified", "unreachable"):
        if alike := [suite for suite in suites if suite.state == state]:
            terminal.say(f"suites {state}: {', '.join(suite.name for suite in alike)}")
            terminal.say(f"  {alike[0].why}\n  cure: {alike[0].cure()}")


def _as_json(folder: Path, results: "list[Fetched]", suites: "tuple[Suite, ...]") -> dict[str, object]:
    return {
        "cache": str(folder),
        "kernels": [
            {key: str(value) if isinstance(value, Path) else value for key, value in asdict(one.kernel).items()}
            | {"wish": one.wish, "new": one.new, "bytes": one.bytes, "seconds": round(one.seconds, 3)}
            for one in results
            if one.kernel is not None
        ],
        "missing": [
            {"wish": one.wish, "problem": one.problem, "cure": one.cure} for one in results if one.kernel is None
        ],
        "suites": {suite.name: suite.state for suite in suites},
    }
