"""Several kernels side by side, in Markdown: what differs, and why; `corpora/KERNELS.md` is one of these."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tio.linux import ABOUT
from tunproof.corpus.load import Corpus
from tunproof.matrix.compare import Row, departures, differing, oldest_first, traits_that_differ
from tunproof.matrix.conduct import KernelResult
from tunproof.probes import PROBES

__all__ = ["markdown"]

_HAS, _LACKS = "yes", "·"
_MOST_ROWS = 400


def markdown(results: Sequence[KernelResult], corpus: Corpus) -> str:
    """Return the report: kernels, what nobody explains, where they differ and why, traits, regressions, cases."""
    kernels = oldest_first(results)
    rows = differing(kernels, corpus)
    return "\n".join([
        "# Kernels",
        "",
        *_kernels(kernels),
        *_unexplained(kernels),
        *_by_trait(kernels, rows),
        *_traits(kernels),
        *_regressions(kernels),
        *_departures(kernels),
        *_rows(kernels, rows),
    ]).rstrip() + "\n"  # fmt: skip


def _kernels(kernels: Sequence[KernelResult]) -> Iterator[str]:
    yield from _table("release", "package", "cases that agree", "random frames", "differences", "")
    for one in kernels:
        frames = one.frames
        yield _line(
            one.release,
            one.package or "built by hand",
            f"{one.agree}",
            f"{frames.frames}" if frames else "0",
            f"{len(one.disagree) + (frames.differences if frames else 0)}",
            one.problem,
        )
    yield ""


def _unexplained(kernels: Sequence[KernelResult]) -> Iterator[str]:
    for one in kernels:
        findings = one.frames.findings if one.frames else []
        if one.disagree or findings:
            yield f"## Unexplained on {one.release}"
            yield ""
            yield from (f"- `{name}`" for name in (*one.disagree, *findings))
            yield ""


def _by_trait(kernels: Sequence[KernelResult], rows: Sequence[Row]) -> Iterator[str]:
    yield "## Where they differ"
    yield ""
    counts = Counter(trait for row in rows for trait in row.because)
    yield f"{len(rows)} cases of the corpus have more than one answer among these kernels. The traits that decide them:"
    yield ""
    yield from _table("trait", "cases", "commit", "what it means")
    for trait in traits_that_differ(kernels):
        if counts[trait]:
            yield _line(f"`{trait}`", str(counts[trait]), ABOUT[trait].commit, ABOUT[trait].means)
    yield ""


def _traits(kernels: Sequence[KernelResult]) -> Iterator[str]:
    yield "## Traits"
    yield ""
    yield from _table("trait", *(one.version for one in kernels))
    for trait in PROBES:
        yield _line(f"`{trait}`", *(_known(one, trait) for one in kernels))
    yield ""


def _known(one: KernelResult, trait: str) -> str:
    if trait in one.unknown or not one.cases:
        return "?"
    return _HAS if trait in one.traits else _LACKS


def _regressions(kernels: Sequence[KernelResult]) -> Iterator[str]:
    yield "## Regressions"
    yield ""
    for trait in PROBES:
        about = ABOUT[trait]
        having = [one.version for one in kernels if trait in one.traits]
        if about.regression and having:
            fixed = f"fixed by {about.fixed}" if about.fixed else "nobody has fixed it so far"
            yield f"- `{trait}` ({', '.join(having)}): it {about.symptom}, {fixed}. {about.effect}"
    yield ""


def _departures(kernels: Sequence[KernelResult]) -> Iterator[str]:
    found = [(one, list(departures(one))) for one in kernels if one.cases]
    yield "## Not as the release left kernel.org"
    yield ""
    for one, traits in found:
        words = ", ".join(f"{'has' if has else 'lacks'} `{trait}`" for trait, has in traits)
        yield f"- {one.release}: {words or 'nothing'}"
    yield ""


def _rows(kernels: Sequence[KernelResult], rows: Sequence[Row]) -> Iterator[str]:
    yield "## Cases"
    yield ""
    yield from _table("case", "because of", *(one.version for one in kernels))
    for row in rows[:_MOST_ROWS]:
        because = ", ".join(f"`{trait}`" for trait in row.because) or "unexplained"
        yield _line(f"`{row.case.id}`", because, *(row.answers.get(one.release, "?") for one in kernels))
    if len(rows) > _MOST_ROWS:
        yield ""
        yield f"{len(rows) - _MOST_ROWS} more are in the page."
    yield ""


def _table(*heads: str) -> Iterator[str]:
    yield _line(*heads)
    yield _line(*("---" for _ in heads))


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
