"""Making the corpus: record every draft, and put all files in place at once.

Building twice on one kernel gives the same bytes. On another kernel it adds that kernel's release to `confirmed` of the
cases it confirms and to `reached` of those whose frames it hands to a reader, and changes nothing else, or stops; a
check (`confirm=False`) adds no kernel that the corpus does not know. Kernels that ran the cases elsewhere, in guests,
are added if a case is still the one that they ran.
"""

import fnmatch
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import msgspec

from tunproof import lab
from tunproof.authoring.authors import drafts
from tunproof.authoring.draft import Draft
from tunproof.authoring.flags import FLAGS
from tunproof.authoring.reach import merged, version_of, with_reach
from tunproof.authoring.record import Recorder
from tunproof.authoring.swap import ASIDE, exchange
from tunproof.corpus import schema
from tunproof.corpus.cases import Case, CorpusFile
from tunproof.corpus.codec import formatted
from tunproof.corpus.load import CORPORA, GOLDEN, files_below, load_file
from tunproof.corpus.model import FORMAT, Reached
from tunproof.corpus.traits import TRAITS
from tunproof.errors import CorpusError, UsageError
from tunproof.kernel.handover import handed_over, sending_on
from tunproof.kernel.probes import running_traits
from tunproof.subjects.reference import Reference

__all__ = ["KERNELS", "Elsewhere", "build", "checkout", "differing", "write"]

KERNELS = "KERNELS.md"
"""What the kernels of a matrix run do, in words, beside the cases."""

_STAGING = ".building-"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What kernels did that ran the cases in guests, each by the id and digest of the case.

    `passed` are the releases that did what the case says of them, `handed` those that hand its frames to a reader.
    """

    passed: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    handed: Mapping[tuple[str, str], tuple[Reached, ...]] = field(default_factory=dict)


_NOWHERE = Elsewhere()


def checkout() -> Path:
    """Return the folder of the corpus in this checkout. Raises `UsageError` in an installed wheel."""
    if not CORPORA.is_symlink():
        raise UsageError("the corpus is only built in a checkout of the repository; this is an installed tunproof")
    return CORPORA.resolve()


def build(
    root: Path,
    *,
    topics: str = "*",
    confirm: bool = True,
    elsewhere: Elsewhere = _NOWHERE,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> dict[Path, bytes]:
    """Return the content of every corpus file, recorded from the running kernel, and of every schema.

    `topics` is a glob on operation and topic, such as "write_batch/*". With `confirm` the running kernel is named among
    those that confirmed a case, and those that handed it over; kernels `elsewhere` always are. `progress` is called
    with the number of drafts done and the total.

    Raises `DisagreementError`, `EnvironmentProblem`, `CorpusError`.
    """
    everything = drafts()
    _check_ids(everything)
    written = [draft for draft in everything if fnmatch.fnmatchcase(f"{draft.op}/{draft.topic}", topics)]
    old = _old_cases(root)
    cases: dict[str, Case] = {}
    traits = running_traits()
    with lab.redirect() as pair, Reference() as reference:
        recorder = Recorder(lab.Exchange(pair), traits, reference)
        for index, draft in enumerate(written):
            case = recorder.record(draft, old.get(draft.id))
            seen = elsewhere.passed.get((case.id, case.digest), frozenset())
            cases[draft.id] = _confirmed(case, old.get(draft.id), seen, confirm=confirm)
            progress(index + 1, len(written))
    here = _handed_here(cases.values(), traits)
    known = confirm or _knows(old.values(), version_of(os.uname().release))
    for case in list(cases.values()):
        cases[case.id] = _reached(
            case, old.get(case.id), here.get(case.id, ()), elsewhere.handed.get((case.id, case.digest), ()), known=known
        )
    recorded = {
        root / GOLDEN / op / f"{topic}.json": _encode(topic, [cases[draft.id] for draft in group])
        for (op, topic), group in groupby(written, key=lambda draft: (draft.op, draft.topic))
    }
    return recorded | {root / schema.FOLDER / name: content for name, content in schema.schemas().items()}


def differing(files: dict[Path, bytes], root: Path, topics: str = "*") -> list[Path]:
    """Return the files of these topics that differ on disk from what would be built, surplus files included."""
    surplus = [
        path
        for path in files_below(root)
        if path not in files and fnmatch.fnmatchcase(f"{path.parent.name}/{path.stem}", topics)
    ]
    return surplus + [path for path, content in files.items() if not path.exists() or path.read_bytes() != content]


def write(files: dict[Path, bytes], root: Path, topics: str = "*") -> None:
    """Put all files of these topics in place at once.

    The whole folder is rebuilt beside the old one, and the two are exchanged in one step: a killed process, or a full
    disk, leaves the old corpus whole. The schemas go first.
    """
    golden = root / GOLDEN
    _sweep(root)
    golden.mkdir(exist_ok=True)
    (root / schema.FOLDER).mkdir(exist_ok=True)
    gone = set(differing(files, root, topics))
    whole = {path: path.read_bytes() for path in files_below(root) if path not in gone} | files
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=root))
    try:
        staging.chmod(golden.stat().st_mode)
        for path, content in whole.items():
            place = staging / (path.relative_to(golden) if path.is_relative_to(golden) else path.name)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
        for path in whole:
            if not path.is_relative_to(golden):
                (staging / path.name).replace(path)
        exchange(staging, golden)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Remove what killed builds left; a running one is less than an hour old.

    If a file system cannot exchange folders, the only whole corpus may be set aside (`exchange`): it is restored.
    """
    for aside in root.glob(f"{_STAGING}*{ASIDE}"):
        if (root / GOLDEN).exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(root / GOLDEN)
    for left in root.glob(f"{_STAGING}*"):
        if not left.name.endswith(ASIDE) and time.time() - left.stat().st_mtime > 3600:
            shutil.rmtree(left, ignore_errors=True)


def _confirmed(case: Case, old: Case | None, seen: frozenset[str], *, confirm: bool) -> Case:
    """Return a case with the kernels that confirmed it before, the running one if it is to be named, and those `seen`.

    They confirmed the case as it was: if its bytes or its answers have changed, only the running kernel counts.
    """
    if old is None or (old.digest, old.kernel) != (case.digest, case.kernel) or not case.confirmed:
        return case
    kernels = {*old.confirmed, *seen, *(case.confirmed if confirm else ())}
    return msgspec.structs.replace(case, confirmed=tuple(sorted(kernels)))


def _handed_here(cases: Iterable[Case], traits: frozenset[str]) -> dict[str, tuple[Reached, ...]]:
    """Return what the running kernel hands over, by case id."""
    with lab.RunningKernel() as kernel:
        return handed_over(cases, traits, sending_on(kernel), version_of(os.uname().release))


def _knows(cases: Iterable[Case], release: str) -> bool:
    """Whether a kernel is among those that handed over some case."""
    return any(release in one.releases for case in cases for one in case.reached)


def _reached(
    case: Case, old: Case | None, here: Iterable[Reached], elsewhere: Iterable[Reached], *, known: bool
) -> Case:
    """Return a case with the kernels that handed it over before, those of guests, and, if `known`, the running one.

    Only the input counts: what must be done with it has no bearing on who hands it over.
    """
    if old is None or old.input != case.input:
        return with_reach(case, merged((), (*here, *elsewhere)))
    return with_reach(case, merged(old.reached, (*(here if known else ()), *elsewhere)))


def _old_cases(root: Path) -> dict[str, Case]:
    return {case.id: case for path in files_below(root) for case in load_file(path).cases}


def _check_ids(written: list[Draft]) -> None:
    seen: set[str] = set()
    for draft in written:
        if draft.id in seen:
            raise CorpusError("(authors)", draft.id, "id", "is used twice")
        seen.add(draft.id)
    for draft in written:
        if draft.sibling is not None and draft.sibling not in seen:
            raise CorpusError("(authors)", draft.id, "sibling", f"{draft.sibling} does not exist")
        for flag in draft.flags:
            if flag not in FLAGS:
                raise CorpusError("(authors)", draft.id, "flags", f"{flag} is not explained in flags")
        for trait in {trait for rule in draft.kernels for trait in rule.when}:
            if trait not in TRAITS:
                raise CorpusError("(authors)", draft.id, "kernels", f"{trait} is not in traits.py")


def _encode(topic: str, cases: list[Case]) -> bytes:
    used = sorted({flag for case in cases for flag in case.flags})
    traits = sorted({trait for case in cases for trait in case.traits})
    file = CorpusFile(
        format=FORMAT,
        topic=topic,
        flags={name: FLAGS[name] for name in used},
        traits={name: TRAITS[name] for name in traits},
        cases=tuple(cases),
    )
    return formatted(file)
