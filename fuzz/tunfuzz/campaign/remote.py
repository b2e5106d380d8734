"""What runs on a worker of a Dask cluster: a shard in a process of its own, and its findings on their way home.

A process of its own, because a lab wants one thread and Dask has many, because a shard that kills its process is not
to take the cluster's worker with it, and because one that hangs can be ended. Processes are kept for the next shard;
they end with the worker, or when there is nothing to do for a minute.
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
    """A shard's answer, or what stood in its way; what was found, even by attempts that broke; the version."""

    answer: Answer | Obstacle
    findings: tuple[Finding, ...]
    version: str = __version__


def ask_here(runner: ShardRunner, shard: Shard, deadline: float) -> Report:
    """Ask a shard on this machine."""
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
    """Take a process that is idle, unless it has ended meanwhile."""
    while _idle:
        worker = _idle.pop()
        if not worker.pipe.closed and not worker.pipe.poll():  # there is something to read: the end of the file
            return worker
        worker.end()
    return Worker()
