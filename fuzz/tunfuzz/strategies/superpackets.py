"""Strategies for frames that every correct kernel and implementation must treat the same way."""

import enum
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tio import VnetHeader
from tio.checksum import checksum, pseudo_header_sum
from tio.virtio import GsoType, VnetFlag
from tio.wire import IPv4Layout, IPv6Layout, TcpFlag, TcpLayout, UdpLayout
from tunfuzz.build import (
    MAX_PACKET,
    TCP,
    UDP,
    add_to_word,
    addresses,
    assemble,
    checksum_offset,
    filler,
    protocol_of,
)
from tunfuzz.strategies.headers import ip_headers, transport_headers
from tunfuzz.values import Framed

__all__ = ["canonical_superpackets", "fillers", "partial_packets"]

_NEEDS_CSUM = int(VnetFlag.NEEDS_CSUM)
_ECN = int(GsoType.ECN)
_FLAGS = TcpLayout.FLAGS.offset
_LEAST_GSO_SIZE = 8
_MOST_UDP_SEGMENTS = 128

_SEEDS = st.one_of(st.sampled_from((0, 1)), st.integers(0, 0xFFFF))


class _Scale(NamedTuple):
    """How many segments at most, and whether they are to fill 65535 bytes."""

    segments: int
    to_the_brim: bool = False


class _Sizes(NamedTuple):
    """The largest gso_size, and whether the last segment is as long as the others."""

    gso_size_at_most: int
    last_is_full: bool


class _Corner(enum.IntEnum):
    """A sum that is to come out as one of the two zeros, which chance does once in 65535 times."""

    NONE = 0
    ZERO_CHECKSUM = 1  # of the first segment
    ONES_PARTIAL = 2


# Mostly a handful of segments, sometimes hundreds, now and then all that 65535 bytes can be cut into.
_SCALES = st.sampled_from(
    (_Scale(5),) * 22
    + (_Scale(40),) * 14
    + (_Scale(300),) * 5
    + (_Scale(1021),)
    + tuple(_Scale(segments, to_the_brim=True) for segments in (5, 40, 1021, 9000))
)
_PACKET_SIZES = st.sampled_from(((40, False), (40, False), (1460, False), (MAX_PACKET, False), (40, True)))
_SIZES = st.sampled_from([_Sizes(most, full) for full in (False, False, True) for most in (40, 40, 2000, MAX_PACKET)])
_CORNERS = st.sampled_from((_Corner.NONE,) * 6 + (_Corner.ZERO_CHECKSUM, _Corner.ONES_PARTIAL))


def fillers(length: int) -> SearchStrategy[bytes]:
    """Draw a payload of so many bytes (`build.filler`); shrinks to zeros."""
    return _SEEDS.map(lambda seed: filler(length, seed))


@st.composite
def _shapes(draw: st.DrawFn, room: int, most: int) -> tuple[int, int]:
    """Draw gso_size and bytes of payload, at most `room` bytes and `most` segments."""
    scale, sizes = draw(_SCALES), draw(_SIZES)
    most = min(scale.segments, most)
    gso_size = draw(st.integers(_LEAST_GSO_SIZE, min(sizes.gso_size_at_most, room - 1)))
    count = draw(st.integers(2, min(most, -(-room // gso_size))))
    before = (count - 1) * gso_size
    longest = min(gso_size, room - before)
    last = draw(st.integers(1, longest))
    # Drawn in any case: hypothesis prefers values with fewer draws, and would end at 65535 bytes instead of at 9.
    if scale.to_the_brim:
        return max(gso_size, -(-room // most)), room
    return gso_size, before + (longest if sizes.last_is_full else last)


@st.composite
def _canonical(  # noqa: PLR0913 - one argument each for what a user may want to pin down
    draw: st.DrawFn,
    version: int | None,
    protocol: int | None,
    *,
    ipv4_options: bool,
    max_segments: int | None,
    stream: bool,
    hints: bool,
) -> Framed:
    number = protocol or draw(st.sampled_from((TCP, UDP)))
    stem = draw(ip_headers(number, version=version, options=ipv4_options))
    transport = draw(transport_headers(number, stream=stream))
    most = MAX_PACKET if number == TCP else _MOST_UDP_SEGMENTS
    room = MAX_PACKET - len(stem) - len(transport)
    gso_size, size = draw(_shapes(room, min(most, max_segments or most)))
    payload = draw(fillers(size))
    stem, payload = _with_corner(draw(_CORNERS), stem, transport, payload, gso_size)
    header = VnetHeader(
        flags=_NEEDS_CSUM,
        gso_type=_type_of(stem, transport),
        hdr_len=len(stem) + len(transport),
        gso_size=gso_size,
        csum_start=len(stem),
        csum_offset=checksum_offset(transport),
    )
    packet = assemble(stem, transport, payload, partial=True)
    return Framed(draw(_hinted(header, packet, number)) if hints else header, packet)


def canonical_superpackets(  # noqa: PLR0913 - see `_canonical`
    *,
    version: int | None = None,
    protocol: int | None = None,
    ipv4_options: bool = True,
    max_segments: int | None = None,
    stream: bool = False,
    hints: bool = False,
) -> SearchStrategy[Framed]:
    """Draw a canonical superpacket: one that every correct kernel and implementation cuts the same way.

    Payload > `gso_size` >= 8, right lengths, right partial, `csum_start` at the transport header, at most 65535 bytes
    and, for UDP, 128 segments; no fragment, no AH. The vnet header is the one `check_geometry` would make.

    `version` 4 or 6 and `protocol` 6 or 17 pin those down. `ipv4_options=False` leaves IPv4 options out,
    `max_segments` (at least 2) bounds the segments, `stream` leaves out SYN, RST and URG. `hints` lets everything vary
    that a cutter must not look at: `hdr_len` from 0 to the whole packet, the ECN bit of TCP, the other flag bits.
    """
    return _canonical(
        version, protocol, ipv4_options=ipv4_options, max_segments=max_segments, stream=stream, hints=hints
    )


def _type_of(stem: bytes, transport: bytes) -> int:
    if protocol_of(transport) == UDP:
        return int(GsoType.UDP_L4)
    kind = int(GsoType.TCPV4 if stem[0] >> 4 == 4 else GsoType.TCPV6)
    return kind | _ECN if transport[_FLAGS] & TcpFlag.CWR else kind


@st.composite
def _hinted(draw: st.DrawFn, header: VnetHeader, packet: bytes, protocol: int) -> VnetHeader:
    other_flags = draw(st.sampled_from((0, 2, 4, 0xFE)))
    length = draw(st.one_of(st.just(header.hdr_len), st.just(0), st.integers(0, len(packet))))
    ecn = draw(st.sampled_from((0, _ECN))) if protocol == TCP and header.gso_type else 0
    return header.with_(flags=_NEEDS_CSUM | other_flags, hdr_len=length, gso_type=header.gso_type & ~_ECN | ecn)


def _with_corner(corner: _Corner, stem: bytes, transport: bytes, payload: bytes, gso_size: int) -> tuple[bytes, bytes]:
    """Bend the packet to the corner: a word of the payload, or of the destination."""
    if corner == _Corner.ZERO_CHECKSUM and len(payload) >= 2:
        return stem, add_to_word(
            payload, 0, _first_checksum(stem, transport, payload[:gso_size], gso_size < len(payload))
        )
    if corner == _Corner.ONES_PARTIAL:
        partial = pseudo_header_sum(addresses(stem), protocol_of(transport), len(transport) + len(payload))
        destination = IPv4Layout.DESTINATION if stem[0] >> 4 == 4 else IPv6Layout.DESTINATION
        return add_to_word(stem, destination.end - 2, 0xFFFF - partial), payload
    return stem, payload


def _first_checksum(stem: bytes, transport: bytes, payload: bytes, more: bool) -> int:
    """Return the checksum that the first segment would have, or the only packet if no `more` follow."""
    head = bytearray(transport)
    if protocol_of(transport) == UDP:
        head[UdpLayout.LENGTH.span] = (UdpLayout.size + len(payload)).to_bytes(2, "big")
    elif more:
        head[_FLAGS] &= ~(TcpFlag.FIN | TcpFlag.PSH)  # which stand on the last segment only
    length = len(head) + len(payload)
    return 0xFFFF - checksum(bytes(head) + payload, pseudo_header_sum(addresses(stem), protocol_of(transport), length))


@st.composite
def _partial(  # noqa: PLR0913 - see `_canonical`
    draw: st.DrawFn, version: int | None, protocol: int | None, *, hints: bool, typed: bool, least: int
) -> Framed:
    number = protocol or draw(st.sampled_from((TCP, UDP)))
    stem = draw(ip_headers(number, version=version))
    transport = draw(transport_headers(number))
    room = MAX_PACKET - len(stem) - len(transport)
    most, to_the_brim = draw(_PACKET_SIZES)
    size = draw(st.integers(least, min(most, room)))
    size = room if to_the_brim else size
    payload = draw(fillers(size))
    stem, payload = _with_corner(draw(_CORNERS), stem, transport, payload, max(size, 1))
    header = VnetHeader(flags=_NEEDS_CSUM, csum_start=len(stem), csum_offset=checksum_offset(transport))
    needed = len(payload) + max(len(transport) - TcpLayout.size, 0)
    if typed and needed < MAX_PACKET:
        gso_size = draw(st.integers(max(needed, _LEAST_GSO_SIZE), MAX_PACKET - 1))
        header = header.with_(gso_type=_type_of(stem, transport), hdr_len=len(stem) + len(transport), gso_size=gso_size)
    packet = assemble(stem, transport, payload, partial=True)
    return Framed(draw(_hinted(header, packet, number)) if hints else header, packet)


def partial_packets(
    *,
    version: int | None = None,
    protocol: int | None = None,
    hints: bool = False,
    typed: bool = False,
    least: int = 0,
) -> SearchStrategy[Framed]:
    """Draw one TCP or UDP packet of up to 65535 bytes with a right partial: `GSO_NONE` with `NEEDS_CSUM`, `gso_size` 0.

    `csum_start` is at the transport header. `typed` makes it look like a superpacket, but with a `gso_size` that is not
    under the payload, TCP options included because kernels count them (`virtio_net_hdr_to_skb`): so it is one packet.
    `least` (up to 40) is how many bytes of payload there are at least; the rest is as with `canonical_superpackets`.
    """
    return _partial(version, protocol, hints=hints, typed=typed, least=least)
