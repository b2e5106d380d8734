"""Campaigns over a real Dask scheduler and real workers, one of which is killed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from common.campaigns import ENVIRONMENT, PATIENCE, Runs, all_gone, wait_for
from tunfuzz.campaign.cluster import connected
from tunproof.errors import EnvironmentProblem, UsageError

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")


class Cluster:
    """A scheduler and workers, started by command line on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._stack = ExitStack()
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(self._file))
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        wait_for(lambda: self._file.exists() and self._file.read_text().endswith("}"))  # Dask writes it in place
        return str(json.loads(self._file.read_text())["address"])

    def add_workers(self, number: int) -> None:
        address = self.address
        where = ("--no-nanny", "--nthreads", "1", "--local-directory", str(self._folder))
        self.workers += [self._start("worker", address, *where) for _ in range(number)]

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
        self._stack.close()

    def _start(self, what: str, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--host", "127.0.0.1", "--no-dashboard"]
        log = self._stack.enter_context((self._folder / f"{what}s.log").open("ab"))
        return self._stack.enter_context(
            subprocess.Popen([*command, *arguments], stdout=log, stderr=log, env=ENVIRONMENT)
        )


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


def test_a_killed_worker_of_a_cluster_loses_nothing_and_repeats_nothing_finished(runs: Runs, cluster: Cluster) -> None:
    cluster.add_workers(2)
    acts = {10: ["find"], **{first: ["hold"] for first in range(50, 120, 10)}}
    with runs.start(acts, "--cases", "120", "--json", "--out", str(runs.out), "--scheduler", cluster.address) as client:
        wait_for(lambda: runs.state.exists() and len(runs.finished()) == 5 and len(runs.noted("start")) == 7)
        finished, (_, victims_child) = runs.finished(), runs.noted("start")[-1]
        victim = next(worker for worker in cluster.workers if parent_of(victims_child) == worker.pid)
        victim.kill()
        runs.go()
        said, complained = client.communicate(timeout=PATIENCE)
    summary = json.loads(said)
    assert complained == ""
    assert client.returncode == 1
    assert (summary["cases"], summary["missing"], summary["problems"]) == (120, 0, [])
    assert runs.finished() == set(range(0, 120, 10))
    assert {first: times for first, times in runs.times("start").items() if first in finished} == dict.fromkeys(
        finished, 1
    )
    (folder,) = map(Path, summary["findings"])  # it was transferred: the runner wrote it to the worker's own folder
    assert folder.parent == runs.out
    assert {file.name for file in folder.iterdir()} >= {"finding.json", "repro.txt"}
    cluster.close()
    wait_for(lambda: all_gone(runs))


def test_a_scheduler_that_goes_away_ends_the_campaign(runs: Runs, cluster: Cluster) -> None:
    cluster.add_workers(1)
    acts = {10: ["hold"]}
    with runs.start(acts, "--cases", "20", "--out", str(runs.out), "--scheduler", cluster.address) as client:
        wait_for(lambda: runs.state.exists() and runs.finished() == {0})
        cluster.scheduler.kill()
        said, complained = client.communicate(timeout=PATIENCE)
    assert client.returncode == 3
    assert "Traceback" not in complained, complained
    assert "is gone" in said
    assert f"--resume {runs.state} --scheduler tcp://" in said
    assert runs.finished() == {0}


def test_a_scheduler_that_is_not_there_is_named_within_seconds(runs: Runs) -> None:
    with runs.start({}, "--cases", "20", "--out", str(runs.out), "--scheduler", "tcp://127.0.0.1:9") as client:
        _, complained = client.communicate(timeout=PATIENCE)
    assert client.returncode == 3
    assert "tcp://127.0.0.1:9" in complained
    assert "cure: " in complained
    assert len(complained.splitlines()) == 2
    assert not runs.state.exists()


@pytest.mark.parametrize("address", ["here", "tcp://here", "what://127.0.0.1:9"])
def test_what_is_no_address_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError, match=f"'{address}' is not a scheduler's address"), connected(address):
        pass


def test_a_scheduler_without_workers_is_named(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    address = cluster.address
    monkeypatch.setattr("tunfuzz.campaign.cluster._CONNECT", 1.0)
    with pytest.raises(EnvironmentProblem, match="has no worker"), connected(address):
        pass


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
