"""UDP headers (RFC 768) as lossless views, and how segmentation changes them.

    0..1 source port   2..3 destination port   4..5 length   6..7 checksum (0: none, IPv4 only)

P6  the 8 bytes are present.
"""

from typing import Final

from tio.checksum import Buffer
from tio.errors import PacketError

__all__ = ["Udp"]


class Udp:
    """A checked view of a UDP header; `datagram` is the packet from the UDP header on."""

    __slots__ = ("_datagram",)
    header_length: Final = 8
    checksum_offset: Final = 6
    zero_checksum: Final = 0xFFFF  # zero would mean "no checksum"

    def __init__(self, datagram: Buffer, offset: int) -> None:
        """Check P6; `offset` is the header's offset in the packet, for the error."""
        if len(datagram) < self.header_length:
            raise PacketError("P6", "udp", offset, len(datagram), "a UDP header has 8 bytes")
        self._datagram = datagram

    @property
    def ports(self) -> bytes:
        """Source and destination port, four bytes."""
        return bytes(self._datagram[0:4])

    @property
    def checksum(self) -> int:
        """Checksum or partial (bytes 6..7)."""
        return int.from_bytes(self._datagram[6:8], "big")

    @property
    def stated_length(self) -> int | None:
        """The length of header and data, as the length field states it (bytes 4..5)."""
        return int.from_bytes(self._datagram[4:6], "big")

    def for_segment(self, offset: int, length: int, *, last: bool) -> bytearray:
        """Return, in a new buffer, the header of a datagram of `length` bytes (`__udp_gso_segment`).

        `offset` and `last` are unused: datagrams carry no position. The checksum field is left unchanged.
        """
        del offset, last
        header = bytearray(self._datagram[: self.header_length])
        header[4:6] = length.to_bytes(2, "big")
        return header
