"""The baseline: known failures, in a TOML file in the user's repository.

    [[known]]
    case = "read/tcp4/psh-on-last-segment-only"  # an id, or a glob
    outcome = "fail"                             # so a crash there still fails the run
    reason = "the flag is copied to every segment"
    link = "https://example.org/issues/1"        # optional
    digest = "sha256:..."                        # optional, for an id: lapses when the case changes
    kernel = ">=6.6.44,<6.6.45"                  # optional: holds only on such kernels

An entry never hides more than it says: a case that now passes, fails differently, or no longer runs makes the run fail,
and so does an entry that matches no case.
"""

import difflib
import fnmatch
import itertools
import json
import operator
import re
import reprlib
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.judge.verdict import Kind
from tunproof.runs.results import Known, Problem, Result, Results

__all__ = ["FAILURES", "PLACEHOLDER", "Baseline", "Entry", "dump", "escaped", "tables_in"]

FAILURES = frozenset({Kind.FAIL, Kind.ERROR, Kind.CRASH, Kind.HANG, Kind.OOM, Kind.PROTOCOL_ERROR, Kind.FLAKY})
"""Verdicts that make a run fail unless the baseline lists them."""

PLACEHOLDER = "REPLACE THIS: why it fails, and what will be done about it"
"""The reason that `dump` writes if no one has given one."""

_OUTCOMES = [kind.value for kind in Kind if kind in FAILURES | {Kind.BLOCKED, Kind.UNSUPPORTED}]

_FORMS = {
    "case": 'an id such as "read/tcp4/largest", or a glob such as "read/tcp4/*"',
    "outcome": "one of " + ", ".join(_OUTCOMES),
    "reason": "a sentence that says why the failure is known",
    "link": 'a URL, such as "https://example.org/issues/1"',
    "digest": '"sha256:" and 64 lower-case hex digits, as `tunproof show` prints it, for the id of a single case',
    "kernel": 'comparisons (>= > <= < ==) that some release can satisfy, such as ">=6.6.44,<6.6.45"',
}
"""The keys of an entry, and the form of each."""

_REQUIRED = ("case", "outcome", "reason")
_MAGIC = re.compile(r"[*?[]")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NUMBERS = r"[0-9]{1,9}(?:\.[0-9]{1,9})*"
_COMPARISON = re.compile(rf"\s*(>=|>|<=|<|==)\s*({_NUMBERS})\s*")
_RELEASE = re.compile(_NUMBERS)
_MOST_NEAR = 10  # entries for which similar ids are looked up: a quarter of a second each

_Version = tuple[int, ...]

_COMPARE: dict[str, Callable[[_Version, _Version], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One known failure, or one for each case that a glob matches. Attributes: the keys of the file."""

    case: str
    outcome: str
    reason: str
    link: str | None = None
    digest: str | None = None
    kernel: str | None = None

    @property
    def is_glob(self) -> bool:
        """Whether it may match several cases."""
        return _MAGIC.search(self.case) is not None

    def among(self, ids: Collection[str]) -> list[str]:
        """Return the ids that it matches. Looking up an id is fast if `ids` is a set or a mapping."""
        if self.is_glob:
            fits = re.compile(fnmatch.translate(self.case)).match
            return [case_id for case_id in ids if fits(case_id)]
        return [self.case] if self.case in ids else []

    def holds_on(self, kernel: str) -> bool:
        """Whether it applies to a kernel release, such as "6.18.44-generic". Missing numbers are zeros.

        Raises `EnvironmentProblem` if the release does not begin with a number and the entry needs one.
        """
        if self.kernel is None:
            return True
        release = _RELEASE.match(kernel)
        if release is None:
            raise EnvironmentProblem(
                f"the kernel's release, {kernel!r}, does not begin with a number to compare with {self.kernel!r}",
                cure=f"remove `kernel` from the baseline's entry for {self.case}",
            )
        return _meets(_version(release[0]), _comparisons(self.kernel))


def _version(text: str) -> _Version:
    """Return dotted numbers without trailing zeros: such tuples compare as if they were equally long."""
    numbers = [int(number) for number in text.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _comparisons(text: str) -> list[tuple[str, _Version]]:
    """Return operators and versions. Raises `ValueError` if it is not a range."""
    found = [_COMPARISON.fullmatch(part) for part in text.split(",")]
    if not all(found):
        raise ValueError(f"{text!r} is not a range")
    return [(match[1], _version(match[2])) for match in found if match]


def _meets(version: _Version, comparisons: Iterable[tuple[str, _Version]]) -> bool:
    return all(_COMPARE[sign](version, bound) for sign, bound in comparisons)


def _can_be_met(comparisons: list[tuple[str, _Version]]) -> bool:
    """Whether there is a release in the range: the lowest of all, a bound itself, or one just above a bound."""
    longest = max(len(bound) for _, bound in comparisons)
    above = [(*bound, *itertools.repeat(0, longest - len(bound)), 1) for _, bound in comparisons]
    return any(_meets(version, comparisons) for version in [(), *(bound for _, bound in comparisons), *above])


@dataclass(slots=True)
class Baseline:
    """The entries of a file, in order; messages count them from 1. Without entries, no failure is known.

    `check` decides which entries are in force; `judge` applies them.
    """

    entries: tuple[Entry, ...] = ()
    _in_force: dict[str, Entry] | None = field(default=None, init=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the baseline of a file. Raises `UsageError`: file, number of the entry, key, and cure."""
        tables = tables_in(path)
        return cls(tuple(_entry(path, number, table) for number, table in enumerate(tables, 1)))

    def check(self, all_ids: Mapping[str, str], selected: Collection[str], kernel: str) -> list[Problem]:
        """Decide which entries are in force here, and return what is wrong with them.

        `all_ids` has the digests of the whole corpus by id, `kernel` is the running release. An entry about other
        kernels is neither in force nor a problem; an entry about existing cases that are not selected is not a problem.
        If several entries match a case, one with its id wins over a glob, and an earlier one over a later.

        Raises `EnvironmentProblem` if entries depend on a release that does not begin with a number.
        """
        problems: list[Problem] = []
        chosen = set(selected)
        speaking: dict[str, list[int]] = {}
        for number, entry in enumerate(self.entries, 1):
            if not entry.holds_on(kernel):
                continue
            found = entry.among(all_ids)
            if not found:
                near = all_ids if len(problems) < _MOST_NEAR else ()
                problems.append(_matches_nothing(number, entry, near))
            elif entry.digest in (None, all_ids[found[0]]):
                for case_id in found:
                    speaking.setdefault(case_id, []).append(number)
            elif entry.case in chosen:
                problems.append(_has_changed(number, entry))
        self._in_force = {case_id: self._first(numbers) for case_id, numbers in speaking.items()}
        return problems + list(self._contradictions(speaking, chosen))

    def _first(self, numbers: list[int]) -> Entry:
        entries = [self.entries[number - 1] for number in numbers]
        return min(entries, key=lambda entry: entry.is_glob)

    def _contradictions(self, speaking: Mapping[str, list[int]], chosen: set[str]) -> Iterator[Problem]:
        """Yield a problem for each pair of entries that contradict each other about the same chosen cases."""
        pairs: dict[tuple[int, int], list[str]] = {}
        for case_id in (one for one in speaking if one in chosen):
            for one, other in itertools.combinations(speaking[case_id], 2):
                if self.entries[one - 1].outcome != self.entries[other - 1].outcome:
                    pairs.setdefault((one, other), []).append(case_id)
        for (one, other), ids in sorted(pairs.items()):
            first, second = self.entries[one - 1], self.entries[other - 1]
            more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
            yield Problem(
                id=first.case,
                what="contradictory",
                text=f"entry {one} ({first.case}) expects {first.outcome} and entry {other} ({second.case}) expects "
                f"{second.outcome} of {ids[0]}{more}: remove one, or narrow a glob",
            )

    def judge(self, case_id: str, kind: Kind) -> tuple[Kind, bool, Known | None, str]:
        """Return the verdict, whether it is unexpected, what is known about the case, and a note for people.

        `kind` is what happened, so neither xfail nor xpass (`ValueError`). Raises `RuntimeError` before `check`.
        """
        if kind in (Kind.XFAIL, Kind.XPASS):
            raise ValueError(f"{kind} is a verdict that a baseline has already judged")
        if self.entries and self._in_force is None:
            raise RuntimeError("the entries in force are not known before `check`")
        entry = (self._in_force or {}).get(case_id)
        if entry is None:
            return kind, kind in FAILURES, None, ""
        known = Known(outcome=entry.outcome, reason=entry.reason, link=entry.link)
        if kind.value == entry.outcome:
            return Kind.XFAIL, False, known, ""
        verdict = Kind.XPASS if kind is Kind.PASS else kind
        unexpected = verdict not in (Kind.NOT_APPLICABLE, Kind.BLOCKED)
        return verdict, unexpected, known, f"the baseline expects {entry.outcome}, {_otherwise(entry, kind)}"


def _otherwise(entry: Entry, kind: Kind) -> str:
    """Return the end of a sentence: what a case did instead of what an entry expects."""
    match kind:
        case Kind.PASS if entry.is_glob:
            return f"this is pass: remove the entry, or narrow its glob, {entry.case}"
        case Kind.PASS:
            return "this is pass: remove the entry"
        case Kind.UNSUPPORTED:
            return "but the case no longer runs: this is unsupported"
        case Kind.NOT_APPLICABLE | Kind.BLOCKED:
            return f"this is {kind}, which confirms neither that nor a pass"
    return f"this is {kind}"


def _matches_nothing(number: int, entry: Entry, ids: Iterable[str]) -> Problem:
    near = difflib.get_close_matches(entry.case, ids, n=3, cutoff=0.5)
    hint = f"; similar: {', '.join(near)}" if near else ""
    text = f"entry {number} matches no case: correct {entry.case!r}, or remove the entry{hint}"
    return Problem(id=entry.case, what="stale", text=text)


def _has_changed(number: int, entry: Entry) -> Problem:
    text = f"entry {number} has lapsed because the case has changed: review it, then correct or remove the digest"
    return Problem(id=entry.case, what="stale", text=text)


def tables_in(path: Path) -> list[Any]:
    """Return the entries of a file of known things as parsed from TOML. Raises `UsageError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: not UTF-8: {error.reason}\n  cure: save the file as UTF-8") from error
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        lines = text.count("\n") + 1
        reason = str(error).replace("end of document", f"line {lines}, the end")
        raise UsageError(f"{path} is not valid TOML: {reason}\n  cure: correct that line") from error
    for key in document:
        if key != "known":
            raise UsageError(f"{path}: {key!r} is not a known key\n  cure: each entry begins with [[known]]")
    tables = document.get("known", [])
    if not isinstance(tables, list):
        raise UsageError(f"{path}: `known` is not a list of entries\n  cure: begin each entry with [[known]]")
    return tables


def _entry(path: Path, number: int, table: Any) -> Entry:
    if not isinstance(table, dict):
        _refuse(path, number, "known", f"{reprlib.repr(table)} is not a table", "begin each entry with [[known]]")
    for key, what in _flaws(table):
        form = f"{key} is {_FORMS[key]}" if key in _FORMS else f"an entry has {', '.join(_FORMS)}"
        _refuse(path, number, key, what, form)
    return Entry(**table)


def _refuse(path: Path, number: int, key: str, what: str, cure: str) -> NoReturn:
    raise UsageError(f"{path}: entry {number}: {key}: {what}\n  cure: {cure}")


def _flaws(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each key and what is wrong with it. After the first flaw, values may have the wrong type."""
    for key, value in table.items():
        if key not in _FORMS:
            yield key, "is not a known key"
        if not isinstance(value, str):
            yield key, f"{reprlib.repr(value)} is not a string"
        if not value.strip():
            yield key, "is empty"
    yield from ((key, "is missing") for key in _REQUIRED if key not in table)
    if table["outcome"] not in _OUTCOMES:
        yield "outcome", f"{table['outcome']!r} is not an outcome"
    if "digest" in table:
        yield from _flaws_of_digest(table["digest"], table["case"])
    if "kernel" in table:
        yield from _flaws_of_range(table["kernel"])


def _flaws_of_digest(text: str, case: str) -> Iterator[tuple[str, str]]:
    if not _DIGEST.fullmatch(text):
        yield "digest", f"{text!r} is not a digest"
    if _MAGIC.search(case):
        yield "digest", f"{case!r} is a glob, and only a single case has a digest"


def _flaws_of_range(text: str) -> Iterator[tuple[str, str]]:
    try:
        comparisons = _comparisons(text)
    except ValueError as error:
        yield "kernel", str(error)
    else:
        if not _can_be_met(comparisons):
            yield "kernel", f"no release can satisfy {text!r}"


def dump(results: Results, old: Baseline | None) -> str:
    """Return the text of a baseline under which all these results are expected: exact ids with digests, in order.

    Every failure gets an entry, and every xfail keeps its own. Reason and link, and a range of kernels that contains
    that of the run, come from an old entry that expects the same; without one the reason is `PLACEHOLDER`.
    Old entries that the results do not confirm are not carried over.
    """
    run = results.run
    lines = [
        f"# Known failures of {escaped(run.subject)}: {escaped(run.mode)}, kernel {escaped(run.kernel)}.",
        f"# Written by tunproof {escaped(run.tunproof)} from its results of {escaped(run.started)}.",
    ]
    if run.select != "*":
        lines.append(f"# Only cases that match {escaped(run.select)} were run: entries about others are omitted.")
    find = _finder(old.entries if old else (), run.kernel)
    for _, result in sorted(results.results.items()):
        if (entry := _todays(result, find)) is not None:
            pairs = ((key, getattr(entry, key)) for key in _FORMS)
            lines += ["", "[[known]]", *(f'{key} = "{escaped(value)}"' for key, value in pairs if value is not None)]
    return "\n".join(lines) + "\n"


_Find = Callable[[Result, str], Entry | None]


def _finder(entries: Iterable[Entry], kernel: str) -> _Find:
    """Return a function that finds the entry for an outcome of a result: by its id, else by the first glob."""
    holding = [entry for entry in entries if entry.holds_on(kernel)]
    globs = [entry for entry in holding if entry.is_glob]
    exact: dict[str, list[Entry]] = {}
    for entry in holding:
        exact.setdefault(entry.case, []).append(entry)

    def find(result: Result, outcome: str) -> Entry | None:
        for entry in itertools.chain(exact.get(result.id, []), globs):
            same = entry.outcome == outcome and entry.digest in (None, result.digest)
            if same and entry.among([result.id]):
                return entry
        return None

    return find


def _todays(result: Result, find: _Find) -> Entry | None:
    """Return the entry that expects a result, if it needs one."""
    known = result.known if result.verdict is Kind.XFAIL else None
    if known is None and result.verdict not in FAILURES:
        return None
    outcome = known.outcome if known else result.verdict.value
    entry = find(result, outcome)
    said = entry or known
    return Entry(
        case=result.id,
        outcome=outcome,
        reason=said.reason if said else PLACEHOLDER,
        link=said.link if said else None,
        digest=result.digest,
        kernel=entry.kernel if entry else None,
    )


def escaped(text: str) -> str:
    """Return the inside of a TOML string. JSON's escapes are TOML's, which forbids a bare DEL as well."""
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007F")
