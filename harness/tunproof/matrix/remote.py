"""The kernel of a guest as a device: driven like the running one, but over the port."""

from collections.abc import Iterable, Sequence
from typing import Final

from tio.linux import KernelOutcome, Way
from tunproof.errors import EnvironmentProblem
from tunproof.lab.running import Sender
from tunproof.lab.way_json import told_way
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.machine import Machine
from tunproof.matrix.wire import Request, outcome_of

__all__ = ["LACKING", "RemoteKernel"]

LACKING: Final = "the manual of the matrix says what a kernel needs; its console.log may show what this one lacks"
"""The cure if labs do not work in a guest."""

_PATIENCE: Final = 60.0
"""Seconds that a guest may take for a request, in which an emulated processor may have to make labs."""


class RemoteKernel:
    """A `tunproof.lab.Device` in a guest. Raises `GuestGone` if the guest no longer answers."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._fresh = False

    @property
    def kernel(self) -> Kernel:
        """The kernel that runs in the guest."""
        return self._machine.kernel

    def send(self, frame: bytes, way: Way) -> KernelOutcome:
        """Return the outcome of `frame` on `way`. Raises `EnvironmentProblem`."""
        return self.sender(way)(frame, 0)

    def sender(self, way: Way) -> Sender:
        """Return the function that sends on `way`, one frame after the other."""

        def send(frame: bytes, hint: int) -> KernelOutcome:
            [outcome] = self.ask(way, [(frame, hint)])
            if isinstance(outcome, str):
                raise EnvironmentProblem(outcome, cure=LACKING)
            return outcome

        return send

    @property
    def is_fresh(self) -> bool:
        """Whether the next frame will be sent in new labs."""
        return self._fresh

    def ask(self, way: Way, frames: Sequence[tuple[bytes, int]]) -> list[KernelOutcome | str]:
        """Return the outcomes of frames, each with the number of packets expected; or why one could not be sent."""
        request = Request(way=told_way(way), frames=list(frames), fresh=self._fresh)
        self._fresh = False
        outcomes: Iterable[int | list[bytes] | str | None] = self._machine.ask(request, _PATIENCE).outcomes
        return [one if isinstance(one, str) else outcome_of(one) for one in outcomes]

    def close(self) -> None:
        """Make the next frames use new labs."""
        self._fresh = True
