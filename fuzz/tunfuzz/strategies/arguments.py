"""Strategies for the arguments of `write_gso`: legal ones, and ones with a fault.

Mostly with a single fault that nothing else reveals: a missing check cannot hide behind another.
"""

from collections.abc import Callable, Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tio.wire import IPv4Layout, IPv6Layout, TcpLayout, UdpLayout
from tunfuzz.build import MAX_PACKET, TCP, UDP, assemble, with_length
from tunfuzz.strategies.anything import CHANGES, change
from tunfuzz.strategies.headers import ip_headers, ipv6_headers, transport_headers
from tunfuzz.strategies.superpackets import canonical_superpackets, fillers, partial_packets
from tunfuzz.values import Framed, GsoArguments

__all__ = ["gso_arguments"]

_MOST_BYTES = 2 * MAX_PACKET
"""More payload than this is repeated by no fault: it is too much in the same way, and takes the adapter longer to read
than to refuse.
"""


def _cut(data: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(data[start : start + size] for start in range(0, len(data), size))


def _reshape(framed: Framed, size: int, swallowed: int = 0) -> GsoArguments:
    """Return a superpacket's pieces, with fragments of another size; the headers may have `swallowed` some payload."""
    begin, end = framed.header.csum_start, framed.header.hdr_len + swallowed
    return GsoArguments(framed.packet[:begin], framed.packet[begin:end], _cut(framed.packet[end:], size))


def _single(framed: Framed) -> GsoArguments:
    """Return the arguments for one packet: a single fragment."""
    begin = framed.header.csum_start
    transport = framed.packet[begin:]
    length = UdpLayout.size
    if framed.header.csum_offset == TcpLayout.CHECKSUM.offset:
        length = TcpLayout.DATA_OFFSET.of(transport[TcpLayout.DATA_OFFSET_RESERVED.offset]) * 4
    return GsoArguments(framed.packet[:begin], transport[:length], (transport[length:],))


def _legal() -> SearchStrategy[GsoArguments]:
    several = canonical_superpackets(max_segments=1021).map(lambda framed: _reshape(framed, framed.header.gso_size))
    return st.one_of(several, partial_packets(least=1).map(_single))


# Faults: each gets legal arguments and a change, of which it uses what it needs. --------------------------------


def _in_hdr(arguments: GsoArguments, what: str, where: int, number: int) -> GsoArguments:
    return GsoArguments(change(arguments.hdr, what, where, number), arguments.transport_hdr, arguments.pays)


def _in_transport_hdr(arguments: GsoArguments, what: str, where: int, number: int) -> GsoArguments:
    return GsoArguments(arguments.hdr, change(arguments.transport_hdr, what, where, number), arguments.pays)


def _border(arguments: GsoArguments, _what: str, where: int, _number: int) -> GsoArguments:
    """Count the beginning of the transport header as IP header."""
    at = where % 9
    hdr, transport_hdr = arguments.hdr, arguments.transport_hdr
    return GsoArguments(hdr + transport_hdr[:at], transport_hdr[at:], arguments.pays)


def _length(arguments: GsoArguments, _what: str, where: int, _number: int) -> GsoArguments:
    """State another length, in an otherwise correct header."""
    hdr = arguments.hdr
    least = {4: IPv4Layout.size, 6: IPv6Layout.size}.get(hdr[0] >> 4, MAX_PACKET) if hdr else MAX_PACKET
    if len(hdr) < least:  # an earlier fault left no header to write a length into
        return arguments
    stated = least + where % (MAX_PACKET + 1 - least)
    return GsoArguments(with_length(hdr, stated), arguments.transport_hdr, arguments.pays)


def _fewer(arguments: GsoArguments, _what: str, where: int, _number: int) -> GsoArguments:
    return GsoArguments(arguments.hdr, arguments.transport_hdr, arguments.pays[: where % (len(arguments.pays) + 1)])


def _more(arguments: GsoArguments, _what: str, _where: int, number: int) -> GsoArguments:
    """Repeat the first fragment up to 2040 times: over IOV_MAX, or over 65535 bytes, and seldom both."""
    first = arguments.pays[:1]
    times = min(number * 8, 1 + _MOST_BYTES // max(sum(map(len, first)), 1))
    return GsoArguments(arguments.hdr, arguments.transport_hdr, first * times)


def _empty(arguments: GsoArguments, _what: str, where: int, _number: int) -> GsoArguments:
    pays = list(arguments.pays)
    pays.insert(where % (len(pays) + 1), b"")
    return GsoArguments(arguments.hdr, arguments.transport_hdr, tuple(pays))


def _unequal(arguments: GsoArguments, _what: str, where: int, _number: int) -> GsoArguments:
    """Distribute the same bytes unequally: one byte goes to the last fragment, or to the second."""
    pays = list(arguments.pays)
    at = 0 if where % 4 == 3 else len(pays) - 2
    if len(pays) >= 2:
        pays[at : at + 2] = [pays[at][:-1], pays[at][-1:] + pays[at + 1]]
    return GsoArguments(arguments.hdr, arguments.transport_hdr, tuple(pays))


_Fault = Callable[[GsoArguments, str, int, int], GsoArguments]
_FAULTS: tuple[_Fault, ...] = (_in_hdr, _in_transport_hdr, _border, _length, _fewer, _more, _empty, _unequal)


def _apply(arguments: GsoArguments, faults: Sequence[tuple[_Fault, tuple[str, int, int]]]) -> GsoArguments:
    for fault, (what, where, number) in faults:
        arguments = fault(arguments, what, where, number)
    return arguments


# Faults that go through all pieces ------------------------------------------------------------------------------


@st.composite
def _reshaped(draw: st.DrawFn) -> GsoArguments:
    """Draw a superpacket in fragments too small or too many, or with headers that extend into the payload."""
    framed = draw(canonical_superpackets())
    size = draw(st.sampled_from((0, 0, 8, 8, 9, 7, 1))) or framed.header.gso_size
    return _reshape(framed, size, draw(st.sampled_from((0, 0, 0, 4, 1))))


@st.composite
def _too_long(draw: st.DrawFn) -> GsoArguments:
    """Draw what IPv6 can just about express: a payload length of up to 65535 makes a packet of up to 65575 bytes."""
    stem = draw(ipv6_headers(TCP, extensions=False))
    transport = draw(transport_headers(TCP))
    length = MAX_PACKET - len(stem) - len(transport) + draw(st.integers(1, 40))
    packet = assemble(stem, transport, bytes(length), partial=True)
    begin = len(stem) + len(transport)
    return GsoArguments(packet[: len(stem)], packet[len(stem) : begin], _cut(packet[begin:], 16000))


@st.composite
def _strangers(draw: st.DrawFn) -> GsoArguments:
    """Draw arguments that fit together, after an IP header that may be a fragment's or announce something else."""
    if draw(st.sampled_from((False,) * 5 + (True,))):
        return draw(_too_long())
    stem = draw(ip_headers(draw(st.sampled_from((TCP, UDP, 1))), fragments=True))
    transport = draw(transport_headers(draw(st.sampled_from((TCP, UDP)))))
    size = draw(st.integers(1, 40))
    packet = assemble(stem, transport, draw(fillers(size * draw(st.integers(1, 5)))), partial=True)
    begin = len(stem) + len(transport)
    return GsoArguments(packet[: len(stem)], packet[len(stem) : begin], _cut(packet[begin:], size))


def gso_arguments(*, valid: bool = False) -> SearchStrategy[GsoArguments]:
    """Draw arguments of `write_gso`: legal ones, of one fragment or several; unless `valid`, also nearly legal ones.

    The latter have one or two faults: a byte of a header, a length, the border between the headers, fragments missing,
    empty, too many or of unequal size. Or they are a superpacket in fragments of 1 to 9 bytes, or one whose transport
    header extends too far. Or the IP header is that of a fragment, of another protocol, or of more than 65535 bytes.
    """
    legal = _legal()
    if valid:
        return legal
    fault = st.tuples(st.sampled_from(_FAULTS), CHANGES)
    one = st.builds(_apply, legal, st.tuples(fault))
    two = st.builds(_apply, legal, st.tuples(fault, fault))
    return st.one_of(legal, one, two, _reshaped(), _strangers())
