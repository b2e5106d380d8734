"""How a case of `checksum` is presented."""

from collections.abc import Iterator

from tunproof.corpus.cases import ChecksumCase
from tunproof.packets.summing import completed_frame
from tunproof.reports.blocks import Block, Dump, Prose
from tunproof.reports.operations.base import Presentation
from tunproof.reports.operations.parts import bytes_line

__all__ = ["ChecksumPresentation"]


class ChecksumPresentation(Presentation[ChecksumCase]):
    """Bytes, and their sum."""

    same = "comes to the same sum"

    def sent(self) -> tuple[str, ...]:
        """Return how many bytes are summed, and the first of them."""
        return self._task(), bytes_line(self.case.input.data)

    def expected(self) -> str:
        """Return the sum."""
        return f"the sum {self.case.expect.sum:#06x}"

    def input_blocks(self) -> Iterator[Block]:
        """Yield the bytes."""
        yield Prose(self._task())
        yield Dump(self.case.input.data)

    def outcome_blocks(self) -> Iterator[Block]:
        """Yield the sum, and its complement, which is what packets carry (RFC 1071)."""
        total = self.case.expect.sum
        yield Prose(f"{total:#06x}, the folded sum; a checksum field would hold {~total & 0xFFFF:#06x}")

    def kernel_input_blocks(self) -> Iterator[Block]:
        """Yield the packet by which a kernel is made to sum the bytes."""
        frame, packet = completed_frame(self.case.input.data, self.case.input.initial)
        yield Prose(
            "kernels get a packet that carries the bytes behind a checksum to complete "
            f"({len(frame)} bytes with the vnet header); the checksum must become 0x{packet[20:22].hex()}"
        )

    def _task(self) -> str:
        given = self.case.input
        return f"{len(given.data)} bytes, to be summed from {given.initial:#06x}"
