"""A short summary in GitHub's Markdown, for the page of a CI job. Nothing from a subject acts as markup."""

import html
import re
from collections.abc import Iterator

from tunproof.judge.verdict import Kind
from tunproof.reports.causes import grouped, line, unexplained
from tunproof.reports.failure import Explanation, Explanations, headline
from tunproof.reports.figures import mean_quality, policies, subject_line
from tunproof.runs.results import Problem, Result, Results
from tunproof.text import legible, shortened

__all__ = ["markdown"]

_MOST_LINES = 50
_MOST_DETAILS = 5
_MOST = 300  # characters of a line
_MOST_TEXT = 6000  # characters of an explanation
_MARKUP = re.compile(r"([\\`*_\[\]|~#!:@])")


def markdown(explanations: Explanations) -> str:
    """Return the summary."""
    results = explanations.results
    return "\n".join([*_head(results), *_figures(results), *_causes(explanations), *_unexpected(explanations)]) + "\n"


def _head(results: Results) -> Iterator[str]:
    run, end = results.run, results.end
    wrong = len(results.unexpected())
    yield f"## tunproof: {_inline(subject_line(run))}"
    yield ""
    passed = results.verdicts().get(Kind.PASS, 0)
    outcome = f"**{wrong} unexpected**" if wrong else "as expected"
    took = f", {end.seconds:.1f} s" if end else ", **incomplete**"
    yield f"{outcome}: {passed} of {len(results.results)} cases passed{took}"
    yield ""
    where = (f"Linux {run.kernel}", f"mode {run.mode}", f"tunproof {run.tunproof}", run.started)
    yield ", ".join(map(_inline, where))
    yield ""


def _figures(results: Results) -> Iterator[str]:
    yield "| verdict | cases |"
    yield "|---|---:|"
    for verdict, count in results.verdicts().items():
        yield f"| {verdict} | {count} |"
    yield ""
    for policy, count in policies(results).items():
        yield f"- policy, seen in {count} cases: {_inline(policy)}"
    quality = mean_quality(results)
    if quality is not None:
        yield f"- mean merge quality: {quality[0]:.0%} of what could be joined, over {quality[1]} batches"
    if results.end and results.end.restarts:
        yield f"- the adapter had to be started again {results.end.restarts} times"
    yield ""


def _causes(explanations: Explanations) -> Iterator[str]:
    for heading, causes in grouped(explanations.results):
        yield f"### {heading.capitalize()}"
        yield ""
        yield "| level | reach | cases | what is wrong | class of bugs | smallest case |"
        yield "|---|---|---:|---|---|---|"
        for cause in causes[:_MOST_LINES]:
            yield f"| {' | '.join(map(_inline, (*line(cause), cause.smallest)))} |"
        if len(causes) > _MOST_LINES:
            yield f"| … | | | and {len(causes) - _MOST_LINES} more | | |"
        yield ""


def _unexpected(explanations: Explanations) -> Iterator[str]:
    """Yield what no cause explains, and the smallest case of the first causes in full."""
    results = explanations.results
    others = unexplained(results)
    wrong: list[Result | Problem] = [*others, *results.problems]
    if wrong:
        yield "### Unexpected"
        yield ""
    for one in wrong[:_MOST_LINES]:
        if isinstance(one, Problem):
            yield f"- {_inline(one.id)}: **{_inline(one.what)}**: {_inline(one.text)}"
        else:
            said = headline(explanations.of(one))
            yield f"- {_inline(one.id)}: **{one.verdict.value}**: {_inline(said)}"
    if len(wrong) > _MOST_LINES:
        yield f"- … and {len(wrong) - _MOST_LINES} more"
    if wrong:
        yield ""
    smallest = [results.results[cause.smallest] for cause in results.causes if cause.unexpected]
    for one in [*smallest, *others][:_MOST_DETAILS]:
        yield from _details(explanations.of(one))


def _details(explanation: Explanation) -> Iterator[str]:
    text = shortened(explanation.text, _MOST_TEXT)
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    yield f"<details><summary>{_inline(explanation.id)}: {explanation.verdict}</summary>"
    yield ""
    yield f"{fence}text"
    yield text
    yield fence
    yield ""
    yield "</details>"
    yield ""


def _inline(text: str) -> str:
    """Return a text as one line in which nothing is markup."""
    line = " ".join(legible(text).split())
    line = line if len(line) <= _MOST else f"{line[:_MOST]}…"
    return _MARKUP.sub(r"\\\1", html.escape(line, quote=False))
