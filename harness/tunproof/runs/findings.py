"""Findings: what fuzzing found, each in a folder of its own that is there whole or not at all.

    OUT/KIND-RULE-DIGEST/
        finding.json    everything that is known (`Finding`)
        case.json       the same as a case of the corpus, as far as it is known; only for what a case can say
        frames.pcapng   what was sent, what was expected and what was got, for Wireshark and tshark; where there is any
        repro.txt       what differs, in words, and the command that repeats it

The folder's name follows from what was found: the same thing found twice, by two workers even, is kept once.
"""

import dataclasses
import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from tio.linux import REDIRECT
from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import OPERATIONS, Case
from tunproof.corpus.model import digest_of
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.packets import pcapng
from tunproof.packets.difference import describe_packets
from tunproof.packets.picture import vnet_words
from tunproof.text import legible, shortened
from tunproof.version import __version__

__all__ = [
    "CAPTURE",
    "CASE",
    "FINDING",
    "REPRO",
    "Finding",
    "in_folder",
    "keep",
    "load",
    "outcome_words",
    "prepare",
    "slug_of",
]

FINDING = "finding.json"
CASE = "case.json"
CAPTURE = "frames.pcapng"
REPRO = "repro.txt"

_FORMAT = 1
_STAGING = ".tmp-"
_ABANDONED = 3600  # seconds after which nobody is writing a staging folder any more
_LONGEST_SLUG = 60
_LONGEST_INPUT = 2000  # characters of an error's message
_LONGEST_PACKET = 0x40000  # bytes that Wireshark takes at once (WTAP_MAX_PACKET_SIZE_STANDARD)
_IRRELEVANT = {"mtu", "reader_header_size", "gso_max_segs"}  # to a frame that is redirected to a plain reader

_CURES = {
    errno.ENOSPC: "free some space, or name a folder on another file system with --out",
    errno.EDQUOT: "free some of your quota, or name a folder on another file system with --out",
    errno.ENOTDIR: "name a folder with --out: what stands there is a file",
    errno.EEXIST: "name a folder with --out: what stands there is a file",
}
_ELSEWHERE = "name a folder that you may write to with --out"
_SENT, _EXPECTED, _GOT = range(3)
_INTERFACES = ("sent", "expected", "got")


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is not as it should be, with all that is needed to see it again.

    Attributes:
        format: of the file.
        kind: "kernel": model and kernel differ; "adapter": reference and adapter differ; "target": an invariant of a
            fuzz target does not hold; "property": an invariant of a property test does not hold.
        title: what differs, in one line.
        rule: the rule or field that seems broken. Findings of one rule are probably one bug.
        operation: of the corpus, such as "read"; "" where none of them was asked.
        input: what went in, as a case of that operation has it. Bytes are hex.
        way: how the frame travelled, the fields of `tio.linux.Way`; empty where there was no frame.
        expected, got: what should have happened and what did: `{"outcome": "refused", "errno": "EINVAL"}`,
            `{"outcome": "lost"}`, `{"outcome": "delivered", "packets": [hex]}`, or an outcome of another name, with
            `"detail"` in words.
        flags: the corpus's classes of bugs that this resembles.
        traits: those of the kernel, as probed.
        kernel: its release.
        subject: who gave the wrong answer, such as an adapter's name.
        seed, case_number: of the campaign, and the number of the case in it.
        repro: one shell command that shows it again.
        details: a trace, or whatever helps.
        version: of tunproof.
    """

    format: int = _FORMAT
    kind: Literal["kernel", "adapter", "target", "property"]
    title: str
    rule: str
    operation: str = ""
    input: dict[str, Any]
    way: dict[str, Any] = msgspec.field(default_factory=dict)
    expected: dict[str, Any]
    got: dict[str, Any]
    flags: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    kernel: str = ""
    subject: str = ""
    seed: int | None = None
    case_number: int | None = None
    repro: str
    details: str = ""
    version: str = __version__

    @property
    def digest(self) -> str:
        """What makes two findings the same one: 16 hex digits of what was asked, how, and what it broke."""
        same = msgspec.json.encode([self.kind, self.rule, self.operation, self.input, self.way], order="sorted")
        return hashlib.sha256(same).hexdigest()[:16]

    @property
    def redirected(self) -> bool:
        """Whether its frame, if any, travelled as those of the corpus do: nothing but `tc redirect` in between."""
        usual = dataclasses.asdict(REDIRECT)
        return all(self.way.get(name, value) == value for name, value in usual.items() if name not in _IRRELEVANT)

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.kind}-{slug_of(self.rule)}-{self.digest[:8]}"


def keep(out: Path, finding: Finding, *, instead_of: Path | None = None) -> Path:
    """Put a finding into `out`, which is made if need be, and return its folder; it is on disk by then.

    `instead_of` is the folder of what was known of it before: it goes, but not before this one is there.
    Raises `EnvironmentProblem` where it cannot be written; the message has what is needed to repeat it.
    """
    folder = out / finding.folder
    try:
        if not (folder / FINDING).exists():
            out.mkdir(parents=True, exist_ok=True)
            _sweep(out)
            _put(folder, _files(finding))
        elif folder == instead_of:
            _rewrite(folder, _files(finding))
        if instead_of is not None and instead_of != folder:
            _remove(instead_of)
    except OSError as error:
        raise _unkept(out, finding, error) from error
    return folder


def prepare(out: Path) -> None:
    """Make sure that findings can be kept in `out` before any is there. Raises `EnvironmentProblem`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(prefix=_STAGING, dir=out)).rmdir()
    except OSError as error:
        cure = _CURES.get(error.errno or 0, _ELSEWHERE)
        raise EnvironmentProblem(f"{out}: findings cannot be kept there: {error.strerror}", cure=cure) from error


def load(path: Path) -> Finding:
    """Return the finding of a folder, or of its finding.json. Raises `UsageError` with file and reason."""
    file = path / FINDING if path.is_dir() else path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror}; name the folder of a finding, such as tunproof-findings/NAME"
        ) from error
    try:
        finding = msgspec.json.decode(content, type=Finding)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: no finding, or a damaged one: {error}") from error
    if finding.format != _FORMAT:
        raise UsageError(f"{file}: format is {finding.format}; this tunproof reads format {_FORMAT}")
    return finding


def in_folder(out: Path) -> list[Path]:
    """Return the folders of the findings in `out`, by name; none where there is no such folder."""
    return sorted(path.parent for path in out.glob(f"[!.]*/{FINDING}"))


def slug_of(rule: str) -> str:
    """Return what is left of a rule's name in the name of a folder or a case: lower-case letters, digits, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", rule.lower())[:_LONGEST_SLUG].strip("-") or "unnamed"


# On disk.


def _put(folder: Path, files: dict[str, bytes]) -> None:
    """Write a folder beside its place, and rename it there once all of it is on disk."""
    try:
        with _staged(folder.parent, files) as staging:
            staging.chmod(folder.parent.stat().st_mode)  # mkdtemp's is for its owner alone
            _sync(staging)
            staging.rename(folder)
            _sync(folder.parent)
    except OSError:
        if not (folder / FINDING).exists():  # else another worker was faster
            raise


def _rewrite(folder: Path, files: dict[str, bytes]) -> None:
    """Say something else of what is there already, file by file: each is the old one or the new one."""
    with _staged(folder.parent, files) as staging:
        for name in files:
            (staging / name).replace(folder / name)
        _sync(folder)


def _remove(folder: Path) -> None:
    """Remove a folder, of which nothing is left that looks like a finding; where it cannot go, it stays as one."""
    with suppress(OSError):
        aside = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder.parent))
        try:
            folder.rename(aside)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _staged(out: Path, files: dict[str, bytes]) -> Iterator[Path]:
    """Write files into a folder beside their place; what of it is still there at the end is removed."""
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=out))
    try:
        for name, content in files.items():
            with (staging / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _sweep(out: Path) -> None:
    """Remove what writers left that were killed."""
    for left in out.glob(f"{_STAGING}*"):
        try:
            abandoned = time.time() - left.stat().st_mtime > _ABANDONED
        except FileNotFoundError:
            continue  # its writer has just renamed it
        if abandoned:
            shutil.rmtree(left, ignore_errors=True)


def _unkept(out: Path, finding: Finding, error: OSError) -> EnvironmentProblem:
    given = shortened(msgspec.json.encode(finding.input).decode(), _LONGEST_INPUT)
    what = (
        f"{out}: a finding cannot be kept: {error.strerror}\n"
        f"  finding: {finding.title}\n  repeat: {finding.repro}\n  input: {given}"
    )
    return EnvironmentProblem(what, cure=_CURES.get(error.errno or 0, _ELSEWHERE))


# What is in the folder.


def _files(finding: Finding) -> dict[str, bytes]:
    files = {FINDING: _json(finding), REPRO: legible(_told(finding)).encode()}
    if finding.operation in OPERATIONS and finding.redirected:
        files[CASE] = _json(_case(finding))
    if packets := list(_packets(finding)):
        files[CAPTURE] = pcapng.capture(_INTERFACES, packets)
    return files


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _told(finding: Finding) -> str:
    lines = [
        finding.title,
        "",
        f"  rule      {finding.rule}",
        f"  expected  {outcome_words(finding.expected)}",
        f"  got       {outcome_words(finding.got)}",
    ]
    known = {"subject": finding.subject, "kernel": finding.kernel, "resembles": ", ".join(finding.flags)}
    lines += [f"  {name:<9} {value}" for name, value in known.items() if value]
    if finding.seed is not None:
        number = "" if finding.case_number is None else f", case {finding.case_number}"
        lines.append(f"  seed      {finding.seed}{number}")
    lines += ["", "To see it again:", "", f"  {finding.repro}", ""]
    if finding.details:
        lines += [finding.details.rstrip(), ""]
    return "\n".join(lines)


def outcome_words(outcome: dict[str, Any]) -> str:
    """Return what happened in one line."""
    packets = _shown(outcome)
    words = [str(outcome.get("outcome", "nothing known"))]
    words += [f"with {outcome['errno']}"] if "errno" in outcome else []
    words += [describe_packets(packets)] if packets else []
    detail = outcome.get("detail", "")
    return " ".join(words) + (f": {detail}" if detail else "")


def _case(finding: Finding) -> dict[str, Any]:
    """Return a finding as a case of the corpus. `tunproof corpus promote` makes author code, which records the rest."""
    case = {
        "id": f"{finding.operation}/found/{slug_of(finding.rule)}",
        "digest": f"sha256:{'0' * 64}",
        "about": finding.title,
        "flags": finding.flags or ("Basic",),
        "level": "must",
        "importance": "high",
        "basis": [{"kind": "observed", "ref": f"Linux {finding.kernel}" if finding.kernel else finding.subject}],
        "op": finding.operation,
        "input": finding.input,
        "expect": _expectation(finding),
        "kernel": [finding.got] if finding.kind == "kernel" else [],
    }
    try:
        known = msgspec.convert(case, Case)
    except msgspec.ValidationError:
        return case
    return case | {"digest": digest_of(known.input, known.expect)}


def _expectation(finding: Finding) -> dict[str, Any]:
    """Return what was expected in the words of a case; what only a kernel says is a packet turned down."""
    match finding.expected:
        case {"outcome": "delivered", "packets": packets} if finding.operation == "read":
            return {"outcome": "packets", "packets": packets}
        case {"outcome": "refused" | "lost"} if finding.operation in {"read", "write", "write_gso"}:
            fault = {"rule": finding.rule, "field": "unknown", "offset": 0, "found": finding.title}
            return {"outcome": "rejected" if finding.operation == "read" else "refused", "fault": fault}
    return finding.expected


# The capture.


def _packets(finding: Finding) -> Iterator[pcapng.Captured]:
    head = f"{finding.folder}\n{finding.title}\n{finding.rule}"
    written = int(finding.way.get("header_size", HEADER_SIZE))
    framed = "frame" in finding.input
    yield from _captured(head, _SENT, _given(finding.input), written if framed else 0)
    read = int(finding.way.get("reader_header_size", HEADER_SIZE)) if finding.way.get("reader") is not None else 0
    for interface, outcome in ((_EXPECTED, finding.expected), (_GOT, finding.got)):
        size = HEADER_SIZE if "frames" in outcome else read
        yield from _captured(head, interface, _shown(outcome), size)


def _given(given: dict[str, Any]) -> list[bytes]:
    """Return the frame or the packets of a case's input; none where it has bytes of another kind."""
    match given:
        case {"frame": one} | {"packet": one}:
            return _bytes([one])
        case {"hdr": hdr, "transport_hdr": transport, "pays": [*pays]}:
            return [b"".join(_bytes([hdr, transport, *pays]))]
        case {"packets": [*packets]}:
            return _bytes(packets)
    return []


def _shown(outcome: dict[str, Any]) -> list[bytes]:
    """Return the packets, or the frames, of an outcome."""
    match outcome:
        case {"packets": [*found]} | {"segments": [*found]} | {"frames": [*found]}:
            return _bytes(found)
    return []


def _bytes(texts: list[Any]) -> list[bytes]:
    """Return what is hex; an adapter may have said anything."""
    found = []
    for text in texts:
        try:
            found.append(bytes.fromhex(text))
        except (TypeError, ValueError):
            continue
    return found


def _captured(head: str, interface: int, pieces: list[bytes], header_size: int) -> Iterator[pcapng.Captured]:
    """Yield packets with what they are, cut loose from a vnet header of `header_size` bytes."""
    for at, piece in enumerate(pieces):
        comment = f"{head}\n{_INTERFACES[interface]}: {at}, counted from 0, of {len(pieces)}"
        if header_size:
            comment += f"\nvnet header: {vnet_words(piece[:header_size])}"
        packet = piece[header_size:][:_LONGEST_PACKET]
        yield pcapng.Captured(packet=packet, comment=comment, goes_in=interface == _SENT, interface=interface)
