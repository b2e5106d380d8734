"""Playing a lifecycle script with the second implementation, in the scenery of the harness."""

import functools
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fakes.own_container import GoneError, OwnContainer, OwnQueue
from tunproof.corpus import script as steps
from tunproof.corpus.cases import GsoArguments
from tunproof.corpus.script import Answer, Script
from tunproof.subjects.lifecycle.scenery import Scenery
from tunproof.subjects.subject import Subject, TurnedDownError, UnsupportedError

_PATIENCE = 2.0  # seconds that one step may take
_DEVICES = (steps.OpenTun, steps.Link, steps.Offloads)


class Job(threading.Thread):
    """A call in a thread of its own, and what it came to."""

    def __init__(self, call: Callable[[], Answer], queue: OwnQueue | None = None) -> None:
        super().__init__(daemon=True)
        self.call = call
        self.queue = queue
        self.outcome: Answer | Exception | None = None
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self.outcome = self.call()
        except GoneError:
            self.outcome = steps.Closed()
        except TurnedDownError:
            self.outcome = steps.RefusedStep()
        except Exception as error:  # noqa: BLE001 (raised again by `answer`)
            self.outcome = error
        if self.queue is not None:
            with self.queue.changed:
                self.queue.changed.notify_all()

    def answer(self) -> Answer:
        """Return what the call came to."""
        self.join(_PATIENCE)
        if self.outcome is None:
            raise TimeoutError
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class OwnLifecycle(Subject):
    """The containers and queues of the second implementation. A fake replaces one of them."""

    name = "own lifecycle"
    Queue = OwnQueue
    Container = OwnContainer

    def lifecycle(self, script: Script) -> list[Answer]:
        """See `Subject.lifecycle`."""
        if any(isinstance(step, _DEVICES) or getattr(step, "what", "") == "unattached-tun" for step in script.steps):
            raise UnsupportedError("lifecycle.device")
        player = Player(script, functools.partial(self.Container, self.Queue))
        try:
            return [player.do(step) for step in script.steps]
        finally:
            player.close()


class Player:
    """One script under way."""

    def __init__(self, script: Script, container_type: Callable[..., OwnContainer]) -> None:
        self.fds_before = _open_fds()
        self.scenery = Scenery(script)
        self.make = functools.partial(container_type, headers=script.backend == "offload")
        self.containers = [self.make()]
        self.queues: dict[str, OwnQueue] = {}
        self.reads: dict[str, list[list[memoryview]]] = defaultdict(list)
        self.jobs: dict[tuple[type, str], deque[Job]] = defaultdict(deque)
        self.steps: dict[type, Callable[[Any], Answer]] = self.scenery.steps | {
            steps.Add: self.add,
            steps.Queues: lambda _: steps.Count(count=len(self.containers[-1].queues())),
            steps.CloseQueue: lambda step: self.now(self.queues[step.fd].close),
            steps.Close: lambda _: self.now(self.containers[-1].close),
            steps.Renew: self.renew,
            steps.Descriptors: self.descriptors,
            steps.Read: lambda step: Job(functools.partial(self.read, step.fd)).answer(),
            steps.StartRead: lambda step: self.begin(steps.FinishRead, step.fd, functools.partial(self.read, step.fd)),
            steps.FinishRead: lambda step: self.jobs[type(step), step.fd].popleft().answer(),
            steps.Look: self.look,
            steps.Grow: self.grow,
            steps.WriteStep: lambda step: self.now(self.queues[step.fd].write, step.packet),
            steps.WriteGsoStep: self.write_gso,
            steps.StartWrite: self.start_write,
            steps.FinishWrite: self.finish_write,
        }

    def do(self, step: Any) -> Answer:
        """Return what a step answers."""
        return self.steps[type(step)](step)

    def now(self, call: Callable[..., object], *arguments: object) -> Answer:
        """Return what a call comes to whose result is of no interest."""
        return Job(lambda: _done(call, *arguments)).answer()

    def begin(self, finish: type, fd: str, call: Callable[[], Answer]) -> Answer:
        """Start a call that is to wait, and return when it does."""
        queue = self.queues[fd]
        waits = queue.waits
        job = Job(call, queue)
        with queue.changed:
            queue.changed.wait_for(lambda: queue.waits > waits or job.outcome is not None, _PATIENCE)
        if job.outcome is not None:
            return job.answer()
        self.jobs[finish, fd].append(job)
        return steps.Waiting()

    def add(self, step: steps.Add) -> Answer:
        """Hand over a fd."""
        answer = self.now(self.containers[-1].add, self.scenery.numbers[step.fd])
        if answer == steps.Done():
            self.queues[step.fd] = self.containers[-1].queues()[-1]
            self.scenery.taken(step.fd)
        return answer

    def renew(self, _: steps.Renew) -> Answer:
        """Make another container."""
        self.containers.append(self.make())
        return steps.Done()

    def descriptors(self, _: steps.Descriptors) -> Answer:
        """Count fds."""
        return steps.Count(count=_open_fds() - self.fds_before - self.scenery.held())

    def read(self, fd: str) -> Answer:
        """Read."""
        packets = self.queues[fd].read()
        self.reads[fd].append(list(packets))
        return steps.ReadPackets(packets=tuple(bytes(packet) for packet in packets))

    def look(self, step: steps.Look) -> Answer:
        """Look at what was lent."""
        try:
            packet = bytes(self.reads[step.fd][-1 - step.reads_ago][step.packet])
        except ValueError:
            return steps.Released()
        return steps.ReadPackets(packets=(packet,))

    def grow(self, step: steps.Grow) -> Answer:
        """Append to a packet, if the queue lets one."""
        return self.now(self.queues[step.fd].grow, step.packet, step.data)

    def write_gso(self, step: steps.WriteGsoStep) -> Answer:
        """Write a superpacket."""
        arguments = GsoArguments(hdr=step.hdr, transport_hdr=step.transport_hdr, pays=step.pays)
        return self.now(self.queues[step.fd].write_gso, arguments)

    def start_write(self, step: steps.StartWrite) -> Answer:
        """Write until there is no room."""
        queue, packet = self.queues[step.fd], step.packet
        return self.begin(steps.FinishWrite, step.fd, lambda: _done(lambda: _repeat(queue.write, packet, step.count)))

    def finish_write(self, step: steps.FinishWrite) -> Answer:
        """Make room, and return what the write came to."""
        job = self.jobs[type(step), step.fd].popleft()
        for _ in range(2000):
            self.scenery.drain(step.fd)
            job.join(_PATIENCE / 2000)
            if not job.is_alive():
                break
        return job.answer()

    def close(self) -> None:
        """Close everything that the script left open."""
        try:
            for container in self.containers:
                Job(functools.partial(_done, container.close)).join(_PATIENCE)
        finally:
            self.scenery.close()


def _done(call: Callable[..., object], *arguments: object) -> Answer:
    call(*arguments)
    return steps.Done()


def _repeat(call: Callable[[bytes], None], packet: bytes, count: int) -> None:
    for _ in range(count):
        call(packet)


def _open_fds() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
