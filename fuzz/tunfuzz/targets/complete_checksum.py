"""A checksum is completed if there is room, sums up, and no other byte changes; anything else is a `HeaderError`.

An input is csum_start and csum_offset (two big-endian words each of 2 bytes), then a packet.
"""

import struct

from tio.checksum import complete_checksum
from tio.errors import HeaderError
from tunfuzz.targets.reading import sum_words

__all__ = ["check"]

_FIELDS = struct.Struct(">HH")


def check(data: bytes) -> None:
    """Test the invariant."""
    if len(data) < _FIELDS.size:
        return
    start, offset = _FIELDS.unpack_from(data)
    packet = data[_FIELDS.size :]
    field = start + offset
    fits = field + 2 <= len(packet)
    lent = bytearray(packet)
    try:
        completed = complete_checksum(memoryview(lent), start, offset)
    except HeaderError:
        assert not fits, f"a field at {field} of {len(packet)} bytes was refused"
        return
    assert fits, f"a field at {field} of {len(packet)} bytes was written"
    assert lent == packet, "the input packet was changed"
    assert completed[:field] + completed[field + 2 :] == packet[:field] + packet[field + 2 :], "other bytes changed"
    found = int.from_bytes(completed[field : field + 2], "big")
    wanted = 0xFFFF - sum_words(packet[start:]) or 0xFFFF
    assert found == wanted, f"the checksum is {found:#06x}, word by word it is {wanted:#06x}"
