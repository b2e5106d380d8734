"""Joining: packets, in the order they came, become superpackets that the kernel segments into the same packets again.

This is the writer's other half, the coalescer of the contract. It is **transparent**: segmenting the output gives the
input back, each packet exactly once, byte for byte, with one exception (a TCP checksum of 0x0000 may come back as
0xFFFF, or vice versa; they are the same number). Within a flow no packet overtakes another.

A packet can be joined to others only if the headers that `segment` would make for it are the headers it has:

C1  it is complete: its IP length field, and that of UDP, match its length, and all headers are present;
C2  it is TCP or UDP over IPv4 without options, or over IPv6 with any extension headers that `ip` walks; not a fragment;
C3  its IPv4 header checksum and its transport checksum are correct; UDP has one;
C4  it has payload, and at least 8 bytes if it is to be the first (`geometry`, G13);
C5  it is not a TCP SYN, RST or URG: a socket that receives the superpacket whole sees one such flag where there were
    many.

A packet continues a superpacket of its flow if

C6  the headers agree in every field that segmentation copies (addresses, ports, DSCP and ECN, TTL, DF, flow label,
    extension headers, acknowledgment, window, urgent pointer, TCP options and the other flags);
C7  IPv4: its identification is the first's plus its position, modulo 2**16;
C8  TCP: its sequence number continues where the last payload ended, modulo 2**32, and it has no CWR;
C9  its payload is not longer than the first's;
C10 the whole stays within 65535 bytes, 1021 fragments (IOV_MAX) and, for UDP, 128.

A superpacket is complete after a payload shorter than the first, or a packet with FIN or PSH. It is also complete as
soon as a packet of its flow arrives that cannot continue it. A flow is addresses, protocol and ports; a packet whose
ports cannot be read (a fragment, another protocol, a truncated header) belongs to every flow between its addresses.
"""

from collections.abc import Iterable

from tio.checksum import Buffer, checksum
from tio.errors import PacketError
from tio.geometry import MAX_FRAGMENTS, MIN_GSO_SIZE
from tio.ip import MAX_PACKET, IPv4, IPv6, Protocol, parse_ip
from tio.segment import MAX_UDP_SEGMENTS
from tio.superpacket import Plain, Superpacket
from tio.tcp import Tcp, TcpFlag
from tio.transport import Layers, parse_layers
from tio.wire import IPv4Layout, IPv6Layout, TcpLayout

__all__ = ["coalesce"]

# Plain ints: arithmetic on an IntFlag is about ten times slower.
_NEVER_JOINED = int(TcpFlag.SYN | TcpFlag.RST | TcpFlag.URG)  # C5
_COMPLETES = int(TcpFlag.FIN | TcpFlag.PSH)
_FLAGS = TcpLayout.FLAGS.offset

_Pair = bytes  # both addresses
_Flow = tuple[_Pair, int, bytes]  # with protocol and ports


def coalesce(packets: Iterable[Buffer]) -> list[Superpacket | Plain]:
    """Return superpackets and plain packets that stand for `packets`, in the order of the first packet of each.

    Payloads and plain packets are borrowed: the buffers must stay unchanged until the result has been written.
    """
    result: list[_Train | Plain] = []
    trains: dict[_Flow, _Train] = {}  # the latest of each flow
    latest: _Train | None = None
    for packet in packets:
        if latest is not None and latest.takes(packet):  # most packets continue the one before, and need no parsing
            latest.add(packet)
            continue
        pair, flow, layers = _read(packet)
        if flow is None or layers is None:
            _close(trains, pair, flow)
            result.append(Plain(packet))
            continue
        train = trains.get(flow)
        if train is not None and train.takes(packet):
            train.add(packet)
        else:
            train = trains[flow] = _Train(layers, packet)
            result.append(train)
        latest = train
    return [item.result() if isinstance(item, _Train) else item for item in result]


def _close(trains: dict[_Flow, "_Train"], pair: _Pair | None, flow: _Flow | None) -> None:
    """Complete every superpacket whose flow a packet may belong to, so that nothing after it overtakes it."""
    for key, train in trains.items():
        if key == flow or (flow is None and key[0] == pair):
            train.is_open = False


def _read(packet: Buffer) -> tuple[_Pair | None, _Flow | None, Layers | None]:
    """Return what can be read of a packet: its address pair, its flow, and its layers if it can be joined."""
    try:
        ip = parse_ip(packet)
    except PacketError:
        return _addresses(packet), None, None
    try:
        layers = parse_layers(ip, packet)
    except PacketError:
        return ip.addresses, None, None
    if ip.is_fragment:
        return ip.addresses, None, None
    flow = (ip.addresses, ip.protocol, layers.transport.ports)
    return ip.addresses, flow, layers if _can_be_joined(layers, packet) else None


def _addresses(packet: Buffer) -> _Pair | None:
    """Return the addresses of a packet whose headers are damaged, if they are present."""
    version = packet[0] >> 4 if len(packet) else None
    # Truncated addresses are shorter than any real pair, and so equal to none.
    if version == IPv4.version:
        return bytes(packet[IPv4Layout.ADDRESSES])
    if version == IPv6.version:
        return bytes(packet[IPv6Layout.ADDRESSES])
    return None


def _can_be_joined(layers: Layers, packet: Buffer) -> bool:
    """Test C1 to C5; what was parsed is known to be TCP or UDP and not a fragment."""
    ip, transport = layers.ip, layers.transport
    length = len(packet) - layers.transport_offset
    if ip.stated_length != len(packet) or transport.stated_length not in {None, length}:
        return False
    if isinstance(ip, IPv4) and (ip.has_options or not ip.checksum_is_right):
        return False
    if isinstance(transport, Tcp) and transport.flags & _NEVER_JOINED:
        return False
    return _checksum_is_right(layers, packet)


def _checksum_is_right(layers: Layers, packet: Buffer) -> bool:
    """Test the transport checksum of a packet with these layers; UDP must have one."""
    at = layers.transport_offset
    field = at + layers.transport.checksum_offset
    if layers.ip.protocol == Protocol.UDP and not any(packet[field : field + 2]):
        return False
    return checksum(packet[at:], layers.partial(len(packet) - at)) == 0xFFFF


class _Train:
    """Consecutive packets of one flow: a superpacket in the making, or a single packet.

    I1  All payloads are as long as the first, except that the last may be shorter.
    I2  `is_open` is true only if a further packet could be taken without breaking I1.
    """

    __slots__ = ("_first", "_flags", "_layers", "_limit", "_payloads", "_size", "_total", "is_open")
    is_open: bool

    def __init__(self, layers: Layers, packet: Buffer) -> None:
        self._first = packet
        self._layers = layers
        self._limit = MAX_FRAGMENTS if isinstance(layers.transport, Tcp) else MAX_UDP_SEGMENTS
        self._payloads: list[Buffer] = []
        self._size = len(packet) - layers.payload_offset
        self._total = layers.payload_offset
        self._flags = 0
        self.add(packet)
        self.is_open = self.is_open and self._size >= MIN_GSO_SIZE

    def takes(self, packet: Buffer) -> bool:
        """Test C3 and C6 to C10: whether the packet has the headers that segmentation would give the next segment.

        That is the definition of transparent, and it needs nothing that the packet states about itself.
        """
        ip, transport, at, end = self._layers
        size = len(packet) - end
        index = len(self._payloads)
        if not self.is_open or index == self._limit or not 0 < size <= self._size:
            return False
        if self._total + size > MAX_PACKET or packet[:at] != ip.resized(len(packet), index):
            return False
        head = transport.for_segment(self._total - end, len(packet) - at, last=False)
        if isinstance(transport, Tcp):
            head[_FLAGS] |= packet[at + _FLAGS] & _COMPLETES
        field = transport.checksum_offset
        head[field : field + 2] = packet[at + field : at + field + 2]
        return packet[at:end] == head and _checksum_is_right(self._layers, packet)

    def add(self, packet: Buffer) -> None:
        """Take a packet that `takes` accepted, or the first one."""
        payload = memoryview(packet)[self._layers.payload_offset :]
        self._payloads.append(payload)
        self._total += len(payload)
        self.is_open = len(payload) == self._size
        if isinstance(self._layers.transport, Tcp):
            self._flags |= packet[self._layers.transport_offset + _FLAGS]
            self.is_open = self.is_open and not self._flags & _COMPLETES

    def result(self) -> Superpacket | Plain:
        """Return the superpacket; a train of one packet is that packet, untouched."""
        layers = self._layers
        if len(self._payloads) < 2:
            return Plain(self._first)
        length = self._total - layers.transport_offset
        head = layers.transport.for_segment(0, length, last=True)
        if isinstance(layers.transport, Tcp):
            head[_FLAGS] = self._flags
        at = layers.transport.checksum_offset
        head[at : at + 2] = layers.partial(length).to_bytes(2, "big")
        return Superpacket(layers.ip.resized(self._total, 0), bytes(head), self._payloads)
