"""Segmenting TCP and UDP superpackets in software: `tcp_gso_segment`, `__udp_gso_segment` (net/ipv4).

Each segment is a copy of the headers, with the fields changed that have a fact here, and its slice of the payload.
"""

import struct
from collections.abc import Callable

from tio.checksum import adjust
from tio.linux.headers import IP_FACTS, pseudo_header, stamp_ip
from tio.linux.rules import fact, loss
from tio.linux.skb import TCP_TYPES, UDP_L4, Skb
from tio.linux.sums import inverted_sum
from tio.linux.traits import Trait
from tio.wire import TcpFlag, TcpLayout, UdpLayout

__all__ = ["cut_tcp", "cut_udp", "payload_offset", "with_partial"]

_WORD = struct.Struct(">H")
_LONG = struct.Struct(">L")
_WORDS = struct.Struct(">HH")
_FIN_PSH = int(TcpFlag.FIN | TcpFlag.PSH)
_CWR = int(TcpFlag.CWR)

_TCP, _UDP = TcpLayout.size, UdpLayout.size
_SEQUENCE, _FLAGS, _TCP_CHECKSUM = TcpLayout.SEQUENCE.offset, TcpLayout.FLAGS.offset, TcpLayout.CHECKSUM.offset
_DATA_OFFSET = TcpLayout.DATA_OFFSET_RESERVED.offset
_UDP_LENGTH, _UDP_CHECKSUM = UdpLayout.LENGTH.offset, UdpLayout.CHECKSUM.offset


# What cannot be segmented --------------------------------------------------------------------------------------------


@loss("tcp_gso_segment, udp4_ufo_fragment, udp6_ufo_fragment")
def transport_header_cut_off(skb: Skb) -> bool:
    """The minimum transport header is incomplete."""
    return skb.l4 + skb.transport > len(skb.data)


def _data_offset(skb: Skb) -> int:
    """Return the length that the TCP header states, in bytes."""
    return skb.data[skb.l4 + _DATA_OFFSET] >> 4 << 2


@loss("tcp_gso_segment", of=TCP_TYPES)
def data_offset_under_five(skb: Skb) -> bool:
    """The TCP header states a length under 20 bytes."""
    return _data_offset(skb) < _TCP


@loss("tcp_gso_segment, __udp_gso_segment", needs=Trait.TSO_CSUM_CHECKED, of=(*TCP_TYPES, UDP_L4))
def csum_start_elsewhere(skb: Skb) -> bool:
    """NEEDS_CSUM, and csum_start is not where the transport header begins."""
    return skb.needs_csum and skb.csum_start != skb.l4


@loss("tcp_gso_segment", of=TCP_TYPES)
def data_offset_beyond_the_packet(skb: Skb) -> bool:
    """The TCP header states a length beyond the packet."""
    return skb.l4 + _data_offset(skb) > len(skb.data)


@loss("tcp_gso_segment", of=TCP_TYPES)
def tcp_payload_not_longer(skb: Skb) -> bool:
    """The TCP payload is not longer than gso_size; options were counted as payload on write."""
    return len(skb.data) - skb.l4 - _data_offset(skb) <= skb.gso_size


@loss("__udp_gso_segment", of=(UDP_L4,))
def udp_payload_not_longer(skb: Skb) -> bool:
    """The UDP payload is not longer than gso_size: the IP layer trimmed it, or csum_start was not checked."""
    return len(skb.data) - skb.l4 - _UDP <= skb.gso_size


# TCP -----------------------------------------------------------------------------------------------------------------


@fact("tcp_gso_segment")
def tcp_sequence(first: int, sent: int) -> int:
    """The sequence number advances by the payload before it, modulo 2**32."""
    return (first + sent) & 0xFFFFFFFF


@fact("tcp_gso_segment")
def cwr_on_the_first_only(flags: int) -> int:
    """CWR is set on the first segment only, whatever the ECN bit is."""
    return flags & ~_CWR


@fact("tcp_gso_segment")
def fin_and_psh_on_the_last_only(flags: int) -> int:
    """FIN and PSH are set on the last segment only."""
    return flags & ~_FIN_PSH


@fact("tcp_gso_segment")
def carried_partial(partial: int, whole: int, length: int) -> int:
    """The given partial is adjusted to the segment's length; a wrong one stays wrong by the same amount."""
    return adjust(partial, whole, length)


@fact("tcp_gso_segment", needs=Trait.BIGTCP_CSUM)
def whole_length(length: int) -> int:
    """The length of a superpacket over 65535 bytes counts in full, in one's complement."""
    return (length & 0xFFFF) + (length >> 16)


@fact("tcp_gso_segment", without=Trait.BIGTCP_CSUM)
def whole_length_in_16_bits(length: int) -> int:
    """The length of a superpacket over 65535 bytes counts modulo 2**16, so all checksums are off by one."""
    return length & 0xFFFF


@fact("tcp4_gso_segment, tcp6_gso_segment")
def partial_of_the_kernel(skb: Skb) -> int:
    """Without NEEDS_CSUM the checksum field is ignored: the pseudo-header sum takes its place."""
    return pseudo_header(skb, len(skb.data) - skb.l4)


@fact("gso_make_checksum")
def tcp_zero(checksum: int) -> int:
    """A TCP checksum of 0x0000 stays 0x0000."""
    return checksum


def payload_offset(skb: Skb) -> int:
    """Return where the payload of a superpacket begins."""
    return skb.l4 + (_data_offset(skb) if skb.type in TCP_TYPES else _UDP)


def with_partial(skb: Skb, trail: list[str]) -> bytes:
    """Return a TCP superpacket written without NEEDS_CSUM as it is passed on whole: with the kernel's partial."""
    trail.append("partial_of_the_kernel")
    field = skb.l4 + _TCP_CHECKSUM
    return b"".join((skb.data[:field], _WORD.pack(partial_of_the_kernel(skb)), skb.data[field + 2 :]))


def cut_tcp(skb: Skb, trail: list[str], *, complete: bool, count: Callable[[int], int]) -> list[bytes]:
    """Return the segments, with their checksums completed if `complete`, else each with its partial.

    `count` says how the length of the whole enters the checksums.
    """
    data, l4, size = skb.data, skb.l4, skb.gso_size
    end, whole = l4 + _data_offset(skb), len(data) - l4
    partial = _WORD.unpack_from(data, l4 + _TCP_CHECKSUM)[0] if skb.needs_csum else partial_of_the_kernel(skb)
    counted = count(whole)
    first, flags = _LONG.unpack_from(data, l4 + _SEQUENCE)[0], data[l4 + _FLAGS]
    _note_tcp(skb, trail, flags)
    if whole > 0xFFFF:
        trail.append(count.__name__)

    packets = []
    head = data[:end]
    starts = range(end, len(data), size)
    last = starts[-1]
    for index, start in enumerate(starts):
        packet = bytearray(head + data[start : start + size])
        _LONG.pack_into(packet, l4 + _SEQUENCE, tcp_sequence(first, start - end))
        kept = cwr_on_the_first_only(flags) if index else flags
        packet[l4 + _FLAGS] = kept if start == last else fin_and_psh_on_the_last_only(kept)
        _WORD.pack_into(packet, l4 + _TCP_CHECKSUM, carried_partial(partial, counted, len(packet) - l4))
        if complete:
            value = inverted_sum(packet[l4:])
            if value == 0:
                value = tcp_zero(value)
                trail.append("tcp_zero")
            _WORD.pack_into(packet, l4 + _TCP_CHECKSUM, value)
        stamp_ip(skb, packet, index)
        packets.append(bytes(packet))
    return packets


def _note_tcp(skb: Skb, trail: list[str], flags: int) -> None:
    trail += IP_FACTS[skb.version]
    trail += ("tcp_sequence", "carried_partial") if skb.needs_csum else ("tcp_sequence", "partial_of_the_kernel")
    if flags & _CWR:
        trail.append("cwr_on_the_first_only")
    if flags & _FIN_PSH:
        trail.append("fin_and_psh_on_the_last_only")


# UDP -----------------------------------------------------------------------------------------------------------------


@fact("__udp_gso_segment")
def udp_length(length: int) -> int:
    """The UDP length of each segment is its actual length."""
    return length & 0xFFFF


@fact("__udp_gso_segment")
def udp_partial(partial: int, stated: int, length: int) -> int:
    """The given partial is adjusted from the length that the UDP header states, correct or not, all in 16 bits."""
    total = partial + (~stated & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16) + (length & 0xFFFF)
    return (total & 0xFFFF) + (total >> 16)


@fact("__udp_gso_segment")
def udp_zero(_: int) -> int:
    """A UDP checksum of 0x0000 is sent as 0xFFFF."""
    return 0xFFFF


def cut_udp(skb: Skb, trail: list[str], *, complete: bool) -> list[bytes]:
    """Return the segments, with their checksums completed if `complete`, else each with its partial."""
    data, l4 = skb.data, skb.l4
    end = l4 + _UDP
    stated, partial = _WORDS.unpack_from(data, l4 + _UDP_LENGTH)
    trail += IP_FACTS[skb.version]
    trail += ("udp_length", "udp_partial")

    packets = []
    head = data[:end]
    for index, start in enumerate(range(end, len(data), skb.gso_size)):
        packet = bytearray(head + data[start : start + skb.gso_size])
        length = len(packet) - l4
        _WORDS.pack_into(packet, l4 + _UDP_LENGTH, udp_length(length), udp_partial(partial, stated, length))
        if complete:
            value = inverted_sum(packet[l4:])
            if value == 0:
                value = udp_zero(value)
                trail.append("udp_zero")
            _WORD.pack_into(packet, l4 + _UDP_CHECKSUM, value)
        stamp_ip(skb, packet, index)
        packets.append(bytes(packet))
    return packets
