"""Reading the corpus: a file that is not exactly right is refused, with file, case, field and reason."""

import errno
import fnmatch
from pathlib import Path

import msgspec

from tunproof.corpus.model import (
    FORMAT,
    Case,
    CorpusFile,
    KernelDelivers,
    KernelLost,
    KernelNotAsked,
    KernelRefused,
    KernelSame,
    Refused,
    Rejected,
    digest_of,
)
from tunproof.errors import CorpusError, UsageError

__all__ = ["CORPORA", "Corpus", "load", "load_file"]

CORPORA = Path(__file__).parent.parent / "corpora"
"""Where the cases are: a symlink in a checkout, a folder in an installed wheel."""

_DECODER = msgspec.json.Decoder(CorpusFile)


class Corpus:
    """Cases by id, in the order of files and of cases in a file, and the flags that explain them."""

    def __init__(self, files: list[CorpusFile]) -> None:
        self.cases: dict[str, Case] = {case.id: case for file in files for case in file.cases}
        self.flags = {name: flag for file in files for name, flag in file.flags.items()}

    def select(self, pattern: str) -> list[Case]:
        """Return the cases whose id matches a glob. Raises `UsageError` if there is none."""
        found = [case for case in self.cases.values() if fnmatch.fnmatchcase(case.id, pattern)]
        if not found:
            raise UsageError(f"no case matches {pattern!r}; ids look like {next(iter(self.cases), 'read/tcp4/name')}")
        return found


def load(root: Path = CORPORA) -> Corpus:
    """Return all cases below `root`. Raises `CorpusError`."""
    paths = sorted(root.glob("*/*.json"))
    if not paths:
        raise CorpusError(str(root), "-", "-", "there are no cases here; `tunproof corpus build` makes them")
    files = []
    seen: dict[str, Path] = {}
    for path in paths:
        file = load_file(path)
        for case in file.cases:
            if case.id in seen:
                raise CorpusError(str(path), case.id, "id", f"stands in {seen[case.id]} too")
            seen[case.id] = path
        files.append(file)
    for case in (case for file in files for case in file.cases):
        if case.sibling is not None and case.sibling not in seen:
            raise CorpusError(str(seen[case.id]), case.id, "sibling", f"{case.sibling!r} does not exist")
    return Corpus(files)


def load_file(path: Path) -> CorpusFile:
    """Return the cases of one file. Raises `CorpusError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(str(path), "-", "-", str(error)) from error
    _check_format(path, content)
    try:
        file = _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorpusError(str(path), _id_near(content, str(error)), *_field_and_reason(str(error))) from error
    for case in file.cases:
        _check_case(path, file, case)
    return file


def _check_format(path: Path, content: bytes) -> None:
    """Refuse a file of another version before its unknown keys are complained of."""

    class Head(msgspec.Struct):
        format: str = ""

    try:
        found = msgspec.json.decode(content, type=Head).format
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorpusError(str(path), "-", "-", f"not JSON, or cut off: {error}") from error
    if found != FORMAT:
        raise CorpusError(str(path), "-", "format", f"is {found!r}; this tunproof reads {FORMAT!r}")


def _check_case(path: Path, file: CorpusFile, case: Case) -> None:
    """Check what the types cannot say."""
    digest = digest_of(case.input, case.expect, case.kernel)
    if case.digest != digest:
        raise CorpusError(str(path), case.id, "digest", f"is {case.digest}, the bytes give {digest}")
    reason = _contradiction(case)
    if reason:
        raise CorpusError(str(path), case.id, "kernel", reason)
    for flag in case.flags:
        if flag not in file.flags:
            raise CorpusError(str(path), case.id, "flags", f"{flag!r} is not explained in this file")
    if not case.id.startswith(f"{path.parent.name}/{file.topic}/"):
        raise CorpusError(str(path), case.id, "id", f"does not begin with {path.parent.name}/{file.topic}/")


def _contradiction(case: Case) -> str | None:
    """Return why `expect` and `kernel` cannot both be right, if they cannot."""
    match case.kernel:
        case KernelRefused(errno=name) if name not in errno.errorcode.values():
            return f"{name!r} is no errno"
        case KernelSame() if isinstance(case.expect, Rejected | Refused):
            return "is the same as an outcome without packets"
        case KernelNotAsked() if not isinstance(case.expect, Refused):
            return "is not asked, but a frame is written"
        case KernelSame() | KernelDelivers() | KernelRefused() | KernelLost() if isinstance(case.expect, Refused):
            return "is asked, but nothing is written"
    return None


def _field_and_reason(message: str) -> tuple[str, str]:
    """Split what msgspec says ("... - at `$.cases[3].level`") into field and reason."""
    reason, separator, place = message.partition(" - at `")
    return (place.rstrip("`"), reason) if separator else ("-", message)


def _id_near(content: bytes, message: str) -> str:
    """Return the id of the case that a message of msgspec is about, if it names one."""
    _, _, rest = message.partition("$.cases[")
    index = rest.partition("]")[0]
    try:
        return str(msgspec.json.decode(content)["cases"][int(index)]["id"])
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        return "-"
