"""`tunproof fuzz kernel`: options in, summary and exit code out."""

from typing import Annotated

import typer

from tunfuzz.options import FOLDER, Duration, Out, Replay, Seed, ended
from tunproof.cli.options import AsJson, print_json

__all__ = ["kernel"]


def kernel(  # noqa: PLR0913 (each is an option of the command)
    *,
    cases: Annotated[
        int | None, typer.Option("--cases", min=1, metavar="N", help="How many cases (default: 200000).")
    ] = None,
    seconds: Duration = None,
    seed: Seed = None,
    first: Annotated[int, typer.Option("--first", min=0, metavar="N", help="Start with case N.")] = 0,
    out: Out = FOLDER,
    replay: Replay = None,
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
        code = ended(terminal, summary, show, as_json=as_json)
    if code:
        raise typer.Exit(code)
