"""The explanation of one result: what is wrong, why it matters, and how to repeat it.

Terminal, JUnit, Markdown and page agree because all of them use `Explanations`. Its texts are legible (`text`): control
characters from a subject end here.
"""

import functools
import glob
import re
import shlex
from collections.abc import Iterator
from typing import Any

import msgspec

from tunproof.corpus import wording
from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus
from tunproof.corpus.model import Basis, Flag, KernelSame
from tunproof.judge.verdict import NOT_RUN, Kind
from tunproof.reports.causes import words
from tunproof.reports.operations import Presentation, presentation_of
from tunproof.runs.results import Cause, Result, Results, Run
from tunproof.text import legible, shortened

__all__ = ["FAULTY", "BugClass", "Explanation", "Explanations", "case_of", "command_around", "explain", "headline"]

FAULTY = frozenset(Kind) - {Kind.PASS, Kind.XPASS, *NOT_RUN, Kind.BLOCKED}
"""Verdicts of cases that ran and did not pass, known or not."""

_MOST = 8000  # characters of anything that a subject said
_MOST_HEADLINE = 300
_LEFT = 9  # columns of the names in front of the text
_NEXT_LINE, _MARGIN = re.compile(r"\n(?=[^\n])"), "\n" + " " * (2 + _LEFT)


class BugClass(msgspec.Struct, frozen=True, kw_only=True):
    """A flag of the case: the class of bugs that it guards against."""

    name: str
    description: str
    effect: str
    links: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):  # a run may have a thousand; faster than a dataclass
    """The explanation of one result.

    Attributes:
        id: of the case.
        verdict: the word.
        unexpected: whether it makes the run fail.
        about: what must hold; where the corpus has no such case, that.
        level: how binding the verdict is; empty where the corpus has no such case.
        reach: where such input comes from; empty where the corpus has no such case.
        sent: what was sent, decoded, in one to six lines.
        expected: what must come out, in a few words.
        difference: what was wrong: the first difference as field, offset and bytes, where packets can be compared.
        got: what came out, in words, unless it is packets.
        rule: what is wrong with the input, if it must be rejected.
        basis: why the verdict is believed.
        flags: the classes of bugs that the case guards against.
        advice: what should have been otherwise and is not failed.
        policies: what the subject does that it may do or not.
        known: what the baseline says.
        cause: what the case has in common with others, in words.
        trace: what the subject's language says about an error.
        stderr: what the adapter wrote to it.
        command: the line that repeats just this case.
    """

    id: str
    verdict: str
    unexpected: bool
    about: str
    level: str = ""
    reach: str = ""
    sent: tuple[str, ...] = ()
    expected: str = ""
    difference: str = ""
    got: str = ""
    rule: str = ""
    basis: tuple[Basis, ...] = ()
    flags: tuple[BugClass, ...] = ()
    advice: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    known: str = ""
    cause: str = ""
    trace: str = ""
    stderr: str = ""
    command: str

    @property
    def text(self) -> str:
        """Everything, as plain text of several lines."""
        lines = [f"{self.id}  {self.verdict}{' (unexpected)' * self.unexpected}", f"  {self.about}"]
        for name, text in self._parts():
            if text:
                lines.append(f"  {name:<{_LEFT}}{_NEXT_LINE.sub(_MARGIN, text)}")
        return "\n".join(lines)

    def _parts(self) -> Iterator[tuple[str, str]]:
        yield "level", f"{self.level}; reach {self.reach}" if self.level else ""
        yield "sent", "\n".join(self.sent)
        yield "expected", self.expected
        yield "wrong", self.difference
        yield "got", self.got
        yield "advice", "\n".join(self.advice)
        yield "policy", "\n".join(self.policies)
        yield "rule", self.rule
        yield "basis", "\n".join(f"{basis.kind}: {basis.ref}" for basis in self.basis)
        for flag in self.flags:
            yield "bug", "\n".join([f"{flag.name}: {flag.description}", f"effect: {flag.effect}", *flag.links])
        yield "cause", self.cause
        yield "known", self.known
        yield "trace", self.trace
        yield "stderr", self.stderr
        yield "repeat", self.command


class Explanations:
    """The explanations of a run, each made once for all reports."""

    def __init__(self, results: Results, corpus: Corpus) -> None:
        self.results = results
        self.corpus = corpus
        self._known: dict[str, Explanation] = {}
        self._causes = {case_id: cause for cause in results.causes for case_id in cause.cases}

    def of(self, result: Result) -> Explanation:
        """Return the explanation of a result of this run."""
        if result.id not in self._known:
            cause = self._causes.get(result.id)
            self._known[result.id] = explain(result, self.results.run, self.corpus, cause)
        return self._known[result.id]


def explain(result: Result, run: Run, corpus: Corpus, cause: Cause | None = None) -> Explanation:
    """Return the explanation of one result of a run; `cause` is what it belongs to."""
    case = case_of(result, corpus)
    before, chosen, after = command_around(run, result.id)
    return Explanation(
        id=legible(result.id),
        verdict=result.verdict.value,
        unexpected=result.unexpected,
        difference=_said(result.difference),
        got=_said(result.got.value) if result.got else "",
        advice=tuple(map(_said, result.advice)),
        policies=tuple(map(_said, result.policies)),
        known=_known(result),
        cause="" if cause is None or len(cause.cases) == 1 else f"{words(cause)}, in {len(cause.cases)} cases",
        trace=legible(shortened(result.trace, _MOST, end=True)).strip("\n"),
        stderr=legible(shortened(result.stderr, _MOST, end=True)).strip("\n"),
        command=legible(" ".join(filter(None, (before, chosen, after)))),
        **({"about": _no_case(result, corpus)} if case is None else _known_case(case, run, corpus)),
    )


def _known_case(case: Case, run: Run, corpus: Corpus) -> dict[str, Any]:
    """Return what the corpus says of the case, by the names of an explanation."""
    presentation = presentation_of(case)
    fault = presentation.rule()
    return {
        "about": case.about,
        "level": case.level,
        "reach": case.reach,
        "sent": presentation.sent(),
        "expected": _must_come_out(presentation, run),
        "rule": str(fault) if fault else "",
        "basis": case.basis,
        "flags": _flags(case, corpus),
    }


def case_of(result: Result, corpus: Corpus) -> Case | None:
    """Return the case of a result, or None if this corpus has no such case, or a different one under that id."""
    case = corpus.cases.get(result.id)
    return case if case is not None and case.digest == result.digest else None


def command_around(run: Run, case_id: str = "") -> tuple[str, str, str]:
    """Return the command line that repeats one case, in three pieces: the middle one is the selection of `case_id`.

    It goes behind the name of the command, and never behind `--`, where the adapter's own words begin.
    """
    before, after = _around(run.command)
    return before, shlex.join(["--select", glob.escape(case_id)]) if case_id else "--select", after


@functools.lru_cache(maxsize=64)
def _around(words: tuple[str, ...]) -> tuple[str, str]:
    """Return the words of a command line before and after the place of a selection."""
    end = words.index("--") if "--" in words else len(words)
    at = next((at + 1 for at, word in enumerate(words[:end]) if word in {"check", "kernel"}), end)
    return shlex.join(words[:at]), shlex.join(words[at:])


def headline(explanation: Explanation) -> str:
    """Return in one line what was wrong, or why there is no verdict."""
    for text in (explanation.difference, explanation.known, explanation.about):
        if text:
            line = text.splitlines()[0]
            return line if len(line) <= _MOST_HEADLINE else f"{line[:_MOST_HEADLINE]}…"
    return explanation.verdict


def _must_come_out(presentation: Presentation[Any], run: Run) -> str:
    """Return what must come out of this run, in a few words: of a kernel, what kernels with its traits do."""
    answer = presentation.case.answer_of(frozenset(run.traits)) if run.mode == "kernel" else None
    if answer is None or isinstance(answer, KernelSame):
        return presentation.expected()
    return f"this kernel {wording.what_it_does(answer)}"


def _no_case(result: Result, corpus: Corpus) -> str:
    if result.id in corpus.cases:
        return "This corpus has another case of this id: the stream was made with another version of it."
    return "This corpus has no such case: the stream was made with another version of it."


def _flags(case: Case, corpus: Corpus) -> tuple[BugClass, ...]:
    return tuple([_bug_class(name, corpus.flags[name]) for name in case.flags])


@functools.cache
def _bug_class(name: str, flag: Flag) -> BugClass:
    return BugClass(name=name, description=flag.description, effect=flag.effect, links=flag.links)


def _known(result: Result) -> str:
    if result.known is None:
        return ""
    link = f" ({result.known.link})" if result.known.link else ""
    return _said(f"the baseline expects {result.known.outcome}: {result.known.reason}{link}")


def _said(text: str) -> str:
    return legible(shortened(text, _MOST)).strip("\n")
