"""Captures that Wireshark and tshark open: pcapng (draft-ietf-opsawg-pcapng), one section, one block a packet.

Packets begin with their IP header (LINKTYPE_RAW), and each may carry a comment.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunproof.version import __version__

__all__ = ["Captured", "capture"]

_LINKTYPE_RAW = 101
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_COMMENT, _INTERFACE_NAME, _PACKET_FLAGS, _PROGRAM = 1, 2, 2, 4
_IN, _OUT = 1, 2
_LONGEST = 0xFFFF  # bytes of an option


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """A packet of a capture: its bytes, what is said of it, which way it went, and the index of its interface."""

    packet: bytes
    comment: str
    goes_in: bool
    interface: int = 0


def capture(interfaces: Sequence[str], packets: Iterable[Captured]) -> bytes:
    """Return a pcapng file of these packets, a microsecond apart, for the order's sake."""
    blocks = [
        _block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), [(_PROGRAM, f"tunproof {__version__}".encode())])
    ]
    interface = struct.pack("<HHI", _LINKTYPE_RAW, 0, 0)
    blocks += [_block(_INTERFACE, interface, [(_INTERFACE_NAME, name.encode())]) for name in interfaces]
    for number, one in enumerate(packets, 1):
        length = len(one.packet)
        head = struct.pack("<IIIII", one.interface, 0, number, length, length)
        flags = struct.pack("<I", _IN if one.goes_in else _OUT)
        options = [(_COMMENT, _comment(one.comment)), (_PACKET_FLAGS, flags)]
        blocks.append(_block(_PACKET, head + _padded(one.packet), options))
    return b"".join(blocks)


def _comment(text: str) -> bytes:
    """Return a comment as UTF-8, cut off between two characters where an option cannot hold it."""
    data = text.encode(errors="replace")
    return data if len(data) <= _LONGEST else data[:_LONGEST].decode(errors="ignore").encode()


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    for code, value in (*options, (0, b"")):
        body += struct.pack("<HH", code, len(value)) + _padded(value)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
