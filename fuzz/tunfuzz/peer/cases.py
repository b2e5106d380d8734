"""From an input to a case: the reference answers first, and its answer is the expectation.

Such a case lives for one question, so it has no digest and no words until a finding is made of it.
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
    Nothing,
    Packets,
    ParseInput,
    ReadCase,
    ReadInput,
    Refused,
    Rejected,
    Sum,
    VnetFields,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    WriteInput,
    Written,
)
from tunproof.corpus.model import Basis, from_hex, to_hex
from tunproof.judge.outcome import Answered, Outcome, TurnedDown
from tunproof.packets.frame import cut
from tunproof.subjects.asker import ask
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
"""What is asked; a lifecycle is a script and no bytes, so none is made up here."""

_STATED: dict[str, Any] = {
    "digest": "sha256:" + "0" * 64,
    "about": "",
    "flags": ("Basic",),
    "level": "must",
    "importance": "high",
    "basis": (Basis(kind="contract", ref="the reference"),),
}
_NOT_YET = Nothing()
_NO_BATCH = Joined(order=(), ideal=(), example=())
_TYPES: dict[int, str] = {GsoType.TCPV4: "gso.tcp4", GsoType.TCPV6: "gso.tcp6"}
_NUMBERS = VnetLayout.within(VnetLayout.NUM_BUFFERS.end)


class ReferenceBrokenError(AssertionError):
    """The reference raised something that is no refusal: a bug of its own."""


def operation_of(given: Input) -> str:
    """Return the operation that takes such an input."""
    operation: str = _CASES[type(given)].__struct_config__.tag
    return operation


def input_of(operation: str, values: dict[str, Any]) -> Input:
    """Return the input of an operation that a finding's JSON has. Raises `msgspec.ValidationError`, `KeyError`."""
    given: Input = msgspec.convert(values, _INPUTS[operation])
    return given


def case_of(given: Input, reference: Subject) -> Case:
    """Return the case of an input. Raises `ReferenceBrokenError`."""
    kind = _CASES[type(given)]
    stated = {"id": f"{kind.__struct_config__.tag}/fuzz/case", "input": given, "requires": _required(given), **_STATED}
    expect = _expected(given, ask(kind(expect=_NOT_YET, **stated), reference))
    case: Case = kind(expect=expect, **stated)
    return case


def complete(case: WriteBatchCase) -> WriteBatchCase:
    """Return the case of a batch with all constraints; they cost more than the batch, and most frames need none."""
    packets, frames = from_hex(case.input.packets), from_hex(case.expect.example)
    return msgspec.structs.replace(case, expect=constraints(packets, frames))


def _expected(given: Input, outcome: Outcome) -> Expectation:
    match outcome:
        case TurnedDown(fault=fault) if fault is not None:
            return (
                Rejected(fault=fault) if isinstance(given, ReadInput | ParseInput | EmitInput) else Refused(fault=fault)
            )
        case Answered(value=value):
            return _answered(given, value)
    raise ReferenceBrokenError(f"the reference, asked to {operation_of(given)} {given}: {outcome}")


def _answered(given: Input, value: Any) -> Expectation:
    match given:
        case ChecksumInput():
            return Sum(sum=value)
        case ParseInput():
            return Fields(fields=value)
        case EmitInput():
            return HeaderBytes(bytes=value.hex())
        case ReadInput():
            return Packets(packets=to_hex(value))
        case BatchInput():
            return msgspec.structs.replace(_NO_BATCH, example=to_hex(value))
    return Written(header=value[0][:HEADER_SIZE].hex(), segments=to_hex(cut(value[0]))) if value else Nothing()


def _required(given: Input) -> tuple[str, ...]:
    """Return what a subject must claim to be asked this."""
    match given:
        case ReadInput(frame=frame):
            return _of_frame(bytes.fromhex(frame[: 2 * HEADER_SIZE + 2]))  # to the packet's first byte: its version
        case GsoInput(hdr=hdr):
            return _of_header(bytes.fromhex(hdr))
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
    """Return what a superpacket behind this IP header requires; nothing where it says neither TCP nor UDP."""
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
