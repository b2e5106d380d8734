"""The verdict on what a subject did with a case: all that the reports need from the judge."""

import enum
from dataclasses import dataclass
from typing import Literal

from tunproof.corpus.codec import Hex
from tunproof.corpus.model import Strict

__all__ = ["MOST_MISMATCHES", "NOT_RUN", "TOLERATED", "Kind", "Mismatch", "Relation", "Signature", "Verdict"]

MOST_MISMATCHES = 16
"""How many mismatches a verdict holds: people look at a few, and the packets are in the results as well."""


class Kind(enum.StrEnum):
    """The kinds of verdict.

    | verdict | meaning |
    |---|---|
    | pass | the output is correct |
    | fail | the output is wrong, valid input was rejected, or faulty input was accepted |
    | xfail | did not pass, as the baseline expects |
    | xpass | passed, although the baseline expects otherwise |
    | advised | wrong, in a case of level should: advice, which fails nothing unless `--strict` |
    | policy | otherwise than a case of level may has it: a choice, which is named and fails nothing |
    | hardening | wrong, for a frame that no kernel hands over, by a subject that reads from its own kernel only |
    | outside | outside what the subject claims, such as a limit: not run |
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
    ADVISED = "advised"
    POLICY = "policy"
    HARDENING = "hardening"
    OUTSIDE = "outside"
    UNSUPPORTED = "unsupported"
    NOT_APPLICABLE = "not-applicable"
    BLOCKED = "blocked"
    ERROR = "error"
    CRASH = "crash"
    HANG = "hang"
    OOM = "oom"
    PROTOCOL_ERROR = "protocol-error"
    FLAKY = "flaky"


NOT_RUN = frozenset({Kind.UNSUPPORTED, Kind.NOT_APPLICABLE, Kind.OUTSIDE})
"""Verdicts of cases that did not run: a subject with only these verdicts was not tested."""

TOLERATED = frozenset({Kind.ADVISED, Kind.POLICY, Kind.HARDENING})
"""Verdicts of cases that did not pass, and yet fail nothing: they are shown, and leave the exit code alone."""


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


Relation = Literal[
    "field-wrong",
    "cut-otherwise",
    "lost",
    "extra",
    "reordered",
    "joined-although-different",
    "header-rule-broken",
    "refused-although-valid",
    "accepted-although-faulty",
    "answered-otherwise",
    "raised",
    "crashed",
    "hung",
    "ran-out-of-memory",
    "answered-outside-the-protocol",
]
"""What became of an input, compared with what should have."""


class Signature(Strict, frozen=True, kw_only=True):
    """What happened: a relation, and the field, rule, step or kind of packet that it concerns; empty where none is."""

    relation: Relation
    field: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one case.

    Attributes:
        kind: the kind of verdict.
        difference: what was wrong, in words; empty for a pass.
        advice: what should be different, but does not fail the case.
        policies: what the subject chose to do where either choice is allowed.
        quality: for batches, how much of the ideal joining was achieved, from 0 to 1.
        mismatches: what differs, packet by packet or frame by frame: the first `MOST_MISMATCHES` of them.
        mismatched: how many mismatches there are in all.
        groups: for batches, the packets that each frame stands for, by index.
        signature: what happened, if it was not right.
    """

    kind: Kind
    difference: str = ""
    advice: tuple[str, ...] = ()
    policies: frozenset[str] = frozenset()
    quality: float | None = None
    mismatches: tuple[Mismatch, ...] = ()
    mismatched: int = 0
    groups: tuple[tuple[int, ...], ...] = ()
    signature: Signature | None = None
