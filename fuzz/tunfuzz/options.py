"""What several of the fuzzing commands have in common: options, and how they end."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, TypeVar

import typer

from tunproof.cli.options import print_json

if TYPE_CHECKING:
    from tunproof.cli.terminal import Terminal

__all__ = ["FOLDER", "Duration", "Out", "Replay", "Seconds", "Seed", "ended"]

FOLDER: Final = Path("tunproof-findings")
"""Where findings are kept unless another folder is named."""

Seconds = Annotated[float, typer.Option("--seconds", min=0, metavar="N", help="How long to run.")]
Duration = Annotated[
    float | None, typer.Option("--seconds", min=0, metavar="N", help="How long to run, instead of --cases.")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Determines the cases (default: a new one).")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for findings.")]
Replay = Annotated[Path | None, typer.Option("--replay", metavar="FINDING", help="Only reproduce a finding.")]


class _Summary(Protocol):
    @property
    def exit_code(self) -> int: ...

    def as_json(self) -> dict[str, Any]: ...


S = TypeVar("S", bound=_Summary)


def ended(terminal: "Terminal", summary: S, show: "Callable[[Terminal, S], None]", *, as_json: bool) -> int:
    """Print a summary, by `show` for people, and return its exit code."""
    if as_json:
        print_json(summary.as_json())
    else:
        show(terminal, summary)
    return summary.exit_code
