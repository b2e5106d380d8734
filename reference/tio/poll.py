"""The backend without offload: a TUN without vnet headers, one packet per system call."""

import functools
from collections.abc import Callable, Sequence

from tio import tuntap
from tio.checksum import Buffer
from tio.container import BaseContainer, BaseQueue, Interface
from tio.errors import AddRefused, Geometry, Unsupported
from tio.ip import MAX_PACKET, version_of

__all__ = ["PollContainer", "PollQueue"]

BUFFER_SIZE = MAX_PACKET  # covers any single packet


class PollQueue(BaseQueue):
    """A queue whose frames are packets. `read` lends the buffer that the kernel filled."""

    def gso_supported(self) -> bool:
        """No."""
        return False

    def uso_supported(self) -> bool:
        """No."""
        return False

    def write_gso(self, hdr: Buffer, transport_hdr: Buffer, pays: Sequence[Buffer]) -> None:
        """Raise `Unsupported`, whatever the arguments."""
        raise Unsupported("this device has no vnet header, so a superpacket cannot be written to it")

    def _packets(self, frame: memoryview) -> list[Buffer]:
        version_of(frame)
        return [frame]

    def _send(self, packet: Buffer, geometry: Geometry) -> None:
        self._endpoint.writev((packet,), geometry)


class PollContainer(BaseContainer):
    """Queues on TUN devices without vnet headers."""

    vnet_header = False

    def _prepare(self, fd: int, interface: Interface) -> Callable[[], BaseQueue]:
        if interface.name is not None:
            try:
                tuntap.set_offload(fd, tuntap.Offload.NONE)
            except OSError as error:
                raise AddRefused("A6", f"TUNSETOFFLOAD on {interface.name}: {error.strerror}") from error
        return functools.partial(PollQueue, fd, interface, self._on_reject, buffer_size=BUFFER_SIZE)
