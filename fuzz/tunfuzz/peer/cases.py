"""From an input to a case: the reference answers first, and its answer is the expectation.

Such a case is used once, so it has no digest and no description until it becomes a finding.
"""

from typing import Any

import msgspec

from tio.errors import PacketError
from tio.ip import Protocol, parse_ip
from tio.virtio import HEADER_SIZE, ByteOrder, GsoType, VnetHeader
from tio.wire import VnetLayout
from tunfuzz.peer.batching import constraints
from tunproof.corpus.cases import (
    BatchInput,
    Case,
    ChecksumCase,
    ChecksumInput,
    EmitInput,
    Expectation,
    Fields,
    GsoInput,
    HeaderBytes,
    HeaderCase,
    Joined,
    MustRefuse,
    MustReject,
    Nothing,
    Packets,
    ParseInput,
    ReadCase,
    ReadInput,
    Sum,
    VnetFields,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    WriteInput,
    Written,
)
from tunproof.corpus.codec import convert
from tunproof.corpus.model import Basis
from tunproof.judge.outcome import Answered, Outcome, TurnedDown
from tunproof.packets.frame import segments_of
from tunproof.subjects.connection import observe
from tunproof.subjects.subject import Subject

__all__ = ["OPERATIONS", "Input", "ReferenceBrokenError", "case_of", "complete", "input_of", "operation_of"]

Input = ChecksumInput | ParseInput | EmitInput | ReadInput | WriteInput | GsoInput | BatchInput

_CASES: dict[type, Any] = {
    ChecksumInput: ChecksumCase,
    ParseInput: HeaderCase,
    EmitInput: HeaderCase,
    ReadInput: ReadCase,
    WriteInput: WriteCase,
    GsoInput: WriteGsoCase,
    BatchInput: WriteBatchCase,
}
_INPUTS: dict[str, Any] = {
    "read": ReadInput,
    "write_gso": GsoInput,
    "write_batch": BatchInput,
    "write": WriteInput,
    "checksum": ChecksumInput,
    "header": ParseInput | EmitInput,
}
OPERATIONS = tuple(_INPUTS)
"""What can be run; a lifecycle is a script, not bytes, so none is generated here."""

_STATED: dict[str, Any] = {
    "digest": "sha256:" + "0" * 64,
    "about": "",
    "flags": ("Basic",),
    "level": "must",
    "importance": "high",
    "reach": "hostile",
    "basis": (Basis(kind="contract", ref="the reference"),),
}
_NOT_YET = Nothing()
_NO_BATCH = Joined(order=(), ideal=(), example=())
_TYPES: dict[int, str] = {GsoType.TCPV4: "gso.tcp4", GsoType.TCPV6: "gso.tcp6"}
_NUMBERS = VnetLayout.within(VnetLayout.NUM_BUFFERS.end)


class ReferenceBrokenError(AssertionError):
    """The reference raised something other than a refusal: a bug in the reference."""


def operation_of(given: Input) -> str:
    """Return the operation that takes such an input."""
    operation: str = _CASES[type(given)].__struct_config__.tag
    return operation


def input_of(operation: str, values: dict[str, Any]) -> Input:
    """Return the input of an operation from a finding's JSON. Raises `msgspec.ValidationError`, `KeyError`."""
    given: Input = convert(values, _INPUTS[operation])
    return given


def case_of(given: Input, reference: Subject) -> Case:
    """Return the case of an input. Raises `ReferenceBrokenError`."""
    kind = _CASES[type(given)]
    stated = {"id": f"{kind.__struct_config__.tag}/fuzz/case", "input": given, "requires": _required(given), **_STATED}
    expect = _expected(given, observe(kind(expect=_NOT_YET, **stated), reference))
    case: Case = kind(expect=expect, **stated)
    return case


def complete(case: WriteBatchCase) -> WriteBatchCase:
    """Return the case of a batch with all constraints; they cost more than the batch, and most frames need none."""
    packets, frames = case.input.packets, case.expect.example
    return msgspec.structs.replace(case, expect=constraints(packets, frames))


def _expected(given: Input, outcome: Outcome) -> Expectation:
    match outcome:
        case TurnedDown(fault=fault) if fault is not None:
            return (
                MustReject(fault=fault)
                if isinstance(given, ReadInput | ParseInput | EmitInput)
                else MustRefuse(fault=fault)
            )
        case Answered(value=value):
            return _answered(given, value)
    raise ReferenceBrokenError(f"the reference, given {operation_of(given)} {given}: {outcome}")


def _answered(given: Input, value: Any) -> Expectation:
    match given:
        case ChecksumInput():
            return Sum(sum=value)
        case ParseInput():
            return Fields(fields=value)
        case EmitInput():
            return HeaderBytes(bytes=value)
        case ReadInput():
            return Packets(packets=tuple(value))
        case BatchInput():
            return msgspec.structs.replace(_NO_BATCH, example=tuple(value))
    return Written(header=value[0][:HEADER_SIZE], segments=tuple(segments_of(value[0]))) if value else Nothing()


def _required(given: Input) -> tuple[str, ...]:
    """Return what a subject must claim for this to run."""
    match given:
        case ReadInput(frame=frame):
            return _of_frame(frame[: HEADER_SIZE + 1])  # to the packet's first byte: its version
        case GsoInput(hdr=hdr):
            return _of_header(hdr)
        case ParseInput(size=size, byte_order=order):
            return _of_vnet("header.parse", size, order)
        case EmitInput(size=size, byte_order=order, fields=fields):
            return (*_of_vnet("header.emit", size, order), *(() if _fits(fields) else ("header.any-integer",)))
    return ()


def _of_frame(head: bytes) -> tuple[str, ...]:
    if len(head) < HEADER_SIZE:
        return ()
    header = VnetHeader.parse(head, byte_order=ByteOrder.LITTLE)
    kind = header.base_type
    if kind == GsoType.UDP_L4:
        return ("gso.udp6" if head[HEADER_SIZE:] and head[HEADER_SIZE] >> 4 == 6 else "gso.udp4",)
    if kind in _TYPES:
        return (_TYPES[kind],)
    return ("csum.partial",) if not kind and header.needs_csum else ()


def _of_header(hdr: bytes) -> tuple[str, ...]:
    """Return what a superpacket after this IP header requires; nothing if it says neither TCP nor UDP."""
    try:
        ip = parse_ip(hdr)
    except PacketError:
        return ()
    names = {Protocol.TCP: "tcp", Protocol.UDP: "udp"}
    return (f"gso.{names[Protocol(ip.protocol)]}{ip.version}",) if ip.protocol in names else ()


def _of_vnet(direction: str, size: int, order: str) -> tuple[str, ...]:
    sized = (f"header.{size}",) if size > HEADER_SIZE else ()
    return (direction, *sized, *(("header.big-endian",) if order == "big" else ()))


def _fits(fields: VnetFields) -> bool:
    return all(0 <= (getattr(fields, field.name) or 0) < 1 << 8 * field.width for field in _NUMBERS)
