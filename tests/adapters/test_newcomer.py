"""A stranger's implementation in Go with two planted bugs, behind an adapter made of the kit: both are found."""

import shutil
import subprocess
from pathlib import Path

import pytest

from adapters.talk import outcome_of, runs_of, talking
from adapters.test_kits import with_example
from tunproof.corpus.cases import Case, ReadCase
from tunproof.corpus.load import load
from tunproof.verdict import Kind, Verdict, decide

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
