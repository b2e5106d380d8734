"""UDP headers (RFC 768) as lossless views, and how segmentation changes them.

`wire.UdpLayout` has the fields.

P6  the 8 bytes are present.
"""

from typing import Final

from tio.checksum import Buffer
from tio.errors import PacketError
from tio.wire import UdpLayout

__all__ = ["Udp"]

_LENGTH, _CHECKSUM = UdpLayout.LENGTH.span, UdpLayout.CHECKSUM.span


class Udp:
    """A checked view of a UDP header; `datagram` is the packet from the UDP header on."""

    __slots__ = ("_datagram",)
    header_length: Final = UdpLayout.size
    checksum_offset: Final = UdpLayout.CHECKSUM.offset
    zero_checksum: Final = 0xFFFF  # zero would mean "no checksum"

    def __init__(self, datagram: Buffer, offset: int) -> None:
        """Check P6; `offset` is the header's offset in the packet, for the error."""
        if len(datagram) < self.header_length:
            raise PacketError("P6", "udp", offset, len(datagram), "a UDP header has 8 bytes")
        self._datagram = datagram

    @property
    def ports(self) -> bytes:
        """Source and destination port, four bytes."""
        return bytes(self._datagram[UdpLayout.PORTS])

    @property
    def checksum(self) -> int:
        """Checksum or partial."""
        return int.from_bytes(self._datagram[_CHECKSUM], "big")

    @property
    def stated_length(self) -> int | None:
        """The length of header and data, as the length field states it."""
        return int.from_bytes(self._datagram[_LENGTH], "big")

    def for_segment(self, offset: int, length: int, *, last: bool) -> bytearray:
        """Return, in a new buffer, the header of a datagram of `length` bytes (`__udp_gso_segment`).

        `offset` and `last` are unused: datagrams carry no position. The checksum field is left unchanged.
        """
        del offset, last
        header = bytearray(self._datagram[: self.header_length])
        header[_LENGTH] = length.to_bytes(2, "big")
        return header
