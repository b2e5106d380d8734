"""Blocks that Ctrl-C must not split: writing something to disk, and recording it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["uninterrupted"]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C until the block is over; it is not lost. An exception from the block takes precedence."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread is ever interrupted
        yield
        return
    pressed = list[Any]()
    usual = signal.signal(signal.SIGINT, lambda *said: pressed.append(said))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if pressed:
        signal.raise_signal(signal.SIGINT)
