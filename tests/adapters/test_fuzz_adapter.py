"""The peer differential over a process: crashes, hangs and Ctrl-C leave findings on disk, and no process behind."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from common.support import processes_marked
from tunfuzz.peer.met import look
from tunfuzz.peer.request import Request
from tunfuzz.peer.run import run
from tunproof import lab
from tunproof.corpus.cases import BatchInput
from tunproof.corpus.load import load
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.judge.verdict import Kind
from tunproof.protocol.messages import MODES
from tunproof.runs import findings
from tunproof.subjects.adapters.client import AdapterBrokenError
from tunproof.subjects.adapters.process import Limits
from tunproof.subjects.connect import Connector
from tunproof.subjects.reference import Reference

ROGUE = Path(__file__).with_name("rogue.py")
CORPUS = load()
REFERENCE = (sys.executable, "-m", "tunproof.reference_adapter")
SEED = 4  # among its first checksums is one of no bytes: the rogue's victim
COMMAND = """
import sys, typer
from tunfuzz.peer.command import adapter
app = typer.Typer()
@app.callback()
def remember(ctx: typer.Context):
    ctx.obj = sys.argv[1:]
app.command("adapter")(adapter)
app()
"""


@pytest.fixture(autouse=True)
def nobody_is_left(monkeypatch):
    mark = uuid.uuid4().hex
    monkeypatch.setenv("TUNPROOF_TEST", mark)
    yield
    assert processes_marked(mark) == []


def fuzzed(words, out, **wanted):
    mode = wanted.pop("mode", None)
    limits = Limits(answer=0.4, start=20.0, memory=256 << 20, restarts=wanted.pop("restarts", 100))
    connector = Connector(words=tuple(words), limits=limits, mode=mode)
    return run(Request(connector=connector, seed=wanted.pop("seed", SEED), out=out, **wanted), CORPUS)


def rogue(way):
    return (sys.executable, str(ROGUE), way, "")


@pytest.mark.parametrize("mode", ["memory", "wire"])
def test_the_reference_adapter_is_right_in_any_mode(mode, tmp_path):
    summary = fuzzed(REFERENCE, tmp_path, cases=640, mode=mode)
    assert summary.findings == []
    assert summary.troubles == []
    assert summary.mode == mode
    assert summary.exit_code == 0


@pytest.mark.lab
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.startswith("device")])
@pytest.mark.parametrize(
    ("operation", "cases"), [("write", 640), ("write_batch", 512), ("write_gso", 320), ("read", 640)]
)
def test_the_lab_accuses_nobody_of_its_own_limits(mode, operation, cases, tmp_path):
    """Among these writes are packets of 1 to 3 bytes, which a redirect loses."""
    lab.ensure()
    summary = fuzzed(REFERENCE, tmp_path, cases=cases, mode=mode, select=operation, seed=3)
    assert summary.findings == []
    assert summary.troubles == summary.mishaps == []
    lost = sum(times for reason, times in summary.skipped.items() if "this lab loses" in reason)
    assert bool(lost) is (operation == "write")
    assert lost < cases / 10


@pytest.mark.lab
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.startswith("device")])
def test_a_batch_that_the_lab_does_not_carry_whole_is_not_judged(mode):
    lab.ensure()
    whole = bytes.fromhex("4500001400000000403d0000c0000201c6336401")
    connector = Connector(words=REFERENCE, mode=mode)
    with connector.open(CORPUS) as connection, Reference() as reference:
        for packets, kind in (((whole, b"\x45\0"), Kind.NOT_APPLICABLE), ((whole, whole), Kind.PASS)):
            assert look(BatchInput(packets=packets), connection, reference).verdict.kind is kind


@pytest.mark.lab
@pytest.mark.parametrize("operation", ["write_gso", "write_batch"])
def test_what_a_device_shows_to_be_wrong_is_found(operation, tmp_path):
    lab.ensure()
    words = (sys.executable, str(ROGUE.with_name("wrong_reference.py")), "write")
    summary = fuzzed(words, tmp_path, cases=320, mode="device-create", select=operation)
    assert {kept.operation for kept in summary.findings} == {operation}


@pytest.mark.parametrize(
    ("way", "kind"),
    [("crash", "crash"), ("hang", "hang"), ("garbage", "protocol-error"), ("raise_error", "error")],
)
def test_an_adapter_that_breaks_is_a_finding_and_is_started_again(way, kind, tmp_path):
    summary = fuzzed(rogue(way), tmp_path, cases=64, select="checksum")
    (kept,) = summary.findings
    assert f"checksum, {kind}: " in kept.title
    finding = findings.load(Path(kept.folder))
    assert finding.input["data"] == ""
    assert finding.repro.startswith("tunproof fuzz adapter --replay ")
    assert summary.cases == 64
    assert summary.restarts


def test_too_many_restarts_end_the_run_and_lose_no_finding(tmp_path):
    summary = fuzzed(rogue("crash"), tmp_path, cases=600, select="checksum", restarts=3)
    assert "restarted 3 times" in summary.stopped
    assert summary.exit_code == 1
    assert findings.in_folder(tmp_path)


def test_what_is_not_claimed_is_not_asked_and_said(tmp_path):
    summary = fuzzed(rogue("none"), tmp_path, cases=300)
    assert set(summary.operations) == {"checksum", "header"}
    assert summary.skipped["not claimed: header.any-integer"] > 0
    assert "read: the subject does not claim it" in summary.skipped
    with pytest.raises(UsageError, match="nothing that can be run against it"):
        fuzzed(rogue("none"), tmp_path, cases=300, select="read")


def test_a_broken_adapter_is_no_finding(tmp_path):
    with pytest.raises(AdapterBrokenError):
        fuzzed(rogue("constant"), tmp_path, cases=100)
    assert not list(tmp_path.iterdir())


def test_a_finding_that_cannot_be_kept_is_told(tmp_path):
    (tmp_path / "file").touch()
    summary = fuzzed(rogue("wrong_answer"), tmp_path / "file", cases=128, select="checksum")
    assert "cannot be kept" in summary.stopped
    assert isinstance(summary.broken_off, EnvironmentProblem)
    (kept,) = summary.findings
    assert (kept.folder, kept.operation) == ("", "checksum")
    assert summary.exit_code == 1


def test_ctrl_c_names_the_findings_so_far(tmp_path):
    words = [sys.executable, "-c", COMMAND, "adapter", "--seconds", "60", "--seed", str(SEED), "--json"]
    words += ["--select", "checksum", "--out", str(tmp_path), "--", *rogue("wrong_answer")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as command:
        deadline = time.monotonic() + 20
        while not _kept_and_named(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)
        command.send_signal(signal.SIGINT)
        said, _ = command.communicate(timeout=20)
    assert command.returncode == 130
    summary = json.loads(said)
    assert summary["interrupted"] is True
    assert [Path(kept["folder"]) for kept in summary["findings"]] == findings.in_folder(tmp_path)


@pytest.mark.parametrize("written", range(1, 11))
def test_ctrl_c_between_the_disk_and_the_summary_leaves_both_the_same(written, tmp_path, monkeypatch):
    """A finding is put on disk twice: as it was met, and made smaller. Each time there are several files."""
    fsync, times = os.fsync, itertools.count(1)

    def interrupted(number):
        fsync(number)
        if next(times) == written:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "fsync", interrupted)
    summary = fuzzed(rogue("wrong_answer"), tmp_path, seconds=60.0, select="checksum")
    assert summary.interrupted
    assert [Path(kept.folder) for kept in summary.findings] == findings.in_folder(tmp_path) != []


def _kept_and_named(out):
    """Whether a finding is there in its last form: with its details."""
    return any(findings.load(folder).details.startswith("Resembles") for folder in findings.in_folder(out))


def test_a_finding_is_seen_again_by_its_own_command(tmp_path):
    summary = fuzzed(rogue("wrong_answer"), tmp_path, cases=128, select="checksum")
    words = [sys.executable, "-c", COMMAND, "adapter", "--replay", summary.findings[0].folder, "--json", "--"]
    again = subprocess.run([*words, *rogue("wrong_answer")], capture_output=True, text=True, timeout=30, check=False)
    assert (again.returncode, json.loads(again.stdout)["differs"]) == (1, True)
    right = subprocess.run([*words, *rogue("none")], capture_output=True, text=True, timeout=30, check=False)
    assert (right.returncode, json.loads(right.stdout)["differs"]) == (0, False)


def test_a_baseline_that_the_command_wrote_makes_the_next_run_pass(tmp_path):
    words = [sys.executable, "-c", COMMAND, "adapter", "--cases", "128", "--select", "checksum", "--seed", str(SEED)]
    words += ["--out", str(tmp_path / "out")]

    def run_with(*more):
        command = [*words, *more, "--", *rogue("wrong_answer")]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    written = run_with("--write-baseline")
    assert written.returncode == 0
    known = tmp_path / "known.toml"
    known.write_text(written.stdout)
    done = run_with("--baseline", str(known), "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["findings"]) == (0, [])
    assert said["known"]["checksum, sum"] >= 1
