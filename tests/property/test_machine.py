"""Containers and queues, used by several threads in any order, do what the contract says, and leave nothing behind."""

import threading

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from common.support import open_fds
from tunfuzz.machine import OffloadMachine, PollMachine, QueueMachine


@pytest.mark.parametrize("machine", [OffloadMachine, PollMachine])
def test_queues_do_what_the_contract_says(machine: type[QueueMachine]) -> None:
    """Rules A1 to A7 and W1 to W9, I1 and I2: after any steps the model and the queues agree."""
    fds, threads = open_fds(), threading.active_count()
    run_state_machine_as_test(
        machine, settings=settings(max_examples=settings.default.max_examples // 4, stateful_step_count=40)
    )
    assert (open_fds(), threading.active_count()) == (fds, threads)
