"""Vnet headers as rows: the name of each field, its value, and what that value means."""

import functools

from tio import ByteOrder, VnetHeader
from tio.virtio import HEADER_SIZE
from tio.wire import VnetLayout
from tunproof.corpus.cases import VnetFields
from tunproof.packets import picture

__all__ = ["VNET_LINE", "VnetRow", "field_rows", "vnet_rows"]

VNET_LINE = "vnet header: "
"""The start of a line that gives a vnet header in words."""

VnetRow = tuple[str, str, str]
"""Name, value and meaning of a field. The meaning is empty where the value is just a number."""

_FIELDS = tuple(field.name for field in VnetLayout.within(HEADER_SIZE))


def vnet_rows(frame: bytes) -> tuple[VnetRow, ...]:
    """Return the fields of the vnet header (10 bytes, little-endian) of a frame; none if it is cut off."""
    return () if len(frame) < HEADER_SIZE else _header_rows(frame[:HEADER_SIZE])


@functools.lru_cache(maxsize=1 << 12)
def _header_rows(data: bytes) -> tuple[VnetRow, ...]:
    header = VnetHeader.parse(data, byte_order=ByteOrder.LITTLE)
    return field_rows(VnetFields(**{name: getattr(header, name) for name in _FIELDS}))


def field_rows(fields: VnetFields) -> tuple[VnetRow, ...]:
    """Return the fields of a vnet header of any size."""
    return tuple((row.name, row.value, row.means) for row in picture.header_rows(fields))
