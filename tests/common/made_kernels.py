"""Results of kernels as a run of the matrix leaves them, made from what is known of releases; no kernel runs."""

from collections.abc import Iterable
from typing import Any

from tio.linux import traits_of
from tunproof.corpus.load import load
from tunproof.matrix.conduct import KernelResult
from tunproof.matrix.examine import FramesReport

CORPUS = load()


def kernel(
    version: str,
    *,
    disagree: tuple[str, ...] = (),
    differences: int = 0,
    findings: tuple[str, ...] = (),
    traits: Iterable[str] | None = None,
    **more: Any,
) -> KernelResult:
    """Return the result of a kernel that was asked the corpus, and frames where `differences` of them differ."""
    stated = {
        "release": f"{version}-cloud-amd64",
        "version": version,
        "package": "",
        "boots": 1,
        "seconds": 1.0,
        "traits": sorted(traits_of(version) if traits is None else traits),
        "cases": len(CORPUS.cases),
        "agree": 1,
        "disagree": list(disagree),
        "frames": frames(differences, findings) if differences else None,
    }
    return KernelResult(**{**stated, **more})


def never_up(version: str, problem: str = "it was booted 3 times and never came up", **more: Any) -> KernelResult:
    """Return the result of a kernel that was asked nothing."""
    return kernel(version, **{"traits": (), "cases": 0, "agree": 0, "boots": 3, "problem": problem, **more})


def frames(differences: int, findings: tuple[str, ...] = ()) -> FramesReport:
    return FramesReport(frames=1000, differences=differences, findings=list(findings), rules=90, outcomes={}, masks={})
