"""What ClusterFuzzLite gets of `.clusterfuzzlite`, built here with stand-ins for what its image has."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tunfuzz.targets import TARGETS
from tunfuzz.targets.driver import seeds_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".clusterfuzzlite"
COMPILE = 'cp "$1" "$OUT/$(basename "$1" .py)"\n'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clusterfuzzlite")
    bin_, out, source, temporary = (folder / name for name in ("bin", "out", "src", "tmp"))
    for each in (bin_, out, source, temporary):
        each.mkdir()
    (source / "tunproof").symlink_to(ROOT)
    python = f'exec "{sys.executable}" "$@"\n'  # not a link: that would lose the virtual environment
    for name, text in (("pip3", ""), ("python3", python), ("compile_python_fuzzer", COMPILE)):
        (bin_ / name).write_text(f"#!/bin/sh\n{text}")
        (bin_ / name).chmod(0o755)
    path = f"{bin_}:{os.environ['PATH']}"
    environment = {"PATH": path, "OUT": str(out), "SRC": str(source), "TMPDIR": str(temporary)}
    subprocess.run([FOLDER / "build.sh"], env=environment, check=True, timeout=60)
    assert not list(temporary.iterdir())
    return out


def test_there_is_a_fuzzer_a_target_with_all_that_belongs_to_it(built: Path) -> None:
    endings = ("", ".dict", ".options", "_seed_corpus.zip")
    wanted = {f"fuzz_{name}{ending}" for name in TARGETS for ending in endings}
    assert {path.name for path in built.iterdir()} == wanted


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_limits_are_those_of_the_target(built: Path, name: str) -> None:
    with zipfile.ZipFile(built / f"fuzz_{name}_seed_corpus.zip") as seeds:
        packed = {Path(entry).name: seeds.read(entry) for entry in seeds.namelist()}
    assert packed == {path.name: path.read_bytes() for path in seeds_of(TARGETS[name])}
    assert f"max_len = {TARGETS[name].max_length}\n" in (built / f"fuzz_{name}.options").read_text()
    assert (built / f"fuzz_{name}.dict").read_bytes()


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_a_fuzzer_runs(built: Path) -> None:
    flags = ["-runs=2000", f"-dict={built / 'fuzz_segment.dict'}"]
    done = subprocess.run(
        [sys.executable, built / "fuzz_segment", *flags], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Instrumenting tio.segment" in done.stderr
    assert "Done 2000 runs" in done.stderr


def test_it_is_a_python_project() -> None:
    assert "language: python" in (FOLDER / "project.yaml").read_text()
    assert "base-builder-python" in (FOLDER / "Dockerfile").read_text()
