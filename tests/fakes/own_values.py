"""Checksums and vnet headers by themselves, in the second implementation."""

import struct

from fakes.arithmetic import Arithmetic, turn_down
from tunproof.corpus.cases import VnetFields
from tunproof.subjects.subject import Subject

_NAMES = ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset", "num_buffers")
_WIDTHS = (1, 1, 2, 2, 2, 2, 2)


class OwnValues(Arithmetic, Subject):
    """The two operations that are only numbers."""

    name = "own values"

    def checksum(self, data: bytes, initial: int) -> int:
        """See `Subject.checksum`."""
        return self.total(data, initial)

    def parse_header(self, data: bytes, size: int, byte_order: str) -> VnetFields:
        """See `Subject.parse_header`."""
        self.check_size(size)
        if len(data) < size:
            turn_down("cut off")
        values = struct.unpack_from(self.layout(size, byte_order), data)
        fields = dict(zip(_NAMES, values, strict=False))
        if size >= 24:
            fields["rest"] = data[12:24]
        return VnetFields(**fields)

    def emit_header(self, fields: VnetFields, size: int, byte_order: str) -> bytes:
        """See `Subject.emit_header`."""
        self.check_size(size)
        values = [getattr(fields, name) or 0 for name in _NAMES]
        rest = fields.rest or bytes(12)
        if len(rest) != 12:
            turn_down("rest")
        values = [self.narrow(value, width) for value, width in zip(values, _WIDTHS, strict=True)]
        return (struct.pack(self.layout(12, byte_order), *values) + rest)[:size]

    def layout(self, size: int, byte_order: str) -> str:
        """Return the format of the fields that a header of this size has."""
        return ("<" if byte_order == "little" else ">") + ("BBHHHH" if size == 10 else "BBHHHHH")

    def check_size(self, size: int) -> None:
        """A device says one of three sizes."""
        if size not in {10, 12, 24}:
            turn_down("size")

    def narrow(self, value: int, width: int) -> int:
        """Return a number that fits so many bytes."""
        if not 0 <= value < 1 << 8 * width:
            turn_down("does not fit")
        return value
