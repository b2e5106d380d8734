"""Sums and packet layouts as the targets see them: a second opinion that shares neither code nor tables with `tio`."""

import struct
from typing import NamedTuple

__all__ = ["Layout", "layout_of", "pseudo_sum", "sum_words"]

_TCP, _UDP = 6, 17
_WALKED = {0, 43, 60}  # hop-by-hop, routing, destination options


class Layout(NamedTuple):
    """Where things are in a packet: offsets in bytes from its start."""

    version: int
    protocol: int
    transport: int
    payload: int
    is_fragment: bool

    @property
    def checksum(self) -> int:
        """Where the transport checksum is."""
        return self.transport + (16 if self.protocol == _TCP else 6)


def sum_words(data: bytes, start: int = 0) -> int:
    """Return the words of `data` added up, carries folded in (RFC 1071); an odd last byte is the high half of one."""
    if len(data) % 2:
        data += b"\0"
    total: int = start + sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total


def pseudo_sum(packet: bytes, layout: Layout) -> int:
    """Return the sum of the pseudo-header of a whole packet."""
    addresses = packet[12:20] if layout.version == 4 else packet[8:40]
    return sum_words(addresses, layout.protocol + len(packet) - layout.transport)


def layout_of(packet: bytes) -> Layout | None:
    """Return the layout of a TCP or UDP packet whose headers are all there; None for anything else."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        protocol, transport = packet[9], (packet[0] & 15) * 4
        is_fragment = int.from_bytes(packet[6:8], "big") & 0x3FFF != 0
        if transport < 20:
            return None
    elif version == 6 and len(packet) >= 40:
        protocol, transport = _walk(packet)
        is_fragment = False
    else:
        return None
    header = _transport_header(packet, protocol, transport)
    if header is None:
        return None
    return Layout(version, protocol, transport, transport + header, is_fragment)


def _walk(packet: bytes) -> tuple[int, int]:
    protocol, at = packet[6], 40
    while protocol in _WALKED and at + 2 <= len(packet):
        protocol, at = packet[at], at + 8 * (packet[at + 1] + 1)
    return protocol, at


def _transport_header(packet: bytes, protocol: int, at: int) -> int | None:
    """Return how long the transport header is, if it is all there."""
    left = len(packet) - at
    if protocol == _UDP:
        return 8 if left >= 8 else None
    if protocol != _TCP or left < 20:
        return None
    length = (packet[at + 12] >> 4) * 4
    return length if 20 <= length <= left else None
