"""The judge's word on what a subject did with a case. Everything that reports need of the judge is here."""

import enum
from dataclasses import dataclass

__all__ = ["Kind", "Verdict"]


class Kind(enum.StrEnum):
    """How a subject did.

    | verdict | what happened |
    |---|---|
    | pass | what must come out came out |
    | fail | something else came out, or was refused, or was not refused |
    | xfail | not passed, exactly as the baseline says |
    | xpass | passed, although the baseline says otherwise |
    | unsupported | the subject does not claim what the case requires |
    | not-applicable | the case cannot be put to this subject in this way, or on this machine |
    | blocked | a refusal that proves nothing, because the valid sibling was not passed; or nobody was left to ask |
    | error | an exception or a caught panic |
    | crash | the adapter ended instead of answering |
    | hang | no answer within the deadline |
    | oom | more memory than it may have |
    | protocol-error | what was said is no answer |
    | flaky | asked again, it did something else |
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
    """The word on one case.

    Attributes:
        kind: how the subject did.
        difference: what was wrong, in words; empty for a pass.
        advice: what should have been otherwise and is not failed.
        policies: what the subject does that it may do or not.
        quality: for batches, how much of the ideal joining was reached, from 0 to 1.
    """

    kind: Kind
    difference: str = ""
    advice: tuple[str, ...] = ()
    policies: frozenset[str] = frozenset()
    quality: float | None = None
