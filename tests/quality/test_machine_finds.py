"""Does the stateful machine detect wrong queues? Bugs are planted in the reference, and found by their rules."""

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

import tio
from tio.container import BaseContainer, BaseQueue, Lending
from tio.endpoint import Endpoint
from tio.errors import Geometry
from tunfuzz.machine import OffloadMachine, PollMachine

Patch = pytest.MonkeyPatch


class HastyOffloadMachine(OffloadMachine):
    """Loses its patience soon: many of these bugs make somebody wait for ever."""

    patience = 0.15


class HastyPollMachine(PollMachine):
    """The same, for the backend that lends the very buffer it reads into."""

    patience = 0.15


def close_wakes_nobody(patch: Patch) -> None:
    patch.setattr("tio.endpoint.os.eventfd_write", lambda *_: None)


def write_gso_writes_half(patch: Patch) -> None:
    def write_gso(self: Any, hdr: bytes, transport_hdr: bytes, pays: Sequence[bytes]) -> None:
        header = tio.check_geometry(hdr, transport_hdr, pays).header.emit()
        self._endpoint.writev((header, hdr, transport_hdr, *pays[:1]), Geometry(payload=0))

    patch.setattr(tio.OffloadQueue, "write_gso", write_gso)


def views_are_not_released(patch: Patch) -> None:
    reclaim = Lending.reclaim

    def forget(self: Lending) -> None:
        self._lent.clear()
        reclaim(self)

    patch.setattr(Lending, "reclaim", forget)


def one_buffer_for_ever(patch: Patch) -> None:
    def reclaim(self: Lending) -> None:
        for view in self._lent:
            view.release()
        self._lent.clear()

    patch.setattr(Lending, "reclaim", reclaim)


def add_closes_what_it_refuses(patch: Patch) -> None:
    add = BaseContainer.add

    def closing(self: BaseContainer, fd: int) -> None:
        try:
            add(self, fd)
        except tio.QueueError:
            with contextlib.suppress(OSError, OverflowError):
                os.close(fd)
            raise

    patch.setattr(BaseContainer, "add", closing)


def readers_queue_up(patch: Patch) -> None:
    def read(self: BaseQueue) -> list[memoryview]:
        with self._reading:
            self._lending.reclaim()
            return self._lending.lend(self._receive() or self._receive())

    patch.setattr(BaseQueue, "read", read)


def eventfds_leak(patch: Patch) -> None:
    patch.setattr(Endpoint, "_release", lambda self: os.close(self._fd))


def a_bad_frame_ends_a_read(patch: Patch) -> None:
    def read(self: BaseQueue) -> list[memoryview]:
        self._lending.reclaim()
        return self._lending.lend(self._receive())

    patch.setattr(BaseQueue, "read", read)


def a_full_queue_drops(patch: Patch) -> None:
    writev = os.writev

    def lossy(fd: int, pieces: Sequence[bytes]) -> int:
        with contextlib.suppress(BlockingIOError):
            return writev(fd, pieces)
        return 0

    patch.setattr("tio.endpoint.os.writev", lossy)


def an_empty_packet_is_written(patch: Patch) -> None:
    write = BaseQueue.write

    def writing(self: BaseQueue, packet: tio.Buffer) -> int:
        if not len(packet):
            self._send(packet, Geometry(payload=0))
        return write(self, packet)

    patch.setattr(BaseQueue, "write", writing)


FOUND_AS = {
    close_wakes_nobody: "did not return",
    write_gso_writes_half: "W4",
    views_are_not_released: "W1: a view can be used",
    one_buffer_for_ever: "W1: a slice that survives",
    add_closes_what_it_refuses: "A[12]: a refused fd",
    readers_queue_up: "did not return",
    eventfds_leak: "fds are left",
    a_bad_frame_ends_a_read: "read gave|W7: a read without a frame",
    a_full_queue_drops: "W7: a write without room|W3",
    an_empty_packet_is_written: "W4",
}


@pytest.mark.parametrize("plant", FOUND_AS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    plant(monkeypatch)
    with pytest.raises(Exception, match=FOUND_AS[plant]):
        run_state_machine_as_test(
            HastyPollMachine if plant is one_buffer_for_ever else HastyOffloadMachine,
            settings=settings(
                max_examples=100,
                stateful_step_count=30,
                phases=(Phase.generate,),
                derandomize=True,
                database=None,
                deadline=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
