"""Options and output that several commands share."""

import json
import sys
from typing import Annotated

import typer

from tunproof.streams import discard_output

__all__ = ["AsJson", "Select", "print_json", "print_text"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
Select = Annotated[
    str, typer.Option("--select", metavar="GLOB", help="Only cases whose id matches, such as 'read/tcp4/*'.")
]


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
