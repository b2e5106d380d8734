"""What the two operations that write one packet, `write` and `write_gso`, have in common: what must come out."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeVar

from tunproof.corpus.cases import MustRefuse, Nothing, WriteCase, WriteGsoCase, Written
from tunproof.packets.difference import describe_packets
from tunproof.reports.blocks import Block, Prose
from tunproof.reports.operations.base import Presentation, VnetTable
from tunproof.reports.operations.cutting import cut_blocks, cut_sizes
from tunproof.reports.operations.parts import vnet_block
from tunproof.reports.vnet import vnet_rows

__all__ = ["WritingPresentation"]

WritingCase = TypeVar("WritingCase", bound=WriteCase | WriteGsoCase)

_NOTHING = "the call succeeds, and nothing is written"


class WritingPresentation(Presentation[WritingCase]):
    """One packet, and the frame that is written for it."""

    @cached_property
    def packet(self) -> bytes:
        """The packet that is written, in one piece."""
        return self.case.input.whole

    def expected(self) -> str:
        """Return what the frame stands for, or why none is written."""
        match self.case.expect:
            case Written(segments=segments):
                return f"one frame that stands for {describe_packets(segments)}"
            case Nothing():
                return _NOTHING
            case MustRefuse(fault=fault):
                return f"the call fails, and nothing is written ({fault})"

    def cut(self) -> dict[str, Any] | None:
        """Return the sizes of the packet and of what the frame stands for; None if none is written."""
        expect = self.case.expect
        return cut_sizes(self.packet, expect.segments) if isinstance(expect, Written) else None

    def vnet(self) -> VnetTable | None:
        """Return one right vnet header; None if no frame is written."""
        expect = self.case.expect
        return VnetTable("A right vnet header", vnet_rows(expect.header)) if isinstance(expect, Written) else None

    def outcome_blocks(self) -> Iterator[Block]:
        """Yield one right vnet header and the packets that the frame stands for, or why none is written."""
        match self.case.expect:
            case Written(header=header, segments=segments):
                yield Prose("one frame: this vnet header, or another that keeps the rules V1 to V14,")
                yield vnet_block(header)
                yield Prose("then the packet, byte for byte; what the frame stands for:")
                yield from cut_blocks(self.packet, segments)
            case Nothing():
                yield Prose(_NOTHING)
            case MustRefuse(fault=fault):
                yield Prose("it must be refused: the call fails, and nothing is written")
                yield Prose(f"rule {fault}")
