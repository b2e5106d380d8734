"""The corpus's manual: its loaders run as printed, and its tables are complete."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.cases import OPERATIONS
from tunproof.corpus.load import load
from tunproof.kernel.probes import PROBES

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "corpora" / "README.md").read_text("utf-8")
CASES = list(load().cases.values())
ASKED = [case for case in CASES if case.id.startswith(("checksum/", "read/"))]

RIGHT = """
import tio

checksum = tio.checksum


def read(frame):
    try:
        return tio.segment(frame, byte_order="little")
    except tio.FrameError as error:
        raise ValueError(error) from error
"""

GO = """
package main

import "errors"

func Checksum(data []byte, initial uint16) uint16 {
	sum := uint32(initial)
	for i, b := range data {
		if i%2 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// Read knows whole packets only: everything else is an error, or a crash on short frames.
func Read(frame []byte) ([][]byte, error) {
	if frame[0]|frame[1] != 0 {
		return nil, errors.New("no offload here")
	}
	return [][]byte{frame[10:]}, nil
}
"""


def code(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", MANUAL, flags=re.DOTALL)
    return block


def run_python(folder: Path, implementation: str, corpora: Path) -> subprocess.CompletedProcess[str]:
    (folder / "loader.py").write_text(code("python"))
    (folder / "implementation.py").write_text(implementation)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "reference")}
    command = [sys.executable, "loader.py", str(corpora)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_python_loader_is_short_and_uses_the_standard_library_only() -> None:
    lines = code("python").splitlines()
    assert len(lines) < 60
    assert [line for line in lines if line.startswith(("import", "from"))] == [
        "import hashlib, json, pathlib, sys",
        "from implementation import checksum, read  # (bytes, int) -> int; (bytes) -> list of bytes, or ValueError",
    ]


def test_the_python_loader_passes_a_right_implementation(tmp_path: Path) -> None:
    done = run_python(tmp_path, RIGHT, ROOT / "corpora")
    assert done.stderr == ""
    assert done.stdout == f"{len(ASKED)} cases, 0 failed\n"
    assert done.returncode == 0


def test_the_python_loader_finds_a_wrong_implementation(tmp_path: Path) -> None:
    wrong = RIGHT + "\n\ndef checksum(data, initial):\n    return tio.checksum(data, initial) ^ (len(data) == 1)\n"
    done = run_python(tmp_path, wrong, ROOT / "corpora")
    assert done.returncode == 1
    failed = done.stdout.splitlines()[1:]
    assert failed
    assert all(name.startswith("checksum/") for name in failed)


def test_the_python_loader_refuses_a_changed_case(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "corpora" / "golden", tmp_path / "corpora" / "golden")
    path = next((tmp_path / "corpora" / "golden" / "checksum").glob("*.json"))
    document = json.loads(path.read_bytes())
    document["cases"][0]["input"]["data"] += "00"
    path.write_text(json.dumps(document))
    done = run_python(tmp_path, RIGHT, tmp_path / "corpora")
    assert done.returncode == 1
    assert "was changed" in done.stderr


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go compiler (Debian: apt-get install golang)")
def test_the_go_loader_finds_what_an_implementation_lacks(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(code("go"))
    (tmp_path / "implementation.go").write_text(GO)
    (tmp_path / "go.mod").write_text("module loader\n\ngo 1.21\n")
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOCACHE": str(tmp_path / "cache")}
    command = ["go", "run", ".", str(ROOT / "corpora")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.stderr == "exit status 1\n"
    head, *failed = done.stdout.split("\n")
    musts = [case for case in ASKED if case.level == "must"]
    failed = [name for name in failed if name]
    assert head == f"{len(musts)} cases, {len(failed)} failed"
    assert failed
    assert all(name.startswith("read/") for name in failed), "its checksum is right"
    assert "read/plain/tcp4" not in failed, "it reads whole packets"


def test_the_tables_name_every_operation_capability_trait_and_rule() -> None:
    for name in (*OPERATIONS, *CAPABILITIES, *PROBES):
        assert f"`{name}`" in MANUAL, name
    rules = set(re.findall(r"^V\d+", (ROOT / "reference/tio/virtio.py").read_text(), flags=re.MULTILINE))
    assert rules == set(re.findall(r"^\| (V\d+) \|", MANUAL, flags=re.MULTILINE))


def test_the_kernels_that_are_described_are_those_that_confirm_cases() -> None:
    text = (ROOT / "corpora" / "KERNELS.md").read_text("utf-8")
    described = {line.split("|")[1].strip() for line in text.splitlines() if re.match(r"\| \d+\.\d+\S* \|", line)}
    confirming = {release for case in CASES for release in case.confirmed}
    assert described
    assert described <= confirming
    assert "## Unexplained" not in text
