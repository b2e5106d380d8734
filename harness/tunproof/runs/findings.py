"""Findings: what fuzzing found, each in its own folder that is written whole or not at all.

    OUT/KIND-RULE-DIGEST/
        finding.json    everything that is known (`Finding`)
        case.json       the same as a case of the corpus, as far as known; only for what a case can express
        frames.pcapng   what was sent, expected and received, for Wireshark and tshark; if there are packets
        repro.txt       what differs, in words, and the command that repeats it

The folder's name follows from what was found: the same thing found twice, even by two workers, is kept once.
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
from tunproof.corpus.codec import convert
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
_ABANDONED = 3600  # seconds after which a staging folder is certainly abandoned
_LONGEST_SLUG = 60
_LONGEST_INPUT = 2000  # characters of an error's message
_LONGEST_PACKET = 0x40000  # bytes that Wireshark accepts at once (WTAP_MAX_PACKET_SIZE_STANDARD)
_IRRELEVANT = {"mtu", "reader_header_size", "gso_max_segs"}  # to a frame that is redirected to a plain reader

_CURES = {
    errno.ENOSPC: "free some space, or name a folder on another file system with --out",
    errno.EDQUOT: "free some of your quota, or name a folder on another file system with --out",
    errno.ENOTDIR: "name a folder with --out: this one is a file",
    errno.EEXIST: "name a folder with --out: this one is a file",
}
_ELSEWHERE = "name a folder that you may write to with --out"
_SENT, _EXPECTED, _GOT = range(3)
_INTERFACES = ("sent", "expected", "got")


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is wrong, with everything needed to reproduce it.

    Attributes:
        format: of the file.
        kind: "kernel": model and kernel differ; "adapter": reference and adapter differ; "target": an invariant of a
            fuzz target does not hold; "property": an invariant of a property test does not hold.
        title: what differs, in one line.
        rule: the rule or field that seems broken. Findings of one rule are probably one bug.
        operation: of the corpus, such as "read"; "" if none applies.
        input: the input, as in a case of that operation. Bytes are hex.
        way: the frame's path, the fields of `tio.linux.Way`; empty if there was no frame.
        expected, got: what should have happened and what did: `{"outcome": "refused", "errno": "EINVAL"}`,
            `{"outcome": "lost"}`, `{"outcome": "delivered", "packets": [hex]}`, or an outcome of another name, with
            `"detail"` in words.
        flags: the corpus's classes of bugs that this resembles.
        traits: those of the kernel, as probed.
        kernel: its release.
        subject: what gave the wrong answer, such as an adapter's name.
        seed, case_number: of the campaign, and the number of the case in it.
        repro: one shell command that reproduces it.
        details: a trace, or anything else that helps.
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
        """What makes two findings the same: 16 hex digits of the input, its path, and what it broke."""
        same = msgspec.json.encode([self.kind, self.rule, self.operation, self.input, self.way], order="sorted")
        return hashlib.sha256(same).hexdigest()[:16]

    @property
    def redirected(self) -> bool:
        """Whether its frame, if any, took the same path as the corpus's: only `tc redirect` in between."""
        usual = dataclasses.asdict(REDIRECT)
        return all(self.way.get(name, value) == value for name, value in usual.items() if name not in _IRRELEVANT)

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.kind}-{slug_of(self.rule)}-{self.digest[:8]}"


def keep(out: Path, finding: Finding, *, instead_of: Path | None = None) -> Path:
    """Write a finding to `out`, which is created if necessary, and return its folder, by then safely on disk.

    `instead_of` is the folder of an earlier version, which is removed once the new one exists.
    Raises `EnvironmentProblem` if it cannot be written; the message has what is needed to repeat it.
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
    """Check in advance that findings can be kept in `out`. Raises `EnvironmentProblem`."""
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
        raise UsageError(f"{file}: not a finding, or a damaged one: {error}") from error
    if finding.format != _FORMAT:
        raise UsageError(f"{file}: format is {finding.format}; this tunproof reads format {_FORMAT}")
    return finding


def in_folder(out: Path) -> list[Path]:
    """Return the folders of the findings in `out`, by name; none if there is no such folder."""
    return sorted(path.parent for path in out.glob(f"[!.]*/{FINDING}"))


def slug_of(rule: str) -> str:
    """Return a rule's name as part of a folder's or case's name: lower-case letters, digits, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", rule.lower())[:_LONGEST_SLUG].strip("-") or "unnamed"


# On disk.


def _put(folder: Path, files: dict[str, bytes]) -> None:
    """Write a folder next to its destination, and rename it once all of it is on disk."""
    try:
        with _staged(folder.parent, files) as staging:
            staging.chmod(folder.parent.stat().st_mode)  # mkdtemp's is for its owner only
            _sync(staging)
            staging.rename(folder)
            _sync(folder.parent)
    except OSError:
        if not (folder / FINDING).exists():  # else another worker was faster
            raise


def _rewrite(folder: Path, files: dict[str, bytes]) -> None:
    """Replace a folder's contents, file by file: at any moment each file is either old or new."""
    with _staged(folder.parent, files) as staging:
        for name in files:
            (staging / name).replace(folder / name)
        _sync(folder)


def _remove(folder: Path) -> None:
    """Remove a folder so that no remnant looks like a finding; if that fails, it is still a finding."""
    with suppress(OSError):
        aside = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder.parent))
        try:
            folder.rename(aside)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _staged(out: Path, files: dict[str, bytes]) -> Iterator[Path]:
    """Write files into a temporary folder next to their destination; any leftovers are removed at the end."""
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
    """Remove what killed writers left behind."""
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
    lines += ["", "To reproduce it:", "", f"  {finding.repro}", ""]
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


_REACH = {"checksum": "peer", "write": "peer", "write_batch": "peer", "write_gso": "caller"}


def _case(finding: Finding) -> dict[str, Any]:
    """Return a finding as a case of the corpus, as far as known: `tunproof corpus promote` makes author code of it."""
    case = {
        "id": f"{finding.operation}/found/{slug_of(finding.rule)}",
        "digest": f"sha256:{'0' * 64}",
        "about": finding.title,
        "flags": finding.flags or ("Basic",),
        "level": "must",
        "importance": "high",
        "reach": _REACH.get(finding.operation, "hostile"),  # of a frame to read, until a kernel hands it over
        "basis": [{"kind": "observed", "ref": f"Linux {finding.kernel}" if finding.kernel else finding.subject}],
        "op": finding.operation,
        "input": finding.input,
        "expect": _expectation(finding),
        "kernel": [finding.got] if finding.kind == "kernel" else [],
    }
    try:
        known: Case = convert(case, Case)
    except msgspec.ValidationError:
        return case
    return case | {"digest": digest_of(known.input, known.expect)}


def _expectation(finding: Finding) -> dict[str, Any]:
    """Return what was expected in the terms of a case; what only a kernel says is a rejected packet."""
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
    """Return the frame or the packets of a case's input; none if it has bytes of another kind."""
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
    """Return what is hex; an adapter may have sent anything."""
    found = []
    for text in texts:
        try:
            found.append(bytes.fromhex(text))
        except (TypeError, ValueError):
            continue
    return found


def _captured(head: str, interface: int, pieces: list[bytes], header_size: int) -> Iterator[pcapng.Captured]:
    """Yield packets with comments, separated from a vnet header of `header_size` bytes."""
    for at, piece in enumerate(pieces):
        comment = f"{head}\n{_INTERFACES[interface]}: {at}, counted from 0, of {len(pieces)}"
        if header_size:
            comment += f"\nvnet header: {vnet_words(piece[:header_size])}"
        packet = piece[header_size:][:_LONGEST_PACKET]
        yield pcapng.Captured(packet=packet, comment=comment, goes_in=interface == _SENT, interface=interface)
