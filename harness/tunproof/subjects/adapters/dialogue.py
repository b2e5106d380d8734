"""Cases in the protocol's terms, and replies as outcomes."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tio.errors import PacketError
from tio.ip import parse_ip
from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    EmitInput,
    GsoArguments,
    HeaderCase,
    MustReject,
    ReadCase,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
)
from tunproof.corpus.claims import MostOf, in_pieces
from tunproof.corpus.codec import encode
from tunproof.judge.outcome import Answered, Broken, Outcome, Transmitted, TurnedDown, Unable
from tunproof.protocol import messages as protocol
from tunproof.protocol.messages import (
    SENTINEL,
    ChecksumRequest,
    ErrorReply,
    HeaderRequest,
    OkReply,
    ReadRequest,
    RejectedReply,
    Reply,
    UnsupportedReply,
    WriteBatchRequest,
    WriteGsoRequest,
    WriteRequest,
)
from tunproof.subjects.adapters.client import EncodedRun

__all__ = [
    "FRAME_IS_THERE",
    "SENTINEL_FRAME",
    "Dialogue",
    "dialogue_of",
    "dialogues_of",
    "joined",
    "outcome_of",
    "reads_on",
]

_NO_LIMITS = MostOf()
SENTINEL_FRAME = bytes(HEADER_SIZE) + SENTINEL
FRAME_IS_THERE = EncodedRun("read", encode(ReadRequest(frame=None)))
_READ_SENTINEL = EncodedRun("read", encode(ReadRequest(frame=SENTINEL_FRAME)))


class Dialogue(msgspec.Struct, frozen=True):  # as `EncodedRun`
    """A case as it is sent to an adapter.

    Attributes:
        case: the case.
        before: runs whose replies are not judged.
        judged: the run that is judged.
        runs: all of them, in order; after a frame that may be rejected comes a plain packet to be read.
    """

    case: Case
    before: tuple[EncodedRun, ...]
    judged: EncodedRun
    runs: tuple[EncodedRun, ...]

    @property
    def is_followed(self) -> bool:
        """Whether a plain packet is read after the frame."""
        return self.runs[-1] is _READ_SENTINEL


def dialogues_of(case: Case, limits: MostOf = _NO_LIMITS) -> list[Dialogue]:
    """Return the runs of a case: one dialogue, or for a batch that is longer than is claimed one for each piece."""
    if not isinstance(case, WriteBatchCase):
        return [dialogue_of(case)]
    before = tuple(piece for batch in case.input.before for piece in in_pieces(batch, limits))
    inputs = [
        msgspec.structs.replace(case.input, packets=piece, before=() if at else before)
        for at, piece in enumerate(in_pieces(case.input.packets, limits))
    ]
    return [dialogue_of(msgspec.structs.replace(case, input=given)) for given in inputs]


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a batch whose pieces had these: all frames, or the first that was not an answer."""
    frames: list[bytes] = []
    for outcome in outcomes:
        match outcome:
            case Answered(value=list() as written) | Transmitted(packets=written):
                frames += written
            case TurnedDown():
                return TurnedDown(outcome.reason, (*frames, *outcome.frames), outcome.fault)
            case _:
                return outcome
    return Transmitted(frames) if isinstance(outcomes[0], Transmitted) else Answered(frames)


def dialogue_of(case: Case) -> Dialogue:
    """Return the runs of a case in mode `memory`. A lifecycle has none: `RemoteLifecycle` plays it."""
    after: tuple[EncodedRun, ...] = ()
    match case:
        case ChecksumCase(input=given):
            inputs: list[Any] = [ChecksumRequest(data=given.data, initial=given.initial)]
        case HeaderCase(input=given):
            inputs = [
                HeaderRequest(
                    direction="emit" if isinstance(given, EmitInput) else "parse",
                    size=given.size,
                    byte_order=given.byte_order,
                    bytes=None if isinstance(given, EmitInput) else given.bytes,
                    fields=given.fields if isinstance(given, EmitInput) else None,
                )
            ]
        case ReadCase(input=given, expect=expect):
            inputs = [ReadRequest(frame=frame) for frame in (*given.before, given.frame)]
            after = (_READ_SENTINEL,) if isinstance(expect, MustReject) else ()
        case WriteCase(input=given):
            inputs = [WriteRequest(packet=packet, poison=given.poison) for packet in (*given.before, given.packet)]
        case WriteGsoCase(input=given):
            inputs = [_gso(arguments) for arguments in (*given.before, given)]
        case WriteBatchCase(input=given):
            batches = (*given.before, given.packets)
            inputs = [WriteBatchRequest(packets=packets, poison=given.poison) for packets in batches]
        case _:
            raise TypeError(f"{case.id} has no single run")
    op = case.id.partition("/")[0]
    *before, judged = (EncodedRun(op, encode(given)) for given in inputs)
    return Dialogue(case, tuple(before), judged, (*before, judged, *after))


def _gso(arguments: GsoArguments) -> WriteGsoRequest:
    return WriteGsoRequest(
        protocol=_protocol(arguments.hdr),
        hdr=arguments.hdr,
        transport_hdr=arguments.transport_hdr,
        pays=arguments.pays,
    )


def _protocol(hdr: bytes) -> int | None:
    try:
        return int(parse_ip(hdr).protocol)
    except PacketError:
        return None


def outcome_of(op: str, reply: Reply, *, silent: bool) -> Outcome:
    """Return the outcome of a reply. `silent`: a frame that gives no packet was rejected."""
    match reply:
        case OkReply():
            return _answered(op, reply, silent=silent)
        case RejectedReply(detail=detail, packets=packets, frames=frames):
            return TurnedDown(detail, (*packets, *frames))
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
    return Answered(list(value) if name in {"packets", "frames"} else value)


def reads_on(outcome: Outcome, reply: Reply) -> Outcome:
    """Return the outcome of a frame, given the reply to the plain packet after it: a reader must continue."""
    if isinstance(outcome, Broken) or (isinstance(reply, OkReply) and reply.packets == (SENTINEL,)):
        return outcome
    return Broken("error", f"after this frame a plain packet was not read unchanged: {_said(reply)}")


def _said(reply: Reply) -> str:
    match reply:
        case OkReply(packets=packets):
            return f"{len(packets or ())} packets came out: {', '.join(map(bytes.hex, packets or ()))[:160]}"
        case UnsupportedReply(what=detail) | RejectedReply(detail=detail) | ErrorReply(detail=detail):
            return f"{type(reply).__struct_config__.tag}: {detail}"
