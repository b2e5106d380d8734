"""Sums equal those of a plain loop over words, however bytes arrive; adjusting and finishing obey the arithmetic.

An input is a byte that chooses the operation, three words (an initial sum, an old word, a new one), and the bytes
that are summed.
"""

import struct

from tio.checksum import adjust, checksum, finish, pseudo_header_sum
from tunfuzz.targets.reading import sum_words

__all__ = ["check"]

_HEAD = struct.Struct(">BHHH")


def check(data: bytes) -> None:
    """Test the invariant."""
    if len(data) < _HEAD.size:
        return
    choice, initial, old, new = _HEAD.unpack_from(data)
    summed = data[_HEAD.size :]
    match choice % 4:
        case 0:
            _check_sum(summed, initial)
        case 1:
            _check_parts(summed, initial, cut=old)
        case 2:
            _check_pseudo_header(summed, protocol=old % 256, length=new)
        case 3:
            _check_changes(initial, old, new)


def _check_sum(data: bytes, initial: int) -> None:
    found, wanted = checksum(data, initial), sum_words(data, initial)
    assert found == wanted, (
        f"{len(data)} bytes and {initial:#06x} sum up to {found:#06x}, word by word to {wanted:#06x}"
    )


def _check_parts(data: bytes, initial: int, *, cut: int) -> None:
    """Test that a sum can be taken in parts, split at a word boundary, over any kind of buffer."""
    cut = cut % (len(data) + 1) & ~1
    parts = checksum(memoryview(data)[cut:], checksum(bytearray(data[:cut]), initial))
    assert parts == sum_words(data, initial), f"cut at {cut} it sums up to {parts:#06x}"


def _check_pseudo_header(data: bytes, *, protocol: int, length: int) -> None:
    """Test the partial against the pseudo-headers as the RFCs draw them."""
    addresses = data[:32] if len(data) >= 32 else data[:8].ljust(8, b"\0")
    if len(addresses) == 8:
        drawn = addresses + struct.pack(">xBH", protocol, length)  # RFC 9293, section 3.1
    else:
        drawn = addresses + struct.pack(">IxxxB", length, protocol)  # RFC 8200, section 8.1
    found = pseudo_header_sum(addresses, protocol, length)
    assert found == sum_words(drawn), f"the partial is {found:#06x}, drawn out it is {sum_words(drawn):#06x}"


def _check_changes(partial: int, old: int, new: int) -> None:
    adjusted = adjust(partial, old, new)
    assert 0 <= adjusted <= 0xFFFF
    assert (adjusted - (partial - old + new)) % 0xFFFF == 0, f"{old:#x} for {new:#x} in {partial:#x} is {adjusted:#x}"
    for zero in (0, 0xFFFF):
        finished = finish(partial, zero=zero)
        wanted = zero if partial == 0xFFFF else 0xFFFF - partial
        assert finished == wanted, f"{partial:#06x} is finished as {finished:#06x}, not {wanted:#06x}"
