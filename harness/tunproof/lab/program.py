"""A lab for a program that holds a TUN: the lab sends it frames, and the kernel segments what it writes.

    "in"   the program's TUN, with vnet headers. A packet socket (PACKET_VNET_HDR) sends out of it to its readers: whole
           superpackets, as far as the device's offloads allow. What is written to it is redirected to
    "out"  without vnet header and offloads, so that the kernel must segment in between (see `wiring`).

`in` is made by the lab and handed over as an fd, made by the lab and left for the program to attach to, or made by the
program itself. Only then can it be wired: `connect`.
"""

import os
import socket
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tio import tuntap
from tio.tuntap import Iff, Offload
from tunproof.errors import EnvironmentProblem
from tunproof.lab import links
from tunproof.lab.closeable import Closeable
from tunproof.lab.ground import Ground
from tunproof.lab.packets import packet_socket, send
from tunproof.lab.wiring import IN, OUT, TX_QUEUE_LENGTH

__all__ = ["ProgramLab"]

_LARGEST = 1 << 17

P = ParamSpec("P")
T = TypeVar("T")


class ProgramLab(Closeable):
    """A namespace that waits for a TUN called `name`. A context manager."""

    name = IN

    def __init__(self) -> None:
        self._ground = Ground()
        self._reader = -1
        self._egress: socket.socket | None = None

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` inside the namespace; a process that it starts is inside too."""
        return self._ground.run(function, *args, **kwargs)

    def make(self) -> int:
        """Make the TUN and return an fd of it, which stays the lab's. Its offloads are all that the kernel has."""
        try:
            return self._ground.open_queue(IN, offload=Offload.TSO | Offload.USO)
        except EnvironmentProblem:  # before Linux 6.2 there is no USO
            return self._ground.open_queue(IN, offload=Offload.TSO)

    def let_go(self, fd: int) -> None:
        """Close an fd from `make`, once the program has its own."""
        os.close(self._ground.release(fd))

    def leave(self) -> None:
        """Make the TUN and leave it detached, for the program to attach to (TUNSETPERSIST)."""

        def inside() -> None:
            fd = tuntap.open_tun(IN, Iff.TUN | Iff.NO_PI | Iff.VNET_HDR)
            try:
                tuntap.set_persistent(fd)
            finally:
                os.close(fd)

        self._ground.run(inside)

    def connect(self) -> None:
        """Wire the TUN, which must exist. Raises `EnvironmentProblem`."""
        self._reader = self._ground.open_queue(OUT, offload=None)
        self._ground.run(self._wire)

    def offloads(self) -> frozenset[str]:
        """Return which segmentation offloads the program's TUN has, by their ethtool names."""
        return self._ground.segmentation_features(IN)

    def send(self, frame: bytes) -> None:
        """Send a frame to the program. Raises `OSError` if the kernel does not send such a frame."""
        if self._egress is None:
            raise ValueError("not connected")
        send(self._egress, IN, frame)

    def segments(self) -> list[bytes]:
        """Return the packets that the kernel made of what was written since the last call."""
        packets = []
        try:
            while True:
                packets.append(os.read(self._reader, _LARGEST))
        except BlockingIOError:
            return packets

    def close(self) -> None:
        """Close everything. Closing twice is harmless."""
        if self._egress is not None:
            self._egress.close()
        self._ground.close()

    def _wire(self) -> None:
        with links.netlink() as ip:
            links.bring_up(ip, IN, queue_length=TX_QUEUE_LENGTH)
            links.bring_up(ip, OUT, queue_length=TX_QUEUE_LENGTH)
            links.redirect_all(ip, IN, OUT)
        self._egress = packet_socket(IN, receives=False)
