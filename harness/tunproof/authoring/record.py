"""From a draft to a case: ask the reference, ask the running kernel, ask an oracle, accept only what they agree on.

The kernel is the judge of the reference. Where the two differ and the author did not say that they may, or where they
agree although the author said that they differ, nothing is recorded and both sides are shown.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tio.linux import Delivered, Lost, Outcome
from tio.linux import Refused as WriteRefused
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
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    ChecksumInput,
    EmitInput,
    Fault,
    Fields,
    GsoInput,
    HeaderBytes,
    HeaderCase,
    Joined,
    LifecycleCase,
    Nothing,
    Packets,
    ParseInput,
    ReadCase,
    ReadInput,
    Refused,
    Rejected,
    Sum,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    WriteInput,
    Written,
)
from tunproof.corpus.model import (
    KernelAnswer,
    KernelDelivers,
    KernelLoses,
    KernelRefuses,
    KernelSame,
    digest_of,
    fits,
    from_hex,
    to_hex,
)
from tunproof.corpus.script import Answers
from tunproof.errors import TunproofError
from tunproof.judge.verdict import Kind
from tunproof.kernel.replay import describe_outcome
from tunproof.lab import Exchange
from tunproof.packets import summing
from tunproof.packets.builder import GsoPieces
from tunproof.packets.difference import describe_packets, first_difference
from tunproof.packets.frame import cut, rules_broken
from tunproof.subjects.asker import judge
from tunproof.subjects.reference import Reference
from tunproof.subjects.subject import TurnedDownError

__all__ = ["DisagreementError", "Recorder"]


class DisagreementError(TunproofError):
    """Reference, kernel, oracle or author do not agree about a case; building stops."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Recorder:
    """What cases are recorded with: the way to the running kernel, its traits, and the reference."""

    exchange: Exchange
    traits: frozenset[str]
    reference: Reference

    def record(self, draft: Draft, old: Case | None = None) -> Case:
        """Return the case of a draft. `old` is what was recorded before, for kernels that the running one is not.

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
        data = bytes.fromhex(given.data)
        total = self.reference.checksum(data, given.initial)
        right = summing.sum_of(data, given.initial)
        if total != right:
            raise DisagreementError(f"{draft.id}: the reference says {total:#06x}, summing words gives {right:#06x}")
        frame, packet = summing.completed_frame(data, given.initial)
        expect = Sum(sum=total)
        answers = self._kernel_answers(draft, [(frame, (packet,))], old)
        return ChecksumCase(input=given, expect=expect, **_stated(draft, given, expect, answers))

    def _header(self, draft: Draft, given: ParseInput | EmitInput) -> Case:
        expect: Fields | HeaderBytes | Rejected
        try:
            if isinstance(given, ParseInput):
                fields = self.reference.parse_header(bytes.fromhex(given.bytes), given.size, given.byte_order)
                expect = Fields(fields=fields)
            else:
                emitted = self.reference.emit_header(given.fields, given.size, given.byte_order)
                expect = HeaderBytes(bytes=emitted.hex())
        except TurnedDownError as error:
            expect = Rejected(fault=_fault(draft, error))
        else:
            right = oracle.header_of(given)
            if right not in {expect.fields if isinstance(expect, Fields) else bytes.fromhex(expect.bytes)}:
                raise DisagreementError(f"{draft.id}: the reference says {expect}, a C struct {right!r}")
        return HeaderCase(input=given, expect=expect, **_stated(draft, given, expect, ()))

    def _read(self, draft: Draft, given: ReadInput, old: Case | None) -> Case:
        frame = bytes.fromhex(given.frame)
        expect: Packets | Rejected
        packets: tuple[bytes, ...] | None
        try:
            read = tuple(self.reference.read(frame, from_hex(given.before)))
            packets, expect = read, Packets(packets=to_hex(read))
        except TurnedDownError as error:
            packets, expect = None, Rejected(fault=_fault(draft, error))
        if draft.sound:
            _check_with_scapy(draft, packets or ())
        answers = self._kernel_answers(draft, [(frame, packets)], old)
        return ReadCase(input=given, expect=expect, **_stated(draft, given, expect, answers))

    def _write(self, draft: Draft, given: WriteInput, old: Case | None) -> Case:
        packet = bytes.fromhex(given.packet)
        expect: Written | Nothing | Refused
        answers: tuple[KernelAnswer, ...] = ()
        try:
            frames = self.reference.write(packet, from_hex(given.before), None)
        except TurnedDownError as error:
            expect = Refused(fault=_fault(draft, error))
        else:
            if frames:
                expect = Written(header=frames[0][:HEADER_SIZE].hex(), segments=(given.packet,))
                answers = self._kernel_answers(draft, [(frames[0], (packet,))], old)
            else:
                expect = Nothing()
        return WriteCase(input=given, expect=expect, **_stated(draft, given, expect, answers))

    def _write_gso(self, draft: Draft, given: GsoInput, old: Case | None) -> Case:
        expect: Written | Refused
        answers: tuple[KernelAnswer, ...] = ()
        try:
            (frame,) = self.reference.write_gso(given, given.before)
        except TurnedDownError as error:
            expect = Refused(fault=_fault(draft, error))
        else:
            broken = rules_broken(frame)
            if broken:
                raise DisagreementError(
                    f"{draft.id}: the reference wrote an illegal header\n{'; '.join(map(str, broken))}"
                )
            segments = tuple(cut(frame))
            if draft.sound:
                _check_with_scapy(draft, segments)
            expect = Written(header=frame[:HEADER_SIZE].hex(), segments=to_hex(segments))
            answers = self._kernel_answers(draft, [(frame, segments)], old)
        return WriteGsoCase(input=given, expect=expect, **_stated(draft, given, expect, answers))

    def _write_batch(self, draft: Draft, batch: Batch, old: Case | None) -> Case:
        packets = from_hex(batch.input.packets)
        frames = self.reference.write_batch(packets, [from_hex(one) for one in batch.input.before], None)
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
            example=to_hex(frames),
        )
        cuts = [(frame, tuple(cut(frame))) for frame in frames]
        answers = self._kernel_answers(draft, cuts, old)
        return WriteBatchCase(input=batch.input, expect=expect, **_stated(draft, batch.input, expect, answers))

    def _kernel_answers(
        self, draft: Draft, frames: Sequence[tuple[bytes, tuple[bytes, ...] | None]], old: Case | None
    ) -> tuple[KernelAnswer, ...]:
        """Return what each kind of kernel does, checked against what the running one does.

        `frames` are what goes to the kernel, each with the packets of the reference, or None if it turns it down.
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
        """Return what the running kernel does, which must be what rule, reference and author say."""
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
            raise DisagreementError(f"{draft.id}: says that kernel and reference differ; they agree")
        # A batch of which nothing is written has no frames: every kernel makes nothing of nothing.
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
        """Return what the author says of a kernel that is not the running one, or what was recorded on such a one."""
        if isinstance(rule.does, Recorded):
            for answer in old.kernel if old is not None else ():
                if answer.when == dict(rule.when):
                    return answer
            what = ", ".join(f"{trait} {'there' if wanted else 'missing'}" for trait, wanted in rule.when.items())
            raise DisagreementError(f"{draft.id}: record it first on a kernel with {what}, or say what such a one does")
        return _answer(rule, self._said(rule), frames[0][1] if frames else None, draft.differs)

    def _said(self, rule: KernelRule) -> Outcome:
        match rule.does:
            case Refuses(errno=name):
                return WriteRefused(getattr(errno, name))
            case Delivers(packets=packets):
                return Delivered(packets)
            case Like(frame=frame):
                return self.exchange.send(frame, 0)
            case Loses() | Recorded():
                return Lost()

    def _demand(self, draft: Draft, rule: KernelRule, outcome: Outcome) -> None:
        said = self._said(rule)
        if said != outcome:
            what = f"  author: {describe_outcome(said)}\n  kernel: {describe_outcome(outcome)}"
            raise DisagreementError(f"{draft.id}: the running kernel does not do what the author says\n{what}")


def _as_input(built: Built) -> Input:
    """Return what an author built as what goes in."""
    if isinstance(built, bytes):
        return ReadInput(frame=built.hex())
    return gso(built) if isinstance(built, GsoPieces) else built


def _answer(rule: KernelRule, outcome: Outcome, packets: tuple[bytes, ...] | None, because: str | None) -> KernelAnswer:
    when = dict(rule.when)
    if packets is None and not isinstance(outcome, Delivered):
        because = None  # both turn it down, each in its own way
    match outcome:
        case Delivered(packets=delivered) if delivered == packets:
            return KernelSame(when=when)
        case Delivered(packets=delivered):
            return KernelDelivers(when=when, packets=to_hex(delivered), because=because)
        case WriteRefused(errno=number):
            return KernelRefuses(when=when, errno=errno.errorcode[number], because=because)
        case Lost():
            return KernelLoses(when=when, because=because)


def _stated(draft: Draft, given: object, expect: object, answers: tuple[KernelAnswer, ...]) -> dict[str, Any]:
    """Return what the author stated, by the names of the case, the digest, and the kernel that was asked."""
    return {
        "id": draft.id,
        "digest": digest_of(given, expect),  # type: ignore[arg-type]
        "about": draft.about,
        "flags": draft.flags,
        "level": draft.level,
        "importance": draft.importance,
        "requires": draft.requires,
        "basis": draft.basis,
        "kernel": answers,
        "confirmed": (os.uname().release,) if answers else (),
        "sibling": draft.sibling,
    }


def _fault(draft: Draft, error: TurnedDownError) -> Fault:
    """Return what the reference found wrong."""
    if draft.sibling is None:
        raise DisagreementError(f"{draft.id}: a case with a fault must name its valid sibling")
    if error.fault is None:
        raise DisagreementError(f"{draft.id}: the reference turned it down without a rule: {error.reason}")
    return error.fault


def _both_sides(mine: Sequence[bytes] | None, theirs: Outcome) -> str:
    says = "turns the frame down" if mine is None else describe_packets(mine)
    text = f"  reference: {says}\n  kernel: {describe_outcome(theirs)}"
    if mine is not None and isinstance(theirs, Delivered):
        text += f"\n{first_difference(theirs.packets, mine)}"
    return text


def _check_with_scapy(draft: Draft, packets: Sequence[bytes]) -> None:
    """Have scapy compute lengths and checksums of each packet anew, and demand that nothing changes.

    A TCP checksum of 0x0000 and one of 0xFFFF are the same number, and scapy always writes the latter.
    """
    for index, packet in enumerate(packets):
        built = oracle.rebuilt(packet)
        if built != packet and not oracle.right_but_for_zero(built, packet):
            difference = first_difference([built], [packet])
            raise DisagreementError(f"{draft.id}: scapy disagrees about packet {index}\n{difference}")
