"""The reports of a matrix run, in its folder: two pages, the summary in Markdown, and all results in one file."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tunproof.corpus.load import Corpus
from tunproof.matrix.conduct import KernelResult
from tunproof.matrix.markdown import markdown
from tunproof.matrix.page import CASES, page
from tunproof.reports.failure import Explanations
from tunproof.reports.page import page as page_of_runs
from tunproof.reports.write import PAGE, write_file, writing
from tunproof.runs.results import STREAM, read

__all__ = ["MATRIX", "clear", "publish"]

MATRIX = "matrix.json"
"""All results of a run, in one file."""

_SUMMARY = "kernels.md"


def clear(folder: Path) -> None:
    """Remove the reports of an earlier run, which say nothing about the one that begins."""
    with writing(folder):
        for name in (MATRIX, _SUMMARY, CASES, PAGE):
            (folder / name).unlink(missing_ok=True)


def publish(folder: Path, results: Sequence[KernelResult], corpus: Corpus) -> Path:
    """Write the reports, each whole or not at all, and return the page.

    Raises `EnvironmentProblem`, `UsageError` as `reports.write` does.
    """
    with writing(folder):
        write_file(folder / MATRIX, msgspec.json.format(msgspec.json.encode(list(results)), indent=2) + b"\n")
        write_file(folder / _SUMMARY, markdown(results, corpus).encode())
        streams = [read(folder / one.release / STREAM) for one in results if one.cases]
        if streams:
            write_file(folder / CASES, page_of_runs([Explanations(one, corpus) for one in streams]))
        write_file(
            folder / PAGE, page(folder, results, corpus, {case_id for one in streams for case_id in one.results})
        )
    return folder / PAGE
