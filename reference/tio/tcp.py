"""TCP headers (RFC 9293 3.1) as lossless views, and how segmentation changes them.

    0..1   source port        12     data offset, reserved, AE    16..17  checksum
    2..3   destination port   13     CWR ECE URG ACK PSH RST SYN FIN
    4..7   sequence number    14..15 window                       18..19  urgent pointer
    8..11  acknowledgment                                         20..    options

P5  the fixed 20 bytes are present, the data offset is at least 5, and that many words are present.
"""

import enum
import struct
from typing import Final

from tio.checksum import Buffer
from tio.errors import PacketError

__all__ = ["Tcp", "TcpFlag"]


class TcpFlag(enum.IntFlag):
    """Bits of byte 13, from the lowest."""

    FIN = enum.auto()
    SYN = enum.auto()
    RST = enum.auto()
    PSH = enum.auto()
    ACK = enum.auto()
    URG = enum.auto()
    ECE = enum.auto()
    CWR = enum.auto()


_SEQUENCE = struct.Struct(">I")
_FIRST_ONLY = int(TcpFlag.CWR)
_LAST_ONLY = int(TcpFlag.FIN | TcpFlag.PSH)


class Tcp:
    """A checked view of a TCP header; `segment` is the packet from the TCP header on.

    I1  `header_length` is data offset * 4, options included, and that many bytes are present.
    I2  `sequence` is bytes 4..7.
    """

    __slots__ = ("_segment", "header_length", "sequence")
    min_length: Final = 20
    checksum_offset: Final = 16
    zero_checksum: Final = 0x0000  # a completed checksum of zero is sent unchanged

    def __init__(self, segment: Buffer, offset: int) -> None:
        """Check P5; `offset` is the header's offset in the packet, for the error."""
        if len(segment) < self.min_length:
            raise PacketError("P5", "tcp", offset, len(segment), "a TCP header has at least 20 bytes")
        self._segment = segment
        (self.sequence,) = _SEQUENCE.unpack_from(segment, 4)
        self.header_length = (segment[12] >> 4) * 4
        if not self.min_length <= self.header_length <= len(segment):
            found = self.header_length // 4
            raise PacketError("P5", "tcp.data_offset", offset + 12, found, "at least 5, with that many words present")

    @property
    def ports(self) -> bytes:
        """Source and destination port, four bytes."""
        return bytes(self._segment[0:4])

    @property
    def flags(self) -> int:
        """CWR to FIN (byte 13)."""
        return self._segment[13]

    @property
    def checksum(self) -> int:
        """Checksum or partial (bytes 16..17)."""
        return int.from_bytes(self._segment[16:18], "big")

    @property
    def stated_length(self) -> int | None:
        """None: TCP has no length field."""
        return None

    def for_segment(self, offset: int, length: int, *, last: bool) -> bytearray:
        """Return, in a new buffer, the header of the segment that begins at `offset` of the payload.

        The sequence number advances modulo 2**32; CWR stays on the first segment only, FIN and PSH on the last only
        (`tcp_gso_segment`; since 6.15 CWR stays on all where AccECN is marked, 023af5a72ab1, which no vnet type can
        request); all else is copied. `length` is unused: TCP states none. The checksum field is left unchanged.
        """
        del length
        header = bytearray(self._segment[: self.header_length])
        _SEQUENCE.pack_into(header, 4, (self.sequence + offset) & 0xFFFFFFFF)
        if offset:
            header[13] &= ~_FIRST_ONLY
        if not last:
            header[13] &= ~_LAST_ONLY
        return header
