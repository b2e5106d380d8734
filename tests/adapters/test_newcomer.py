"""A stranger's implementation in Go with two planted bugs, behind an adapter made from the kit: both are found."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.talk import outcome_of, runs_of, talking
from adapters.test_kits import with_example
from tunproof.corpus.cases import Case, ReadCase
from tunproof.corpus.load import load
from tunproof.judge.decide import decide
from tunproof.judge.verdict import NOT_RUN, TOLERATED, Kind, Verdict
from tunproof.runs.results import read

HERE = Path(__file__).parent / "newcomer"
HAS = {"gso.tcp4", "gso.tcp6", "csum.partial"}

FINAL_FLAGS = {"PshOnLastOnly", "FinOnLastOnly"}
CWR = {"CwrOnFirstOnly"}
BESIDE = {
    "read/sequences/flags-after-none",  # the superpacket that comes second has PSH, FIN
    "read/tcp-header/acknowledgment-without-ack-tcp4",  # PSH alone
}
"""Cases of other flags whose superpackets have PSH or FIN all the same."""


def build(folder: Path, *flags: str) -> list[str]:
    if shutil.which("go") is None:
        pytest.skip("no compiler: go")
    (folder / "go.mod").write_text("module newcomer\n\ngo 1.23\n")
    (folder / "adapter.go").write_text(with_example("go", ""))
    for file in HERE.glob("*.go"):
        shutil.copy(file, folder)
    program = folder / "newcomer"
    done = subprocess.run(
        ["go", "build", *flags, "-o", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [str(program)]


def verdicts(command: list[str], log: Path) -> list[tuple[Case, Verdict]]:
    made = []
    with talking(command, log) as talk:
        hello = talk.hello()
        assert (hello.ops, set(hello.capabilities), hello.implementation.name) == (("read",), HAS, "newcomer")
        for case in load().cases.values():
            if isinstance(case, ReadCase) and set(case.requires) <= HAS:
                replies = [talk.run("read", given) for given in runs_of(case)]
                made.append((case, decide(case, outcome_of(replies[-1]))))
    return made


def test_the_two_bugs_are_found_and_nothing_else(tmp_path: Path) -> None:
    judged = verdicts(build(tmp_path), tmp_path / "log")
    failed = [case for case, verdict in judged if verdict.kind != Kind.PASS]
    assert {case.id for case in failed if not set(case.flags) & (FINAL_FLAGS | CWR)} == BESIDE
    assert {flag for case in failed for flag in case.flags} >= FINAL_FLAGS | CWR
    assert [case.id for case in failed if set(case.flags) <= FINAL_FLAGS]
    assert [case.id for case in failed if set(case.flags) <= CWR]


def test_without_them_every_case_passes(tmp_path: Path) -> None:
    judged = verdicts(build(tmp_path, "-ldflags", "-X main.bugs=none"), tmp_path / "log")
    assert len(judged) > 500
    assert {case.id: verdict.difference for case, verdict in judged if verdict.kind != Kind.PASS} == {}


def test_the_command_explains_both(tmp_path: Path) -> None:
    """What the author sees who knows nothing but the guide: every flag, its effect, and the line that asks again."""
    (program,) = build(tmp_path)
    words = [sys.executable, "-m", "tunproof", "check", "--report", "out", "--", program]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    corpus = load()
    for result in read(tmp_path / "out").results.values():
        assert result.verdict in {Kind.PASS, Kind.FAIL, Kind.BLOCKED, *TOLERATED, *NOT_RUN}
        assert result.unexpected == (result.verdict is Kind.FAIL)
    page = (tmp_path / "out" / "index.html").read_text()
    for name in FINAL_FLAGS | CWR:
        assert corpus.flags[name].effect in page
        assert corpus.flags[name].effect in (tmp_path / "out" / "junit.xml").read_text()
    assert [line for line in done.stdout.splitlines() if "read: tcp.flags (FIN, PSH) is wrong" in line]
    assert [line for line in done.stdout.splitlines() if "read: tcp.flags (CWR) is wrong" in line]
    assert "effect: The receiver takes the first segment to be the end" in done.stdout
    assert "tcp.flags at byte" in done.stdout
    assert "repeat   tunproof check --select read/" in done.stdout


@pytest.mark.lab
@pytest.mark.parametrize("mode", ["wire", "device-fd"])
def test_both_are_found_behind_a_file_descriptor_as_well(tmp_path: Path, mode: str) -> None:
    (program,) = build(tmp_path)
    words = [sys.executable, "-m", "tunproof", "check", "--json", "--mode", mode, "--", program]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    cases = load().cases
    flags = {flag for one in json.loads(done.stdout)["unexpected"] for flag in cases[one["id"]].flags}
    assert flags >= FINAL_FLAGS | CWR
