"""The judge's word on what a subject did with a case. Everything that reports need of the judge is here."""

import enum
from dataclasses import dataclass

from tunproof.corpus.codec import Hex
from tunproof.corpus.model import Strict

__all__ = ["MOST_MISMATCHES", "Kind", "Mismatch", "Verdict"]

MOST_MISMATCHES = 16
"""How many mismatches a verdict holds: people look at a few, and the packets are in the results as well."""


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


class Mismatch(Strict, frozen=True, kw_only=True):
    """Two packets, or frames, that should be the same and are not.

    Attributes:
        what: which ones, such as "packet 3" or "frame 0".
        place: the field with the first difference, in words; or that one of the two is missing.
        at: the offset of the first difference, in bytes.
        framed: whether both begin with a vnet header.
        expected: the bytes that should have come out; null where nothing should.
        got: the bytes that came out; null where nothing did.
    """

    what: str
    place: str
    at: int = 0
    framed: bool = False
    expected: Hex | None = None
    got: Hex | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word on one case.

    Attributes:
        kind: how the subject did.
        difference: what was wrong, in words; empty for a pass.
        advice: what should have been otherwise and is not failed.
        policies: what the subject does that it may do or not.
        quality: for batches, how much of the ideal joining was reached, from 0 to 1.
        mismatches: what differs, packet by packet or frame by frame: the first `MOST_MISMATCHES` of them.
        mismatched: how many mismatches there are in all.
        groups: for batches, the packets that each frame stands for, by index.
    """

    kind: Kind
    difference: str = ""
    advice: tuple[str, ...] = ()
    policies: frozenset[str] = frozenset()
    quality: float | None = None
    mismatches: tuple[Mismatch, ...] = ()
    mismatched: int = 0
    groups: tuple[tuple[int, ...], ...] = ()
