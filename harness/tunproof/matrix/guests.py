"""The guests of a run: how each is made, and those that are running, so that all can be ended at once."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tunproof.errors import EnvironmentProblem
from tunproof.matrix.initramfs import Initramfs
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.machine import GuestGone, Machine

__all__ = ["Guests"]


class Guests:
    """Thread-safe. The guests' roots are in memory, so however this process ends, no file is left behind."""

    def __init__(self) -> None:
        self._initramfs = Initramfs()
        self._running: set[Machine] = set()
        self._stopped = False
        self._lock = threading.Lock()

    @contextmanager
    def started(self, kernel: Kernel, accelerator: str) -> Iterator[Machine]:
        """Start a guest, which is ended on exit. Raises `EnvironmentProblem`, and `GuestGone` after `stop`."""
        root = self._root(kernel)
        try:
            machine = self._machine(kernel, root, accelerator)
            try:
                yield machine
            finally:
                machine.close()
                self._running.discard(machine)
        finally:
            os.close(root)

    @property
    def stopped(self) -> bool:
        """Whether there will be no more guests."""
        return self._stopped

    def stop(self) -> None:
        """End all guests, even if other threads wait for them, and start no more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for machine in running:
            machine.kill()

    def _machine(self, kernel: Kernel, root: int, accelerator: str) -> Machine:
        with self._lock:
            if self._stopped:
                raise GuestGone("the run was stopped")
            machine = Machine(kernel, root, accelerator=accelerator)
            self._running.add(machine)
            return machine

    def _root(self, kernel: Kernel) -> int:
        """Return a file descriptor with the root of a guest (`memfd_create(2)`)."""
        content = self._initramfs.of(kernel)
        root = os.memfd_create("tunproof-root")
        try:
            with open(root, "wb", closefd=False) as file:
                file.writelines(content)
        except OSError as error:
            os.close(root)
            raise EnvironmentProblem(
                f"no memory for the root of a guest: {error.strerror}",
                cure="free 100 MB of memory for each guest, or use fewer --jobs",
            ) from error
        return root
