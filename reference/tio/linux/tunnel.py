"""Segmenting a superpacket inside a UDP tunnel: `__skb_udp_tunnel_segment` (net/ipv4/udp_offload.c)."""

import struct
from collections.abc import Callable

from tio.checksum import adjust, checksum, finish
from tio.linux.headers import find_transport, ihl_beyond_the_packet, ihl_under_five, ip_header_cut_off, stamp_ip
from tio.linux.rules import fact, loss
from tio.linux.skb import TCPV6, UDP_L4, Skb
from tio.linux.traits import Trait
from tio.linux.way import Way
from tio.linux.write import TUNNEL_HEADER_SIZE, inner_network
from tio.wire import UdpLayout, VnetLayout

__all__ = ["cut_tunnel"]

_WORD = struct.Struct(">H")
_TUNNEL_CSUM = 8
_UDP = 17
_GRE = 47
_FLAGS = VnetLayout.FLAGS.offset
_UDP_LENGTH, _UDP_CHECKSUM = UdpLayout.LENGTH.offset, UdpLayout.CHECKSUM.offset


def _with_tunnels(way: Way) -> bool:
    return way.header_size >= TUNNEL_HEADER_SIZE


@loss("inet_gso_segment, ipv6_gso_segment", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def outer_is_no_tunnel(skb: Skb) -> bool:
    """The outer IP header announces neither UDP nor GRE, or that header is incomplete."""
    return skb.protocol not in (_UDP, _GRE) or skb.l4 + UdpLayout.size > len(skb.data)


@loss("gre_gso_segment", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def gre_header_too_short(skb: Skb) -> bool:
    """Less than 4 bytes of GRE header lie before the inner IP header."""
    return skb.protocol == _GRE and inner_network(skb) < skb.l4 + 4


@fact("gre_gso_segment", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def gre_is_copied(skb: Skb) -> bool:
    """What the vnet header calls a UDP tunnel may also be GRE: its header is copied unchanged."""
    return skb.protocol == _GRE


@loss("__skb_udp_tunnel_segment", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def inner_before_outer(skb: Skb) -> bool:
    """The inner IP header begins before the outer UDP header, going by the outer IP header."""
    return inner_network(skb) < skb.l4


@fact("__skb_udp_tunnel_segment", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def outer_udp_length(length: int) -> int:
    """The outer UDP length of each segment is its actual length."""
    return length & 0xFFFF


@fact("__skb_udp_tunnel_segment", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def outer_udp_checksum(partial: int, whole: int, segment: bytes) -> int:
    """With flag 8 the outer checksum is completed from the given partial, adjusted from the actual length."""
    return finish(checksum(segment, adjust(partial, whole, len(segment))), zero=0xFFFF)


def inner_skb(skb: Skb) -> Skb:
    """Return the inner superpacket."""
    start = inner_network(skb)
    inner = Skb(skb.header + skb.data[start:], len(skb.header), 0x1F)
    inner.gso_size = skb.gso_size
    inner.csum_start -= start
    is_ipv6 = inner.version == 6 if inner.type == UDP_L4 else inner.type == TCPV6
    inner.version = 6 if is_ipv6 else 4
    return inner


def cut_tunnel(skb: Skb, trail: list[str], cut: Callable[[Skb, list[str]], list[bytes] | None]) -> list[bytes] | None:
    """Return the segments, each in its tunnel; `cut` segments what is inside."""
    for loses in (
        ip_header_cut_off,
        ihl_under_five,
        ihl_beyond_the_packet,
        outer_is_no_tunnel,
        gre_header_too_short,
        inner_before_outer,
    ):
        if loses(skb):
            trail.append(loses.__name__)
            return None
    inner = inner_skb(skb)
    find_transport(inner)
    pieces = cut(inner, trail)
    if pieces is None:
        return None
    if gre_is_copied(skb):
        trail.append("gre_is_copied")
        packets = [bytearray(skb.data[: inner_network(skb)] + piece) for piece in pieces]
    else:
        packets = _udp(skb, trail, pieces)
    for index, packet in enumerate(packets):
        stamp_ip(skb, packet, index)
    return [bytes(packet) for packet in packets]


def _udp(skb: Skb, trail: list[str], pieces: list[bytes]) -> list[bytearray]:
    """Return the segments with their outer UDP headers."""
    sums = bool(skb.header[_FLAGS] & _TUNNEL_CSUM)
    trail += ("outer_udp_length", "outer_udp_checksum") if sums else ("outer_udp_length",)
    whole, partial = len(skb.data) - skb.l4, _WORD.unpack_from(skb.data, skb.l4 + _UDP_CHECKSUM)[0]
    packets = []
    for piece in pieces:
        packet = bytearray(skb.data[: inner_network(skb)] + piece)
        _WORD.pack_into(packet, skb.l4 + _UDP_LENGTH, outer_udp_length(len(packet) - skb.l4))
        if sums:
            _WORD.pack_into(packet, skb.l4 + _UDP_CHECKSUM, 0)
            _WORD.pack_into(packet, skb.l4 + _UDP_CHECKSUM, outer_udp_checksum(partial, whole, bytes(packet[skb.l4 :])))
        packets.append(packet)
    return packets
