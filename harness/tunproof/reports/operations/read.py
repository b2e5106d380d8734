"""How a case of `read` is presented."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import MustReject, Packets, ReadCase
from tunproof.packets.difference import describe_packets, first_difference
from tunproof.packets.picture import vnet_words
from tunproof.reports.blocks import Block, Dump, Prose
from tunproof.reports.operations.base import Presentation, VnetTable
from tunproof.reports.operations.cutting import cut_blocks, cut_sizes
from tunproof.reports.operations.parts import (
    before_blocks,
    before_lines,
    packet_blocks,
    packet_line,
    rejected,
    rejected_blocks,
    vnet_block,
)
from tunproof.reports.vnet import VNET_LINE, vnet_rows

__all__ = ["ReadPresentation"]


class ReadPresentation(Presentation[ReadCase]):
    """A frame, and the packets that it is cut into."""

    @cached_property
    def _packet(self) -> bytes:
        """The packet behind the vnet header."""
        return self.case.input.frame[HEADER_SIZE:]

    def sent(self) -> tuple[str, ...]:
        """Return the frame: its size, its vnet header in a line that begins with `VNET_LINE`, its packet."""
        given = self.case.input
        frame = given.frame
        lines = (
            *before_lines("frame", given.before),
            f"a frame of {len(frame)} bytes",
            f"{VNET_LINE}{vnet_words(frame)}",
        )
        return lines if len(frame) < HEADER_SIZE else (*lines, packet_line("packet", self._packet))

    def expected(self) -> str:
        """Return how many packets there are, or the fault."""
        match self.case.expect:
            case Packets(packets=packets):
                return describe_packets(packets)
            case MustReject(fault=fault):
                return rejected(fault)

    def cut(self) -> dict[str, Any] | None:
        """Return the sizes of the cut; None for a frame that must be rejected."""
        expect = self.case.expect
        return cut_sizes(self._packet, expect.packets) if isinstance(expect, Packets) else None

    def vnet(self) -> VnetTable:
        """Return the frame's vnet header."""
        return VnetTable("vnet header", vnet_rows(self.case.input.frame))

    def input_blocks(self) -> Iterator[Block]:
        """Yield the vnet header and the packet."""
        frame = self.case.input.frame
        yield from before_blocks("frame", self.case.input.before)
        if len(frame) < HEADER_SIZE:
            yield Prose(f"a frame of {len(frame)} bytes, cut off in the vnet header")
            yield Dump(frame)
            return
        yield Prose(f"a frame of {len(frame)} bytes: the vnet header")
        yield vnet_block(frame)
        yield Prose(f"and a packet of {len(self._packet)} bytes")
        yield from packet_blocks(self._packet)

    def outcome_blocks(self) -> Iterator[Block]:
        """Yield the cut, or the fault."""
        match self.case.expect:
            case Packets(packets=packets):
                yield from cut_blocks(self._packet, packets)
            case MustReject(fault=fault):
                yield from rejected_blocks(fault)

    def departure_blocks(self, delivered: Sequence[bytes]) -> Iterator[Block]:
        """Yield the first difference from the packets that must come out."""
        if isinstance(self.case.expect, Packets):
            difference = first_difference(self.case.expect.packets, delivered)
            yield Prose(f"first difference: {str(difference).partition(chr(10))[0]}", 4)
