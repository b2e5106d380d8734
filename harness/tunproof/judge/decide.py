"""The judge: what a subject did with the input of a case, held against what must come out."""

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
from tunproof.judge.batch import BatchReport, inspect_batch, inspect_cut_batch
from tunproof.judge.outcome import Answered, Broken, Cut, Inapplicable, Outcome, TurnedDown, Unable
from tunproof.judge.verdict import Kind, Verdict
from tunproof.packets.difference import describe_packets, first_difference
from tunproof.packets.equality import RESTAMPS, has_other_identification, same_packets
from tunproof.packets.frame import cut, rules_broken

__all__ = ["decide"]


_PASS = Verdict(Kind.PASS)


def decide(case: Case, outcome: Outcome, *, exact: bool = False) -> Verdict:
    """Return the verdict on what a subject did. An answer of the wrong shape is an error of the subject."""
    match outcome:
        case Answered(value=value):
            return _answered(case, value, exact=exact)
        case Cut(packets=packets):
            return _decide_cut(case, packets)
        case TurnedDown():
            return _turned_down(case, outcome, exact=exact)
        case Unable(what=reason):
            kind = Kind.UNSUPPORTED
        case Broken(how=how, detail=reason):
            kind = Kind(how)
        case Inapplicable(reason=reason):
            kind = Kind.NOT_APPLICABLE
    return Verdict(kind, reason)


def _answered(case: Case, value: object, *, exact: bool) -> Verdict:
    try:
        return _DECIDE[type(case)](case, value, exact)
    except (TypeError, ValueError, AttributeError) as error:
        return Verdict(Kind.ERROR, f"{type(value).__name__} is no answer to {case.id.partition('/')[0]}: {error}")


def _checksum(case: ChecksumCase, got: int, _: bool) -> Verdict:
    return _PASS if got == case.expect.sum else _fail(f"expected {case.expect.sum:#06x}, got {got:#06x}")


def _header(case: HeaderCase, got: object, _: bool) -> Verdict:
    said = got.hex() if isinstance(got, bytes) else got
    match case.expect:
        case HeaderBytes(bytes=right) | Fields(fields=right):
            return _equal(right, said)
    return _fail(f"expected a refusal ({case.expect.fault}), got {said}")


def _read(case: ReadCase, got: Sequence[bytes], exact: bool) -> Verdict:
    if isinstance(case.expect, Rejected):
        return _fail(f"expected a frame that is turned down ({case.expect.fault}), got {describe_packets(got)}")
    return _packets(from_hex(case.expect.packets), got, exact=exact or case.level != "must")


def _write(case: WriteCase, frames: Sequence[bytes], exact: bool) -> Verdict:
    return _frame(case, bytes.fromhex(case.input.packet), frames, exact=exact)


def _write_gso(case: WriteGsoCase, frames: Sequence[bytes], exact: bool) -> Verdict:
    return _frame(case, case.input.whole, frames, exact=exact)


def _write_batch(case: WriteBatchCase, frames: Sequence[bytes], exact: bool) -> Verdict:
    if to_hex(frames) == case.expect.example:  # building judged it
        joined = len(case.expect.ideal) < sum(len(group) for group in case.expect.ideal)
        return Verdict(Kind.PASS, quality=1.0) if joined else _PASS
    if exact:
        difference = first_difference(from_hex(case.expect.example), frames)
        return _fail(f"not the frames of the example: {difference}")
    return _batch(inspect_batch(from_hex(case.input.packets), frames, case.expect))


def _lifecycle(case: LifecycleCase, got: Sequence[Answer], exact: bool) -> Verdict:
    for index, (step, right, said) in enumerate(zip(case.input.steps, case.expect.answers, got, strict=False)):
        if not any(_answers(one, said, header=case.input.backend == "offload", exact=exact) for one in right):
            return _fail(f"step {index}, {step}: expected {' or '.join(map(str, right))}, got {said}")
    return _equal(len(case.input.steps), len(got))


_DECIDE: dict[type, Callable[[Any, Any, bool], Verdict]] = {
    ChecksumCase: _checksum,
    HeaderCase: _header,
    ReadCase: _read,
    WriteCase: _write,
    WriteGsoCase: _write_gso,
    WriteBatchCase: _write_batch,
    LifecycleCase: _lifecycle,
}


def _decide_cut(case: Case, packets: Sequence[bytes]) -> Verdict:
    """Judge what a kernel made of what was written. The vnet headers are gone: only their effect can be seen."""
    match case:
        case WriteBatchCase(input=given, expect=expect):
            return _batch(inspect_cut_batch(from_hex(given.packets), packets, expect))
        case WriteCase() | WriteGsoCase() if isinstance(case.expect, Written):
            return _packets(from_hex(case.expect.segments), packets, exact=case.level != "must")
        case WriteCase() | WriteGsoCase() if isinstance(case.expect, Refused):
            return _fail(f"expected a write that is refused ({case.expect.fault}), got {describe_packets(packets)}")
        case WriteCase():
            return _equal("nothing written", describe_packets(packets) if packets else "nothing written")
    raise TypeError(f"{case.id} writes nothing that a kernel could cut")


def _batch(report: BatchReport) -> Verdict:
    kind = Kind.FAIL if report.failures else Kind.PASS
    policies = frozenset(report.policies)
    return Verdict(kind, "\n".join(report.failures), tuple(report.advice), policies, report.quality)


def _answers(right: Answer, said: Answer, *, header: bool, exact: bool) -> bool:
    """Whether an answer is the right one; written frames are held against the header rules."""
    if not isinstance(right, Frames) or not isinstance(said, Frames):
        return right == said
    frames = from_hex(said.packets)
    if header:
        if any(violation.is_must for frame in frames for violation in rules_broken(frame)):
            return False
        frames = [frame[HEADER_SIZE:] for frame in frames]
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
    if frame == bytes.fromhex(expect.header) + packet:  # building judged it
        return _PASS
    if exact and frame[:HEADER_SIZE].hex() != expect.header:
        return _fail(f"vnet header: expected {expect.header}, got {frame[:HEADER_SIZE].hex()}")
    return _written(case, expect, packet, frame, exact=exact)


def _written(case: WriteCase | WriteGsoCase, expect: Written, packet: bytes, frame: bytes, *, exact: bool) -> Verdict:
    """Judge the one frame that was written."""
    exact = exact or case.level != "must"
    if frame[HEADER_SIZE:] != packet:
        return _fail(str(first_difference([packet], [frame[HEADER_SIZE:]])))
    found = rules_broken(frame)
    broken = [violation for violation in found if violation.is_must or case.level == "should"]
    if broken:
        return _fail("; ".join(map(str, broken)))
    verdict = _packets(from_hex(expect.segments), cut(frame), exact=exact)
    return verdict if verdict.difference else replace(verdict, advice=tuple(map(str, found)))


def _packets(right: Sequence[bytes], got: Sequence[bytes], *, exact: bool) -> Verdict:
    if list(right) == list(got):
        return _PASS
    if not same_packets(right, got, exact=exact):
        return _fail(str(first_difference(right, got)))
    restamped = any(map(has_other_identification, right, got))
    return Verdict(Kind.PASS, policies=frozenset({RESTAMPS} if restamped else ()))


def _turned_down(case: Case, outcome: TurnedDown, *, exact: bool) -> Verdict:
    expect = case.expect
    if isinstance(case, WriteBatchCase):
        if not case.expect.optional:
            return _fail(f"expected every packet to be written, but one was turned down ({outcome.reason})")
        return _write_batch(case, outcome.frames, exact)
    if not isinstance(expect, Rejected | Refused):
        return _fail(f"expected {type(expect).__name__.lower()}, but it was turned down ({outcome.reason})")
    if exact and outcome.fault != expect.fault:
        return _fail(f"expected {expect.fault}, got {outcome.fault}")
    if outcome.frames:
        return _fail(f"turned down ({outcome.reason}), but {len(outcome.frames)} frames came all the same")
    return _PASS


def _equal(right: object, got: object) -> Verdict:
    return _PASS if right == got else _fail(f"expected {right}, got {got}")


def _fail(difference: str) -> Verdict:
    return Verdict(Kind.FAIL, difference)
