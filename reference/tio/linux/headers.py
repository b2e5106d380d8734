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

__all__ = [
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

_EXTENSIONS = (0, 43, 60)
_HOP_BY_HOP = 0
_JUMBO_BEFORE_TCP = b"\x06\x00\xc2"  # next header, 8 bytes in all, the jumbo payload option (RFC 2675)
_LONGEST_WITHOUT_JUMBO = 65536  # GRO_LEGACY_MAX_SIZE
_WORD = struct.Struct(">H")
_WORDS = struct.Struct(">HH")


def find_transport(skb: Skb) -> None:
    """Set `l4` and `protocol`: where the transport header begins, by the IP header, and which protocol it is."""
    data = skb.data
    if skb.version == 4:
        skb.l4 = (data[0] & 15) * 4
        skb.protocol = data[9] if len(data) > 9 else -1
    else:
        skb.protocol, skb.l4 = walked_extensions(data)


@fact("ipv6_gso_pull_exthdrs")
def walked_extensions(data: bytes) -> tuple[int, int]:
    """Hop-by-hop, routing and destination options are walked, in any order and number, as long as they are complete."""
    if len(data) < 40:
        return -1, 0
    protocol, at = data[6], 40
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
    return data[6] == _HOP_BY_HOP and data[40:43] == _JUMBO_BEFORE_TCP


@fact("ipv6_gso_segment", needs=Trait.HBH_JUMBO_ETHERNET)
def jumbo_option_over_tcp(data: bytes) -> bytes:
    """54 bytes move over the hop-by-hop options, not 40: 14 of those after the IPv6 header overwrite TCP."""
    return data[40:54] + data[62:]


def cut_out_jumbo_header(skb: Skb, rest: bytes) -> None:
    """Leave `rest` after the IPv6 header of a superpacket, which then is TCP (`ipv6_hopopt_jumbo_remove`).

    Raises `NotModelled` inside a tunnel: there the kernel moves the wrong bytes and breaks the segments.
    """
    if skb.tunnel:
        raise NotModelled("jumbo header inside a tunnel: the kernel moves the wrong bytes")
    skb.data = b"".join((skb.data[:6], skb.data[40:41], skb.data[7:40], rest))
    skb.csum_start -= 8
    skb.l4 -= 8


@loss("inet_gso_segment, ipv6_gso_segment")
def ip_header_cut_off(skb: Skb) -> bool:
    """The fixed IP header is incomplete."""
    return len(skb.data) < (20 if skb.version == 4 else 40)


@loss("inet_gso_segment")
def ihl_under_five(skb: Skb) -> bool:
    """The IPv4 header states a length under 20 bytes."""
    return skb.version == 4 and skb.l4 < 20


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
    addresses = skb.data[12:20] if skb.version == 4 else skb.data[8:40]
    return checksum(addresses, skb.protocol + length)


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
    return (length - 40) & 0xFFFF


IP_FACTS = {4: ("ipv4_id", "ipv4_total_length", "ipv4_header_checksum"), 6: ("ipv6_payload_length",)}
"""The facts that every segment shows, by IP version."""


def stamp_ip(skb: Skb, packet: bytearray, index: int) -> None:
    """Write what differs in the IP header of segment `index`."""
    if skb.version == 6:
        _WORD.pack_into(packet, 4, ipv6_payload_length(len(packet)))
        return
    data = skb.data
    _WORDS.pack_into(packet, 2, ipv4_total_length(len(packet)), ipv4_id(data[4] << 8 | data[5], index))
    seal_ipv4(packet, skb.l4)


def seal_ipv4(packet: bytearray, header_length: int) -> None:
    """Write the IPv4 header checksum."""
    _WORD.pack_into(packet, 10, 0)
    _WORD.pack_into(packet, 10, ipv4_header_checksum(packet[:header_length]))
