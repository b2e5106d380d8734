"""TCP headers (RFC 9293 3.1) as lossless views, and how segmentation changes them.

`wire.TcpLayout` has the fields.

P5  the fixed 20 bytes are present, the data offset is at least 5, and that many words are present.
"""

import struct
from typing import Final

from tio.checksum import Buffer
from tio.errors import PacketError
from tio.wire import TcpFlag, TcpLayout

__all__ = ["Tcp", "TcpFlag"]


_LONG = struct.Struct(">I")
_SEQUENCE = TcpLayout.SEQUENCE.offset
_DATA_OFFSET = TcpLayout.DATA_OFFSET_RESERVED.offset
_FLAGS = TcpLayout.FLAGS.offset
_CHECKSUM = TcpLayout.CHECKSUM.span
_FIRST_ONLY = int(TcpFlag.CWR)
_LAST_ONLY = int(TcpFlag.FIN | TcpFlag.PSH)


class Tcp:
    """A checked view of a TCP header; `segment` is the packet from the TCP header on.

    I1  `header_length` is data offset * 4, options included, and that many bytes are present.
    I2  `sequence` is the field of that name.
    """

    __slots__ = ("_segment", "header_length", "sequence")
    min_length: Final = TcpLayout.size
    checksum_offset: Final = TcpLayout.CHECKSUM.offset
    zero_checksum: Final = 0x0000  # a completed checksum of zero is sent unchanged

    def __init__(self, segment: Buffer, offset: int) -> None:
        """Check P5; `offset` is the header's offset in the packet, for the error."""
        if len(segment) < self.min_length:
            raise PacketError("P5", "tcp", offset, len(segment), "a TCP header has at least 20 bytes")
        self._segment = segment
        (self.sequence,) = _LONG.unpack_from(segment, _SEQUENCE)
        self.header_length = (segment[_DATA_OFFSET] >> 4) * 4
        if not self.min_length <= self.header_length <= len(segment):
            at, found = offset + _DATA_OFFSET, self.header_length // 4
            raise PacketError("P5", "tcp.data_offset", at, found, "at least 5, with that many words present")

    @property
    def ports(self) -> bytes:
        """Source and destination port, four bytes."""
        return bytes(self._segment[TcpLayout.PORTS])

    @property
    def flags(self) -> int:
        """CWR to FIN."""
        return self._segment[_FLAGS]

    @property
    def checksum(self) -> int:
        """Checksum or partial."""
        return int.from_bytes(self._segment[_CHECKSUM], "big")

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
        _LONG.pack_into(header, _SEQUENCE, (self.sequence + offset) & 0xFFFFFFFF)
        if offset:
            header[_FLAGS] &= ~_FIRST_ONLY
        if not last:
            header[_FLAGS] &= ~_LAST_ONLY
        return header
