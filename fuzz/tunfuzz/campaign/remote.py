"""What runs on a worker of a Dask cluster: a shard in its own process, and its findings on their way back.

Its own process, because a lab wants one thread and Dask has many, because a shard that kills its process must not take
the cluster's worker with it, and because one that hangs can be ended. Processes are kept for the next shard; they end
with the worker, or after a minute without work.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from distributed import get_worker

from tunfuzz.campaign.answers import Answer, Obstacle
from tunfuzz.campaign.pool import Pool
from tunfuzz.campaign.process import Worker
from tunfuzz.shard import Shard, ShardRunner
from tunproof.errors import EnvironmentProblem
from tunproof.runs import findings
from tunproof.runs.findings import Finding
from tunproof.version import __version__

__all__ = ["Report", "ask_here"]

_idle: list[Worker] = []


@dataclass(frozen=True, slots=True)
class Report:
    """A shard's answer, or its obstacle; what was found, even by attempts that broke; the version."""

    answer: Answer | Obstacle
    findings: tuple[Finding, ...]
    version: str = __version__


def ask_here(runner: ShardRunner, shard: Shard, deadline: float) -> Report:
    """Run a shard on this machine."""
    with tempfile.TemporaryDirectory(prefix="tunproof-", dir=get_worker().local_directory) as folder:
        out = Path(folder)
        pool = Pool(runner, out, workers=1, deadline=deadline, start=_start, stop=_idle.append)
        answer: Answer | Obstacle
        try:
            (answer,) = pool.ask([shard])
        except EnvironmentProblem as problem:
            answer = Obstacle(problem.what, problem.cure)
        return Report(answer, tuple(findings.load(each) for each in findings.in_folder(out)))


def _start() -> Worker:
    """Take an idle process, unless it has ended meanwhile."""
    while _idle:
        worker = _idle.pop()
        if not worker.pipe.closed and not worker.pipe.poll():  # there is something to read: the end of the file
            return worker
        worker.end()
    return Worker()
