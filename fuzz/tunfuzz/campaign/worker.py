"""A process that runs shards: `python -m tunfuzz.campaign.worker FD PARENT`, started by `process`.

It reads `sys.path` once, so that it can import what its parent can, and then one request after another: runner,
shard, and the folder for findings. It has one thread, as entering a user namespace requires, and its own state.

Nothing is left behind. A client that dies takes its workers with it, in the middle of a shard too (PR_SET_PDEATHSIG);
if the kernel has cleared that, because a shard's lab changed the process's credentials
(`commit_creds`), the next read or write finds the pipe closed.
"""

import ctypes
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from tunfuzz.campaign.answers import Broken, Obstacle, Reply
from tunfuzz.shard import Shard, ShardRunner
from tunproof.errors import EnvironmentProblem

__all__ = ["main"]

_IDLE = 60.0  # seconds without a request after which it ends: a Dask worker keeps its process for the next shard
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def main(pipe: Connection, parent: int) -> None:
    """Answer until the other end is closed, or no more requests come."""
    _die_with(parent)
    try:
        sys.path[:] = pipe.recv()
        while pipe.poll(_IDLE):
            runner, shard, out = pipe.recv()
            pipe.send(_ask(runner, shard, out))
            _die_with(parent)
    except (EOFError, ConnectionError):  # the client is gone
        pass


def _ask(runner: ShardRunner, shard: Shard, out: Path) -> Reply:
    try:
        return runner(shard, out)
    except EnvironmentProblem as problem:
        return Obstacle(problem.what, problem.cure)
    except Exception:  # noqa: BLE001 (it is reported, and the shard is run again)
        return Broken(traceback.format_exc())


def _die_with(parent: int) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be watched
        sys.exit(1)


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])), int(sys.argv[2]))
