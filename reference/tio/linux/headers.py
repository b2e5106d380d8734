"""Where the kernel finds the transport header when it segments: `inet_gso_segment`, `ipv6_gso_segment`.

Never by csum_start or hdr_len: by the IP headers alone. The lengths that the IP header states are ignored.
"""

import struct

from tio.checksum import checksum
from tio.linux.outcome import NotModelled
from tio.linux.rules import fact, loss
from tio.linux.skb import PROTOCOLS, TCPV4, TCPV6, Skb
from tio.linux.sums import inverted_sum
from tio.linux.traits import Trait
from tio.wire import IPv4Layout, IPv6Layout

__all__ = [
    "HOP_HEADER",
    "IP_FACTS",
    "cut_out_jumbo_header",
    "find_transport",
    "jumbo_header_is_cut_out",
    "jumbo_option_over_tcp",
    "pseudo_header",
    "seal_ipv4",
    "stamp_ip",
]

FRAGMENT = 44
AH = 51
HOP_HEADER = 8
"""Bytes of hop-by-hop options in which a jumbo payload option stands alone."""

_EXTENSIONS = (0, 43, 60)
_HOP_BY_HOP = 0
_JUMBO_BEFORE_TCP = b"\x06\x00\xc2"  # next header, 8 bytes in all, the jumbo payload option (RFC 2675)
_LONGEST_WITHOUT_JUMBO = 65536  # GRO_LEGACY_MAX_SIZE
_ETHERNET = 14
_WORD = struct.Struct(">H")
_WORDS = struct.Struct(">HH")

_IHL = IPv4Layout.IHL.mask
_IPV4, _IPV6 = IPv4Layout.size, IPv6Layout.size
_TOTAL_LENGTH, _IDENTIFICATION = IPv4Layout.TOTAL_LENGTH.offset, IPv4Layout.IDENTIFICATION.offset
_PROTOCOL, _CHECKSUM = IPv4Layout.PROTOCOL.offset, IPv4Layout.CHECKSUM.offset
_PAYLOAD_LENGTH, _NEXT_HEADER = IPv6Layout.PAYLOAD_LENGTH.offset, IPv6Layout.NEXT_HEADER.offset
_ADDRESSES = {4: IPv4Layout.ADDRESSES, 6: IPv6Layout.ADDRESSES}


def find_transport(skb: Skb) -> None:
    """Set `l4` and `protocol`: where the transport header begins, by the IP header, and which protocol it is."""
    data = skb.data
    if skb.version == 4:
        skb.l4 = (data[0] & _IHL) * 4
        skb.protocol = data[_PROTOCOL] if len(data) > _PROTOCOL else -1
    else:
        skb.protocol, skb.l4 = walked_extensions(data)


@fact("ipv6_gso_pull_exthdrs")
def walked_extensions(data: bytes) -> tuple[int, int]:
    """Hop-by-hop, routing and destination options are walked, in any order and number, as long as they are complete."""
    if len(data) < _IPV6:
        return -1, 0
    protocol, at = data[_NEXT_HEADER], _IPV6
    while protocol in _EXTENSIONS and at + 8 <= len(data):
        end = at + 8 * (data[at + 1] + 1)
        if end > len(data):
            break
        protocol, at = data[at], end
    return protocol, at


@fact("ipv6_has_hopopt_jumbo", needs=Trait.HBH_JUMBO_STRIP)
def jumbo_header_is_cut_out(skb: Skb) -> bool:
    """Over 65536 bytes, hop-by-hop options of 8 bytes that begin with a jumbo payload are removed before TCP."""
    data = skb.data
    if len(data) <= _LONGEST_WITHOUT_JUMBO or skb.version != 6:
        return False
    return data[_NEXT_HEADER] == _HOP_BY_HOP and data.startswith(_JUMBO_BEFORE_TCP, _IPV6)


@fact("ipv6_gso_segment", needs=Trait.HBH_JUMBO_ETHERNET)
def jumbo_option_over_tcp(data: bytes) -> bytes:
    """54 bytes move over the hop-by-hop options, not 40: 14 of those after the IPv6 header overwrite TCP."""
    end = _IPV6 + _ETHERNET
    return data[_IPV6:end] + data[end + HOP_HEADER :]


def cut_out_jumbo_header(skb: Skb, rest: bytes) -> None:
    """Leave `rest` after the IPv6 header of a superpacket, which then is TCP (`ipv6_hopopt_jumbo_remove`).

    Raises `NotModelled` inside a tunnel: there the kernel moves the wrong bytes and breaks the segments.
    """
    if skb.tunnel:
        raise NotModelled("jumbo header inside a tunnel: the kernel moves the wrong bytes")
    header = bytearray(skb.data[:_IPV6])
    header[_NEXT_HEADER] = skb.data[_IPV6]
    skb.data = bytes(header) + rest
    skb.csum_start -= HOP_HEADER
    skb.l4 -= HOP_HEADER


@loss("inet_gso_segment, ipv6_gso_segment")
def ip_header_cut_off(skb: Skb) -> bool:
    """The fixed IP header is incomplete."""
    return len(skb.data) < (_IPV4 if skb.version == 4 else _IPV6)


@loss("inet_gso_segment")
def ihl_under_five(skb: Skb) -> bool:
    """The IPv4 header states a length under 20 bytes."""
    return skb.version == 4 and skb.l4 < _IPV4


@loss("inet_gso_segment")
def ihl_beyond_the_packet(skb: Skb) -> bool:
    """The IPv4 header states a length beyond the packet."""
    return skb.version == 4 and skb.l4 > len(skb.data)


@loss("ipv6_gso_pull_exthdrs")
def extension_not_walked(skb: Skb) -> bool:
    """A Fragment or AH header precedes the transport header, or an extension header is truncated."""
    return skb.version == 6 and (skb.protocol in (FRAGMENT, AH) or skb.protocol in _EXTENSIONS)


@loss("tcp4_gso_segment, udp4_ufo_fragment, tcp6_gso_segment, udp6_ufo_fragment")
def protocol_of_another_type(skb: Skb) -> bool:
    """The protocol is not the one that the type implies."""
    return skb.protocol != PROTOCOLS[skb.type]


@loss("tcp4_gso_segment, tcp6_gso_segment")
def version_of_another_type(skb: Skb) -> bool:
    """A TCP type precedes a packet of the other IP version."""
    return (skb.type == TCPV4 and skb.version != 4) or (skb.type == TCPV6 and skb.version != 6)


def pseudo_header(skb: Skb, length: int) -> int:
    """Return the sum of the pseudo-header for a transport part of `length` bytes."""
    return checksum(skb.data[_ADDRESSES[skb.version]], skb.protocol + length)


# The IP header of a segment ------------------------------------------------------------------------------------------


@fact("inet_gso_segment")
def ipv4_id(first: int, index: int) -> int:
    """The identification counts up, modulo 2**16, with and without DF."""
    return (first + index) & 0xFFFF


@fact("inet_gso_segment")
def ipv4_total_length(length: int) -> int:
    """The total length of each segment is its actual length."""
    return length & 0xFFFF


@fact("inet_gso_segment")
def ipv4_header_checksum(header: bytes | bytearray) -> int:
    """The header checksum of each segment is recomputed; `header` has zero in its place."""
    return inverted_sum(header)


@fact("ipv6_gso_segment")
def ipv6_payload_length(length: int) -> int:
    """The payload length counts all but the fixed 40 bytes, extension headers included."""
    return (length - _IPV6) & 0xFFFF


IP_FACTS = {4: ("ipv4_id", "ipv4_total_length", "ipv4_header_checksum"), 6: ("ipv6_payload_length",)}
"""The facts that every segment shows, by IP version."""


def stamp_ip(skb: Skb, packet: bytearray, index: int) -> None:
    """Write what differs in the IP header of segment `index`."""
    if skb.version == 6:
        _WORD.pack_into(packet, _PAYLOAD_LENGTH, ipv6_payload_length(len(packet)))
        return
    (first,) = _WORD.unpack_from(skb.data, _IDENTIFICATION)
    _WORDS.pack_into(packet, _TOTAL_LENGTH, ipv4_total_length(len(packet)), ipv4_id(first, index))
    seal_ipv4(packet, skb.l4)


def seal_ipv4(packet: bytearray, header_length: int) -> None:
    """Write the IPv4 header checksum."""
    _WORD.pack_into(packet, _CHECKSUM, 0)
    _WORD.pack_into(packet, _CHECKSUM, ipv4_header_checksum(packet[:header_length]))
