"""Second opinions that are independent of the reference and its tables of fields: scapy, `ctypes` and `summing`.

No case is recorded unless its oracle confirms it.
"""

import ctypes
import functools
import struct
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import NoPayload, Packet
from scapy.utils import checksum as scapy_checksum

from tunproof.corpus.cases import EmitInput, ParseInput, VnetFields

__all__ = ["Batched", "batched", "header_of", "rebuilt", "right_but_for_zero"]


_TCP = 6
_EXTENSIONS = {0, 43, 60}  # hop-by-hop options, routing header, destination options


class _Little(ctypes.LittleEndianStructure):
    _fields_ = (
        ("flags", ctypes.c_uint8),
        ("gso_type", ctypes.c_uint8),
        ("hdr_len", ctypes.c_uint16),
        ("gso_size", ctypes.c_uint16),
        ("csum_start", ctypes.c_uint16),
        ("csum_offset", ctypes.c_uint16),
        ("num_buffers", ctypes.c_uint16),
        ("rest", ctypes.c_uint8 * 12),
    )


class _Big(ctypes.BigEndianStructure):
    _fields_ = _Little._fields_


def header_of(given: ParseInput | EmitInput) -> VnetFields | bytes:
    """Return the fields of a `struct virtio_net_hdr` with C's layout, or its bytes."""
    layout = _Little if given.byte_order == "little" else _Big
    if isinstance(given, ParseInput):
        header = layout.from_buffer_copy(given.bytes[: given.size].ljust(24, b"\0"))
        numbers = {name: getattr(header, name) for name in VnetFields.__struct_fields__[:6]}
        buffers = header.num_buffers if given.size >= 12 else None
        return VnetFields(**numbers, num_buffers=buffers, rest=bytes(header.rest) if given.size >= 24 else None)
    fields = given.fields
    header = layout(*(getattr(fields, name) or 0 for name in VnetFields.__struct_fields__[:7]))
    header.rest[:] = fields.rest or bytes(12)
    return bytes(header)[: given.size]


def rebuilt(packet: bytes) -> bytes:
    """Return a packet with all lengths and checksums recomputed by scapy."""
    dissected = _dissect(packet).copy()
    for layer, fields in ((IP, ("len", "chksum")), (IPv6, ("plen",)), (TCP, ("chksum",)), (UDP, ("len", "chksum"))):
        if layer in dissected:
            for field in fields:
                delattr(dissected[layer], field)
    built: bytes = raw(dissected)
    return built


def right_but_for_zero(built: bytes, packet: bytes) -> bool:
    """Whether two packets are equal except for a TCP checksum of 0x0000 in one and 0xFFFF in the other."""
    dissected = _dissect(packet)
    if TCP not in dissected:
        return False
    at = len(packet) - len(raw(dissected[TCP])) + 16
    zeros = {b"\x00\x00", b"\xff\xff"}
    return {built[at : at + 2], packet[at : at + 2]} == zeros and built[:at] + built[at + 2 :] == packet[:at] + packet[
        at + 2 :
    ]


@dataclass(frozen=True, slots=True)
class Batched:
    """What scapy sees in the packets of a batch; all indices count from 0. See `cases.Joined`."""

    order: tuple[tuple[int, ...], ...]
    order_should: tuple[tuple[int, ...], ...]
    silent: tuple[int, ...]
    optional: tuple[int, ...]
    repairable: tuple[int, ...]
    unsummed: tuple[int, ...]


def batched(packets: Sequence[bytes]) -> Batched:
    """Sort packets into flows, and find those with wrong checksums or none, and those that may be refused.

    A packet whose ports cannot be read (a fragment, another protocol, a damaged header) belongs to every flow of its
    address pair and protocol: none of their packets may pass it. One whose addresses cannot be read belongs to none.
    Some packets only should keep their place: pure acknowledgments, packets with damaged headers, which every receiver
    drops, and TCP that arrives in fragments or behind extension headers, for which few coalescers look, and which its
    receiver puts in its place by the sequence number.
    """
    seen = {index: _Seen.of(packet) for index, packet in enumerate(packets) if _is_ip(packet)}
    flows = _flows(seen)
    movable = {index for index, one in seen.items() if one.movable}
    return Batched(
        order=_orders(flows, movable),
        order_should=_orders([flow for flow in flows if movable & set(flow)], set()),
        silent=_which(packets, lambda packet: not packet),
        optional=_which(packets, _is_optional),
        repairable=_which(packets, _is_repairable),
        unsummed=_which(packets, lambda packet: _is_whole(packet) and _is_unsummed(packet) and packet[0] >> 4 == 4),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Where a packet belongs: addresses and protocol, and the ports if they can be read; `movable`: if it may move."""

    pair: tuple[object, ...]
    ports: tuple[int, int] | None
    movable: bool

    @classmethod
    def of(cls, packet: bytes) -> Self:
        dissected = _dissect(packet)
        damaged = _is_damaged(packet, dissected)
        pair, ports = _flow(dissected)
        return cls(pair, None if damaged else ports, damaged or _is_pure_ack(dissected) or _is_unusual_tcp(dissected))


def _flows(seen: Mapping[int, _Seen]) -> list[list[int]]:
    """Return the packets of each flow; with them, those of its addresses and protocol whose ports cannot be read."""
    flows: dict[tuple[object, ...], list[int]] = defaultdict(list)
    wide: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, one in seen.items():
        if one.ports is None:
            wide[one.pair].append(index)
        else:
            flows[*one.pair, *one.ports].append(index)
    merged = [sorted(indices + wide[key[:3]]) for key, indices in flows.items()]
    return merged + [indices for pair, indices in wide.items() if not any(key[:3] == pair for key in flows)]


def _which(packets: Sequence[bytes], test: Callable[[bytes], bool]) -> tuple[int, ...]:
    return tuple(index for index, packet in enumerate(packets) if test(packet))


def _orders(flows: Sequence[Sequence[int]], left_out: set[int]) -> tuple[tuple[int, ...], ...]:
    kept = (tuple(index for index in flow if index not in left_out) for flow in flows)
    return tuple(sorted(flow for flow in kept if len(flow) > 1))


@functools.lru_cache(maxsize=4096)
def _dissect(packet: bytes) -> Packet:
    """Return what scapy sees in a packet; it is kept, because it takes a millisecond, and must not be changed."""
    return (IP if packet[0] >> 4 == 4 else IPv6)(packet)


def _is_ip(packet: bytes) -> bool:
    """Whether the fixed IP header is complete."""
    return len(packet) >= {4: 20, 6: 40}.get(packet[0] >> 4 if packet else 0, 1 << 17)


def _is_optional(packet: bytes) -> bool:
    """Whether a packet need not be written: a kernel refuses it, or every receiver drops it for its headers."""
    if not packet:
        return False
    return len(packet) > 0xFFFF or not _is_ip(packet) or _is_damaged(packet, _dissect(packet))


def _flow(dissected: Packet) -> tuple[tuple[object, ...], tuple[int, int] | None]:
    """Return addresses and protocol, and the ports if they can be read."""
    network = dissected[0]
    last = network
    while not isinstance(last.payload, NoPayload) and (hasattr(last.payload, "nh") or last.payload.name == "AH"):
        last = last.payload
    protocol = network.proto if IP in dissected else last.nh
    transport = _transport(dissected)
    return (network.src, network.dst, protocol), None if transport is None else (transport.sport, transport.dport)


def _transport(dissected: Packet) -> Packet | None:
    """Return the TCP or UDP header of a packet that is not a fragment."""
    network = dissected[0]
    if IPv6ExtHdrFragment in dissected or (IP in dissected and (network.frag or network.flags.MF)):
        return None
    return dissected.getlayer(TCP) or dissected.getlayer(UDP)


def _is_damaged(packet: bytes, dissected: Packet) -> bool:
    """Whether a header states an impossible length, or ends beyond the packet, or is incomplete."""
    network = dissected[0]
    if IP in dissected and not 20 <= network.ihl * 4 <= len(packet):
        return True
    if IPv6 in dissected and _extension_is_cut_off(packet):
        return True
    transport = _transport(dissected)
    if transport is None:
        bare = IP in dissected and not network.frag and not network.flags.MF and network.proto in {6, 17}
        return bool(bare or (IPv6 in dissected and network.nh in {6, 17}))
    return TCP in dissected and not 20 <= transport.dataofs * 4 <= len(raw(transport))


def _is_unusual_tcp(dissected: Packet) -> bool:
    """Whether this is a fragment of TCP, or TCP behind an extension header."""
    (_, _, protocol), ports = _flow(dissected)
    return protocol == _TCP and (ports is None or (IPv6 in dissected and dissected.nh != _TCP))


def _extension_is_cut_off(packet: bytes) -> bool:
    """Whether an IPv6 extension header ends beyond the packet (RFC 8200, section 4)."""
    at, following = 40, packet[6]
    while following in _EXTENSIONS:
        if at + 8 > len(packet):
            return True
        following, at = packet[at], at + (packet[at + 1] + 1) * 8
    return at > len(packet)


def _is_pure_ack(dissected: Packet) -> bool:
    if _transport(dissected) is None or TCP not in dissected:
        return False
    size = len(raw(dissected[TCP])) - dissected[TCP].dataofs * 4
    return size == 0 and not set(str(dissected[TCP].flags)) & set("SFR")


def _is_whole(packet: bytes) -> bool:
    """Whether this is TCP or UDP, not a fragment, with complete headers and correct lengths."""
    if not _is_ip(packet):
        return False
    dissected = _dissect(packet)
    transport = _transport(dissected)
    if transport is None or _is_damaged(packet, dissected):
        return False
    stated = dissected.len if IP in dissected else dissected.plen + 40
    length = len(raw(transport))
    return bool(stated == len(packet) and (TCP in dissected or transport.len == length))


def _is_unsummed(packet: bytes) -> bool:
    dissected = _dissect(packet)
    return UDP in dissected and dissected[UDP].chksum == 0


def _is_repairable(packet: bytes) -> bool:
    return _is_whole(packet) and not _is_unsummed(packet) and _is_wrong(packet)


def _is_wrong(packet: bytes) -> bool:
    """Whether the checksum of the IPv4 header or of the transport is wrong, by scapy's sums and pseudo-header."""
    dissected = _dissect(packet)
    if IP in dissected and scapy_checksum(packet[: dissected.ihl * 4]) != 0:
        return True
    layer = TCP if TCP in dissected else UDP
    at = len(packet) - len(raw(dissected[layer]))
    addresses = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    protocol = 6 if layer is TCP else 17
    total = scapy_checksum(addresses + struct.pack(">HH", protocol, len(packet) - at) + packet[at:])
    return total not in {0, 0xFFFF}
