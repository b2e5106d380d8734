"""What every lab stands on: a namespace, the fds opened in it, and one place that closes them all."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from tio.tuntap import Offload
from tio.virtio import HEADER_SIZE
from tunproof.lab import device
from tunproof.lab.device import Counters, Meter
from tunproof.lab.namespace import Namespace

__all__ = ["Ground", "building"]

P = ParamSpec("P")
T = TypeVar("T")


class Ground:
    """A namespace with its meter and its TUN queues. `close` closes everything it still owns, once."""

    __slots__ = ("_fds", "_meter", "_namespace")

    def __init__(self) -> None:
        self._fds: set[int] = set()
        self._namespace = Namespace()
        try:
            self._meter = self._namespace.run(Meter)
        except BaseException:
            self._namespace.close()
            raise

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` inside the namespace (`Namespace.run`)."""
        return self._namespace.run(function, *args, **kwargs)

    def open_queue(
        self,
        name: str,
        *,
        offload: Offload | None,
        multi_queue: bool = False,
        header_size: int = HEADER_SIZE,
    ) -> int:
        """Open a queue of a TUN (`device.open_queue`) that is closed with the ground unless it is released."""

        def inside() -> int:
            # Owned before it is returned: a result on its way to the caller could be lost to a Ctrl-C.
            fd = device.open_queue(name, offload=offload, multi_queue=multi_queue, header_size=header_size)
            self._fds.add(fd)
            return fd

        return self.run(inside)

    def release(self, fd: int) -> int:
        """Hand `fd` over to the caller, who closes it from now on. Raises `KeyError` where it is not the ground's."""
        self._fds.remove(fd)
        return fd

    def counters(self, name: str) -> Counters:
        """Return what a device counted so far."""
        return self._meter.read(name)

    def segmentation_features(self, name: str) -> frozenset[str]:
        """Return which segmentation offloads of a device are on (`device.segmentation_features`)."""
        return self.run(device.segmentation_features, name)

    def close(self) -> None:
        """Close every fd that was not released, and let go of the namespace. Closing twice is harmless."""
        while self._fds:
            os.close(self._fds.pop())
        self._meter.close()
        self._namespace.close()


@contextmanager
def building() -> Iterator[Ground]:
    """Lend a new ground to the block that builds on it, and close it only if the block fails."""
    ground = Ground()
    try:
        yield ground
    except BaseException:
        ground.close()
        raise
