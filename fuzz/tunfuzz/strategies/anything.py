"""Strategies for input that nobody vouches for: right, nearly right, or thrown at the door."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tunfuzz.build import MAX_PACKET, TCP, UDP, assemble, with_length
from tunfuzz.strategies.headers import ip_headers, ipv6_headers, transport_headers, vnet_headers
from tunfuzz.strategies.superpackets import canonical_superpackets, fillers, partial_packets
from tunfuzz.values import Framed, GsoArguments

__all__ = ["frames", "gso_arguments", "packets"]

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
_WHERE = st.one_of(st.integers(0, 60), st.integers(0, 0xFFFF))
_CHANGES = st.lists(
    st.tuples(st.sampled_from(("put", "cut", "append", "insert", "add")), _WHERE, st.integers(0, 0xFF)),
    min_size=1,
    max_size=3,
)


def _change(data: bytes, change: tuple[str, int, int]) -> bytes:
    what, where, number = change
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
        for change in changes:
            data = _change(data, change)
        return data

    return st.builds(apply, valid, _CHANGES)


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
    insertion), and random bytes.
    """
    valid = _valid(fragments=fragments)
    return st.one_of(valid, _changed(valid), _JUNK)


def frames() -> SearchStrategy[bytes]:
    """Draw any bytes in a frame's place.

    That is: legal frames of few segments, frames with one to three changes, the header of one thing before a packet of
    another, and random bytes.
    """
    legal = st.one_of(canonical_superpackets(max_segments=6), partial_packets()).map(Framed.frame)
    mixed = st.builds(lambda header, packet: Framed(header, packet).frame(), vnet_headers(), packets())
    return st.one_of(legal, _changed(legal), mixed, st.binary(max_size=120))


# write_gso ------------------------------------------------------------------------------------------------------


def _split(framed: Framed) -> GsoArguments:
    """Return the arguments that would have made this superpacket."""
    return _reshape(framed, framed.header.gso_size)


def _reshape(framed: Framed, size: int) -> GsoArguments:
    """Return arguments for the same packet in fragments of another size, which may be too small or make too many."""
    begin, header_length = framed.header.csum_start, framed.header.hdr_len
    starts = range(header_length, len(framed.packet), size)
    pays = tuple(framed.packet[start : start + size] for start in starts)
    return GsoArguments(framed.packet[:begin], framed.packet[begin:header_length], pays)


def _single(framed: Framed) -> GsoArguments:
    """Return the arguments for one packet: a single fragment."""
    begin = framed.header.csum_start
    transport = framed.packet[begin:]
    length = 8 if framed.header.csum_offset == 6 else (transport[12] >> 4) * 4
    return GsoArguments(framed.packet[:begin], transport[:length], (transport[length:],))


def _valid_arguments() -> SearchStrategy[GsoArguments]:
    several = canonical_superpackets(max_segments=1021).map(_split)
    one = partial_packets().map(_single).filter(lambda arguments: bool(arguments.pays[0]))
    return st.one_of(several, one)


def _change_arguments(arguments: GsoArguments, change: tuple[str, int, int]) -> GsoArguments:
    """Change one piece: a header (twice as often as the fragments), or how the bytes are shared out."""
    what, where, number = change
    hdr, transport_hdr, pays = arguments.hdr, arguments.transport_hdr, list(arguments.pays)
    at = where % (len(pays) or 1)
    match number % 6:
        case 0 | 1:
            hdr = _change(hdr, change)
        case 2 | 3:
            transport_hdr = _change(transport_hdr, change)
        case 4:
            moved = where % 9
            hdr, transport_hdr = hdr + transport_hdr[:moved], transport_hdr[moved:]
        case _:
            pays = _change_fragments(pays, what, at, number)
    return GsoArguments(hdr, transport_hdr, tuple(pays))


def _change_fragments(pays: list[bytes], what: str, at: int, number: int) -> list[bytes]:
    if what == "cut":
        return pays[:at]
    if what == "insert":
        return [*pays[:at], bytes(number), *pays[at:]]
    if what == "append":
        return pays[:1] * (number * 8)  # up to 2040: over IOV_MAX, and often over 65535 bytes
    if what == "add" and at + 1 < len(pays):  # the same bytes, shared out unequally
        return [*pays[:at], pays[at][:-1], pays[at][-1:] + pays[at + 1], *pays[at + 2 :]]
    return [*pays[:at], pays[at][:-1] if pays else b"", *pays[at + 1 :]]


@st.composite
def _too_long(draw: st.DrawFn) -> GsoArguments:
    """Draw what IPv6 can just about say: a payload length of up to 65535 makes a packet of up to 65575 bytes."""
    stem = draw(ipv6_headers(TCP, extensions=False))
    transport = draw(transport_headers(TCP))
    length = MAX_PACKET - len(stem) - len(transport) + draw(st.integers(1, 40))
    packet = assemble(stem, transport, bytes(length), partial=True)
    begin = len(stem) + len(transport)
    pays = tuple(packet[start : start + 16000] for start in range(begin, len(packet), 16000))
    return GsoArguments(packet[: len(stem)], packet[len(stem) : begin], pays)


@st.composite
def _strangers(draw: st.DrawFn) -> GsoArguments:
    """Draw arguments that fit together, behind an IP header that may be a fragment or announce something else."""
    if draw(st.sampled_from((False,) * 7 + (True,))):
        return draw(_too_long())
    stem = draw(ip_headers(draw(st.sampled_from((TCP, UDP, 1))), fragments=True))
    transport = draw(transport_headers(draw(st.sampled_from((TCP, UDP)))))
    size = draw(st.integers(1, 40))
    packet = assemble(stem, transport, draw(fillers(size * draw(st.integers(1, 5)))), partial=True)
    begin = len(stem) + len(transport)
    pays = tuple(packet[start : start + size] for start in range(begin, len(packet), size))
    return GsoArguments(packet[: len(stem)], packet[len(stem) : begin], pays)


def gso_arguments(*, valid: bool = False) -> SearchStrategy[GsoArguments]:
    """Draw arguments of `write_gso`: legal ones, of one fragment or several; unless `valid`, also nearly legal ones.

    The latter have one to three changes: a byte of a header, the border between the headers, fragments missing,
    empty, too many or of unequal size; or they are a superpacket in fragments of 1 to 9 bytes; or
    the IP header is that of a fragment, of another protocol, or of more than 65535 bytes.
    """
    legal = _valid_arguments()
    if valid:
        return legal

    def apply(arguments: GsoArguments, changes: list[tuple[str, int, int]]) -> GsoArguments:
        for change in changes:
            arguments = _change_arguments(arguments, change)
        return arguments

    reshaped = st.builds(_reshape, canonical_superpackets(), st.sampled_from((1, 2, 7, 8, 9)))
    return st.one_of(legal, _strangers(), reshaped, st.builds(apply, legal, _CHANGES))
