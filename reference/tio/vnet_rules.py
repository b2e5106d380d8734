"""Whether a frame written to a TUN satisfies the header rules V1 to V14, which `virtio` states.

Unlike `segment`, which stops at the first fault because it must not continue, this checks everything and lists every
fault: it judges other people's output.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tio.checksum import Buffer
from tio.errors import HeaderError, PacketError
from tio.ip import MAX_PACKET, IPv4, IPv6, Protocol, parse_ip
from tio.segment import MAX_UDP_SEGMENTS
from tio.tcp import Tcp, TcpFlag
from tio.transport import Layers, parse_layers
from tio.virtio import HEADER_SIZE, TCP_TYPES, ByteOrder, GsoType, VnetFlag, VnetHeader
from tio.wire import IPv4Layout

__all__ = ["SHOULD", "Violation", "violations"]

SHOULD: Final = frozenset({"V12", "V13", "V14"})
"""The recommendations; all other rules are musts."""

_CWR = int(TcpFlag.CWR)
_UNWANTED = int(VnetFlag.DATA_VALID | VnetFlag.RSC_INFO)
_GSO_BY_FRAGS: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule: its number, the field at fault, the value found, and the rule in words for this case."""

    rule: str
    field: str
    found: object
    because: str

    @property
    def is_must(self) -> bool:
        """Whether the rule is binding."""
        return self.rule not in SHOULD

    def __str__(self) -> str:
        """Return the violation in one line."""
        return f"{self.rule}: {self.field} is {self.found}: {self.because}"


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame taken apart. `layers` is None where no TCP or UDP header can be read."""

    header: VnetHeader
    ip: IPv4 | IPv6
    layers: Layers | None
    packet: Buffer

    @property
    def is_superpacket(self) -> bool:
        return self.header.gso_type != GsoType.NONE

    @property
    def segmented(self) -> Layers | None:
        """The layers of a superpacket; None for a single packet, and where the transport header cannot be read."""
        return self.layers if self.is_superpacket else None

    @property
    def has_cwr(self) -> bool:
        transport = None if self.layers is None else self.layers.transport
        return isinstance(transport, Tcp) and bool(transport.flags & _CWR)


def violations(frame: Buffer, *, header_size: int = HEADER_SIZE, byte_order: str = ByteOrder.HOST) -> list[Violation]:
    """Return every rule that a frame breaks, in numerical order; none if it is legal."""
    try:
        header = VnetHeader.parse(frame, size=header_size, byte_order=byte_order)
        packet = frame[header_size:]
        ip = parse_ip(packet)
    except (HeaderError, PacketError) as error:
        return [Violation("V1", error.field, error.found, error.because)]
    whole = _Frame(header, ip, _layers(ip, packet), packet)
    return [violation for rule in _RULES for violation in rule(whole)]


def _layers(ip: IPv4 | IPv6, packet: Buffer) -> Layers | None:
    try:
        return parse_layers(ip, packet)
    except PacketError:
        return None


def _size_of_a_single_packet(frame: _Frame) -> Iterator[Violation]:
    """Check V2."""
    gso_size = frame.header.gso_size
    if gso_size and not frame.is_superpacket:
        yield Violation("V2", "vnet.gso_size", gso_size, "a single packet has gso_size 0")


def _type(frame: _Frame) -> Iterator[Violation]:
    """Check V3."""
    header, ip = frame.header, frame.ip
    right = GsoType.UDP_L4 if ip.protocol == Protocol.UDP else TCP_TYPES[ip.version]
    if frame.is_superpacket and (header.base_type != right or frame.layers is None):
        because = f"the packet is IPv{ip.version} with protocol {ip.protocol}"
        yield Violation("V3", "vnet.gso_type", header.gso_type, because)


def _needs_csum(frame: _Frame) -> Iterator[Violation]:
    """Check V4."""
    if frame.is_superpacket and not frame.header.needs_csum:
        yield Violation("V4", "vnet.flags", frame.header.flags, "a superpacket has NEEDS_CSUM")


def _segment_size(frame: _Frame) -> Iterator[Violation]:
    """Check V5."""
    if (layers := frame.segmented) is None:
        return
    gso_size, payload = frame.header.gso_size, len(frame.packet) - layers.payload_offset
    if not 1 <= gso_size < min(payload, _GSO_BY_FRAGS):
        yield Violation("V5", "vnet.gso_size", gso_size, f"the payload has {payload} bytes")


def _checksum_field(frame: _Frame) -> Iterator[Violation]:
    """Check V6."""
    header, layers = frame.header, frame.layers
    if not header.needs_csum:
        return
    if layers is None:
        behind, end = frame.ip.header_length, len(frame.packet)
        if not behind <= header.csum_start <= end - header.csum_offset - 2:
            because = f"the checksum field must lie between byte {behind} and the end at byte {end}"
            yield Violation("V6", "vnet.csum_start", header.csum_start, because)
        return
    if header.csum_start != layers.transport_offset:
        because = f"the transport header begins at byte {layers.transport_offset}"
        yield Violation("V6", "vnet.csum_start", header.csum_start, because)
    if header.csum_offset != layers.transport.checksum_offset:
        because = f"the checksum field is {layers.transport.checksum_offset} bytes into the transport header"
        yield Violation("V6", "vnet.csum_offset", header.csum_offset, because)


def _partial(frame: _Frame) -> Iterator[Violation]:
    """Check V7."""
    layers = frame.layers
    if layers is None or not frame.header.needs_csum:
        return
    partial = layers.partial(len(frame.packet) - layers.transport_offset)
    if layers.transport.checksum != partial:
        yield Violation("V7", "transport.checksum", layers.transport.checksum, f"the partial is {partial}")


def _header_length(frame: _Frame) -> Iterator[Violation]:
    """Check V8."""
    layers, hdr_len = frame.segmented, frame.header.hdr_len
    if layers is not None and not layers.payload_offset <= hdr_len <= len(frame.packet):
        because = f"the headers have {layers.payload_offset} bytes, the packet {len(frame.packet)}"
        yield Violation("V8", "vnet.hdr_len", hdr_len, because)


def _ecn_without_cwr(frame: _Frame) -> Iterator[Violation]:
    """Check V9."""
    if frame.segmented is not None and frame.header.ecn and not frame.has_cwr:
        yield Violation("V9", "vnet.gso_type", frame.header.gso_type, "the ECN bit is for TCP with CWR")


def _segment_count(frame: _Frame) -> Iterator[Violation]:
    """Check V10."""
    layers, gso_size = frame.segmented, frame.header.gso_size
    if layers is None or isinstance(layers.transport, Tcp):
        return
    payload = len(frame.packet) - layers.payload_offset
    if payload > gso_size * MAX_UDP_SEGMENTS:
        yield Violation("V10", "vnet.gso_size", gso_size, f"{payload} bytes make more than 128 segments")


def _ip_header(frame: _Frame) -> Iterator[Violation]:
    """Check V11 for IP: length field, header checksum."""
    ip, packet = frame.ip, frame.packet
    if ip.stated_length != len(packet) or len(packet) > MAX_PACKET:
        because = f"the packet has {len(packet)} bytes; the limit is 65535"
        yield Violation("V11", f"ipv{ip.version}.length", ip.stated_length, because)
    if isinstance(ip, IPv4) and not ip.checksum_is_right:
        found = int.from_bytes(ip.header[IPv4Layout.CHECKSUM.span], "big")
        yield Violation("V11", "ipv4.checksum", found, "the header checksum is wrong")


def _udp_length(frame: _Frame) -> Iterator[Violation]:
    """Check V11 for UDP: `__udp_gso_segment` computes with the length field."""
    layers = frame.layers
    if layers is None or layers.ip.is_fragment:
        return
    stated, length = layers.transport.stated_length, len(frame.packet) - layers.transport_offset
    if stated not in {None, length}:
        yield Violation("V11", "udp.length", stated, f"the datagram has {length} bytes")


def _unwanted_flags(frame: _Frame) -> Iterator[Violation]:
    """Check V12."""
    if frame.header.flags & _UNWANTED:
        yield Violation("V12", "vnet.flags", frame.header.flags, "a writer sets only NEEDS_CSUM")


def _unused_fields(frame: _Frame) -> Iterator[Violation]:
    """Check V13."""
    header = frame.header
    if header.hdr_len and not frame.is_superpacket:
        yield Violation("V13", "vnet.hdr_len", header.hdr_len, "unused without a type")
    if not header.needs_csum and (header.csum_start or header.csum_offset):
        yield Violation("V13", "vnet.csum_start", header.csum_start, "unused without NEEDS_CSUM")
    if header.num_buffers or any(header.rest):
        yield Violation("V13", "vnet.num_buffers", header.num_buffers, "unused by a writer, and so is what follows")


def _cwr_without_ecn(frame: _Frame) -> Iterator[Violation]:
    """Check V14."""
    if frame.segmented is not None and frame.has_cwr and not frame.header.ecn:
        yield Violation("V14", "vnet.gso_type", frame.header.gso_type, "the TCP header has CWR")


_RULES: Final[tuple[Callable[[_Frame], Iterator[Violation]], ...]] = (
    _size_of_a_single_packet,
    _type,
    _needs_csum,
    _segment_size,
    _checksum_field,
    _partial,
    _header_length,
    _ecn_without_cwr,
    _segment_count,
    _ip_header,
    _udp_length,
    _unwanted_flags,
    _unused_fields,
    _cwr_without_ecn,
)
"""V2 to V14, in the order of their numbers."""
