"""How a case of `write` is presented."""

from collections.abc import Iterator

from tunproof.corpus.cases import WriteCase
from tunproof.reports.blocks import Block, Prose
from tunproof.reports.operations.parts import (
    before_blocks,
    before_lines,
    packet_blocks,
    packet_line,
    poison_blocks,
    poison_lines,
)
from tunproof.reports.operations.writing import WritingPresentation

__all__ = ["WritePresentation"]


class WritePresentation(WritingPresentation[WriteCase]):
    """One packet, written as it is."""

    def sent(self) -> tuple[str, ...]:
        """Return the packet."""
        given = self.case.input
        return (
            *before_lines("packet", given.before),
            packet_line("packet", given.packet),
            *poison_lines(given.poison),
        )

    def input_blocks(self) -> Iterator[Block]:
        """Yield the packet."""
        given = self.case.input
        yield from before_blocks("packet", given.before)
        yield Prose(f"a packet of {len(given.packet)} bytes")
        yield from poison_blocks(given.poison)
        yield from packet_blocks(given.packet)
