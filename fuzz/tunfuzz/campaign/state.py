"""The state of a campaign on disk: JSON Lines, a heading, then a line for each finished shard.

A line is on disk before its shard counts. A partial line left by a kill is ignored, and truncated by
the next campaign that continues from the file.
"""

import fcntl
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

import msgspec

from tunfuzz.campaign.request import shards_of
from tunfuzz.shard import Shard, Tally
from tunproof.errors import EnvironmentProblem, UsageError

__all__ = ["STATE", "Finished", "Heading", "Journal", "State", "read", "refuse_taken"]

STATE: Final = "campaign.jsonl"


class Heading(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="campaign"):
    """What runs, and with what.

    Attributes:
        format: of this file.
        seed: of the campaign.
        cases: how many in all.
        shard: cases in a shard.
        tunproof: the version; another one makes other cases.
        corpus: digest of the corpus that cases are made from, or "".
        kernel: the release of the client's kernel.
        there: findings that were in the folder before.
    """

    format: Literal["tunproof-campaign/1"] = "tunproof-campaign/1"
    seed: int
    cases: int
    shard: int
    tunproof: str
    corpus: str
    kernel: str
    there: tuple[str, ...] = ()


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="shard"):
    """A finished shard: `clock` is how many seconds the campaign had taken until then, all its runs together."""

    shard: Shard
    tally: Tally
    clock: float


Record = Heading | Finished


@dataclass(slots=True)
class State:
    """A campaign's progress so far."""

    heading: Heading
    finished: dict[Shard, Finished] = field(default_factory=dict)

    @property
    def clock(self) -> float:
        """Seconds it has taken."""
        return max((record.clock for record in self.finished.values()), default=0.0)

    @property
    def missing(self) -> int:
        """Cases in shards that are not finished."""
        return self.heading.cases - sum(shard.count for shard in self.finished)

    def shards(self) -> list[Shard]:
        """Return all shards, finished or not."""
        return list(shards_of(seed=self.heading.seed, cases=self.heading.cases, shard=self.heading.shard))

    def tally(self) -> Tally:
        """Return the tally of all that is finished."""
        total = Tally()
        for shard in sorted(self.finished, key=lambda each: each.first):
            total.add(self.finished[shard].tally)
        return total


def read(path: Path) -> State:
    """Read a file. Raises `UsageError` if it is not a state file."""
    try:
        *lines, _half = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    records = [_record(path, number, line) for number, line in enumerate(lines, 1)]
    if not records or not isinstance(records[0], Heading):
        raise UsageError(f"{path} is not the state of a campaign: it has no heading; remove it and begin again")
    state = State(records[0])
    planned = set(state.shards())
    for number, record in enumerate(records[1:], 2):
        if isinstance(record, Heading) or record.shard not in planned:
            raise UsageError(f"{path}:{number}: not a shard of this campaign; remove the line to continue without it")
        state.finished.setdefault(record.shard, record)
    return state


def refuse_taken(path: Path) -> None:
    """Raise `UsageError` if there is a campaign already."""
    if path.exists():
        raise UsageError(f"{path} exists already: continue it (--resume {path}), or name another folder (--out)")


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        record: Record = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        cure = "remove the line to run its shard again" if number > 1 else "this is not a campaign that could continue"
        raise UsageError(f"{path}:{number}: {error}; {cure}") from error
    return record


_DECODER: Final = msgspec.json.Decoder(Record)
_ENCODER: Final = msgspec.json.Encoder()


class Journal:
    """The file, for one writer at a time. Raises `UsageError` if there is another one, `EnvironmentProblem`."""

    def __init__(self, path: Path, *, new: Iterable[Record] = ()) -> None:
        """Begin a file with the `new` records; without them, continue the existing one."""
        first = list(new)
        self._path = path
        self._end = 0
        self._fd = self._open(os.O_CREAT | os.O_EXCL if first else 0)
        try:
            self._claim()
            for record in first:
                self.write(record)
        except BaseException:
            self.close()
            raise

    def write(self, record: Record) -> None:
        """Append a record and sync it to disk. Raises `EnvironmentProblem`; then the file is unchanged."""
        line = _ENCODER.encode(record) + b"\n"
        try:
            while line:
                line = line[os.write(self._fd, line) :]
            os.fsync(self._fd)
        except OSError as error:
            os.ftruncate(self._fd, self._end)
            what = f"{self._path} cannot be written: {error.strerror}; its contents are safe"
            raise EnvironmentProblem(what, cure="free some space, then continue with --resume") from error
        self._end = os.fstat(self._fd).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, flags: int) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flags, 0o666)
        except OSError as error:
            if isinstance(error, FileExistsError):
                refuse_taken(self._path)
            what = f"the state cannot be written to {self._path}: {error.strerror}"
            raise EnvironmentProblem(what, cure="name a writable folder with free space (--out)") from error

    def _claim(self) -> None:
        """Lock out other writers, and truncate a partial line."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{self._path} is being written by another campaign") from error
        self._end = self._path.read_bytes().rfind(b"\n") + 1
        os.ftruncate(self._fd, self._end)
