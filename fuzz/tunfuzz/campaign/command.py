"""`tunproof campaign`: options in, summary and exit code out."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tunfuzz.campaign.request import Campaign, Experiment
from tunfuzz.options import ended
from tunproof.cli.options import AsJson

__all__ = ["campaign_command"]


def campaign_command(prepare: Callable[[Campaign], Experiment]) -> Callable[..., None]:
    """Return the command. `prepare` is called once the options are known, and imports what they need."""

    def campaign(  # noqa: PLR0913 (each is an option of the command)
        *,
        cases: Annotated[int | None, typer.Option("--cases", min=1, metavar="N", help="How many cases.")] = None,
        seed: Annotated[
            int | None, typer.Option("--seed", min=0, help="Determines the cases (default: a new one, printed).")
        ] = None,
        workers: Annotated[
            int | None, typer.Option("--workers", min=1, metavar="K", help="Processes (default: one per core).")
        ] = None,
        scheduler: Annotated[
            str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Use the workers of a Dask cluster.")
        ] = None,
        resume: Annotated[
            Path | None, typer.Option("--resume", metavar="FILE", help="Continue from a campaign.jsonl.")
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option("--out", metavar="DIR", help="For findings and campaign.jsonl (default: tunproof-findings)."),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Compare the kernel with its model in millions of cases, on all cores or a cluster; differences are kept."""
        request = Campaign(cases=cases, seed=seed, workers=workers, scheduler=scheduler, resume=resume, out=out)
        code = conduct(request, prepare(request), as_json=as_json)
        if code:
            raise typer.Exit(code)

    return campaign


def conduct(request: Campaign, experiment: Experiment, *, as_json: bool) -> int:
    """Run a campaign with a progress bar on a terminal, print the results, and return the exit code."""
    from tunfuzz.campaign.conduct import run
    from tunfuzz.campaign.text import show
    from tunproof.cli.terminal import Terminal

    terminal = Terminal()
    with terminal.progress("cases") as tick:
        summary = run(request, experiment, progress=lambda done, total, note: tick(done, total, note=note))
    return ended(terminal, summary, show, as_json=as_json)
