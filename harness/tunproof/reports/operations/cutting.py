"""A packet and what it is cut into, for operations that read or write superpackets."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from tunproof.packets import picture
from tunproof.reports.blocks import Block, Changes, Drawing, Prose

__all__ = ["cut_blocks", "cut_sizes"]


def cut_sizes(packet: bytes, segments: Sequence[bytes]) -> dict[str, Any]:
    """Return the sizes of a cut, as `Presentation.cut` describes them."""
    headers = picture.header_length(packet)
    copied = picture.header_length(segments[0]) if segments else headers  # all segments have the same headers
    payloads = [len(segment) - copied for segment in segments]
    return {
        "headers": headers,
        "payload": len(packet) - headers,
        "segments": [[size, len(list(group))] for size, group in groupby(payloads)],
    }


def cut_blocks(packet: bytes, segments: Sequence[bytes]) -> Iterator[Block]:
    """Yield the drawing of a cut, and what it changes in the headers."""
    if not segments:
        yield Prose("no packets")
        return
    yield Drawing(packet, segments)
    if len(segments) > 1:
        yield Changes("segment", dict(enumerate(segments)))
        yield Prose("all other header fields are copied", dim=True)
        return
    changes = picture.changes([packet, *segments])
    for change in changes:
        before, after = change.values
        yield Prose(f"{change.name}: {before} becomes {after}")
    yield Prose("every other byte stays as it is" if changes else "byte for byte what went in", dim=True)
