"""The judge's mismatches for people: the fields that differ, and the bytes around the first difference."""

from collections.abc import Iterator, Sequence
from typing import Any

from tio.virtio import HEADER_SIZE
from tunproof.judge.verdict import Mismatch
from tunproof.packets import picture
from tunproof.packets.picture import vnet_words
from tunproof.reports.vnet import vnet_rows
from tunproof.runs.results import Result

__all__ = ["fields", "frames_written", "window"]

_BEFORE, _SHOWN = 32, 96  # bytes of a packet: before the first difference, and in all
_MOST_FIELDS = 12
_MOST_FRAMES = 24


def window(mismatch: Mismatch) -> dict[str, Any]:
    """Return a mismatch for the page: the bytes around its first difference, in hex, from `start`, and both lengths.

    Lines of 16 bytes are counted from the packet's first; the vnet header has a line of its own.
    """
    head = HEADER_SIZE if mismatch.framed else 0
    start = max(mismatch.at - head - _BEFORE, 0) // 16 * 16
    start += head if start else 0
    both = (mismatch.expected, mismatch.got)
    return {
        "what": mismatch.what,
        "place": mismatch.place,
        "sizes": [None if one is None else len(one) for one in both],
        "start": start,
        "hex": [None if one is None else one[start : start + _SHOWN].hex() for one in both],
        "head": head,
        "fields": list(_shown(fields(mismatch))),
    }


def fields(mismatch: Mismatch) -> list[tuple[str, str, str]]:
    """Return name, expected and actual value of each field that differs. Payloads have no fields."""
    head, expected, got = HEADER_SIZE if mismatch.framed else 0, mismatch.expected, mismatch.got
    if expected is None or got is None or len(got) < head:
        return []
    found = []
    if mismatch.framed:
        rows = zip(vnet_rows(expected), vnet_rows(got), strict=False)
        found = [
            (f"vnet.{name}", _said(*right), _said(*wrong)) for (name, *right), (_, *wrong) in rows if right != wrong
        ]
    changed = picture.changes([expected[head:], got[head:]])
    return found + [(change.name, change.values[0], change.values[1]) for change in changed]


def frames_written(result: Result) -> tuple[str, ...]:
    """Return a line for each frame that was written for a batch: the packets that it stands for, and its header."""
    if not result.groups or result.got is None or result.got.what != "frames":
        return ()
    frames = result.got.packets
    lines = [
        f"{_packets(group)}: {len(frame)} bytes; {vnet_words(frame)}"
        for group, frame in zip(result.groups[:_MOST_FRAMES], frames, strict=False)
    ]
    more = len(frames) - _MOST_FRAMES
    return (*lines, f"… {more} more frames") if more > 0 else tuple(lines)


def _shown(found: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    yield from found[:_MOST_FIELDS]
    if len(found) > _MOST_FIELDS:
        yield f"… {len(found) - _MOST_FIELDS} more fields", "", ""


def _said(value: str, means: str) -> str:
    return f"{value} ({means})" if means else value


def _packets(group: Sequence[int]) -> str:
    shown = ", ".join(map(str, group[:12])) + (", …" if len(group) > 12 else "")
    return f"packet{'s' * (len(group) != 1)} {shown}" if group else "no packet that was put in"
