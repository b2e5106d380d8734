"""IPv4 (RFC 791) and IPv6 (RFC 8200) headers as lossless views.

A view is made by `parse_ip`, which checks once; after that no accessor can fail. Views do not copy: a view is valid as
long as the buffer under it is unchanged. Both versions offer what segmenting and joining need
(`header_length`, `protocol`, `addresses`, `stated_length`, `is_fragment`, `resized`), so nothing above this module
needs to know which one it has. `wire.IPv4Layout` and `wire.IPv6Layout` have the fields.

P1  the packet is not empty and its version nibble is 4 or 6;
P2  the fixed header is complete (20 or 40 bytes);
P3  IPv4: IHL is at least 5, and IHL * 4 bytes are present;
P4  IPv6: each extension header that is walked is complete.

The walk passes through hop-by-hop options, routing headers and destination options, in any order, and stops at anything
else: that is what `ipv6_gso_segment` can segment after (`ipv6_gso_pull_exthdrs`). A Fragment or AH header is therefore
reported as the protocol, and no TCP or UDP is found after it.

Known limit: with segments left in a routing header, the pseudo-header names the final destination (RFC 8200 8.1), but
`addresses` gives the one in the fixed header, as the kernel's segmentation does. It matters only where a partial is
computed rather than carried over: without `NEEDS_CSUM`.
"""

import enum
import struct
from typing import Final

from tio.checksum import Buffer, checksum, finish
from tio.errors import PacketError
from tio.wire import IPv4Layout, IPv6Layout

__all__ = ["MAX_PACKET", "IPv4", "IPv6", "Protocol", "parse_ip", "version_of"]

MAX_PACKET: Final = 0xFFFF


class Protocol(enum.IntEnum):
    """IP protocol and next-header numbers that the reference distinguishes."""

    HOP_BY_HOP = 0
    TCP = 6
    UDP = 17
    ROUTING = 43
    DESTINATION_OPTIONS = 60


_WORD = struct.Struct(">H")
_WORDS = struct.Struct(">HH")
_IHL = IPv4Layout.IHL.mask
_TOTAL_LENGTH = IPv4Layout.TOTAL_LENGTH.span
_IDENTIFICATION = IPv4Layout.IDENTIFICATION.offset
_FRAGMENT = IPv4Layout.FRAGMENT.span
_IS_FRAGMENT = IPv4Layout.MF.mask | IPv4Layout.FRAGMENT_OFFSET.mask
_CHECKSUM = IPv4Layout.CHECKSUM.span
_IPV4_ADDRESSES, _IPV6_ADDRESSES = IPv4Layout.ADDRESSES, IPv6Layout.ADDRESSES
_PAYLOAD_LENGTH = IPv6Layout.PAYLOAD_LENGTH.span
_EXTENSION_UNIT = 8  # bytes: the shortest extension header, and the unit of its length field
_WALKED = frozenset({Protocol.HOP_BY_HOP, Protocol.ROUTING, Protocol.DESTINATION_OPTIONS})


class IPv4:
    """A checked view of an IPv4 header.

    I1  `header_length` is IHL * 4, options included, and that many bytes are present.
    I2  `stated_length` is the length that the header states, not that of the packet.
    I3  `identification` is the field of that name.
    """

    __slots__ = ("_packet", "header_length", "identification")
    version: Final = 4
    min_length: Final = IPv4Layout.size
    length_offset: Final = IPv4Layout.TOTAL_LENGTH.offset
    protocol_offset: Final = IPv4Layout.PROTOCOL.offset

    def __init__(self, packet: Buffer) -> None:
        """Check P2 and P3."""
        if len(packet) < self.min_length:
            raise PacketError("P2", "ipv4", 0, len(packet), "an IPv4 header has at least 20 bytes")
        self._packet = packet
        (self.identification,) = _WORD.unpack_from(packet, _IDENTIFICATION)
        self.header_length = (packet[0] & _IHL) * 4
        if not self.min_length <= self.header_length <= len(packet):
            raise PacketError("P3", "ipv4.ihl", 0, self.header_length // 4, "at least 5, with that many words present")

    @property
    def header(self) -> bytes:
        """The header, options included."""
        return bytes(self._packet[: self.header_length])

    @property
    def stated_length(self) -> int:
        """The packet's length as the header states it: total length."""
        return int.from_bytes(self._packet[_TOTAL_LENGTH], "big")

    @property
    def is_fragment(self) -> bool:
        """Whether more fragments follow or the fragment offset is not zero."""
        return bool(int.from_bytes(self._packet[_FRAGMENT], "big") & _IS_FRAGMENT)

    @property
    def has_options(self) -> bool:
        """Whether there is more than the fixed header."""
        return self.header_length > self.min_length

    @property
    def protocol(self) -> int:
        """What follows the header."""
        return self._packet[self.protocol_offset]

    @property
    def addresses(self) -> bytes:
        """Source and destination, as the pseudo-header has them."""
        return bytes(self._packet[_IPV4_ADDRESSES])

    @property
    def checksum_is_right(self) -> bool:
        """Whether the header checksum is what `resized` would write, which 0xFFFF never is."""
        header = self.header
        return checksum(header) == 0xFFFF and header[_CHECKSUM] != b"\xff\xff"

    def resized(self, length: int, index: int) -> bytes:
        """Return the header of the segment `index` for a packet of `length` bytes.

        Identification grows by one per segment, modulo 2**16 and whatever DF is; the header checksum is computed
        from scratch; everything else is copied, options and fragment bits included (`inet_gso_segment`).
        """
        header = bytearray(self._packet[: self.header_length])
        _WORDS.pack_into(header, _TOTAL_LENGTH.start, length, (self.identification + index) & 0xFFFF)
        _WORD.pack_into(header, _CHECKSUM.start, 0)
        _WORD.pack_into(header, _CHECKSUM.start, finish(checksum(header)))
        return bytes(header)


class IPv6:
    """A checked view of an IPv6 header and the extension headers after it.

    I1  `header_length` includes the extension headers that were walked, and that many bytes are present.
    I2  `protocol` is what follows them: a transport, or whatever ended the walk; its field is at `protocol_offset`.
    I3  `stated_length` is the length that the header states, not that of the packet.
    """

    __slots__ = ("_packet", "header_length", "protocol", "protocol_offset")
    version: Final = 6
    min_length: Final = IPv6Layout.size
    length_offset: Final = IPv6Layout.PAYLOAD_LENGTH.offset

    def __init__(self, packet: Buffer) -> None:
        """Check P2 and P4."""
        if len(packet) < self.min_length:
            raise PacketError("P2", "ipv6", 0, len(packet), "an IPv6 header has 40 bytes")
        self._packet = packet
        self.header_length: int = self.min_length
        self.protocol_offset = IPv6Layout.NEXT_HEADER.offset
        self.protocol = packet[self.protocol_offset]
        while self.protocol in _WALKED:
            start = self.header_length
            extension = packet[start : start + _EXTENSION_UNIT]
            if len(extension) == _EXTENSION_UNIT:
                self.header_length += (extension[1] + 1) * _EXTENSION_UNIT
            if not start < self.header_length <= len(packet):
                raise PacketError("P4", "ipv6.extension", start, len(packet) - start, "the extension header is cut off")
            self.protocol_offset = start
            self.protocol = extension[0]

    @property
    def header(self) -> bytes:
        """The header, walked extension headers included."""
        return bytes(self._packet[: self.header_length])

    @property
    def stated_length(self) -> int:
        """The packet's length as the header states it: payload length plus the fixed 40."""
        return int.from_bytes(self._packet[_PAYLOAD_LENGTH], "big") + self.min_length

    @property
    def is_fragment(self) -> bool:
        """No: a Fragment header ends the walk and is reported as the protocol."""
        return False

    @property
    def addresses(self) -> bytes:
        """Source and destination, as the pseudo-header has them."""
        return bytes(self._packet[_IPV6_ADDRESSES])

    def resized(self, length: int, index: int) -> bytes:
        """Return the header for a packet of `length` bytes: a new payload length, all else copied."""
        header = bytearray(self._packet[: self.header_length])
        header[_PAYLOAD_LENGTH] = (length - self.min_length).to_bytes(2, "big")
        return bytes(header)


def version_of(packet: Buffer) -> int:
    """Return 4 or 6. Raises `PacketError` (P1), as `tun_get_user` refuses such a packet with EINVAL."""
    version = packet[0] >> 4 if len(packet) else None
    if version not in {4, 6}:
        raise PacketError("P1", "ip.version", 0, version, "a packet begins with the version nibble 4 or 6")
    return version


def parse_ip(packet: Buffer) -> IPv4 | IPv6:
    """Return the view of the packet's IP header. Raises `PacketError` (P1 to P4)."""
    return IPv4(packet) if version_of(packet) == 4 else IPv6(packet)
