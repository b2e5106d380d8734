"""The ledger of a peer: its causes, each held against its source, and whether a run says the same.

A cause is named by operation, relation and field, as in `read: field-wrong tcp.checksum`. One defect may have several:
in a device mode nobody sees which packets were joined.
"""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tunproof.runs.results import Cause

__all__ = ["Entry", "complaints", "load_ledger", "name_of"]

_KEYS = {"causes", "cases", "kind", "count", "judged", "where", "why", "upstream"}
_JUDGED = {"true", "documented", "hardening"}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a peer does otherwise than the corpus asks: the names of its causes, how it was judged, and why."""

    causes: tuple[str, ...]
    judged: str
    why: str


def load_ledger(path: Path) -> list[Entry]:
    """Return the entries of a ledger. Raises `ValueError` for an unknown key or judgement."""
    entries = tomllib.loads(path.read_text("utf-8")).get("entry", [])
    for entry in entries:
        if odd := entry.keys() - _KEYS:
            raise ValueError(f"{path}: unknown: {', '.join(sorted(odd))}")
        if entry["judged"] not in _JUDGED:
            raise ValueError(f"{path}: {entry['judged']!r} is none of {', '.join(sorted(_JUDGED))}")
    return [Entry(tuple(entry.get("causes", ())), entry["judged"], entry["why"]) for entry in entries]


def name_of(cause: Cause) -> str:
    """Return the name of a cause in a ledger."""
    return f"{cause.operation}: {cause.signature.relation} {cause.signature.field}".strip()


def complaints(entries: Iterable[Entry], found: Iterable[Cause]) -> Iterator[str]:
    """Yield where runs and ledger differ. `found` are the causes of all modes of a peer.

    What fails a run must stand in an entry that is judged true, and what is judged true must be found.
    """
    judged = {name: entry.judged for entry in entries for name in entry.causes}
    failing = {name_of(cause): cause for cause in found if cause.unexpected}
    for name, cause in failing.items():
        if name not in judged:
            yield f"{name}: not in the ledger ({len(cause.cases)} cases, the smallest is {cause.smallest})"
        elif judged[name] != "true":
            yield f"{name}: fails the run, but is judged {judged[name]}"
    for entry in entries:
        if entry.judged == "true" and not failing.keys() & set(entry.causes):
            yield f"judged true and not found: {entry.why}"
