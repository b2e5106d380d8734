"""The picture of a cut: one bar for the superpacket, a ruler for its payload, one bar for each segment.

Everything is drawn from the bytes; lengths are to scale as far as the width allows. Plain text, so that it can be
printed, piped, and put into a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tio import VnetHeader
from tunproof.fields import Field, packet_fields, vnet_fields

__all__ = ["Change", "changes", "cut", "fields_of", "vnet_summary"]

_TYPES = {0: "NONE", 1: "TCPV4", 3: "UDP", 4: "TCPV6", 5: "UDP_L4"}
_FLAGS = {1: "NEEDS_CSUM", 2: "DATA_VALID", 4: "RSC_INFO"}
_TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_HEAD = 20  # columns for the headers, which are not to scale
_MOST = 12  # segments drawn; of more, the first ones and the last


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is not the same in all segments: its name, and what it says in each."""

    name: str
    values: tuple[str, ...]


def vnet_summary(header: VnetHeader) -> str:
    """Return a vnet header in two lines."""
    flags = [name for bit, name in _FLAGS.items() if header.flags & bit]
    unknown = header.flags & ~sum(_FLAGS)
    if unknown:
        flags.append(f"0x{unknown:02x}")
    kind = _TYPES.get(header.base_type, f"0x{header.base_type:02x}") + ("|ECN" if header.ecn else "")
    return (
        f"  flags {'|'.join(flags) or '0'}, type {kind}\n"
        f"  hdr_len {header.hdr_len}, gso_size {header.gso_size}, "
        f"csum_start {header.csum_start}, csum_offset {header.csum_offset}"
    )


def cut(packet: bytes, segments: Sequence[bytes], *, width: int = 78) -> str:
    """Return the drawing of a packet and of the segments it was cut into, at most `width` columns wide."""
    headers = _header_length(packet)
    total = max(len(packet) - headers, 1)
    room = max(width - _HEAD - 12, 20)
    lines = [_bar("superpacket" if len(segments) > 1 else "packet", headers, len(packet) - headers, room)]
    if len(segments) > 1:
        lines.append(_ruler(segments, total, room))
    lines.append("")
    start = 0
    drawn = _drawn(len(segments))
    for index, segment in enumerate(segments):
        head = _header_length(segment)
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
    named = [field for field in packet_fields(segments[0]) if field.name != "payload"]
    result = []
    for field in named:
        values = tuple(_value(field, segment) for segment in segments)
        if len(set(values)) > 1:
            result.append(Change(field.name, values))
    return result


def fields_of(frame: bytes) -> list[tuple[str, int, str]]:
    """Return name, offset and value of every field of a frame; offsets count as errors do (vnet and packet apart)."""
    packet = frame[10:]
    rows = [
        (field.name, field.start, str(int.from_bytes(frame[field.start : field.end], "little")))
        for field in vnet_fields()
    ]
    for field in packet_fields(packet):
        size = field.end - field.start
        rows.append((field.name, field.start, f"{size} bytes" if field.name == "payload" else _value(field, packet)))
    return rows


def _value(field: Field, packet: bytes) -> str:
    text = field.value(packet)
    if field.name == "tcp.flags" and field.end <= len(packet):
        bits = packet[field.start]
        names = [name for bit, name in enumerate(_TCP_FLAGS) if bits >> bit & 1]
        return "|".join(reversed(names)) or "none"
    return text


def _drawn(count: int) -> set[int]:
    if count <= _MOST:
        return set(range(count))
    return {*range(_MOST - 1), count - 1}


def _header_length(packet: bytes) -> int:
    fields = list(packet_fields(packet))
    return fields[-1].start if fields[-1].name == "payload" else len(packet)


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
        start += len(segment) - _header_length(segment)
    marks[room] = "┐"
    marks[0] = "┌"
    return " " * (_HEAD - 3 + 12) + "".join("─" if mark == " " else mark for mark in marks)[: room + 1]
