"""What to do when whoever read our output has gone away (`tunproof kernel | head`)."""

import os
import sys

__all__ = ["discard_output"]


def discard_output() -> None:
    """Send stdout to /dev/null from now on, or Python would complain once more when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
