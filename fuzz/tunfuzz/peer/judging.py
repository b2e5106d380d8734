"""The verdict on an outcome, and the name under which differences count as the same."""

import re
from dataclasses import dataclass

from tio.virtio import HEADER_SIZE
from tio.wire import VnetLayout
from tunfuzz.peer.cases import Input, complete
from tunfuzz.peer.latitude import waived
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    Fields,
    HeaderBytes,
    HeaderCase,
    MustRefuse,
    MustReject,
    WriteBatchCase,
    WriteCase,
)
from tunproof.judge.decide import decide
from tunproof.judge.outcome import Answered, Outcome, Transmitted, TurnedDown
from tunproof.judge.verdict import Kind, Verdict
from tunproof.subjects.connection import Observation

__all__ = ["Judged", "is_wrong", "judged", "rule_of"]

_RIGHT = frozenset({Kind.PASS, Kind.UNSUPPORTED, Kind.NOT_APPLICABLE, Kind.BLOCKED})
_END = r"\(not there\)|end of packet"
_FIELD = re.compile(
    rf"packet \d+, (?P<field>.+?) at byte \d+: expected (?:(?P<right>{_END})|\S+).*?, got (?P<got>{_END})?"
)
_RULE = re.compile(r"\b([VRGPH]\d+): ")
_NOT_LETTERS = re.compile(r"0x[0-9a-f]+|[^a-zA-Z_.]+")
_LONGEST = 60
_ENDS = {field.name: field.end for field in VnetLayout.fields} | {"length": 1 << 16}
"""Where each field of a vnet header ends; anything else is a wrong length."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A case, its outcome, the verdict, and the rule of `latitude` that excuses it ("": none does)."""

    observed: Observation
    verdict: Verdict
    waiver: str = ""

    @property
    def case(self) -> Case:
        """The case."""
        return self.observed.case

    @property
    def given(self) -> Input:
        """The input."""
        return self.case.input  # type: ignore[return-value]  # lifecycles do not run here

    @property
    def advice(self) -> set[str]:
        """What should be different, without the numbers."""
        return {_constraint(said) for said in self.verdict.advice}

    @property
    def rule(self) -> str:
        """The name of what is broken; "" if nothing is."""
        return "" if self.waiver or not is_wrong(self.verdict) else rule_of(self.case, self)


def is_wrong(verdict: Verdict) -> bool:
    """Whether this needs attention."""
    return verdict.kind not in _RIGHT


def judged(observed: Observation, *, claims: bool) -> Judged:
    """Return the verdict on an outcome. `claims`: the subject claims what the case requires."""
    case = observed.case
    if isinstance(case, WriteBatchCase) and not _is_example(case, observed):
        observed = Observation(complete(case), observed.outcome, observed.stderr)
    verdict = decide(observed.case, observed.outcome)
    if verdict.kind is Kind.UNSUPPORTED and claims:
        what = ", ".join(case.requires) or case.id.partition("/")[0]
        verdict = Verdict(Kind.FAIL, f"claims {what}, and calls this input unsupported: {verdict.difference}")
    excused = waived(observed.case, observed.outcome) if verdict.kind is Kind.FAIL else ""
    return Judged(observed, verdict, excused)


def _is_example(case: WriteBatchCase, observed: Observation) -> bool:
    """Whether the frames are those of the reference, or there is no output to which constraints apply."""
    match observed.outcome:
        case Answered(value=frames):
            return bool(frames == case.expect.example)
        case TurnedDown() | Transmitted():
            return False
    return True


def rule_of(case: Case, one: Judged) -> str:
    """Return the rule of the missing refusal, the field that differs, or else the message."""
    said, outcome = one.verdict.difference, one.observed.outcome
    if one.verdict.kind is not Kind.FAIL:
        return f"{one.verdict.kind} {_words(said)}"
    if isinstance(case.expect, MustReject | MustRefuse) and not isinstance(outcome, TurnedDown):
        return case.expect.fault.rule
    if isinstance(outcome, Answered) and isinstance(case, ChecksumCase | HeaderCase):
        return "sum" if isinstance(case, ChecksumCase) else _vnet_field(case, outcome.value)
    return _constraint(said) if isinstance(case, WriteBatchCase) else _packet_field(case, outcome, said)


def _packet_field(case: Case, outcome: Outcome, said: str) -> str:
    """Return the first field of a packet that is wrong.

    Not for batches: which packet is nearest to an unknown one is a guess.
    """
    if isinstance(case, WriteCase) and (off := _bytes_off(case, outcome)):
        return "bytes missing" if off < 0 else "bytes too many"
    if found := _FIELD.search(said):
        return "bytes missing" if found["got"] else "bytes too many" if found["right"] else found["field"]
    return _constraint(said)


def _bytes_off(case: WriteCase, outcome: Outcome) -> int:
    """Return by how many bytes a packet that should be written unchanged was written too long."""
    match outcome:
        case Answered(value=[bytes(frame)]):
            return len(frame) - HEADER_SIZE - len(case.input.packet)
    return 0


def _constraint(said: str) -> str:
    """Return the numbered rule that a message names, or its text."""
    found = _RULE.search(said.partition("\n")[0])
    return found[1] if found else _words(said)


def _vnet_field(case: HeaderCase, got: object) -> str:
    """Return the first field of a vnet header that is wrong."""
    right: object = None
    match case.expect:
        case Fields(fields=right):
            pass
        case HeaderBytes(bytes=right) if isinstance(got, bytes):
            got = got.ljust(len(right), b"\0")
            at = next((at for at, (one, other) in enumerate(zip(right, got, strict=False)) if one != other), len(right))
            return f"vnet.{next(name for name, end in _ENDS.items() if at < end)}"
    names = (name for name in _ENDS if getattr(right, name, None) != getattr(got, name, None))
    return f"vnet.{next(names, 'length')}"


def _words(text: str) -> str:
    """Return the beginning of a message without its numbers, which differ from case to case."""
    first = text.partition("\n")[0]
    return _NOT_LETTERS.sub(" ", first).strip()[:_LONGEST]
