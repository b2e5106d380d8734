"""From command-line arguments to something that cases can be run against.

reference               the reference, in this process, which has no freedoms
python:MODULE:FACTORY   what FACTORY() returns: a `subject.Subject`, in this process
-- COMMAND...           a program that speaks the protocol
"""

import importlib
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunproof.corpus.load import Corpus
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.protocol.messages import MODES
from tunproof.subjects.adapters.process import Limits
from tunproof.subjects.connection import Connection, Direct
from tunproof.subjects.subject import Subject

__all__ = ["Connector", "connector_of", "mode_of"]

REFERENCE = "reference"
_PYTHON = "python:"
_EXEC = "exec:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """How a subject is reached.

    Attributes:
        words: the arguments that name it on a command line.
        mode: how frames reach an adapter's implementation; None leaves the choice to the adapter.
        limits: the limits of an adapter.
        batch: the most runs in one message to an adapter; None leaves it to the adapter.
    """

    words: tuple[str, ...]
    mode: str | None = None
    limits: Limits = Limits()  # noqa: RUF009 (frozen)
    batch: int | None = None

    @property
    def is_program(self) -> bool:
        """Whether the subject is a program behind the protocol."""
        return not (len(self.words) == 1 and (self.words[0] == REFERENCE or self.words[0].startswith(_PYTHON)))

    @property
    def exact(self) -> bool:
        """Whether the subject has no freedoms."""
        return self.words == (REFERENCE,)

    @property
    def command(self) -> tuple[str, ...]:
        """The command-line arguments that select this subject."""
        if not self.is_program:
            return ("tunproof", "check", *self.words)
        mode = () if self.mode is None else ("--mode", self.mode)
        return ("tunproof", "check", *mode, "--", *self.words)

    def open(self, corpus: Corpus) -> Connection:
        """Return the subject, ready for cases. Raises `UsageError`, `EnvironmentProblem`."""
        if self.is_program:
            from tunproof.subjects.adapters.adapter import Adapter  # noqa: PLC0415 (most runs need none of it)

            return Adapter(self.words, corpus, mode=self.mode, limits=self.limits, batch=self.batch)
        if self.mode is not None:
            raise UsageError(f"--mode is for adapters; {self.words[0]!r} runs in this process")
        if self.exact:
            from tunproof.subjects.reference import Reference  # noqa: PLC0415 (the same)

            return Direct(Reference())
        return Direct(_made(self.words[0]))


def connector_of(words: Sequence[str], *, behind_dashes: bool) -> Connector:
    """Return the connector that words name. Raises `UsageError`.

    `behind_dashes`: the words came after `--`, so they are always a program.
    """
    if not words:
        raise UsageError("name what to check: reference, python:MODULE:FACTORY, or -- COMMAND...")
    if len(words) == 1 and words[0].startswith(_EXEC):
        return connector_of(_split(words[0]), behind_dashes=True)
    connector = Connector(words=tuple(words))
    if behind_dashes and not connector.is_program:
        return Connector(words=(shutil.which(words[0]) or f"./{words[0]}",))
    if not behind_dashes and len(words) == 1 and connector.is_program and shutil.which(words[0]) is None:
        raise UsageError(f"there is no subject {words[0]!r}; name reference, python:MODULE:FACTORY, or -- COMMAND...")
    return connector


def mode_of(name: str | None) -> str | None:
    """Return a mode by its name; `device` is short for `device-fd`. Raises `UsageError`."""
    if name is not None and name not in {*MODES, "device"}:
        raise UsageError(f"there is no mode {name!r}; use {', '.join(MODES)}, or device for device-fd")
    return "device-fd" if name == "device" else name


def _split(word: str) -> list[str]:
    """Return the words of `exec:COMMAND`, split as a shell does."""
    try:
        return shlex.split(word.removeprefix(_EXEC))
    except ValueError as error:
        raise UsageError(f"{word!r} is not a command line: {error}") from error


def _made(word: str) -> Subject:
    """Return what the factory of `python:MODULE:FACTORY` makes."""
    module_name, colon, factory_name = word.removeprefix(_PYTHON).partition(":")
    if not colon or not module_name or not factory_name:
        raise UsageError(f"{word!r} is not of the form python:MODULE:FACTORY")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
        factory = getattr(module, factory_name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{word}: {error}; modules are searched for in PYTHONPATH and in this folder") from error
    except (Exception, SystemExit) as error:
        raise _failed(f"importing {module_name}", error) from error
    try:
        subject = factory()
    except (Exception, SystemExit) as error:
        raise _failed(f"{factory_name}()", error) from error
    if not isinstance(subject, Subject):
        raise UsageError(f"{word} made a {type(subject).__name__}, which is not a tunproof.subject.Subject")
    return subject


def _failed(what: str, error: BaseException) -> EnvironmentProblem:
    """Return the error for a subject that fails on import or creation, `sys.exit` included."""
    return EnvironmentProblem(
        f"{what} raised {type(error).__name__}: {error}", cure="check that it can be imported and called by hand"
    )
