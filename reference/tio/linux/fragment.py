"""Packets longer than the MTU: `skb_gso_validate_network_len` (net/core/gso.c), `ip_do_fragment` (net/ipv4).

IPv6 routers do not fragment. IPv4 without DF: a superpacket is segmented in software, its checksums completed, and each
segment fragmented, even one that is short enough.
"""

import struct

from tio.linux.headers import seal_ipv4
from tio.linux.ip_input import forwarded
from tio.linux.outcome import NotModelled
from tio.linux.rules import fact, loss
from tio.linux.skb import TCP_TYPES, UDP_L4, Skb
from tio.linux.traits import Trait
from tio.linux.transmit import complete
from tio.wire import IPv4Layout, IPv6Layout, TcpLayout, UdpLayout

__all__ = ["fragment", "plain", "segment_length"]

_WORD = struct.Struct(">H")
_MORE, _OFFSET = IPv4Layout.MF.mask, IPv4Layout.FRAGMENT_OFFSET.mask
_IHL, _IPV4 = IPv4Layout.IHL.mask, IPv4Layout.size
_TOTAL_LENGTH, _FRAGMENT = IPv4Layout.TOTAL_LENGTH.offset, IPv4Layout.FRAGMENT.offset
_DATA_OFFSET = TcpLayout.DATA_OFFSET_RESERVED.offset
_END, _NOP = 0, 1
_TCP = 6
_SHORT = 4096 - 64  # shorter packets are linear, whatever was requested: with their headroom they fit in a page
_MAX_HEAD = 3712  # of a longer packet no more than this is made linear (see `reader`)
_COPIED = 0x80


def plain(packet: bytes) -> Skb:
    """Return a packet with nothing left to do."""
    return Skb(packet, 0, 0xFF)


@fact("skb_gso_network_seglen", on=forwarded)
def segment_length(skb: Skb) -> int:
    """A segment's length is guessed: extension headers other than hop-by-hop, and UFO's header, do not count.

    It is where the transport header begins if there are none, plus the length of a TCP header as the word in that place
    states it, or 8 for UDP_L4, plus gso_size. Raises `NotModelled` if the kernel would read that word from memory that
    holds no part of the packet (`tcp_hdrlen`).
    """
    start = skb.csum_start if skb.tunnel else skb.l4
    length = start + skb.gso_size
    if skb.type in TCP_TYPES:
        word = start + _DATA_OFFSET
        if skb.size - len(skb.header) >= _SHORT and word >= _linear_end(skb):
            raise NotModelled("TCP data offset outside the linear part: the contents of kernel memory decide")
        return length + (skb.data[word] >> 4 << 2 if word < len(skb.data) else 0)
    return length + (UdpLayout.size if skb.type == UDP_L4 and not skb.tunnel else 0)


def _linear_end(skb: Skb) -> int:
    """Return the minimum linear length of a long packet: what was requested, or pulled in by what was read so far."""
    read = max(skb.headers, skb.l4)
    if skb.version == 4:
        is_demuxed = skb.data[IPv4Layout.PROTOCOL.offset] == _TCP and not _fragment_word(skb.data) & (_MORE | _OFFSET)
    else:
        is_demuxed = skb.data[IPv6Layout.NEXT_HEADER.offset] == _TCP
    if is_demuxed:  # tcp_v4_early_demux, tcp_v6_early_demux
        read = skb.l4 + TcpLayout.size
    return max(min(skb.linear or _MAX_HEAD, _MAX_HEAD), read)


def _fragment_word(data: bytes) -> int:
    """Return fragment bits and offset of an IPv4 header."""
    word: int = _WORD.unpack_from(data, _FRAGMENT)[0]
    return word


@loss("ip_do_fragment", needs=Trait.FRAG_CSUM_START, on=forwarded)
def csum_start_inside_what_is_repeated(skb: Skb) -> bool:
    """A partial checksum that begins inside the IPv4 header of a packet to be fragmented."""
    return skb.partial and skb.csum_start < (skb.data[0] & _IHL) * 4


@loss("skb_checksum_help", without=Trait.TSO_CSUM_CHECKED, on=forwarded)
def checksum_field_behind_the_segment(skb: Skb) -> bool:
    """A segment to be fragmented is so short that the field of its partial checksum lies beyond it."""
    return skb.partial and skb.csum_end > len(skb.data)


@fact("ip_frag_next", on=forwarded)
def fragment_payload(room: int) -> int:
    """All fragments but the last carry as many bytes as fit, in units of 8."""
    return room & ~7


@fact("ip_frag_next", on=forwarded)
def fragment_bits(fragmented: int, before: int, *, more: bool) -> int:
    """Offsets continue from the packet's own; MF stays, or is set on all but the last; the reserved bit is cleared."""
    more = more or bool(fragmented & _MORE)
    return ((fragmented & _OFFSET) + (before >> 3)) & 0xFFFF | (_MORE if more else 0)


@fact("ip_options_fragment", on=forwarded)
def options_of_later_fragments(header: bytes) -> bytes:
    """Options without the copied bit become NOPs in all fragments but one with offset 0."""
    options, at = bytearray(header[_IPV4:]), 0
    while at < len(options) and options[at] != _END:
        if options[at] == _NOP:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        if not 2 <= size <= len(options) - at:
            break
        if not options[at] & _COPIED:
            options[at : at + size] = bytes((_NOP,)) * size
        at += size
    return header[:_IPV4] + options


def fragment(skb: Skb, mtu: int, trail: list[str]) -> list[Skb]:
    """Return the fragments of an IPv4 packet that is not a superpacket; one that fits becomes a single fragment.

    Raises `NotModelled` if completing the checksum changes the length of the header.
    """
    data = complete(skb, trail) if skb.partial else skb.data
    if data[0] != skb.data[0]:
        raise NotModelled("checksum completed in the byte that states the length of the IPv4 header")
    end = start = (data[0] & _IHL) * 4
    room, bits = mtu - end, _fragment_word(data)
    first = later = data[:end]
    trail.append("fragment_bits")
    if len(data) > mtu:
        trail.append("fragment_payload")
        if end > _IPV4 and not bits & _OFFSET:
            later = options_of_later_fragments(first)
            trail.append("options_of_later_fragments")
    fragments = []
    while start < len(data):
        left = len(data) - start
        size = left if left <= room else fragment_payload(room)
        packet = bytearray(first if start == end else later) + data[start : start + size]
        _WORD.pack_into(packet, _TOTAL_LENGTH, len(packet))
        _WORD.pack_into(packet, _FRAGMENT, fragment_bits(bits, start - end, more=size < left))
        seal_ipv4(packet, end)
        fragments.append(plain(bytes(packet)))
        start += size
    return fragments
