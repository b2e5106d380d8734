"""Strategies for correct headers: IPv4, IPv6, TCP, UDP.

IP and transport headers come as bytes without lengths and checksums (`build.assemble` fills those in). Everywhere the
first value is the simplest (10.0.0.1 to 10.0.0.2, no options, ACK only), so shrinking ends there.
"""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tunfuzz.build import AH, FRAGMENT, TCP, UDP, ipv4_stem, ipv6_stem
from tunfuzz.strategies.chance import extras

__all__ = ["ip_headers", "ipv4_headers", "ipv6_headers", "tcp_headers", "udp_headers"]

_BYTE = st.integers(0, 0xFF)
_WORD = st.integers(0, 0xFFFF)
_ACK = 0x10
_NOT_IN_A_STREAM = 0x02 | 0x04 | 0x20  # SYN, RST, URG

# IPv4 -----------------------------------------------------------------------------------------------------------

_HERE4 = bytes.fromhex("0a0000010a000002")
_ADDRESSES4 = st.one_of(
    st.sampled_from([bytes.fromhex(pair) for pair in ("0a0000020a000001", "0a0000010a000003", "ffffffff00000000")]),
    st.binary(min_size=8, max_size=8),
)
# Source routing is omitted: it changes the destination in the pseudo-header (RFC 791), as seen from the sender.
_OPTIONS4 = st.one_of(
    st.sampled_from([bytes.fromhex(text) for text in ("01010101", "00000000", "94040000", "9e060000" + "00" * 4)]),
    st.binary(min_size=2, max_size=38).map(lambda data: _padded(bytes((0x9E, len(data) + 2)) + data)),
    st.just(b"\x01" * 40),
)
_IDENTIFICATIONS = st.one_of(st.integers(0xFFF8, 0xFFFF), _WORD)
_DONT_FRAGMENT = st.sampled_from((0x0000, 0x4000, 0x8000, 0xC000))
_FRAGMENT_OFFSETS = st.one_of(st.sampled_from((0x2000, 0x0001, 0x2001, 0x1FFF, 0x6000)), st.integers(1, 0x3FFF))


def _padded(options: bytes) -> bytes:
    return options + bytes(-len(options) % 4)


@st.composite
def _ipv4(draw: st.DrawFn, protocol: int, *, options: bool, fragments: bool) -> bytes:
    optioned, elsewhere, colourful = draw(extras(3))
    tos, number, place, ttl = 0, 0, 0x4000, 64
    if colourful:
        tos, number, place, ttl = draw(_BYTE), draw(_IDENTIFICATIONS), draw(_DONT_FRAGMENT), draw(_BYTE)
    if fragments and draw(extras(1))[0]:
        place = draw(_FRAGMENT_OFFSETS)
    fields = b"".join((bytes((tos,)), number.to_bytes(2, "big"), place.to_bytes(2, "big"), bytes((ttl,))))
    pair = draw(_ADDRESSES4) if elsewhere else _HERE4
    return ipv4_stem(pair, protocol, draw(_OPTIONS4) if options and optioned else b"", fields)


def ipv4_headers(protocol: int = TCP, *, options: bool = True, fragments: bool = False) -> SearchStrategy[bytes]:
    """Draw an IPv4 header with total length 0 and checksum 0. `fragments`: some have MF or an offset."""
    return _ipv4(protocol, options=options, fragments=fragments)


# IPv6 -----------------------------------------------------------------------------------------------------------

_HERE6 = bytes.fromhex("fd000000000000000000000000000001fd000000000000000000000000000002")
_ADDRESSES6 = st.one_of(st.just(_HERE6[16:] + _HERE6[:16]), st.binary(min_size=32, max_size=32))
# In the same form as `build.chain` takes them: number, and all bytes but the first. An option of type 0x1e is
# for experiments and to be skipped if unknown (RFC 4727); zeros are padding.
_TLVS = st.one_of(
    st.sampled_from((bytes(6), b"\x01\x04" + bytes(4), b"\x05\x02\0\0\x01\0")),
    st.builds(lambda words, fill: _experimental(words * 8 + 6, fill), st.integers(0, 5), _BYTE),
)
_OPTION_HEADERS = st.tuples(st.sampled_from((60, 0)), _TLVS.map(lambda tlvs: bytes((len(tlvs) // 8,)) + tlvs))


def _experimental(length: int, fill: int) -> bytes:
    return bytes((0x1E, length - 2)) + bytes((fill,)) * (length - 2)


def _routing_headers(left: SearchStrategy[int]) -> SearchStrategy[tuple[int, bytes]]:
    """Draw a routing header: a type, a number of whole addresses, and the segments left."""
    return st.builds(
        lambda kind, left: (43, bytes((kind[1] * 2, kind[0], left)) + bytes(4 + 16 * kind[1])),
        st.sampled_from(((253, 0), (253, 2), (0, 0), (0, 1), (0, 3), (2, 1))),  # RFC 3692, 2460, 6275
        left,
    )


_FRAGMENT_HEADERS = st.builds(
    lambda place, number: (FRAGMENT, b"\0" + place.to_bytes(2, "big") + number.to_bytes(4, "big")),
    st.one_of(st.sampled_from((0x0001, 0x0000, 0x0008)), _WORD),
    st.integers(0, 0xFFFFFFFF),
)
_AH_HEADERS = st.just((AH, b"\x04" + bytes(22)))
# The pseudo-header has the final destination (RFC 8200 8.1): the one in the IPv6 header only if no segment is left.
_WALKED_AT_THE_END = st.one_of(_OPTION_HEADERS, _routing_headers(st.just(0)))
_ANY_EXTENSION = st.one_of(_OPTION_HEADERS, _routing_headers(_BYTE), _FRAGMENT_HEADERS, _AH_HEADERS)


@st.composite
def _ipv6(draw: st.DrawFn, protocol: int, *, extensions: bool, fragments: bool) -> bytes:
    extended, elsewhere, colourful = draw(extras(3))
    headers: list[tuple[int, bytes]] = []
    if extensions and extended:
        headers = draw(st.lists(_ANY_EXTENSION if fragments else _WALKED_AT_THE_END, min_size=1, max_size=3))
    fields = draw(st.binary(min_size=4, max_size=4)) if colourful else b"\0\0\0\x40"
    return ipv6_stem(draw(_ADDRESSES6) if elsewhere else _HERE6, protocol, tuple(headers), fields)


def ipv6_headers(protocol: int = TCP, *, extensions: bool = True, fragments: bool = False) -> SearchStrategy[bytes]:
    """Draw an IPv6 header with payload length 0, and up to three extension headers in any order.

    Without `fragments` these are hop-by-hop options, destination options, and routing headers with no segment left:
    what segmentation can pass. With it also Fragment and AH headers, and routing headers that have segments left.
    """
    return _ipv6(protocol, extensions=extensions, fragments=fragments)


def ip_headers(
    protocol: int = TCP, *, version: int | None = None, options: bool = True, fragments: bool = False
) -> SearchStrategy[bytes]:
    """Draw an IPv4 or IPv6 header. `options` concerns IPv4 options; extension headers are always possible."""
    ipv4 = ipv4_headers(protocol, options=options, fragments=fragments)
    ipv6 = ipv6_headers(protocol, fragments=fragments)
    return {None: st.one_of(ipv4, ipv6), 4: ipv4, 6: ipv6}[version]


# Transport ------------------------------------------------------------------------------------------------------

_HERE = bytes.fromhex("04000050")
_PORTS = st.one_of(
    st.sampled_from([_HERE] + [bytes.fromhex(pair) for pair in ("04010050", "04000051", "00500400")]),
    st.binary(min_size=4, max_size=4),
)
_SEQUENCES = st.one_of(*(st.integers(0xFFFFFFFF - last, 0xFFFFFFFF) for last in (0x3F, 0xFFFF, 0xFFFFFFFF)))
_TIMESTAMPS = st.binary(min_size=8, max_size=8).map(lambda clock: b"\x01\x01\x08\x0a" + clock)
_SACK = st.binary(min_size=8, max_size=8).map(lambda edges: b"\x01\x01\x05\x0a" + edges)
_TCP_OPTIONS = st.one_of(
    _TIMESTAMPS,
    st.tuples(_TIMESTAMPS, _SACK).map(b"".join),
    st.sampled_from((b"\x02\x04\x05\xb4", b"\x01\x01\x01\x01", b"\x03\x03\x07\0", b"\x01" * 40)),
    st.binary(min_size=1, max_size=38).map(lambda data: _padded(bytes((253, len(data) + 2)) + data)),
)


@st.composite
def _tcp(draw: st.DrawFn, *, stream: bool, options: bool) -> bytes:
    optioned, elsewhere, colourful = draw(extras(3))
    ports = draw(_PORTS) if elsewhere else _HERE
    extra = draw(_TCP_OPTIONS) if options and optioned else b""
    low, sequence, rest = 0, 0, b"\0\0\0\0\xff\xff\0\0"  # acknowledgment; window, urgent pointer
    if colourful:
        low = draw(st.integers(0, 15))  # AE and the reserved bits
        sequence = draw(_SEQUENCES)
        rest = draw(st.binary(min_size=8, max_size=8))
    flags = draw(_BYTE) ^ _ACK
    if stream:
        flags &= ~_NOT_IN_A_STREAM
    place = bytes(((5 + len(extra) // 4) << 4 | low, flags))
    return b"".join((ports, sequence.to_bytes(4, "big"), rest[:4], place, rest[4:6], b"\0\0", rest[6:8], extra))


def tcp_headers(*, stream: bool = False, options: bool = True) -> SearchStrategy[bytes]:
    """Draw a TCP header with checksum 0. `stream`: only flags that packets with data have (no SYN, RST, URG)."""
    return _tcp(stream=stream, options=options)


def udp_headers() -> SearchStrategy[bytes]:
    """Draw a UDP header with length 0 and checksum 0."""
    return _PORTS.map(lambda ports: ports + bytes(4))


def transport_headers(protocol: int, *, stream: bool = False) -> SearchStrategy[bytes]:
    """Draw a TCP or UDP header, by protocol number."""
    return udp_headers() if protocol == UDP else tcp_headers(stream=stream)
