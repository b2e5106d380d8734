"""What the strategies make: plain frozen values that print as code, so that a report can be pasted into a test."""

from dataclasses import dataclass
from typing import Any, Self

from tio import VnetHeader

__all__ = ["Framed", "GsoArguments"]


@dataclass(frozen=True, slots=True, repr=False)
class Framed:
    """A vnet header and the packet behind it, still apart."""

    header: VnetHeader
    packet: bytes

    def frame(self) -> bytes:
        """Return what `write(2)` would hand to a TUN: 10 bytes of vnet header in host order, and the packet."""
        return self.header.emit() + self.packet

    @classmethod
    def parse(cls, frame: bytes) -> Self:
        """Return the two halves of a frame. Raises `tio.HeaderError` (H1)."""
        return cls(VnetHeader.parse(frame), frame[10:])

    def __repr__(self) -> str:
        # One line of hex: 65535 escaped bytes help nobody, and this can be pasted.
        return f"Framed.parse(bytes.fromhex({self.frame().hex()!r}))"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Have hypothesis print the same: by itself it writes the fields."""
        printer.text(repr(self))


@dataclass(frozen=True, slots=True)
class GsoArguments:
    """The three arguments of `write_gso`."""

    hdr: bytes
    transport_hdr: bytes
    pays: tuple[bytes, ...]
