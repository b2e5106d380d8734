"""Joining any packets and segmenting the result gives them back, once, unchanged, in order; joined ones are legal.

An input is packets, each after a big-endian word: its length in the low 12 bits; bit 15: its length fields and sums are
corrected; bit 14: the bytes are only the payload of a packet that continues the one before.
"""

import struct

from tunfuzz.invariants import check_joined_headers, check_transparent
from tunfuzz.targets.reading import Layout, layout_of, pseudo_sum, sum_words

__all__ = ["GOES_ON", "RIGHT", "check"]

RIGHT, GOES_ON = 0x8000, 0x4000
_MOST = 40  # packets


def check(data: bytes) -> None:
    """Test the invariant."""
    packets = _packets(data)
    check_transparent(packets)
    check_joined_headers(packets)


def _packets(data: bytes) -> list[bytes]:
    packets: list[bytes] = []
    at = 0
    while at + 2 <= len(data) and len(packets) < _MOST:
        word = int.from_bytes(data[at : at + 2], "big")
        packet = data[at + 2 :][: word & 0xFFF]
        at += 2 + len(packet)
        if word & GOES_ON and packets:
            packet = _next(packets[-1], packet)
        packets.append(_put_right(packet) if word & (RIGHT | GOES_ON) else packet)
    return packets


def _next(before: bytes, payload: bytes) -> bytes:
    """Return what follows a packet: its headers, advanced, and another payload."""
    layout = layout_of(before)
    if layout is None:
        return payload
    head = bytearray(before[: layout.payload])
    if layout.version == 4:
        _add(head, 4, 2, 1)
    if layout.protocol == 6:
        _add(head, layout.transport + 4, 4, len(before) - layout.payload)
    return bytes(head) + payload


def _add(head: bytearray, at: int, size: int, amount: int) -> None:
    number = int.from_bytes(head[at : at + size], "big") + amount
    head[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "big")


def _put_right(packet: bytes) -> bytes:
    """Return the packet with length fields and sums corrected, if it is complete TCP or UDP."""
    layout = layout_of(packet)
    if layout is None:
        return packet
    right = bytearray(packet)
    start = layout.transport
    if layout.version == 4:
        struct.pack_into(">H", right, 2, len(packet))
        _sum_into(right, 10, bytes(right[:start]), 0)
    else:
        struct.pack_into(">H", right, 4, len(packet) - 40)
    if layout.protocol == 17:
        struct.pack_into(">H", right, start + 4, len(packet) - start)
    _put_transport_sum(right, layout)
    return bytes(right)


def _put_transport_sum(packet: bytearray, layout: Layout) -> None:
    _sum_into(packet, layout.checksum, bytes(packet[layout.transport :]), pseudo_sum(bytes(packet), layout))


def _sum_into(packet: bytearray, at: int, summed: bytes, start: int) -> None:
    """Write the checksum of `summed`, which has the field in it, and `start` to `at`."""
    old = int.from_bytes(packet[at : at + 2], "big")
    struct.pack_into(">H", packet, at, 0xFFFF - sum_words(summed, start + 0xFFFF - old) or 0xFFFF)
