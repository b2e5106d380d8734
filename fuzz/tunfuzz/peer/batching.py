"""What must hold for the frames of any batch: the constraints that authors of the corpus state, read off the packets.

`authoring.oracle` has scapy read them, which takes a millisecond per packet. What is read here is simple enough to
trust `tio` with it: addresses, ports, flags, whether a header is complete, whether a checksum is correct.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tio.checksum import checksum
from tio.errors import PacketError
from tio.ip import MAX_PACKET, IPv4, IPv6, parse_ip
from tio.tcp import Tcp, TcpFlag
from tio.transport import Layers
from tio.wire import IPv4Layout, IPv6Layout
from tunfuzz.build import FRAGMENT, TCP, UDP
from tunfuzz.peer.repair import layers_of
from tunproof.corpus.cases import Joined
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
    """What one packet states. `ports` is None if they cannot be read, `pair` if nothing can."""

    packet: bytes
    pair: _Pair | None = None
    ports: bytes | None = None
    layers: Layers | None = None
    damaged: bool = False
    flags: int = 0
    payload: int = 0

    @property
    def may_be_passed(self) -> bool:
        """Whether it only should keep its place: a pure ACK, one with a damaged header, or TCP in an unusual shape."""
        is_tcp = self.layers is not None and isinstance(self.layers.transport, Tcp)
        return self.damaged or self._is_unusual_tcp or (is_tcp and not self.payload and not self.flags & _ENDS)

    @property
    def _is_unusual_tcp(self) -> bool:
        """Whether it is a fragment of TCP, or TCP behind an extension header."""
        if self.pair is None or self.pair[1] != TCP:
            return False
        return self.ports is None or (self.packet[0] >> 4 == 6 and self.packet[_NUMBER[6]] != TCP)

    @property
    def is_silent(self) -> bool:
        """Whether no frame comes of it."""
        return not self.packet

    @property
    def is_optional(self) -> bool:
        """Whether it need not be written: a kernel refuses it, or every receiver drops it for its headers."""
        return bool(self.packet) and (self.pair is None or self.damaged or len(self.packet) > MAX_PACKET)

    @property
    def is_unsummed(self) -> bool:
        """Whether it is UDP over IPv4 without a checksum, which is legal."""
        return self._has_no_sum and self.packet[0] >> 4 == 4

    @property
    def is_repairable(self) -> bool:
        """Whether it has a checksum that is wrong, and nothing else is."""
        return self._whole is not None and not self._has_no_sum and not _sums_are_right(self._whole, self.packet)

    @property
    def _whole(self) -> Layers | None:
        """The layers of a packet whose length fields are right."""
        layers = self.layers
        if layers is None or layers.ip.stated_length != len(self.packet):
            return None
        is_right = layers.transport.stated_length in {None, len(self.packet) - layers.transport_offset}
        return layers if is_right else None

    @property
    def _has_no_sum(self) -> bool:
        whole = self._whole
        return whole is not None and not isinstance(whole.transport, Tcp) and not whole.transport.checksum


def constraints(packets: Sequence[bytes], frames: Sequence[bytes]) -> Joined:
    """Return what must hold for the frames of a batch. `frames` are those of the reference."""
    seen = [_see(packet) for packet in packets]
    flows = _flows(seen)
    known = Joined(
        order=_orders(flows, _which(seen, lambda one: one.may_be_passed)),
        order_should=_orders(flows, ()),
        apart=_apart(flows, seen),
        silent=_which(seen, lambda one: one.is_silent),
        optional=_which(seen, lambda one: one.is_optional),
        repairable=_which(seen, lambda one: one.is_repairable),
        unsummed=_which(seen, lambda one: one.is_unsummed),
        ideal=(),
        example=tuple(frames),
    )
    return msgspec.structs.replace(known, ideal=tuple(inspect_batch(packets, frames, known).groups))


def _which(seen: Sequence[_Seen], test: Callable[[_Seen], bool]) -> tuple[int, ...]:
    return tuple(index for index, one in enumerate(seen) if test(one))


def _see(packet: bytes) -> _Seen:
    version = packet[0] >> 4 if packet else 0
    place = _ADDRESSES.get(version)
    if place is None or len(packet) < place.stop:
        return _Seen(packet)
    addresses = packet[place]
    try:
        ip = parse_ip(packet)
    except PacketError:
        return _Seen(packet, (addresses, _last_number(packet)), damaged=True)
    pair = (addresses, _protocol(ip, packet))
    layers = layers_of(packet)
    if layers is None:
        return _Seen(packet, pair, damaged=packet[_NUMBER[version]] in {TCP, UDP} and not ip.is_fragment)
    flags = layers.transport.flags if isinstance(layers.transport, Tcp) else 0
    payload = len(packet) - layers.payload_offset
    return _Seen(packet, pair, bytes(layers.transport.ports), layers, flags=flags, payload=payload)


def _protocol(ip: IPv4 | IPv6, packet: bytes) -> int:
    """Return what the packet carries, also after an IPv6 Fragment header."""
    is_cut = ip.version == 6 and ip.protocol == FRAGMENT and len(packet) > ip.header_length
    return packet[ip.header_length] if is_cut else ip.protocol


def _last_number(packet: bytes) -> int:
    """Return what a packet with truncated headers carries, as far as it states it."""
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


def _orders(flows: Sequence[Sequence[int]], left_out: Collection[int]) -> tuple[tuple[int, ...], ...]:
    kept = (tuple(index for index in flow if index not in left_out) for flow in flows)
    return tuple(flow for flow in kept if len(flow) > 1)


def _apart(flows: Sequence[Sequence[int]], seen: Sequence[_Seen]) -> tuple[tuple[int, int], ...]:
    """Return the pairs that segmenting would give back and that still must not be joined: SYN, RST, URG."""
    pairs = set()
    for flow in flows:
        lonely = [index for index in flow if seen[index].flags & _ALONE]
        pairs |= {(min(one, other), max(one, other)) for one in lonely for other in flow if one != other}
    return tuple(sorted(pairs))


def _sums_are_right(layers: Layers, packet: bytes) -> bool:
    if isinstance(layers.ip, IPv4) and not layers.ip.checksum_is_right:
        return False
    at = layers.transport_offset
    return checksum(packet[at:], layers.partial(len(packet) - at)) == 0xFFFF
