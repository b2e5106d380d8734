"""Ctrl-C waits for the end of a block, and is not lost."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tunfuzz.uninterrupted import uninterrupted


def interrupted(then: Callable[[], object]) -> None:
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)
        then()


def test_ctrl_c_comes_behind_the_block() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(lambda: done.append("all of it"))
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_ctrl_c_nothing_is_raised() -> None:
    with uninterrupted():
        pass


def test_an_error_of_the_block_goes_before() -> None:
    with pytest.raises(FileNotFoundError):
        interrupted(Path("/nowhere/at/all").read_bytes)


def test_ctrl_c_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        interrupted(lambda: None)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_beside_the_main_one_needs_nothing() -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            done.append("work")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["work"]
