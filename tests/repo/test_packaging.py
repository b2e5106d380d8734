"""The distribution: what a wheel contains, and that it works when installed without a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tio
import tunproof
from tunproof.corpus.load import CORPORA

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (made,) = folder.glob("tunproof-*.whl")
    return made


def test_a_wheel_has_the_three_packages_and_the_corpus_once(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert {name.partition("/")[0] for name in names if "dist-info" not in name} == {"tio", "tunproof", "tunfuzz"}
    in_wheel = {name.removeprefix("tunproof/corpora/") for name in names if name.endswith(".json")}
    corpora = ROOT / "corpora"
    wanted = [*corpora.glob("golden/*/*.json"), *corpora.glob("schema/*.json")]
    assert in_wheel == {str(path.relative_to(corpora)) for path in wanted}
    for package in ("tio", "tunproof", "tunfuzz"):
        assert f"{package}/py.typed" in names


def test_an_installed_wheel_checks_the_reference_and_knows_that_it_is_no_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)  # what pip does with a pure wheel, without a registry
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    where = run("-c", "import tunproof, tio, tunfuzz; print(tunproof.__file__, tio.__file__, tunfuzz.__file__)")
    assert where.stdout.count(str(tmp_path)) == 3, where.stdout + where.stderr
    assert run("-m", "tunproof", "check", "reference").returncode == 0
    assert run("-m", "tunproof", "corpus", "export", "--dir", str(tmp_path / "vendored")).returncode == 0
    assert (tmp_path / "vendored" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    build = run("-m", "tunproof", "corpus", "build")
    assert build.returncode == 2
    assert "in a checkout" in build.stderr


def test_an_editable_install_sees_the_checkout() -> None:
    assert Path(tio.__file__).parent == ROOT / "reference" / "tio"
    assert Path(tunproof.__file__).parent == ROOT / "harness" / "tunproof"
    assert CORPORA.resolve() == ROOT / "corpora"
