"""What the page holds: the cases of several streams as plain JSON values, as little as the page needs.

A case that every subject passed has its picture in numbers and no bytes. A failed case has what was sent and, for each
subject that failed, the difference: of each packet the bytes around the first one. Every byte is in the stream and in
the captures.
"""

import glob
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus
from tunproof.judge.verdict import Kind
from tunproof.reports.failure import FAULTY, Explanation, Explanations, case_of, command_around
from tunproof.reports.mismatches import frames_written, window
from tunproof.reports.operations import Presentation, presentation_of
from tunproof.reports.vnet import VNET_LINE
from tunproof.runs.results import Result, Results, Run
from tunproof.text import legible, shortened

__all__ = ["LOOKS", "page_data"]

_MOST_PAIRS = 3
_MOST_TEXT = 2000  # characters of anything that a subject said
_MOST_DETAILS = 3000  # results with bytes; of more there are the words
_KINDS = list(Kind)
_PLAIN_ID = re.compile(r"[\w/.-]+", re.ASCII)  # a shell takes it as it is

Json = dict[str, Any]

LOOKS = {
    Kind.PASS: ("✓", "good"),
    Kind.FAIL: ("✗", "bad"),
    Kind.XFAIL: ("◇", "known"),
    Kind.XPASS: ("◆", "known"),
    Kind.ADVISED: ("△", "known"),
    Kind.POLICY: ("≡", "quiet"),
    Kind.HARDENING: ("⛨", "known"),
    Kind.OUTSIDE: ("⊖", "quiet"),
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
"""Glyph and tone of each verdict: no verdict is shown by colour alone."""


def page_data(runs: Sequence[Explanations]) -> Json:
    """Return the page's data. Streams are named by their place, flags and reasons by theirs in a table."""
    streams, corpus = [one.results for one in runs], runs[0].corpus
    tables = _Tables(corpus)
    cases = [_case(case_id, runs, tables) for case_id in _ids(streams, corpus)]
    return {
        "kinds": [[kind.value, *LOOKS[kind]] for kind in Kind],
        "commands": [_around(results.run) for results in streams],
        "cases": cases,
        "flags": tables.flags(),
        "basis": [[basis.kind, basis.ref] for basis in tables.bases],
        "kernels": list(tables.kernels),
    }


class _Tables:
    """Values that many cases share, each stored once; a case refers to them by index."""

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


def _case(case_id: str, runs: Sequence[Explanations], tables: _Tables) -> Json:
    found = _results_of(case_id, runs)
    case = _first_known(found.values(), tables.corpus)
    made: Json = {
        "id": legible(case_id),
        "v": [_KINDS.index(found[at].verdict) if at in found else None for at in range(len(runs))],
        "u": [at for at, result in found.items() if result.unexpected],
        "select": _selection(case_id),
    }
    if case is None:
        at, result = next(iter(found.items()))
        made["about"] = runs[at].of(result).about
    else:
        presentation = presentation_of(case)
        made |= _known_case(presentation, tables)
        made |= _sent(presentation, [runs[at].of(result) for at, result in found.items() if result.verdict in FAULTY])
    made["of"] = _stated({str(at): _told(one, runs[at], tables) for at, one in found.items()})
    return _stated(made)


def _results_of(case_id: str, runs: Sequence[Explanations]) -> dict[int, Result]:
    """Return the results of a case, by the index of the run."""
    return {at: result for at, run in enumerate(runs) if (result := run.results.results.get(case_id)) is not None}


def _first_known(results: Iterable[Result], corpus: Corpus) -> Case | None:
    """Return the case of the first result that the corpus knows."""
    cases = (case_of(result, corpus) for result in results)
    return next((case for case in cases if case is not None), None)


def _stated(values: Mapping[str, Any]) -> Json:
    """Return the values that are not empty."""
    return {key: value for key, value in values.items() if value or value == 0}


def _selection(case_id: str) -> str | None:
    """Return how a command line names the case, if not by its bare id."""
    if _PLAIN_ID.fullmatch(case_id):
        return None
    quoted = shlex.quote(glob.escape(case_id))
    return legible(quoted) if quoted != legible(case_id) else None


def _known_case(presentation: Presentation[Any], tables: _Tables) -> Json:
    """Return what the corpus says of a case."""
    case = presentation.case
    confirmed = ", ".join(case.confirmed)
    fault = presentation.rule()
    return {
        "about": case.about,
        "level": case.level,
        "importance": case.importance,
        "reach": case.reach,
        "flags": [tables.names.setdefault(name, len(tables.names)) for name in case.flags],
        "basis": [tables.bases.setdefault(basis, len(tables.bases)) for basis in case.basis],
        "kernels": tables.kernels.setdefault(confirmed, len(tables.kernels)) if confirmed else None,
        "sibling": case.sibling,
        "rule": str(fault) if fault else None,
        "cut": presentation.cut(),
    }


# Failed cases.


def _sent(presentation: Presentation[Any], faulty: Sequence[Explanation]) -> Json:
    """Return what went in if a subject did not pass the case; a vnet header that has a table needs no line."""
    if not faulty:
        return {}
    whose, rows = presentation.vnet() or (None, None)
    sent = next((one.sent for one in faulty if one.sent), ())
    lines = [line for line in sent if not (rows and line.startswith(VNET_LINE))]
    return {"sent": lines, "vnet": rows, "vnetOf": whose, "steps": presentation.steps()}


def _told(result: Result, run: Explanations, tables: _Tables) -> Json:
    """Return the page's data of one result; for a pass, only what is worth showing."""
    passed = result.verdict is Kind.PASS
    if passed and not (result.advice or result.policies or result.known):
        return _stated({"quality": result.quality})
    explanation = run.of(result)
    told: Json = {
        "advice": explanation.advice,
        "policies": explanation.policies,
        "quality": result.quality,
        "known": explanation.known,
    }
    if not passed:
        told |= _faulty(explanation) | _differing(result, tables)
    return _stated(told)


def _faulty(explanation: Explanation) -> Json:
    return {
        "expected": explanation.expected,
        "difference": shortened(explanation.difference, _MOST_TEXT),
        "got": shortened(explanation.got, _MOST_TEXT),
        "trace": shortened(explanation.trace, _MOST_TEXT, end=True),
        "stderr": shortened(explanation.stderr, _MOST_TEXT, end=True),
    }


def _differing(result: Result, tables: _Tables) -> Json:
    """Return the packets that differ and the frames that were written, or a note that no room is left for them."""
    if not result.mismatches and not result.groups:
        return {}
    tables.details += 1
    if tables.details > _MOST_DETAILS:
        return {"left": True}
    return {
        "pairs": [window(one) for one in result.mismatches[:_MOST_PAIRS]],
        "morePairs": result.mismatched - _MOST_PAIRS,
        "frames": frames_written(result),
    }
