"""Captures that Wireshark and tshark open: pcapng (draft-ietf-opsawg-pcapng), one section, one block a packet.

Packets begin with their IP header (LINKTYPE_RAW), and each may carry a comment.
"""

import functools
import struct
from collections.abc import Iterable, Sequence

import msgspec

from tunproof.version import __version__

__all__ = ["Captured", "capture"]

_LINKTYPE_RAW = 101
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_COMMENT, _INTERFACE_NAME, _PACKET_FLAGS, _PROGRAM = 1, 2, 2, 4
_IN, _OUT = 1, 2
_LONGEST = 0xFFFF  # bytes of an option

_WORD, _OPTION, _PACKET_HEAD = struct.Struct("<I"), struct.Struct("<HH"), struct.Struct("<IIIII")
_BLOCK_HEAD, _PADDING = struct.Struct("<II"), (b"", b"\0\0\0", b"\0\0", b"\0")


class Captured(msgspec.Struct, frozen=True, kw_only=True):  # faster to create than a dataclass, and there are many
    """A packet of a capture: its bytes, what is said of it, which way it went, and the index of its interface."""

    packet: bytes
    comment: str
    goes_in: bool
    interface: int = 0


def capture(interfaces: Sequence[str], packets: Iterable[Captured]) -> bytes:
    """Return a pcapng file of these packets, a microsecond apart, for the order's sake."""
    parts = [_head(tuple(interfaces))]
    for number, one in enumerate(packets, 1):
        length, comment = len(one.packet), _comment(one.comment)
        body = (
            _PACKET_HEAD.pack(one.interface, 0, number, length, length),
            one.packet,
            _PADDING[length % 4],
            _OPTION.pack(_COMMENT, len(comment)),
            comment,
            _PADDING[len(comment) % 4],
            _END_IN if one.goes_in else _END_OUT,
        )
        size = sum(map(len, body)) + _AROUND
        parts += (_BLOCK_HEAD.pack(_PACKET, size), *body, _WORD.pack(size))
    return b"".join(parts)


@functools.cache
def _head(interfaces: tuple[str, ...]) -> bytes:
    """Return the section, and a block for each interface."""
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    interface = struct.pack("<HHI", _LINKTYPE_RAW, 0, 0)
    return _block(_SECTION, section, _option(_PROGRAM, f"tunproof {__version__}".encode())) + b"".join(
        _block(_INTERFACE, interface, _option(_INTERFACE_NAME, name.encode())) for name in interfaces
    )


def _comment(text: str) -> bytes:
    """Return a comment as UTF-8, cut off between two characters where an option cannot hold it."""
    data = text.encode(errors="replace")
    return data if len(data) <= _LONGEST else data[:_LONGEST].decode(errors="ignore").encode()


def _block(kind: int, body: bytes, option: bytes) -> bytes:
    size = len(body) + len(option) + len(_END) + _AROUND
    return _BLOCK_HEAD.pack(kind, size) + body + option + _END + _WORD.pack(size)


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + value + _PADDING[len(value) % 4]


_END = _OPTION.pack(0, 0)
_AROUND = 12  # bytes of a block around its body
_END_IN, _END_OUT = (_option(_PACKET_FLAGS, _WORD.pack(way)) + _END for way in (_IN, _OUT))
