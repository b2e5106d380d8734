"""The judge: compares what a subject did with the input of a case with what must come out."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    Fields,
    HeaderBytes,
    HeaderCase,
    LifecycleCase,
    MustRefuse,
    MustReject,
    Nothing,
    Packets,
    ReadCase,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    Written,
)
from tunproof.corpus.codec import shown
from tunproof.corpus.script import Answer, Frames
from tunproof.judge.batch import BatchReport, inspect_batch, inspect_cut_batch
from tunproof.judge.mismatch import Found, beside, frames_beside, mismatch, packets_beside
from tunproof.judge.outcome import Answered, Broken, Inapplicable, Outcome, Outside, Transmitted, TurnedDown, Unable
from tunproof.judge.signature import of_batch, of_outcome
from tunproof.judge.verdict import NOT_RUN, Kind, Signature, Verdict
from tunproof.packets.difference import describe_packets, first_difference
from tunproof.packets.equality import RESTAMPS, has_other_identification, same_packets
from tunproof.packets.frame import rules_broken, segments_of

__all__ = ["REJECTS_EMPTY", "decide"]

REJECTS_EMPTY = "rejects empty packets"
"""The policy of who makes an error of an empty packet, instead of writing nothing."""

_PASS = Verdict(Kind.PASS)


def decide(case: Case, outcome: Outcome, *, exact: bool = False) -> Verdict:
    """Return the verdict on what a subject did. A result of the wrong type is an error of the subject."""
    verdict = _decided(case, outcome, exact=exact)
    if verdict.kind is Kind.PASS or verdict.kind in NOT_RUN or verdict.signature is not None:
        return verdict
    return replace(verdict, signature=of_outcome(case, outcome, verdict.mismatches))


def _decided(case: Case, outcome: Outcome, *, exact: bool) -> Verdict:
    match outcome:
        case Answered(value=value):
            return _answered(case, value, exact=exact)
        case Transmitted(packets=packets):
            return _decide_cut(case, packets)
        case TurnedDown():
            return _turned_down(case, outcome, exact=exact)
        case Unable(what=reason):
            kind = Kind.UNSUPPORTED
        case Broken(how=how, detail=reason):
            kind = Kind(how)
        case Inapplicable(reason=reason):
            kind = Kind.NOT_APPLICABLE
        case Outside(reason=reason):
            kind = Kind.OUTSIDE
    return Verdict(kind, reason)


def _answered(case: Case, value: object, *, exact: bool) -> Verdict:
    try:
        return _DECIDE[type(case)](case, value, exact)
    except (TypeError, ValueError, AttributeError) as error:
        return Verdict(
            Kind.ERROR, f"{type(value).__name__} is not a valid result of {case.id.partition('/')[0]}: {error}"
        )


def _checksum(case: ChecksumCase, got: int, _: bool) -> Verdict:
    return _PASS if got == case.expect.sum else _fail(f"expected {case.expect.sum:#06x}, got {got:#06x}")


def _header(case: HeaderCase, got: object, _: bool) -> Verdict:
    match case.expect:
        case HeaderBytes(bytes=right) | Fields(fields=right):
            text = f"expected {shown(right)}, got {shown(got)}"
            return _PASS if right == got else _fail(text, _header_mismatch(right, got))
    return _fail(f"expected a rejection ({case.expect.fault}), got {shown(got)}")


def _header_mismatch(right: object, got: object) -> Found:
    if not isinstance(right, bytes) or not isinstance(got, bytes):
        return (), 0
    return (mismatch("vnet header", right, got),), 1


def _read(case: ReadCase, got: Sequence[bytes], exact: bool) -> Verdict:
    if isinstance(case.expect, MustReject):
        text = f"expected the frame to be rejected ({case.expect.fault}), got {describe_packets(got)}"
        return _fail(text, packets_beside((), got, exact=True))
    return _packets(case.expect.packets, got, exact=exact or case.level != "must")


def _write_batch(case: WriteBatchCase, frames: Sequence[bytes], exact: bool) -> Verdict:
    if tuple(frames) == case.expect.example:  # building judged it
        joined = len(case.expect.ideal) < sum(len(group) for group in case.expect.ideal)
        return Verdict(Kind.PASS, quality=1.0) if joined else _PASS
    if exact:
        difference = first_difference(case.expect.example, frames)
        return _fail(f"not the frames of the example: {difference}", frames_beside(case.expect.example, frames))
    return _batch(case, inspect_batch(case.input.packets, frames, case.expect))


def _lifecycle(case: LifecycleCase, got: Sequence[Answer], exact: bool) -> Verdict:
    for index, (step, right, said) in enumerate(zip(case.input.steps, case.expect.answers, got, strict=False)):
        if not any(_answers(one, said, header=case.input.backend == "offload", exact=exact) for one in right):
            wanted = " or ".join(shown(one) for one in right)
            verdict = _fail(f"step {index}, {shown(step)}: expected {wanted}, got {shown(said)}")
            what = str(step.__struct_config__.tag)
            return replace(verdict, signature=Signature(relation="answered-otherwise", field=what))
    return _equal(len(case.input.steps), len(got))


def _decide_cut(case: Case, packets: Sequence[bytes]) -> Verdict:
    """Judge what a kernel made of what was written. The vnet headers are gone; only their effect shows."""
    match case:
        case WriteBatchCase(input=given, expect=expect):
            return _batch(case, inspect_cut_batch(given.packets, packets, expect))
        case WriteCase() | WriteGsoCase() if isinstance(case.expect, Written):
            return _packets(case.expect.segments, packets, exact=case.level != "must")
        case WriteCase() | WriteGsoCase() if isinstance(case.expect, MustRefuse):
            text = f"expected the write to be refused ({case.expect.fault}), got {describe_packets(packets)}"
            return _fail(text, packets_beside((), packets, exact=True))
        case WriteCase():
            return _nothing(describe_packets(packets), packets_beside((), packets, exact=True)) if packets else _PASS
    raise TypeError(f"{case.id} writes nothing that a kernel could cut")


def _batch(case: WriteBatchCase, report: BatchReport) -> Verdict:
    strange = itertools.zip_longest(report.missing, report.strange)
    mismatches, mismatched = beside(
        (f"packet {index} that went in", case.input.packets[index], got)
        if index is not None
        else ("a packet that was not in the batch", None, got)
        for index, got in strange
    )
    groups = tuple(report.groups)
    return Verdict(
        Kind.FAIL if report.failures else Kind.PASS,
        "\n".join(report.failures),
        advice=tuple(report.advice),
        policies=frozenset(report.policies),
        quality=report.quality,
        mismatches=mismatches,
        mismatched=mismatched,
        groups=groups,
        signature=of_batch(case, groups, mismatches, report.rules) if report.failures else None,
    )


def _answers(right: Answer, said: Answer, *, header: bool, exact: bool) -> bool:
    """Whether an answer is the right one; written frames must obey the header rules."""
    if not isinstance(right, Frames) or not isinstance(said, Frames):
        return right == said
    if not header:
        return same_packets(right.packets, said.packets, exact=exact)
    if any(violation.is_must for frame in said.packets for violation in rules_broken(frame)):
        return False
    return same_packets(right.packets, [frame[HEADER_SIZE:] for frame in said.packets], exact=exact)


def _frame(case: WriteCase | WriteGsoCase, frames: Sequence[bytes], exact: bool) -> Verdict:
    """Judge what a writer wrote for one packet or superpacket. At level `should`, the recommendations count, too."""
    expect = case.expect
    if isinstance(expect, Nothing):
        return _nothing(f"{len(frames)} frames", frames_beside((), frames)) if frames else _PASS
    if isinstance(expect, MustRefuse):
        text = f"expected the write to be refused ({expect.fault}), got {len(frames)} frames"
        return _fail(text, frames_beside((), frames))
    right = expect.header + case.input.whole
    if list(frames) == [right]:  # building judged it
        return _PASS
    wrong = _wrong_frames(case, expect, frames, exact=exact)
    verdict = _fail(wrong) if wrong else _written(case, expect, frames[0], exact=exact)
    if verdict.kind is Kind.PASS:
        return verdict
    mismatches, mismatched = frames_beside([right], frames)
    return replace(verdict, mismatches=mismatches, mismatched=mismatched)


def _nothing(got: str, found: Found) -> Verdict:
    return _fail(f"expected nothing written, got {got}", found)


def _wrong_frames(case: WriteCase | WriteGsoCase, expect: Written, frames: Sequence[bytes], *, exact: bool) -> str:
    """Return what is wrong with the one frame that should be written, its segments aside."""
    if len(frames) != 1:
        return f"expected one frame, got {len(frames)}"
    (frame,), packet = frames, case.input.whole
    if exact and frame[:HEADER_SIZE] != expect.header:
        return f"vnet header: expected {expect.header.hex()}, got {frame[:HEADER_SIZE].hex()}"
    if frame[HEADER_SIZE:] != packet:
        return str(first_difference([packet], [frame[HEADER_SIZE:]]))
    broken = [violation for violation in rules_broken(frame) if violation.is_must or case.level == "should"]
    return "; ".join(map(str, broken))


def _written(case: WriteCase | WriteGsoCase, expect: Written, frame: bytes, *, exact: bool) -> Verdict:
    """Judge the segments of a frame that is otherwise right."""
    verdict = _packets(expect.segments, segments_of(frame), exact=exact or case.level != "must")
    if verdict.difference:
        return verdict
    return replace(verdict, advice=tuple(map(str, rules_broken(frame))))


def _packets(right: Sequence[bytes], got: Sequence[bytes], *, exact: bool) -> Verdict:
    if list(right) == list(got):
        return _PASS
    if not same_packets(right, got, exact=exact):
        return _fail(str(first_difference(right, got)), packets_beside(right, got, exact=exact))
    restamped = any(map(has_other_identification, right, got))
    return Verdict(Kind.PASS, policies=frozenset({RESTAMPS} if restamped else ()))


def _turned_down(case: Case, outcome: TurnedDown, *, exact: bool) -> Verdict:
    if isinstance(case, WriteBatchCase) and (case.expect.optional or (case.expect.silent and not exact)):
        return _write_batch(case, outcome.frames, exact)
    if isinstance(case.expect, Nothing) and not outcome.frames and not exact:
        return Verdict(Kind.PASS, policies=frozenset({REJECTS_EMPTY}))
    wrong = _wrong_refusal(case, outcome, exact=exact)
    return _fail(wrong, _came_anyway(case, outcome.frames)) if wrong else _PASS


def _wrong_refusal(case: Case, outcome: TurnedDown, *, exact: bool) -> str:
    """Return what is wrong with a rejection."""
    expect = case.expect
    if isinstance(case, WriteBatchCase):
        return f"expected every packet to be written, but one was rejected ({outcome.reason})"
    if not isinstance(expect, MustReject | MustRefuse):
        return f"expected {type(expect).__name__.lower()}, but it was rejected ({outcome.reason})"
    if exact and outcome.fault != expect.fault:
        return f"expected {expect.fault}, got {outcome.fault}"
    if outcome.frames:
        return f"rejected ({outcome.reason}), but {len(outcome.frames)} frames came out anyway"
    return ""


def _came_anyway(case: Case, came: Sequence[bytes]) -> Found:
    """Pair what came out of a rejected input anyway with what should have."""
    if not came:
        return (), 0
    match case:
        case ReadCase(expect=expect):
            right = expect.packets if isinstance(expect, Packets) else ()
            return packets_beside(right, came, exact=case.level != "must")
        case WriteCase(expect=expect) | WriteGsoCase(expect=expect):
            return frames_beside([expect.header + case.input.whole] if isinstance(expect, Written) else (), came)
        case WriteBatchCase(expect=expect, input=given):
            verdict = _batch(case, inspect_batch(given.packets, came, expect))
            return verdict.mismatches, verdict.mismatched
    return frames_beside((), came)


def _equal(right: object, got: object) -> Verdict:
    return _PASS if right == got else _fail(f"expected {right}, got {got}")


def _fail(difference: str, found: Found = ((), 0)) -> Verdict:
    return Verdict(Kind.FAIL, difference, mismatches=found[0], mismatched=found[1])


_DECIDE: dict[type, Callable[[Any, Any, bool], Verdict]] = {
    ChecksumCase: _checksum,
    HeaderCase: _header,
    ReadCase: _read,
    WriteCase: _frame,
    WriteGsoCase: _frame,
    WriteBatchCase: _write_batch,
    LifecycleCase: _lifecycle,
}
