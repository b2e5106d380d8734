"""One case for people: what goes in, what must come out, what kernels do, and why it matters.

Everything is drawn from the case alone; no kernel is asked. Long inputs are cut off, and say how much more there is:
`--json` has every byte.
"""

import string
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from rich.text import Text

from tio import ByteOrder, VnetHeader
from tio.virtio import HEADER_SIZE
from tunproof.cli.terminal import Page, Terminal
from tunproof.corpus import wording
from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.cases import (
    BatchInput,
    Case,
    ChecksumCase,
    ChecksumInput,
    EmitInput,
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
    differs,
)
from tunproof.corpus.load import Corpus
from tunproof.corpus.model import KernelDelivers, KernelSame, from_hex
from tunproof.corpus.script import Feed, Script
from tunproof.judge.batch import inspect_batch
from tunproof.packets import picture
from tunproof.packets.difference import first_difference
from tunproof.packets.summing import completed_frame

__all__ = ["as_json", "show"]

_MOST_SEGMENTS = 6  # columns of the table of what changes, where there is room
_FIELD_WIDTH, _COLUMN_WIDTH = 30, 13
_LETTERS = string.ascii_uppercase
_MOST_SHAPES = 4  # of packets in a batch: the fields of one of each are shown
_MOST_LINES = 12
_MOST_PACKETS = 40  # rows of a batch

_BASIS = {
    "rfc": "RFC",
    "virtio": "virtio specification",
    "kernel": "kernel source",
    "uapi": "kernel interface",
    "contract": "contract",
    "observed": "observed",
    "bug": "known bug",
}

_SAME = {
    ChecksumCase: "comes to the same sum",
    WriteBatchCase: "cuts the frames of that answer into the packets that went in",
}


def show(terminal: Terminal, case: Case, corpus: Corpus) -> None:
    """Print one case."""
    page = Page(terminal)
    page.terminal.out.print(Text(case.id, style="bold"), f"  {case.level}, importance {case.importance}", sep="")
    page.say(case.about)
    page.heading("what goes in")
    _INPUTS[type(case)](page, case.input)
    page.heading("what must come out")
    _outcome(page, case)
    page.heading("what kernels do")
    _kernels(page, case, corpus)
    page.heading("why it matters")
    _flags(page, case, corpus)
    page.heading("about the case")
    _about(page, case)


def as_json(case: Case, corpus: Corpus) -> dict[str, Any]:
    """Return the case as it stands in its file, and what explains its flags and traits."""
    return {
        "case": msgspec.to_builtins(case),
        "flags": {name: msgspec.to_builtins(corpus.flags[name]) for name in case.flags},
        "traits": {name: msgspec.to_builtins(corpus.traits[name]) for name in sorted(case.traits)},
    }


# What goes in.


def _checksum_input(page: Page, given: ChecksumInput) -> None:
    data = bytes.fromhex(given.data)
    page.say(f"{len(data)} bytes, to be summed from {given.initial:#06x}", 2)
    page.dump(data)


def _header_input(page: Page, given: ParseInput | EmitInput) -> None:
    what = f"of {given.size} bytes, {given.byte_order}-endian"
    if isinstance(given, EmitInput):
        page.say(f"fields, to be made into a vnet header {what}", 2)
        _layout(page, given.fields, None)
        return
    data = bytes.fromhex(given.bytes)
    page.say(f"{len(data)} bytes, which begin with a vnet header {what}", 2)
    page.dump(data)


def _read_input(page: Page, given: ReadInput) -> None:
    _before(page, "frame", given.before)
    frame = bytes.fromhex(given.frame)
    if len(frame) < HEADER_SIZE:
        page.say(f"a frame of {len(frame)} bytes, cut off in the vnet header", 2)
        page.dump(frame)
        return
    page.say(f"a frame of {len(frame)} bytes: the vnet header", 2)
    _vnet(page, frame)
    packet = frame[HEADER_SIZE:]
    page.say(f"and a packet of {len(packet)} bytes", 2)
    _packet(page, packet)


def _write_input(page: Page, given: WriteInput) -> None:
    _before(page, "packet", given.before)
    packet = bytes.fromhex(given.packet)
    page.say(f"a packet of {len(packet)} bytes", 2)
    _poison(page, given.poison)
    _packet(page, packet)


def _gso_input(page: Page, given: GsoInput) -> None:
    for earlier in given.before:
        page.say(f"before it, a write_gso of {len(earlier.pays)} fragments", 2)
    hdr, transport = bytes.fromhex(given.hdr), bytes.fromhex(given.transport_hdr)
    sizes = [len(pay) // 2 for pay in given.pays]
    page.say(
        f"write_gso(hdr of {len(hdr)} bytes, transport_hdr of {len(transport)} bytes, "
        f"{_counted(len(sizes), 'fragment')}: {_listed(sizes, 8) or 'none'})",
        2,
    )
    for name, data in (("hdr", hdr), ("transport_hdr", transport)):
        if data:
            page.say(name, 2)
            page.dump(data)
    page.say(f"joined, {len(given.whole)} bytes", 2)
    _rows(page, given.whole)


def _batch_input(page: Page, given: BatchInput) -> None:
    for batch in given.before:
        page.say(f"before it, a batch of {_counted(len(batch), 'packet')}", 2)
    page.say(f"a batch of {_counted(len(given.packets), 'packet')}{_sizes(given.packets)}", 2)
    _poison(page, given.poison)
    for shape in picture.shapes(from_hex(given.packets))[:_MOST_SHAPES]:
        first, packet = next(iter(shape.items()))
        page.say(f"packet {first}", 2)
        _rows(page, packet)
        _changes(page, "packet", shape)


def _script_input(page: Page, given: Script) -> None:
    kind = "has" if given.backend == "offload" else "has no"
    page.say(f"{_counted(len(given.steps), 'step')} of one container, which {kind} vnet headers", 2)


_INPUTS: dict[type, Callable[[Page, Any], None]] = {
    ChecksumCase: _checksum_input,
    HeaderCase: _header_input,
    ReadCase: _read_input,
    WriteCase: _write_input,
    WriteGsoCase: _gso_input,
    WriteBatchCase: _batch_input,
    LifecycleCase: _script_input,
}


def _before(page: Page, what: str, earlier: Sequence[str]) -> None:
    if earlier:
        page.say(f"before it, to the same instance, {_counted(len(earlier), what)}{_sizes(earlier)}", 2)


def _poison(page: Page, poison: str | None) -> None:
    if poison is not None:
        page.say(f"headroom and spare capacity are filled with 0x{poison} before", 2)


def _packet(page: Page, packet: bytes) -> None:
    """Print a packet's fields and bytes."""
    _rows(page, packet)
    page.dump(packet)


def _rows(page: Page, packet: bytes) -> None:
    rows = picture.packet_rows(packet)
    table = page.terminal.table("field", "byte", "value", numbers=("byte",))
    for name, offset, value in rows:
        table.add_row(name, str(offset), Text(value))
    if packet:
        page.table(table)


def _vnet(page: Page, frame: bytes) -> None:
    page.draw(picture.vnet_summary(VnetHeader.parse(frame, byte_order=ByteOrder.LITTLE)))


def _layout(page: Page, fields: VnetFields, data: bytes | None) -> None:
    """Print the fields of a vnet header, and where there are bytes, which stand for each."""
    columns = ("field", "byte", "value", "means") if data is None else ("field", "byte", "bytes", "value", "means")
    table = page.terminal.table(*columns, numbers=("byte", "value"))
    for row in picture.header_rows(fields):
        cells = [] if data is None else [data[row.start : row.end].hex()]
        table.add_row(row.name, str(row.start), *cells, row.value, row.means)
    page.table(table)


# What must come out.


def _outcome(page: Page, case: Case) -> None:  # noqa: C901 (one for each outcome)
    match case.expect:
        case Sum(sum=total):
            page.say(f"{total:#06x}, the folded sum; a checksum field would hold {~total & 0xFFFF:#06x}", 2)
        case Fields(fields=fields):
            data = bytes.fromhex(case.input.bytes) if isinstance(case.input, ParseInput) else None
            _layout(page, fields, data)
        case HeaderBytes(bytes=data):
            page.dump(bytes.fromhex(data))
            if isinstance(case.input, EmitInput):
                _layout(page, case.input.fields, bytes.fromhex(data))
        case Packets(packets=packets) if isinstance(case, ReadCase):
            _cut(page, bytes.fromhex(case.input.frame)[HEADER_SIZE:], from_hex(packets))
        case Written(header=header, segments=segments):
            page.say("one frame: this vnet header, or another that keeps the rules V1 to V14,", 2)
            _vnet(page, bytes.fromhex(header))
            page.say("then the packet, byte for byte; what the frame stands for:", 2)
            _cut(page, _whole(case), from_hex(segments))
        case Nothing():
            page.say("the call succeeds, and nothing is written", 2)
        case Rejected(fault=fault):
            page.say("it must be turned down, by an error or silently, and what comes next is handled", 2)
            page.say(f"rule {fault}", 2)
        case Refused(fault=fault):
            page.say("it must be refused: the call fails, and nothing is written", 2)
            page.say(f"rule {fault}", 2)
        case Joined() if isinstance(case, WriteBatchCase):
            _joined(page, case)
        case _ if isinstance(case, LifecycleCase):
            _steps(page, case)


def _whole(case: Case) -> bytes:
    """Return the packet that is written."""
    if isinstance(case, WriteGsoCase):
        return case.input.whole
    return bytes.fromhex(case.input.packet) if isinstance(case, WriteCase) else b""


def _cut(page: Page, packet: bytes, segments: list[bytes]) -> None:
    if not segments:
        page.say("no packets", 2)
        return
    page.draw(picture.cut(packet, segments, width=page.width - 2), 0)
    if len(segments) > 1:
        _changes(page, "segment", dict(enumerate(segments)))
        page.say("all other header fields are copied", 2, style="dim")
        return
    changes = picture.changes([packet, *segments])
    for change in changes:
        page.say(f"{change.name}: {change.values[0]} becomes {change.values[1]}", 2)
    page.say("every other byte stays as it is" if changes else "byte for byte what went in", 2, style="dim")


def _changes(page: Page, what: str, packets: dict[int, bytes]) -> None:
    """Print the fields in which packets of one shape differ."""
    changes = picture.changes(list(packets.values()))
    if not changes:
        return
    places = range(len(packets))
    most = min(max((page.terminal.out.width - _FIELD_WIDTH) // _COLUMN_WIDTH, 2), _MOST_SEGMENTS)
    shown = places if len(packets) <= most else (*places[: most - 1], places[-1])
    names = list(packets)
    table = page.terminal.table("field", *(f"{what} {names[place]}" for place in shown))
    for change in changes:
        table.add_row(change.name, *(Text(change.values[place]) for place in shown))
    page.table(table)
    page.more(len(packets) - len(shown), f"{what}s between them")


def _joined(page: Page, case: WriteBatchCase) -> None:
    packets, expect = from_hex(case.input.packets), case.expect
    flows = {
        index: _LETTERS[number : number + 1] or str(number)
        for number, flow in enumerate(expect.order)
        for index in flow
    }
    groups = {index: number for number, group in enumerate(expect.ideal) for index in group}
    table = page.terminal.table("packet", "flow", "frame", "bytes", "what", "note", numbers=("packet", "bytes"))
    for index, packet in enumerate(packets[:_MOST_PACKETS]):
        frame = str(groups[index]) if index in groups else ""
        note = Text(", ".join(_notes(index, expect)))
        table.add_row(str(index), flows.get(index, ""), frame, str(len(packet)), Text(picture.summary(packet)), note)
    if packets:
        page.table(table)
    page.more(len(packets) - _MOST_PACKETS, "packets")
    page.say("frame: which packets a good coalescer joins (scored, never demanded)", 2, style="dim")
    order = [flow for flow in expect.order if len(flow) > 1]
    _lines(page, [f"in this order: {_listed(flow, 24)}" for flow in order], "flows")
    better = [f"better in this order: {_listed(flow, 24)}" for flow in expect.order_should if len(flow) > 1]
    _lines(page, better, "flows")
    _lines(page, [f"never in one superpacket: {one} and {other}" for one, other in expect.apart], "pairs")
    _frames(page, packets, expect)


def _lines(page: Page, lines: list[str], what: str, indent: int = 2) -> None:
    for line in lines[:_MOST_LINES]:
        page.say(line, indent)
    page.more(len(lines) - _MOST_LINES, what)


def _notes(index: int, expect: Joined) -> Iterable[str]:
    if index in expect.silent:
        yield "empty: nothing is written"
    if index in expect.repairable:
        yield "wrong checksum: joining it repairs it (a policy)"
    if index in expect.unsummed:
        yield "no checksum: joining it sums it (a policy)"


def _frames(page: Page, packets: list[bytes], expect: Joined) -> None:
    frames = from_hex(expect.example)
    if not frames:
        page.say("no frame is written", 2)
        return
    groups = inspect_batch(packets, frames, expect).groups
    headers = [picture.vnet_line(VnetHeader.parse(frame, byte_order=ByteOrder.LITTLE)) for frame in frames]
    page.say("the frames of one right answer:", 2)
    said = zip(groups, frames, headers, strict=True)
    _lines(page, [f"{_listed(group, 16)}: {len(frame)} bytes; {header}" for group, frame, header in said], "frames", 4)


def _steps(page: Page, case: LifecycleCase) -> None:
    table = page.terminal.table("step", "does", "right answers", numbers=("step",))
    framed = case.input.backend == "offload"
    for number, (step, answers) in enumerate(zip(case.input.steps, case.expect.answers, strict=True)):
        does = wording.words(step)
        if isinstance(step, Feed) and framed and len(step.frame) >= 2 * HEADER_SIZE:
            header = VnetHeader.parse(bytes.fromhex(step.frame), byte_order=ByteOrder.LITTLE)
            does += f" ({picture.vnet_line(header)})"
        table.add_row(str(number), Text(does), Text(" or ".join(wording.words(answer) for answer in answers)))
    page.table(table)


# What kernels do, and why it matters.


def _kernels(page: Page, case: Case, corpus: Corpus) -> None:
    if not case.kernel:
        page.say("none is asked: nothing reaches a kernel", 2)
        return
    if isinstance(case, ChecksumCase):
        frame, packet = completed_frame(bytes.fromhex(case.input.data), case.input.initial)
        page.say(
            "a kernel is asked with a packet that carries the bytes behind a checksum to complete "
            f"({len(frame)} bytes with the vnet header); the checksum must become 0x{packet[20:22].hex()}",
            2,
        )
    same = _SAME.get(type(case), "makes the same packets of it")
    for answer in case.kernel:
        does = same if isinstance(answer, KernelSame) else wording.what_it_does(answer)
        page.say(f"{wording.which_kernels(answer)} {does}", 2)
        if isinstance(answer, KernelDelivers) and isinstance(case.expect, Packets):
            difference = first_difference(from_hex(case.expect.packets), from_hex(answer.packets))
            page.say(f"first difference: {str(difference).partition(chr(10))[0]}", 4)
        if answer.because and differs(case, answer):
            page.say(f"why the two may differ: {answer.because}", 4)
    for name in sorted(case.traits):
        trait = corpus.traits[name]
        page.say(f"{name}: {trait.description} Linux {trait.since} ({trait.commit}).", 2, style="dim")


def _flags(page: Page, case: Case, corpus: Corpus) -> None:
    for name in case.flags:
        flag = corpus.flags[name]
        page.say(f"{name}: {flag.description}", 2)
        page.say(f"effect: {flag.effect}", 4)
        for link in flag.links:
            page.draw(link, 4)


def _about(page: Page, case: Case) -> None:
    for basis in case.basis:
        page.say(f"basis, {_BASIS[basis.kind]}: {basis.ref}", 2)
    for name in case.requires:
        page.say(f"requires {name}: {CAPABILITIES.get(name, 'unknown')}", 2)
    if case.sibling:
        page.say(f"valid sibling: {case.sibling}", 2)
    if case.kernel:
        page.say(f"confirmed on: {', '.join(case.confirmed) or 'nothing yet'}", 2)
    page.say(f"digest of input and outcomes: {case.digest}", 2)


def _listed(numbers: Sequence[int], most: int) -> str:
    return ", ".join(map(str, numbers[:most])) + (f", … {len(numbers) - most} more" if len(numbers) > most else "")


def _sizes(packets: Sequence[str]) -> str:
    return f" ({_listed([len(packet) // 2 for packet in packets], 8)} bytes)" if packets else ""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
