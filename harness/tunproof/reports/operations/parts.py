"""Lines and blocks that several operations have in common.

Where a fact has a line (in reports) as well as a block (in `tunproof show`), the two stand side by side.
"""

from collections.abc import Iterator, Sequence

from tio import ByteOrder, VnetHeader
from tunproof.corpus.cases import Fault
from tunproof.packets import picture
from tunproof.reports.blocks import Block, Dump, Prose, Rows, Verbatim

__all__ = [
    "MOST_LINES",
    "before_blocks",
    "before_lines",
    "bytes_line",
    "counted",
    "listed",
    "more_lines",
    "packet_blocks",
    "packet_field_blocks",
    "packet_line",
    "poison_blocks",
    "poison_lines",
    "rejected",
    "rejected_blocks",
    "sizes",
    "vnet_block",
]

MOST_LINES = 5
"""How many lines of a report describe an input; one more says how much is left."""

_MOST_BYTES = 32  # in a line


def counted(number: int, what: str) -> str:
    """Return a number of things, `what` being one of them."""
    return f"{number} {what}{'s' * (number != 1)}"


def listed(numbers: Sequence[int], most: int) -> str:
    """Return the first `most` of some numbers, and how many more there are."""
    return ", ".join(map(str, numbers[:most])) + (f", … {len(numbers) - most} more" if len(numbers) > most else "")


def sizes(packets: Sequence[bytes]) -> str:
    """Return the sizes of packets in parentheses, with a blank before them; nothing if there are no packets."""
    return f" ({listed([len(packet) for packet in packets], 8)} bytes)" if packets else ""


def more_lines(number: int, what: str) -> tuple[str, ...]:
    """Return the line that says how many more things there are, if there are more."""
    return (f"… {counted(number, f'more {what}')}",) if number > 0 else ()


# What the same instance is given first.


def before_lines(what: str, earlier: Sequence[object]) -> tuple[str, ...]:
    """Return the line about earlier calls on the same instance, if there were any."""
    return (f"before it, to the same instance: {what}, {len(earlier)} times",) if earlier else ()


def before_blocks(what: str, earlier: Sequence[bytes]) -> Iterator[Block]:
    """Yield the same as blocks, with the sizes of what was given."""
    if earlier:
        yield Prose(f"before it, to the same instance, {counted(len(earlier), what)}{sizes(earlier)}")


def poison_lines(poison: bytes | None) -> tuple[str, ...]:
    """Return the line about the byte that fills the memory around packets, if one does."""
    return () if poison is None else (f"memory around it is filled with 0x{poison.hex()}",)


def poison_blocks(poison: bytes | None) -> Iterator[Block]:
    """Yield the same as blocks."""
    if poison is not None:
        yield Prose(f"headroom and spare capacity are filled with 0x{poison.hex()} before")


# Packets and bytes.


def bytes_line(data: bytes) -> str:
    """Return bytes in hex: the first 32 of them, and how many more there are."""
    more = len(data) - _MOST_BYTES
    return data[:_MOST_BYTES].hex() + (f" … {more} more bytes" if more > 0 else "")


def packet_line(what: str, packet: bytes) -> str:
    """Return a packet in a line: its size, its endpoints, and its place in the stream."""
    return f"{what}, {len(packet)} bytes: {picture.summary(packet)}"


def packet_field_blocks(packet: bytes) -> Iterator[Block]:
    """Yield the fields of a packet, payload included; an empty one has none."""
    if packet:
        rows = tuple((name, str(offset), value) for name, offset, value in picture.packet_rows(packet))
        yield Rows(("field", "byte", "value"), rows, numbers=("byte",))


def packet_blocks(packet: bytes) -> Iterator[Block]:
    """Yield the fields of a packet, and its bytes."""
    yield from packet_field_blocks(packet)
    yield Dump(packet)


def vnet_block(frame: bytes) -> Block:
    """Return the vnet header of a frame, which must not be cut off."""
    return Verbatim(picture.vnet_summary(VnetHeader.parse(frame, byte_order=ByteOrder.LITTLE)))


# Inputs that must be rejected.


def rejected(fault: Fault) -> str:
    """Return what must happen to an input with a fault, in a few words."""
    return f"it is rejected, with an error or silently ({fault})"


def rejected_blocks(fault: Fault) -> Iterator[Block]:
    """Yield the same as blocks."""
    yield Prose("it must be rejected, with an error or silently, and the next input must be handled")
    yield Prose(f"rule {fault}")
