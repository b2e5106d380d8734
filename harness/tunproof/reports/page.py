"""The page: one self-contained HTML file that opens without a server.

Everything that comes from outside is escaped by the template, or is JSON that the script turns into text nodes. Beyond
that the page forbids itself whatever it does not need: no script or style but its own two, by their hashes, and no
request at all.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from markupsafe import Markup

from tunproof.corpus.load import Corpus
from tunproof.judge.verdict import Kind
from tunproof.reports.causes import grouped, line
from tunproof.reports.failure import Explanations
from tunproof.reports.figures import labels, mean_quality, policies, subject_line
from tunproof.reports.html import STYLE, environment, source_hash
from tunproof.reports.pagedata import LOOKS, page_data
from tunproof.runs.results import Results
from tunproof.text import legible

__all__ = ["page"]

_FOLDER = Path(__file__).parent
_TONES = ("good", "bad", "known", "quiet")
_IN_SCRIPT = {char.encode(): rb"\u%04x" % ord(char) for char in "<>&\u2028\u2029"}


def page(runs: Sequence[Explanations]) -> bytes:
    """Return the page of one or several runs, as UTF-8. Several are columns, side by side."""
    streams, corpus = [one.results for one in runs], runs[0].corpus
    style, script = STYLE.read_text(), (_FOLDER / "page.js").read_text()
    names = labels([results.run for results in streams])
    found = {kind for results in streams for kind in results.verdicts()}
    text = (
        environment(_FOLDER)
        .get_template("page.html.j2")
        .render(
            title=", ".join(names),
            runs=[_run(results, name) for results, name in zip(streams, names, strict=True)],
            policy=f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
            f"style-src {source_hash(style)}; script-src {source_hash(script)}",
            style=Markup(style),  # noqa: S704 (ours)
            script=Markup(script),  # noqa: S704 (ours)
            data=_json(page_data(runs)),
            verdicts=[kind.value for kind in Kind if kind in found],
            flags=sorted({flag for results in streams for flag in _flags(results, corpus)}),
        )
    )
    return text.encode()


def _json(value: object) -> Markup:
    """Return a value as JSON that may stand in a script element: nothing in it can end the element."""
    text = msgspec.json.encode(value)
    for char, escaped in _IN_SCRIPT.items():
        text = text.replace(char, escaped)
    return Markup(text.decode())  # noqa: S704 (escaped just now)


def _flags(results: Results, corpus: Corpus) -> set[str]:
    cases = (corpus.cases[case_id] for case_id in results.results if case_id in corpus.cases)
    return {flag for case in cases for flag in case.flags}


def _run(results: Results, name: str) -> dict[str, Any]:
    """Return what the page says of a run as a whole."""
    run, verdicts = results.run, results.verdicts()
    return {
        "name": name,
        "subject": subject_line(run),
        "where": legible(f"Linux {run.kernel} · mode {run.mode} · {_when(run.started)}"),
        "links": [(what, url) for what, url in _links(results) if url.startswith(("https://", "http://"))],
        "facts": [(what, legible(value)) for what, value in _facts(results) if value],
        "cases": len(results.results),
        "passed": verdicts.get(Kind.PASS, 0),
        "unexpected": len(results.unexpected()),
        "counts": sorted(
            ((kind, count, *LOOKS[Kind(kind)]) for kind, count in verdicts.items()),
            key=lambda one: _TONES.index(one[3]),
        ),
        "policies": policies(results),
        "quality": mean_quality(results),
        "causes": [(heading, [line(cause) for cause in causes]) for heading, causes in grouped(results)],
        "problems": [(legible(one.id), legible(one.what), legible(one.text)) for one in results.problems],
    }


def _facts(results: Results) -> Iterator[tuple[str, str]]:
    """Yield name and value of everything that is known of a run; a value that is not known is empty."""
    run, end, said = results.run, results.end, results.run.implementation
    yield "version", f"{said.version}, {said.language}" if said else ""
    yield "kernel", run.kernel
    yield "mode", run.mode
    yield "begun", _when(run.started)
    yield "took", f"{end.seconds:.1f} s" if end else "it has not ended: the stream is incomplete"
    yield "restarts", str(end.restarts) if end and end.restarts else ""
    yield "selection", run.select if run.select != "*" else ""
    yield "baseline", run.baseline or ""
    yield "traits", ", ".join(run.traits)
    yield "tunproof", run.tunproof
    yield "corpus", run.corpus.partition(":")[2][:12]


def _when(started: str) -> str:
    return started.replace("T", " ").replace("Z", " UTC")


def _links(results: Results) -> list[tuple[str, str]]:
    said = results.run.implementation
    return [] if said is None else [("source", said.source or ""), ("issues", said.issues or "")]
