"""A case in a few lines: what was sent, and what must come out."""

from collections.abc import Callable, Sequence
from typing import Any

from tio import ByteOrder, VnetHeader
from tio.virtio import HEADER_SIZE
from tio.wire import VnetLayout
from tunproof.corpus import wording
from tunproof.corpus.cases import (
    BatchInput,
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
    VnetFields,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    WriteInput,
    Written,
)
from tunproof.corpus.model import KernelAnswer, KernelSame, from_hex
from tunproof.corpus.script import Script
from tunproof.packets import picture
from tunproof.packets.difference import describe_packets
from tunproof.packets.picture import vnet_words
from tunproof.runs.results import Run

__all__ = [
    "VNET_FIELDS",
    "VNET_LINE",
    "kernel_answer",
    "must_come_out",
    "rule_of",
    "sent",
    "vnet_rows",
]

VNET_FIELDS = {field.name: field.offset for field in VnetLayout.within(HEADER_SIZE)}
"""The fields of a vnet header of that size, and where each begins."""

VNET_LINE = "vnet header: "
"""What the line begins with that says what a vnet header says."""

_MOST_LINES = 5  # and one that says how many more there are
_MOST_BYTES = 32


def sent(case: Case) -> tuple[str, ...]:
    """Return what was sent, decoded, in one to six lines."""
    return tuple(_SENT[type(case)](case.input))


def must_come_out(case: Case, run: Run) -> str:
    """Return what must come out of this run, in a few words."""
    answer = kernel_answer(case, run)
    if answer is not None and not isinstance(answer, KernelSame):
        return f"this kernel {wording.what_it_does(answer)}"
    return _must(case)


def kernel_answer(case: Case, run: Run) -> KernelAnswer | None:
    """Return what the kernel of this run does by the case, or None where it is not the kernel that was asked."""
    return case.answer_of(frozenset(run.traits)) if run.mode == "kernel" else None


def rule_of(case: Case) -> Fault | None:
    """Return what is wrong with the input, where it must be turned down."""
    return case.expect.fault if isinstance(case.expect, Rejected | Refused) else None


def vnet_rows(frame: bytes) -> list[tuple[str, str, str]]:
    """Return the fields of a frame's vnet header: name, value, and what it means; none of one that is cut off."""
    if len(frame) < HEADER_SIZE:
        return []
    header = VnetHeader.parse(frame, byte_order=ByteOrder.LITTLE)
    fields = VnetFields(**{name: getattr(header, name) for name in VNET_FIELDS})
    return [(row.name, row.value, row.means) for row in picture.header_rows(fields)]


def _must(case: Case) -> str:  # noqa: PLR0911 (one for each outcome)
    match case.expect:
        case Sum(sum=total):
            return f"the sum {total:#06x}"
        case Fields(fields=fields):
            return f"the fields {_fields(fields)}"
        case HeaderBytes(bytes=data):
            return f"the bytes {data}"
        case Packets(packets=packets):
            return describe_packets(from_hex(packets))
        case Written(segments=segments):
            return f"one frame that stands for {describe_packets(from_hex(segments))}"
        case Nothing():
            return "the call succeeds, and nothing is written"
        case Rejected(fault=fault):
            return f"it is turned down, by an error or silently ({fault})"
        case Refused(fault=fault):
            return f"the call fails, and nothing is written ({fault})"
        case Joined(ideal=ideal):
            count = _counted(len(ideal), "frame")
            return f"every packet once and in order, behind legal headers; a good coalescer writes {count}"
    return "the right answer to every step"


def _checksum(given: ChecksumInput) -> list[str]:
    return [f"{len(given.data) // 2} bytes, to be summed from {given.initial:#06x}", _bytes(given.data)]


def _header(given: ParseInput | EmitInput) -> list[str]:
    what = f"a vnet header of {given.size} bytes, {given.byte_order}-endian"
    if isinstance(given, EmitInput):
        return [f"fields, to be made into {what}", _fields(given.fields)]
    return [f"{len(given.bytes) // 2} bytes, which begin with {what}", _bytes(given.bytes)]


def _read(given: ReadInput) -> list[str]:
    frame = bytes.fromhex(given.frame)
    lines = [
        *_before("frame", given.before),
        f"a frame of {len(frame)} bytes",
        f"{VNET_LINE}{vnet_words(frame)}",
    ]
    return lines if len(frame) < HEADER_SIZE else [*lines, _packet("packet", frame[HEADER_SIZE:])]


def _write(given: WriteInput) -> list[str]:
    return [*_before("packet", given.before), _packet("packet", bytes.fromhex(given.packet)), *_poison(given.poison)]


def _gso(given: GsoInput) -> list[str]:
    sizes = [len(pay) // 2 for pay in given.pays]
    fragments = f"{_counted(len(sizes), 'fragment')}{_sizes(sizes)}"
    return [
        *_before("write_gso", given.before),
        f"hdr of {len(given.hdr) // 2} bytes, transport_hdr of {len(given.transport_hdr) // 2} bytes, {fragments}",
        _packet("joined", given.whole),
    ]


def _batch(given: BatchInput) -> list[str]:
    first = [*_before("batch", given.before), f"a batch of {_counted(len(given.packets), 'packet')}"]
    first += _poison(given.poison)
    room = _MOST_LINES - len(first)
    lines = [_packet(f"packet {index}", packet) for index, packet in enumerate(from_hex(given.packets[:room]))]
    return [*first, *lines, *_more(len(given.packets) - room, "packet")]


def _script(given: Script) -> list[str]:
    lines = [f"step {number}: {wording.words(step)}" for number, step in enumerate(given.steps[:_MOST_LINES])]
    return [*lines, *_more(len(given.steps) - _MOST_LINES, "step")]


_SENT: dict[type, Callable[[Any], list[str]]] = {
    ChecksumCase: _checksum,
    HeaderCase: _header,
    ReadCase: _read,
    WriteCase: _write,
    WriteGsoCase: _gso,
    WriteBatchCase: _batch,
    LifecycleCase: _script,
}


def _fields(fields: VnetFields) -> str:
    rows = picture.header_rows(fields)
    return ", ".join(f"{row.name} {row.value}" + (f" ({row.means})" if row.means else "") for row in rows)


def _packet(what: str, packet: bytes) -> str:
    return f"{what}, {len(packet)} bytes: {picture.summary(packet)}"


def _bytes(data: str) -> str:
    more = len(data) // 2 - _MOST_BYTES
    return data[: 2 * _MOST_BYTES] + (f" … {more} more bytes" if more > 0 else "")


def _before(what: str, earlier: Sequence[object]) -> list[str]:
    return [f"before it, to the same instance: {what}, {len(earlier)} times"] if earlier else []


def _poison(poison: str | None) -> list[str]:
    return [] if poison is None else [f"memory around it is filled with 0x{poison}"]


def _more(number: int, what: str) -> list[str]:
    return [f"… {_counted(number, f'more {what}')}"] if number > 0 else []


def _sizes(sizes: Sequence[int]) -> str:
    shown = ", ".join(map(str, sizes[:6])) + (", …" if len(sizes) > 6 else "")
    return f" ({shown} bytes)" if sizes else ""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
