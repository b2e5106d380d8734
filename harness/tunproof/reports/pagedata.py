"""What the page holds: the cases of several streams as plain JSON values, as little as the page needs.

A case that everybody passed has its picture in numbers and no bytes. One that somebody did not pass has what was sent,
and for each who did not, the difference: of each packet the bytes around its first difference. Every byte is in the
stream and in the captures.
"""

import glob
import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from tio.virtio import HEADER_SIZE
from tunproof.corpus import wording
from tunproof.corpus.cases import (
    Case,
    EmitInput,
    Fields,
    HeaderCase,
    Joined,
    LifecycleCase,
    Packets,
    ReadCase,
    VnetFields,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    Written,
)
from tunproof.corpus.load import Corpus
from tunproof.corpus.model import from_hex
from tunproof.judge.verdict import Kind
from tunproof.packets import picture
from tunproof.reports.failure import FAULTY, Explanation, case_of, command_around, explain
from tunproof.reports.pairs import Pair, frames_written, pairs
from tunproof.reports.words import VNET_LINE, rule_of, sent, vnet_rows
from tunproof.runs.results import Result, Results, Run
from tunproof.text import legible, shortened

__all__ = ["LOOKS", "page_data"]

_MOST_PAIRS = 3
_BEFORE, _SHOWN = 32, 96  # bytes of a packet: before the first difference, and in all
_MOST_TEXT = 2000  # characters of anything that a subject said
_MOST_FIELDS = 12
_MOST_DETAILS = 3000  # results with bytes; of more there are the words
_MOST_PACKETS = 300  # of a batch that is drawn

Json = dict[str, Any]

LOOKS = {
    Kind.PASS: ("✓", "good"),
    Kind.FAIL: ("✗", "bad"),
    Kind.XFAIL: ("◇", "known"),
    Kind.XPASS: ("◆", "known"),
    Kind.UNSUPPORTED: ("○", "quiet"),
    Kind.NOT_APPLICABLE: ("∅", "quiet"),
    Kind.BLOCKED: ("⊘", "quiet"),
    Kind.ERROR: ("!", "bad"),
    Kind.CRASH: ("†", "bad"),
    Kind.HANG: ("∞", "bad"),
    Kind.OOM: ("▲", "bad"),
    Kind.PROTOCOL_ERROR: ("?", "bad"),
    Kind.FLAKY: ("≈", "known"),
}
"""Glyph and tone of each verdict: no verdict is told by its colour alone."""


def page_data(streams: Sequence[Results], corpus: Corpus) -> Json:
    """Return the page's data. Streams are named by their place, flags and reasons by theirs in a table."""
    tables = _Tables(corpus)
    cases = [_case(case_id, streams, corpus, tables) for case_id in _ids(streams, corpus)]
    return {
        "kinds": [[kind.value, *LOOKS[kind]] for kind in Kind],
        "commands": [_around(results.run) for results in streams],
        "cases": cases,
        "flags": tables.flags(),
        "basis": [[basis.kind, basis.ref] for basis in tables.bases],
        "kernels": list(tables.kernels),
    }


class _Tables:
    """What many cases share, each once; a case has the places."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.names: dict[str, int] = {}
        self.bases: dict[Any, int] = {}
        self.kernels: dict[str, int] = {}
        self.details = 0

    def flags(self) -> list[Json]:
        """Return the flags that were named, explained."""
        found = ((name, self.corpus.flags[name]) for name in self.names)
        return [
            {"name": name, "what": flag.description, "effect": flag.effect, "links": flag.links} for name, flag in found
        ]


def _ids(streams: Sequence[Results], corpus: Corpus) -> list[str]:
    """Return the cases that have a result, in the order of the corpus, and after them those that it does not know."""
    found = {case_id for results in streams for case_id in results.results}
    known = [case_id for case_id in corpus.cases if case_id in found]
    return known + sorted(found.difference(known))


def _around(run: Run) -> tuple[str, str]:
    before, _, after = command_around(run)
    return legible(before), legible(after)


def _case(case_id: str, streams: Sequence[Results], corpus: Corpus, tables: _Tables) -> Json:
    results = [stream.results.get(case_id) for stream in streams]
    found = [result for result in results if result is not None]
    case: Case | None = next((one for result in found if (one := case_of(result, corpus)) is not None), None)
    kinds = list(Kind)
    made: Json = {
        "id": legible(case_id),
        "v": [None if result is None else kinds.index(result.verdict) for result in results],
        "u": [at for at, result in enumerate(results) if result is not None and result.unexpected],
        "select": _selection(case_id),
    }
    if case is not None:
        made |= _known_case(case, tables)
        if any(result.verdict in FAULTY for result in found):
            made |= _sent(case)
    told = {at: _told(result, streams[at].run, corpus, tables) for at, result in enumerate(results) if result}
    made["of"] = {str(at): one for at, one in told.items() if one}
    if case is None:
        made["about"] = explain(found[0], streams[results.index(found[0])].run, corpus).about
    return {key: value for key, value in made.items() if value not in (None, [], {}, (), "")}


def _selection(case_id: str) -> str | None:
    """Return how a command line names the case, where that is not by its bare id."""
    quoted = shlex.quote(glob.escape(case_id))
    return legible(quoted) if quoted != legible(case_id) else None


def _known_case(case: Case, tables: _Tables) -> Json:
    confirmed = ", ".join(case.confirmed)
    fault = rule_of(case)
    return {
        "about": case.about,
        "level": case.level,
        "importance": case.importance,
        "flags": [tables.names.setdefault(name, len(tables.names)) for name in case.flags],
        "basis": [tables.bases.setdefault(basis, len(tables.bases)) for basis in case.basis],
        "kernels": tables.kernels.setdefault(confirmed, len(tables.kernels)) if confirmed else None,
        "sibling": case.sibling,
        "rule": str(fault) if fault else None,
        "cut": _picture(case),
    }


# The picture: sizes only.


def _picture(case: Case) -> Json | None:
    """Return the sizes of a packet and of what it is cut into, or of the packets of a batch and how to join them."""
    match case:
        case ReadCase(input=given, expect=Packets(packets=packets)):
            return _cut(bytes.fromhex(given.frame)[HEADER_SIZE:], from_hex(packets))
        case WriteCase(input=given, expect=Written(segments=segments)):
            return _cut(bytes.fromhex(given.packet), from_hex(segments))
        case WriteGsoCase(input=given, expect=Written(segments=segments)):
            return _cut(given.whole, from_hex(segments))
        case WriteBatchCase(input=given, expect=Joined(ideal=ideal)):
            sizes = [len(packet) // 2 for packet in given.packets]
            if sizes and len(sizes) <= _MOST_PACKETS:
                return {"packets": sizes, "joined": ideal}
    return None


def _cut(packet: bytes, segments: Sequence[bytes]) -> Json:
    """Return the headers' and the payload's size, and the segments' payloads, equal ones in a row together."""
    headers = _headers(packet)
    copied = _headers(segments[0]) if segments else headers  # all segments have the same headers
    payloads = [len(segment) - copied for segment in segments]
    return {
        "headers": headers,
        "payload": len(packet) - headers,
        "segments": [[size, len(list(group))] for size, group in groupby(payloads)],
    }


def _headers(packet: bytes) -> int:
    rows = picture.packet_rows(packet)
    return rows[-1][1] if rows[-1][0] == "payload" else len(packet)


# What was not passed.


def _sent(case: Case) -> Json:
    """Return what went in, for a case that somebody did not pass."""
    header, whose = _vnet(case)
    lines = [line for line in sent(case) if not (header and line.startswith(VNET_LINE))]
    steps = _steps(case) if isinstance(case, LifecycleCase) else None
    return {"sent": lines, "vnet": header, "vnetOf": whose, "steps": steps}


def _vnet(case: Case) -> tuple[list[tuple[str, str, str]] | None, str | None]:
    """Return name, value and meaning of each field of the vnet header that matters, and which one that is."""
    match case:
        case ReadCase(input=given):
            return vnet_rows(bytes.fromhex(given.frame)) or None, "vnet header"
        case WriteCase(expect=Written(header=header)) | WriteGsoCase(expect=Written(header=header)):
            return vnet_rows(bytes.fromhex(header)), "A right vnet header"
        case HeaderCase(input=EmitInput(fields=fields)):
            return _rows(fields), "Fields"
        case HeaderCase(expect=Fields(fields=fields)):
            return _rows(fields), "What it says"
    return None, None


def _rows(fields: VnetFields) -> list[tuple[str, str, str]]:
    return [(row.name, row.value, row.means) for row in picture.header_rows(fields)]


def _steps(case: LifecycleCase) -> list[tuple[str, str]]:
    steps = zip(case.input.steps, case.expect.answers, strict=True)
    return [(wording.words(step), " or ".join(map(wording.words, answers))) for step, answers in steps]


def _told(result: Result, run: Run, corpus: Corpus, tables: _Tables) -> Json:
    """Return what is said of one result; of one that was passed only what is worth saying."""
    if result.verdict is Kind.PASS and not (result.advice or result.policies or result.known):
        return {} if result.quality is None else {"quality": result.quality}
    explanation = explain(result, run, corpus)
    told: Json = {
        "advice": explanation.advice,
        "policies": explanation.policies,
        "quality": result.quality,
        "known": explanation.known,
    }
    if result.verdict is not Kind.PASS:
        told |= _faulty(explanation)
        case = case_of(result, corpus)
        if result.got is not None and case is not None:
            tables.details += 1
            if tables.details <= _MOST_DETAILS:
                found = pairs(case, run, result.got)
                told |= {"pairs": [_pair(pair) for pair in found[:_MOST_PAIRS]], "morePairs": len(found) - _MOST_PAIRS}
                told["frames"] = frames_written(case, result.got)
            else:
                told["left"] = True
    return {key: value for key, value in told.items() if value not in (None, "", (), [])}


def _faulty(explanation: Explanation) -> Json:
    return {
        "expected": explanation.expected,
        "difference": shortened(explanation.difference, _MOST_TEXT),
        "got": shortened(explanation.got, _MOST_TEXT),
        "trace": shortened(explanation.trace, _MOST_TEXT, end=True),
        "stderr": shortened(explanation.stderr, _MOST_TEXT, end=True),
    }


def _pair(pair: Pair) -> Json:
    """Return a pair: the bytes around its first difference, in hex, from `start`, and how long both are.

    Lines of 16 bytes are counted from the packet's first; the vnet header has a line of its own.
    """
    head = HEADER_SIZE if pair.framed else 0
    start = max(pair.at - head - _BEFORE, 0) // 16 * 16
    start += head if start else 0
    return {
        "what": pair.what,
        "place": pair.place,
        "sizes": [None if one is None else len(one) for one in (pair.expected, pair.got)],
        "start": start,
        "hex": [None if one is None else one[start : start + _SHOWN].hex() for one in (pair.expected, pair.got)],
        "head": head,
        "fields": list(_fields(pair)),
    }


def _fields(pair: Pair) -> Iterator[tuple[str, str, str]]:
    found = pair.fields()
    yield from found[:_MOST_FIELDS]
    if len(found) > _MOST_FIELDS:
        yield f"… {len(found) - _MOST_FIELDS} more fields", "", ""
