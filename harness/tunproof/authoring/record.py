"""From a draft to a case: run reference, kernel and oracle, and accept only what they agree on.

The kernel judges the reference. If the two differ and the author did not say that they may, or if they agree although
the author said that they differ, nothing is recorded and both sides are shown.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tio import coalesce
from tio.linux import Delivered, KernelOutcome, Lost, Refused
from tio.virtio import HEADER_SIZE
from tunproof.authoring import oracle
from tunproof.authoring.draft import (
    Batch,
    Built,
    Delivers,
    Draft,
    Input,
    KernelRule,
    Life,
    Like,
    Loses,
    Recorded,
    Refuses,
    gso,
)
from tunproof.authoring.reach import reach_of
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    ChecksumInput,
    EmitInput,
    Expectation,
    Fault,
    Fields,
    GsoInput,
    HeaderBytes,
    HeaderCase,
    Joined,
    LifecycleCase,
    MustRefuse,
    MustReject,
    Nothing,
    Packets,
    ParseInput,
    ReadCase,
    ReadInput,
    Sum,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    WriteInput,
    Written,
)
from tunproof.corpus.model import KernelAnswer, KernelDelivers, KernelLoses, KernelRefuses, KernelSame, digest_of, fits
from tunproof.corpus.script import Answers
from tunproof.errors import TunproofError
from tunproof.judge.kernel import describe
from tunproof.judge.verdict import Kind
from tunproof.lab import Exchange
from tunproof.packets import summing
from tunproof.packets.builder import GsoPieces
from tunproof.packets.difference import describe_packets, first_difference
from tunproof.packets.frame import rules_broken, segments_of
from tunproof.subjects.connection import judge
from tunproof.subjects.reference import Reference
from tunproof.subjects.subject import TurnedDownError

__all__ = ["DisagreementError", "Recorder"]


class DisagreementError(TunproofError):
    """Reference, kernel, oracle or author do not agree about a case; building stops."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Recorder:
    """What cases are recorded with: the running kernel, its traits, and the reference."""

    exchange: Exchange
    traits: frozenset[str]
    reference: Reference

    def record(self, draft: Draft, old: Case | None = None) -> Case:
        """Return the case of a draft. `old` is what was recorded before, for kernels other than the running one.

        Raises `DisagreementError`.
        """
        case = self._recorded(draft, old)
        verdict = judge(case, self.reference, exact=True)
        if verdict.kind is not Kind.PASS:
            raise DisagreementError(f"{draft.id}: the reference does not pass its own case\n{verdict.difference}")
        if verdict.quality not in {None, 1.0} or verdict.advice or verdict.policies:
            what = f"quality {verdict.quality}, {verdict.advice}, {verdict.policies}"
            raise DisagreementError(f"{draft.id}: the reference does less than the ideal: {what}")
        return case

    def _recorded(self, draft: Draft, old: Case | None) -> Case:  # noqa: PLR0911 (one for each operation)
        match _as_input(draft.built):
            case ReadInput() as given:
                return self._read(draft, given, old)
            case WriteInput() as given:
                return self._write(draft, given, old)
            case GsoInput() as given:
                return self._write_gso(draft, given, old)
            case Batch() as batch:
                return self._write_batch(draft, batch, old)
            case ChecksumInput() as given:
                return self._checksum(draft, given, old)
            case Life() as life:
                expect = Answers(answers=tuple(tuple(right) for right in life.answers))
                return LifecycleCase(input=life.script, expect=expect, **_stated(draft, life.script, expect, ()))
            case given:
                return self._header(draft, given)

    def _checksum(self, draft: Draft, given: ChecksumInput, old: Case | None) -> Case:
        data = given.data
        total = self.reference.checksum(data, given.initial)
        right = summing.sum_of(data, given.initial)
        if total != right:
            raise DisagreementError(f"{draft.id}: the reference says {total:#06x}, summing words gives {right:#06x}")
        frame, packet = summing.completed_frame(data, given.initial)
        expect = Sum(sum=total)
        answers = self._kernel_answers(draft, [(frame, (packet,))], old)
        return ChecksumCase(input=given, expect=expect, **_stated(draft, given, expect, answers))

    def _header(self, draft: Draft, given: ParseInput | EmitInput) -> Case:
        expect: Fields | HeaderBytes | MustReject
        try:
            if isinstance(given, ParseInput):
                fields = self.reference.parse_header(given.bytes, given.size, given.byte_order)
                expect = Fields(fields=fields)
            else:
                emitted = self.reference.emit_header(given.fields, given.size, given.byte_order)
                expect = HeaderBytes(bytes=emitted)
        except TurnedDownError as error:
            expect = MustReject(fault=_fault(draft, error))
        else:
            right = oracle.header_of(given)
            if right not in {expect.fields if isinstance(expect, Fields) else expect.bytes}:
                raise DisagreementError(f"{draft.id}: the reference says {expect}, a C struct {right!r}")
        return HeaderCase(input=given, expect=expect, **_stated(draft, given, expect, ()))

    def _read(self, draft: Draft, given: ReadInput, old: Case | None) -> Case:
        frame = given.frame
        expect: Packets | MustReject
        packets: tuple[bytes, ...] | None
        try:
            read = tuple(self.reference.read(frame, given.before))
            packets, expect = read, Packets(packets=tuple(read))
        except TurnedDownError as error:
            packets, expect = None, MustReject(fault=_fault(draft, error))
        if draft.sound:
            _check_with_scapy(draft, packets or ())
        answers = self._kernel_answers(draft, [(frame, packets)], old)
        return ReadCase(input=given, expect=expect, **_stated(draft, given, expect, answers))

    def _write(self, draft: Draft, given: WriteInput, old: Case | None) -> Case:
        packet = given.packet
        expect: Written | Nothing | MustRefuse
        answers: tuple[KernelAnswer, ...] = ()
        try:
            frames = self.reference.write(packet, given.before, None)
        except TurnedDownError as error:
            expect = MustRefuse(fault=_fault(draft, error))
        else:
            if frames:
                expect = Written(header=frames[0][:HEADER_SIZE], segments=(given.packet,))
                answers = self._kernel_answers(draft, [(frames[0], (packet,))], old)
            else:
                expect = Nothing()
        return WriteCase(input=given, expect=expect, **_stated(draft, given, expect, answers))

    def _write_gso(self, draft: Draft, given: GsoInput, old: Case | None) -> Case:
        expect: Written | MustRefuse
        answers: tuple[KernelAnswer, ...] = ()
        try:
            (frame,) = self.reference.write_gso(given, given.before)
        except TurnedDownError as error:
            expect = MustRefuse(fault=_fault(draft, error))
        else:
            broken = rules_broken(frame)
            if broken:
                raise DisagreementError(
                    f"{draft.id}: the reference wrote an illegal header\n{'; '.join(map(str, broken))}"
                )
            segments = tuple(segments_of(frame))
            if draft.sound:
                _check_with_scapy(draft, segments)
            expect = Written(header=frame[:HEADER_SIZE], segments=tuple(segments))
            answers = self._kernel_answers(draft, [(frame, segments)], old)
        return WriteGsoCase(input=given, expect=expect, **_stated(draft, given, expect, answers))

    def _write_batch(self, draft: Draft, batch: Batch, old: Case | None) -> Case:
        packets = batch.input.packets
        _check_apart(draft, packets, batch.apart)
        frames = self.reference.write_batch(packets, batch.input.before, None)
        seen = oracle.batched(packets)
        expect = Joined(
            order=seen.order,
            order_should=seen.order_should,
            apart=tuple(batch.apart),
            silent=seen.silent,
            optional=seen.optional,
            repairable=seen.repairable,
            unsummed=seen.unsummed,
            ideal=tuple(tuple(group) for group in batch.ideal),
            example=tuple(frames),
        )
        cuts = [(frame, tuple(segments_of(frame))) for frame in frames]
        answers = self._kernel_answers(draft, cuts, old)
        return WriteBatchCase(input=batch.input, expect=expect, **_stated(draft, batch.input, expect, answers))

    def _kernel_answers(
        self, draft: Draft, frames: Sequence[tuple[bytes, tuple[bytes, ...] | None]], old: Case | None
    ) -> tuple[KernelAnswer, ...]:
        """Return what each kind of kernel does, checked against the running one.

        `frames` are sent to the kernel, each with the reference's packets, or None if it rejects the frame.
        """
        return tuple(
            self._checked(draft, rule, frames)
            if fits(dict(rule.when), self.traits)
            else self._elsewhere(draft, rule, frames, old)
            for rule in draft.kernels
        )

    def _checked(
        self, draft: Draft, rule: KernelRule, frames: Sequence[tuple[bytes, tuple[bytes, ...] | None]]
    ) -> KernelAnswer:
        """Return what the running kernel does, which must match rule, reference and author."""
        outcomes = [self.exchange.send(frame, len(packets or ())) for frame, packets in frames]
        differs = [
            (mine, theirs)
            for (_, mine), theirs in zip(frames, outcomes, strict=True)
            if (theirs.packets != mine if isinstance(theirs, Delivered) else mine is not None)
        ]
        declared = draft.differs is not None or not isinstance(rule.does, Recorded)
        if differs and not declared:
            raise DisagreementError(f"{draft.id}: kernel and reference differ\n{_both_sides(*differs[0])}")
        if draft.differs is not None and not differs:
            raise DisagreementError(f"{draft.id}: says that kernel and reference differ, but they agree")
        # A batch of which nothing is written has no frames: every kernel outputs nothing.
        outcome = differs[0][1] if differs else outcomes[0] if outcomes else Delivered(())
        if not isinstance(rule.does, Recorded):
            self._demand(draft, rule, outcome)
        return _answer(rule, outcome, frames[0][1] if frames else (), draft.differs)

    def _elsewhere(
        self,
        draft: Draft,
        rule: KernelRule,
        frames: Sequence[tuple[bytes, tuple[bytes, ...] | None]],
        old: Case | None,
    ) -> KernelAnswer:
        """Return what the author says of a kernel other than the running one, or what was recorded on one."""
        if isinstance(rule.does, Recorded):
            for answer in old.kernel if old is not None else ():
                if answer.when == dict(rule.when):
                    return answer
            what = ", ".join(f"{trait} {'present' if wanted else 'missing'}" for trait, wanted in rule.when.items())
            raise DisagreementError(f"{draft.id}: record it first on a kernel with {what}, or state what it does")
        return _answer(rule, self._said(rule), frames[0][1] if frames else None, draft.differs)

    def _said(self, rule: KernelRule) -> KernelOutcome:
        match rule.does:
            case Refuses(errno=name):
                return Refused(getattr(errno, name))
            case Delivers(packets=packets):
                return Delivered(packets)
            case Like(frame=frame):
                return self.exchange.send(frame, 0)
            case Loses() | Recorded():
                return Lost()

    def _demand(self, draft: Draft, rule: KernelRule, outcome: KernelOutcome) -> None:
        said = self._said(rule)
        if said != outcome:
            what = f"  author: {describe(said)}\n  kernel: {describe(outcome)}"
            raise DisagreementError(f"{draft.id}: the running kernel does not do what the author says\n{what}")


def _check_apart(draft: Draft, packets: Sequence[bytes], apart: Sequence[tuple[int, int]]) -> None:
    """Raise `DisagreementError` if two packets are to stay apart that a writer who leaves out the rest may join."""
    for pair in apart:
        if len(list(coalesce([packets[index] for index in pair]))) == 1:
            raise DisagreementError(f"{draft.id}: packets {pair[0]} and {pair[1]} may share a superpacket of their own")


def _as_input(built: Built) -> Input:
    """Return what an author built as an input."""
    if isinstance(built, bytes):
        return ReadInput(frame=built)
    return gso(built) if isinstance(built, GsoPieces) else built


def _answer(
    rule: KernelRule, outcome: KernelOutcome, packets: tuple[bytes, ...] | None, because: str | None
) -> KernelAnswer:
    when = dict(rule.when)
    if packets is None and not isinstance(outcome, Delivered):
        because = None  # both reject it, each in its own way
    match outcome:
        case Delivered(packets=delivered) if delivered == packets:
            return KernelSame(when=when)
        case Delivered(packets=delivered):
            return KernelDelivers(when=when, packets=tuple(delivered), because=because)
        case Refused(errno=number):
            return KernelRefuses(when=when, errno=errno.errorcode[number], because=because)
        case Lost():
            return KernelLoses(when=when, because=because)


def _stated(
    draft: Draft, given: msgspec.Struct, expect: Expectation, answers: tuple[KernelAnswer, ...]
) -> dict[str, Any]:
    """Return what the author stated, by the names of the case, the digest, and the kernel that ran it."""
    return {
        "id": draft.id,
        "digest": digest_of(given, expect),
        "about": draft.about,
        "flags": draft.flags,
        "level": draft.level,
        "importance": draft.importance,
        "reach": reach_of(given, expect),
        "requires": draft.requires,
        "basis": draft.basis,
        "kernel": answers,
        "confirmed": (os.uname().release,) if answers else (),
        "sibling": draft.sibling,
    }


def _fault(draft: Draft, error: TurnedDownError) -> Fault:
    """Return the fault that the reference found."""
    if draft.sibling is None:
        raise DisagreementError(f"{draft.id}: a case with a fault must name its valid sibling")
    if error.fault is None:
        raise DisagreementError(f"{draft.id}: the reference rejected it without a rule: {error.reason}")
    return error.fault


def _both_sides(mine: Sequence[bytes] | None, theirs: KernelOutcome) -> str:
    says = "rejects the frame" if mine is None else describe_packets(mine)
    text = f"  reference: {says}\n  kernel: {describe(theirs)}"
    if mine is not None and isinstance(theirs, Delivered):
        text += f"\n{first_difference(theirs.packets, mine)}"
    return text


def _check_with_scapy(draft: Draft, packets: Sequence[bytes]) -> None:
    """Let scapy recompute lengths and checksums of each packet, and demand that nothing changes.

    A TCP checksum of 0x0000 and one of 0xFFFF are the same number, and scapy always writes the latter.
    """
    for index, packet in enumerate(packets):
        built = oracle.rebuilt(packet)
        if built != packet and not oracle.right_but_for_zero(built, packet):
            difference = first_difference([built], [packet])
            raise DisagreementError(f"{draft.id}: scapy disagrees about packet {index}\n{difference}")
