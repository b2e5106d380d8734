"""Reading the corpus: a file that is not exactly right is rejected, with file, case, field and reason."""

import copy
import errno
import fnmatch
import gc
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tunproof.corpus.cases import (
    OPERATIONS,
    Case,
    CorpusFile,
    Joined,
    LifecycleCase,
    MustRefuse,
    MustReject,
    Nothing,
    Packets,
    ReadCase,
    Sum,
    Written,
)
from tunproof.corpus.codec import decoder
from tunproof.corpus.model import FORMAT, KernelRefuses, KernelSame, digest_of, fits
from tunproof.errors import CorpusError, UsageError

__all__ = ["CORPORA", "GOLDEN", "Corpus", "files_below", "load", "load_file", "load_for_good"]

CORPORA = Path(__file__).parent.parent / "corpora"
"""Where the cases are: a symlink in a checkout, a folder in an installed wheel."""

GOLDEN = "golden"
"""The folder in it that holds the cases and nothing else, so that it can be replaced in one step."""

_DECODER = decoder(CorpusFile)


class Corpus:
    """Cases by id, in the order of files and of cases in a file, and the flags that explain them."""

    def __init__(self, files: list[CorpusFile]) -> None:
        self.cases: dict[str, Case] = {case.id: case for file in files for case in file.cases}
        self.flags = {name: flag for file in files for name, flag in file.flags.items()}
        self.traits = {name: trait for file in files for name, trait in file.traits.items()}

    def select(self, pattern: str) -> list[Case]:
        """Return the cases whose id matches a glob. Raises `UsageError` if there is none."""
        found = [case for case in self.cases.values() if fnmatch.fnmatchcase(case.id, pattern)]
        if not found:
            raise UsageError(f"no case matches {pattern!r}; ids look like {next(iter(self.cases), 'read/tcp4/name')}")
        return found

    def narrowed(self, pattern: str) -> "Corpus":
        """Return the corpus with only the cases whose id matches a glob. Raises `UsageError` if there is none."""
        narrow = copy.copy(self)
        narrow.cases = {case.id: case for case in self.select(pattern)}
        return narrow


def load_for_good(root: Path = CORPORA) -> Corpus:
    """Return all cases below `root`, for a process that keeps them to its end. Raises `CorpusError`.

    They are many objects, so they and everything else loaded so far are frozen out of garbage collection.
    """
    corpus = load(root)
    gc.freeze()
    return corpus


def load(root: Path = CORPORA) -> Corpus:
    """Return all cases below `root`. Raises `CorpusError`."""
    paths = files_below(root)
    if not paths:
        raise CorpusError(str(root), "-", "-", "there are no cases here; `tunproof corpus build` makes them")
    files = []
    seen: dict[str, Path] = {}
    for path in paths:
        file = load_file(path)
        for case in file.cases:
            if case.id in seen:
                raise CorpusError(str(path), case.id, "id", f"is also in {seen[case.id]}")
            seen[case.id] = path
        files.append(file)
    for case in (case for file in files for case in file.cases):
        if case.sibling is not None and case.sibling not in seen:
            raise CorpusError(str(seen[case.id]), case.id, "sibling", f"{case.sibling!r} does not exist")
    return Corpus(files)


def files_below(root: Path) -> list[Path]:
    """Return the corpus files: golden/OPERATION/TOPIC.json."""
    return [path for op in sorted(OPERATIONS) for path in sorted((root / GOLDEN / op).glob("*.json"))]


def load_file(path: Path) -> CorpusFile:
    """Return the cases of one file. Raises `CorpusError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(str(path), "-", "-", str(error)) from error
    _check_format(path, content)
    try:
        file: CorpusFile = _DECODER.decode(content)
    except _UNREADABLE as error:
        raise CorpusError(str(path), _id_near(content, str(error)), *_field_and_reason(str(error))) from error
    for case in file.cases:
        _check_case(path, file, case)
    return file


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for invalid JSON, or JSON that is nested too deeply."""

_MOST_TRAITS = 10


def _check_format(path: Path, content: bytes) -> None:
    """Reject a file of another version before complaining about its unknown keys."""

    class Head(msgspec.Struct):
        format: str = ""

    try:
        found = msgspec.json.decode(content, type=Head).format
    except _UNREADABLE as error:
        raise CorpusError(str(path), "-", "-", f"not JSON, or truncated: {error}") from error
    if found != FORMAT:
        raise CorpusError(str(path), "-", "format", f"is {found!r}; this tunproof reads {FORMAT!r}")


def _check_case(path: Path, file: CorpusFile, case: Case) -> None:
    """Check what the types cannot express."""
    digest = digest_of(case.input, case.expect)
    if case.digest != digest:
        raise CorpusError(str(path), case.id, "digest", f"is {case.digest}, but the bytes give {digest}")
    for field, reason in _contradictions(case):
        raise CorpusError(str(path), case.id, field, reason)
    for flag in case.flags:
        if flag not in file.flags:
            raise CorpusError(str(path), case.id, "flags", f"{flag!r} is not explained in this file")
    for trait in sorted(case.traits):
        if trait not in file.traits:
            raise CorpusError(str(path), case.id, "kernel", f"the trait {trait!r} is not explained in this file")
    if not case.id.startswith(f"{path.parent.name}/{file.topic}/"):
        raise CorpusError(str(path), case.id, "id", f"does not begin with {path.parent.name}/{file.topic}/")


def _contradictions(case: Case) -> Iterator[tuple[str, str]]:
    """Yield field and reason for what cannot be right, whatever the bytes are."""
    for answer in case.kernel:
        if isinstance(answer, KernelRefuses) and answer.errno not in errno.errorcode.values():
            yield "kernel", f"{answer.errno!r} is not an errno"
        if isinstance(answer, KernelSame) and isinstance(case.expect, MustReject):
            yield "kernel", "is the same as an outcome without packets"
    if case.kernel and isinstance(case.expect, MustRefuse | Nothing):
        yield "kernel", "has answers, but nothing is written"
    if not case.kernel and isinstance(case.expect, Packets | Sum | Written | Joined):
        yield "kernel", "has no answers, but could be sent a frame"
    if case.reached and case.reach != "kernel":
        yield "reached", f"names kernels that hand it over, but its reach is {case.reach}"
    if isinstance(case, ReadCase) and case.reach == "kernel" and not case.reached:
        yield "reached", "is empty: no kernel was seen to hand it over, but its reach is kernel"
    if case.kernel:
        yield from _ambiguities(case)
    if isinstance(case, LifecycleCase) and len(case.input.steps) != len(case.expect.answers):
        yield "expect", f"has {len(case.expect.answers)} answers for {len(case.input.steps)} steps"


def _ambiguities(case: Case) -> Iterator[tuple[str, str]]:
    """Yield kinds of kernels, by the traits that the case names, for which not exactly one answer applies."""
    names = sorted(case.traits)
    if len(names) > _MOST_TRAITS:
        yield (
            "traits",
            f"{len(names)} traits: a case names at most {_MOST_TRAITS}, because every kind of kernel is checked",
        )
        return
    for values in itertools.product((True, False), repeat=len(names)):
        kind = frozenset(itertools.compress(names, values))
        fitting = sum(fits(answer.when, kind) for answer in case.kernel)
        if fitting != 1:
            which = ", ".join(f"{name} {'yes' if name in kind else 'no'}" for name in names) or "any kernel"
            yield "kernel", f"{fitting} answers apply to a kernel with {which}"


def _field_and_reason(message: str) -> tuple[str, str]:
    """Split msgspec's message ("... - at `$.cases[3].level`") into field and reason."""
    reason, separator, place = message.partition(" - at `")
    return (place.rstrip("`"), reason) if separator else ("-", message)


def _id_near(content: bytes, message: str) -> str:
    """Return the id of the case that msgspec's message is about, if it names one."""
    _, _, rest = message.partition("$.cases[")
    index = rest.partition("]")[0]
    try:
        return str(msgspec.json.decode(content)["cases"][int(index)]["id"])
    except (*_UNREADABLE, LookupError, TypeError, ValueError):
        return "-"
