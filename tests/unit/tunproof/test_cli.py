"""The command without privileges: what it prints, and the exit codes that CI trusts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = [sys.executable, "-m", "tunproof"]


def tunproof(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_no_argument_shows_the_help_and_is_a_usage_error() -> None:
    done = tunproof()
    assert done.returncode == 2
    assert "doctor" in done.stdout + done.stderr


def test_help_is_success() -> None:
    assert tunproof("--help").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("kernel", "--unknown"),
        ("show",),
        ("show", "read/tcp4/nothing-like-it"),
        ("check", "some-implementation"),
        ("check", "reference", "--select", "nothing/*"),
        ("corpus", "list", "--select", "nothing/*"),
    ],
)
def test_wrong_use_exits_2_with_a_message(arguments: tuple[str, ...]) -> None:
    done = tunproof(*arguments)
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_an_unknown_id_suggests_those_near_it() -> None:
    assert "read/tcp4/largest" in tunproof("show", "read/tcp4/larges").stderr


def test_show_draws_the_cut_and_says_why_it_matters() -> None:
    done = tunproof("show", "read/tcp4/cwr-on-first-segment-only")
    assert done.returncode == 0
    for text in (
        "superpacket",
        "[headers 40]",
        "segment 2",
        "gso_size 8",
        "CWR|ACK",
        "tcp.sequence",
        "effect:",
        "basis",
    ):
        assert text in done.stdout
    assert "\x1b" not in done.stdout  # no colour in a pipe


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("write_gso/refusals/empty-hdr", "must be refused"),
        ("read/vnet-faults/frame-of-1-bytes", "a kernel refuses the write: EINVAL"),
        ("read/small/tcp4-options-trap", "why the two may differ: a reader sees"),
        ("read/packet-faults/ipv4-total-length-one-more", "a kernel delivers 3 packets"),
        ("write_gso/tcp4/timestamps", "3 fragments: 1388, 1388, 500"),
        ("read/plain/pure-ack", "segment 0"),
        ("read/tcp4/five-hundred-segments", "488 more"),
    ],
)
def test_show_tells_every_kind_of_outcome(case: str, text: str) -> None:
    assert text in tunproof("show", case).stdout


def test_check_reference_agrees_with_every_case_and_prints_one_object() -> None:
    done = tunproof("check", "reference", "--json")
    result = json.loads(done.stdout)
    assert done.returncode == 0
    assert result["subject"] == "reference"
    assert result["verdicts"] == {"pass": result["cases"]}
    assert result["unexpected"] == []
    assert result["seconds"] > 0


def test_corpus_list_prints_every_id() -> None:
    done = tunproof("corpus", "list", "--json", "--select", "read/tcp6/*")
    ids = [case["id"] for case in json.loads(done.stdout)["cases"]]
    assert "read/tcp6/routing-header" in ids
    assert len(ids) == len(set(ids))


def test_a_reader_that_leaves_early_does_not_change_the_exit_code() -> None:
    for arguments in (("corpus", "list"), ("corpus", "list", "--json"), ("check", "reference", "--json")):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run([*RUN, *arguments], stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, b""), arguments


def test_closed_standard_streams_do_not_matter() -> None:
    command = " ".join(RUN) + " check reference --json <&- >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", command], timeout=60, check=False).returncode == 0


def test_a_full_disk_is_an_environment_problem() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*RUN, "check", "reference"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "cure" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_without_line_drawing_is_no_obstacle(encoding: str) -> None:
    done = tunproof("show", "read/tcp4/two-segments", env=os.environ | {"PYTHONIOENCODING": encoding})
    assert done.returncode == 0
    assert "########" in done.stdout


def test_a_crash_of_our_own_is_no_verdict(tmp_path: Path) -> None:
    """Exit code 1 says that a kernel or an implementation is wrong; a bug in tunproof must not."""
    (tmp_path / "sitecustomize.py").write_text(
        "import tunproof.runs.runner\ntunproof.runs.runner.perform = lambda *_, **__: 1 / 0\n"
    )
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = tunproof("check", "reference", env=os.environ | {"PYTHONPATH": paths})
    assert done.returncode == 3
    assert "ZeroDivisionError" in done.stderr
    assert "bug in tunproof" in done.stderr
