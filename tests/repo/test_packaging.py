"""The distribution: what a wheel contains, and that it works when installed without a checkout."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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


def _requirements(of: str, wanted: Iterable[str]) -> Iterator[str]:
    """Yield the distributions that `of` needs without extras, and those that they need."""
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            assert not requirement.extras, f"{of}: {requirement}: this test does not follow extras"
            yield requirement.name
            yield from _requirements(requirement.name, metadata.requires(requirement.name) or ())


def _without_extras(wheel: Path, folder: Path) -> Path:
    """Make `folder` what `pip install WHEEL` makes of an empty environment, from what is installed here."""
    zipfile.ZipFile(wheel).extractall(folder)
    (about,) = folder.glob("*.dist-info")
    needed = metadata.PathDistribution(about).requires or ()
    for name in set(_requirements("tunproof", needed)):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in {"..", "__pycache__"}}:
            (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder


def test_a_plain_install_can_check_and_fuzz_an_adapter(wheel: Path, tmp_path: Path) -> None:
    """What the guide installs has no extras: nothing else is importable here."""
    site = _without_extras(wheel, tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(site)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    adapter = ("--", sys.executable, "-S", "-m", "tunproof.reference_adapter")
    assert "No module named 'pytest'" in run("-c", "import pytest").stderr, "what is not required must be missing"
    for command in (
        ("check", "--select", "write/*", *adapter),
        ("fuzz", "adapter", "--cases", "256", "--seed", "1", *adapter),
    ):
        done = run("-m", "tunproof", *command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_an_editable_install_sees_the_checkout() -> None:
    assert Path(tio.__file__).parent == ROOT / "reference" / "tio"
    assert Path(tunproof.__file__).parent == ROOT / "harness" / "tunproof"
    assert CORPORA.resolve() == ROOT / "corpora"
