"""What a case is in the protocol's terms, and what a reply is as an outcome."""

from typing import Any

import msgspec

from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    EmitInput,
    GsoArguments,
    HeaderCase,
    ReadCase,
    Rejected,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
)
from tunproof.corpus.model import from_hex
from tunproof.judge.outcome import Answered, Broken, Outcome, TurnedDown, Unable
from tunproof.protocol import messages as protocol
from tunproof.protocol.messages import (
    SENTINEL,
    ChecksumAsked,
    ErrorReply,
    HeaderAsked,
    OkReply,
    ReadAsked,
    RejectedReply,
    Reply,
    UnsupportedReply,
    WriteAsked,
    WriteBatchAsked,
    WriteGsoAsked,
)
from tunproof.subjects.adapters.client import Asked

__all__ = ["FRAME_IS_THERE", "SENTINEL_FRAME", "Question", "outcome_of", "question_of", "reads_on"]

_ENCODE = msgspec.json.Encoder().encode

SENTINEL_FRAME = bytes(HEADER_SIZE) + SENTINEL
FRAME_IS_THERE = Asked("read", _ENCODE(ReadAsked(frame=None)))
_READ_SENTINEL = Asked("read", _ENCODE(ReadAsked(frame=SENTINEL_FRAME.hex())))


class Question(msgspec.Struct, frozen=True):  # as `Asked`
    """A case as it is put to an adapter.

    Attributes:
        case: the case.
        before: runs whose replies are no affair of the case.
        asked: the run that is.
        runs: all of it, in order, and behind a frame that may be turned down a plain packet to be read.
    """

    case: Case
    before: tuple[Asked, ...]
    asked: Asked
    runs: tuple[Asked, ...]

    @property
    def is_followed(self) -> bool:
        """Whether a plain packet is read behind the frame."""
        return self.runs[-1] is _READ_SENTINEL


def question_of(case: Case) -> Question:
    """Return the runs of a case in mode `memory`. A lifecycle is none: `remote_lifecycle` plays it."""
    after: tuple[Asked, ...] = ()
    match case:
        case ChecksumCase(input=given):
            inputs: list[Any] = [ChecksumAsked(data=given.data, initial=given.initial)]
        case HeaderCase(input=given):
            inputs = [
                HeaderAsked(
                    direction="emit" if isinstance(given, EmitInput) else "parse",
                    size=given.size,
                    byte_order=given.byte_order,
                    bytes=None if isinstance(given, EmitInput) else given.bytes,
                    fields=given.fields if isinstance(given, EmitInput) else None,
                )
            ]
        case ReadCase(input=given, expect=expect):
            inputs = [ReadAsked(frame=frame) for frame in (*given.before, given.frame)]
            after = (_READ_SENTINEL,) if isinstance(expect, Rejected) else ()
        case WriteCase(input=given):
            inputs = [WriteAsked(packet=packet, poison=given.poison) for packet in (*given.before, given.packet)]
        case WriteGsoCase(input=given):
            inputs = [_gso(arguments) for arguments in (*given.before, given)]
        case WriteBatchCase(input=given):
            batches = (*given.before, given.packets)
            inputs = [WriteBatchAsked(packets=packets, poison=given.poison) for packets in batches]
        case _:
            raise TypeError(f"{case.id} has no single run")
    op = case.id.partition("/")[0]
    *before, asked = (Asked(op, _ENCODE(given)) for given in inputs)
    return Question(case, tuple(before), asked, (*before, asked, *after))


def _gso(arguments: GsoArguments) -> WriteGsoAsked:
    return WriteGsoAsked(hdr=arguments.hdr, transport_hdr=arguments.transport_hdr, pays=arguments.pays)


def outcome_of(op: str, reply: Reply, *, silent: bool) -> Outcome:
    """Return what a reply says. `silent`: a frame of which no packet comes was turned down."""
    match reply:
        case OkReply():
            return _answered(op, reply, silent=silent)
        case RejectedReply(detail=detail, packets=packets, frames=frames):
            return TurnedDown(detail, tuple(from_hex((*packets, *frames))))
        case UnsupportedReply(what=what):
            return Unable(what)
        case ErrorReply(detail=detail, trace=trace):
            return Broken("error", detail, trace)


def _answered(op: str, reply: OkReply, *, silent: bool) -> Outcome:
    present = [name for name in protocol.RESULTS[op] if getattr(reply, name) is not None]
    if len(present) != 1:
        wanted = " or ".join(protocol.RESULTS[op])
        return Broken("protocol-error", f"an ok to {op} has {wanted}; this one has {', '.join(present) or 'none'}")
    (name,) = present
    value = getattr(reply, name)
    if name == "packets" and silent and not value:
        return TurnedDown("nothing came out")
    if name in {"packets", "frames"}:
        value = from_hex(value)
    elif name == "bytes":
        value = bytes.fromhex(value)
    return Answered(value)


def reads_on(outcome: Outcome, reply: Reply) -> Outcome:
    """Return the outcome of a frame, given the reply to the plain packet behind it: a reader must have gone on."""
    if isinstance(outcome, Broken) or (isinstance(reply, OkReply) and reply.packets == (SENTINEL.hex(),)):
        return outcome
    return Broken("error", f"after this frame a plain packet was not read as it is: {_said(reply)}")


def _said(reply: Reply) -> str:
    match reply:
        case OkReply(packets=packets):
            return f"{len(packets or ())} packets came out: {', '.join(packets or ())[:160]}"
        case UnsupportedReply(what=detail) | RejectedReply(detail=detail) | ErrorReply(detail=detail):
            return f"{type(reply).__struct_config__.tag}: {detail}"
