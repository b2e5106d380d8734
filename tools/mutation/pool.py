"""The workers, seen from the driver: an idle one gets the next mutant."""

import contextlib
import itertools
import json
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

__all__ = ["CHECKOUT", "JudgeFailed", "Verdict", "Worker", "judge_all"]

CHECKOUT = Path(__file__).parents[2]
Task = TypeVar("Task")


class JudgeFailed(Exception):
    """There is no verdict about a mutant: the unmutated reference fails, or a worker died."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: `survived`, `killed`, `timeout` or `does not import`."""

    outcome: str
    seconds: float


class Worker:
    """A process that judges one mutant after the other (`worker`)."""

    def __init__(self, checkout: Path = CHECKOUT) -> None:
        # Its own session: Ctrl-C is the driver's to handle. -P: no module in this folder can hide a real one.
        command = [sys.executable, "-P", str(Path(__file__).parent / "worker.py"), str(checkout), str(os.getpid())]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    @property
    def process_id(self) -> int:
        """The process, which leads a group of its own."""
        return self._process.pid

    def fileno(self) -> int:
        """Return the file to wait for."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def ask(self, module: str, source: str) -> None:
        """Have a mutant judged."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `answer` tells
            self._process.stdin.write(json.dumps({"module": module, "source": source}) + "\n")
            self._process.stdin.flush()

    def answer(self) -> Verdict:
        """Wait for the verdict; the first one is about the unmutated reference. Raises `JudgeFailed`."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise JudgeFailed("the judge died; what it said stands above")
        verdict = Verdict(**json.loads(line))
        if verdict.outcome == "broken":
            raise JudgeFailed("the judge imported another tio than its own copy")
        return verdict

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for file in (self._process.stdin, self._process.stdout):
            assert file is not None
            with contextlib.suppress(BrokenPipeError):
                file.close()


def judge_all(tasks: Iterable[tuple[Task, str, str]], jobs: int) -> Iterator[tuple[Task, Verdict]]:
    """Yield each task with its verdict as it comes; a task is any value, a module and its mutated source.

    Raises `JudgeFailed`.
    """
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        workers = [stack.enter_context(Worker()) for _ in range(jobs)]
        for worker in workers:
            outcome = worker.answer().outcome
            if outcome != "survived":
                raise JudgeFailed(f"the unmutated reference: {outcome}; see `tunproof check reference`")
        waiting = iter(tasks)
        under_way: dict[Worker, deque[Task]] = {worker: deque() for worker in workers}

        def give(worker: Worker) -> None:
            for task, module, source in itertools.islice(waiting, 1):
                worker.ask(module, source)
                under_way[worker].append(task)

        for worker in workers:
            selector.register(worker, selectors.EVENT_READ)
            give(worker)
            give(worker)  # one in stock, so that no worker is idle while the next mutant is made
        while any(under_way.values()):
            for key, _ in selector.select():
                worker = key.fileobj
                assert isinstance(worker, Worker)
                done = under_way[worker].popleft(), worker.answer()
                give(worker)
                yield done
