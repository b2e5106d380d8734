"""How a case of `write_batch` is presented."""

import string
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from tunproof.corpus.cases import WriteBatchCase
from tunproof.packets import picture
from tunproof.reports.blocks import Block, Changes, Example, Listing, More, Prose, Rows
from tunproof.reports.operations.base import Presentation
from tunproof.reports.operations.parts import (
    MOST_LINES,
    before_lines,
    counted,
    listed,
    more_lines,
    packet_field_blocks,
    packet_line,
    poison_blocks,
    poison_lines,
    sizes,
)

__all__ = ["WriteBatchPresentation"]

_LETTERS = string.ascii_uppercase
_MOST_SHAPES = 4  # of packets in a batch: the fields of one of each are shown
_MOST_PACKETS = 40  # rows of a batch
_MOST_DRAWN = 300  # packets in the page's picture


class WriteBatchPresentation(Presentation[WriteBatchCase]):
    """Packets, and which of them may stand in one frame."""

    same = "cuts the frames of that answer into the packets that went in"

    def sent(self) -> tuple[str, ...]:
        """Return the first packets of the batch."""
        given = self.case.input
        head = (*before_lines("batch", given.before), self._batch, *poison_lines(given.poison))
        room = MOST_LINES - len(head)
        lines = (packet_line(f"packet {index}", packet) for index, packet in enumerate(given.packets[:room]))
        return (*head, *lines, *more_lines(len(given.packets) - room, "packet"))

    def expected(self) -> str:
        """Return what holds of every right answer, and how many frames a good one has."""
        frames = counted(len(self.case.expect.ideal), "frame")
        return f"every packet once and in order, behind legal headers; a good coalescer writes {frames}"

    def cut(self) -> dict[str, Any] | None:
        """Return the sizes of the packets and how to join them; None for an empty batch and for a very long one."""
        found = [len(packet) for packet in self.case.input.packets]
        return {"packets": found, "joined": self.case.expect.ideal} if 0 < len(found) <= _MOST_DRAWN else None

    def input_blocks(self) -> Iterator[Block]:
        """Yield the batch: of each shape the fields of one packet, and those in which the others differ from it."""
        given = self.case.input
        for batch in given.before:
            yield Prose(f"before it, a batch of {counted(len(batch), 'packet')}")
        yield Prose(f"{self._batch}{sizes(given.packets)}")
        yield from poison_blocks(given.poison)
        for shape in picture.shapes(given.packets)[:_MOST_SHAPES]:
            first, packet = next(iter(shape.items()))
            yield Prose(f"packet {first}")
            yield from packet_field_blocks(packet)
            yield Changes("packet", shape)

    def outcome_blocks(self) -> Iterator[Block]:
        """Yield the packets one by one, what must hold of them together, and the frames of one right answer."""
        packets, expect = self.case.input.packets, self.case.expect
        yield from self._packet_blocks()
        yield Prose("frame: which packets a good coalescer joins (scored, never demanded)", dim=True)
        yield from self._order_blocks()
        yield Listing(tuple(f"never in one superpacket: {one} and {other}" for one, other in expect.apart), "pairs")
        if expect.example:
            yield Prose("the frames of one right answer:")
            yield Example(packets, expect)
        else:
            yield Prose("no frame is written")

    @property
    def _batch(self) -> str:
        return f"a batch of {counted(len(self.case.input.packets), 'packet')}"

    def _packet_blocks(self) -> Iterator[Block]:
        packets = self.case.input.packets
        if packets:
            rows = tuple(self._row(index, packet) for index, packet in enumerate(packets[:_MOST_PACKETS]))
            columns = ("packet", "flow", "frame", "bytes", "what", "note")
            yield Rows(columns, rows, numbers=("packet", "bytes"))
        yield More(len(packets) - _MOST_PACKETS, "packets")

    def _row(self, index: int, packet: bytes) -> tuple[str, ...]:
        flow, frame = self._flows.get(index, ""), self._frames.get(index, "")
        return str(index), flow, frame, str(len(packet)), picture.summary(packet), ", ".join(self._notes(index))

    @cached_property
    def _flows(self) -> dict[int, str]:
        """The name of each packet's flow: a letter, or a number where letters run out."""
        return {
            index: _LETTERS[number : number + 1] or str(number)
            for number, flow in enumerate(self.case.expect.order)
            for index in flow
        }

    @cached_property
    def _frames(self) -> dict[int, str]:
        """The number of the frame that a good coalescer puts each packet in."""
        return {index: str(number) for number, group in enumerate(self.case.expect.ideal) for index in group}

    def _notes(self, index: int) -> Iterator[str]:
        expect = self.case.expect
        if index in expect.silent:
            yield "empty: nothing is written"
        if index in expect.repairable:
            yield "wrong checksum: joining it repairs it (a policy)"
        if index in expect.unsummed:
            yield "no checksum: joining it sums it (a policy)"

    def _order_blocks(self) -> Iterator[Block]:
        expect = self.case.expect
        for says, flows in (("in this order", expect.order), ("better in this order", expect.order_should)):
            yield Listing(tuple(f"{says}: {listed(flow, 24)}" for flow in flows if len(flow) > 1), "flows")
