"""Kernels in guests: one old and one new, tested like the running one."""

from pathlib import Path

import pytest

from tio.linux import observable, traits_of
from tunproof.corpus.load import load
from tunproof.errors import EnvironmentProblem
from tunproof.matrix import machine
from tunproof.matrix.conduct import BOOTS, CONSOLE, RESULT, Wanted, conduct
from tunproof.matrix.fetch import fetch
from tunproof.matrix.kernels import Kernel, cache_folder
from tunproof.runs.results import STREAM, read

pytestmark = [pytest.mark.guests, pytest.mark.timeout(400)]

OLD_AND_NEW = ("5.10", "7.3")
CORPUS = load()


@pytest.fixture(scope="module", autouse=True)
def _qemu() -> None:
    try:
        machine.ensure()
    except EnvironmentProblem as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="module")
def kernels() -> list[Kernel]:
    try:
        fetched, _ = fetch(OLD_AND_NEW, cache_folder())
    except EnvironmentProblem as problem:
        pytest.skip(f"no kernels to boot: {problem}")
    missing = [f"{one.problem} ({one.cure})" for one in fetched if one.kernel is None]
    if missing:
        pytest.skip(f"no kernels to boot: {'; '.join(missing)}")
    return [one.kernel for one in fetched if one.kernel is not None]


def wanted(out: Path, *, frames: int) -> Wanted:
    return Wanted(corpus=CORPUS, cases=list(CORPUS.cases.values()), select="*", frames=frames, seed=3, out=out)


def test_an_old_and_a_new_kernel_do_what_corpus_and_model_say(kernels: list[Kernel], tmp_path: Path) -> None:
    results = conduct(kernels, wanted(tmp_path, frames=5000)).results
    assert sorted(one.release for one in results) == sorted(one.release for one in kernels)
    for one in results:
        assert one.problem == ""
        assert one.disagree == []
        assert one.agree > 1500
        assert one.frames is not None
        assert one.frames.differences == 0
        assert one.frames.frames > 4900
        assert set(one.traits) == {str(trait) for trait in observable(traits_of(one.version))} - set(one.unknown)
        folder = tmp_path / one.release
        assert read(folder / STREAM).run.kernel == one.release
        assert "Linux version" in (folder / CONSOLE).read_text()
        assert (folder / RESULT).is_file()


def test_an_image_that_is_no_kernel_is_a_result(tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(b"no kernel at all" * 100)
    bad = Kernel(release="none", version="0.1", package="", image=image, modules=None)
    [result] = conduct([bad], wanted(tmp_path / "out", frames=0)).results
    assert result.boots == BOOTS
    assert "never came up" in result.problem
    assert result.cases == 0
