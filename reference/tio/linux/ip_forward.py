"""IPv4 forwarding: addresses without a route (net/ipv4/route.c), and `ip_forward` (net/ipv4/ip_forward.c).

The router has no address, and everything that arrives on one link is to leave by the other.
"""

from tio.linux import fragment
from tio.linux.ip_input import forwarded
from tio.linux.rules import fact, loss
from tio.linux.skb import Skb
from tio.linux.way import Way
from tio.wire import IPv4Layout

__all__: list[str] = []

_SOURCE, _DESTINATION = IPv4Layout.SOURCE.span, IPv4Layout.DESTINATION.span
_TTL, _FRAGMENT = IPv4Layout.TTL.offset, IPv4Layout.FRAGMENT.offset
_DONT_FRAGMENT = IPv4Layout.DF.mask >> 8  # in the first byte of the field
_NEVER_UNICAST = (bytes(4), b"\xff\xff\xff\xff")


def _is_unicast(address: bytes) -> bool:
    return not 224 <= address[0] < 240 and address not in _NEVER_UNICAST


@loss("ip_route_input_slow", on=forwarded)
def ipv4_source_martian(skb: Skb, _: Way) -> bool:
    """The source is multicast, 255.255.255.255 or 0.0.0.0."""
    return not _is_unicast(skb.data[_SOURCE])


@loss("ip_route_input_rcu, ip_route_input_slow", on=forwarded)
def ipv4_destination_not_routed(skb: Skb, _: Way) -> bool:
    """The destination is multicast, 255.255.255.255 or 0.0.0.0."""
    return not _is_unicast(skb.data[_DESTINATION])


@loss("ip_forward", on=forwarded)
def ttl_expired(skb: Skb, _: Way) -> bool:
    """The TTL is 1 or 0."""
    return skb.data[_TTL] <= 1


@loss("ip_exceeds_mtu", on=forwarded)
def over_the_mtu_with_df(skb: Skb, way: Way) -> bool:
    """DF, and the packet, or each segment of a superpacket, is longer than the MTU."""
    if len(skb.data) <= way.mtu or not skb.data[_FRAGMENT] & _DONT_FRAGMENT:
        return False
    return not skb.gso_size or fragment.segment_length(skb) > way.mtu


@fact("ip_decrease_ttl", on=forwarded)
def checksum_of_a_lower_ttl(header_checksum: int) -> int:
    """The header checksum is not recomputed but raised by 0x0100, with carry; 0xFFFF becomes 0x0000."""
    total = header_checksum + 0x0100
    return (total + (total >= 0xFFFF)) & 0xFFFF
