"""A vnet header means what its bytes say, in every size and byte order, and is emitted as the same bytes.

An input is a byte that chooses size (bits 0 and 1), byte order (2) and the operation (6: emit it; 7: with a field
changed to any number), then the header's bytes.
"""

import struct

from tio.errors import HeaderError
from tio.virtio import VnetHeader

__all__ = ["check"]

_SIZES = (10, 12, 24)
_NAMES = ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset", "num_buffers")
_WORDS = {"little": "<5H", "big": ">5H"}
_CHANGED = struct.Struct(">Bi")  # which field, and its number


def check(data: bytes) -> None:
    """Test the invariant."""
    if len(data) < 2:
        return
    choice, rest = data[0], data[1:]
    size = _SIZES[choice % 4] if choice % 4 < 3 else rest[0]
    order = "big" if choice & 4 else "little"
    try:
        header = VnetHeader.parse(rest, size=size, byte_order=order)
    except HeaderError:
        assert size not in _SIZES or len(rest) < size, "a whole header was refused"
        return
    assert size in _SIZES
    assert len(rest) >= size, "a partial header was read"
    if choice & 0x80:
        _check_changed(header, rest, order)
    else:
        _check_read(header, rest[:size], order)
    if choice & 0x40:
        made = header.emit(size=size, byte_order=order)
        assert made == rest[:size], f"{rest[:size].hex()} was emitted as {made.hex()}"


def _check_read(header: VnetHeader, data: bytes, order: str) -> None:
    words = struct.unpack_from(_WORDS[order], data[:12].ljust(12, b"\0"), 2)
    rest = data[12:] or bytes(12)
    assert header == (data[0], data[1], *words, rest), f"{data.hex()} was read as {header}"
    assert header.needs_csum == data[0] % 2
    assert header.ecn == (data[1] >= 0x80)
    assert header.base_type == data[1] & 0x7F


def _check_changed(header: VnetHeader, rest: bytes, order: str) -> None:
    """Test that a number that does not fit is refused, and one that fits can be read back."""
    if len(rest) < 24 + _CHANGED.size:
        return
    which, number = _CHANGED.unpack_from(rest, 24)
    name = _NAMES[which % len(_NAMES)]
    fits = 0 <= number <= (0xFF if name in {"flags", "gso_type"} else 0xFFFF)
    changed = header.with_(**{name: number})
    try:
        made = changed.emit(size=24, byte_order=order)
    except HeaderError:
        assert not fits, f"{name} {number} was refused"
        return
    assert fits, f"{name} {number} was made to fit"
    assert VnetHeader.parse(made, size=24, byte_order=order) == changed
