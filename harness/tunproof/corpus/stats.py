"""The corpus in numbers: its contents, its size, and how long it takes to load."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from tunproof.corpus.cases import Case, ReadCase
from tunproof.corpus.codec import encode
from tunproof.corpus.load import CORPORA, files_below, load
from tunproof.errors import UsageError

__all__ = ["Largest", "Stats", "Topic", "count", "only"]

_LARGEST = 10


@dataclass(frozen=True, slots=True)
class Topic:
    """One file: its name (operation and topic), how many cases it has, and its size on disk."""

    name: str
    cases: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Largest:
    """One of the largest cases, and its size as JSON without whitespace."""

    id: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Stats:
    """How many cases there are of each kind; each name in a table is counted once per case.

    Attributes:
        outcomes: what the cases expect.
        wirings: on which a kernel hands the frames of a `read` to a reader; "none" if none does.
        kernel: what kernels do, one count per answer; "not run" if a case has none.
        confirmed: by kernel release.
        seconds: how long it took to load and check all files.
    """

    cases: int
    bytes: int
    seconds: float
    topics: tuple[Topic, ...]
    levels: dict[str, int]
    importance: dict[str, int]
    reach: dict[str, int]
    wirings: dict[str, int]
    outcomes: dict[str, int]
    kernel: dict[str, int]
    flags: dict[str, int]
    traits: dict[str, int]
    requires: dict[str, int]
    confirmed: dict[str, int]
    largest: tuple[Largest, ...]

    def operations(self) -> dict[str, int]:
        """Return the number of cases of each operation."""
        total: Counter[str] = Counter()
        for topic in self.topics:
            total[topic.name.partition("/")[0]] += topic.cases
        return dict(total)

    def as_json(self) -> dict[str, object]:
        """Return everything as JSON values."""
        return {**asdict(self), "seconds": round(self.seconds, 3), "operations": self.operations()}


def count(root: Path = CORPORA) -> Stats:
    """Return the numbers of the corpus below `root`. Raises `CorpusError`."""
    started = time.perf_counter()
    corpus = load(root)
    seconds = time.perf_counter() - started
    cases = list(corpus.cases.values())
    paths = files_below(root)
    topics = Counter(case.id.rpartition("/")[0] for case in cases)
    sizes = {f"{path.parent.name}/{path.stem}": path.stat().st_size for path in paths}
    return Stats(
        cases=len(cases),
        bytes=sum(sizes.values()),
        seconds=seconds,
        topics=tuple(Topic(name, topics[name], size) for name, size in sizes.items()),
        **{name: _tally(map(named, cases)) for name, named in _TABLES.items()},
        largest=_largest(cases),
    )


def only(cases: Iterable[Case], **asked: str | None) -> list[Case]:
    """Return the cases that have all that is asked, by the names of the options. Raises `UsageError` for none."""
    given = {name: value for name, value in asked.items() if value is not None}
    found = [case for case in cases if all(_FILTERS[name](case, value) for name, value in given.items())]
    if not found:
        named = " ".join(f"--{name} {value}" for name, value in given.items())
        raise UsageError(f"no selected case fits {named}; `tunproof corpus stats` shows what exists")
    return found


_FILTERS: dict[str, Callable[[Case, str], bool]] = {
    "op": lambda case, op: case.id.startswith(f"{op}/"),
    "flag": lambda case, flag: flag in case.flags,
    "level": lambda case, level: case.level == level,
    "reach": lambda case, reach: case.reach == reach,
    "requires": lambda case, capability: capability in case.requires,
}
"""Options that narrow a list of cases, and whether a case has what an option names."""


def _tally(names: Iterable[Iterable[str]]) -> dict[str, int]:
    """Count names, each once per case, the most frequent first and then by name."""
    counter = Counter(name for one in names for name in set(one))
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _wirings(case: Case) -> list[str]:
    if not isinstance(case, ReadCase):
        return []
    return [one.wiring for one in case.reached] or ["none"]


def _outcome(struct: msgspec.Struct) -> str:
    return str(struct.__struct_config__.tag)


_TABLES: dict[str, Callable[[Case], Iterable[str]]] = {
    "levels": lambda case: [case.level],
    "importance": lambda case: [case.importance],
    "reach": lambda case: [case.reach],
    "wirings": _wirings,
    "outcomes": lambda case: [_outcome(case.expect)],
    "kernel": lambda case: [_outcome(answer) for answer in case.kernel] or ["not run"],
    "flags": lambda case: case.flags,
    "traits": lambda case: case.traits,
    "requires": lambda case: case.requires,
    "confirmed": lambda case: case.confirmed,
}
"""The tables of `Stats`, and the names that a case adds to each."""


def _largest(cases: Iterable[Case]) -> tuple[Largest, ...]:
    sizes = sorted(((len(encode(case)), case.id) for case in cases), reverse=True)
    return tuple(Largest(case_id, size) for size, case_id in sizes[:_LARGEST])
