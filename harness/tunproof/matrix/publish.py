"""The reports of a matrix run, in its folder: the page of all streams side by side, and the summary in Markdown."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tunproof.corpus.load import Corpus
from tunproof.matrix.conduct import KernelResult
from tunproof.matrix.markdown import markdown
from tunproof.reports.write import write_page
from tunproof.results import STREAM, read

__all__ = ["MATRIX", "publish"]

MATRIX = "matrix.json"
"""All results of a run, in one file."""

_SUMMARY = "kernels.md"


def publish(folder: Path, results: Sequence[KernelResult], corpus: Corpus) -> Path:
    """Write the reports, and return the page, or the summary where no kernel came as far as the corpus.

    Raises `EnvironmentProblem`, `UsageError` as `reports.write` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MATRIX).write_bytes(msgspec.json.format(msgspec.json.encode(list(results)), indent=2) + b"\n")
    summary = folder / _SUMMARY
    summary.write_text(markdown(results, corpus))
    streams = [read(folder / one.release / STREAM) for one in results if one.cases]
    return write_page(folder, streams, corpus) if streams else summary
