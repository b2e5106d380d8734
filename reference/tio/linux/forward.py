"""The IP layer of a router between two TUNs: what it does with a frame that enters by one and is to leave by the other.

IPv4   `ip_input`, the packet trimmed, `ip_forward` and `ip_options`, then `fragment` if it exceeds the MTU
IPv6   `ip6_input`, the packet trimmed, `hop_options`, `ip6_forward`
"""

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tio.linux import fragment, hop_options, ip6_forward, ip6_input, ip_forward, ip_input, ip_options
from tio.linux.ip_input import forwarded
from tio.linux.rules import fact, loss, rules_of
from tio.linux.skb import TCP_TYPES, Skb
from tio.linux.traits import Trait, Traits
from tio.linux.transmit import Transmission
from tio.linux.way import Way
from tio.tuntap import Offload
from tio.virtio import HEADER_SIZE
from tio.wire import IPv4Layout, IPv6Layout, TcpLayout

__all__ = ["Router"]

_WORD = struct.Struct(">H")
_TTL, _CHECKSUM = IPv4Layout.TTL.offset, IPv4Layout.CHECKSUM.offset
_HOP_LIMIT, _PAYLOAD_LENGTH = IPv6Layout.HOP_LIMIT.offset, IPv6Layout.PAYLOAD_LENGTH.span
_DATA_OFFSET = TcpLayout.DATA_OFFSET_RESERVED.offset

_Losses = tuple[tuple[str, Callable[..., Any]], ...]
"""Losses by name, in the kernel's order."""


@loss("pskb_trim_rcsum", on=forwarded)
def checksum_field_trimmed_off(skb: Skb, length: int) -> bool:
    """The packet is longer than its IP header states, and a partial checksum's field ends beyond that length."""
    return skb.partial and skb.csum_end > length


@fact("pskb_trim_rcsum", on=forwarded)
def trimmed(skb: Skb, length: int) -> bytes:
    """What lies beyond the length that the IP header states is trimmed off."""
    return skb.data[:length]


@fact("ip_finish_output_gso, ip6_finish_output_gso_slowpath_drop", on=forwarded)
def cut_before_the_link(skb: Skb, mtu: int) -> bool:
    """A superpacket whose segments exceed the MTU is segmented in software, even if the superpacket itself fits."""
    return skb.gso_size > 0 and fragment.segment_length(skb) > mtu


@loss("qdisc_pkt_len_segs_init", needs=Trait.EXTENSIONS_READ_AS_TCP, on=forwarded)
def no_tcp_header_behind_ip(skb: Skb) -> bool:
    """A TCP superpacket that leaves whole has no TCP header with payload where the IP layer takes that to begin."""
    if skb.type not in TCP_TYPES or not skb.gso_size:
        return False
    start = skb.csum_start if skb.tunnel else skb.l4
    if start + TcpLayout.size > len(skb.data):
        return True
    header = skb.data[start + _DATA_OFFSET] >> 4 << 2
    return header < TcpLayout.size or start + header >= len(skb.data)


class Router:
    """The IP layer of a kernel with given traits, on a `forwarded` path."""

    def __init__(self, traits: Traits, way: Way) -> None:
        def losses(module: str) -> _Losses:
            return tuple((rule.name, rule.function) for rule in rules_of(module, "loss", traits=traits, way=way))

        self._way = way
        self._ip_input, self._ip_forward = losses(ip_input.__name__), losses(ip_forward.__name__)
        self._ip6_input, self._ip6_forward = losses(ip6_input.__name__), losses(ip6_forward.__name__)
        self._options, self._hop_options = losses(ip_options.__name__), losses(hop_options.__name__)
        self._fragment = losses(fragment.__name__)
        self._ip6_length = ip6_input.ipv6_length_of_tcp if Trait.PAYLEN0 in traits else ip6_input.ipv6_length
        self._reads_tcp = Trait.EXTENSIONS_READ_AS_TCP in traits
        # Segments as ip_output has them: with partial checksums if the link completes those.
        reader = None if way.reader is None else way.reader & Offload.CSUM
        self._header_size = 0 if reader is None else HEADER_SIZE
        self._software = Transmission(traits, replace(way, reader=reader, reader_header_size=HEADER_SIZE))

    def route(self, skb: Skb, trail: list[str]) -> list[Skb] | None:
        """Return what goes to the outgoing link; None if the packet is lost, and then the trail says why.

        Usually `skb` itself, changed; or the packets made from it. Raises `NotModelled` where the model makes no
        prediction.
        """
        packets = self._route_ipv4(skb, trail) if skb.version == 4 else self._route_ipv6(skb, trail)
        if self._reads_tcp and packets and packets[0] is skb and no_tcp_header_behind_ip(skb):
            trail.append("no_tcp_header_behind_ip")
            return None
        return packets

    def _route_ipv4(self, skb: Skb, trail: list[str]) -> list[Skb] | None:
        if _is_lost(self._ip_input, trail, skb):
            return None
        skb.l4 = ip_input.header_length(skb)
        if not _trim(skb, ip_input.total_length(skb) or len(skb.data), trail):
            return None
        if ip_options.has_options(skb) and not ip_options.process_options(skb, self._options, trail):
            return None
        if self._is_lost_on_the_way(self._ip_forward, skb, trail):
            return None
        trail.append("checksum_of_a_lower_ttl")
        data = bytearray(skb.data)
        data[_TTL] = data[_TTL] - 1 & 0xFF
        (total,) = _WORD.unpack_from(data, _CHECKSUM)
        _WORD.pack_into(data, _CHECKSUM, ip_forward.checksum_of_a_lower_ttl(total))
        skb.data = bytes(data)
        return self._fit(skb, trail)

    def _route_ipv6(self, skb: Skb, trail: list[str]) -> list[Skb] | None:
        if _is_lost(self._ip6_input, trail, skb):
            return None
        if skb.data[_PAYLOAD_LENGTH] == b"\0\0":
            trail.append(self._ip6_length.__name__)
        if not _trim(skb, self._ip6_length(skb), trail):
            return None
        skb.l4 = hop_options.hop_header_end(skb)
        if skb.l4 > IPv6Layout.size:
            length = hop_options.length_by_hop_options(skb, self._hop_options, trail)
            if length is None or not _trim(skb, length, trail):
                return None
        if self._is_lost_on_the_way(self._ip6_forward, skb, trail):
            return None
        data = bytearray(skb.data)
        data[_HOP_LIMIT] = data[_HOP_LIMIT] - 1 & 0xFF
        skb.data = bytes(data)
        return self._segments(skb, trail) if cut_before_the_link(skb, self._way.mtu) else [skb]

    def _is_lost_on_the_way(self, losses: _Losses, skb: Skb, trail: list[str]) -> bool:
        if skb.gso_size and len(skb.data) > self._way.mtu:
            trail.append("segment_length")
        return _is_lost(losses, trail, skb, self._way)

    def _fit(self, skb: Skb, trail: list[str]) -> list[Skb] | None:
        """Segment and fragment an IPv4 packet that exceeds the MTU and may be fragmented."""
        mtu = self._way.mtu
        if cut_before_the_link(skb, mtu):
            segments = self._segments(skb, trail)
            if segments is None:
                return None
        elif skb.gso_size or len(skb.data) <= mtu:
            return [skb]
        else:
            segments = [skb]
        fragments: list[Skb] = []
        for segment in segments:
            if not _is_lost(self._fragment, trail, segment):
                fragments += fragment.fragment(segment, mtu, trail)
        return fragments or None

    def _segments(self, skb: Skb, trail: list[str]) -> list[Skb] | None:
        trail.append("cut_before_the_link")
        packets = self._software.send(skb, trail)
        return None if packets is None else [Skb(packet, self._header_size, 0xFF) for packet in packets]


def _is_lost(losses: _Losses, trail: list[str], *met: object) -> bool:
    for name, loses in losses:
        if loses(*met):
            trail.append(name)
            return True
    return False


def _trim(skb: Skb, length: int, trail: list[str]) -> bool:
    """Trim the packet to `length` bytes; return whether it survived that."""
    if length >= len(skb.data):
        return True
    if checksum_field_trimmed_off(skb, length):
        trail.append("checksum_field_trimmed_off")
        return False
    skb.data = trimmed(skb, length)
    trail.append("trimmed")
    return True
