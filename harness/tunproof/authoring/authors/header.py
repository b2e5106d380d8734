"""The vnet header by itself: fields from bytes, bytes from fields, in every size and byte order."""

from dataclasses import dataclass
from typing import Any, Literal

from scapy.layers.inet import TCP

from tunproof.authoring.draft import Topic, uapi, virtio
from tunproof.corpus.cases import EmitInput, ParseInput, VnetFields
from tunproof.packets.builder import ip4, payload, superpacket

_SPEC = (virtio("5.1.6"), uapi("include/uapi/linux/virtio_net.h", "struct virtio_net_hdr"))
parse = Topic("header", "parse", requires=("header.parse",), basis=_SPEC)
emit = Topic("header", "emit", requires=("header.emit",), basis=_SPEC)
TOPICS = (parse, emit)

_HEX = "01840a0b0c0d0e0f1011"
_NUMBERS = {
    "flags": 0x01,
    "gso_type": 0x84,
    "hdr_len": 0x0B0A,
    "gso_size": 0x0D0C,
    "csum_start": 0x0F0E,
    "csum_offset": 0x1110,
}
_BUFFERS = 0x1312
_REST = bytes(range(0x14, 0x20))
_WIDTHS = {"flags": 1, "gso_type": 1, "hdr_len": 2, "gso_size": 2, "csum_start": 2, "csum_offset": 2}


@dataclass(frozen=True, slots=True)
class _Layout:
    """A size and a byte order of the header."""

    size: int
    byte_order: Literal["little", "big"]

    @property
    def name(self) -> str:
        return f"{self.size}-bytes-{self.byte_order}-endian"

    @property
    def requires(self) -> tuple[str, ...]:
        size = {10: (), 12: ("header.12",), 24: ("header.24",)}[self.size]
        return (*size, "header.big-endian") if self.byte_order == "big" else size

    @property
    def flags(self) -> tuple[str, ...]:
        order = ("VnetByteOrder",)
        return (*order, "VnetSize") if self.size > 10 else order

    def fields(self, number: int | None = None) -> VnetFields:
        """Return fields that are all different, or all filled with `number`."""
        values: dict[str, Any] = dict(_NUMBERS)
        if number is not None:
            values = {name: number & ((1 << 8 * width) - 1) for name, width in _WIDTHS.items()}
        if self.size >= 12:
            values["num_buffers"] = _BUFFERS if number is None else number
        if self.size >= 24:
            values["rest"] = _REST if number is None else b"\xff" * 12
        return VnetFields(**values)

    def packed(self) -> bytes:
        """Return the bytes of the different fields."""
        numbers = [*_NUMBERS.values(), _BUFFERS]
        widths = [*_WIDTHS.values(), 2]
        data = (
            b"".join(value.to_bytes(width, self.byte_order) for value, width in zip(numbers, widths, strict=True))
            + _REST
        )
        return data[: self.size]


_LAYOUTS = [_Layout(size, order) for size in (10, 12, 24) for order in ("little", "big")]

_offset = 0
for _field, _width in _WIDTHS.items():
    _number = int.from_bytes(bytes(range(0xA1 + 2 * _offset, 0xA1 + 2 * _offset + _width)), "little")
    _bytes = bytes(_offset) + _number.to_bytes(_width, "little") + bytes(10 - _offset - _width)
    _zeros: dict[str, Any] = dict.fromkeys(_WIDTHS, 0)
    _name = _field.replace("_", "-")
    _bytes_wide = "one byte" if _width == 1 else f"{_width} bytes"
    parse.add(
        f"{_name}-alone",
        f"Only {_field} is set ({_bytes_wide} at offset {_offset}): no other field may pick it up.",
        ParseInput(bytes=_bytes),
        flags=("VnetLayout",),
    )
    emit.add(
        f"{_name}-alone",
        f"Only {_field} is set: it is written as {_bytes_wide} at offset {_offset}, and nowhere else.",
        EmitInput(fields=VnetFields(**(_zeros | {_field: _number}))),
        flags=("VnetLayout",),
    )
    _offset += _width

for _layout in _LAYOUTS:
    _common: dict[str, Any] = {"flags": _layout.flags, "requires": _layout.requires}
    _given: dict[str, Any] = {"size": _layout.size, "byte_order": _layout.byte_order}
    parse.add(
        f"distinct-{_layout.name}",
        "No two bytes are equal, so swapped fields and swapped bytes show.",
        ParseInput(bytes=_layout.packed(), **_given),
        **_common,
    )
    emit.add(
        f"distinct-{_layout.name}",
        "No two bytes are equal, so swapped fields and swapped bytes show.",
        EmitInput(fields=_layout.fields(), **_given),
        **_common,
    )

for _size in (10, 24):
    _layout = _Layout(_size, "little")
    parse.add(
        f"all-ones-{_size}-bytes",
        "Every bit is set: fields are unsigned, and no bit is masked.",
        ParseInput(bytes=b"\xff" * _size, size=_size),
        flags=("VnetUnknownBits",),
        requires=_layout.requires,
    )
    emit.add(
        f"all-ones-{_size}-bytes",
        "Every field has its largest value.",
        EmitInput(fields=_layout.fields(0xFFFF), size=_size),
        flags=("VnetUnknownBits",),
        requires=_layout.requires,
    )

parse.add("zeros", "The header of a plain packet: all zeros.", ParseInput(bytes=bytes(10)), flags=("Basic",))
emit.add("zeros", "The header of a plain packet: all zeros.", EmitInput(fields=VnetFields(**_zeros)), flags=("Basic",))

for _name, _flags, _type in (
    ("flags", 0xF8, 0),
    ("gso-type", 1, 0x7A),
    ("accecn", 1, 0x91),
    ("tunnel-types", 1, 0x61),
):
    _about = "Bits that are not defined here are preserved: interpreting them is left to a later step."
    parse.add(
        f"unknown-{_name}",
        _about,
        ParseInput(bytes=bytes((_flags, _type, *range(8)))),
        flags=("VnetUnknownBits",),
    )
    emit.add(
        f"unknown-{_name}",
        _about,
        EmitInput(fields=VnetFields(**(_zeros | {"flags": _flags, "gso_type": _type}))),
        flags=("VnetUnknownBits",),
    )

parse.add(
    "packet-behind-it",
    "What follows the header is the packet, not part of any field.",
    ParseInput(bytes=superpacket(ip4() / TCP(flags="A"), payload(24), gso_size=8)),
    flags=("VnetSize",),
)
parse.add(
    "size-10-of-24-bytes",
    "A device with 10-byte headers: the bytes after them are not num_buffers.",
    ParseInput(bytes=_Layout(24, "little").packed()),
    flags=("VnetSize",),
)
parse.add(
    "size-12-of-24-bytes",
    "A device with 12-byte headers: the bytes after them are the packet.",
    ParseInput(bytes=_Layout(24, "little").packed(), size=12),
    flags=("VnetSize",),
    requires=("header.12",),
)

for _size in (10, 12, 24):
    _layout = _Layout(_size, "little")
    parse.add(
        f"one-byte-short-of-{_size}",
        "The header is one byte short: it must not be completed from other memory.",
        ParseInput(bytes=_layout.packed()[:-1], size=_size),
        flags=("Truncated",),
        requires=_layout.requires,
        sibling=f"distinct-{_layout.name}",
    )
parse.add(
    "no-bytes",
    "There are no bytes to parse: that is an error, not a header of zeros.",
    ParseInput(bytes=b""),
    flags=("Truncated",),
    sibling="distinct-10-bytes-little-endian",
)
for _size in (0, 9, 11, 20):
    parse.add(
        f"size-{_size}",
        "No device has headers of this size: the call should be rejected.",
        ParseInput(bytes=_Layout(24, "little").packed(), size=_size),
        flags=("VnetSize",),
        level="should",
        sibling="size-10-of-24-bytes",
    )
emit.add(
    "size-11",
    "No device has headers of this size: the call should be rejected.",
    EmitInput(fields=VnetFields(**_zeros), size=11),
    flags=("VnetSize",),
    level="should",
    sibling="zeros",
)

for _field, _width in (*_WIDTHS.items(), ("num_buffers", 2)):
    _size = 12 if _field == "num_buffers" else 10
    emit.add(
        f"{_field.replace('_', '-')}-too-large",
        f"One more than the {8 * _width} bits of {_field} hold: truncated, it would be written as 0.",
        EmitInput(fields=VnetFields(**(_zeros | {_field: 1 << 8 * _width})), size=_size),
        flags=("NarrowingCast",),
        requires=("header.any-integer", *_Layout(_size, "little").requires),
        sibling="zeros",
    )
for _field in ("gso_type", "csum_start"):
    emit.add(
        f"{_field.replace('_', '-')}-negative",
        "A negative number: truncated, it would be written as all ones.",
        EmitInput(fields=VnetFields(**(_zeros | {_field: -1}))),
        flags=("NarrowingCast",),
        requires=("header.any-integer",),
        sibling="zeros",
    )

for _size in (11, 13):
    emit.add(
        f"rest-of-{_size}-bytes",
        "A 24-byte header has 12 bytes after num_buffers: a rest of any other length would shift the packet.",
        EmitInput(fields=VnetFields(**(_zeros | {"num_buffers": 0, "rest": b"\xa5" * _size})), size=24),
        flags=("VnetSize", "NarrowingCast"),
        requires=("header.any-integer", "header.24"),
        sibling="distinct-24-bytes-little-endian",
    )
emit.add(
    "num-buffers-left-out",
    "A 12-byte header made from fields without num_buffers: its two bytes are still written, as 0.",
    EmitInput(fields=VnetFields(**(_zeros | _NUMBERS)), size=12),
    flags=("VnetSize", "VnetLayout"),
    requires=("header.12",),
)
