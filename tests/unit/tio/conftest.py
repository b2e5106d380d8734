"""Queues over a wire: a SOCK_SEQPACKET socket pair in place of a TUN fd."""

import os
from collections.abc import Callable, Iterator

import pytest

from common.support import BACKENDS, Waits, Wire, open_fds
from tio.container import RejectCallback
from tio.endpoint import Endpoint


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    waits = Waits()
    wait = Endpoint._wait

    def announce_and_wait(self: Endpoint, events: int) -> None:
        waits.begun.release()
        wait(self, events)

    monkeypatch.setattr(Endpoint, "_wait", announce_and_wait)
    return waits


@pytest.fixture
def no_leak() -> Iterator[None]:
    before = open_fds()
    yield
    assert open_fds() == before


@pytest.fixture
def make_wire(no_leak: None) -> Iterator[Callable[..., Wire]]:
    wires: list[Wire] = []

    def make(backend: str = "offload", on_reject: RejectCallback | None = None) -> Wire:
        wires.append(Wire(BACKENDS[backend], on_reject))
        return wires[-1]

    yield make
    for wire in wires:
        wire.close()


@pytest.fixture(params=BACKENDS)
def wire(request: pytest.FixtureRequest, make_wire: Callable[..., Wire]) -> Wire:
    """A wire, with each of the two backends."""
    made: Wire = make_wire(request.param)
    return made


@pytest.fixture
def offload(make_wire: Callable[..., Wire]) -> Wire:
    """A wire with the offload backend."""
    made: Wire = make_wire("offload")
    return made


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[bytes]]:
    """Let the next calls of `os.readv` or `os.writev` fail with given errnos; returns the frames not written."""

    def install(call: str, *numbers: int) -> list[bytes]:
        real, left = getattr(os, call), list(numbers)
        refused: list[bytes] = []

        def failing(fd: int, buffers: tuple[bytes, ...]) -> int:
            if not left:
                return int(real(fd, buffers))
            refused.append(b"".join(buffers))
            number = left.pop(0)
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(f"tio.endpoint.os.{call}", failing)
        return refused

    return install
