"""What fuzzing adds to the command: `tunproof fuzz ...` and `tunproof campaign`. Nothing heavy is imported here."""

import typer

from tunfuzz.campaign.command import campaign_command
from tunfuzz.campaign.request import Campaign, Experiment
from tunfuzz.differential.command import kernel

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to `tunproof`."""
    fuzz = typer.Typer(help="Find what nobody thought of.", no_args_is_help=True)
    fuzz.command("kernel")(kernel)
    app.add_typer(fuzz, name="fuzz")
    app.command("campaign")(campaign_command(_kernel_experiment))


def _kernel_experiment(_: Campaign) -> Experiment:
    from tunfuzz.differential.experiment import experiment

    return experiment()
