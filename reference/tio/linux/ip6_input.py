"""IPv6 input: what `ip6_rcv_core` (net/ipv6/ip6_input.c) lets through, and what length it takes a packet to have."""

from tio.linux.ip_input import forwarded
from tio.linux.rules import fact, loss
from tio.linux.skb import TCP_TYPES, Skb
from tio.linux.traits import Trait
from tio.wire import IPv6Layout

__all__ = ["LEAST_MTU"]

LEAST_MTU = 1280
"""Bytes; a link with less carries no IPv6 (RFC 8200, section 5)."""

_LOOPBACK = bytes(15) + b"\x01"
_MULTICAST = 0xFF
_IPV6 = IPv6Layout.size
_PAYLOAD_LENGTH, _NEXT_HEADER = IPv6Layout.PAYLOAD_LENGTH.offset, IPv6Layout.NEXT_HEADER.offset
_SOURCE, _DESTINATION = IPv6Layout.SOURCE.span, IPv6Layout.DESTINATION.span


@loss("addrconf_notify", on=lambda way: way.forwarded and way.mtu < LEAST_MTU)
def link_without_ipv6(_: Skb) -> bool:
    """The MTU of the outgoing link is under 1280: no IPv6 leaves it."""
    return True


@loss("ip6_rcv_core", on=forwarded)
def ipv6_header_cut_off(skb: Skb) -> bool:
    """The IPv6 header is incomplete."""
    return len(skb.data) < _IPV6


@loss("ip6_rcv_core", needs=Trait.DISSECTED, on=forwarded)
def ipv6_of_another_version(skb: Skb) -> bool:
    """The packet was taken for IPv6, but its version is a different one."""
    return skb.data[0] >> 4 != 6


@loss("ip6_rcv_core", on=forwarded)
def ipv6_loopback(skb: Skb) -> bool:
    """Source or destination is ::1."""
    return _LOOPBACK in (skb.data[_SOURCE], skb.data[_DESTINATION])


@loss("ip6_rcv_core", on=forwarded)
def ipv6_source_multicast(skb: Skb) -> bool:
    """The source is multicast."""
    return skb.data[IPv6Layout.SOURCE.offset] == _MULTICAST


@loss("ip6_rcv_core", on=forwarded)
def payload_length_beyond_the_packet(skb: Skb) -> bool:
    """The payload length exceeds the packet."""
    return _IPV6 + _payload_length(skb) > len(skb.data)


@loss("ipv6_parse_hopopts", on=forwarded)
def hop_header_cut_off(skb: Skb) -> bool:
    """A hop-by-hop header is incomplete, or reaches beyond the payload length."""
    if skb.data[_NEXT_HEADER] != 0:
        return False
    length = _payload_length(skb) or len(skb.data) - _IPV6
    return length < 8 or length < 8 * (skb.data[_IPV6 + 1] + 1)


def _payload_length(skb: Skb) -> int:
    return skb.data[_PAYLOAD_LENGTH] << 8 | skb.data[_PAYLOAD_LENGTH + 1]


@fact("ip6_rcv_core", without=Trait.PAYLEN0, on=forwarded)
def ipv6_length(skb: Skb) -> int:
    """A payload length of 0 means no payload, unless hop-by-hop options follow: then the actual length counts."""
    stated = _payload_length(skb)
    return _IPV6 + stated if stated or skb.data[_NEXT_HEADER] else len(skb.data)


@fact("ipv6_payload_len", needs=Trait.PAYLEN0, on=forwarded)
def ipv6_length_of_tcp(skb: Skb) -> int:
    """A payload length of 0 means no payload, unless hop-by-hop options follow, or it is a TCP superpacket."""
    stated = _payload_length(skb)
    if stated == 0 and skb.gso_size and skb.type in TCP_TYPES:
        return len(skb.data)
    return _IPV6 + stated if stated or skb.data[_NEXT_HEADER] else len(skb.data)
