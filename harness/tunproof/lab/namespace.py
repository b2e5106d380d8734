"""An anonymous network namespace that lives as long as a file descriptor.

A short-lived thread leaves the process's network namespace with `unshare(CLONE_NEWNET)`, which affects only that
thread, opens an fd on the new one and ends. From then on the fd is all there is: no name under /run/netns, no process,
no thread. When the last fd of the namespace is closed (ours and those of its TUNs and sockets), the kernel dismantles
it, even if the process was killed.

The kernel does that later, in a work queue (`cleanup_net`), and `user.max_net_namespaces` counts a namespace until
then. So ENOSPC from unshare may only mean "not yet": it is retried for a bounded time.
"""

import errno
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from tunproof.errors import EnvironmentProblem
from tunproof.lab.closeable import Closeable
from tunproof.lab.libc import CLONE_NEWNET, setns, unshare
from tunproof.lab.privilege import sysctl_obstacles

__all__ = ["PATIENCE", "Namespace"]

PATIENCE = 5.0
"""Seconds to wait for the kernel to dismantle closed namespaces. It took 16 ms on average and 56 ms at most (6.18)."""

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05

P = ParamSpec("P")
T = TypeVar("T")


class Namespace(Closeable):
    """A network namespace with nothing in it but a loopback that is down. A context manager; see `close`.

    Raises `EnvironmentProblem` if the kernel does not grant one; `privilege.ensure` comes first.
    """

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        self._fd = -1
        try:
            self._create()
        except BaseException:  # also Ctrl-C while the thread is at work
            self.close()
            raise

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` in a short-lived thread inside the namespace; return its result or raise its exception.

        Sockets, TUNs and files of /proc/thread-self/net that it opens belong to the namespace for good.
        """
        if self._fd < 0:
            raise ValueError("the namespace is closed")

        def inside() -> T:
            setns(self._fd, CLONE_NEWNET)
            return function(*args, **kwargs)

        return _in_thread(inside)

    def close(self) -> None:
        """Release the namespace. Closing twice is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _create(self) -> None:
        deadline = time.monotonic() + PATIENCE
        pause = _FIRST_PAUSE
        while True:
            try:
                return _in_thread(self._unshare)
            except OSError as error:
                if error.errno != errno.ENOSPC or time.monotonic() >= deadline:
                    raise _refused(error) from error
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _unshare(self) -> None:
        # The fd goes straight to its owner: a result on its way to the caller could be lost to a Ctrl-C.
        unshare(CLONE_NEWNET)
        self._fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _in_thread(function: Callable[[], T]) -> T:
    future: Future[T] = Future()

    def body() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller, whatever it is
            future.set_exception(error)

    thread = threading.Thread(target=body, name="tunproof-lab")
    thread.start()
    try:
        return future.result()
    finally:
        thread.join()


def _refused(error: OSError) -> EnvironmentProblem:
    what = f"the kernel granted no network namespace: unshare(CLONE_NEWNET): {error.strerror}"
    if error.errno == errno.ENOSPC:
        what += f"; sysctl user.max_net_namespaces stayed exhausted for {PATIENCE:g} s"
        return EnvironmentProblem(what, cure="sysctl -w user.max_net_namespaces=10000, or close other labs")
    cures = [obstacle.cure for obstacle in sysctl_obstacles()]
    return EnvironmentProblem(what, cure=" && ".join(cures) or "call tunproof.lab.ensure() first, or run as root")
