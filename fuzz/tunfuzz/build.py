"""From parts to packets: the lengths and sums that tie headers and payload together. No randomness here.

A *stem* is an IP header, options or extension headers included, whose length and header checksum are still to be filled
in; a transport header comes without length and checksum. Only `tio.checksum` is used from the reference, and no table
of `tio.wire`: what is right is not decided by the code under test.
"""

import hashlib
import struct
from typing import Final

from tio.checksum import checksum, finish, pseudo_header_sum

__all__ = [
    "AH",
    "FRAGMENT",
    "GRE",
    "MAX_PACKET",
    "TCP",
    "UDP",
    "NoPacketError",
    "add_to_word",
    "addresses",
    "assemble",
    "chain",
    "checksum_offset",
    "filler",
    "ipv4_stem",
    "ipv6_stem",
    "protocol_of",
    "with_length",
]

MAX_PACKET: Final = 0xFFFF
TCP: Final = 6
UDP: Final = 17
FRAGMENT: Final = 44
GRE: Final = 47
AH: Final = 51

_WORD = struct.Struct(">H")


class NoPacketError(ValueError):
    """No packet can have these parts: a length that its field cannot express, or no room for the field."""


def filler(length: int, seed: int) -> bytes:
    """Return `length` bytes of payload: zeros for seed 0, ones for seed 1, else bytes that never repeat.

    One small number stands for the payload, because hypothesis would need minutes to shrink 64 KiB byte by byte.
    """
    if seed < 2:
        return bytes((0x00, 0xFF)[seed : seed + 1]) * length
    return hashlib.shake_128(seed.to_bytes(8, "big")).digest(length)


def ipv4_stem(addresses: bytes, protocol: int, options: bytes = b"", fields: bytes = b"\0\0\0\x40\0\x40") -> bytes:
    """Return an IPv4 stem. `fields` are DSCP and ECN, identification (2), flags and fragment offset (2), TTL."""
    first = 0x45 + len(options) // 4
    return b"".join(
        (bytes((first, fields[0], 0, 0)), fields[1:6], bytes((protocol, 0, 0)), addresses, options),
    )


def ipv6_stem(
    addresses: bytes, protocol: int, extensions: tuple[tuple[int, bytes], ...] = (), fields: bytes = b"\0\0\0\x40"
) -> bytes:
    """Return an IPv6 stem. `fields` are the three bytes of class and flow label, and the hop limit."""
    first = bytes((0x60 | fields[0] & 0x0F, fields[1], fields[2], 0, 0))
    number, headers = chain(extensions, protocol)
    return b"".join((first, b"\0", bytes((number, fields[3])), addresses, headers))


def chain(extensions: tuple[tuple[int, bytes], ...], protocol: int) -> tuple[int, bytes]:
    """Return the first next-header number, and the extension headers linked up to `protocol`.

    Each extension is its number and all its bytes except the first, which names what follows.
    """
    numbers = [number for number, _ in extensions] + [protocol]
    linked = (bytes((following,)) + rest for following, (_, rest) in zip(numbers[1:], extensions, strict=True))
    return numbers[0], b"".join(linked)


def addresses(stem: bytes) -> bytes:
    """Return source and destination of an IP header."""
    return stem[12:20] if stem[0] >> 4 == 4 else stem[8:40]


def protocol_of(transport: bytes) -> int:
    """Return the protocol of a transport header: UDP headers have 8 bytes, TCP headers 20 or more."""
    return UDP if len(transport) == 8 else TCP


def checksum_offset(transport: bytes) -> int:
    """Return the checksum's offset in a transport header."""
    return 6 if len(transport) == 8 else 16


def with_length(stem: bytes, total: int) -> bytes:
    """Return the stem as the header of a packet of `total` bytes, IPv4 header checksum included.

    Raises `NoPacketError`.
    """
    header = bytearray(stem)
    if header and header[0] >> 4 == 6:
        _put(header, 4, total - 40)
        return bytes(header)
    _put(header, 2, total)
    _put(header, 10, 0)
    _put(header, 10, finish(checksum(header)))
    return bytes(header)


def _put(header: bytearray, at: int, value: int) -> None:
    """Write a word. Raises `NoPacketError`."""
    try:
        _WORD.pack_into(header, at, value)
    except struct.error as error:
        raise NoPacketError(f"{value} at byte {at} of {len(header)}: {error}") from error


def assemble(stem: bytes, transport: bytes, payload: bytes, *, partial: bool = False) -> bytes:
    """Return the packet with all lengths and sums correct; `partial` leaves the pseudo-header sum in the checksum.

    Raises `NoPacketError`: an IPv6 packet may have up to 65575 bytes, and its parts not more than 65535.
    """
    length = len(transport) + len(payload)
    at = checksum_offset(transport)
    head = bytearray(transport)
    if at == 6:
        _put(head, 4, length)
    value = pseudo_header_sum(addresses(stem), protocol_of(transport), length)
    if not partial:
        value = finish(checksum(bytes(head) + payload, value), zero=0xFFFF if at == 6 else 0)
    _put(head, at, value)
    return b"".join((with_length(stem, len(stem) + length), head, payload))


def add_to_word(data: bytes, at: int, amount: int) -> bytes:
    """Return `data` with `amount` added to the word at `at`, in one's complement: sums over it grow by the same."""
    total = _WORD.unpack_from(data, at)[0] + amount
    return b"".join((data[:at], _WORD.pack(total % 0xFFFF or (0xFFFF if total else 0)), data[at + 2 :]))
