"""Options and output that several commands share."""

import json
import sys
from typing import Annotated

import typer

from tunproof.streams import discard_output

__all__ = ["AsJson", "Flag", "Level", "Op", "Reach", "Select", "narrowing", "print_json", "print_text"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
Select = Annotated[
    str, typer.Option("--select", metavar="GLOB", help="Only cases whose id matches, such as 'read/tcp4/*'.")
]
Op = Annotated[str | None, typer.Option("--op", metavar="OP", help="Only this operation, such as read.")]
Flag = Annotated[
    str | None, typer.Option("--flag", metavar="NAME", help="Only cases that guard against this class of bug.")
]
Level = Annotated[
    str | None, typer.Option("--level", metavar="LEVEL", help="Only cases that bind like this: must, should, may.")
]
Reach = Annotated[
    str | None,
    typer.Option("--reach", metavar="REACH", help="Only cases with input from kernel, peer, caller or hostile."),
]


def narrowing(**options: str | None) -> dict[str, str]:
    """Return the options that narrow a selection and were given, by their names."""
    return {name: value for name, value in options.items() if value is not None}


def print_text(text: str) -> None:
    """Print text unchanged. A reader that closes the pipe changes neither the verdict nor the exit code."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()


def print_json(value: object) -> None:
    """Print one JSON object."""
    print_text(json.dumps(value, indent=2 if sys.stdout.isatty() else None) + "\n")
