"""Playing a lifecycle script with the reference.

The player does the subject's steps, `Scenery` those of the runner; over the protocol the two are in different processes
(`adapter` here, and `adapters/lifecycle.py`). Whatever may wait runs in its own thread, for at most `PATIENCE`. Whether
such a thread is waiting is visible from outside: it is inside poll(2).
"""

import contextlib
import functools
import time
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import tio
from tio.container import BaseContainer, BaseQueue
from tunproof.corpus.script import (
    PATIENCE,
    Add,
    Answer,
    Close,
    Closed,
    CloseQueue,
    Count,
    Descriptors,
    Done,
    Down,
    FinishRead,
    FinishWrite,
    Grow,
    Look,
    Queues,
    Read,
    ReadPackets,
    RefusedStep,
    Released,
    Renew,
    Script,
    StartRead,
    StartWrite,
    Waiting,
    WriteGsoStep,
    WriteStep,
)
from tunproof.subjects.lifecycle.calls import Call
from tunproof.subjects.lifecycle.nearside import NearSide, named
from tunproof.subjects.lifecycle.scenery import Scenery

__all__ = ["PATIENCE", "Player", "StuckError", "play"]

_BLINK = 0.0002


def play(script: Script) -> list[Answer]:
    """Return each step's answer. Everything that the steps made is gone afterwards.

    A step that does not return is answered `waiting`, and is the last one.

    Raises `ValueError` for a step about something that no step made, and `UnsupportedError` if a step needs a device
    that this process may not make.
    """
    answers: list[Answer] = []
    scenery = Scenery(script)
    with Player(script.backend, scenery) as player:
        steps = scenery.steps | player.steps
        for index, step in enumerate(script.steps):
            try:
                answers.append(steps[type(step)](step))
            except StuckError:
                return [*answers, Waiting()]
            except ValueError as error:
                raise ValueError(f"step {index} ({step}): {error}") from error
    return answers


class StuckError(Exception):
    """A call did not return in time."""


class _Job:
    """A call of the reference in its own thread."""

    def __init__(self, call: Callable[[], Answer]) -> None:
        self._call = Call(lambda: _outcome(call), PATIENCE)

    def ended(self, patience: float) -> bool:
        """Wait up to that many seconds, and return whether the call has returned."""
        return self._call.ended(patience)

    def answer(self) -> Answer:
        """Return the call's result, or raise what it raised."""
        if not self._call.ended():
            raise StuckError
        return self._call.result()

    def waits(self) -> bool:
        """Return True as soon as the thread is inside poll(2), or False if it ends before."""
        if self._call.waits():
            return True
        if self._call.ended(0):
            return False
        raise TimeoutError(f"neither waits nor returns within {PATIENCE:g} s: it spins")


def _outcome(call: Callable[[], Answer]) -> Answer:
    """Return the result of a call of the reference. Unexpected exceptions propagate."""
    try:
        return call()
    except tio.Closed:
        return Closed()
    except tio.LinkDown:
        return Down()
    except (tio.FrameError, tio.AddRefused, tio.ConcurrentRead, tio.KernelRefused, tio.Unsupported):
        return RefusedStep()


class Player:
    """The container of a script, its queues by the names of their fds, and the calls in progress on them.

    A context manager; see `close`.

    Attributes:
        steps: the functions for the subject's steps. They may raise `StuckError`.
    """

    def __init__(self, backend: Literal["offload", "plain"], side: NearSide) -> None:
        self._descriptors = _open_fds() - side.held()
        self._side = side
        self._make: type[BaseContainer] = tio.OffloadContainer if backend == "offload" else tio.PollContainer
        self._containers: list[BaseContainer] = [self._make()]
        self._queues: dict[str, BaseQueue] = {}
        self._reads: dict[str, list[list[memoryview]]] = defaultdict(list)
        self._readers: dict[str, _Job] = {}
        self._writers: dict[str, deque[_Job]] = defaultdict(deque)
        self.steps: dict[type, Callable[[Any], Answer]] = {
            Add: self._add,
            Queues: self._count_queues,
            CloseQueue: self._close_queue,
            Close: self._close,
            Renew: self._renew,
            Descriptors: self._count_descriptors,
            Read: self._read,
            StartRead: self._start_read,
            FinishRead: self._finish_read,
            Look: self._look,
            Grow: self._grow,
            WriteStep: self._write,
            WriteGsoStep: self._write_gso,
            StartWrite: self._start_write,
            FinishWrite: self._finish_write,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the containers, and then `side`."""
        try:
            for container in self._containers:
                with contextlib.suppress(StuckError):  # an earlier answer said so, or the last one does
                    _in_time(functools.partial(_done, container.close))
        finally:
            self._side.close()

    @property
    def _container(self) -> BaseContainer:
        return self._containers[-1]

    def _queue(self, name: str) -> BaseQueue:
        if name not in self._queues:
            raise ValueError(f"no container took {name!r}")
        return self._queues[name]

    # The container.

    def _add(self, step: Add) -> Answer:
        fd = named(step.fd, self._side.numbers)
        answer = _outcome(lambda: _done(self._container.add, fd))
        if answer == Done():
            self._queues[step.fd] = self._container.queues()[-1]
            self._side.taken(step.fd)
        return answer

    def _count_queues(self, _: Queues) -> Answer:
        return Count(count=len(self._container.queues()))

    def _close(self, _: Close) -> Answer:
        return _in_time(lambda: _done(self._container.close))

    def _renew(self, _: Renew) -> Answer:
        self._containers.append(self._make())
        return Done()

    def _count_descriptors(self, _: Descriptors) -> Answer:
        return Count(count=_open_fds() - self._descriptors - self._side.held())

    # Reading.

    def _read(self, step: Read) -> Answer:
        return _in_time(self._reading(step.fd))

    def _start_read(self, step: StartRead) -> Answer:
        job = self._readers[step.fd] = _Job(self._reading(step.fd))
        return Waiting() if job.waits() else job.answer()

    def _finish_read(self, step: FinishRead) -> Answer:
        if step.fd not in self._readers:
            raise ValueError(f"no read was started on {step.fd!r}")
        return self._readers.pop(step.fd).answer()

    def _reading(self, name: str) -> Callable[[], Answer]:
        queue = self._queue(name)

        def read() -> Answer:
            packets = queue.read()
            self._reads[name].append(packets)
            return ReadPackets(packets=tuple(bytes(packet) for packet in packets))

        return read

    def _look(self, step: Look) -> Answer:
        try:
            packet = self._reads[step.fd][-1 - step.reads_ago][step.packet]
            return ReadPackets(packets=(bytes(packet),))
        except (ValueError, IndexError):  # released, or never existed
            return Released()

    def _grow(self, _: Grow) -> Answer:
        return RefusedStep()  # a memoryview cannot grow

    # Writing.

    def _write(self, step: WriteStep) -> Answer:
        queue, packet = self._queue(step.fd), step.packet
        return _in_time(lambda: _done(queue.write, packet))

    def _write_gso(self, step: WriteGsoStep) -> Answer:
        queue = self._queue(step.fd)
        return _in_time(lambda: _done(queue.write_gso, step.hdr, step.transport_hdr, step.pays))

    def _start_write(self, step: StartWrite) -> Answer:
        queue, packet = self._queue(step.fd), step.packet

        def write() -> Answer:
            for _ in range(step.count):
                queue.write(packet)
            return Done()

        job = _Job(write)
        self._writers[step.fd].append(job)
        return Waiting() if job.waits() else job.answer()

    def _finish_write(self, step: FinishWrite) -> Answer:
        if not self._writers[step.fd]:
            raise ValueError(f"no write was started on {step.fd!r}")
        job = self._writers[step.fd].popleft()
        deadline = time.monotonic() + PATIENCE
        while not job.ended(_BLINK) and time.monotonic() < deadline:
            self._side.drain(step.fd)
        return job.answer()

    def _close_queue(self, step: CloseQueue) -> Answer:
        queue = self._queue(step.fd)
        return _in_time(lambda: _done(queue.close))


def _in_time(call: Callable[[], Answer]) -> Answer:
    """Return the result of a call that may wait, but not forever."""
    return _Job(call).answer()


def _done(call: Callable[..., object], *arguments: object) -> Answer:
    """Make a call whose result does not matter."""
    call(*arguments)
    return Done()


def _open_fds() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
