"""The judge's verdict on what a subject did with a case. Everything that reports need from the judge is here."""

import enum
from dataclasses import dataclass

__all__ = ["Kind", "Verdict"]


class Kind(enum.StrEnum):
    """The kinds of verdict.

    | verdict | meaning |
    |---|---|
    | pass | the output is correct |
    | fail | the output is wrong, valid input was rejected, or faulty input was accepted |
    | xfail | did not pass, as the baseline expects |
    | xpass | passed, although the baseline expects otherwise |
    | unsupported | the subject does not claim what the case requires |
    | not-applicable | the case cannot be run against this subject in this mode, or on this machine |
    | blocked | a rejection that proves nothing, because the valid sibling did not pass; or no restarts were left |
    | error | an exception or a caught panic |
    | crash | the adapter exited instead of replying |
    | hang | no reply within the deadline |
    | oom | the adapter exceeded its memory limit |
    | protocol-error | the reply is not valid protocol |
    | flaky | run again, the case got a different verdict |
    """

    PASS = "pass"  # noqa: S105 (no password)
    FAIL = "fail"
    XFAIL = "xfail"
    XPASS = "xpass"
    UNSUPPORTED = "unsupported"
    NOT_APPLICABLE = "not-applicable"
    BLOCKED = "blocked"
    ERROR = "error"
    CRASH = "crash"
    HANG = "hang"
    OOM = "oom"
    PROTOCOL_ERROR = "protocol-error"
    FLAKY = "flaky"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one case.

    Attributes:
        kind: the kind of verdict.
        difference: what was wrong, in words; empty for a pass.
        advice: what should be different, but does not fail the case.
        policies: what the subject chose to do where either choice is allowed.
        quality: for batches, how much of the ideal joining was achieved, from 0 to 1.
    """

    kind: Kind
    difference: str = ""
    advice: tuple[str, ...] = ()
    policies: frozenset[str] = frozenset()
    quality: float | None = None
