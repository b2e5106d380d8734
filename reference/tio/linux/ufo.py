"""UDP fragmentation offload, always in software: `udp4_ufo_fragment`, `udp6_ufo_fragment`, and what the IP layers add.

No reader of a TUN can take UFO, so it always ends as IP fragments. The checksum is recomputed from the IP header and
the actual length; csum_start, csum_offset, NEEDS_CSUM and the field's content do not matter.
"""

import struct

from tio.checksum import checksum, finish
from tio.linux.headers import pseudo_header, seal_ipv4
from tio.linux.rules import fact, loss
from tio.linux.skb import UFO, Skb
from tio.wire import IPv4Layout, IPv6Layout, UdpLayout

__all__ = ["cut_ufo"]

_WORD = struct.Struct(">H")
_MORE_IPV4 = IPv4Layout.MF.mask
_MORE_IPV6 = 0x0001
_FRAGMENT = 44
_FRAGMENT_HEADER = 8
_IPV6 = IPv6Layout.size
_ROUTING = 43
_DESTINATION = 60


@loss("udp4_ufo_fragment, udp6_ufo_fragment", of=(UFO,))
def datagram_not_longer(skb: Skb) -> bool:
    """The datagram, UDP header included, is not longer than gso_size."""
    return len(skb.data) - skb.l4 <= skb.gso_size


@fact("udp4_ufo_fragment, udp6_ufo_fragment")
def ufo_checksum(skb: Skb) -> int:
    """The checksum is recomputed over the actual length; 0x0000 is sent as 0xFFFF."""
    datagram = bytearray(skb.data[skb.l4 :])
    datagram[UdpLayout.CHECKSUM.span] = b"\0\0"
    return finish(checksum(datagram, pseudo_header(skb, len(datagram))), zero=0xFFFF)


@fact("inet_gso_segment")
def ipv4_fragment_offset(before: int, *, more: bool) -> int:
    """Offset in units of 8 bytes, rounded down; MF on all but the last; DF and any previous offset are cleared."""
    return (before >> 3 | (_MORE_IPV4 if more else 0)) & 0xFFFF


@fact("ipv6_gso_segment")
def ipv6_fragment_offset(before: int, *, more: bool) -> int:
    """Offset in bytes, above three other bits: a size that is not a multiple of 8 corrupts those."""
    return before & 0xFFFF | (_MORE_IPV6 if more else 0)


@fact("ipv6_gso_segment")
def ipv6_fragment_counts(packet_length: int, header_end: int) -> int:
    """A fragment advances the next one's offset by all but 48 bytes: extension headers are counted as payload."""
    del header_end
    return packet_length - _IPV6 - _FRAGMENT_HEADER


@fact("ip6_find_1stfragopt")
def unfragmentable_part(data: bytes) -> tuple[int, int] | None:
    """The fragment header goes after the extension headers, but before destination options after a routing header.

    Returns where it goes and where the number is that announces what follows; None if the headers end too soon.
    """
    at, announced, routed = _IPV6, IPv6Layout.NEXT_HEADER.offset, False
    while at <= len(data):
        number = data[announced]
        if number not in (0, _ROUTING, _DESTINATION) or (number == _DESTINATION and routed):
            return at, announced
        routed = routed or number == _ROUTING
        if at + 2 > len(data):
            return None
        at, announced = at + 8 * (data[at + 1] + 1), at
    return None


def cut_ufo(skb: Skb, trail: list[str]) -> list[bytes] | None:
    """Return the fragments; None if the packet is lost after all."""
    trail.append("ufo_checksum")
    data = bytearray(skb.data)
    _WORD.pack_into(data, skb.l4 + UdpLayout.CHECKSUM.offset, ufo_checksum(skb))
    return _ipv4(skb, bytes(data), trail) if skb.version == 4 else _ipv6(skb, bytes(data), trail)


def _ipv4(skb: Skb, data: bytes, trail: list[str]) -> list[bytes]:
    trail += ("ipv4_total_length", "ipv4_header_checksum", "ipv4_fragment_offset")
    packets = []
    for start in range(skb.l4, len(data), skb.gso_size):
        packet = bytearray(data[: skb.l4]) + data[start : start + skb.gso_size]
        _WORD.pack_into(packet, IPv4Layout.TOTAL_LENGTH.offset, len(packet) & 0xFFFF)
        more = start + skb.gso_size < len(data)
        _WORD.pack_into(packet, IPv4Layout.FRAGMENT.offset, ipv4_fragment_offset(start - skb.l4, more=more))
        seal_ipv4(packet, skb.l4)
        packets.append(bytes(packet))
    return packets


def _ipv6(skb: Skb, data: bytes, trail: list[str]) -> list[bytes] | None:
    """Insert a fragment header, whose id the kernel chooses: zeros stand in for it."""
    part = unfragmentable_part(data)
    if part is None:
        return None
    at, announced = part
    trail += ("ipv6_payload_length", "ipv6_fragment_offset", "unfragmentable_part", "ipv6_fragment_counts")
    head = bytearray(data[:at]) + bytes((data[announced], 0, 0, 0, 0, 0, 0, 0)) + data[at : skb.l4]
    head[announced] = _FRAGMENT
    before = 0
    packets = []
    for start in range(skb.l4, len(data), skb.gso_size):
        packet = head + data[start : start + skb.gso_size]
        more = start + skb.gso_size < len(data)
        _WORD.pack_into(packet, IPv6Layout.PAYLOAD_LENGTH.offset, (len(packet) - _IPV6) & 0xFFFF)
        _WORD.pack_into(packet, at + 2, ipv6_fragment_offset(before, more=more))
        before += ipv6_fragment_counts(len(packet), len(head))
        packets.append(bytes(packet))
    return packets
