"""Vnet headers as rows: the name of each field, its value, and what that value means."""

from tio import ByteOrder, VnetHeader
from tunproof.corpus.cases import VnetFields
from tunproof.packets import picture
from tunproof.packets.picture import VNET_SIZE

__all__ = ["VNET_LINE", "VnetRow", "field_rows", "vnet_rows"]

VNET_LINE = "vnet header: "
"""The start of a line that gives a vnet header in words."""

VnetRow = tuple[str, str, str]
"""Name, value and meaning of a field. The meaning is empty where the value is just a number."""

_FIELDS = ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset")


def vnet_rows(frame: bytes) -> list[VnetRow]:
    """Return the fields of the vnet header (10 bytes, little-endian) of a frame; none if it is cut off."""
    if len(frame) < VNET_SIZE:
        return []
    header = VnetHeader.parse(frame, byte_order=ByteOrder.LITTLE)
    return field_rows(VnetFields(**{name: getattr(header, name) for name in _FIELDS}))


def field_rows(fields: VnetFields) -> list[VnetRow]:
    """Return the fields of a vnet header of any size."""
    return [(row.name, row.value, row.means) for row in picture.header_rows(fields)]
