"""What Ctrl-C has to wait for: something that is on disk and something that tells of it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["uninterrupted"]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until the block is over; it is not lost. What the block raises goes before it."""
    if threading.current_thread() is not threading.main_thread():  # no other one is ever interrupted
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
