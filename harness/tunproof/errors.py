"""The harness's errors, under one root, sorted by who can act on them.

| error | who acts | exit code of the command |
|---|---|---|
| `UsageError` | the person who typed the command | 2 |
| `EnvironmentProblem` | the person who owns the machine: a permission, a module, a full ring | 3 |
| `CorpusError` | the person who edited a corpus file | 3 |

Ctrl-C ends a command with 130, and `INTERRUPTED` is its name.
A wrong kernel or a wrong implementation is not an error of the harness: it is a verdict (exit code 1).
"""

__all__ = ["INTERRUPTED", "CorpusError", "EnvironmentProblem", "TunproofError", "UsageError"]

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells and typer have it."""


class TunproofError(Exception):
    """Root of the harness's errors. `exit_code` is what the command ends with."""

    exit_code = 3


class UsageError(TunproofError):
    """The command was given something that does not exist, such as a selection that matches no case."""

    exit_code = 2


class EnvironmentProblem(TunproofError):
    """The machine does not let the lab work. `what` says what was refused, `cure` what to do about it."""

    def __init__(self, what: str, *, cure: str) -> None:
        super().__init__(f"{what}\n  cure: {cure}")
        self.what = what
        self.cure = cure


class CorpusError(TunproofError):
    """A corpus file was rejected: `file`, `case` (an id, or "-" if none was read), `field`, and the reason."""

    def __init__(self, file: str, case: str, field: str, reason: str) -> None:
        super().__init__(f"{file}: case {case}: {field}: {reason}")
        self.file = file
        self.case = case
        self.field = field
        self.reason = reason
