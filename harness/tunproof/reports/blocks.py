"""The pieces from which the presentation of a case is built.

A piece says what there is to see. Widths, colours and limits are up to the renderer (`cli/show.py` for a terminal).
"""

from collections.abc import Mapping, Sequence

import msgspec

from tunproof.corpus.cases import Joined

__all__ = ["Block", "Changes", "Drawing", "Dump", "Example", "Listing", "More", "Prose", "Rows", "Verbatim"]


class Prose(msgspec.Struct, frozen=True):
    """A paragraph, indented by so many columns; `dim` marks a remark."""

    text: str
    indent: int = 2
    dim: bool = False


class Verbatim(msgspec.Struct, frozen=True):
    """Lines that must not be broken."""

    text: str


class Listing(msgspec.Struct, frozen=True):
    """Lines, of which the first ones are shown. `what` names the items in the plural, for the count of the rest."""

    lines: tuple[str, ...]
    what: str
    indent: int = 2


class More(msgspec.Struct, frozen=True):
    """How many more items there are than were shown; for 0 or less there is nothing to say."""

    number: int
    what: str


class Dump(msgspec.Struct, frozen=True):
    """Bytes, for a hexdump."""

    data: bytes


class Rows(msgspec.Struct, frozen=True):
    """A table. The columns named in `numbers` hold numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...] = ()


class Drawing(msgspec.Struct, frozen=True):
    """A packet and the segments that it is cut into, to scale."""

    packet: bytes
    segments: Sequence[bytes]


class Changes(msgspec.Struct, frozen=True):
    """The header fields in which packets of one shape differ. `what` names one of them; packets go by their index."""

    what: str
    packets: Mapping[int, bytes]


class Example(msgspec.Struct, frozen=True):
    """The frames of one right answer to a batch (`expect.example`), each with the packets that it stands for.

    Only the judge knows which packets those are, so the renderer calls it.
    """

    packets: Sequence[bytes]
    expect: Joined


Block = Prose | Verbatim | Listing | More | Dump | Rows | Drawing | Changes | Example
