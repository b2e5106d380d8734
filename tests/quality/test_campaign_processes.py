"""Campaigns over real processes, which are killed, hang and break: nothing is lost, and nothing is left behind."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from common.campaigns import COMMAND, ENVIRONMENT, PATIENCE, Runs, all_gone, wait_for


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def once(*shards: int) -> dict[int, int]:
    return dict.fromkeys(shards, 1)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_shard_is_asked_once_whatever_the_workers(runs: Runs, workers: int) -> None:
    summary = runs.run({20: ["find"]}, workers=workers)
    assert runs.times("start") == runs.times("end") == once(0, 10, 20, 30, 40, 50)
    assert len({pid for _, pid in runs.noted("start")}) <= workers
    assert (summary.tally.cases, summary.missing, summary.tally.differences) == (60, 0, 3)
    assert summary.tally.rules == {"often": 60, "seldom": 1}
    assert [folder.parent for folder in summary.findings] == [runs.out]
    assert summary.exit_code == 1
    assert all_gone(runs)


def test_a_killed_worker_loses_nothing_and_the_others_go_on(runs: Runs) -> None:
    summary = runs.run({0: ["find", "kill-once"], 30: ["kill-once"]})
    assert runs.times("start") == {0: 2, 10: 1, 20: 1, 30: 2, 40: 1, 50: 1}
    assert runs.times("end") == once(0, 10, 20, 30, 40, 50)
    assert (summary.tally.cases, summary.missing, summary.problems) == (60, 0, ())
    assert len(summary.findings) == 1  # found twice, kept once


def test_a_shard_that_breaks_every_worker_is_reported_as_missing(runs: Runs) -> None:
    summary = runs.run({10: ["find", "kill"], 20: ["exit"], 30: ["raise"]})
    assert runs.times("start") == {0: 1, 10: 3, 20: 3, 30: 3, 40: 1, 50: 1}
    assert runs.finished() == {0, 40, 50}
    assert (summary.tally.cases, summary.missing) == (30, 30)
    why = dict(problem.split(": ", 1) for problem in summary.problems)
    assert why["cases 10 to 19"] == "its worker was killed by SIGKILL"
    assert why["cases 20 to 29"] == "its worker ended with exit code 7"
    assert "ZeroDivisionError: a bug of the runner" in why["cases 30 to 39"]
    assert len(summary.findings) == 1
    assert (summary.tally.differences, summary.exit_code) == (0, 1)
    assert all_gone(runs)


def test_a_worker_that_hangs_is_ended(runs: Runs) -> None:
    summary = runs.run({0: ["hang"]}, cases=10, deadline=0.5)
    assert summary.problems == ("cases 0 to 9: its worker hung: no answer within 0.5 s",)
    assert (summary.missing, summary.exit_code) == (10, 3)
    assert all_gone(runs)


def test_an_environment_that_does_not_allow_it_ends_the_campaign(runs: Runs) -> None:
    summary = runs.run({10: ["environment"], 0: ["hang"]})
    assert summary.problems == ("there is no lab\n  cure: get one",)
    assert (summary.missing, summary.exit_code) == (60, 3)
    assert all_gone(runs)


def test_ctrl_c_ends_the_workers_and_sums_up(runs: Runs) -> None:
    with runs.start({10: ["find"], 30: ["hang"], 40: ["hang"]}, "--cases", "50", "--workers", "2", "--json",
                    "--out", str(runs.out)) as client:  # fmt: skip
        wait_for(lambda: {30, 40} <= set(runs.times("start")) and len(runs.finished()) == 3)
        client.send_signal(signal.SIGINT)
        said, complained = client.communicate(timeout=PATIENCE)
    summary = json.loads(said)
    assert client.returncode == 130
    assert (summary["cases"], summary["missing"]) == (30, 20)
    assert [Path(folder).parent for folder in summary["findings"]] == [runs.out]
    assert summary["resume"].endswith(f"--resume {runs.state}")
    assert "Traceback" not in complained
    assert all_gone(runs)


def test_a_killed_client_leaves_no_process_and_every_finished_shard(runs: Runs) -> None:
    with runs.start({30: ["hang"], 40: ["hang"]}, "--cases", "50", "--workers", "2", "--seed", "5",
                    "--out", str(runs.out)) as client:  # fmt: skip
        wait_for(lambda: {30, 40} <= set(runs.times("start")) and len(runs.finished()) == 3)
        client.kill()
    wait_for(lambda: all_gone(runs))
    assert runs.finished() == {0, 10, 20}
    before = len(runs.noted("start"))
    with runs.start({}, "--resume", str(runs.state)) as client:
        said, complained = client.communicate(timeout=PATIENCE)
    assert (client.returncode, complained) == (0, "")
    assert "50 cases from seed 5" in said
    assert sorted(first for first, _ in runs.noted("start")[before:]) == [30, 40]


def test_a_full_disk_ends_the_campaign_and_leaves_what_is_finished(runs: Runs) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare(1), which gives a small disk to a test")
    runs.out.mkdir()
    script = 'mount -t tmpfs -o size=8k none "$1" || exit 77; shift; "$@"; code=$?; cat "$0" >&2; exit $code'
    confined = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(runs.state), str(runs.out)]
    told = json.dumps({"log": str(runs.log), "acts": {}})
    options = ["--cases", "2000", "--workers", "1", "--json", "--out", str(runs.out)]
    done = subprocess.run(
        [*confined, *COMMAND, told, *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=ENVIRONMENT,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no file system can be mounted: {done.stderr}")
    summary = json.loads(done.stdout)
    lines = done.stderr.splitlines(keepends=True)
    assert done.returncode == 3
    assert "No space left on device" in summary["problems"][0]
    assert lines[-1].endswith("}\n")
    assert 0 < summary["cases"] == 10 * (len(lines) - 1) < 2000
    assert summary["missing"] == 2000 - summary["cases"]
