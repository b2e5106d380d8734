"""What an outcome is worth, and the name under which differences are the same one."""

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
    Refused,
    Rejected,
    WriteBatchCase,
    WriteCase,
)
from tunproof.corpus.model import from_hex
from tunproof.judge.decide import decide
from tunproof.judge.outcome import Answered, Cut, Outcome, TurnedDown
from tunproof.judge.verdict import Kind, Verdict
from tunproof.subjects.asker import Asked

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
"""Where each field of a vnet header ends; what is none of them is a wrong length."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A case, what became of it, the verdict, and the rule of `latitude` that excuses it ("": none does)."""

    asked: Asked
    verdict: Verdict
    waiver: str = ""

    @property
    def case(self) -> Case:
        """The case."""
        return self.asked.case

    @property
    def given(self) -> Input:
        """The input."""
        return self.case.input  # type: ignore[return-value]  # lifecycles are not asked

    @property
    def advice(self) -> set[str]:
        """What should be otherwise, without the numbers."""
        return {_constraint(said) for said in self.verdict.advice}

    @property
    def rule(self) -> str:
        """Under what name it is broken; "" if nothing is."""
        return "" if self.waiver or not is_wrong(self.verdict) else rule_of(self.case, self)


def is_wrong(verdict: Verdict) -> bool:
    """Whether somebody must look at this."""
    return verdict.kind not in _RIGHT


def judged(asked: Asked, *, claims: bool) -> Judged:
    """Return the verdict on an outcome. `claims`: the subject claims what the case requires."""
    case = asked.case
    if isinstance(case, WriteBatchCase) and not _is_example(case, asked):
        asked = Asked(complete(case), asked.outcome, asked.stderr)
    verdict = decide(asked.case, asked.outcome)
    if verdict.kind is Kind.UNSUPPORTED and claims:
        what = ", ".join(case.requires) or case.id.partition("/")[0]
        verdict = Verdict(Kind.FAIL, f"claims {what}, and calls this input unsupported: {verdict.difference}")
    excused = waived(asked.case, asked.outcome) if verdict.kind is Kind.FAIL else ""
    return Judged(asked, verdict, excused)


def _is_example(case: WriteBatchCase, asked: Asked) -> bool:
    """Whether the frames are those of the reference, or nothing came that constraints could be about."""
    match asked.outcome:
        case Answered(value=frames):
            return bool(frames == from_hex(case.expect.example))
        case TurnedDown() | Cut():
            return False
    return True


def rule_of(case: Case, one: Judged) -> str:
    """Return the rule of the refusal that did not come, the field that differs, or else what was said."""
    said, outcome = one.verdict.difference, one.asked.outcome
    if one.verdict.kind is not Kind.FAIL:
        return f"{one.verdict.kind} {_words(said)}"
    if isinstance(case.expect, Rejected | Refused) and not isinstance(outcome, TurnedDown):
        return case.expect.fault.rule
    if isinstance(outcome, Answered) and isinstance(case, ChecksumCase | HeaderCase):
        return "sum" if isinstance(case, ChecksumCase) else _vnet_field(case, outcome.value)
    return _constraint(said) if isinstance(case, WriteBatchCase) else _packet_field(case, outcome, said)


def _packet_field(case: Case, outcome: Outcome, said: str) -> str:
    """Return the first field of a packet that is not as it should be.

    Not for batches: which packet was nearest to one that nobody put in is a guess.
    """
    if isinstance(case, WriteCase) and (off := _bytes_off(case, outcome)):
        return "bytes missing" if off < 0 else "bytes too many"
    if found := _FIELD.search(said):
        return "bytes missing" if found["got"] else "bytes too many" if found["right"] else found["field"]
    return _constraint(said)


def _bytes_off(case: WriteCase, outcome: Outcome) -> int:
    """Return by how many bytes a packet that is written as it is was written too long."""
    match outcome:
        case Answered(value=[bytes(frame)]):
            return len(frame) - HEADER_SIZE - len(case.input.packet) // 2
    return 0


def _constraint(said: str) -> str:
    """Return the numbered rule that a message names, or what it says."""
    found = _RULE.search(said.partition("\n")[0])
    return found[1] if found else _words(said)


def _vnet_field(case: HeaderCase, got: object) -> str:
    """Return the first field of a vnet header that is not as it should be."""
    right: object = None
    match case.expect:
        case Fields(fields=right):
            pass
        case HeaderBytes(bytes=text) if isinstance(got, bytes):
            right, got = bytes.fromhex(text), got.ljust(len(text) // 2, b"\0")
            at = next((at for at, (one, other) in enumerate(zip(right, got, strict=False)) if one != other), len(right))
            return f"vnet.{next(name for name, end in _ENDS.items() if at < end)}"
    names = (name for name in _ENDS if getattr(right, name, None) != getattr(got, name, None))
    return f"vnet.{next(names, 'length')}"


def _words(text: str) -> str:
    """Return the beginning of a message without its numbers, which differ from case to case."""
    first = text.partition("\n")[0]
    return _NOT_LETTERS.sub(" ", first).strip()[:_LONGEST]
