"""Strategies for packets and frames that nobody vouches for: right, nearly right, or thrown at the door."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tio.wire import IPv6Layout, TcpLayout
from tunfuzz.build import TCP, UDP, assemble, with_length
from tunfuzz.strategies.headers import ip_headers, transport_headers
from tunfuzz.strategies.oddities import (
    hostile_packets,
    jumbo_frames,
    other_frames,
    other_packets,
    runts,
    ufo_frames,
)
from tunfuzz.strategies.superpackets import canonical_superpackets, fillers, partial_packets
from tunfuzz.strategies.vnet import vnet_headers
from tunfuzz.values import Framed

__all__ = ["CHANGES", "change", "frames", "packets"]

_SIZES = st.sampled_from((40, 40, 40, 40, 3000, 20000)).flatmap(lambda most: st.integers(0, most))


@st.composite
def _valid(draw: st.DrawFn, *, fragments: bool) -> bytes:
    """Draw a packet with right lengths and sums: TCP or UDP, or a protocol that the reference does not read."""
    number = draw(st.sampled_from((TCP, UDP, TCP, UDP, 1, 58, 50)))
    stem = draw(ip_headers(number, fragments=fragments))
    payload = draw(fillers(draw(_SIZES)))
    if number not in {TCP, UDP}:
        return with_length(stem, len(stem) + len(payload)) + payload
    return assemble(stem, draw(transport_headers(number)), payload)


# One change to some bytes: what to do, where (mostly in the headers), and with which number.
_WHERE = st.one_of(st.sampled_from(range(64)), st.integers(0, 0xFFFF))
CHANGES = st.tuples(st.sampled_from(("put", "cut", "append", "insert", "add")), _WHERE, st.integers(0, 0xFF))


def change(data: bytes, what: str, where: int, number: int) -> bytes:
    """Return `data` with one change of `CHANGES`."""
    at = where % (len(data) or 1)
    if what == "cut":
        return data[:at]
    if what == "append":
        return data + bytes((number,)) * (where % 64 + 1)
    if what == "insert":
        return data[:at] + bytes((number,)) + data[at:]
    value = (data[at] + number) & 0xFF if what == "add" and data else number
    return data[:at] + bytes((value,)) + data[at + 1 :]


def _changed(valid: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    """Bytes that were right once: one to three changes, most of them in the first 60 bytes."""

    def apply(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
        for each in changes:
            data = change(data, *each)
        return data

    return st.builds(apply, valid, st.lists(CHANGES, min_size=1, max_size=3))


def _misfit(framed: Framed, what: str, number: int) -> Framed:
    """Return a frame with one small number that contradicts the rest: mostly how long a header is, by its own word."""
    packet, start = framed.packet, framed.header.csum_start
    if what in {"gso_size", "csum_start"}:
        return Framed(framed.header.with_(**{what: number}), packet)
    if what == "data offset" and framed.header.csum_offset == TcpLayout.CHECKSUM.offset:
        at = start + TcpLayout.DATA_OFFSET_RESERVED.offset
        packet = packet[:at] + bytes((number << 4,)) + packet[at + 1 :]
    elif what == "cut":
        packet = packet[: start + number]
    elif packet[0] >> 4 == 4:
        return Framed(framed.header, bytes((0x40 | number,)) + packet[1:])
    elif start > IPv6Layout.size:
        at = IPv6Layout.size + 1
        packet = packet[:at] + bytes((number,)) + packet[at + 1 :]
    return Framed(framed.header, with_length(packet[:start], len(packet)) + packet[start:])


def _misfits() -> SearchStrategy[Framed]:
    whole = st.one_of(canonical_superpackets(max_segments=6), partial_packets())
    kinds = st.sampled_from(("data offset", "cut", "header length", "gso_size", "csum_start"))
    return st.builds(_misfit, whole, kinds, st.integers(0, 15))


# Random bytes seldom begin like a packet, so help them over the first test.
_JUNK = st.one_of(
    st.binary(max_size=120),
    st.builds(
        lambda first, rest: bytes((first,)) + rest, st.sampled_from((0x45, 0x60, 0x4F, 0x40)), st.binary(max_size=120)
    ),
)


def packets(*, fragments: bool = True) -> SearchStrategy[bytes]:
    """Draw any bytes in a packet's place, empty ones included.

    That is: valid packets (with fragments, unless told otherwise), packets with one to three changes (a byte, a cut, an
    insertion), packets whose headers claim a wrong length for themselves, random bytes, and
    packets of other protocols or with options and extension headers of any kind.
    """
    valid = _valid(fragments=fragments)
    misfits = _misfits().map(lambda framed: framed.packet)
    return st.one_of(valid, _changed(valid), misfits, _JUNK, hostile_packets(), other_packets())


def frames() -> SearchStrategy[bytes]:
    """Draw any bytes in a frame's place.

    That is: legal frames of few segments, frames with one to three changes, frames with one field that
    contradicts the others, the header of one thing before a packet of another, UFO, other protocols, frames over 65535
    bytes or too short for what they announce, and random bytes.
    """
    legal = st.one_of(canonical_superpackets(max_segments=6), partial_packets()).map(Framed.frame)
    mixed = st.builds(lambda header, packet: Framed(header, packet).frame(), vnet_headers(), packets())
    odd = st.one_of(ufo_frames(), other_frames(), ufo_frames(), other_frames(), jumbo_frames()).map(Framed.frame)
    return st.one_of(legal, _changed(legal), _misfits().map(Framed.frame), mixed, st.binary(max_size=120), odd, runts())
