"""What must hold for the frames of any batch: the constraints that authors of the corpus state, read off the packets.

`corpus.oracle` has scapy read them, which takes a millisecond a packet. What is looked at here is little enough for
`tio` to be trusted with it: addresses, ports, flags, whether a header is all there, whether a checksum is right.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tio.checksum import checksum
from tio.errors import PacketError
from tio.ip import MAX_PACKET, IPv4, IPv6, parse_ip
from tio.tcp import Tcp, TcpFlag
from tio.transport import Layers
from tio.wire import IPv4Layout, IPv6Layout
from tunfuzz.build import FRAGMENT, TCP, UDP
from tunfuzz.peer.repair import layers_of
from tunproof.corpus.cases import Joined
from tunproof.corpus.model import to_hex
from tunproof.judge.batch import inspect_batch

__all__ = ["constraints"]

_ENDS: Final = int(TcpFlag.SYN | TcpFlag.FIN | TcpFlag.RST)
_ALONE: Final = int(TcpFlag.SYN | TcpFlag.RST | TcpFlag.URG)
_ADDRESSES: Final = {4: IPv4Layout.ADDRESSES, 6: IPv6Layout.ADDRESSES}  # up to the end of the fixed header
_NUMBER: Final = {4: IPv4Layout.PROTOCOL.offset, 6: IPv6Layout.NEXT_HEADER.offset}  # where it says what follows
_WALKED: Final = {0, 43, 60}  # extension headers with a length

_Pair = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one packet says of itself. `ports` is None where they cannot be read, `pair` where nothing can."""

    pair: _Pair | None
    ports: bytes | None = None
    layers: Layers | None = None
    damaged: bool = False
    flags: int = 0
    payload: int = 0

    @property
    def may_be_passed(self) -> bool:
        """Whether it only should keep its place: a pure ACK, or one with a damaged header."""
        is_tcp = self.layers is not None and isinstance(self.layers.transport, Tcp)
        return self.damaged or (is_tcp and not self.payload and not self.flags & _ENDS)


def constraints(packets: Sequence[bytes], frames: Sequence[bytes]) -> Joined:
    """Return what must hold for the frames of a batch. `frames` are those of the reference."""
    seen = [_see(packet) for packet in packets]
    flows = _flows(seen)
    whole = [index for index, one in enumerate(seen) if _is_whole(one, packets[index])]
    unsummed = [index for index in whole if _has_no_sum(seen[index])]
    wrong = [index for index in whole if index not in unsummed and not _sums_are_right(seen[index], packets[index])]
    known = Joined(
        order=_orders(flows, {index for index, one in enumerate(seen) if one.may_be_passed}),
        order_should=_orders(flows, set()),
        apart=tuple(sorted({pair for flow in flows for pair in _apart(flow, seen)})),
        silent=tuple(index for index, packet in enumerate(packets) if not packet),
        optional=tuple(index for index, packet in enumerate(packets) if _is_optional(packet)),
        repairable=tuple(wrong),
        unsummed=tuple(index for index in unsummed if packets[index][0] >> 4 == 4),
        ideal=(),
        example=to_hex(frames),
    )
    return Joined(
        **{name: getattr(known, name) for name in Joined.__struct_fields__ if name != "ideal"},
        ideal=tuple(inspect_batch(packets, frames, known).groups),
    )


def _see(packet: bytes) -> _Seen:
    version = packet[0] >> 4 if packet else 0
    place = _ADDRESSES.get(version)
    if place is None or len(packet) < place.stop:
        return _Seen(None)
    addresses = packet[place]
    try:
        ip = parse_ip(packet)
    except PacketError:
        return _Seen((addresses, _last_number(packet)), damaged=version == 4)
    pair = (addresses, _protocol(ip, packet))
    layers = layers_of(packet)
    if layers is None:
        return _Seen(pair, damaged=packet[_NUMBER[version]] in {TCP, UDP} and not ip.is_fragment)
    flags = layers.transport.flags if isinstance(layers.transport, Tcp) else 0
    payload = len(packet) - layers.payload_offset
    return _Seen(pair, bytes(layers.transport.ports), layers, flags=flags, payload=payload)


def _protocol(ip: IPv4 | IPv6, packet: bytes) -> int:
    """Return what the packet carries, behind an IPv6 Fragment header too."""
    is_cut = ip.version == 6 and ip.protocol == FRAGMENT and len(packet) > ip.header_length
    return packet[ip.header_length] if is_cut else ip.protocol


def _last_number(packet: bytes) -> int:
    """Return what a packet whose headers are cut off says it carries, as far as it says so."""
    number, at = packet[_NUMBER[packet[0] >> 4]], IPv6Layout.size
    while packet[0] >> 4 == 6 and number in _WALKED and at + 2 <= len(packet):
        number, at = packet[at], at + 8 * (packet[at + 1] + 1)
    return number


def _flows(seen: Sequence[_Seen]) -> list[list[int]]:
    """Return the packets of each flow. Those whose ports cannot be read are of every flow of their pair."""
    known: dict[tuple[_Pair, bytes], list[int]] = defaultdict(list)
    anybodys: dict[_Pair, list[int]] = defaultdict(list)
    for index, one in enumerate(seen):
        if one.pair is not None and one.ports is not None:
            known[one.pair, one.ports].append(index)
        elif one.pair is not None:
            anybodys[one.pair].append(index)
    flows = [sorted(indices + anybodys.get(pair, [])) for (pair, _), indices in known.items()]
    served = {pair for pair, _ in known}
    return flows + [indices for pair, indices in anybodys.items() if pair not in served]


def _orders(flows: Sequence[Sequence[int]], left_out: set[int]) -> tuple[tuple[int, ...], ...]:
    kept = (tuple(index for index in flow if index not in left_out) for flow in flows)
    return tuple(flow for flow in kept if len(flow) > 1)


def _apart(flow: Sequence[int], seen: Sequence[_Seen]) -> list[tuple[int, int]]:
    """Return the pairs that cutting would give back and that must not be joined all the same: SYN, RST, URG."""
    lonely = [index for index in flow if seen[index].flags & _ALONE]
    return [(min(one, other), max(one, other)) for one in lonely for other in flow if one != other]


def _is_optional(packet: bytes) -> bool:
    return len(packet) > MAX_PACKET or (bool(packet) and packet[0] >> 4 not in {4, 6})


def _is_whole(one: _Seen, packet: bytes) -> bool:
    if one.layers is None or one.layers.ip.stated_length != len(packet):
        return False
    return one.layers.transport.stated_length in {None, len(packet) - one.layers.transport_offset}


def _has_no_sum(one: _Seen) -> bool:
    layers = one.layers
    return layers is not None and not isinstance(layers.transport, Tcp) and not layers.transport.checksum


def _sums_are_right(one: _Seen, packet: bytes) -> bool:
    layers = one.layers
    if layers is None or (isinstance(layers.ip, IPv4) and not layers.ip.checksum_is_right):
        return False
    at = layers.transport_offset
    return checksum(packet[at:], layers.partial(len(packet) - at)) == 0xFFFF
