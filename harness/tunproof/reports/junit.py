"""JUnit XML, for tools that count tests: a suite for each operation and topic, a test for each case.

    fail, xpass, flaky                             failure
    error, crash, hang, oom, protocol-error        error
    xfail, unsupported, not-applicable, blocked    skipped, unless it is unexpected: then an error
    a problem of the baseline                      failure

So a reader that only looks for failures and errors sees all that makes the run fail.
"""

from collections import defaultdict
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from tunproof.judge.verdict import Kind
from tunproof.reports.failure import Explanations, headline
from tunproof.reports.figures import subject_line
from tunproof.runs.results import Problem, Result, Run
from tunproof.text import legible

__all__ = ["junit"]

_FAILURES = {Kind.FAIL, Kind.XPASS, Kind.FLAKY}
_SKIPPED = {Kind.XFAIL, Kind.UNSUPPORTED, Kind.NOT_APPLICABLE, Kind.BLOCKED}


def junit(explanations: Explanations) -> bytes:
    """Return the results as JUnit XML."""
    results = explanations.results
    suites = defaultdict(list)
    for result in results.results.values():
        suites[legible(result.id.rpartition("/")[0])].append(_case(result, explanations))
    root = ET.Element("testsuites", name=f"tunproof: {subject_line(results.run)}")
    for name, cases in suites.items():
        root.append(_suite(name, cases, results.run))
    if results.problems:
        root.append(_suite("baseline", [_problem(problem) for problem in results.problems], results.run))
    for what in ("tests", "failures", "errors", "skipped"):
        root.set(what, str(sum(int(suite.get(what, "0")) for suite in root)))
    if results.end is not None:
        root.set("time", f"{results.end.seconds:.3f}")
    ET.indent(root, " ")
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _suite(name: str, cases: Sequence[ET.Element], run: Run) -> ET.Element:
    suite = ET.Element("testsuite", name=name, timestamp=legible(run.started).removesuffix("Z"))
    suite.set("tests", str(len(cases)))
    for what, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(what, str(sum(case.find(tag) is not None for case in cases)))
    properties = ET.SubElement(suite, "properties")
    for key in ("kernel", "subject", "mode", "corpus"):
        ET.SubElement(properties, "property", name=key, value=legible(getattr(run, key)))
    suite.extend(cases)
    return suite


def _case(result: Result, explanations: Explanations) -> ET.Element:
    topic = ".".join(legible(result.id).split("/")[:-1])
    case = ET.Element("testcase", name=legible(result.id), classname=f"tunproof.{topic}" if topic else "tunproof")
    tag = _tag(result)
    if tag is None:
        return case
    explanation = explanations.of(result)
    message = f"{result.verdict.value}: {headline(explanation)}"
    if tag == "skipped":
        ET.SubElement(case, tag, message=message)
    else:
        ET.SubElement(case, tag, message=message, type=result.verdict.value).text = f"\n{explanation.text}\n"
    return case


def _tag(result: Result) -> str | None:
    if result.verdict is Kind.PASS and not result.unexpected:
        return None
    if result.verdict in _SKIPPED and not result.unexpected:
        return "skipped"
    return "failure" if result.verdict in _FAILURES else "error"


def _problem(problem: Problem) -> ET.Element:
    what = legible(problem.what)
    case = ET.Element("testcase", name=legible(problem.id), classname=f"tunproof.baseline.{what}")
    text = legible(problem.text)
    ET.SubElement(case, "failure", message=text.partition("\n")[0], type=what).text = text
    return case
