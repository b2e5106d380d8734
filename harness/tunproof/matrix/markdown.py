"""Several kernels side by side, in Markdown: what differs, and why; `corpora/KERNELS.md` is one of these."""

from collections.abc import Iterator, Sequence

from tio.linux import ABOUT
from tunproof.corpus.load import Corpus
from tunproof.kernel.probes import PROBES
from tunproof.matrix.compare import (
    UNEXPLAINED,
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

__all__ = ["markdown"]

_HAS, _LACKS = "yes", "·"


def markdown(results: Sequence[KernelResult], corpus: Corpus) -> str:
    """Return the report: kernels, what is unexplained, where they differ, traits, regressions, departures."""
    kernels = oldest_first(results)
    return "\n".join([
        "# Kernels",
        "",
        "What each kernel does with the cases of the corpus and with random frames, as `tunproof matrix run` saw it.",
        "",
        *_kernels(kernels),
        *_unexplained(kernels),
        *_groups(kernels, differing(kernels, corpus)),
        *_traits(kernels),
        *_regressions(kernels),
        *_departures(kernels),
    ]).rstrip() + "\n"  # fmt: skip


def _kernels(kernels: Sequence[KernelResult]) -> Iterator[str]:
    problems = any(one.problem for one in kernels)
    heads = ("release", "package", "cases that agree", "random frames", "unexplained")
    yield from _table(*heads, *(["incomplete"] if problems else []))
    for one in kernels:
        yield _line(
            one.release if one.boots < 2 else f"{one.release} (booted {one.boots} times)",
            one.package or "built by hand",
            f"{one.agree} of {one.asked}",
            str(one.frames.frames if one.frames else 0),
            str(one.differences),
            *([one.problem] if problems else []),
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


def _groups(kernels: Sequence[KernelResult], rows: Sequence[Row]) -> Iterator[str]:
    yield "## Where they differ"
    yield ""
    yield f"{len(rows)} cases have more than one answer among these kernels. Those with the same answers are together."
    yield ""
    yield from _table("cases", "for example", "because of", *names(kernels).values())
    for group in grouped(rows):
        because = ", ".join(f"`{trait}`" for trait in group.because) or UNEXPLAINED
        answers = (group.answers.get(one.release, "?") for one in kernels)
        yield _line(str(len(group.cases)), f"`{group.cases[0].id}`", because, *answers)
    yield ""


def _traits(kernels: Sequence[KernelResult]) -> Iterator[str]:
    yield "## Traits"
    yield ""
    yield from _table("trait", *names(kernels).values())
    for trait in PROBES:
        yield _line(f"`{trait}`", *(_known(one, trait) for one in kernels))
    yield ""
    for one in kernels:
        yield from (f"- ? {one.release}, `{trait}`: {reason}" for trait, reason in one.unknown.items())
    for trait in traits_that_differ(kernels):
        about = ABOUT[trait]
        yield f"- `{trait}` ({about.releases}; {about.commit or 'commit not known'}): {about.means}"
    yield ""


def _known(one: KernelResult, trait: str) -> str:
    if trait in one.unknown or not one.cases:
        return "?"
    return _HAS if trait in one.traits else _LACKS


def _regressions(kernels: Sequence[KernelResult]) -> Iterator[str]:
    yield "## Regressions"
    yield ""
    name = names(kernels)
    if not regressions(kernels):
        yield "None of these kernels has a known regression."
    for trait, having in regressions(kernels):
        about = ABOUT[trait]
        fixed = f"fixed by {about.fixed}" if about.fixed else "not fixed so far"
        which = ", ".join(name[one.release] for one in having)
        yield f"- `{trait}` ({which}): it {about.symptom}, {fixed}. {about.effect}"
    yield ""


def _departures(kernels: Sequence[KernelResult]) -> Iterator[str]:
    found = [(one, list(departures(one))) for one in kernels if one.cases]
    yield "## Differences from the kernel.org release"
    yield ""
    for one, traits in found:
        words = ", ".join(f"{'has' if has else 'lacks'} `{trait}`" for trait, has in traits)
        yield f"- {one.release}: {words or 'nothing'}"
    yield ""


def _table(*heads: str) -> Iterator[str]:
    yield _line(*heads)
    yield _line(*("---" for _ in heads))


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
