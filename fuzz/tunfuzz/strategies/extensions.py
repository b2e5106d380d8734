"""Strategies for IPv4 options and IPv6 extension headers that no sender of superpackets has, right and wrong.

Stems, as in `headers`; for those that are right see there. What follows the stem may begin elsewhere than the headers
say, or never.
"""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tio.wire import IPv6Layout
from tunfuzz.build import AH, FRAGMENT, TCP, ipv4_stem, ipv6_stem

__all__ = ["hostile_ip_headers", "hostile_ipv4_headers", "hostile_ipv6_headers"]

_HERE4 = bytes.fromhex("0a0000010a000002")
_HERE6 = bytes.fromhex("fd000000000000000000000000000001fd000000000000000000000000000002")
_BYTE = st.integers(0, 0xFF)

# Type, length, data; all padded to four bytes. Source routes (RFC 791) have the final destination in the data.
_OPTIONS = st.one_of(
    st.sampled_from(
        [
            bytes.fromhex(text)
            for text in (
                "07000000",  # record route, length zero
                "07010000",  # length one: shorter than type and length
                "07040400",  # a pointer and no route
                "44280000",  # timestamp, longer than the header
                "8307040a000003 00",  # loose source route
                "8907040a000003 00",  # strict source route
                "94040000",  # router alert
                "00ffffff",  # end of the list, and bytes behind it
                "82000000",  # security, length zero
            )
        ]
    ),
    st.binary(min_size=1, max_size=10).map(lambda data: data[: len(data) // 4 * 4] or b"\x44\0\0\0"),
)


def hostile_ipv4_headers(protocol: int = TCP) -> SearchStrategy[bytes]:
    """Draw an IPv4 header with an option that is wrong or rare, or whose IHL says another length than it has."""

    def build(options: bytes, words: int | None, place: int) -> bytes:
        stem = ipv4_stem(_HERE4, protocol, options, b"\0\0\0" + place.to_bytes(2, "big") + b"\x40")
        return stem if words is None else bytes((0x40 | words,)) + stem[1:]

    ihl = st.one_of(st.none(), st.sampled_from((0, 4, 5, 6, 15)))
    places = st.sampled_from((0x4000, 0x4000, 0x2000, 0x0001, 0x8000))
    return st.builds(build, st.one_of(st.just(b""), _OPTIONS), ihl, places)


# In the form of `build.chain`: the number, and all bytes but the first; the second byte of a header is its length in
# units of 8 bytes, the first 8 not counted (AH: of 4 bytes, the first 8 not counted).
_HOP_BY_HOP, _ROUTING, _DESTINATION = 0, 43, 60
_JUMBO = st.builds(
    lambda number, length: (number, b"\0\xc2\x04" + length.to_bytes(4, "big")),
    st.sampled_from((_HOP_BY_HOP, _DESTINATION)),
    st.one_of(st.sampled_from((0x10000, 0, 0xFFFF, 0xFFFFFFFF)), st.integers(0, 0x20000)),
)
_TLVS = st.builds(
    lambda number, tlv: (number, b"\0" + tlv),
    st.sampled_from((_HOP_BY_HOP, _DESTINATION)),
    st.sampled_from(
        (
            b"\x01\x04\0\0\0\0",  # padding
            b"\x01\x05\0\0\0\0",  # padding that goes on behind the header
            b"\xc2\x00\x01\x04\0\0",  # a jumbo payload option without a length
            b"\x3e\x04\0\0\0\0",  # unknown, to be skipped
            b"\x7e\x04\0\0\0\0",  # unknown, the packet to be dropped
            b"\xbe\x04\0\0\0\0",  # unknown, to be dropped with an ICMP error
            b"\x05\x02\0\0\x01\0",  # router alert
        )
    ),
)
_LENGTHS = st.builds(
    lambda number, length: (number, bytes((length,)) + b"\x01\x04" + bytes(4)),
    st.sampled_from((_HOP_BY_HOP, _DESTINATION, _ROUTING)),
    st.one_of(st.sampled_from((1, 0xFF, 2)), _BYTE),
)
_ROUTES = st.builds(
    lambda kind, left: (_ROUTING, bytes((2, kind, left)) + bytes(20)), st.sampled_from((0, 2, 3, 4, 253)), _BYTE
)
_FRAGMENTS = st.builds(
    lambda place: (FRAGMENT, b"\0" + place.to_bytes(2, "big") + bytes(4)),
    st.sampled_from((0, 0x0001, 0x0008, 0x0009, 0xFFF8, 0xFFFF)),
)
_AHS = st.builds(lambda words, size: (AH, bytes((words,)) + bytes(size)), _BYTE, st.sampled_from((10, 22, 6)))
# ESP, no next header, mobility, HIP, shim6: what follows is none of a cutter's business.
_OTHERS = st.sampled_from((50, 59, 135, 139, 140, 253)).map(lambda number: (number, b"\0" + bytes(6)))
_LINKS = st.one_of(_TLVS, _JUMBO, _FRAGMENTS, _AHS, _LENGTHS, _ROUTES, _OTHERS)


def hostile_ipv6_headers(protocol: int = TCP) -> SearchStrategy[bytes]:
    """Draw an IPv6 header with up to six extension headers of any kind, in any order, with right and wrong lengths.

    Among them: hop-by-hop options that are not first, jumbo payload options, Fragment, AH, ESP, headers that claim to
    be longer than the packet; some chains are cut anywhere behind the fixed header.
    """

    def build(links: list[tuple[int, bytes]], most: int) -> bytes:
        return ipv6_stem(_HERE6, protocol, tuple(links))[: IPv6Layout.size + most]

    whole = 1 << 16
    cuts = st.one_of(st.just(whole), st.just(whole), st.integers(0, 15))
    return st.builds(build, st.lists(_LINKS, min_size=1, max_size=6), cuts)


def hostile_ip_headers(protocol: int = TCP) -> SearchStrategy[bytes]:
    """Draw one of the two."""
    return st.one_of(hostile_ipv4_headers(protocol), hostile_ipv6_headers(protocol))
