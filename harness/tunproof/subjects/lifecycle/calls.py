"""Calls in their own threads, waited for no longer than a deadline."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["Call"]

T = TypeVar("T")

_BLINK = 0.0002
_POLL = {b"7", b"73", b"167", b"168"}  # poll on x86, powerpc, others; ppoll (73) where poll does not exist
_GRACE = 0.02  # if /proc does not say what a thread does


class Call(Generic[T]):
    """A call under way; `patience` is how many seconds any wait for it may take."""

    def __init__(self, call: Callable[[], T], patience: float) -> None:
        self._call = call
        self._patience = patience
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="tunproof-call", daemon=True)
        self._thread.start()

    def ended(self, patience: float | None = None) -> bool:
        """Wait for the call (by default for `patience`), and return whether it has returned."""
        self._thread.join(self._patience if patience is None else patience)
        return not self._thread.is_alive()

    def waits(self) -> bool:
        """Return True as soon as the thread is inside poll(2), or False if it ends, or does neither in time."""
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline and not self.ended(_BLINK):
            if self._is_in_poll():
                return True
        return False

    def result(self) -> T:
        """Return what the call returned, or raise what it raised. Raises `AssertionError` if it takes too long."""
        if not self.ended():
            raise AssertionError(f"a call did not return within {self._patience:g} s")
        if self._error is not None:
            raise self._error
        return self._value[0]

    def _is_in_poll(self) -> bool:
        try:
            return Path(f"/proc/self/task/{self._thread.native_id}/syscall").read_bytes().split(b" ")[0] in _POLL
        except OSError:
            return not self.ended(_GRACE)

    def _run(self) -> None:
        try:
            self._value.append(self._call())
        except BaseException as error:  # noqa: BLE001 (raised again by `result`)
            self._error = error
