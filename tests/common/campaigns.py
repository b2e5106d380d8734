"""What tests of campaigns over real processes need: a campaign of fake shards, and patience."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from common.fake_shards import RULES, FakeRunner
from tunfuzz.campaign import conduct
from tunfuzz.campaign.request import Campaign, Experiment
from tunfuzz.campaign.state import STATE, read
from tunfuzz.campaign.summary import Summary

PATIENCE = 20.0  # seconds that anything may take before a test gives up on it
COMMAND = [sys.executable, "-W", "error", "-c", "from common import fake_shards; fake_shards.main()"]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class Runs:
    """A folder for a campaign, and the log of its fake runner."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "out"
        self.log = folder / "log"
        self.state = self.out / STATE

    def runner(self, acts: dict[int, list[str]]) -> FakeRunner:
        return FakeRunner(str(self.log), acts)

    def run(self, acts: dict[int, list[str]], *, workers: int = 2, deadline: float = 60, **options: object) -> Summary:
        request = {"cases": 60, "seed": 5, "shard": 10, "out": self.out} | options
        return conduct.run(
            Campaign(workers=workers, deadline=deadline, **request),  # type: ignore[arg-type]
            Experiment(runner=self.runner(acts), rules=RULES, corpus="c0ffee"),
        )

    @contextlib.contextmanager
    def start(self, acts: dict[int, list[str]], *options: str) -> "Iterator[subprocess.Popen[str]]":
        told = json.dumps({"log": str(self.log), "acts": acts})
        command = [*COMMAND, told, *options]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
        ) as client:
            try:
                yield client
            finally:
                client.kill()

    def noted(self, what: str) -> list[tuple[int, int]]:
        """Return the shards (their first cases) and processes that the runner has noted."""
        if not self.log.exists():
            return []
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [(int(first), int(pid)) for word, first, pid in lines if word == what]

    def times(self, what: str) -> dict[int, int]:
        return dict(Counter(first for first, _ in self.noted(what)))

    def go(self) -> None:
        Path(f"{self.log}.go").touch()

    def finished(self) -> set[int]:
        return {shard.first for shard in read(self.state).finished}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def all_gone(runs: Runs) -> bool:
    return all(is_gone(pid) for _, pid in runs.noted("start"))
