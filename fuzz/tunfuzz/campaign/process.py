"""A worker process, seen from its parent."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from tunfuzz.campaign.answers import Broken, Reply
from tunfuzz.shard import Shard, ShardRunner
from tunproof.errors import EnvironmentProblem

__all__ = ["Worker"]


class Worker:
    """A process for one shard at a time. Raises `EnvironmentProblem` where no process can be made.

    It is a program of its own and not a fork: the parent may have threads (a progress bar, Dask), and a fork would take
    over locks that nobody opens any more. It leads a session: Ctrl-C is the parent's to handle.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.pipe = Connection(ours.detach())
            command = [sys.executable, "-P", "-m", "tunfuzz.campaign.worker", str(theirs.fileno()), str(os.getpid())]
            try:
                self._process = subprocess.Popen(  # noqa: S603 (our own interpreter, and no shell)
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except OSError as error:
                self.pipe.close()
                cure = "look at `ulimit -u` and `ulimit -n`, free some memory, or take fewer --workers"
                raise EnvironmentProblem(f"no worker process can be made: {error}", cure=cure) from error
        self._why = ""
        self.due = self._deadline = 0.0
        self._send(sys.path)

    def ask(self, runner: ShardRunner, shard: Shard, out: Path, *, deadline: float) -> None:
        """Have a shard asked; `due` is when its answer must be there, by the monotonic clock."""
        self._deadline = deadline
        self.due = time.monotonic() + deadline
        self._send((runner, shard, out))

    def answer(self) -> Reply:
        """Wait for the answer. A process that has ended gives one too: `Broken`."""
        try:
            reply: Reply = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            return Broken(self._why or _ending(self._process.returncode))
        return reply

    def interrupt(self, why: str) -> None:
        """Kill it; its answer will be that it is broken, and why. `due` is when it can be tried once more."""
        self._why = why
        self.due += self._deadline
        self._kill()

    def end(self) -> None:
        """Kill it and whatever it started, and wait until it is gone. Ending twice is harmless."""
        if self._process.returncode is None:
            self._kill()
            self._process.wait()
        self.pipe.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _send(self, message: object) -> None:
        with contextlib.suppress(ConnectionError):  # it is dead, and `answer` says so
            self.pipe.send(message)


def _ending(code: int) -> str:
    if code < 0:
        return f"its worker was killed by {signal.Signals(-code).name}"
    return f"its worker ended with exit code {code}"
