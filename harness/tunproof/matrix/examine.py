"""The checks that one kernel in a guest runs, and their results."""

import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Protocol

import msgspec

from tio.linux import REDIRECT, KernelOutcome, Traits, Way
from tunproof.corpus.cases import Case
from tunproof.corpus.model import Reached
from tunproof.errors import EnvironmentProblem
from tunproof.kernel import handover
from tunproof.kernel.replay import Disagreement, Trial
from tunproof.matrix.machine import GuestGone
from tunproof.matrix.remote import LACKING, RemoteKernel
from tunproof.runs.kernel import leave_out, run_kernel
from tunproof.runs.results import Results, Run

__all__ = ["Frames", "FramesReport", "Handed", "Tick", "differential", "handed_over", "verify"]

_AT_A_TIME = 256  # frames in a request

Tick = Callable[[int, int], None]
"""Called with the number done and the total."""


class FramesReport(msgspec.Struct, frozen=True, kw_only=True):
    """The results of the differential on a kernel.

    `frames` that were compared, the `differences` among them, `findings` by the names of their folders, how many
    `rules` of the model they met; `ended` says why there are fewer frames than requested.
    """

    frames: int
    differences: int
    findings: list[str]
    rules: int
    outcomes: dict[str, int]
    masks: dict[str, int]
    ended: str = ""


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """How a kernel handed the frames of a case to a reader; the digest names the bytes."""

    id: str
    digest: str
    reached: tuple[Reached, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """A number of random `frames`, determined by `seed`; findings go to the folder `out`."""

    frames: int
    seed: int
    out: Path


class Examiner(Protocol):
    """A differential: the type of the entry points in the group `tunproof.differentials`."""

    def __call__(self, kernel: RemoteKernel, traits: Traits, wanted: Frames, progress: Tick) -> FramesReport:
        """Send frames to a kernel, and to a model of it with these traits."""
        ...


def verify(kernel: RemoteKernel, run: Run, cases: Sequence[Case], progress: Tick) -> tuple[Results, str]:
    """Run cases against a guest's kernel, as `tunproof.runs.kernel.verify` does against the running one.

    The text says why it ended early, "" if it did not; cases that were not run do not apply.
    """
    ended = ""
    left: dict[str, str] = {}

    def ask(trials: Sequence[Trial]) -> Iterator[Disagreement]:
        nonlocal ended
        answers: list[KernelOutcome | str] = []
        if not ended:
            try:
                answers = kernel.ask(REDIRECT, [(trial.frame, trial.hint) for trial in trials])
            except GuestGone as gone:
                ended = f"{gone} (running the cases from {trials[0].case.id} to {trials[-1].case.id})"
        for trial, got in zip_longest(trials, answers):
            if isinstance(got, str):
                ended = f"{trial.case.id}: {got}\n  cure: {LACKING}"
            if got is None or isinstance(got, str):
                left[trial.case.id] = f"not run: {ended}"
            elif got != trial.expected:
                yield Disagreement(trial.case, trial.expected, got)

    results = run_kernel(run, cases, ask, progress)
    wrong = {case for case, result in results.results.items() if result.unexpected}
    leave_out(results, cases, {case: why for case, why in left.items() if case not in wrong})
    return results, ended


def handed_over(kernel: RemoteKernel, traits: frozenset[str], cases: Sequence[Case]) -> list[Handed]:
    """Return the cases whose frames a guest's kernel hands to a reader. Raises `EnvironmentProblem`, `GuestGone`."""

    def send(way: Way, frames: Sequence[bytes]) -> Iterator[KernelOutcome]:
        for start in range(0, len(frames), _AT_A_TIME):
            some = frames[start : start + _AT_A_TIME]
            try:
                outcomes = kernel.ask(way, [(frame, 1) for frame in some])
            except GuestGone as gone:
                raise GuestGone(f"{gone} (running the cases that a reader may get, on {way})") from gone
            for outcome in outcomes:
                if isinstance(outcome, str):
                    raise EnvironmentProblem(outcome, cure=LACKING)
                yield outcome

    found = handover.handed_over(cases, traits, send, kernel.kernel.release)
    digests = {case.id: case.digest for case in cases}
    return [Handed(id=case_id, digest=digests[case_id], reached=reached) for case_id, reached in found.items()]


def differential() -> Examiner:
    """Return the installed differential. Raises `EnvironmentProblem` if there is none."""
    for point in importlib.metadata.entry_points(group="tunproof.differentials"):
        found: Examiner = point.load()
        return found
    raise EnvironmentProblem(
        "no differential is installed", cure="install tunproof with its fuzzers, or use --frames 0"
    )
