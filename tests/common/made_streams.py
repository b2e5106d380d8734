"""Streams of results for tests of the reports: subjects in this process, run and judged as a runner would."""

import functools
from collections.abc import Iterable
from typing import Any

import msgspec

from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus, load
from tunproof.judge.decide import decide
from tunproof.judge.outcome import Answered, Broken, Outcome, TurnedDown
from tunproof.judge.verdict import Kind
from tunproof.protocol.messages import Implementation
from tunproof.reports.failure import Explanations
from tunproof.runs.results import FORMAT, Got, Result, Results, Run
from tunproof.subjects.connection import observe
from tunproof.subjects.subject import Subject

EXPECTED = {Kind.PASS, Kind.XFAIL, Kind.UNSUPPORTED, Kind.NOT_APPLICABLE}


def run(subject: str = "wrong", **more: Any) -> Run:
    """Return the first record of a stream."""
    stated = {
        "format": FORMAT,
        "subject": subject,
        "implementation": Implementation(name=subject, version="1.2.3", language="Python"),
        "command": ("tunproof", "check", "--mode", "memory", "--", "./my adapter", "--select", "x"),
        "mode": "memory",
        "corpus": "sha256:" + "0" * 64,
        "cases": 0,
        "kernel": "6.18.0",
        "tunproof": "0.1.0",
        "started": "2026-01-02T03:04:05Z",
    }
    return Run(**{**stated, **more})


def finished(results: Iterable[Result], first: Run | None = None, **more: Any) -> Results:
    """Return a whole stream."""
    made = Results(first or run(**more))
    for result in results:
        made.add(result)
    made.run = msgspec.structs.replace(made.run, cases=len(made.results))
    made.end = made.ended(1.25)
    return made


@functools.cache
def corpus() -> Corpus:
    """Return the corpus, loaded once."""
    return load()


def told(*streams: Results) -> list[Explanations]:
    """Return what is said of streams, as reports take it."""
    return [Explanations(one, corpus()) for one in streams]


def result(case: Case, verdict: Kind = Kind.FAIL, **more: Any) -> Result:
    """Return a result by hand."""
    stated = {"id": case.id, "digest": case.digest, "verdict": verdict, "unexpected": verdict not in EXPECTED}
    return Result(**{**stated, **more})


def stream(subject: Subject, cases: Iterable[Case], /, **more: Any) -> Results:
    """Return what a subject of this process did."""
    return finished((_asked(subject, case) for case in cases), **{"subject": subject.name, **more})


def _asked(subject: Subject, case: Case) -> Result:
    outcome = observe(case, subject)
    verdict = decide(case, outcome)
    right = verdict.kind in EXPECTED
    return result(
        case,
        verdict.kind,
        difference=verdict.difference,
        got=None if right else _got(case, outcome),
        trace=outcome.trace if isinstance(outcome, Broken) else "",
        advice=verdict.advice,
        policies=tuple(sorted(verdict.policies)),
        quality=verdict.quality,
        mismatches=verdict.mismatches,
        mismatched=verdict.mismatched,
        groups=() if right else verdict.groups,
    )


def _got(case: Case, outcome: Outcome) -> Got | None:
    what = "packets" if case.id.startswith("read/") else "frames"
    match outcome:
        case Answered(value=value) if case.id.startswith(("read/", "write")):
            return Got(what=what, packets=tuple(value))
        case Answered(value=value):
            return Got(what="value", value=value.hex() if isinstance(value, bytes) else str(value))
        case TurnedDown(frames=frames):
            return Got(what=what, packets=tuple(frames))
    return None
