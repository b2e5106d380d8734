"""The backend with offload: a TUN with vnet headers, superpackets in both directions."""

import errno
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tio import tuntap
from tio.checksum import Buffer
from tio.container import BaseContainer, BaseQueue, Interface, RejectCallback
from tio.errors import AddRefused, Geometry, Unsupported
from tio.geometry import check_geometry
from tio.ip import MAX_PACKET
from tio.segment import segment
from tio.virtio import HEADER_SIZE, HEADER_SIZES, ByteOrder, GsoType, VnetHeader

__all__ = ["OffloadContainer", "OffloadQueue"]


@dataclass(frozen=True, slots=True)
class _Format:
    """What vnet headers look like on a device, and whether the kernel knows UDP_L4."""

    size: int = HEADER_SIZE
    byte_order: ByteOrder = ByteOrder.HOST
    uso: bool = True


class OffloadQueue(BaseQueue):
    """A queue whose frames are a vnet header and a packet. `read` segments, `write_gso` emits whole superpackets."""

    def __init__(self, fd: int, interface: Interface, on_reject: RejectCallback | None, *, layout: _Format) -> None:
        """See `BaseQueue`. The buffer has room for the header too, so that the largest packet keeps its tail."""
        super().__init__(fd, interface, on_reject, buffer_size=layout.size + MAX_PACKET)
        self._layout = layout
        self._plain_header = self._emit(VnetHeader())
        self._unknown_types = frozenset() if layout.uso else frozenset({GsoType.UDP_L4})

    def gso_supported(self) -> bool:
        """Yes: writing TCP superpackets needs nothing but the vnet header."""
        return True

    def uso_supported(self) -> bool:
        """Whether the kernel accepted the USO offloads, and so knows the type UDP_L4; a wire is assumed to know it."""
        return self._layout.uso

    def write_gso(self, hdr: Buffer, transport_hdr: Buffer, pays: Sequence[Buffer]) -> None:
        """See `GSOWriter.write_gso`."""
        shape = check_geometry(hdr, transport_hdr, pays)
        if shape.header.gso_type in self._unknown_types:
            raise Unsupported("this kernel does not know UDP superpackets (UDP_L4 came with Linux 6.2)")
        geometry = Geometry(
            payload=sum(map(len, pays)),
            header=shape.header_length,
            gso_size=shape.header.gso_size,
            segments=len(pays),
        )
        self._endpoint.writev((self._emit(shape.header), hdr, transport_hdr, *pays), geometry)

    def _packets(self, frame: memoryview) -> list[Buffer]:
        return list(segment(frame, header_size=self._layout.size, byte_order=self._layout.byte_order))

    def _send(self, packet: Buffer, geometry: Geometry) -> None:
        self._endpoint.writev((self._plain_header, packet), geometry)

    def _emit(self, header: VnetHeader) -> bytes:
        return header.emit(size=self._layout.size, byte_order=self._layout.byte_order)


class OffloadContainer(BaseContainer):
    """Queues on TUN devices with vnet headers."""

    vnet_header = True

    def _prepare(self, fd: int, interface: Interface) -> Callable[[], BaseQueue]:
        layout = _Format() if interface.name is None else _format_of(fd, interface.name)
        return functools.partial(OffloadQueue, fd, interface, self._on_reject, layout=layout)


def _format_of(fd: int, name: str) -> _Format:
    """Check A5 and apply A6 for a TUN."""
    try:
        size = tuntap.get_vnet_header_size(fd)
        byte_order = ByteOrder.BIG if tuntap.is_big_endian(fd) else ByteOrder.LITTLE
    except OSError as error:
        raise AddRefused("A5", f"the vnet header of {name}: {error.strerror}") from error
    if size not in HEADER_SIZES:
        raise AddRefused("A5", f"the vnet header of {name} has {size} bytes, not one of {HEADER_SIZES}")
    return _Format(size, byte_order, uso=_ask_for_offloads(fd, name))


def _ask_for_offloads(fd: int, name: str) -> bool:
    """Apply A6 and return whether the kernel granted USO."""
    try:
        tuntap.set_offload(fd, tuntap.Offload.TSO | tuntap.Offload.USO)
    except OSError as wide:
        if wide.errno != errno.EINVAL:
            raise AddRefused("A6", f"TUNSETOFFLOAD on {name}: {wide.strerror}") from wide
    else:
        return True
    try:
        tuntap.set_offload(fd, tuntap.Offload.TSO)
    except OSError as narrow:
        raise AddRefused("A6", f"TUNSETOFFLOAD on {name} refuses TSO too: {narrow.strerror}") from narrow
    return False
