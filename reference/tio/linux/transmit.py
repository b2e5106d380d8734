"""Towards the reader: `validate_xmit_skb` (net/core/dev.c) segments, completes checksums, or passes a packet on."""

import struct
from collections.abc import Callable

from tio.checksum import checksum
from tio.linux import cut, headers, ufo
from tio.linux.headers import find_transport
from tio.linux.outcome import NotModelled
from tio.linux.reader import Reader, partial_of
from tio.linux.rules import fact, loss, rules_of
from tio.linux.skb import PROTOCOLS, TCP_TYPES, UFO, Skb
from tio.linux.traits import Trait, Traits
from tio.linux.tunnel import cut_tunnel
from tio.linux.way import Way
from tio.wire import IPv6Layout

__all__ = ["Transmission"]

_WORD = struct.Struct(">H")
_IPV6 = IPv6Layout.size


@loss("tcf_classify, u32_classify", on=lambda way: not way.forwarded)
def too_short_for_the_filter(skb: Skb) -> bool:
    """The tc filter that redirects (u32) cannot read its key from a packet of 1 to 3 bytes."""
    return len(skb.data) < 4


@fact("skb_checksum_help")
def completed_checksum(total: int) -> int:
    """The sum from csum_start to the end of the packet is inverted and stored, wherever the field is."""
    return ~total & 0xFFFF


@fact("skb_checksum_help")
def completed_zero(_: int) -> int:
    """A completed checksum of 0x0000 is stored as 0xFFFF, for TCP too."""
    return 0xFFFF


def complete(skb: Skb, trail: list[str]) -> bytes:
    """Return a packet with its partial checksum completed (`skb_checksum_help`)."""
    trail.append("completed_checksum")
    value = completed_checksum(checksum(skb.data[skb.csum_start :]))
    if value == 0:
        trail.append("completed_zero")
        value = completed_zero(value)
    field = skb.csum_start + skb.csum_offset
    return b"".join((skb.data[:field], _WORD.pack(value), skb.data[field + 2 :]))


class Transmission:
    """The last stage of the kernel on a way."""

    def __init__(self, traits: Traits, way: Way) -> None:
        self._reader = Reader(traits, way)
        self._filters = not way.forwarded
        self._count = cut.whole_length if Trait.BIGTCP_CSUM in traits else cut.whole_length_in_16_bits
        self._cuts_out_jumbo = Trait.HBH_JUMBO_STRIP in traits
        self._overwrites_tcp = Trait.HBH_JUMBO_ETHERNET in traits
        losses = [
            rule
            for module in (headers.__name__, cut.__name__, ufo.__name__)
            for rule in rules_of(module, "loss", traits=traits, way=way)
        ]
        self._losses: dict[int, tuple[tuple[str, Callable[[Skb], bool]], ...]] = {
            kind: tuple((rule.name, rule.function) for rule in losses if not rule.of or kind in rule.of)
            for kind in PROTOCOLS
        }

    def send(self, skb: Skb, trail: list[str]) -> list[bytes] | None:
        """Return what the reader gets, read by read; None if the packet is lost."""
        if self._reader.faults:
            trail.append("tunnel_reader_with_short_header")
            return None
        if self._filters and too_short_for_the_filter(skb):
            trail.append("too_short_for_the_filter")
            return None
        trail += self._reader.facts
        if skb.tunnel and self._reader.has_header:
            raise NotModelled("a superpacket inside a tunnel, for a reader with a vnet header")
        if skb.gso_size == 0:
            return self._one(skb, trail)
        find_transport(skb)
        if skb.version == 6 and skb.l4 > _IPV6:
            trail.append("walked_extensions")
        if skb.tunnel:
            packets = cut_tunnel(skb, trail, self._cut)
            return None if packets is None else self._reader.plain(packets)
        return self._superpacket(skb, trail)

    def _one(self, skb: Skb, trail: list[str]) -> list[bytes]:
        """A packet that is not to be segmented: its checksum is completed, or left to a reader that takes partials."""
        if not skb.partial:
            return self._reader.plain([skb.data])
        if self._reader.completes:
            return self._reader.plain([complete(skb, trail)])
        return self._reader.partial([skb.data], skb.csum_start, skb.csum_offset, trail)

    def _is_lost(self, skb: Skb, trail: list[str]) -> bool:
        for name, loses in self._losses[skb.type]:
            if loses(skb):
                trail.append(name)
                return True
        return False

    def _cut(self, skb: Skb, trail: list[str], *, complete: bool = True) -> list[bytes] | None:
        """Segment in software, with complete checksums if `complete`; None if the packet is lost."""
        if self._cuts_out_jumbo and headers.jumbo_header_is_cut_out(skb):
            self._cut_out_jumbo_header(skb, trail)
        if self._is_lost(skb, trail):
            return None
        if skb.type in TCP_TYPES:
            return cut.cut_tcp(skb, trail, complete=complete, count=self._count)
        return ufo.cut_ufo(skb, trail) if skb.type == UFO else cut.cut_udp(skb, trail, complete=complete)

    def _cut_out_jumbo_header(self, skb: Skb, trail: list[str]) -> None:
        trail.append("jumbo_header_is_cut_out")
        rest = skb.data[_IPV6 + headers.HOP_HEADER :]
        if self._overwrites_tcp:
            trail.append("jumbo_option_over_tcp")
            rest = headers.jumbo_option_over_tcp(skb.data)
        headers.cut_out_jumbo_header(skb, rest)

    def _superpacket(self, skb: Skb, trail: list[str]) -> list[bytes] | None:
        reader = self._reader
        if reader.may_take(skb, trail):
            if self._is_lost(skb, trail):
                return None
            packet = cut.with_partial(skb, trail) if skb.type in TCP_TYPES and not skb.needs_csum else skb.data
            return [reader.whole(skb, packet, cut.payload_offset(skb), trail)]
        packets = self._cut(skb, trail, complete=reader.completes)
        if packets is None:
            return None
        if skb.type == UFO:
            return reader.fragments(packets, trail)
        return reader.plain(packets) if reader.completes else reader.partial(packets, *partial_of(skb), trail)
