"""What the strategies make: plain frozen values that print as code, so that a report can be pasted into a test."""

from dataclasses import dataclass
from typing import Any, Self

from tio import ByteOrder, VnetHeader
from tio.virtio import HEADER_SIZE
from tunproof.corpus.script import Answers, Script

__all__ = ["Framed", "GsoArguments", "Lifecycle", "VnetBytes"]


@dataclass(frozen=True, slots=True, repr=False)
class Framed:
    """A vnet header and the packet behind it, still apart.

    `size` (10, 12 or 24 bytes) and `byte_order` say how the device has its vnet headers.
    """

    header: VnetHeader
    packet: bytes
    size: int = HEADER_SIZE
    byte_order: ByteOrder = ByteOrder.HOST

    def frame(self) -> bytes:
        """Return what `write(2)` would hand to a TUN: the vnet header and the packet."""
        return self.header.emit(size=self.size, byte_order=self.byte_order) + self.packet

    @classmethod
    def parse(cls, frame: bytes, size: int = HEADER_SIZE, byte_order: ByteOrder = ByteOrder.HOST) -> Self:
        """Return the two halves of a frame. Raises `tio.HeaderError` (H1)."""
        return cls(VnetHeader.parse(frame, size=size, byte_order=byte_order), frame[size:], size, byte_order)

    def __repr__(self) -> str:
        # One line of hex: 65535 escaped bytes help nobody, and this can be pasted.
        layout = f", {self.size}" if self.size != HEADER_SIZE or self.byte_order != ByteOrder.HOST else ""
        layout += f", ByteOrder({str(self.byte_order)!r})" if self.byte_order != ByteOrder.HOST else ""
        return f"Framed.parse(bytes.fromhex({self.frame().hex()!r}){layout})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Have hypothesis print the same: by itself it writes the fields."""
        printer.text(repr(self))


@dataclass(frozen=True, slots=True)
class VnetBytes:
    """Bytes that begin with a vnet header of `size` bytes in `byte_order`, or should."""

    data: bytes
    size: int
    byte_order: ByteOrder


@dataclass(frozen=True, slots=True)
class GsoArguments:
    """The three arguments of `write_gso`."""

    hdr: bytes
    transport_hdr: bytes
    pays: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A script, and for each of its steps the answers that are right."""

    script: Script
    answers: Answers
