"""The fuzz targets under atheris: they run, find what was planted, keep it, and leave nothing behind."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunfuzz.targets import TARGETS, Target
from tunfuzz.targets.driver import Fuzzer, Limits
from tunfuzz.targets.runs import Result, run
from tunproof.runs import findings

pytestmark = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")

PLANTED = '''
"""Planted: {name}."""

def check(data: bytes) -> None:
    if data[:2] == b"{magic}":
        {bug}
'''


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Planter":
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    return Planter(tmp_path)


class Planter:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"

    def target(self, name: str, bug: str, magic: str = "ab") -> Target:
        module = f"planted_{name}"
        (self.folder / f"{module}.py").write_text(PLANTED.format(name=name, bug=bug, magic=magic))
        return Target(name, module, packages=(module,))

    def run(self, target: Target, seconds: int = 20, limits: Limits = Limits()) -> Result:  # noqa: B008
        (result,) = run([target], seconds, out=self.out, seed=1, limits=limits)
        return result


def test_every_target_runs_and_finds_nothing(tmp_path: Path) -> None:
    results = run(list(TARGETS.values()), 1, out=tmp_path / "out", seed=1)
    assert {result.target for result in results} == set(TARGETS)
    for result in results:
        assert not result.error, result
        assert result.executions > 100
        assert result.per_s > 100
        assert result.coverage > 5
    assert not (tmp_path / "out").exists()


def test_a_planted_bug_is_found_made_smaller_and_kept(planted: Planter) -> None:
    result = planted.run(planted.target("raises", "raise ValueError('planted')"))
    assert result.error == "ValueError: planted"
    (folder,) = findings.in_folder(planted.out)
    assert str(folder) == result.finding
    finding = findings.load(folder)
    assert finding.kind == "target"
    assert bytes.fromhex(finding.input["data"]) == b"ab"
    assert "ValueError: planted" in finding.details
    assert finding.seed == 1


def test_a_hang_is_a_finding(planted: Planter) -> None:
    result = planted.run(planted.target("hangs", "\n        while True: pass"), limits=Limits(seconds=1))
    assert findings.load(Path(result.finding)).got["outcome"] == "hang"


def test_memory_without_bound_is_a_finding(planted: Planter) -> None:
    bug = "kept = []\n        while True: kept.append(bytes(1 << 20))"
    result = planted.run(planted.target("eats", bug), limits=Limits(memory=300))
    assert findings.load(Path(result.finding)).got["outcome"] == "memory"


def test_new_inputs_are_kept_only_where_it_was_asked_for(tmp_path: Path) -> None:
    before = sorted(Path("corpora/seeds").rglob("*"))
    grown = tmp_path / "grown"
    grown.mkdir()
    run([TARGETS["segment"]], 1, out=tmp_path / "out", grow=grown)
    assert list(grown.iterdir())
    assert sorted(Path("corpora/seeds").rglob("*")) == before


def test_closing_ends_the_child() -> None:
    with Fuzzer(TARGETS["header"], seconds=60) as fuzzer:
        while not fuzzer.stats.executions:
            assert fuzzer.read()
        number = fuzzer.process_id
    assert not alive(number)
    fuzzer.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_child_outlives_a_run_that_is_ended(how: signal.Signals, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from tunfuzz.targets import TARGETS; from tunfuzz.targets.runs import run\n"
        "def watch(running, done): print(*(one.process_id for one in running if one.stats.executions), flush=True)\n"
        "run([TARGETS['header'], TARGETS['segment']], 60, out=Path('out'), watch=watch)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, start_new_session=True,
    ) as runner:  # fmt: skip
        assert runner.stdout is not None
        try:
            children: list[int] = []
            while len(children) < min(2, os.cpu_count() or 1):
                line = runner.stdout.readline()
                assert line
                children = [int(word) for word in line.split()]
            os.kill(runner.pid, how)
            runner.wait(10)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(runner.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(alive, children))
    assert not list(tmp_path.iterdir())


def alive(number: int) -> bool:
    """Whether a process is there and more than a zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
