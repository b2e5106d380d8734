"""The stream of results: JSON Lines, `run`, then a `result` for each case, then `end`.

Everything that is reported is a view of one such stream, or of several side by side. Each line is written as soon as
its verdict is known, so a killed run loses nothing. Only a stream with an `end` is complete; readers refuse any other.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from tunproof.corpus.claims import ORDINARY, Claims
from tunproof.corpus.codec import Hex, decoder, encode
from tunproof.corpus.model import Digest, Level, Reach, Strict
from tunproof.errors import UsageError
from tunproof.judge.verdict import Kind, Mismatch, Signature
from tunproof.protocol.messages import Implementation, schema_of_lines

__all__ = [
    "FORMAT",
    "STREAM",
    "Cause",
    "End",
    "Got",
    "Known",
    "Problem",
    "Result",
    "Results",
    "Run",
    "Writer",
    "keep",
    "read",
    "schema",
]

FORMAT: Literal["tunproof-results/1"] = "tunproof-results/1"
STREAM = "results.jsonl"
"""What the stream is called in a folder of reports."""


class Run(Strict, frozen=True, kw_only=True, tag_field="record", tag="run"):
    """What was run, where, and how to repeat it.

    Attributes:
        format: of this stream.
        subject: the name that reports use for what was tested.
        implementation: how the adapter described it.
        command: the words of the command line that repeats this run, without selection and reports.
        mode: how frames reached it: `direct` (in the same process), `kernel`, or one of the protocol's.
        corpus: digest of all its cases.
        cases: how many were selected.
        select: the glob that selected them.
        only: what narrowed the selection, by the names of the options.
        kernel: the release that was running.
        tunproof: the version of this suite.
        started: date and time, UTC, ISO 8601.
        traits: kernel traits, where a kernel was probed.
        claims: the conditions that the subject was written for, as far as they were understood.
        strict: whether advice counts as a failure.
        baseline: the file of known failures, as it was named.
        exact: whether the subject was denied all freedoms, as the reference is.
    """

    format: Literal["tunproof-results/1"]
    subject: str
    implementation: Implementation | None = None
    command: tuple[str, ...]
    mode: str
    corpus: Digest
    cases: int
    select: str = "*"
    only: dict[str, str] = msgspec.field(default_factory=dict)
    kernel: str
    tunproof: str
    started: str
    traits: tuple[str, ...] = ()
    claims: Claims = ORDINARY
    strict: bool = False
    baseline: str | None = None
    exact: bool = False


class Got(Strict, frozen=True, kw_only=True):
    """The output, if it was not right.

    Attributes:
        what: `packets` (read, or cut by a kernel), `frames` (written: vnet header and packet), or `value`.
        packets: the packets or frames, including any that came out in spite of a refusal.
        value: everything else, in words.
    """

    what: Literal["packets", "frames", "value"]
    packets: tuple[Hex, ...] = ()
    value: str = ""


class Known(Strict, frozen=True, kw_only=True):
    """What the baseline says about a case."""

    outcome: str
    reason: str
    link: str | None = None


class Result(Strict, frozen=True, kw_only=True, tag_field="record", tag="result"):
    """The verdict on one case.

    Attributes:
        id: of the case.
        digest: of the case.
        verdict: the word.
        unexpected: whether it makes the run fail.
        difference: what was wrong, in words.
        got: what came out, unless it was right.
        trace: the stack trace of an error, as the subject's language prints it.
        stderr: the end of what the adapter wrote to it during this case.
        advice: what should have been different, but is not a failure.
        policies: optional behaviour that the subject showed.
        quality: for batches, how much of the ideal joining was reached, from 0 to 1.
        mismatches: the first packets or frames that differ, each with the one that should have come out.
        mismatched: how many differ.
        groups: for batches, the packets that each frame stands for, by index.
        signature: what happened, if it was not right.
        known: what the baseline says.
    """

    id: str
    digest: Digest
    verdict: Kind
    unexpected: bool = False
    difference: str = ""
    got: Got | None = None
    trace: str = ""
    stderr: str = ""
    advice: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    quality: float | None = None
    mismatches: tuple[Mismatch, ...] = ()
    mismatched: int = 0
    groups: tuple[tuple[int, ...], ...] = ()
    signature: Signature | None = None
    known: Known | None = None


class Cause(Strict, frozen=True, kw_only=True, tag_field="record", tag="cause"):
    """Results that one defect explains: those with the same operation and signature that weigh the same.

    Attributes:
        operation: of its cases.
        signature: what happened.
        verdict: what they amount to.
        unexpected: whether they make the run fail.
        level: how binding the strictest of its cases is.
        reach: where the input of the nearest of its cases comes from.
        cases: their ids, in the order of the run.
        smallest: the one with the least input.
        flag: the class of bugs that fits best: most of the cause's cases have it, and few that passed; null if none
            does.
        confirmed: whether the smallest case does the same over a TUN of this kernel; null if that was not tried.
    """

    operation: str
    signature: Signature
    verdict: Kind
    unexpected: bool
    level: Level
    reach: Reach
    cases: tuple[str, ...]
    smallest: str
    flag: str | None = None
    confirmed: bool | None = None


class Problem(Strict, frozen=True, kw_only=True, tag_field="record", tag="problem"):
    """Something that makes the run fail but concerns no single case, such as a stale entry of the baseline.

    Attributes:
        id: what it is about: the id or glob of the entry.
        what: one word, such as `stale`.
        text: what is wrong, and what to do.
    """

    id: str
    what: str
    text: str


class End(Strict, frozen=True, kw_only=True, tag_field="record", tag="end"):
    """The run is complete.

    Attributes:
        cases: how many have a result.
        verdicts: how many there are of each.
        unexpected: how many results and problems make the run fail.
        restarts: how often an adapter had to be started again.
        stopped: whether the run stopped before the last case, at the most failures that were allowed.
        seconds: how long it took.
    """

    cases: int
    verdicts: dict[str, int]
    unexpected: int
    restarts: int = 0
    stopped: bool = False
    seconds: float


Record = Run | Result | Problem | Cause | End

_DECODER = decoder(Record)


@dataclass(slots=True)
class Results:
    """A stream that was read, or is being written. `end` is None while it is incomplete."""

    run: Run
    results: dict[str, Result] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    end: End | None = None

    def verdicts(self) -> dict[str, int]:
        """Return how many results there are of each verdict, in the order of the verdicts."""
        counts = Counter(result.verdict for result in self.results.values())
        return {kind.value: counts[kind] for kind in Kind if counts[kind]}

    @property
    def stopped(self) -> bool:
        """Whether the run stopped before the last case, at the most failures that were allowed."""
        return self.end is not None and self.end.stopped

    def unexpected(self) -> list[Result | Problem]:
        """Return what makes the run fail."""
        return [*(result for result in self.results.values() if result.unexpected), *self.problems]

    def add(self, record: Result | Problem | Cause) -> None:
        """Add a record."""
        if isinstance(record, Result):
            self.results[record.id] = record
        elif isinstance(record, Cause):
            self.causes.append(record)
        else:
            self.problems.append(record)

    def ended(self, seconds: float, restarts: int = 0, *, stopped: bool = False) -> End:
        """Return the last record of this stream."""
        return End(
            cases=len(self.results),
            verdicts=self.verdicts(),
            unexpected=len(self.unexpected()),
            restarts=restarts,
            stopped=stopped,
            seconds=round(seconds, 3),
        )


class Writer:
    """A stream that is written to a file, unbuffered: records survive the death of this process.

    `keep` retains existing results (`--resume`), except an incomplete last line. Raises `OSError`, and
    `BlockingIOError` if another run is writing to the file.
    """

    def __init__(self, path: Path, *, keep: bool = False) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_APPEND, 0o666)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, path.read_bytes().rfind(b"\n") + 1 if keep else 0)
        except BaseException:
            self.close()
            raise

    def write(self, records: Iterable[Record]) -> None:
        """Append records. Raises `OSError`."""
        line = b"".join(encode(record) + b"\n" for record in records)
        while line:
            line = line[os.write(self._fd, line) :]

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


def keep(folder: Path, results: Results) -> None:
    """Write a complete stream into a folder, which is created. Raises `OSError`, `BlockingIOError`."""
    folder.mkdir(parents=True, exist_ok=True)
    with Writer(folder / STREAM) as writer:
        ends = [] if results.end is None else [results.end]
        writer.write([results.run, *results.problems, *results.results.values(), *results.causes, *ends])


def read(path: Path, *, incomplete: bool = False) -> Results:
    """Return a stream. `path` may be the folder of a report.

    Raises `UsageError` if this is not a stream of results, and, unless `incomplete` is allowed, if it has no `end`.
    """
    path = path / STREAM if path.is_dir() else path
    try:
        *lines, half = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    records = [_record(path, number, line) for number, line in enumerate(lines, 1)]
    results = _assembled(path, records)
    if not incomplete and (results.end is None or half or results.end.cases != len(results.results)):
        raise UsageError(
            f"{path} is incomplete: {len(results.results)} of {results.run.cases} cases, and no end; "
            "the run was killed, or is still going (`check --resume` continues it)"
        )
    return results


def _assembled(path: Path, records: Sequence[Record]) -> Results:
    """Return records as one stream: a run, results and problems, then nothing after the end."""
    if not records:
        raise UsageError(f"{path} is not a stream of results: it is empty")
    run, *rest = records
    if not isinstance(run, Run):
        raise UsageError(f"{path}:1: a stream of results begins with `run`")
    results = Results(run)
    for number, record in enumerate(rest, 2):
        if isinstance(record, Run) or results.end is not None:
            raise UsageError(f"{path}:{number}: a second run, or something after the end")
        if isinstance(record, End):
            results.end = record
        else:
            results.add(record)
    return results


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a line of the stream."""
    return schema_of_lines(f"{FORMAT}: a line of a stream of results", (Record,))


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        record: Record = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}:{number}: {error}") from error
    return record
