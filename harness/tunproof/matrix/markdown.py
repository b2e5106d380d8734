"""Several kernels side by side, in Markdown: what differs, and why; `corpora/KERNELS.md` is one of these."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tio.linux import ABOUT
from tunproof.corpus.load import Corpus
from tunproof.matrix.compare import (
    Row,
    departures,
    differing,
    grouped,
    names,
    oldest_first,
    regressions,
    traits_that_differ,
)
from tunproof.matrix.conduct import KernelResult
from tunproof.probes import PROBES

__all__ = ["markdown"]

_HAS, _LACKS = "yes", "·"


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
        *_groups(kernels, rows),
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
            f"{one.differences}",
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
    yield from _table("trait", *names(kernels).values())
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
    name = names(kernels)
    for trait, having in regressions(kernels):
        about = ABOUT[trait]
        fixed = f"fixed by {about.fixed}" if about.fixed else "nobody has fixed it so far"
        which = ", ".join(name[one.release] for one in having)
        yield f"- `{trait}` ({which}): it {about.symptom}, {fixed}. {about.effect}"
    yield ""


def _departures(kernels: Sequence[KernelResult]) -> Iterator[str]:
    found = [(one, list(departures(one))) for one in kernels if one.cases]
    yield "## Not as the release left kernel.org"
    yield ""
    for one, traits in found:
        words = ", ".join(f"{'has' if has else 'lacks'} `{trait}`" for trait, has in traits)
        yield f"- {one.release}: {words or 'nothing'}"
    yield ""


def _groups(kernels: Sequence[KernelResult], rows: Sequence[Row]) -> Iterator[str]:
    yield "## Cases"
    yield ""
    yield from _table("cases", "for example", "because of", *names(kernels).values())
    for group in grouped(rows):
        because = ", ".join(f"`{trait}`" for trait in group.because) or "unexplained"
        answers = (group.answers.get(one.release, "?") for one in kernels)
        yield _line(str(len(group.cases)), f"`{group.cases[0].id}`", because, *answers)
    yield ""


def _table(*heads: str) -> Iterator[str]:
    yield _line(*heads)
    yield _line(*("---" for _ in heads))


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
