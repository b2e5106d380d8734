"""IPv4 input: what `ip_rcv_core` (net/ipv4/ip_input.c) lets through, and what length it takes a packet to have."""

from tio.checksum import checksum
from tio.linux.rules import loss
from tio.linux.skb import TCP_TYPES, Skb
from tio.linux.traits import Trait
from tio.linux.way import Way
from tio.wire import IPv4Layout

__all__ = ["forwarded", "header_length", "total_length"]

_IHL, _IPV4 = IPv4Layout.IHL.mask, IPv4Layout.size
_TOTAL_LENGTH = IPv4Layout.TOTAL_LENGTH.offset


def forwarded(way: Way) -> bool:
    """Whether a path has an IP layer."""
    return way.forwarded


def header_length(skb: Skb) -> int:
    """Return the length that the IPv4 header states, in bytes."""
    return (skb.data[0] & _IHL) * 4


def total_length(skb: Skb) -> int:
    """Return the total length that the IPv4 header states."""
    return skb.data[_TOTAL_LENGTH] << 8 | skb.data[_TOTAL_LENGTH + 1]


@loss("ip_rcv_core", on=forwarded)
def ipv4_header_cut_off(skb: Skb) -> bool:
    """The IPv4 header is incomplete, or states a length under 20 bytes."""
    return not _IPV4 <= header_length(skb) <= len(skb.data)


@loss("ip_rcv_core", on=forwarded)
def ipv4_header_checksum_wrong(skb: Skb) -> bool:
    """The IPv4 header checksum is wrong."""
    return checksum(skb.data[: header_length(skb)]) != 0xFFFF


@loss("ip_rcv_core", on=forwarded)
def total_length_beyond_the_packet(skb: Skb) -> bool:
    """The total length exceeds the packet."""
    return total_length(skb) > len(skb.data)


@loss("ip_rcv_core", without=Trait.TOTLEN0, on=forwarded)
def total_length_inside_the_header(skb: Skb) -> bool:
    """The total length does not cover the header."""
    return total_length(skb) < header_length(skb)


@loss("iph_totlen", needs=Trait.TOTLEN0, on=forwarded)
def total_length_inside_the_header_but_not_zero(skb: Skb) -> bool:
    """The total length does not cover the header, and is not the 0 of a TCP superpacket, which means all of it."""
    stated = total_length(skb)
    return stated < header_length(skb) and not (stated == 0 and skb.gso_size and skb.type in TCP_TYPES)
