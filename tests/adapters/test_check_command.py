"""The command as CI sees it: exit codes, one JSON object, truncated streams, and no process left behind."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from common.support import processes_marked
from fakes.cutting import CUTTERS
from tunproof.corpus.load import load
from tunproof.errors import UsageError
from tunproof.protocol.kits import adapter as kit
from tunproof.runs import results

RUN = [sys.executable, "-m", "tunproof", "check"]
KIT = [sys.executable, kit.__file__]
HERE = Path(__file__).parent
VICTIM = load().cases["checksum/carries/high-bytes"]


@pytest.fixture(autouse=True)
def nobody_is_left(monkeypatch):
    mark = uuid.uuid4().hex
    monkeypatch.setenv("TUNPROOF_TEST", mark)
    yield
    assert gone(mark)


def gone(mark):
    """Whether nobody with the mark is left: a warden that lost its runner needs a moment."""
    deadline = time.monotonic() + 5
    while processes_marked(mark) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not processes_marked(mark)


def rogue(way):
    return [sys.executable, str(HERE / "rogue.py"), way, VICTIM.input.data.hex()]


def check(*arguments, **options):
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=60, check=False, **options)


def test_as_expected_is_0_and_one_object():
    done = check("--json", "--", *KIT)
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert said["subject"] == "example"
    assert said["cases"] == len(load().cases)
    assert set(said["verdicts"]) == {"pass", "outside", "unsupported"}
    assert said["verdicts"]["pass"] == 114
    assert said["unexpected"] == []
    assert said["seconds"] > 0
    assert done.stderr == ""


@pytest.mark.parametrize("words", [["reference"], ["python:tunproof.subjects.reference:Reference"]])
def test_subjects_in_this_process(words):
    done = check("--json", "--select", "write*", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdicts"] == {"pass": 866}


def test_an_unexpected_result_is_1_and_explained():
    done = check("--select", "checksum/*", "--", *rogue("wrong_answer"))
    assert done.returncode == 1
    for part in (
        f"{VICTIM.id}  fail (unexpected)",
        "expected 0x",
        "got 0x1234",
        "basis",
        "effect: ",
        f"--select {VICTIM.id} -- {sys.executable}",
        "1 unexpected",
    ):
        assert part in done.stdout
    assert check("--select", VICTIM.id, "--json", "--", *rogue("crash")).returncode == 1


def test_who_passes_everything_is_told_of_the_fuzzer():
    """By a command that runs as it stands."""
    done = check("--", *KIT)
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("next, for input that no case covers: ")]
    words = shlex.split(line.rpartition(": ")[2])
    assert words == ["tunproof", "fuzz", "adapter", "--seconds", "60", "--", *KIT]
    for arguments in (["reference"], ["--select", "checksum/*", "--", *KIT], ["--", *rogue("wrong_answer")]):
        assert "next, " not in check(*arguments).stdout


def test_the_command_of_an_explanation_repeats_the_case():
    done = check("--select", "checksum/*", "--", *rogue("wrong_answer"))
    (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith("repeat")]
    words = shlex.split(line.strip().removeprefix("repeat"))
    assert words[:2] == ["tunproof", "check"]
    again = check("--json", *words[2:])
    assert again.returncode == 1
    assert json.loads(again.stdout)["unexpected"] == [{"id": VICTIM.id, "verdict": "fail"}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--select", "nothing/*", "reference"], "no case matches"),
        (["--select", "read/*", "--", *KIT], "does not claim the operation read"),
        (["referense"], "there is no subject"),
        (["python:no.such.module:factory"], "no.such"),
        (["python:json:no_factory"], "no_factory"),
        (["python:collections:OrderedDict"], "is not a tunproof.subject.Subject"),
        (["python:json"], "not of the form"),
        (["--mode", "telepathy", "--", *KIT], "there is no mode"),
        (["--mode", "wire", "--", *KIT], "the adapter has no mode 'wire'"),
        (["--mode", "wire", "reference"], "--mode is for adapters"),
        (["--baseline", "/no/such/file.toml", "reference"], "/no/such/file.toml"),
        (["--resume", "reference"], "--report"),
        (["--write-baseline", "--select", "read/*", "reference"], "whole corpus"),
        (["--no-such-option", "reference"], "No such option"),
        ([], "Missing argument"),
    ],
)
def test_wrong_use_is_2(arguments, words):
    done = check(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--", "/no/such/adapter"], "cannot be started: /no/such/adapter: No such file"),
        (["--", "no-such-program"], "cannot be started"),
        (["--", "/etc/passwd"], "Permission denied"),
        (["--", "true"], "did not answer hello"),
        (["--", *rogue("garbage_at_hello")], "Welcome to my VPN!"),
        (["--", *rogue("constant")], "same answer to two inputs"),
        (["--report", "/proc/no", "reference"], "/proc/no"),
    ],
)
def test_an_environment_that_does_not_allow_it_is_3(arguments, words):
    done = check(*arguments)
    assert done.returncode == 3, done.stdout + done.stderr
    assert words in done.stderr
    assert "cure: " in done.stderr


def test_a_program_may_be_called_reference(tmp_path):
    (tmp_path / "reference").write_text(f"#!/bin/sh\nexec {shlex.join(KIT)}\n")
    (tmp_path / "reference").chmod(0o755)
    done = check("--json", "--select", "checksum/*", "--", "reference", cwd=tmp_path)
    assert json.loads(done.stdout)["subject"] == "example"


def test_reports_are_written_and_hold_together(tmp_path):
    done = check("--select", "checksum/*", "--report", str(tmp_path / "out"), "--", *rogue("crash"))
    assert done.returncode == 1
    stream = results.read(tmp_path / "out")
    assert stream.end.verdicts == {"pass": 56, "crash": 1}
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"index.html", "junit.xml", "summary.md"}
    assert VICTIM.id in (tmp_path / "out" / "summary.md").read_text()


def test_a_baseline_of_today_makes_tomorrow_green_and_a_mended_bug_red(tmp_path):
    known = tmp_path / "known.toml"
    done = check("--write-baseline", "--", *rogue("wrong_answer"))
    assert done.returncode == 0
    known.write_text(done.stdout)
    assert check("--baseline", str(known), "--", *rogue("wrong_answer")).returncode == 0
    mended = check("--baseline", str(known), "--json", "--", *rogue("none"))
    assert mended.returncode == 1
    assert json.loads(mended.stdout)["unexpected"] == [{"id": VICTIM.id, "verdict": "xpass"}]
    otherwise = check("--baseline", str(known), "--json", "--", *rogue("crash"))
    assert json.loads(otherwise.stdout)["unexpected"] == [{"id": VICTIM.id, "verdict": "crash"}]


def test_a_stale_entry_of_the_baseline_is_1(tmp_path):
    known = tmp_path / "known.toml"
    known.write_text('[[known]]\ncase = "read/gone/away"\noutcome = "fail"\nreason = "it was here"\n')
    done = check("--baseline", str(known), "--json", "reference")
    assert done.returncode == 1
    assert json.loads(done.stdout)["unexpected"] == [{"id": "read/gone/away", "verdict": "stale"}]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_leaves_a_stream_that_says_so_and_can_be_resumed(tmp_path, number):
    out = tmp_path / "out"
    arguments = ["--batch", "1", "--select", "checksum/*", "--report", str(out), "--deadline", "30", "--"]
    run = subprocess.Popen(
        [*RUN, *arguments, *rogue("hang")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 20
    while not ((out / "results.jsonl").exists() and (out / "results.jsonl").stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(number)
    _, complaint = run.communicate(timeout=20)
    assert run.returncode != 0
    if number == signal.SIGINT:
        assert run.returncode == 130
        assert b"interrupted" in complaint
    assert gone(os.environ["TUNPROOF_TEST"])
    with pytest.raises(UsageError, match="incomplete"):
        results.read(out)
    with (out / "results.jsonl").open("ab") as stream:
        stream.write(b'{"record":"result","id":"chec')
    refused = check("--resume", "--report", str(out), "--select", "checksum/*", "--", *rogue("none"))
    assert refused.returncode == 2
    assert "holds another run: its command" in refused.stderr


def test_resuming_asks_only_what_is_left(tmp_path):
    out = tmp_path / "out"
    arguments = ["--select", "checksum/*", "--report", str(out), "--json", "--", *rogue("wrong_answer")]
    assert check(*arguments).returncode == 1
    whole = results.read(out)
    lines = (out / "results.jsonl").read_bytes().splitlines(keepends=True)
    (out / "results.jsonl").write_bytes(b"".join(lines[:20]) + lines[20][:30])
    done = check("--resume", *arguments)
    assert done.returncode == 1
    again = results.read(out)
    assert again.run == whole.run
    assert again.results == whole.results
    assert (out / "results.jsonl").read_bytes().splitlines(keepends=True)[:20] == lines[:20]


def test_a_full_disk_is_said_and_what_was_written_stays():
    done = check("--select", "checksum/*", "--report", "/dev/full", "reference")
    assert done.returncode == 3


def test_a_fake_in_this_process_is_caught_by_its_flag(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE.parent), prepend=os.pathsep)
    done = check("--json", "--select", "read/tcp4/*", f"python:fakes.cutting:{CUTTERS[0].__name__}")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["subject"] == CUTTERS[0].name
    flags = {flag for one in said["unexpected"] for flag in load().cases[one["id"]].flags}
    assert CUTTERS[0].flag in flags


def test_a_subject_that_ends_the_process_is_an_error_and_no_success(tmp_path):
    (tmp_path / "quits.py").write_text(
        "from tunproof.subject import Subject\n"
        "class Quits(Subject):\n    name = 'quits'\n"
        "    def checksum(self, data, initial):\n        raise SystemExit(0)\n"
    )
    (tmp_path / "gone.py").write_text("import sys\nsys.exit(0)\n")
    done = check("--json", "--select", "checksum/*", "python:quits:Quits", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["verdicts"] == {"error": 57}
    assert check("python:gone:Subject", cwd=tmp_path).returncode == 3


def test_resuming_with_a_baseline(tmp_path):
    known = tmp_path / "known.toml"
    entry = '[[known]]\ncase = "{}"\noutcome = "fail"\nreason = "so it is"\n'
    known.write_text(entry.format(VICTIM.id) + entry.format("read/gone/away"))
    out = tmp_path / "out"
    arguments = ["--baseline", str(known), "--select", "checksum/*", "--report", str(out), "--json", "--"]
    first = check(*arguments, *rogue("wrong_answer"))
    lines = (out / "results.jsonl").read_bytes().splitlines(keepends=True)
    (out / "results.jsonl").write_bytes(b"".join(lines[:5]))
    again = check("--resume", *arguments, *rogue("wrong_answer"))
    assert first.returncode == again.returncode == 1
    for done in (first, again):
        assert json.loads(done.stdout)["unexpected"] == [{"id": "read/gone/away", "verdict": "stale"}]
    assert (out / "results.jsonl").read_text().count('"stale"') == 1


def test_two_runs_do_not_write_into_one_stream(tmp_path):
    with results.Writer(tmp_path / "results.jsonl") as writer:
        writer.write([])
        done = check("--report", str(tmp_path), "reference")
    assert done.returncode == 3
    assert str(tmp_path) in done.stderr


def test_a_refusal_is_worth_nothing_where_the_valid_sibling_is_refused_too(tmp_path):
    (tmp_path / "refuses.py").write_text(
        "from tunproof import Claims, Subject, TurnedDownError\n"
        "class Refuses(Subject):\n    name = 'refuses'\n    claims = Claims(trust='anyone')\n"
        "    def read(self, frame, before):\n        raise TurnedDownError('no')\n"
    )
    done = check("--json", "--select", "read/vnet-faults/gso-size-zero*", "python:refuses:Refuses", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["verdicts"] == {"blocked": 3}


@pytest.mark.parametrize("seconds", ["inf", "nan", "0", "-1"])
def test_a_deadline_is_a_number_of_seconds(seconds):
    assert check("--deadline", seconds, "reference").returncode == 2
