"""What may be written to a TUN: `tun_get_user` (drivers/net/tun.c) and `virtio_net_hdr_to_skb` (virtio_net.h).

The refusals are in the kernel's order: the first that holds gives the errno. A frame that meets none is accepted, and
the facts at the end say what the kernel takes it for: a superpacket, or a single packet.
"""

import errno

from tio.linux.dissect import Flow, dissect, dissect_ipv6
from tio.linux.rules import fact, refusal
from tio.linux.skb import ECN, PROTOCOLS, TCP_TYPES, TCPV4, TCPV6, TUNNEL, UDP_L4, UFO, Skb
from tio.linux.traits import Trait, Traits
from tio.linux.way import Way
from tio.virtio import HEADER_SIZE
from tio.wire import IPv4Layout, IPv6Layout, TcpLayout, TunnelLayout, UdpLayout

__all__ = ["TUNNEL_HEADER_SIZE", "header_read", "inner_network"]

TUNNEL_HEADER_SIZE = TunnelLayout.size
"""The size of vnet header, in bytes, from which on the UDP tunnel fields are read (`virtio_net_hdr_v1_hash_tunnel`)."""

_HEADROOM = 64  # NET_SKB_PAD: what an skb has before its data
_PAGES = 17 * 4096  # MAX_SKB_FRAGS pages
_GSO_BY_FRAGS = 0xFFFF
_ETHERNET = 14
_TYPED = tuple(PROTOCOLS)

_OUTER_TRANSPORT, _INNER_NETWORK = TunnelLayout.OUTER_TRANSPORT.span, TunnelLayout.INNER_NETWORK.span
_IPV4, _IPV6, _UDP = IPv4Layout.size, IPv6Layout.size, UdpLayout.size
_TCP_CHECKSUM, _UDP_CHECKSUM = TcpLayout.CHECKSUM.offset, UdpLayout.CHECKSUM.offset


def _with_tunnels(way: Way) -> bool:
    return way.header_size >= TUNNEL_HEADER_SIZE


# Before there is an skb ----------------------------------------------------------------------------------------------


@refusal(errno.EBADFD, "tun_chr_write_iter", on=lambda way: not way.attached)
def no_device(_: Skb, __: Way) -> bool:
    """The fd has no device."""
    return True


@refusal(errno.EINVAL, "tun_vnet_hdr_get")
def no_whole_header(skb: Skb, way: Way) -> bool:
    """The frame is shorter than the vnet header."""
    return skb.size < way.header_size


def header_read(traits: Traits, way: Way) -> int:
    """Return how many bytes of the vnet header are read; the rest is skipped."""
    return TUNNEL_HEADER_SIZE if Trait.UDP_TUNNEL in traits and _with_tunnels(way) else HEADER_SIZE


@refusal(errno.EFAULT, "tun_vnet_hdr_get", on=lambda way: way.readable is not None)
def header_unreadable(skb: Skb, way: Way) -> bool:
    """The memory of the vnet header cannot be read."""
    return way.readable is not None and way.readable < skb.header_read


@fact("tun_vnet_hdr_get")
def linear_length(skb: Skb) -> int:
    """hdr_len is raised to the end of the checksum field, modulo 2**16."""
    return max(skb.hdr_len, skb.csum_end) & 0xFFFF if skb.needs_csum else skb.hdr_len


@refusal(errno.EINVAL, "tun_get_user", without=Trait.HDR_LEN_LOOSE)
def hdr_len_beyond_the_packet(skb: Skb, _: Way) -> bool:
    """hdr_len, or the end of the checksum field, lies beyond the packet."""
    return skb.linear > len(skb.data)


@refusal(errno.EINVAL, "tun_vnet_hdr_get", needs=Trait.HDR_LEN_LOOSE)
def hdr_len_beyond_the_frame(skb: Skb, _: Way) -> bool:
    """hdr_len, or the end of the checksum field, lies beyond all that follows the vnet header's part that is read."""
    return skb.linear > skb.size - skb.header_read


@refusal(errno.EMSGSIZE, "sock_alloc_send_pskb", without=Trait.LONG_FRAMES)
def too_long_for_pages(skb: Skb, _: Way) -> bool:
    """More than 17 pages would lie outside the linear part; hdr_len 0 makes everything linear."""
    return skb.linear != 0 and len(skb.data) - skb.linear > _PAGES


@refusal(errno.EFAULT, "skb_copy_datagram_from_iter", on=lambda way: way.readable is not None)
def packet_unreadable(skb: Skb, way: Way) -> bool:
    """The memory of the packet cannot be read; that of the skipped part of a longer vnet header does not matter."""
    return way.readable is not None and way.readable < skb.size and skb.data != b""


@refusal(errno.EINVAL, "tun_get_user", needs=Trait.DISSECTED)
def version_unknown_at_once(skb: Skb, _: Way) -> bool:
    """The version nibble is not 4 or 6, or there is no packet; checked before the vnet header."""
    return skb.version not in (4, 6)


# UDP tunnels ---------------------------------------------------------------------------------------------------------


def outer_transport(skb: Skb) -> int:
    """Return where the outer UDP header begins, by the vnet header."""
    return int.from_bytes(skb.header[_OUTER_TRANSPORT], "little")


def inner_network(skb: Skb) -> int:
    """Return where the inner IP header begins, by the vnet header."""
    return int.from_bytes(skb.header[_INNER_NETWORK], "little")


@refusal(errno.EINVAL, "virtio_net_hdr_tnl_to_skb", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def tunnel_over_both_versions(skb: Skb, _: Way) -> bool:
    """Both tunnel bits are set."""
    return skb.tunnel == TUNNEL


@refusal(errno.EINVAL, "virtio_net_hdr_tnl_to_skb", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def tunnel_without_superpacket(skb: Skb, _: Way) -> bool:
    """A tunnel has no type, or UFO."""
    return skb.tunnel != 0 and skb.type in (0, UFO)


@refusal(errno.EINVAL, "virtio_net_hdr_tnl_to_skb", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def tunnel_without_needs_csum(skb: Skb, _: Way) -> bool:
    """A tunnel has no NEEDS_CSUM."""
    return skb.tunnel != 0 and not skb.needs_csum


def _outer_minimum(skb: Skb) -> int:
    return _IPV6 if skb.tunnel & 0x40 else _IPV4


@refusal(errno.EINVAL, "virtio_net_hdr_tnl_to_skb", needs=Trait.TUNNEL_OUTER_ETHERNET, on=_with_tunnels)
def tunnel_outer_as_if_on_ethernet(skb: Skb, _: Way) -> bool:
    """The outer transport header does not leave room for an IP header after an Ethernet header, which is not there."""
    return skb.tunnel != 0 and outer_transport(skb) < _ETHERNET + _outer_minimum(skb)


@refusal(
    errno.EINVAL,
    "virtio_net_hdr_tnl_to_skb",
    needs=Trait.UDP_TUNNEL,
    without=Trait.TUNNEL_OUTER_ETHERNET,
    on=_with_tunnels,
)
def tunnel_outer_inside_ip(skb: Skb, _: Way) -> bool:
    """The outer transport header does not leave room for an IP header."""
    return skb.tunnel != 0 and outer_transport(skb) < _outer_minimum(skb)


@refusal(errno.EINVAL, "virtio_net_hdr_tnl_to_skb", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def tunnel_inner_inside_outer(skb: Skb, _: Way) -> bool:
    """The inner IP header does not leave room for the outer UDP header."""
    return skb.tunnel != 0 and inner_network(skb) < outer_transport(skb) + _UDP


@refusal(errno.EINVAL, "virtio_net_hdr_tnl_to_skb", needs=Trait.UDP_TUNNEL, on=_with_tunnels)
def tunnel_csum_start_inside_inner_ip(skb: Skb, _: Way) -> bool:
    """csum_start does not leave room for the inner IP header."""
    if not skb.tunnel:
        return False
    start = inner_network(skb)
    inner = skb.data[start] >> 4 if skb.type == UDP_L4 and start < len(skb.data) else 0
    return skb.csum_start < start + (_IPV6 if skb.type == TCPV6 or inner == 6 else _IPV4)


# The vnet header -----------------------------------------------------------------------------------------------------


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.USO)
def type_unknown(skb: Skb, _: Way) -> bool:
    """The type is not TCPV4, UDP, TCPV6 or UDP_L4; the ECN bit alone is not a type either."""
    return skb.raw_type != 0 and skb.transport == 0


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", without=Trait.USO)
def type_unknown_without_uso(skb: Skb, _: Way) -> bool:
    """The type is not TCPV4, UDP or TCPV6."""
    return skb.raw_type != 0 and (skb.transport == 0 or skb.type == UDP_L4)


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb")
def gso_size_zero(skb: Skb, _: Way) -> bool:
    """There is a type, and gso_size is 0."""
    return skb.raw_type != 0 and skb.raw_gso_size == 0


def _needed(skb: Skb) -> int:
    """Return how many bytes the checksum field and the transport header need."""
    return skb.csum_start + max(skb.transport, skb.csum_offset + 2)


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.GSO_REMAINDER_CHECKED)
def remainder_of_the_whole_length(skb: Skb, _: Way) -> bool:
    """The whole length, headers included, leaves a remainder modulo gso_size that is not larger than the headers."""
    size, length, needed = skb.raw_gso_size, len(skb.data), _needed(skb)
    if not skb.needs_csum or size == 0:
        return False
    return length < size or size <= needed or 0 < length % size <= needed


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb")
def csum_field_beyond_the_packet(skb: Skb, _: Way) -> bool:
    """NEEDS_CSUM, and the checksum field or the transport header lies beyond the packet."""
    return skb.needs_csum and _needed(skb) > len(skb.data)


@refusal(errno.EINVAL, "skb_partial_csum_set")
def csum_start_beyond_16_bits(skb: Skb, _: Way) -> bool:
    """NEEDS_CSUM, and csum_start plus the headroom does not fit in 16 bits."""
    return skb.needs_csum and _HEADROOM + skb.csum_start > 0xFFFF


@refusal(errno.EINVAL, "skb_partial_csum_set", needs=Trait.CSUM_START_CEILING)
def csum_start_for_no_transport_header(skb: Skb, _: Way) -> bool:
    """NEEDS_CSUM, and csum_start plus the headroom is 65535, which stands for no transport header."""
    return skb.needs_csum and _HEADROOM + skb.csum_start == 0xFFFF


def _ip_minimum(skb: Skb) -> int:
    """Return the minimum length of the IP header that the type implies."""
    return _IPV6 if skb.type == TCPV6 else _IPV4


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.CSUM_START_FLOOR)
def csum_start_inside_the_ip_header(skb: Skb, _: Way) -> bool:
    """NEEDS_CSUM, and csum_start is under 20, or 40 for TCPV6."""
    return skb.needs_csum and skb.csum_start < _ip_minimum(skb)


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", without=Trait.NOCSUM_MIN_LEN, of=_TYPED)
def nocsum_shorter_than_a_transport_header(skb: Skb, _: Way) -> bool:
    """A type without NEEDS_CSUM, and not even a transport header fits."""
    return not skb.needs_csum and len(skb.data) < skb.transport


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.NOCSUM_MIN_LEN, without=Trait.DISSECTED, of=_TYPED)
def nocsum_shorter_than_its_headers(skb: Skb, _: Way) -> bool:
    """A type without NEEDS_CSUM, and the minimum headers that it implies do not fit."""
    return not skb.needs_csum and len(skb.data) < _ip_minimum(skb) + skb.transport


def _flow(skb: Skb) -> Flow | None:
    """Return what a packet is. UFO covers both IP versions: what is not IPv4 is tried as IPv6."""
    flow = dissect(skb.data)
    return dissect_ipv6(skb.data) if flow is None and skb.type == UFO and skb.version == 4 else flow


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.DISSECTED, of=_TYPED)
def nocsum_not_dissected(skb: Skb, _: Way) -> bool:
    """A type without NEEDS_CSUM, and the headers do not say what the packet is, or its transport header is cut off."""
    if skb.needs_csum:
        return False
    flow = _flow(skb)
    return flow is None or flow.offset + skb.transport > len(skb.data)


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.DISSECTED, of=_TYPED)
def nocsum_of_another_protocol(skb: Skb, _: Way) -> bool:
    """A type without NEEDS_CSUM, and the packet has another protocol."""
    flow = None if skb.needs_csum else _flow(skb)
    return flow is not None and flow.protocol != PROTOCOLS[skb.type]


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.DISSECTED, of=TCP_TYPES)
def nocsum_of_another_version(skb: Skb, _: Way) -> bool:
    """A TCP type without NEEDS_CSUM, and the packet, or what is tunnelled in it, has the other IP version."""
    flow = None if skb.needs_csum else _flow(skb)
    return flow is not None and flow.version != (4 if skb.type == TCPV4 else 6)


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.USO_STRICT, of=(UDP_L4,))
def uso_without_needs_csum(skb: Skb, _: Way) -> bool:
    """UDP_L4 without NEEDS_CSUM."""
    return not skb.needs_csum


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.USO_STRICT, of=(UDP_L4,))
def uso_csum_offset(skb: Skb, _: Way) -> bool:
    """UDP_L4, and csum_offset is not 6."""
    return skb.csum_offset != _UDP_CHECKSUM


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.USO_128, of=(UDP_L4,))
def uso_of_more_than_128_segments(skb: Skb, _: Way) -> bool:
    """UDP_L4, and what follows the headers is more than 128 times gso_size."""
    return len(skb.data) - skb.csum_start - _UDP > skb.raw_gso_size * 128


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.USO_STRICT, without=Trait.USO_128, of=(UDP_L4,))
def uso_of_more_than_64_segments(skb: Skb, _: Way) -> bool:
    """UDP_L4, and what follows the headers is more than 64 times gso_size."""
    return len(skb.data) - skb.csum_start - _UDP > skb.raw_gso_size * 64


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.USO_STRICT, of=(UDP_L4,))
def uso_with_ecn(skb: Skb, _: Way) -> bool:
    """UDP_L4 with the ECN bit."""
    return skb.raw_type >= ECN


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.TSO_CSUM_CHECKED, of=TCP_TYPES)
def tso_csum_offset(skb: Skb, _: Way) -> bool:
    """A TCP type with NEEDS_CSUM, and csum_offset is not 16."""
    return skb.needs_csum and skb.csum_offset != _TCP_CHECKSUM


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", needs=Trait.NOCSUM_CSUM_OFFSET, of=TCP_TYPES)
def tso_csum_offset_of_nothing(skb: Skb, _: Way) -> bool:
    """A TCP type without NEEDS_CSUM, and csum_offset, which nothing uses, is not 16."""
    return not skb.needs_csum and skb.csum_offset != _TCP_CHECKSUM


@refusal(errno.EINVAL, "virtio_net_hdr_to_skb", of=_TYPED)
def gso_size_by_frags(skb: Skb, _: Way) -> bool:
    """There is a type, and gso_size is 0xFFFF, which has a special meaning inside the kernel."""
    return skb.raw_gso_size == _GSO_BY_FRAGS


# After the vnet header -----------------------------------------------------------------------------------------------


@refusal(errno.EINVAL, "tun_get_user", without=Trait.DISSECTED)
def version_unknown(skb: Skb, _: Way) -> bool:
    """The version nibble is not 4 or 6, or there is no packet."""
    return skb.version not in (4, 6)


@refusal(errno.EIO, "tun_get_user", on=lambda way: not way.up)
def link_down(_: Skb, __: Way) -> bool:
    """The device is down."""
    return True


# What was accepted ---------------------------------------------------------------------------------------------------


@fact("virtio_net_hdr_to_skb", needs=Trait.MIN_GSO_8)
def raised_gso_size(skb: Skb) -> int:
    """gso_size of a TCP type is raised to 8."""
    return max(skb.raw_gso_size, 8) if skb.type in TCP_TYPES else skb.raw_gso_size


@fact("virtio_net_hdr_to_skb", needs=Trait.NOCSUM_MIN_LEN)
def counted_headers(skb: Skb) -> int:
    """What counts as headers in deciding whether there is anything to segment: TCP options count as payload."""
    if skb.needs_csum:
        return skb.csum_start + skb.transport
    return _ip_minimum(skb) + skb.transport


@fact("virtio_net_hdr_to_skb", without=Trait.NOCSUM_MIN_LEN)
def counted_headers_without_ip(skb: Skb) -> int:
    """Without NEEDS_CSUM the IP header counts as payload."""
    return skb.csum_start + skb.transport if skb.needs_csum else skb.transport


@fact("virtio_net_hdr_to_skb", needs=Trait.DISSECTED)
def counted_headers_dissected(skb: Skb) -> int:
    """Without NEEDS_CSUM the headers are counted up to where dissection found the transport header."""
    if skb.needs_csum:
        return skb.csum_start + skb.transport
    flow = _flow(skb)
    return skb.transport + (flow.offset if flow else 0)


@fact("virtio_net_hdr_to_skb", needs=Trait.DISSECTED)
def ufo_taken_for_ipv6(skb: Skb) -> bool:
    """UFO without NEEDS_CSUM whose IPv4 header is invalid, but would do as an IPv6 header, is IPv6 from there on."""
    return skb.type == UFO and not skb.needs_csum and skb.version == 4 and dissect(skb.data) is None


@fact("virtio_net_hdr_to_skb")
def ufo_counts_its_header(skb: Skb) -> int:
    """gso_size of UFO counts the UDP header too."""
    return skb.transport


@fact("virtio_net_hdr_to_skb")
def nothing_to_cut(skb: Skb, size: int) -> bool:
    """A typed packet with at most gso_size bytes after its headers is one packet, and its NEEDS_CSUM is honoured."""
    return len(skb.data) - skb.headers <= size
