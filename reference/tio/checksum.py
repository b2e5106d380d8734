"""The Internet checksum: RFC 1071 (the sum), RFC 1624 (updating it), RFC 768 and virtio 5.1.6 (partial and complete).

Three values are easy to confuse, so they have three names here:

- the **sum** of some bytes: their 16-bit big-endian words added in one's complement, folded to 16 bits, *not*
  inverted; an odd last byte counts as the high half of a word (RFC 1071, section 4.1);
- the **partial**: the sum of the pseudo-header alone. A packet with `NEEDS_CSUM` carries it in its checksum field;
- the **checksum**: the inverted sum of pseudo-header, transport header and data. A complete packet carries this.

One's complement has two zeros. Folding can give 0x0000 only when every word was zero; any other sum that is
divisible by 0xFFFF folds to 0xFFFF. The functions below do the same, as does the kernel's `csum_fold`. It matters at
the end: the checksum of a sum of 0xFFFF is 0x0000, which for UDP would mean "no checksum" and must be sent as 0xFFFF.
"""

from tio.errors import HeaderError
from tio.wire import VnetLayout

__all__ = ["Buffer", "adjust", "checksum", "complete_checksum", "finish", "pseudo_header_sum"]

Buffer = bytes | bytearray | memoryview
"""Bytes. A memoryview must have single-byte items (format "B"), because its `len` counts items."""


_SHORT = 720  # bytes: shorter data is divided directly
_CUTS = tuple((bits, (1 << bits) - 1) for bits in (5760, 2880, 1440))


def checksum(data: Buffer, initial: int = 0) -> int:
    """Return the folded one's-complement sum of `data`, plus `initial` (any sum or partial), not inverted.

    A 16-bit one's-complement sum is the remainder modulo 0xFFFF, because 2**16 is 1 there; so all of the
    data can be read as one large number. For the same reason that number may be split at any word boundary and the
    parts added, which for packets of the usual size is cheaper than dividing the whole.
    """
    number = int.from_bytes(data, "big")
    if len(data) % 2:
        number <<= 8
    if len(data) > _SHORT:
        for bits, mask in _CUTS:
            number = (number >> bits) + (number & mask)
    number += initial
    return number % 0xFFFF or (0xFFFF if number else 0)


def pseudo_header_sum(addresses: Buffer, protocol: int, length: int) -> int:
    """Return the partial: the sum of the pseudo-header (RFC 9293 3.1, RFC 768, RFC 8200 8.1).

    `addresses` are source and destination (8 bytes for IPv4, 32 for IPv6), `length` the bytes of the transport
    header and data. The two layouts add up to the same words, so one function serves both.
    """
    return checksum(addresses, protocol + length)


def adjust(partial: int, old: int, new: int) -> int:
    """Return `partial` as if the word `old` in it had been `new` (RFC 1624, equation 3, on an uninverted sum).

    A wrong partial stays wrong by the same amount, as in the kernel's `tcp_gso_segment`.
    """
    total = partial + (~old & 0xFFFF) + new
    return total % 0xFFFF or 0xFFFF


def finish(total: int, *, zero: int = 0) -> int:
    """Return the checksum of a folded sum; `zero` is what to send instead of 0x0000 (UDP: 0xFFFF)."""
    return ~total & 0xFFFF or zero


def complete_checksum(packet: Buffer, csum_start: int, csum_offset: int) -> bytes:
    """Return the packet with its checksum completed, as `NEEDS_CSUM` requests (virtio 5.1.6.2).

    The sum of everything from `csum_start` on, the partial in the checksum field included, is inverted and stored
    `csum_offset` bytes after `csum_start`. Zero is stored as 0xFFFF whatever the protocol, as `skb_checksum_help` does:
    both are correct for TCP, only 0xFFFF for UDP.

    Raises `HeaderError` (R3) if the field would lie outside the packet.
    """
    field, end = csum_start + csum_offset, len(packet) - 1
    because = f"the checksum field must lie inside the packet of {len(packet)} bytes"
    if csum_start not in range(end):
        raise HeaderError("R3", "vnet.csum_start", VnetLayout.CSUM_START.offset, csum_start, because)
    if field not in range(csum_start, end):
        raise HeaderError("R3", "vnet.csum_offset", VnetLayout.CSUM_OFFSET.offset, csum_offset, because)
    value = finish(checksum(packet[csum_start:]), zero=0xFFFF)
    return b"".join((packet[:field], value.to_bytes(2, "big"), packet[field + 2 :]))
