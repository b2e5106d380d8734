"""All reports of a run, in a folder beside its stream."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tunproof.corpus.load import Corpus
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.reports.evidence import SUFFIX, evidence
from tunproof.reports.failure import Explanations
from tunproof.reports.junit import junit
from tunproof.reports.markdown import markdown
from tunproof.reports.page import page
from tunproof.runs.results import Results

__all__ = ["EVIDENCE", "JUNIT", "PAGE", "SUMMARY", "write_file", "write_page", "write_reports", "writing"]

PAGE = "index.html"
JUNIT = "junit.xml"
SUMMARY = "summary.md"
EVIDENCE = "evidence"


def write_reports(folder: Path, run: Explanations) -> list[Path]:
    """Write the page, JUnit XML, the summary, and captures of failed cases; return the files.

    Each file is there whole or not at all, and captures of an earlier run are removed. The stream itself is left alone.
    Raises `UsageError` where `folder` is something else, `EnvironmentProblem` where it cannot be written.
    """
    with writing(folder):
        captures = _replace(folder / EVIDENCE, evidence(run.results, run.corpus))
        files = {folder / SUMMARY: markdown(run).encode(), folder / JUNIT: junit(run), folder / PAGE: page([run])}
        for path, content in files.items():
            write_file(path, content)
    return [*reversed(files), *captures]


def write_page(folder: Path, streams: Sequence[Results], corpus: Corpus) -> Path:
    """Write the page of several runs side by side, and return the file. Raises as `write_reports` does."""
    with writing(folder):
        write_file(folder / PAGE, page([Explanations(one, corpus) for one in streams]))
    return folder / PAGE


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a folder; an error in writing to it is told in the user's terms.

    Raises `UsageError` where `folder` is something else, `EnvironmentProblem` where it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{error.filename} is not a folder; name one, or a path that does not exist yet") from error
    except OSError as error:
        where = error.filename or folder
        raise EnvironmentProblem(
            f"the reports cannot be written: {where}: {error.strerror}",
            cure="name a folder that you may write to, with room in it",
        ) from error


def _replace(folder: Path, files: Iterable[tuple[str, bytes]]) -> list[Path]:
    """Replace the captures of an earlier run, all in one step; other files stay."""
    staging = folder.with_name(f".{folder.name}.{os.getpid()}")
    staging.mkdir()
    try:
        names = [_put(staging, name, content) for name, content in files]
        others = [path for path in folder.glob("*") if path.suffix != SUFFIX]
        for path in others:
            path.rename(staging / path.name)
        if folder.exists():
            shutil.rmtree(folder)
        if names or others:
            staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return [folder / name for name in names]


def _put(folder: Path, name: str, content: bytes) -> str:
    """Write a new file into a folder, and return its name. A report may have a thousand: paths cost more than files."""
    fd = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)
    return name


def write_file(path: Path, content: bytes) -> None:
    """Put a file in its place in one step."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        staging.write_bytes(content)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)
