"""What a corpus must satisfy beyond what types and loader demand: one small function per rule.

A file that the loader rejects is one finding, and its cases are not examined further; nor are other files' references
to them, since its contents are unknown. Everything else is found in one go.
"""
# ruff: noqa: D401 (the docstring of a rule is the rule)

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tunproof.authoring.flags import FLAGS
from tunproof.authoring.reach import merged, reach_of, with_reach
from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.cases import (
    OPERATIONS,
    Case,
    CorpusFile,
    LifecycleCase,
    MustRefuse,
    MustReject,
    ReadCase,
    WriteBatchCase,
    differs,
)
from tunproof.corpus.load import CORPORA, files_below, load_file
from tunproof.corpus.script import Close, OpenOther, OpenTun, OpenWire
from tunproof.corpus.traits import TRAITS
from tunproof.errors import CorpusError, UsageError

__all__ = ["CASE_RULES", "CORPUS_RULES", "FILE_RULES", "RETIRED", "Finding", "Looked", "lint"]

RETIRED = "retired.json"
"""Retired ids, below the folder of the corpus: each with the reason, or with the id of its successor."""

_LONGEST_ABOUT = 400
_REFERENCE = re.compile(r"\bthe reference\b|\btio\b|reference/tio", re.IGNORECASE)

Complaint = tuple[str, str]
"""A field, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `case` and `field` are "-" if the whole file is meant."""

    file: str
    case: str
    field: str
    reason: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.file}: {self.case}: {self.field}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Looked:
    """What the rules examine: a corpus as it is on disk.

    Attributes:
        root: the folder.
        files: what could be read, by path.
        cases: the cases in them by id; of several with one id, the last.
        whole: whether every file could be read.
        ours: whether it is the corpus of this checkout, whose flags and traits are in its source.
    """

    root: Path
    files: dict[Path, CorpusFile]
    cases: dict[str, Case]
    whole: bool
    ours: bool


def lint(root: Path = CORPORA) -> list[Finding]:
    """Return everything that is wrong with the corpus below `root`. Raises `UsageError`, `CorpusError`."""
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; a corpus is one, with a folder for each operation")
    paths = files_below(root)
    if not paths:
        raise CorpusError(str(root), "-", "-", "there are no cases here")
    files: dict[Path, CorpusFile] = {}
    findings = []
    for path in paths:
        try:
            files[path] = load_file(path)
        except CorpusError as error:
            findings.append(Finding(error.file, error.case, error.field, error.reason))
    cases = {case.id: case for file in files.values() for case in file.cases}
    ours = root.resolve() == CORPORA.resolve() and CORPORA.is_symlink()
    looked = Looked(root, files, cases, len(files) == len(paths), ours)
    return findings + list(_found(looked))


def _found(looked: Looked) -> Iterator[Finding]:
    for path, file in looked.files.items():
        for file_rule in FILE_RULES:
            for field, reason in file_rule(path, file):
                yield Finding(str(path), "-", field, reason)
        for case, case_rule in itertools.product(file.cases, CASE_RULES):
            for field, reason in case_rule(case, looked):
                yield Finding(str(path), case.id, field, reason)
    for corpus_rule in CORPUS_RULES:
        yield from corpus_rule(looked)


# Rules for a case.


def _about(case: Case, _: Looked) -> Iterator[Complaint]:
    """`about` is short prose: it has no stray whitespace, ends in a period, and fits in a table."""
    if not case.about.endswith("."):
        yield "about", "is not a sentence: it does not end in a period"
    if " ".join(case.about.split()) != case.about:
        yield "about", "has line breaks or stray blanks"
    if len(case.about) >= _LONGEST_ABOUT:
        yield "about", f"is {len(case.about)} characters long; under {_LONGEST_ABOUT} get read"


def _operation(case: Case, _: Looked) -> Iterator[Complaint]:
    """The case's operation is the one that its id begins with."""
    tag = str(type(case).__struct_config__.tag)
    if not case.id.startswith(f"{tag}/"):
        yield "op", f"is {tag!r}, but the id begins with {case.id.partition('/')[0]!r}"


def _sibling(case: Case, looked: Looked) -> Iterator[Complaint]:
    """A fault names its valid sibling: existing, of the same operation, and without a fault itself."""
    if case.sibling is None:
        if _is_fault(case):
            yield "sibling", "is missing: a case with a fault names the nearest valid case"
        return
    sibling = looked.cases.get(case.sibling)
    if sibling is None:
        if looked.whole:
            yield "sibling", f"{case.sibling!r} does not exist"
    elif type(sibling) is not type(case):
        yield "sibling", f"{case.sibling!r} is of another operation"
    elif _is_fault(sibling):
        yield "sibling", f"{case.sibling!r} has a fault itself"


def _one_basis(case: Case, _: Looked) -> Iterator[Complaint]:
    """A verdict rests on more than the reference's behaviour, and every basis says something."""
    if any(not basis.ref.strip() for basis in case.basis):
        yield "basis", "is empty"
    if all(basis.kind == "observed" and _REFERENCE.search(basis.ref) for basis in case.basis):
        yield "basis", "is the reference alone"


def _known_capabilities(case: Case, _: Looked) -> Iterator[Complaint]:
    """What a case requires is one of the capabilities, each named once."""
    for name in case.requires:
        if name not in CAPABILITIES:
            yield "requires", f"{name!r} is not a capability"


def _named_once(case: Case, _: Looked) -> Iterator[Complaint]:
    """No flag, capability or kernel is named twice."""
    for field, names in (("flags", case.flags), ("requires", case.requires), ("confirmed", case.confirmed)):
        if len(names) != len(set(names)):
            yield field, "names something twice"


def _confirmed(case: Case, _: Looked) -> Iterator[Complaint]:
    """What kernels do was observed on one, and a case that no kernel runs has no confirmations."""
    if case.kernel and not case.confirmed:
        yield "confirmed", "is empty: no kernel was observed to do what `kernel` says"
    if case.confirmed and not case.kernel:
        yield "confirmed", "names kernels, but no kernel runs the case"


def _reach(case: Case, _: Looked) -> Iterator[Complaint]:
    """Where input comes from follows from operation, input and what kernels handed over; each is recorded once."""
    right = reach_of(case.input, case.expect, case.reached)
    if case.reach != right:
        yield "reach", f"is {case.reach}; by the rule it is {right}"
    if isinstance(case, ReadCase) and with_reach(case, case.reached).level != case.level:
        yield "level", "is must, and a kernel hands the frame over, so its rejection is should"
    seen = [(one.wiring, release) for one in case.reached for release in one.releases]
    if len(seen) != len(set(seen)):
        yield "reached", "names a kernel twice for one wiring"
    if merged((), case.reached) != case.reached:
        yield "reached", "is not in the order in which a build writes it"


def _declared_difference(case: Case, _: Looked) -> Iterator[Complaint]:
    """If every kernel differs from what an implementation must do, `because` says why; otherwise it may."""
    for answer in case.kernel:
        if not answer.when and differs(case, answer) and answer.because is None:
            yield "kernel", "differs from `expect` on all kernels, and no `because` says why"
        if answer.because is not None and not answer.because.strip():
            yield "kernel", "`because` is empty"
    explained = any(answer.because is not None for answer in case.kernel)
    if explained and not any(differs(case, answer) for answer in case.kernel):
        yield "kernel", "`because` explains a difference that does not exist"


def _indices(case: Case, _: Looked) -> Iterator[Complaint]:
    """A batch's lists name only packets that it has, and no two that must stay apart are joined."""
    if not isinstance(case, WriteBatchCase):
        return
    expect = case.expect
    lists = (*expect.order, *expect.order_should, *expect.apart, *expect.ideal)
    named = {*itertools.chain(*lists), *expect.silent, *expect.optional, *expect.repairable, *expect.unsummed}
    for index in sorted(named - set(range(len(case.input.packets)))):
        yield "expect", f"there is no packet {index}"
    for group, (one, other) in itertools.product(expect.ideal, expect.apart):
        if one in group and other in group:
            yield "expect.ideal", f"joins packets {one} and {other}, which must stay apart"


def _opened(case: Case, _: Looked) -> Iterator[Complaint]:
    """A step of a lifecycle refers to an fd that an earlier step opened."""
    if not isinstance(case, LifecycleCase):
        return
    opened: set[str] = set()
    for number, step in enumerate(case.input.steps):
        if isinstance(step, OpenWire | OpenTun | OpenOther):
            opened.add(step.fd)
        elif not isinstance(step, Close) and getattr(step, "fd", None) not in {None, *opened}:
            yield "input.steps", f"step {number} refers to {step.fd!r}, which nothing opened"  # type: ignore[union-attr]


# Rules for a file.


def _place(path: Path, file: CorpusFile) -> Iterator[Complaint]:
    """A file is named after its topic."""
    if file.topic != path.stem:
        yield "topic", f"is {file.topic!r}; the file is called {path.name}"


def _used(_: Path, file: CorpusFile) -> Iterator[Complaint]:
    """Flags and traits that a file explains are used in it; those that it uses, it explains, or it is not loaded."""
    for name in sorted(file.flags.keys() - {flag for case in file.cases for flag in case.flags}):
        yield "flags", f"{name!r} is explained, and no case here has it"
    for name in sorted(file.traits.keys() - {trait for case in file.cases for trait in case.traits}):
        yield "traits", f"{name!r} is explained, and no case here depends on it"


def _explained(_: Path, file: CorpusFile) -> Iterator[Complaint]:
    """A flag says what it is and what users see of it, in sentences, and links to the public web."""
    for name, flag in file.flags.items():
        for field, text in (("description", flag.description), ("effect", flag.effect)):
            if not text.strip():
                yield f"flags.{name}.{field}", "is empty"
            elif not text.endswith("."):
                yield f"flags.{name}.{field}", "is not a sentence: it does not end in a period"
        for link in flag.links:
            if not re.fullmatch(r"https?://[^\s/]+/\S*", link):
                yield f"flags.{name}.links", f"{link!r} is not a URL"


def _known_traits(_: Path, file: CorpusFile) -> Iterator[Complaint]:
    """A trait can be probed, and is explained the same everywhere."""
    for name, trait in file.traits.items():
        if name not in TRAITS:
            yield f"traits.{name}", "is not a trait that this tunproof can probe"
        elif trait != TRAITS[name]:
            yield f"traits.{name}", "is not explained as in traits.py"


# Rules between files.


def _unique_ids(looked: Looked) -> Iterator[Finding]:
    """An id is unique."""
    seen: dict[str, Path] = {}
    for path, file in looked.files.items():
        for case in file.cases:
            if case.id in seen:
                yield Finding(str(path), case.id, "id", f"is also in {seen[case.id]}")
            seen[case.id] = path


def _one_explanation(looked: Looked) -> Iterator[Finding]:
    """A flag is explained the same in every file, and in this checkout as in its source."""
    seen = dict(FLAGS) if looked.ours else {}
    for path, file in looked.files.items():
        for name, flag in file.flags.items():
            if looked.ours and name not in FLAGS:
                yield Finding(str(path), "-", f"flags.{name}", "is not in the source (corpus/flags)")
            elif seen.setdefault(name, flag) != flag:
                where = "the source (corpus/flags)" if looked.ours else "another file"
                yield Finding(str(path), "-", f"flags.{name}", f"is explained differently in {where}")


def _flags_in_use(looked: Looked) -> Iterator[Finding]:
    """Every flag of this checkout's source is carried by a case."""
    if looked.ours and looked.whole:
        for name in sorted(FLAGS.keys() - {flag for case in looked.cases.values() for flag in case.flags}):
            yield Finding("corpus/flags", "-", name, "is explained, and no case has it")


def _retired(looked: Looked) -> Iterator[Finding]:
    """A retired id is never used again, and has a reason or a successor."""
    path = looked.root / RETIRED
    if not path.exists():
        return
    try:
        retired = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        yield Finding(str(path), "-", "-", f"is not an object of ids with a text for each: {error}")
        return
    for case_id, why in retired.items():
        if case_id in looked.cases:
            yield Finding(str(path), case_id, "id", "was retired, and is used again")
        if not why.strip():
            yield Finding(str(path), case_id, "-", "says neither why it was retired nor what replaced it")
        op, _, rest = why.partition("/")
        if op in OPERATIONS and rest and " " not in why and looked.whole and why not in looked.cases:
            yield Finding(str(path), case_id, "-", f"its successor {why!r} does not exist")


CaseRule = Callable[[Case, Looked], Iterator[Complaint]]
FileRule = Callable[[Path, CorpusFile], Iterator[Complaint]]
CorpusRule = Callable[[Looked], Iterator[Finding]]

CASE_RULES: tuple[CaseRule, ...] = (
    _about,
    _operation,
    _sibling,
    _one_basis,
    _known_capabilities,
    _named_once,
    _confirmed,
    _reach,
    _declared_difference,
    _indices,
    _opened,
)
FILE_RULES: tuple[FileRule, ...] = (_place, _used, _explained, _known_traits)
CORPUS_RULES: tuple[CorpusRule, ...] = (_unique_ids, _one_explanation, _flags_in_use, _retired)


def _is_fault(case: Case) -> bool:
    return isinstance(case.expect, MustReject | MustRefuse)
