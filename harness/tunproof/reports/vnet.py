"""Vnet headers as rows: the name of each field, its value, and what that value means."""

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


def vnet_rows(frame: bytes) -> list[VnetRow]:
    """Return the fields of the vnet header (10 bytes, little-endian) of a frame; none if it is cut off."""
    if len(frame) < HEADER_SIZE:
        return []
    header = VnetHeader.parse(frame, byte_order=ByteOrder.LITTLE)
    return field_rows(VnetFields(**{name: getattr(header, name) for name in _FIELDS}))


def field_rows(fields: VnetFields) -> list[VnetRow]:
    """Return the fields of a vnet header of any size."""
    return [(row.name, row.value, row.means) for row in picture.header_rows(fields)]
