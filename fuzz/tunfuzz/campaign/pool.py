"""Shards over processes. A process that dies loses nothing: its shard runs again, and the others continue."""

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing.connection import wait
from pathlib import Path

from tunfuzz.campaign.answers import ATTEMPTS, Answer, Answered, Broken, GivenUp, Obstacle
from tunfuzz.campaign.process import Worker
from tunfuzz.shard import Shard, ShardRunner, Tally
from tunproof.errors import EnvironmentProblem

__all__ = ["Pool"]


class Pool:
    """A number of processes that run the shards of a campaign.

    `start` makes a process, and `stop` disposes of a sound one for which no shard is left.
    """

    def __init__(  # noqa: PLR0913 (who, where and how long)
        self,
        runner: ShardRunner,
        out: Path,
        *,
        workers: int,
        deadline: float,
        start: Callable[[], Worker] = Worker,
        stop: Callable[[Worker], None] = Worker.end,
    ) -> None:
        self._runner = runner
        self._out = out
        self._workers = workers
        self._deadline = deadline
        self._start = start
        self._stop = stop
        self._waiting: deque[Shard] = deque()
        self._busy: dict[Worker, Shard] = {}
        self._failed: Counter[Shard] = Counter()

    def ask(self, shards: Iterable[Shard]) -> Generator[Answer]:
        """Yield an answer for each shard as it arrives. No process is left when the iterator is closed, or has raised.

        Raises `EnvironmentProblem` when a worker met one: the others would meet it too.
        """
        self._waiting.extend(shards)
        try:
            while self._waiting or self._busy:
                while self._waiting and len(self._busy) < self._workers:
                    self._give(self._start())
                for worker in self._ready():
                    yield from self._take(worker)
        finally:
            for worker in self._busy:
                worker.end()
            self._busy.clear()

    def _give(self, worker: Worker) -> None:
        shard = self._waiting.popleft()
        self._busy[worker] = shard
        worker.ask(self._runner, shard, self._out, deadline=self._deadline)

    def _ready(self) -> list[Worker]:
        """Wait for workers that have answered, or died; one past its deadline is killed."""
        patience = min(worker.due for worker in self._busy) - time.monotonic()
        ready = wait([worker.pipe for worker in self._busy], max(patience, 0))
        if not ready:
            now = time.monotonic()
            for worker in self._busy:
                if worker.due <= now:
                    worker.interrupt(f"its worker hung: no answer within {self._deadline:g} s")
        return [worker for worker in self._busy if worker.pipe in ready]

    def _take(self, worker: Worker) -> Iterator[Answer]:
        reply = worker.answer()
        shard = self._busy.pop(worker)
        if isinstance(reply, Tally):
            if self._waiting:
                self._give(worker)  # before the caller handles the answer, so that no worker is idle
            else:
                self._stop(worker)
            yield Answered(shard, reply)
            return
        worker.end()
        match reply:
            case Obstacle(what=what, cure=cure):
                raise EnvironmentProblem(what, cure=cure)
            case Broken(why=why):
                self._failed[shard] += 1
                if self._failed[shard] < ATTEMPTS:
                    self._waiting.append(shard)
                else:
                    yield GivenUp(shard, why)
