"""Small packets by number, and what they stand for: what queues are tried with, where the bytes are of no interest.

Two different numbers give different packets. What a superpacket must be cut into is built here from the parts, not by
cutting it: the queue under test must not decide what is right.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from tio.virtio import HEADER_SIZE, ByteOrder, GsoType, VnetFlag
from tio.wire import IPv4Layout, UdpLayout, VnetLayout
from tunfuzz.build import UDP, assemble, ipv4_stem

__all__ = ["KINDS", "Cargo", "Kind", "frame", "plain", "superpacket", "unreadable"]

Kind = Literal["plain", "superpacket", "unreadable"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_ADDRESSES = bytes.fromhex("0a0000010a000002")
_NO_HEADER = bytes(HEADER_SIZE)
_HEADER = VnetLayout.packer(ByteOrder.HOST, HEADER_SIZE)
_HEADERS = IPv4Layout.size + UdpLayout.size
_SIZE = 8  # bytes of payload in each segment


@dataclass(frozen=True, slots=True)
class Cargo:
    """What is written at once, and the packets that a reader makes of it.

    `hdr`, `transport_hdr` and `pays` are the arguments of `write_gso` (with one of `pays` it is no superpacket);
    `header` is the vnet header (of the usual size, in host order) that belongs before them.
    """

    header: bytes
    hdr: bytes
    transport_hdr: bytes
    pays: tuple[bytes, ...]
    packets: tuple[bytes, ...]

    @property
    def frame(self) -> bytes:
        """The frame, for a device with vnet headers."""
        return b"".join((self.header, self.hdr, self.transport_hdr, *self.pays))


def plain(number: int) -> bytes:
    """Return a UDP datagram over IPv4 of 36 bytes."""
    return _datagram(number, _pay(number, _SIZE))


def superpacket(number: int, segments: int) -> Cargo:
    """Return a UDP superpacket of so many segments (2 to 128), the last of which is a byte shorter."""
    pays = (*(_pay(number + index, _SIZE) for index in range(segments - 1)), _pay(number, _SIZE - 1))
    whole = assemble(_stem(number), _transport(number), b"".join(pays), partial=True)
    header = _HEADER.pack(
        VnetFlag.NEEDS_CSUM, GsoType.UDP_L4, _HEADERS, _SIZE, IPv4Layout.size, UdpLayout.CHECKSUM.offset
    )
    packets = tuple(_datagram(number, pay, after=index) for index, pay in enumerate(pays))
    return Cargo(header, whole[: IPv4Layout.size], whole[IPv4Layout.size : _HEADERS], pays, packets)


def unreadable(number: int, *, headers: bool) -> bytes:
    """Return a frame that no reader can make a packet of: too short, or with a version that is neither 4 nor 6."""
    packet = bytes((0x10 * (number % 4), number & 0xFF)) * 10
    if not headers:
        return packet
    return (_NO_HEADER + packet, _NO_HEADER[: 1 + number % (HEADER_SIZE - 1)], _NO_HEADER)[number % 3]


def frame(kind: Kind, number: int, segments: int, *, headers: bool) -> tuple[bytes, tuple[bytes, ...]]:
    """Return a frame, and what a reader makes of it: nothing, if nobody can read it.

    Without vnet `headers` there are no superpackets, but plain packets in their place.
    """
    if kind == "unreadable":
        return unreadable(number, headers=headers), ()
    if kind == "superpacket" and headers:
        load = superpacket(number, segments)
        return load.frame, load.packets
    return (_NO_HEADER if headers else b"") + plain(number), (plain(number),)


def _datagram(number: int, pay: bytes, *, after: int = 0) -> bytes:
    return assemble(_stem(number + after), _transport(number), pay)


def _pay(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big")


def _stem(identification: int) -> bytes:
    return ipv4_stem(_ADDRESSES, UDP, fields=b"\0" + (identification & 0xFFFF).to_bytes(2, "big") + b"\x40\0\x40")


def _transport(number: int) -> bytes:
    return (0x400 + (number & 0x7FFF)).to_bytes(2, "big") + b"\0\x50" + bytes(4)
