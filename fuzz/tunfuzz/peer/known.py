"""What is known to differ: a file of findings that are not reported again, in the manner of `runs.baseline`.

    [[known]]
    operation = "read"
    rule = "udp.checksum"                       # as a finding names it, or a glob
    reason = "a sum of zero goes out as zero"
    link = "https://example.org/issues/1"       # optional

Inputs are random, so an entry that nothing matched may still be true: it is told, and fails nothing.
"""

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from tunfuzz.peer.cases import OPERATIONS
from tunfuzz.peer.report import Kept
from tunproof.errors import UsageError
from tunproof.runs.baseline import PLACEHOLDER, escaped, tables_in

__all__ = ["Entry", "Known", "dump"]

_CURE = "an entry has operation, rule and reason, and may have a link; all are strings"


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One known difference, or several if `rule` is a glob. Attributes: the keys of the file."""

    operation: str
    rule: str
    reason: str
    link: str | None = None

    def covers(self, operation: str, rule: str) -> bool:
        """Whether a difference is this one."""
        return operation == self.operation and fnmatch.fnmatchcase(rule, self.rule)


@dataclass(slots=True)
class Known:
    """The entries of a file, and which of them were met."""

    entries: tuple[Entry, ...] = ()
    _met: set[Entry] = field(default_factory=set)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what a file knows. Raises `UsageError`: file, number of the entry, and cure."""
        return cls(tuple(_entry(path, number, table) for number, table in enumerate(tables_in(path), 1)))

    def met(self, operation: str, rule: str) -> Entry | None:
        """Return the entry that knows a difference, and note that it is still true."""
        entry = next((entry for entry in self.entries if entry.covers(operation, rule)), None)
        if entry is not None:
            self._met.add(entry)
        return entry

    def stale(self, operations: Iterable[str]) -> list[Entry]:
        """Return the entries about these operations that nothing matched."""
        run = set(operations)
        return [entry for entry in self.entries if entry.operation in run and entry not in self._met]


def _entry(path: Path, number: int, table: object) -> Entry:
    try:
        entry = msgspec.convert(table, Entry)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: entry {number}: {error}\n  cure: {_CURE}") from error
    if entry.operation not in OPERATIONS:
        what = f"{entry.operation!r} is not an operation that is fuzzed"
        raise UsageError(f"{path}: entry {number}: {what}\n  cure: use {', '.join(OPERATIONS)}")
    if not entry.rule.strip() or not entry.reason.strip():
        raise UsageError(f"{path}: entry {number}: a rule or a reason is empty\n  cure: {_CURE}")
    return entry


def dump(subject: str, findings: Iterable[Kept], known: Known) -> str:
    """Return the text of a file that knows these findings, besides what was known and is not stale."""
    lines = [f"# Known differences of {escaped(subject)}, for `tunproof fuzz adapter --baseline`."]
    entries = [entry for entry in known.entries if entry not in known.stale(OPERATIONS)]
    entries += [Entry(operation=kept.operation, rule=kept.rule, reason=PLACEHOLDER) for kept in findings]
    for entry in entries:
        pairs = msgspec.structs.asdict(entry).items()
        lines += ["", "[[known]]", *(f'{key} = "{escaped(value)}"' for key, value in pairs if value is not None)]
    return "\n".join(lines) + "\n"
