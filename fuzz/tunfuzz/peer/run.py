"""The loop: blocks of inputs, operation by operation, to the reference and to the subject."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from tunfuzz.peer.cases import OPERATIONS, Input, case_of
from tunfuzz.peer.inputs import Inputs
from tunfuzz.peer.judging import Judged, judged
from tunfuzz.peer.met import Finder
from tunfuzz.peer.mishaps import Mishaps
from tunfuzz.peer.request import Request, Summary
from tunproof.corpus.cases import Case, MustRefuse, MustReject
from tunproof.corpus.load import Corpus
from tunproof.errors import TunproofError, UsageError
from tunproof.judge.outcome import Broken
from tunproof.judge.verdict import Kind
from tunproof.subjects.connection import Connection, Observation
from tunproof.subjects.reference import Reference

__all__ = ["run"]

_ROUND: Final = (
    "read",
    "write_gso",
    "read",
    "checksum",
    "read",
    "write_batch",
    "read",
    "write_gso",
    "header",
    "write",
    "write_batch",
)
"""Whose block is next: the operations take turns, those with the most failures more often."""

_LIFECYCLES: Final = "a lifecycle is a script, and none is generated"
_MOST_FINDINGS: Final = 50  # enough to show that a subject is wrong about everything


def run(request: Request, corpus: Corpus, *, progress: Callable[[int, int], None] = lambda *_: None) -> Summary:
    """Run as much as requested; every finding is on disk before the next input.

    Whatever ends it, once it has begun, there is a summary: Ctrl-C, an adapter that is lost, a bug of tunproof.
    Raises `UsageError`, `EnvironmentProblem` before that: for a broken adapter, among others.
    """
    if request.connector.mode is not None and request.connector.mode.startswith("device"):
        from tunproof import lab  # noqa: PLC0415 (takes time, and few runs need it)

        lab.ensure()
    with request.connector.open(corpus) as connection, Reference() as reference:
        loop = _Loop(request, corpus, connection, reference, progress)
        try:
            loop.run()
        except KeyboardInterrupt:
            loop.summary.interrupted = True
        except TunproofError as error:
            if not loop.summary.cases:
                raise
            loop.broke_off(error, str(error))
        except Exception as error:  # noqa: BLE001 (hours of work are not lost to a bug of ours)
            loop.mishaps.note("running", error)
            loop.broke_off(error, "tunproof itself failed; the findings so far are kept")
        loop.summary.mishaps = loop.mishaps.texts()
        stale = request.known.stale(loop.summary.operations)
        loop.summary.stale = [f"{entry.operation}, {entry.rule}" for entry in stale]
        return loop.summary


class _Loop:
    """One run."""

    def __init__(
        self,
        request: Request,
        corpus: Corpus,
        connection: Connection,
        reference: Reference,
        progress: Callable[[int, int], None],
    ) -> None:
        self._request = request
        self._connection = connection
        self._reference = reference
        self._progress = progress
        self._known: dict[tuple[str, str], int] = {}
        self.summary = Summary(connection.name, connection.mode, request.seed)
        self.mishaps = Mishaps()
        self._finder = Finder(
            connection, reference, corpus, request, findings=self.summary.findings, mishaps=self.mishaps
        )
        attempt = self.mishaps.attempt
        self._inputs = {op: Inputs(op, request.seed, corpus, attempt).blocks() for op in self._operations()}

    def run(self) -> None:
        """Run block after block."""
        started = time.monotonic()
        for operation, block in self._blocks(started):
            self._ask(operation, block)
            self.summary.seconds = time.monotonic() - started - self.summary.minimising
            self._progress(*self._progressed(started))
            if self.summary.stopped:
                break
        if not self.summary.cases and not self.mishaps.texts():
            raise UsageError(f"there is nothing that can be run against it: {'; '.join(self.summary.skipped)}")
        self._connection.finish()
        self._look_for_troubles()

    def broke_off(self, error: Exception, why: str) -> None:
        """Note what ended the run before its time."""
        self.summary.stopped = why
        self.summary.broken_off = error

    def _operations(self) -> list[str]:
        """Return the operations to run, and note the others."""
        wanted = self._request.select
        if wanted is not None and wanted not in OPERATIONS:
            raise UsageError(f"there is no operation {wanted!r} to run; there are {', '.join(OPERATIONS)}")
        claimed = [op for op in OPERATIONS if self._connection.ops is None or op in self._connection.ops]
        for op in OPERATIONS:
            if op not in claimed:
                self.summary.skipped[f"{op}: the subject does not claim it"] = 0
        self.summary.skipped[f"lifecycle: {_LIFECYCLES}"] = 0
        return [op for op in claimed if wanted in {None, op}]

    def _blocks(self, started: float) -> Iterator[tuple[str, list[Input]]]:
        """Yield blocks, cut to what is still needed."""
        most, seconds = self._request.cases, self._request.seconds
        done = 0
        for operation in itertools.cycle(_ROUND):
            if not self._inputs:
                return
            if operation not in self._inputs:
                continue
            if seconds is not None and time.monotonic() - started >= seconds:
                return
            block = next(self._inputs[operation])
            block = block if most is None else block[: most - done]
            if not block:
                return
            done += len(block)
            yield operation, block

    def _ask(self, operation: str, block: Sequence[Input]) -> None:
        cases = [case for case in map(self._case, block) if case is not None and self._is_claimed(case)]
        first = self.summary.cases
        found = [one for one in map(self._judged, self._connection.observe(cases)) if one is not None]
        if self._lacks(operation, found):
            self.summary.skipped[f"{operation}: the subject does not have it"] = 0
            del self._inputs[operation]
            return
        self.summary.operations[operation] += len(cases)
        self.summary.refused[operation] += sum(isinstance(case.expect, MustRefuse | MustReject) for case in cases)
        self._take(operation, found, first)
        self._look_for_troubles()

    def _case(self, given: Input) -> Case | None:
        return self.mishaps.attempt("asking the reference", lambda: case_of(given, self._reference))

    def _judged(self, observed: Observation) -> Judged | None:
        claims = self._connection.capabilities is not None
        return self.mishaps.attempt("judging", lambda: judged(observed, claims=claims))

    def _lacks(self, operation: str, found: Sequence[Judged]) -> bool:
        """Whether the subject does not have an operation: the first block of it is unsupported throughout."""
        if not found or self.summary.operations[operation]:
            return False
        return all(one.verdict.kind is Kind.UNSUPPORTED for one in found)

    def _take(self, operation: str, found: Sequence[Judged], first: int) -> None:
        """Count a block, and keep what is wrong in it; a subject that must not go on ends the run."""
        for at, one in enumerate(found):
            self._count(one)
            if one.rule:
                self._met(operation, one, first + at, [earlier.given for earlier in found[:at]])
            outcome = one.observed.outcome
            if isinstance(outcome, Broken) and outcome.how == "blocked":
                self.summary.stopped = outcome.detail
                return

    def _is_claimed(self, case: Case) -> bool:
        capabilities = self._connection.capabilities
        if capabilities is None or capabilities.issuperset(case.requires):
            return True
        self.summary.skipped[f"not claimed: {', '.join(sorted(set(case.requires) - capabilities))}"] += 1
        return False

    def _count(self, one: Judged) -> None:
        if one.waiver:
            self.summary.waived[one.waiver] += 1
        if one.verdict.kind in {Kind.UNSUPPORTED, Kind.NOT_APPLICABLE}:
            self.summary.skipped[f"{one.verdict.kind}: {one.verdict.difference}"] += 1
        self.summary.advice.update(one.advice)
        self.summary.policies.update(one.verdict.policies)

    def _met(self, operation: str, one: Judged, number: int, earlier: list[Input]) -> None:
        """Turn a difference into a finding, unless its rule has one or is known."""
        if self._request.known.met(operation, one.rule) is not None:
            self.summary.known[f"{operation}, {one.rule}"] += 1
            return
        known = self._known.get((operation, one.rule))
        findings = self.summary.findings
        if known is not None:
            findings[known] = msgspec.structs.replace(findings[known], times=findings[known].times + 1)
            return
        started = time.monotonic()
        self._known[operation, one.rule] = len(findings)
        self._finder.keep(one, number, earlier)
        self.summary.minimising += time.monotonic() - started
        if len(findings) >= _MOST_FINDINGS:
            self.summary.stopped = f"{_MOST_FINDINGS} findings are enough"

    def _look_for_troubles(self) -> None:
        self.summary.troubles += self._connection.troubles()
        self.summary.restarts = self._connection.restarts

    def _progressed(self, started: float) -> tuple[int, int]:
        """Return the progress and the total."""
        if self._request.cases is not None:
            return self.summary.cases, self._request.cases
        assert self._request.seconds is not None  # noqa: S101 (what `Request` says)
        return int(time.monotonic() - started), int(self._request.seconds)
