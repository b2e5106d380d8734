"""The numbers and headers of the second implementation: sums, and where the parts of a packet are.

Straightforward and independent of the reference: nothing here imports `tio`. Each method is one decision that a fake
can take wrongly.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from tunproof.subjects.subject import TurnedDownError

TCP, UDP = 6, 17
NEEDS_CSUM = 1
NONE, TCPV4, TCPV6, UDP_L4, ECN = 0, 1, 4, 5, 0x80
FIN, SYN, RST, PSH, ACK, URG, CWR = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x80
MOST = 65535
VNET = struct.Struct("<BBHHHH")


class Vnet(NamedTuple):
    """The ten bytes of a vnet header."""

    flags: int
    gso_type: int
    hdr_len: int
    gso_size: int
    csum_start: int
    csum_offset: int

    @property
    def needs_csum(self) -> bool:
        """Whether the checksum field holds a partial."""
        return bool(self.flags & NEEDS_CSUM)


@dataclass
class Shape:
    """Where the parts of a packet stand, in bytes from its first."""

    version: int
    protocol: int
    transport_at: int
    payload_at: int

    @property
    def field_at(self) -> int:
        """Where the transport checksum stands."""
        return self.transport_at + csum_offset(self.protocol)


def turn_down(reason: str) -> NoReturn:
    """Refuse the input."""
    raise TurnedDownError(reason)


def csum_offset(protocol: int) -> int:
    """Return where the checksum stands in a transport header."""
    return 16 if protocol == TCP else 6


def word(data: bytes | bytearray, at: int) -> int:
    """Return the 16-bit number at an offset."""
    return data[at] << 8 | data[at + 1]


def put(data: bytearray, at: int, number: int) -> None:
    """Store a 16-bit number at an offset."""
    data[at : at + 2] = number.to_bytes(2, "big")


class Arithmetic:
    """Sums and header lengths."""

    def total(self, data: bytes | bytearray, initial: int = 0) -> int:
        """Return the folded sum of `data`, gone on from `initial`, not inverted."""
        even = len(data) & ~1
        number = initial + sum(struct.unpack(f">{even // 2}H", data[:even]))
        if len(data) > even:
            number += self.odd_byte(data[-1])
        return self.fold(number)

    def odd_byte(self, byte: int) -> int:
        """Return the word that a last odd byte is: its high half."""
        return byte << 8

    def fold(self, number: int) -> int:
        """Add the carries until there are none."""
        while number >> 16:
            number = (number & 0xFFFF) + (number >> 16)
        return number

    def version(self, packet: bytes) -> int:
        """Return 4 or 6."""
        number = packet[0] >> 4 if packet else 0
        if number not in {4, 6}:
            turn_down(f"IP version {number}")
        return number

    def shape(self, packet: bytes) -> Shape:
        """Return where the parts of a TCP or UDP packet stand; anything else is rejected."""
        version = self.version(packet)
        protocol, at = self.ipv4_header(packet) if version == 4 else self.ipv6_header(packet)
        if protocol == TCP:
            return Shape(version, protocol, at, at + self.tcp_length(packet, at))
        if protocol == UDP:
            if len(packet) < at + 8:
                turn_down("UDP header cut off")
            return Shape(version, protocol, at, at + 8)
        return turn_down(f"protocol {protocol}")

    def ipv4_header(self, packet: bytes) -> tuple[int, int]:
        """Return the protocol, and the length of the header."""
        length = (packet[0] & 15) * 4
        if length < 20 or len(packet) < max(length, 20):
            turn_down("IPv4 header cut off")
        return packet[9], length

    def ipv6_header(self, packet: bytes) -> tuple[int, int]:
        """Return the protocol, and the length of the header with hop-by-hop, routing and destination options."""
        if len(packet) < 40:
            turn_down("IPv6 header cut off")
        protocol, at = packet[6], 40
        while protocol in {0, 43, 60}:
            if len(packet) < at + 8:
                turn_down("extension header cut off")
            protocol, at = packet[at], at + self.extension_length(packet, at)
        if len(packet) < at:
            turn_down("extension header cut off")
        return protocol, at

    def extension_length(self, packet: bytes, at: int) -> int:
        """Return the bytes of an IPv6 extension header: its length byte counts words of 8, without the first."""
        return (packet[at + 1] + 1) * 8

    def tcp_length(self, packet: bytes, at: int) -> int:
        """Return the bytes of a TCP header."""
        if len(packet) < at + 20:
            turn_down("TCP header cut off")
        length = (packet[at + 12] >> 4) * 4
        if length < 20 or len(packet) < at + length:
            turn_down("TCP options cut off")
        return length

    def stated_length(self, packet: bytes, version: int) -> int:
        """Return how long the packet is by its IP header."""
        return word(packet, 2) if version == 4 else word(packet, 4) + 40

    def addresses(self, packet: bytes, version: int) -> bytes:
        """Return both addresses."""
        return packet[12:20] if version == 4 else packet[8:40]

    def pseudo(self, packet: bytes, shape: Shape, length: int) -> int:
        """Return the partial: the sum of the pseudo-header for a transport header and data of `length` bytes."""
        return self.total(self.addresses(packet, shape.version), shape.protocol + length)

    def resize(self, packet: bytearray, version: int) -> None:
        """Make the IP header say how long the packet is."""
        if version == 6:
            put(packet, 4, len(packet) - 40)
            return
        put(packet, 2, len(packet))
        self.sum_ipv4_header(packet)

    def sum_ipv4_header(self, packet: bytearray) -> None:
        """Compute the checksum of the IPv4 header."""
        put(packet, 10, 0)
        put(packet, 10, ~self.total(packet[: (packet[0] & 15) * 4]) & 0xFFFF)

    def ipv4_sum_is_right(self, packet: bytes) -> bool:
        """Whether an IPv4 header carries the checksum that one would compute for it."""
        header = bytearray(packet[: (packet[0] & 15) * 4])
        self.sum_ipv4_header(header)
        return word(header, 10) == word(packet, 10)
