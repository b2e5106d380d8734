"""How a case of `header` is presented."""

from collections.abc import Iterator

from tunproof.corpus.cases import EmitInput, Fields, HeaderBytes, HeaderCase, MustReject, ParseInput, VnetFields
from tunproof.packets import picture
from tunproof.reports.blocks import Block, Dump, Prose, Rows
from tunproof.reports.operations.base import Presentation, VnetTable
from tunproof.reports.operations.parts import bytes_line, rejected, rejected_blocks
from tunproof.reports.vnet import field_rows

__all__ = ["HeaderPresentation"]


class HeaderPresentation(Presentation[HeaderCase]):
    """Bytes and the fields that they hold, or fields and the bytes that they become."""

    def sent(self) -> tuple[str, ...]:
        """Return what is to be done, and the fields or the bytes."""
        given = self.case.input
        return self._task(), _fields_line(given.fields) if isinstance(given, EmitInput) else bytes_line(given.bytes)

    def expected(self) -> str:
        """Return the fields or the bytes, or the fault."""
        match self.case.expect:
            case Fields(fields=fields):
                return f"the fields {_fields_line(fields)}"
            case HeaderBytes(bytes=data):
                return f"the bytes {data.hex()}"
            case MustReject(fault=fault):
                return rejected(fault)

    def vnet(self) -> VnetTable | None:
        """Return the fields that go in or must come out; None for bytes that must be rejected."""
        given, expect = self.case.input, self.case.expect
        if isinstance(given, EmitInput):
            return VnetTable("Fields", field_rows(given.fields))
        return VnetTable("What it says", field_rows(expect.fields)) if isinstance(expect, Fields) else None

    def input_blocks(self) -> Iterator[Block]:
        """Yield the fields or the bytes."""
        given = self.case.input
        yield Prose(self._task())
        yield _layout(given.fields) if isinstance(given, EmitInput) else Dump(given.bytes)

    def outcome_blocks(self) -> Iterator[Block]:
        """Yield the fields or the bytes, and which bytes hold which field."""
        given = self.case.input
        match self.case.expect:
            case Fields(fields=fields):
                yield _layout(fields, given.bytes if isinstance(given, ParseInput) else None)
            case HeaderBytes(bytes=data):
                yield Dump(data)
                if isinstance(given, EmitInput):
                    yield _layout(given.fields, data)
            case MustReject(fault=fault):
                yield from rejected_blocks(fault)

    def _task(self) -> str:
        given = self.case.input
        what = f"a vnet header of {given.size} bytes, {given.byte_order}-endian"
        if isinstance(given, EmitInput):
            return f"fields, to be made into {what}"
        return f"{len(given.bytes)} bytes, which begin with {what}"


def _fields_line(fields: VnetFields) -> str:
    rows = field_rows(fields)
    return ", ".join(f"{name} {value}" + (f" ({means})" if means else "") for name, value, means in rows)


def _layout(fields: VnetFields, data: bytes | None = None) -> Block:
    """Return the fields of a vnet header and their places; if `data` is given, with the bytes that hold them."""
    rows = []
    for row in picture.header_rows(fields):
        cells = () if data is None else (data[row.start : row.end].hex(),)
        rows.append((row.name, str(row.start), *cells, row.value, row.means))
    columns = ("field", "byte", *(() if data is None else ("bytes",)), "value", "means")
    return Rows(columns, tuple(rows), numbers=("byte", "value"))
