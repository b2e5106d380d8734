"""The standard streams: open, able to print anything, and quiet once the reader is gone."""

import codecs
import contextlib
import io
import os
import sys

__all__ = ["discard_output", "prepare_streams"]

_PLAINER = str.maketrans("▒─┌┬┐·…", "#-+++..")
_ERRORS = "tunproof-plainer"


def prepare_streams() -> None:
    """Open /dev/null in place of a closed standard stream, and let no encoding prevent output.

    Otherwise the next file to be opened would get a closed stream's number: a TUN, which we would then print to.
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
    """Send stdout to /dev/null from now on: its reader has gone (`tunproof kernel | head`).

    Otherwise Python would report an error when it flushes stdout at exit.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding cannot express by similar ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAINER)
    return "".join(character if character.isascii() else "?" for character in text), error.end
