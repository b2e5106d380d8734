"""The page of a matrix run: what kernels do differently, and why. One HTML file, without scripts or requests.

Everything that comes from a kernel or its packager is made legible here and escaped by the template. Links lead only to
what exists beside the page.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from tio.linux import ABOUT, About, Trait
from tunproof.corpus.load import Corpus
from tunproof.kernel.probes import PROBES
from tunproof.matrix.compare import (
    UNEXPLAINED,
    Group,
    departures,
    differing,
    grouped,
    names,
    oldest_first,
    regressions,
    traits_that_differ,
)
from tunproof.matrix.conduct import CONSOLE, FINDINGS, KernelResult
from tunproof.reports.html import STYLE, environment, source_hash
from tunproof.reports.write import PAGE
from tunproof.runs.findings import REPRO
from tunproof.text import legible

__all__ = ["CASES", "headline", "page"]

CASES = "cases.html"
"""The page of all streams side by side, to which this one leads."""

_FOLDER = Path(__file__).parent
_HAS, _LACKS, _UNKNOWN = ("●", "has", "good"), ("·", "lacks", "quiet"), ("?", "unknown", "known")
_NONE = "·"

Json = dict[str, Any]


def page(folder: Path, results: Sequence[KernelResult], corpus: Corpus, asked: Collection[str] = ()) -> bytes:
    """Return the page that goes into `folder`, as UTF-8. `asked` are the cases that `CASES` beside it shows."""
    kernels = _Kernels(oldest_first(results))
    beside = _Beside(folder, asked)
    style = STYLE.read_text() + (_FOLDER / "page.css").read_text()
    text = environment(_FOLDER).get_template("page.html.j2").render(
        headline=headline(kernels.all),
        policy=f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {source_hash(style)}",
        style=Markup(style),  # noqa: S704 (ours)
        cases_url=beside.address(CASES),
        kernels=[_kernel(one, beside) for one in kernels.all],
        unexplained=[_unexplained(one, beside) for one in kernels.all if one.differences],
        columns=[kernels.name(one) for one in kernels.probed],
        absent=[(kernels.name(one), legible(one.problem)) for one in kernels.all if not one.cases],
        groups=[_group(group, beside) for group in grouped(differing(kernels.all, corpus))],
        regressions=list(_regressions(kernels)),
        departures=list(_departures(kernels)),
        **_traits(kernels),
    )  # fmt: skip
    return text.encode()


class _Kernels:
    """The kernels of a run, the oldest first: all, and those that were `probed`."""

    def __init__(self, kernels: Sequence[KernelResult]) -> None:
        self.all = kernels
        self.probed = [one for one in kernels if one.cases]
        self._names = names(kernels)

    def name(self, one: KernelResult) -> str:
        """Return what a kernel is called on this page: short, and legible."""
        return legible(self._names[one.release])


def headline(kernels: Sequence[KernelResult]) -> str:
    """Return the result of a run in one line. A case that several kernels leave unexplained counts once."""
    counted = _counted(len(kernels), "kernel")
    if not any(one.cases for one in kernels):
        return f"{counted}: none could be examined"
    said = f"{counted}: {_left_unexplained(kernels)}"
    name = names(kernels)
    incomplete = [legible(name[one.release]) for one in kernels if one.problem]
    return f"{said}; incomplete: {', '.join(incomplete)}" if incomplete else said


def _left_unexplained(kernels: Sequence[KernelResult]) -> str:
    cases = len({case_id for one in kernels for case_id in one.disagree})
    frames = sum(one.frames.differences for one in kernels if one.frames)
    found = [_counted(number, what) for number, what in ((cases, "case"), (frames, "frame")) if number]
    if not found:
        return "nothing is unexplained"
    return f"{' and '.join(found)} {'is' if cases + frames == 1 else 'are'} unexplained"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class _Beside:
    """What exists beside the page."""

    def __init__(self, folder: Path, asked: Collection[str]) -> None:
        self._folder = folder
        self._asked = asked

    def address(self, *parts: str, at: str = "") -> str | None:
        """Return the address of a file or folder, and of a place in it; None if it does not exist."""
        if not self._folder.joinpath(*parts).exists():
            return None
        return "/".join(quote(part, safe="") for part in parts) + (f"#{quote(at)}" if at else "")

    def case(self, case_id: str) -> str | None:
        """Return the address of a case on the page of all streams."""
        return self.address(CASES, at=case_id) if case_id in self._asked else None


def _kernel(one: KernelResult, beside: _Beside) -> Json:
    return {
        "release": legible(one.release),
        "package": legible(one.package) or "built by hand",
        "links": [(what, url) for what, url in _links(one, beside) if url],
        "agree": f"{one.agree} of {one.asked}" if one.cases else _NONE,
        "frames": str(one.frames.frames) if one.frames else _NONE,
        "differences": one.differences,
        "boots": one.boots,
        "seconds": f"{one.seconds:g}",
        "problem": legible(one.problem),
    }


def _links(one: KernelResult, beside: _Beside) -> Iterator[tuple[str, str | None]]:
    if one.cases:
        yield "results", beside.address(one.release, PAGE)
    for name in (CONSOLE, *(f"boot-{boot}-{CONSOLE}" for boot in range(2, one.boots + 1))):
        yield name.removesuffix(".log"), beside.address(one.release, name)
    if one.frames and one.frames.findings:
        yield "findings", beside.address(one.release, FINDINGS)


def _unexplained(one: KernelResult, beside: _Beside) -> Json:
    findings = one.frames.findings if one.frames else []
    return {
        "release": legible(one.release),
        "cases": [(legible(case_id), beside.address(one.release, PAGE, at=case_id)) for case_id in one.disagree],
        "frames": one.frames,
        "findings": [
            (
                legible(finding),
                beside.address(one.release, FINDINGS, finding),
                beside.address(one.release, FINDINGS, finding, REPRO),
            )
            for finding in findings
        ],
    }


def _group(group: Group, beside: _Beside) -> Json:
    return {
        "count": len(group.cases),
        "because": [(trait, ABOUT[trait]) for trait in group.because],
        "cells": list(_answers(group)),
        "cases": [(case.id, beside.case(case.id)) for case in group.cases],
    }


def _answers(group: Group) -> Iterator[tuple[str, str]]:
    """Yield what each kernel does, and a tone: what the newest one does is quiet, so the change stands out."""
    explained = [answer for answer in group.answers.values() if answer != UNEXPLAINED]
    for answer in group.answers.values():
        yield answer, "bad" if answer == UNEXPLAINED else "quiet" if answer == explained[-1] else "known"


def _traits(kernels: _Kernels) -> Json:
    """Return the rows of the traits: those in which the kernels differ, and the others."""
    apart = traits_that_differ(kernels.probed)
    return {
        "apart": [_trait(trait, kernels) for trait in apart],
        "alike": [_trait(trait, kernels) for trait in PROBES if trait not in apart],
    }


def _trait(trait: Trait, kernels: _Kernels) -> Json:
    return {
        "name": trait,
        "about": ABOUT[trait],
        "cells": [_has(trait, one) for one in kernels.probed],
        "unknown": list(_unknown(trait, kernels)),
    }


def _has(trait: Trait, one: KernelResult) -> tuple[str, str, str]:
    """Return glyph, word and tone for a kernel and a trait."""
    if trait in one.unknown:
        return _UNKNOWN
    return _HAS if trait in one.traits else _LACKS


def _unknown(trait: Trait, kernels: _Kernels) -> Iterator[tuple[str, str]]:
    """Yield the kernels for which a trait is unknown, and why."""
    for one in kernels.probed:
        if trait in one.unknown:
            yield kernels.name(one), legible(one.unknown[trait])


def _regressions(kernels: _Kernels) -> Iterator[tuple[Trait, About, list[str]]]:
    """Yield each regression, what is known of it, and the kernels that have it."""
    for trait, having in regressions(kernels.probed):
        yield trait, ABOUT[trait], [kernels.name(one) for one in having]


def _departures(kernels: _Kernels) -> Iterator[tuple[str, list[tuple[Trait, bool]]]]:
    """Yield the releases that are not as kernel.org left them, and the traits that tell."""
    for one in kernels.probed:
        if found := list(departures(one)):
            yield legible(one.release), found
