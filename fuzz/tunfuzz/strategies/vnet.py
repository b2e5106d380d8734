"""Strategies for vnet headers: right for some packet, right but for one field, or any numbers."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tio import ByteOrder, VnetHeader
from tio.virtio import HEADER_SIZES
from tio.wire import VnetLayout
from tunfuzz.values import Framed, VnetBytes

__all__ = ["in_any_layout", "vnet_bytes", "vnet_headers"]

_REST = VnetLayout.REST.width
_BYTE = st.integers(0, 0xFF)
_WORD = st.integers(0, 0xFFFF)

# One for each packet that a vnet header can describe: a reader and a writer meet these every day.
_RIGHT = (
    VnetHeader(),
    VnetHeader(flags=1, csum_start=20, csum_offset=16),
    VnetHeader(flags=1, csum_start=40, csum_offset=6),
    VnetHeader(flags=2),
    VnetHeader(flags=1, gso_type=1, hdr_len=40, gso_size=8, csum_start=20, csum_offset=16),
    VnetHeader(flags=1, gso_type=4, hdr_len=60, gso_size=1448, csum_start=40, csum_offset=16),
    VnetHeader(flags=1, gso_type=5, hdr_len=28, gso_size=8, csum_start=20, csum_offset=6),
    VnetHeader(flags=1, gso_type=0x81, hdr_len=40, gso_size=8, csum_start=20, csum_offset=16),
    VnetHeader(flags=1, gso_type=3, hdr_len=28, gso_size=8, csum_start=20, csum_offset=6),
)

# Unknown flags: 8 came with UDP tunnels, the higher ones mean nothing yet. Unknown types: 2 and 6 have no name, the ECN
# bit needs TCP, 0x20 and 0x40 (UDP tunnel over IPv4, over IPv6) need a type for what is inside and 24 bytes of header.
_FLAGS = st.one_of(st.sampled_from((0, 1, 2, 3, 4, 8, 9, 0x11, 0xFE)), _BYTE)
_TYPES = st.one_of(
    st.sampled_from((0, 1, 4, 5, 3, 0x81, 0x84, 0x80, 0x85, 0x83, 2, 6, 0x21, 0x44, 0x25, 0x61, 0x20, 0x23)), _BYTE
)
# Ends of ranges: of the fixed headers, of what 16 bits hold, and GSO_BY_FRAGS.
_LENGTHS = st.one_of(st.sampled_from((0, 40, 60, 28, 48, 0xFFFF)), _WORD)
_GSO_SIZES = st.one_of(st.sampled_from((0, 8, 1, 7, 1448, 0xFFFE, 0xFFFF)), _WORD)
_STARTS = st.one_of(st.sampled_from((0, 20, 40, 19, 21, 39, 48)), _WORD)
_OFFSETS = st.one_of(st.sampled_from((0, 16, 6, 2)), _WORD)
# csum_start + csum_offset + 2 is taken modulo 65536 in one place of the kernel and not in another.
_WRAPS = st.sampled_from(((0xFFF0, 0x10), (0xFFEE, 0x10), (0xFFFE, 0), (0x14, 0xFFEC), (0xFFFF, 0xFFFF)))

_FIELDS = {
    "flags": _FLAGS,
    "gso_type": _TYPES,
    "hdr_len": _LENGTHS,
    "gso_size": _GSO_SIZES,
    "csum_start": _STARTS,
    "csum_offset": _OFFSETS,
}


def _changed(header: VnetHeader, change: tuple[str, int]) -> VnetHeader:
    return header.with_(**{change[0]: change[1]})


_CHANGES = st.sampled_from(tuple(_FIELDS)).flatmap(lambda name: st.tuples(st.just(name), _FIELDS[name]))
_ONE_FIELD_OFF = st.builds(_changed, st.sampled_from(_RIGHT), _CHANGES)
_WRAPPED = st.builds(
    lambda header, pair: header.with_(flags=1, csum_start=pair[0], csum_offset=pair[1]),
    st.sampled_from(_RIGHT),
    _WRAPS,
)
_ANY = st.tuples(*_FIELDS.values()).map(lambda values: VnetHeader(*values))
_SHORT = st.one_of(st.sampled_from(_RIGHT), _ONE_FIELD_OFF, _ANY, _WRAPPED)
_LONG = st.builds(
    lambda header, buffers, rest: header._replace(num_buffers=buffers, rest=rest),
    _SHORT,
    st.one_of(st.sampled_from((0, 1)), _WORD),
    st.one_of(st.just(bytes(_REST)), st.binary(min_size=_REST, max_size=_REST)),
)


def vnet_headers(*, tail: bool = False) -> SearchStrategy[VnetHeader]:
    """Draw a vnet header that may stand before anything.

    That is: one that is right for some packet, one with one field changed, unknown flags and types, sums of csum_start
    and csum_offset that wrap, or any numbers. `tail` fills the fields behind the tenth byte, too.
    """
    return _LONG if tail else _SHORT


def layouts() -> SearchStrategy[tuple[int, ByteOrder]]:
    """Draw a size and a byte order; shrinks to 10 bytes in the host's order."""
    orders = sorted(ByteOrder, key=lambda order: order != ByteOrder.HOST)
    return st.tuples(st.sampled_from(HEADER_SIZES), st.sampled_from(orders))


def vnet_bytes() -> SearchStrategy[VnetBytes]:
    """Draw what a reader takes for a vnet header, in each size and byte order: all of it, cut short, or with more."""

    def build(header: VnetHeader, layout: tuple[int, ByteOrder], length: int | None) -> VnetBytes:
        size, order = layout
        whole = header.emit(size=size, byte_order=order)
        return VnetBytes(whole if length is None else (whole + bytes(8))[:length], size, order)

    lengths = st.one_of(st.none(), st.integers(0, 32))
    return st.builds(build, vnet_headers(tail=True), layouts(), lengths)


def in_any_layout(framed: SearchStrategy[Framed]) -> SearchStrategy[Framed]:
    """Draw the same frames as devices with longer headers, or of the other byte order, have them."""
    return st.builds(lambda framed, layout: Framed(framed.header, framed.packet, *layout), framed, layouts())
