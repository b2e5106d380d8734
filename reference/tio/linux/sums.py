"""The checksum of some bytes in one division: defined in `tio.checksum`, here for millions of short headers."""

from tio.checksum import checksum, finish

__all__ = ["inverted_sum"]

_SHORT = 720  # bytes, up to which one division is fastest


def inverted_sum(data: bytes | bytearray) -> int:
    """Return the inverted sum of bytes that are not all zero: what a checksum field gets (RFC 1071)."""
    if len(data) > _SHORT:
        return finish(checksum(data))
    number = int.from_bytes(data, "big")
    rest = (number << 8 if len(data) & 1 else number) % 0xFFFF
    return 0xFFFF - rest if rest else 0
