"""The picture of a cut: one bar for the superpacket, a ruler for its payload, one bar for each segment.

Everything is drawn from the bytes; lengths are to scale as far as the width allows. Plain text, so that it can be
printed, piped, and put into a page.
"""

import functools
import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tio import ByteOrder, GsoType, VnetHeader
from tio.virtio import HEADER_SIZE
from tio.wire import Bits, IPv4Layout, IPv6Layout, TcpLayout, VnetLayout
from tio.wire import Field as WireField
from tunproof.packets.fields import Field, packet_fields

__all__ = [
    "Change",
    "HeaderRow",
    "changes",
    "drawn_cut",
    "flag_names",
    "header_length",
    "header_rows",
    "packet_rows",
    "shapes",
    "summary",
    "type_name",
    "vnet_line",
    "vnet_summary",
    "vnet_words",
]

_TYPES = {int(kind): kind.name for kind in GsoType}
_ECN = int(GsoType.ECN)
_FLAGS = {bits.mask: bits.name for bits in reversed(VnetLayout.FLAGS.bits)}
_HEAD = 20  # columns for the headers, which are not to scale
_MOST = 12  # segments drawn; of more, the first ones and the last


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is not the same in all segments: its name, and what it says in each."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeaderRow:
    """A field of a vnet header: its name, where it stands, what it says, and what that means where it has a name."""

    name: str
    start: int
    end: int
    value: str
    means: str


def vnet_summary(header: VnetHeader) -> str:
    """Return a vnet header in two lines."""
    what, _, where = vnet_line(header).partition(", hdr_len")
    return f"  {what}\n  hdr_len{where}"


def vnet_line(header: VnetHeader) -> str:
    """Return a vnet header in one line."""
    numbers = ("hdr_len", "gso_size", "csum_start", "csum_offset")
    rest = ", ".join(f"{name} {getattr(header, name)}" for name in numbers)
    return f"flags {flag_names(header.flags)}, type {type_name(header.gso_type)}, {rest}"


def vnet_words(frame: bytes) -> str:
    """Return the vnet header of a frame in one line, also of one that is cut off."""
    return _header_words(frame[:HEADER_SIZE])


@functools.lru_cache(maxsize=1 << 12)
def _header_words(header: bytes) -> str:
    if len(header) < HEADER_SIZE:
        return f"cut off in the vnet header ({header.hex() or 'nothing at all'})"
    return vnet_line(VnetHeader.parse(header, byte_order=ByteOrder.LITTLE))


def flag_names(flags: int) -> str:
    """Return the names of the bits of a vnet header's flags; those without a name as a number."""
    names = [name for bit, name in _FLAGS.items() if flags & bit]
    unknown = flags & ~sum(_FLAGS)
    return "|".join([*names, *([f"0x{unknown:02x}"] if unknown else [])]) or "0"


def type_name(gso_type: int) -> str:
    """Return the name of a vnet header's type, with the ECN qualifier."""
    base = gso_type & ~_ECN
    return _TYPES.get(base, f"0x{base:02x}") + ("|ECN" if gso_type & _ECN else "")


def header_rows(fields: object) -> Iterator[HeaderRow]:
    """Yield the fields that a vnet header has; `fields` has an attribute for each, which is None where it has not."""
    for field in VnetLayout.fields:
        value = getattr(fields, field.name)
        if value is not None:
            means = {"flags": flag_names, "gso_type": type_name}.get(field.name)
            said = value.hex() if isinstance(value, bytes) else str(value)
            meaning = means(value) if means and 0 <= value <= 0xFF else ""
            yield HeaderRow(field.name, field.offset, field.end, said, meaning)


def drawn_cut(packet: bytes, segments: Sequence[bytes], *, width: int = 78) -> str:
    """Return the drawing of a packet and of the segments it was cut into, at most `width` columns wide."""
    headers = header_length(packet)
    total = max(len(packet) - headers, 1)
    room = max(width - _HEAD - 12, 20)
    lines = [_bar("superpacket" if len(segments) > 1 else "packet", headers, len(packet) - headers, room)]
    if len(segments) > 1:
        lines.append(_ruler(segments, total, room))
    lines.append("")
    start = 0
    drawn = _drawn(len(segments))
    for index, segment in enumerate(segments):
        head = header_length(segment)
        size = len(segment) - head
        if index in drawn:
            begin, end = start * room // total, (start + size) * room // total
            lines.append(_bar(f"segment {index}", head, size, max(end - begin, 1), indent=begin))
        elif index - 1 in drawn:
            lines.append(f"{'…':>12} {len(segments) - len(drawn)} more")
        start += size
    return "\n".join(lines)


def changes(segments: Sequence[bytes]) -> list[Change]:
    """Return the fields that differ between segments, payload aside, in the order of the first segment's fields."""
    if not segments:
        return []
    first, *others = segments
    result = []
    for field in _fields(first):
        start, end = field.start, field.end
        if field.name == "payload" or [one[start:end] for one in others].count(first[start:end]) == len(others):
            continue
        values = tuple([_value(field, segment) for segment in segments])
        if len(set(values)) > 1:
            result.append(Change(field.name, values))
    return result


def packet_rows(packet: bytes) -> list[tuple[str, int, str]]:
    """Return name, offset and value of every field of a packet; of a payload how long it is."""
    return [
        (
            field.name,
            field.start,
            f"{field.end - field.start} bytes" if field.name in {"payload", "bytes"} else _value(field, packet),
        )
        for field in _fields(packet)
    ]


def shapes(packets: Sequence[bytes]) -> list[dict[int, bytes]]:
    """Return the packets by index, those with the same fields at the same places together."""
    found: dict[tuple[object, ...], dict[int, bytes]] = {}
    for index, packet in enumerate(packets):
        places = tuple((field.name, field.start) for field in _fields(packet) if field.name != "payload")
        found.setdefault(places, {})[index] = packet
    return list(found.values())


def summary(packet: bytes) -> str:
    """Return a packet in a few words: who speaks to whom, and where in the stream."""
    fields = {field.name: field for field in _fields(packet)}
    if "bytes" in fields:
        return "no IP packet" if packet else "empty"

    def said(name: str) -> str:
        return _value(fields[name], packet)

    version = "ipv4" if packet[0] >> 4 == 4 else "ipv6"
    layer = next((name for name in ("tcp", "udp") if f"{name}.source_port" in fields), None)
    if layer is None:
        place = said("ipv4.flags, fragment_offset").partition(", ")[2] if version == "ipv4" else "0"
        fragment = f", fragment at {place}" if place != "0" else ""
        return f"{version} protocol {said('ipv4.protocol' if version == 'ipv4' else 'ipv6.next_header')}{fragment}"
    words = f"{version} {layer} {said(f'{layer}.source_port')} > {said(f'{layer}.destination_port')}"
    if layer == "tcp":
        words += f", sequence {said('tcp.sequence')}, {said('tcp.flags')}"
    return words


def header_length(packet: bytes) -> int:
    """Return how many bytes of headers a packet has; all of them where there is no payload."""
    last = _fields(packet)[-1]
    return last.start if last.name == "payload" else len(packet)


def _fields(packet: bytes) -> Sequence[Field]:
    """Return the fields of a packet. Behind the IPv4 header of any fragment but the first there is payload only."""
    fields = packet_fields(packet)
    if fields[0].name.startswith("ipv4") and IPv4Layout.FRAGMENT_OFFSET.of(_number(packet[IPv4Layout.FRAGMENT.span])):
        header = [field for field in fields if field.name.startswith("ipv4")]
        return [*header, Field("payload", header[-1].end, len(packet))]
    return fields


def _value(field: Field, packet: bytes) -> str:
    """Return what a field says; of several in one the parts, in the order of its name."""
    data = packet[field.start : field.end]
    if field.end > len(packet) or field.name not in _PARTS:
        return field.value(packet)
    return _PARTS[field.name](data)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _set_bits(number: int, flags: Sequence[Bits]) -> str:
    return "|".join(flag.name for flag in flags if flag.of(number)) or "none"


@functools.cache
def _tcp_flags(flags: int) -> str:
    return _set_bits(flags, TcpLayout.FLAGS.bits)


def _numbers(field: WireField) -> Callable[[bytes], str]:
    return lambda data: ", ".join(str(bits.of(_number(data))) for bits in field.bits)


def _fragment(data: bytes) -> str:
    *flags, offset = IPv4Layout.FRAGMENT.bits
    return f"{_set_bits(_number(data), flags)}, {offset.of(_number(data)) * 8}"


def _ipv6_first(data: bytes) -> str:
    version, traffic_class, flow_label = (bits.of(_number(data)) for bits in IPv6Layout.FIRST.bits)
    return f"{version}, 0x{traffic_class:02x}, 0x{flow_label:05x}"


def _ipv6_address(data: bytes) -> str:
    return str(ipaddress.IPv6Address(data))


_PARTS: dict[str, Callable[[bytes], str]] = {
    "ipv4.version, IHL": _numbers(IPv4Layout.VERSION_IHL),
    "ipv4.DSCP, ECN": _numbers(IPv4Layout.DSCP_ECN),
    "ipv4.flags, fragment_offset": _fragment,
    "ipv6.version, traffic_class, flow_label": _ipv6_first,
    "ipv6.source": _ipv6_address,
    "ipv6.destination": _ipv6_address,
    "tcp.data_offset, reserved": _numbers(TcpLayout.DATA_OFFSET_RESERVED),
    "tcp.flags": lambda data: _tcp_flags(data[0]),
}


def _drawn(count: int) -> set[int]:
    if count <= _MOST:
        return set(range(count))
    return {*range(_MOST - 1), count - 1}


def _bar(label: str, headers: int, payload: int, room: int, *, indent: int = 0) -> str:
    head = f"[headers {headers}]".ljust(_HEAD - 4)
    text = f"{payload}" if room < len(f"{payload} bytes") + 2 else f"{payload} bytes"
    body = text.center(room, "▒") if payload and room >= len(text) else "▒" * room if payload else ""
    return f"{label:>12} {head}{' ' * indent}{body}"


def _ruler(segments: Sequence[bytes], total: int, room: int) -> str:
    marks = [" "] * (room + 1)
    start = 0
    for segment in segments:
        marks[min(start * room // total, room)] = "┬"
        start += len(segment) - header_length(segment)
    marks[room] = "┐"
    marks[0] = "┌"
    return " " * (_HEAD - 3 + 12) + "".join("─" if mark == " " else mark for mark in marks)[: room + 1]
