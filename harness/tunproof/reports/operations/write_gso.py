"""How a case of `write_gso` is presented."""

from collections.abc import Iterator
from functools import cached_property

from tunproof.corpus.cases import WriteGsoCase
from tunproof.reports.blocks import Block, Dump, Prose
from tunproof.reports.operations.parts import before_lines, counted, listed, packet_field_blocks, packet_line
from tunproof.reports.operations.writing import WritingPresentation

__all__ = ["WriteGsoPresentation"]

_MOST_SIZES = 6  # in a line


class WriteGsoPresentation(WritingPresentation[WriteGsoCase]):
    """Headers and fragments, and the superpacket that they make up."""

    @cached_property
    def _sizes(self) -> list[int]:
        """The size of each fragment, in bytes."""
        return [len(pay) for pay in self.case.input.pays]

    def sent(self) -> tuple[str, ...]:
        """Return the arguments and the superpacket."""
        shown = ", ".join(map(str, self._sizes[:_MOST_SIZES])) + (", …" if len(self._sizes) > _MOST_SIZES else "")
        return (
            *before_lines("write_gso", self.case.input.before),
            f"{self._arguments()}{f' ({shown} bytes)' if shown else ''}",
            packet_line("joined", self.packet),
        )

    def input_blocks(self) -> Iterator[Block]:
        """Yield the arguments, and the fields of the superpacket."""
        given = self.case.input
        for earlier in given.before:
            yield Prose(f"before it, a write_gso of {len(earlier.pays)} fragments")
        yield Prose(f"write_gso({self._arguments()}: {listed(self._sizes, 8) or 'none'})")
        for name, data in (("hdr", given.hdr), ("transport_hdr", given.transport_hdr)):
            if data:
                yield Prose(name)
                yield Dump(data)
        yield Prose(f"joined, {len(self.packet)} bytes")
        yield from packet_field_blocks(self.packet)

    def _arguments(self) -> str:
        given = self.case.input
        headers = f"hdr of {len(given.hdr)} bytes, transport_hdr of {len(given.transport_hdr)} bytes"
        return f"{headers}, {counted(len(self._sizes), 'fragment')}"
