"""The guests of a run: how each is made, and those that are running, so that all can be ended at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunproof.errors import EnvironmentProblem
from tunproof.matrix.initramfs import Initramfs
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.machine import GuestGone, Machine

__all__ = ["Guests"]


class Guests:
    """For several threads. Roots of guests, some 60 MB each, are in `folder` as long as the guest runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._initramfs = Initramfs()
        self._running: set[Machine] = set()
        self._stopped = False
        self._lock = threading.Lock()

    @contextmanager
    def started(self, kernel: Kernel, accelerator: str) -> Iterator[Machine]:
        """Start a guest; it is gone at the end. Raises `EnvironmentProblem`, and `GuestGone` after `stop`."""
        image = self._folder / f"{kernel.release}.cpio"
        try:
            self._write(kernel, image)
            machine = self._machine(kernel, image, accelerator)
            try:
                yield machine
            finally:
                machine.close()
                self._running.discard(machine)
        finally:
            image.unlink(missing_ok=True)

    @property
    def stopped(self) -> bool:
        """Whether there will be no more guests."""
        return self._stopped

    def stop(self) -> None:
        """End all guests, whoever waits for them, and start no more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for machine in running:
            machine.kill()

    def _machine(self, kernel: Kernel, image: Path, accelerator: str) -> Machine:
        with self._lock:
            if self._stopped:
                raise GuestGone("the run was stopped")
            machine = Machine(kernel, image, accelerator=accelerator)
            self._running.add(machine)
            return machine

    def _write(self, kernel: Kernel, image: Path) -> None:
        try:
            self._initramfs.write(kernel, image)
        except OSError as error:
            raise EnvironmentProblem(
                f"the root of a guest cannot be written: {image}: {error.strerror}",
                cure="free 100 MB for each guest there, or name another folder in TMPDIR",
            ) from error
