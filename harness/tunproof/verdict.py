"""The judge: what a subject did with the input of a case, held against what must come out."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tunproof.batch import inspect_batch
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    EmitInput,
    Fields,
    HeaderBytes,
    HeaderCase,
    LifecycleCase,
    Nothing,
    ReadCase,
    Refused,
    Rejected,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    Written,
)
from tunproof.corpus.model import from_hex, to_hex
from tunproof.corpus.script import Answer, Frames
from tunproof.frames import cut, rules_broken
from tunproof.freedoms import same_packets
from tunproof.judge import describe_packets, first_difference
from tunproof.subject import Subject, TurnedDownError, UnsupportedError

__all__ = ["Kind", "Verdict", "judge"]


class Kind(enum.StrEnum):
    """How a subject did."""

    PASS = "pass"  # noqa: S105 (no password)
    FAIL = "fail"
    UNSUPPORTED = "unsupported"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word on one case.

    Attributes:
        kind: pass, fail, unsupported, or error where the subject raised what it should not.
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


_PASS = Verdict(Kind.PASS)


def judge(case: Case, subject: Subject, *, exact: bool = False) -> Verdict:
    """Put a case to a subject and return the verdict.

    `exact` is for the reference: it has none of the `freedoms`, and must give the very header and rule of the case.
    """
    try:
        return _ASK[type(case)](case, subject, exact)
    except UnsupportedError as error:
        return Verdict(Kind.UNSUPPORTED, str(error))
    except Exception as error:  # noqa: BLE001 (whatever a subject raises is its own affair, and a result)
        return Verdict(Kind.ERROR, f"{type(error).__name__}: {error}")


def _checksum(case: ChecksumCase, subject: Subject, _: bool) -> Verdict:
    got = subject.checksum(bytes.fromhex(case.input.data), case.input.initial)
    return _equal(f"{case.expect.sum:#06x}", f"{got:#06x}")


def _header(case: HeaderCase, subject: Subject, exact: bool) -> Verdict:
    given = case.input
    try:
        if isinstance(given, EmitInput):
            said: object = subject.emit_header(given.fields, given.size, given.byte_order).hex()
        else:
            said = subject.parse_header(bytes.fromhex(given.bytes), given.size, given.byte_order)
    except TurnedDownError as error:
        return _turned_down(case.expect, error, exact=exact)
    match case.expect:
        case HeaderBytes(bytes=right) | Fields(fields=right):
            return _equal(right, said)
    return _fail(f"expected a refusal, got {said}")


def _read(case: ReadCase, subject: Subject, exact: bool) -> Verdict:
    try:
        got = subject.read(bytes.fromhex(case.input.frame), from_hex(case.input.before))
    except TurnedDownError as error:
        return _turned_down(case.expect, error, exact=exact)
    if isinstance(case.expect, Rejected):
        return _fail(f"expected a frame that is turned down ({case.expect.fault}), got {describe_packets(got)}")
    return _packets(from_hex(case.expect.packets), got, exact=exact or case.level != "must")


def _write(case: WriteCase, subject: Subject, exact: bool) -> Verdict:
    given = case.input
    packet = bytes.fromhex(given.packet)
    poison = None if given.poison is None else int(given.poison, 16)
    try:
        frames = subject.write(packet, from_hex(given.before), poison)
    except TurnedDownError as error:
        return _turned_down(case.expect, error, exact=exact)
    return _frame(case, packet, frames, exact=exact)


def _write_gso(case: WriteGsoCase, subject: Subject, exact: bool) -> Verdict:
    given = case.input
    try:
        frames = subject.write_gso(given, given.before)
    except TurnedDownError as error:
        return _turned_down(case.expect, error, exact=exact)
    return _frame(case, given.whole, frames, exact=exact)


def _write_batch(case: WriteBatchCase, subject: Subject, exact: bool) -> Verdict:
    given = case.input
    packets = from_hex(given.packets)
    poison = None if given.poison is None else int(given.poison, 16)
    try:
        frames: Sequence[bytes] = subject.write_batch(packets, [from_hex(batch) for batch in given.before], poison)
    except TurnedDownError as error:
        if not case.expect.optional:
            return _fail(f"expected every packet to be written, but one was turned down ({error.reason})")
        frames = error.frames
    report = inspect_batch(packets, frames, case.expect)
    if exact and not report.failures and to_hex(frames) != case.expect.example:
        difference = first_difference(from_hex(case.expect.example), frames)
        return _fail(f"not the frames of the example: {difference}")
    kind = Kind.FAIL if report.failures else Kind.PASS
    policies = frozenset(report.policies)
    return Verdict(kind, "\n".join(report.failures), tuple(report.advice), policies, report.quality)


def _lifecycle(case: LifecycleCase, subject: Subject, exact: bool) -> Verdict:
    got = subject.lifecycle(case.input)
    for index, (step, right, said) in enumerate(zip(case.input.steps, case.expect.answers, got, strict=False)):
        if not any(_answers(one, said, header=case.input.backend == "offload", exact=exact) for one in right):
            return _fail(f"step {index}, {step}: expected {' or '.join(map(str, right))}, got {said}")
    return _equal(len(case.input.steps), len(got))


_ASK: dict[type, Callable[[Any, Subject, bool], Verdict]] = {
    ChecksumCase: _checksum,
    HeaderCase: _header,
    ReadCase: _read,
    WriteCase: _write,
    WriteGsoCase: _write_gso,
    WriteBatchCase: _write_batch,
    LifecycleCase: _lifecycle,
}


def _answers(right: Answer, said: Answer, *, header: bool, exact: bool) -> bool:
    """Whether an answer is the right one; written frames are held against the header rules."""
    if not isinstance(right, Frames) or not isinstance(said, Frames):
        return right == said
    frames = from_hex(said.packets)
    if header:
        if any(violation.is_must for frame in frames for violation in rules_broken(frame)):
            return False
        frames = [frame[10:] for frame in frames]
    return same_packets(from_hex(right.packets), frames, exact=exact)


def _frame(case: WriteCase | WriteGsoCase, packet: bytes, frames: Sequence[bytes], *, exact: bool) -> Verdict:
    """Judge what a writer wrote for one packet or superpacket. A case of level `should` asks for good manners, too."""
    expect = case.expect
    if isinstance(expect, Nothing):
        return _equal("nothing written", f"{len(frames)} frames" if frames else "nothing written")
    if isinstance(expect, Refused):
        return _fail(f"expected a write that is refused ({expect.fault}), got {len(frames)} frames")
    if len(frames) != 1:
        return _fail(f"expected one frame, got {len(frames)}")
    (frame,) = frames
    if exact and frame[:10].hex() != expect.header:
        return _fail(f"vnet header: expected {expect.header}, got {frame[:10].hex()}")
    return _written(case, expect, packet, frame, exact=exact)


def _written(case: WriteCase | WriteGsoCase, expect: Written, packet: bytes, frame: bytes, *, exact: bool) -> Verdict:
    """Judge the one frame that was written."""
    exact = exact or case.level != "must"
    if frame[10:] != packet:
        return _fail(str(first_difference([packet], [frame[10:]])))
    found = rules_broken(frame)
    broken = [violation for violation in found if violation.is_must or case.level == "should"]
    if broken:
        return _fail("; ".join(map(str, broken)))
    verdict = _packets(from_hex(expect.segments), cut(frame), exact=exact)
    return verdict if verdict.difference else Verdict(Kind.PASS, advice=tuple(map(str, found)))


def _packets(right: Sequence[bytes], got: Sequence[bytes], *, exact: bool) -> Verdict:
    return _PASS if same_packets(right, got, exact=exact) else _fail(str(first_difference(right, got)))


def _turned_down(expect: object, error: TurnedDownError, *, exact: bool) -> Verdict:
    if not isinstance(expect, Rejected | Refused):
        return _fail(f"expected {type(expect).__name__.lower()}, but it was turned down ({error.reason})")
    if exact and error.fault != expect.fault:
        return _fail(f"expected {expect.fault}, got {error.fault}")
    if error.frames:
        return _fail(f"turned down ({error.reason}), but {len(error.frames)} frames came all the same")
    return _PASS


def _equal(right: object, got: object) -> Verdict:
    return _PASS if right == got else _fail(f"expected {right}, got {got}")


def _fail(difference: str) -> Verdict:
    return Verdict(Kind.FAIL, difference)
