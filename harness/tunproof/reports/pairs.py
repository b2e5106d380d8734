"""What should have come out beside what came out: the pairs of packets or frames that differ.

A written frame is held against one right one. Of a batch there are many right answers: there the packets that its
frames stand for are held against the packets that went in.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import tio
from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    HeaderBytes,
    Joined,
    Packets,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    Written,
)
from tunproof.corpus.model import KernelDelivers, KernelSame, from_hex
from tunproof.judge.batch import inspect_batch
from tunproof.packets import picture
from tunproof.packets.equality import normalized, same_packets
from tunproof.packets.fields import field_at
from tunproof.packets.frame import cut
from tunproof.packets.picture import vnet_words
from tunproof.packets.summing import completed_frame
from tunproof.reports.words import VNET_FIELDS, kernel_answer, vnet_rows
from tunproof.runs.results import Got, Run

__all__ = ["Pair", "frames_written", "pairs", "right_ones"]

_MOST_FRAMES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two packets that should be the same; one is None where it has no counterpart. `framed`: behind vnet headers."""

    what: str
    expected: bytes | None
    got: bytes | None
    framed: bool = False

    @property
    def at(self) -> int:
        """Where the first difference is, in bytes."""
        right, found = self.expected or b"", self.got or b""
        places = (place for place, (one, other) in enumerate(zip(right, found, strict=False)) if one != other)
        return next(places, min(len(right), len(found)))

    @property
    def place(self) -> str:
        """The first difference in words: the field, and where it stands."""
        if self.expected is None:
            return "nobody asked for it"
        if self.got is None:
            return "it never came out"
        at, head = self.at, HEADER_SIZE if self.framed else 0
        if at < head:
            name = [name for name, start in VNET_FIELDS.items() if start <= at][-1]
            return f"vnet.{name} at byte {at} of the vnet header"
        longer = max(self.expected, self.got, key=len) if at >= len(self.expected) else self.expected
        return f"{field_at(longer[head:], at - head).name} at byte {at - head}"

    def fields(self) -> list[tuple[str, str, str]]:
        """Return the fields that differ: name, what should stand there, what does. Payloads have none."""
        head = HEADER_SIZE if self.framed else 0
        if self.expected is None or self.got is None or len(self.got) < head:
            return []
        found = []
        if self.framed:
            rows = zip(vnet_rows(self.expected), vnet_rows(self.got), strict=False)
            found = [(f"vnet.{name}", _said(*right), _said(*got)) for (name, *right), (_, *got) in rows if right != got]
        changed = picture.changes([self.expected[head:], self.got[head:]])
        return found + [(change.name, change.values[0], change.values[1]) for change in changed]


def right_ones(case: Case, run: Run, what: str = "") -> tuple[list[bytes], bool]:  # noqa: PLR0911 (one for each outcome)
    """Return what should come out, packets or frames, and whether they are frames. `what` came out (`Got.what`)."""
    answer = kernel_answer(case, run)
    if answer is not None and not isinstance(answer, KernelSame):
        return (from_hex(answer.packets), False) if isinstance(answer, KernelDelivers) else ([], False)
    written = what != "packets" and run.mode != "kernel"
    match case.expect:
        case Packets(packets=packets):
            return from_hex(packets), False
        case Written(header=header) if written and isinstance(case, WriteCase | WriteGsoCase):
            packet = case.input.whole if isinstance(case, WriteGsoCase) else bytes.fromhex(case.input.packet)
            return [bytes.fromhex(header) + packet], True
        case Written(segments=segments):
            return from_hex(segments), False
        case Joined(example=example) if written:
            return from_hex(example), True
        case Joined(example=example):
            return [packet for frame in from_hex(example) for packet in cut(frame)], False
    if isinstance(case, ChecksumCase) and run.mode == "kernel":
        return [completed_frame(bytes.fromhex(case.input.data), case.input.initial)[1]], False
    return [], what == "frames"


def pairs(case: Case, run: Run, got: Got) -> list[Pair]:
    """Return the pairs that differ, in order."""
    if got.what == "value":
        return _header_pair(case, got.value)
    found = from_hex(got.packets)
    if isinstance(case, WriteBatchCase):
        return _batch_pairs(case, found, framed=got.what == "frames")
    right, framed = right_ones(case, run, got.what)
    kind = "frame" if framed or got.what == "frames" else "packet"
    exact = case.level != "must"
    return [
        Pair(what=f"{kind} {at}", expected=one, got=other, framed=kind == "frame")
        for at, (one, other) in enumerate(itertools.zip_longest(right, found))
        if one is None or other is None or not same_packets([one], [other], exact=exact or kind == "frame")
    ]


def frames_written(case: Case, got: Got) -> tuple[str, ...]:
    """Return a line for each frame that was written for a batch: the packets that it stands for, and its header."""
    if not isinstance(case, WriteBatchCase) or got.what != "frames":
        return ()
    frames = from_hex(got.packets)
    groups = inspect_batch(from_hex(case.input.packets), frames, case.expect).groups
    lines = [
        f"{_packets(group)}: {len(frame)} bytes; {vnet_words(frame)}"
        for group, frame in zip(groups[:_MOST_FRAMES], frames, strict=False)
    ]
    more = len(frames) - _MOST_FRAMES
    return (*lines, f"… {more} more frames") if more > 0 else tuple(lines)


def _header_pair(case: Case, value: str) -> list[Pair]:
    """Return a vnet header that was made, where it was said in hex."""
    if not isinstance(case.expect, HeaderBytes):
        return []
    try:
        got = bytes.fromhex(value)
    except ValueError:
        return []
    right = bytes.fromhex(case.expect.bytes)
    return [Pair(what="vnet header", expected=right, got=got)] if right != got else []


def _batch_pairs(case: WriteBatchCase, found: Sequence[bytes], *, framed: bool) -> list[Pair]:
    """Return what came out and nobody put in, each beside the next packet that was put in and never came out."""
    packets = from_hex(case.input.packets)
    came = [packet for one in found for packet in (_cut(one) if framed else [one])]
    waiting: dict[bytes, list[int]] = {}
    for index in sorted(set(range(len(packets))) - set(case.expect.silent), reverse=True):
        waiting.setdefault(normalized(packets[index]), []).append(index)
    strange = []
    for packet in came:
        alike = waiting.get(normalized(packet))
        if alike:
            alike.pop()
        else:
            strange.append(packet)
    left = sorted({index for indices in waiting.values() for index in indices} - set(case.expect.optional))
    return [
        Pair(
            what=f"packet {index} that went in" if index is not None else "a packet that nobody put in",
            expected=None if index is None else packets[index],
            got=got,
        )
        for index, got in itertools.zip_longest(left, strange)
    ]


def _cut(frame: bytes) -> list[bytes]:
    try:
        return cut(frame)
    except tio.FrameError:
        return []


def _said(value: str, means: str) -> str:
    return f"{value} ({means})" if means else value


def _packets(group: Sequence[int]) -> str:
    shown = ", ".join(map(str, group[:12])) + (", …" if len(group) > 12 else "")
    return f"packet{'s' * (len(group) != 1)} {shown}" if group else "no packet that was put in"
