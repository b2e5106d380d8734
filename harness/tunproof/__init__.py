"""tunproof: proves whether a TUN offload implementation, or a Linux kernel, handles superpackets right.

What is in `__all__` is the public API:

    Subject              an implementation in this process: override the operations that it has
    GsoArguments, VnetFields, Script, Answer
                         what its methods take and return, beside bytes
    Claims, MostOf       the conditions that it was written for, and its limits
    TurnedDownError, UnsupportedError, InapplicableError
                         what its methods raise: an ordinary refusal, a missing operation, what this machine forbids
    run_conformance      the corpus against a subject, in one call
    ConformanceError     what it raises where results are not as expected
    Results, Result      what it returns: a verdict for each case
    Kind, Mismatch       the verdicts, and packets that differ
    TunproofError, UsageError, EnvironmentProblem, CorpusError
                         what anything here may raise

Everything else is internal and changes without notice. A public name that goes is kept for one minor version at least,
and says so.
"""

import importlib
from typing import TYPE_CHECKING

from tunproof.version import __version__

if TYPE_CHECKING:
    from tunproof.corpus.cases import GsoArguments, VnetFields
    from tunproof.corpus.claims import Claims, MostOf
    from tunproof.corpus.script import Answer, Script
    from tunproof.errors import CorpusError, EnvironmentProblem, TunproofError, UsageError
    from tunproof.judge.verdict import Kind, Mismatch
    from tunproof.runs.results import Result, Results
    from tunproof.subjects.subject import InapplicableError, Subject, TurnedDownError, UnsupportedError
    from tunproof.testing.conformance import ConformanceError, run_conformance

__all__ = [
    "Answer",
    "Claims",
    "ConformanceError",
    "CorpusError",
    "EnvironmentProblem",
    "GsoArguments",
    "InapplicableError",
    "Kind",
    "Mismatch",
    "MostOf",
    "Result",
    "Results",
    "Script",
    "Subject",
    "TunproofError",
    "TurnedDownError",
    "UnsupportedError",
    "UsageError",
    "VnetFields",
    "__version__",
    "run_conformance",
]

_HOMES = {
    "corpus.cases": ("GsoArguments", "VnetFields"),
    "corpus.claims": ("Claims", "MostOf"),
    "corpus.script": ("Answer", "Script"),
    "errors": ("CorpusError", "EnvironmentProblem", "TunproofError", "UsageError"),
    "judge.verdict": ("Kind", "Mismatch"),
    "runs.results": ("Result", "Results"),
    "subjects.subject": ("InapplicableError", "Subject", "TurnedDownError", "UnsupportedError"),
    "testing.conformance": ("ConformanceError", "run_conformance"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Return a public name, imported when it is first wanted: the command and the pytest plugin begin at once."""
    if name not in _HOME:
        raise AttributeError(f"module 'tunproof' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tunproof.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
