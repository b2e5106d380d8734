"""Bytes spelled as an author would write them: the builders' calls that give exactly these bytes, or hex.

    01011400 ... 4500 ...    ->    superpacket(ip4() / TCP(flags="PA"), payload(20), gso_size=8)

Scapy dissects, and every field whose default gives the same bytes is left out. What it cannot build again stays hex.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import groupby
from operator import truediv
from typing import Any

from scapy.error import Scapy_Exception
from scapy.fields import FlagValue
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from tio.virtio import HEADER_SIZE, VnetFlag
from tio.wire import VnetLayout
from tunproof.packets import builder
from tunproof.packets.builder import GsoPieces
from tunproof.packets.fields import field_at

__all__ = [
    "Spelled",
    "call",
    "hexed",
    "parenthesized",
    "quoted",
    "spell_frame",
    "spell_packet",
    "spell_pieces",
    "spell_value",
]

_VNET = VnetLayout.packer("little", HEADER_SIZE)
_VNET_FIELDS = tuple(field.name for field in VnetLayout.within(HEADER_SIZE))
_WIDTH = 100  # columns of a call; it may be indented by three levels
_HEX_WIDTH = 88  # digits on a line
_IN_HEX = {"chksum", "id"}  # fields that people read in hex
_LONGEST_BYTES = 20  # that are shown as a literal
_RUNS = 4  # runs of bytes that a remark names

# What scapy raises when it cannot dissect or build something depends on the field.
_SCAPY_FAILS = (Scapy_Exception, struct.error, ValueError, TypeError, KeyError, IndexError, AttributeError, OSError)


@dataclass(frozen=True, slots=True)
class Spelled:
    """An expression: its text, the names that it needs with their modules, and what scapy cannot say of it."""

    text: str
    names: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A header: who builds it, and what it is told. `maker` is a scapy class, `ip4` or `ip6`."""

    maker: Callable[..., Packet]
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Style:
    """A way to build what is wanted of headers, data and numbers: by a builder, which is told `fixed` in any case."""

    name: str
    make: Callable[..., object]
    numbers: dict[str, int] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()


def spell_frame(frame: bytes) -> Spelled:
    """Return how a frame is built: a vnet header of 10 bytes, little-endian, and a packet."""
    if len(frame) < HEADER_SIZE:
        return Spelled(hexed(frame), remark="shorter than a vnet header")
    numbers = dict(zip(_VNET_FIELDS, _VNET.unpack_from(frame), strict=True))
    packet = frame[HEADER_SIZE:]
    styles = [_Style("frame", _framed, numbers)]
    if numbers["gso_type"]:
        styles.insert(0, _Style("superpacket", builder.superpacket, numbers, fixed=("gso_size",)))
    elif numbers["flags"] & VnetFlag.NEEDS_CSUM:
        styles.insert(0, _Style("plain", builder.plain, numbers))
    found = _spelled(packet, frame, styles)
    if found is not None:
        return found
    given = [f"{name}={value}" for name, value in numbers.items() if value]
    return Spelled(call("frame", hexed(packet), *given), _named(builder.frame), _remark(packet))


def spell_packet(packet: bytes) -> Spelled:
    """Return how a complete packet is built."""
    found = _spelled(packet, packet, [_Style("whole", builder.whole)])
    return found or Spelled(hexed(packet), remark=_remark(packet))


def spell_pieces(pieces: GsoPieces) -> Spelled:
    """Return how the arguments of a `write_gso` are built."""
    data = b"".join(pieces.pays)
    style = _Style("pieces", lambda headers, _: builder.pieces(headers, list(pieces.pays)))
    found = _spelled(pieces.hdr + pieces.transport_hdr + data, pieces, [style], pays=pieces.pays)
    if found is not None:
        return found
    pays = parenthesized(list(map(_data, pieces.pays)))
    text = call("GsoPieces", hexed(pieces.hdr), hexed(pieces.transport_hdr), pays)
    patterned = [builder.payload] if "payload(" in text else []
    return Spelled(text, _named(GsoPieces, *patterned), _remark(pieces.hdr + pieces.transport_hdr))


def hexed(data: bytes) -> str:
    """Return bytes as hex, on as many lines as they need."""
    if not data:
        return 'b""'
    digits = quoted(data.hex())
    return f"bytes.fromhex{digits}" if "\n" in digits else f"bytes.fromhex({digits})"


def quoted(digits: str) -> str:
    """Return a string of hex digits as source, in parentheses where it needs several lines."""
    lines = [f'"{digits[at : at + _HEX_WIDTH]}"' for at in range(0, len(digits), _HEX_WIDTH)]
    return "(\n" + "".join(f"    {line}\n" for line in lines) + ")" if len(lines) > 1 else f'"{digits}"'


def parenthesized(items: Sequence[str]) -> str:
    """Return a tuple as source."""
    text = _enclosed("(", items, ")")
    return f"({items[0]},)" if len(items) == 1 and "\n" not in text else text


def call(name: str, *arguments: str) -> str:
    """Return a call on one line where it fits, else with one argument a line."""
    return _enclosed(f"{name}(", arguments, ")")


def spell_value(value: object, *, in_hex: bool = False) -> str:
    """Return a number, a string or a container of such as source, with double quotes."""
    match value:
        case list():
            return _enclosed("[", list(map(spell_value, value)), "]")
        case tuple():
            return parenthesized(list(map(spell_value, value)))
        case Packet():
            told = {name: one for name, one in value.fields.items() if one != value.default_fields.get(name)}
            return call(type(value).__name__, *_arguments(told))
        case int() if in_hex:
            return f"0x{value:04X}"
        case bytes() if len(value) > _LONGEST_BYTES:
            return hexed(value)
    text = repr(value)
    simple = isinstance(value, str | bytes) and '"' not in text
    return text.replace("'", '"') if simple else text


# From bytes to calls.


def _spelled(packet: bytes, wanted: object, styles: Sequence[_Style], pays: Sequence[bytes] = ()) -> Spelled | None:
    """Return the call with the most headers by name that gives what is wanted."""
    layers = _dissected(packet)
    for count in range(len(layers), 0, -1):
        headers = layers[:count]
        size = _size(headers)
        for style in styles if size is not None else ():
            data = packet[size:]
            if _gives(wanted, style, headers, data):
                return _written(*_shortest(wanted, style, headers, data), data, pays, _remark(packet))
    return None


def _dissected(packet: bytes) -> list[_Layer]:
    """Return the headers that scapy sees: IP, extension headers, TCP or UDP, every field told."""
    first, maker = {4: (IP, builder.ip4), 6: (IPv6, builder.ip6)}.get(packet[0] >> 4 if packet else 0, (None, None))
    if first is None or maker is None:
        return []
    try:
        layer = first(packet)
    except _SCAPY_FAILS:
        return []
    layers = [_Layer(maker, _told(layer))]
    while isinstance(layer := layer.payload, TCP | UDP) or type(layer).__name__.startswith("IPv6ExtHdr"):
        layers.append(_Layer(type(layer), _told(layer)))
    return layers


def _told(layer: Packet) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, FlagValue) else value for name, value in layer.fields.items()}


def _built(layers: Sequence[_Layer]) -> Packet:
    return reduce(truediv, (layer.maker(**layer.fields) for layer in layers))


def _size(layers: Sequence[_Layer]) -> int | None:
    try:
        return len(builder.packet_bytes(_built(layers)))
    except _SCAPY_FAILS:
        return None


def _gives(wanted: object, style: _Style, layers: Sequence[_Layer], data: bytes) -> bool:
    try:
        return style.make(_built(layers), data, **style.numbers) == wanted
    except _SCAPY_FAILS:
        return False


def _shortest(wanted: object, style: _Style, layers: Sequence[_Layer], data: bytes) -> tuple[_Style, Sequence[_Layer]]:
    """Leave out every field and number without which the same bytes come out."""
    for name in style.numbers:
        rest = {other: value for other, value in style.numbers.items() if other != name}
        less = _Style(style.name, style.make, rest, style.fixed)
        if name not in style.fixed and _gives(wanted, less, layers, data):
            style = less
    for at, layer in enumerate(layers):
        for name in layer.fields:
            for fields in _fewer(layers[at].fields, name):
                fewer = [*layers[:at], _Layer(layer.maker, fields), *layers[at + 1 :]]
                if _gives(wanted, style, fewer, data):
                    layers = fewer
                    break
    return style, layers


def _fewer(fields: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield fields without one, and with less of it where it is a list: the padding of options goes by itself."""
    yield {other: value for other, value in fields.items() if other != name}
    value = fields[name]
    if isinstance(value, list):
        yield from (fields | {name: value[:length]} for length in range(len(value)))


def _written(style: _Style, layers: Sequence[_Layer], data: bytes, pays: Sequence[bytes], remark: str) -> Spelled:
    parts = [call(layer.maker.__name__, *_arguments(layer.fields)) for layer in layers]
    headers = " / ".join(parts)
    if len(headers) > _WIDTH or "\n" in headers:
        headers = "\n/ ".join(parts)
    numbers = [f"{name}={value}" for name, value in style.numbers.items()]
    content = _enclosed("[", list(map(_data, pays)), "]") if pays else _data(data)
    inside = [headers] if not data and style.name in {"whole", "frame"} else [headers, content]
    if style.name == "frame":
        text = call("frame", call("whole", *inside), *numbers)
    else:
        text = call(style.name, *inside, *numbers)
    makers = [layer.maker for layer in layers]
    options = [type(value) for layer in layers for value in _packets_in(layer.fields.values())]
    tools = [getattr(builder, name) for name in ("frame", "payload", "pieces", "plain", "superpacket", "whole")]
    used = [tool for tool in tools if f"{tool.__name__}(" in text]
    return Spelled(text, _named(*makers, *options, *used), remark)


def _arguments(fields: Mapping[str, Any]) -> Iterator[str]:
    return (f"{name}={spell_value(value, in_hex=name in _IN_HEX)}" for name, value in fields.items())


def _packets_in(values: Iterable[Any]) -> Iterator[Packet]:
    """Yield the packets among values, in lists of them and in each other: options are packets to scapy."""
    for value in values:
        if isinstance(value, Packet):
            yield value
            yield from _packets_in(value.fields.values())
        elif isinstance(value, list):
            yield from _packets_in(value)


def _enclosed(begin: str, items: Sequence[str], end: str) -> str:
    line = f"{begin}{', '.join(items)}{end}"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    return f"{begin}\n" + "".join(f"{_indented(item)},\n" for item in items) + end


def _data(data: bytes) -> str:
    """Return payload: as the builders' pattern where it is one."""
    if data and len(data) > 1 and data == builder.payload(len(data), seed=data[0]):
        return f"payload({len(data)})" if data[0] == 0 else f"payload({len(data)}, seed={data[0]})"
    if len(data) > 4 and len(set(data)) == 1:
        return f"bytes({len(data)})" if data[0] == 0 else f'b"\\x{data[0]:02x}" * {len(data)}'
    return hexed(data)


def _framed(headers: Packet, data: bytes, **numbers: int) -> bytes:
    return builder.frame(builder.whole(headers, data), **numbers)


def _named(*things: Callable[..., object]) -> dict[str, str]:
    """Return the names of things, each with the module that it is imported from."""
    return {thing.__name__: thing.__module__ for thing in things}


def _indented(text: str) -> str:
    return "".join(f"    {line}" for line in text.splitlines(keepends=True))


# What scapy cannot say.


def _remark(packet: bytes) -> str:
    """Return which bytes scapy writes otherwise than they stand here, by the names of their fields."""
    layers = _dissected(packet)
    size = _size(layers) if layers else None
    if size is None:
        return "scapy cannot say any of it"
    attempt = builder.packet_bytes(_built(layers)) + packet[size:]
    wrong = [at for at in range(len(packet)) if attempt[at : at + 1] != packet[at : at + 1]]
    if not wrong:
        return ""
    runs = [[at for _, at in run] for _, run in groupby(enumerate(wrong), lambda one: one[1] - one[0])]
    places = [f"{run[0]} to {run[-1]} ({field_at(packet, run[0]).name})" for run in runs[:_RUNS]]
    more = f" and {len(runs) - _RUNS} more places" if len(runs) > _RUNS else ""
    return f"scapy cannot say bytes {', '.join(places)}{more}"
