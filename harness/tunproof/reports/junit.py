"""JUnit XML, for tools that count tests: a suite for each operation and topic, a test for each case.

    fail, xpass, flaky                             failure
    error, crash, hang, oom, protocol-error        error
    advised, policy, hardening, xfail              skipped, with what is wrong as the message
    unsupported, not-applicable, outside, blocked  skipped, unless it is unexpected: then an error
    a problem of the baseline                      failure

So a reader that only looks for failures and errors sees all that makes the run fail.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from tunproof.judge.verdict import NOT_RUN, TOLERATED, Kind
from tunproof.reports.failure import Explanations, headline
from tunproof.reports.figures import subject_line
from tunproof.runs.results import Problem, Result, Run
from tunproof.text import legible

__all__ = ["junit"]

_FAILURES = {Kind.FAIL, Kind.XPASS, Kind.FLAKY}
_SKIPPED = {Kind.XFAIL, *TOLERATED, *NOT_RUN, Kind.BLOCKED}
_IN_ATTRIBUTE = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;"}  # a reader takes white space for a space
_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


class _Test(NamedTuple):
    """A test case: its element, and what kind of element stands in it (empty for a pass)."""

    xml: str
    tag: str


def junit(explanations: Explanations) -> bytes:
    """Return the results as JUnit XML."""
    results = explanations.results
    suites: dict[str, list[_Test]] = defaultdict(list)
    for result in results.results.values():
        suites[legible(result.id.rpartition("/")[0])].append(_case(result, explanations))
    if results.problems:
        suites["baseline"] += map(_problem, results.problems)
    counts = _counts([test for tests in suites.values() for test in tests])
    if results.end is not None:
        counts["time"] = f"{results.end.seconds:.3f}"
    lines = ['<?xml version="1.0" encoding="utf-8"?>']
    lines.append(f"<testsuites{_attributes(name=f'tunproof: {subject_line(results.run)}', **counts)}>")
    for name, tests in suites.items():
        lines += _suite(name, tests, results.run)
    lines.append("</testsuites>\n")
    return "\n".join(lines).encode()


def _suite(name: str, tests: Sequence[_Test], run: Run) -> Iterator[str]:
    started = legible(run.started).removesuffix("Z")
    yield f" <testsuite{_attributes(name=name, timestamp=started, **_counts(tests))}>"
    yield "  <properties>"
    for key in ("kernel", "subject", "mode", "corpus"):
        yield f"   <property{_attributes(name=key, value=legible(getattr(run, key)))} />"
    yield "  </properties>"
    for test in tests:
        yield test.xml
    yield " </testsuite>"


def _counts(tests: Sequence[_Test]) -> dict[str, str]:
    """Return how many tests there are, and how many of each kind that is not a pass, as attributes."""
    found = Counter(test.tag for test in tests)
    return {"tests": str(len(tests)), **{name: str(found[tag]) for name, tag in _COUNTED.items()}}


def _case(result: Result, explanations: Explanations) -> _Test:
    case_id = legible(result.id)
    topic = ".".join(case_id.split("/")[:-1])
    classname = f"tunproof.{topic}" if topic else "tunproof"
    tag = _tag(result)
    if not tag:
        return _test(case_id, classname)
    explanation = explanations.of(result)
    message = f"{result.verdict.value}: {headline(explanation)}"
    if tag == "skipped":
        return _test(case_id, classname, tag, _attributes(message=message))
    return _test(case_id, classname, tag, _attributes(message=message, type=result.verdict.value), explanation.text)


def _problem(problem: Problem) -> _Test:
    what, text = legible(problem.what), legible(problem.text)
    said = _attributes(message=text.partition("\n")[0], type=what)
    return _test(legible(problem.id), f"tunproof.baseline.{what}", "failure", said, text)


def _test(name: str, classname: str, tag: str = "", attributes: str = "", text: str = "") -> _Test:
    """Return a test case; behind a tag, that element is in it."""
    start = f"  <testcase{_attributes(name=name, classname=classname)}"
    if not tag:
        return _Test(f"{start} />", tag)
    inner = f"<{tag}{attributes}>\n{escape(text)}\n</{tag}>" if text else f"<{tag}{attributes} />"
    return _Test(f"{start}>\n   {inner}\n  </testcase>", tag)


def _tag(result: Result) -> str:
    if result.verdict is Kind.PASS and not result.unexpected:
        return ""
    if result.verdict in _SKIPPED and not result.unexpected:
        return "skipped"
    return "failure" if result.verdict in _FAILURES else "error"


def _attributes(**values: str) -> str:
    return "".join([f' {name}="{escape(value, _IN_ATTRIBUTE)}"' for name, value in values.items()])
