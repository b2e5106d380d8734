"""What a coalescer hands to a writer: a superpacket in pieces, or an unchanged packet."""

from collections.abc import Sequence
from dataclasses import dataclass

from tio.checksum import Buffer
from tio.geometry import check_geometry
from tio.segment import segment
from tio.virtio import HEADER_SIZE, ByteOrder, VnetHeader

__all__ = ["Plain", "Superpacket"]


@dataclass(frozen=True, slots=True)
class Superpacket:
    """The arguments of one `write_gso`: finalized headers, and fragments borrowed from the packets they came in."""

    hdr: bytes
    transport_hdr: bytes
    pays: Sequence[Buffer]

    def frame(self, *, header_size: int = HEADER_SIZE, byte_order: str = ByteOrder.HOST) -> bytes:
        """Return the bytes that `write_gso` would hand to the kernel. Raises `GeometryError`."""
        header = check_geometry(self.hdr, self.transport_hdr, self.pays).header
        prefix = header.emit(size=header_size, byte_order=byte_order)
        return b"".join((prefix, self.hdr, self.transport_hdr, *self.pays))

    def packets(self) -> list[bytes]:
        """Return the packets that the superpacket stands for, complete. Raises `GeometryError`."""
        return segment(self.frame())


@dataclass(frozen=True, slots=True)
class Plain:
    """A packet for `write`, borrowed and unchanged."""

    packet: Buffer

    def frame(self, *, header_size: int = HEADER_SIZE, byte_order: str = ByteOrder.HOST) -> bytes:
        """Return the bytes that `write` would hand to the kernel."""
        return b"".join((VnetHeader().emit(size=header_size, byte_order=byte_order), self.packet))
