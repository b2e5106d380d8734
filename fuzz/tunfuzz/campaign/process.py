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
    """A process for one shard at a time. Raises `EnvironmentProblem` if no process can be created.

    It is a separate program, not a fork: the parent may have threads (a progress bar, Dask), and a fork would inherit
    locks that no thread ever releases. It leads a session: Ctrl-C is the parent's to handle.
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
                cure = "check `ulimit -u` and `ulimit -n`, free some memory, or use fewer --workers"
                raise EnvironmentProblem(f"no worker process can be created: {error}", cure=cure) from error
        self._why = ""
        self.due = self._deadline = 0.0
        self._send(sys.path)

    def ask(self, runner: ShardRunner, shard: Shard, out: Path, *, deadline: float) -> None:
        """Start a shard; `due` is when its answer must have arrived, by the monotonic clock."""
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
        """Kill it; its answer will be `Broken`, and why. `due` is when the kill may be repeated."""
        self._why = why
        self.due += self._deadline
        self._kill()

    def end(self) -> None:
        """Kill it and its children, and wait until it is gone. Ending twice is harmless."""
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
