"""`tunproof fuzz kernel`: options in, summary and exit code out."""

from pathlib import Path
from typing import Annotated

import typer

from tunproof.cli.options import AsJson, print_json

__all__ = ["kernel"]


def kernel(  # noqa: PLR0913 (each is an option of the command)
    *,
    cases: Annotated[
        int | None, typer.Option("--cases", min=1, metavar="N", help="How many cases (default: 200000).")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0, metavar="N", help="How long to run, instead of --cases.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Determines the cases (default: a new one).")
    ] = None,
    first: Annotated[int, typer.Option("--first", min=0, metavar="N", help="Start with case N.")] = 0,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for findings.")] = Path("tunproof-findings"),
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="FINDING", help="Only reproduce a finding.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the running kernel with its model on random frames; any difference is minimised and kept."""
    from tunfuzz.differential import alone
    from tunproof.cli.terminal import Terminal

    terminal = Terminal()
    if replay is not None:
        differs, what = alone.replay(replay)
        if as_json:
            print_json({"differs": differs, "what": what})
        else:
            terminal.say(what)
        code = int(differs)
    else:
        from tunfuzz.campaign.text import show

        with terminal.progress("cases") as tick:
            summary = alone.fuzz(
                alone.Wanted(cases=cases, seconds=seconds, seed=seed, out=out, first=first),
                progress=lambda done, total, note: tick(done, total, note=note),
            )
        if as_json:
            print_json(summary.as_json())
        else:
            show(terminal, summary)
        code = summary.exit_code
    if code:
        raise typer.Exit(code)
