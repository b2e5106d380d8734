"""The commands that fuzzing adds: `tunproof fuzz ...` and `tunproof campaign`. Nothing heavy is imported here."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tunfuzz.campaign.command import campaign_command
from tunfuzz.campaign.request import Campaign, Experiment
from tunfuzz.differential.command import kernel
from tunfuzz.options import FOLDER, Out, Seconds
from tunfuzz.peer.command import adapter
from tunfuzz.targets import TARGETS
from tunproof.cli.options import AsJson

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to `tunproof`."""
    fuzz = typer.Typer(help="Find bugs that no case covers.", no_args_is_help=True)
    fuzz.command("all")(everything)
    fuzz.command("kernel")(kernel)
    fuzz.command("adapter")(adapter)
    for name in TARGETS:
        fuzz.command(name.replace("_", "-"), help=f"Fuzz the target {name}, or replay one file.")(_target(name))
    app.add_typer(fuzz, name="fuzz")
    app.command("campaign")(campaign_command(_kernel_experiment))


def everything(*, seconds: Seconds = 60, out: Out = FOLDER) -> None:
    """Fuzz all targets, the kernel and the properties, for this many seconds in total."""
    from tunfuzz.everything import run
    from tunproof.cli.terminal import Terminal

    code = run(seconds, out=out, terminal=Terminal())
    if code:
        raise typer.Exit(code)


def _target(name: str) -> Callable[..., None]:
    def target(  # noqa: PLR0913 (each is an option of the command)
        file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="An input or a finding to replay.")] = None,
        *,
        seconds: Seconds = 60,
        seed: Annotated[int, typer.Option("--seed", min=0, help="libFuzzer's seed; 0: a new one.")] = 0,
        grow: Annotated[
            Path | None, typer.Option("--grow", metavar="DIR", help="Keep inputs here that reach new code.")
        ] = None,
        out: Out = FOLDER,
        as_json: AsJson = False,
    ) -> None:
        from tunfuzz.targets.command import fuzz_target

        code = fuzz_target(name, file, seconds=seconds, seed=seed, out=out, grow=grow, as_json=as_json)
        if code:
            raise typer.Exit(code)

    return target


def _kernel_experiment(_: Campaign) -> Experiment:
    from tunfuzz.differential.experiment import experiment

    return experiment()
