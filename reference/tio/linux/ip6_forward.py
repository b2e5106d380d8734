"""IPv6 forwarding: addresses without a route (net/ipv6/route.c), and `ip6_forward` (net/ipv6/ip6_output.c)."""

from tio.linux import fragment
from tio.linux.ip_input import forwarded
from tio.linux.rules import loss
from tio.linux.skb import Skb
from tio.linux.way import Way
from tio.wire import IPv6Layout

__all__: list[str] = []

_UNSPECIFIED = bytes(16)
_SOURCE, _DESTINATION = IPv6Layout.SOURCE.span, IPv6Layout.DESTINATION.span
_HOP_LIMIT = IPv6Layout.HOP_LIMIT.offset


def _is_link_local(address: bytes) -> bool:
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


@loss("rt6_need_strict, ip6_rcv_core", on=forwarded)
def ipv6_destination_on_a_link(skb: Skb, _: Way) -> bool:
    """The destination is multicast or link-local: it has a meaning on one link only."""
    address = skb.data[_DESTINATION]
    return address[0] == 0xFF or _is_link_local(address)


@loss("ip6_forward", on=forwarded)
def hop_limit_expired(skb: Skb, _: Way) -> bool:
    """The hop limit is 1 or 0."""
    return skb.data[_HOP_LIMIT] <= 1


@loss("ip6_forward", on=forwarded)
def ipv6_source_not_forwarded(skb: Skb, _: Way) -> bool:
    """The source is unspecified or link-local."""
    address = skb.data[_SOURCE]
    return address == _UNSPECIFIED or _is_link_local(address)


@loss("ip6_pkt_too_big", on=forwarded)
def over_the_mtu(skb: Skb, way: Way) -> bool:
    """The packet, or each segment of a superpacket, is longer than the MTU."""
    return len(skb.data) > way.mtu and (not skb.gso_size or fragment.segment_length(skb) > way.mtu)
