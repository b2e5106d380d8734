"""What a matrix run says about the corpus: only kernels with complete results count, and only for the same bytes."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tio.linux import Lost, observable, traits_of
from tunproof.corpus.load import load
from tunproof.corpus.model import Reached
from tunproof.errors import UsageError
from tunproof.kernel.probes import Probed
from tunproof.kernel.replay import Disagreement, Trial
from tunproof.matrix.conduct import HANDED, KernelResult, answers_digest
from tunproof.matrix.confirm import seen_in
from tunproof.matrix.examine import Handed
from tunproof.matrix.publish import MATRIX
from tunproof.runs.kernel import heading, run_kernel
from tunproof.runs.results import keep

CORPUS = load()
CASES = CORPUS.select("read/udp4/*")


def handed_by(release: str) -> Handed:
    """What a kernel hands to a reader: one case."""
    reached = (Reached(wiring="readback", offloads=("CSUM",), releases=(release,)),)
    return Handed(id=CASES[0].id, digest=CASES[0].digest, reached=reached)


def asked(folder: Path, release: str, *, wrong: str = "", problem: str = "") -> KernelResult:
    """Put down what a kernel said that does what its version says, but for one case; return the result."""
    traits = observable(traits_of(release))

    def ask(trials: Sequence[Trial]) -> list[Disagreement]:
        return [Disagreement(one.case, one.expected, Lost()) for one in trials if one.case.id == wrong]

    run = heading(release, Probed(traits, {}), CASES, CORPUS, "read/udp4/*")
    if not problem:
        keep(folder / release, run_kernel(run, CASES, ask, lambda *_: None))
        (folder / release / HANDED).write_bytes(msgspec.json.encode([handed_by(release)]))
    version = release.partition("-")[0]
    known = answers_digest(CASES)
    return KernelResult(
        release=release, version=version, package="", boots=1, seconds=1.0, problem=problem, answers=known
    )


def test_a_kernel_confirms_what_it_passed(tmp_path: Path) -> None:
    wrong = next(case for case in CASES if case.kernel)
    results = [
        asked(tmp_path, "5.10.262"),
        asked(tmp_path, "7.3.4", wrong=wrong.id),
        asked(tmp_path, "6.1.192", problem="it ended"),
    ]
    (tmp_path / MATRIX).write_bytes(msgspec.json.encode(results))
    narrow = CORPUS.narrowed("read/udp4/*")
    seen = seen_in(tmp_path, narrow)
    assert [one.release for one in seen.kernels] == ["5.10.262", "7.3.4"]
    assert [one.release for one in seen.incomplete] == ["6.1.192"]
    assert {case for case, _ in seen.passed} == {case.id for case in CASES if case.kernel}
    assert seen.passed[wrong.id, wrong.digest] == {"5.10.262"}
    other = next(case for case in CASES if case.kernel and case is not wrong)
    assert seen.passed[other.id, other.digest] == {"5.10.262", "7.3.4"}
    assert seen.handed == {
        (CASES[0].id, CASES[0].digest): (*handed_by("5.10.262").reached, *handed_by("7.3.4").reached)
    }


@pytest.mark.parametrize("content", [None, b"[{}]", b"nothing"])
def test_a_kernel_that_was_not_asked_what_it_hands_over_confirms_nothing(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / MATRIX).write_bytes(msgspec.json.encode([asked(tmp_path, "7.3.4")]))
    path = tmp_path / "7.3.4" / HANDED
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"handed\.json does not say what 7\.3\.4 hands to a reader"):
        seen_in(tmp_path, CORPUS.narrowed("read/udp4/*"))


@pytest.mark.parametrize("content", [None, b"[]]", b"{}"])
def test_a_folder_without_a_report_is_said_to_be_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / MATRIX).write_bytes(content)
    with pytest.raises(UsageError, match="no report of `tunproof matrix run`"):
        seen_in(tmp_path, CORPUS)


@pytest.mark.parametrize("problem", ["", "it ended"])
def test_a_run_that_says_less_than_the_corpus_asks_confirms_nothing(tmp_path: Path, problem: str) -> None:
    (tmp_path / MATRIX).write_bytes(msgspec.json.encode([asked(tmp_path, "5.10.262", problem=problem)]))
    with pytest.raises(UsageError, match="no kernel has complete results" if problem else "run the matrix again"):
        seen_in(tmp_path, CORPUS)
