"""The standard streams: there, able to print anything, and quiet when nobody listens any more."""

import codecs
import contextlib
import io
import os
import sys

__all__ = ["discard_output", "prepare_streams"]

_PLAINER = str.maketrans("▒─┌┬┐·…", "#-+++..")
_ERRORS = "tunproof-plainer"


def prepare_streams() -> None:
    """Open /dev/null where a standard stream is closed, and let no encoding stand in the way of output.

    A closed stream's number would be given to the next file that is opened: a TUN, which we would then print to.
    """
    codecs.register_error(_ERRORS, _plainer)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.close(number)
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def discard_output() -> None:
    """Send stdout to /dev/null from now on: whoever read it has gone away (`tunproof kernel | head`).

    Python would complain once more when it flushes stdout at exit.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding cannot say by ASCII that looks alike."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAINER)
    return "".join(character if character.isascii() else "?" for character in text), error.end
