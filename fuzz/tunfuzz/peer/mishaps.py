"""What goes wrong in tunproof itself while it fuzzes: told at the end, and the end of nothing.

A run may have gone on for hours when a generator, the judge or the minimiser meets an input that nobody thought of. The
input is left out, or the finding kept as it is, and the bug is ours.
"""

import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tunproof.errors import TunproofError

__all__ = ["Mishaps"]

T = TypeVar("T")


class Mishaps:
    """Counts bugs of tunproof by what it was doing, the error, and the line that raised it."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def attempt(self, what: str, call: Callable[[], T]) -> T | None:
        """Return what `call` does, or None if that is a bug of tunproof: it was doing `what`.

        What is wrong with the subject, the machine or the command (`TunproofError`) is no such bug, and is raised.
        """
        try:
            return call()
        except TunproofError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, it must not cost what was found)
            self.note(what, error)
            return None

    def note(self, what: str, error: Exception) -> None:
        """Count an error that was caught elsewhere."""
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        self._times[f"while {what}: {type(error).__name__} at {where}: {_first_line(error)}"] += 1

    def texts(self) -> list[str]:
        """Return one sentence for each."""
        return [
            f"a bug in tunproof, please report it: {text}" + (f" ({times} times)" if times > 1 else "")
            for text, times in self._times.items()
        ]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
