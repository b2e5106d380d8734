"""The Internet checksum in its plainest form, and how to make a kernel compute it: a check on the reference's.

It has the headers that it needs from their RFCs, not from `tio.wire`.
"""

import struct

__all__ = ["completed_frame", "sum_of"]

_SOURCE, _DESTINATION = bytes((192, 0, 2, 1)), bytes((198, 51, 100, 2))  # RFC 5737: for documentation


def sum_of(data: bytes, initial: int) -> int:
    """Return the folded sum of some bytes, one word and one carry at a time (RFC 1071, section 1)."""
    total = initial
    for (word,) in struct.iter_unpack(">H", data + b"\0" * (len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def completed_frame(data: bytes, initial: int) -> tuple[bytes, bytes]:
    """Return a frame by which a kernel sums `data` as well, and the packet that must come out if it sums right.

    A packet with NEEDS_CSUM whose checksum field, with `initial` in it, stands in front of the data: the kernel stores
    the complement of the sum there, and 0xFFFF for zero (`skb_checksum_help`).
    """
    length = min(22 + len(data), 0xFFFF)
    header = struct.pack(">BBHIBBH4s4s", 0x45, 0, length, 0x12344000, 64, 253, 0, _SOURCE, _DESTINATION)
    header = header[:10] + (~sum_of(header, 0) & 0xFFFF).to_bytes(2, "big") + header[12:]
    vnet = struct.pack("<BBHHHH", 1, 0, 0, 0, 20, 0)
    stored = (~sum_of(data, initial) & 0xFFFF) or 0xFFFF
    return vnet + header + initial.to_bytes(2, "big") + data, header + stored.to_bytes(2, "big") + data
