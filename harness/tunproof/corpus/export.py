"""The corpus for others: a folder to vendor without our runner, and a capture for Wireshark.

Everything is written whole or not at all: it is created next to its destination and renamed.
"""

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tio.virtio import HEADER_SIZE
from tunproof.corpus import schema
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    CorpusFile,
    Joined,
    LifecycleCase,
    Packets,
    ReadCase,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    Written,
)
from tunproof.corpus.codec import formatted
from tunproof.corpus.load import CORPORA, GOLDEN, Corpus, files_below, load_file
from tunproof.corpus.model import FORMAT
from tunproof.corpus.script import Feed, Frames, ReadPackets, StartWrite, WriteGsoStep, WriteStep
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.packets import pcapng, picture
from tunproof.packets.summing import completed_frame
from tunproof.version import __version__

__all__ = ["MANIFEST", "Shown", "capture", "export_folder", "export_pcapng", "folder_files", "packets_in", "packets_of"]

MANIFEST = "MANIFEST.json"
"""What is in an exported folder: the digest of every case, and the SHA-256 of every other file."""

_FORMAT = "tunproof-export/1"


def export_pcapng(target: Path, cases: Iterable[Case]) -> int:
    """Write a capture of these cases and return how many packets are in it.

    Raises `UsageError` if they have no packets or `target` cannot be a file, and `OSError`.
    """
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}")
    if target.exists() and not target.is_file():
        raise UsageError(f"{target} is not a file; name one that may be replaced")
    packets, content = capture(cases)
    if not packets:
        raise UsageError("none of the selected cases has packets to show; those of read and write_gso have")
    staging = target.with_name(f".{target.name}.exporting")
    try:
        staging.write_bytes(content)
        staging.replace(target)
    finally:
        staging.unlink(missing_ok=True)
    return packets


def export_folder(target: Path, cases: Iterable[Case], corpus: Corpus, root: Path = CORPORA) -> dict[str, bytes]:
    """Write a folder of these cases and of their siblings, and return its files by name.

    Raises `UsageError` if `target` holds anything but an earlier export, `EnvironmentProblem`, and `OSError`.
    """
    target = target.absolute()
    _check_target(target)
    files = folder_files(cases, corpus, root)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.exporting-", dir=target.parent))
    try:
        new, old = staging / "new", staging / "old"
        for name, content in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return files


def folder_files(cases: Iterable[Case], corpus: Corpus, root: Path = CORPORA) -> dict[str, bytes]:
    """Return the content of every file of an exported folder, manifest included."""
    wanted = _with_siblings(cases, corpus)
    files = _case_files(wanted, root)
    schemas = schema.schemas()
    for op in sorted({case.id.partition("/")[0] for case in wanted.values()}):
        files[f"{schema.FOLDER}/{schema.file_name(op)}"] = schemas[schema.file_name(op)]
    files["README.md"] = _readme(root)
    files["LICENSE"] = _license(root)
    manifest = {
        "format": _FORMAT,
        "corpus": FORMAT,
        "version": __version__,
        "cases": {case.id: case.digest for case in wanted.values()},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    files[MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
    return files


def _with_siblings(cases: Iterable[Case], corpus: Corpus) -> dict[str, Case]:
    """Return the cases by id, including the valid siblings that they name: a corpus without them is broken."""
    wanted = {case.id for case in cases}
    waiting = list(wanted)
    while waiting:
        sibling = corpus.cases[waiting.pop()].sibling
        if sibling is not None and sibling not in wanted:
            wanted.add(sibling)
            waiting.append(sibling)
    return {case_id: case for case_id, case in corpus.cases.items() if case_id in wanted}


def _case_files(wanted: dict[str, Case], root: Path) -> dict[str, bytes]:
    files = {}
    for path in files_below(root):
        name = f"{GOLDEN}/{path.parent.name}/{path.name}"
        file = load_file(path)
        kept = tuple(case for case in file.cases if case.id in wanted)
        if len(kept) == len(file.cases):
            files[name] = path.read_bytes()
        elif kept:
            files[name] = _encoded(_only(file, kept))
    return files


def _only(file: CorpusFile, kept: tuple[Case, ...]) -> CorpusFile:
    """Return a file of some of its cases, with the explanations for these."""
    flags = {flag for case in kept for flag in case.flags}
    traits = {trait for case in kept for trait in case.traits}
    return msgspec.structs.replace(
        file,
        cases=kept,
        flags={name: flag for name, flag in file.flags.items() if name in flags},
        traits={name: trait for name, trait in file.traits.items() if name in traits},
    )


def _encoded(file: CorpusFile) -> bytes:
    return formatted(file)


def _readme(root: Path) -> bytes:
    """Return the format's manual, which is beside the cases."""
    for path in (root / "README.md", CORPORA / "README.md"):
        if path.is_file():
            return path.read_bytes()
    raise EnvironmentProblem(f"{CORPORA} has no README.md, the manual of the format", cure="reinstall tunproof")


def _license(root: Path) -> bytes:
    """Return the licence: from the checkout, or from the installation."""
    path = root.resolve().parent / "LICENSE"
    if path.is_file():
        return path.read_bytes()
    try:
        files = importlib.metadata.files("tunproof") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "LICENSE":
            return file.locate().read_bytes()  # type: ignore[attr-defined, no-any-return]
    raise EnvironmentProblem("the LICENSE is missing from this installation", cure="reinstall tunproof")


def _check_target(target: Path) -> None:
    """Refuse a target if anything else would be lost."""
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}")
    if not target.exists():
        return
    if not target.is_dir() or target.is_symlink():
        raise UsageError(f"{target} is not a folder; name one that is empty or does not exist")
    found = {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}
    if found:
        _check_earlier(target, found)


def _check_earlier(target: Path, found: set[str]) -> None:
    cure = "name another folder, or empty this one yourself"
    try:
        manifest = json.loads((target / MANIFEST).read_bytes())
        earlier = {MANIFEST, *manifest["files"]} if manifest["format"] == _FORMAT else None
    except (OSError, ValueError, LookupError, TypeError):
        earlier = None
    if earlier is None:
        raise UsageError(f"{target} is neither empty nor an earlier export: {cure}")
    if foreign := sorted(found - earlier):
        raise UsageError(f"{target} is an earlier export, but also holds {foreign[0]}, which would be lost: {cure}")


# The capture.


@dataclass(frozen=True, slots=True)
class Shown:
    """A packet of a case: its bytes, what it is, and whether it is input or expected output."""

    packet: bytes
    what: str
    goes_in: bool


def capture(cases: Iterable[Case]) -> tuple[int, bytes]:
    """Return how many packets these cases have, and a pcapng file of them, each with a comment that names its case."""
    packets = [
        pcapng.Captured(packet=shown.packet, comment=f"{case.id}\n{shown.what}\n{case.about}", goes_in=shown.goes_in)
        for case in cases
        for shown in packets_of(case)
    ]
    return len(packets), pcapng.capture(["corpus"], packets)


def packets_of(case: Case) -> Iterator[Shown]:
    """Yield input and expected output as packets. A case of `header` has none."""
    if isinstance(case, LifecycleCase):
        yield from _of_steps(case)
        return
    yield from packets_in(case)
    yield from _expected(case)


def packets_in(case: Case) -> Iterator[Shown]:
    """Yield what goes in, as packets. A case of `header` has none."""
    match case:
        case ReadCase(input=given):
            yield from _numbered("before", given.before, framed=True)
            yield _frame("in", given.frame)
        case WriteCase(input=given):
            yield from _numbered("before", given.before)
            yield Shown(given.packet, "in", goes_in=True)
        case WriteGsoCase(input=given):
            what = f"in, headers and {len(given.pays)} fragments joined"
            yield Shown(given.whole, what, goes_in=True)
        case WriteBatchCase(input=given):
            for number, batch in enumerate(given.before):
                yield from _numbered(f"before, batch {number + 1}", batch)
            yield from _numbered("in", given.packets)
        case ChecksumCase(input=given):
            yield _frame("in, as sent to a kernel", completed_frame(given.data, given.initial)[0])
        case LifecycleCase():
            yield from (shown for shown in _of_steps(case) if shown.goes_in)


def _expected(case: Case) -> Iterator[Shown]:
    if isinstance(case, ChecksumCase):
        _, right = completed_frame(case.input.data, case.input.initial)
        yield Shown(right, "expected packet 1 of 1", goes_in=False)
    match case.expect:
        case Packets(packets=packets):
            yield from _numbered("expected packet", packets, goes_in=False)
        case Written(header=header, segments=segments):
            yield from _numbered(
                f"written after {picture.vnet_words(header)}; expected packet", segments, goes_in=False
            )
        case Joined(example=frames):
            for number, frame in enumerate(frames):
                what = f"frame {number + 1} of {len(frames)} of one correct answer"
                yield _frame(what, frame, goes_in=False)


def _of_steps(case: LifecycleCase) -> Iterator[Shown]:
    """Yield the packets of a lifecycle's steps and of the first correct answer to each."""
    framed = case.input.backend == "offload"
    for number, (step, answers) in enumerate(zip(case.input.steps, case.expect.answers, strict=True)):
        match step:
            case Feed(frame=frame) if framed:
                yield _frame(f"step {number}, in", frame)
            case Feed(frame=packet) | WriteStep(packet=packet) | StartWrite(packet=packet):
                yield Shown(packet, f"step {number}, in", goes_in=True)
            case WriteGsoStep():
                joined = step.hdr + step.transport_hdr + b"".join(step.pays)
                yield Shown(joined, f"step {number}, in, headers and fragments joined", goes_in=True)
        match answers[0]:
            case ReadPackets(packets=packets) | Frames(packets=packets):
                yield from _numbered(f"step {number}, expected packet", packets, goes_in=False)


def _numbered(what: str, packets: Sequence[bytes], *, framed: bool = False, goes_in: bool = True) -> Iterator[Shown]:
    for number, packet in enumerate(packets):
        text = f"{what} {number + 1} of {len(packets)}"
        yield _frame(text, packet, goes_in=goes_in) if framed else Shown(packet, text, goes_in)


def _frame(what: str, frame: bytes, *, goes_in: bool = True) -> Shown:
    """Return the packet of a frame, its vnet header in words."""
    return Shown(frame[HEADER_SIZE:], f"{what}: {picture.vnet_words(frame)}", goes_in)
