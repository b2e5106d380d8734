"""Whether a frame written to a TUN satisfies the header rules V1 to V14, which `virtio` states.

Unlike `segment`, which stops at the first fault because it must not continue, this checks everything and lists every
fault: it judges other people's output.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tio.checksum import Buffer
from tio.errors import HeaderError, PacketError
from tio.ip import MAX_PACKET, IPv4, IPv6, Protocol, parse_ip
from tio.segment import MAX_UDP_SEGMENTS
from tio.tcp import Tcp, TcpFlag
from tio.transport import Layers, parse_layers
from tio.virtio import TCP_TYPES, ByteOrder, GsoType, VnetFlag, VnetHeader

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


def violations(frame: Buffer, *, header_size: int = 10, byte_order: str = ByteOrder.HOST) -> list[Violation]:
    """Return every rule that a frame breaks, in numerical order; none if it is legal."""
    try:
        header = VnetHeader.parse(frame, size=header_size, byte_order=byte_order)
        packet = frame[header_size:]
        ip = parse_ip(packet)
    except (HeaderError, PacketError) as error:
        return [Violation("V1", error.field, error.found, error.because)]
    layers: Layers | None = None
    with contextlib.suppress(PacketError):
        layers = parse_layers(ip, packet)
    found = [*_plain(header, ip, packet), *_udp_length(layers, packet)]
    if header.gso_type != GsoType.NONE:
        found += _superpacket(header, ip, layers, packet)
    if header.needs_csum:
        found += _checksum(header, ip, layers, packet)
    return sorted(found, key=lambda violation: int(violation.rule[1:]))


def _plain(header: VnetHeader, ip: IPv4 | IPv6, packet: Buffer) -> Iterator[Violation]:
    """Check what applies to every frame: V2, V11, V12, V13."""
    single = header.gso_type == GsoType.NONE
    if single and header.gso_size:
        yield Violation("V2", "vnet.gso_size", header.gso_size, "a single packet has gso_size 0")
    if ip.stated_length != len(packet) or len(packet) > MAX_PACKET:
        because = f"the packet has {len(packet)} bytes; the limit is 65535"
        yield Violation("V11", f"ipv{ip.version}.length", ip.stated_length, because)
    if isinstance(ip, IPv4) and not ip.checksum_is_right:
        yield Violation("V11", "ipv4.checksum", int.from_bytes(ip.header[10:12], "big"), "the header checksum is wrong")
    if header.flags & _UNWANTED:
        yield Violation("V12", "vnet.flags", header.flags, "a writer sets only NEEDS_CSUM")
    if single and header.hdr_len:
        yield Violation("V13", "vnet.hdr_len", header.hdr_len, "unused without a type")
    if not header.needs_csum and (header.csum_start or header.csum_offset):
        yield Violation("V13", "vnet.csum_start", header.csum_start, "unused without NEEDS_CSUM")
    if header.num_buffers or any(header.rest):
        yield Violation("V13", "vnet.num_buffers", header.num_buffers, "unused by a writer, and so is what follows")


def _udp_length(layers: Layers | None, packet: Buffer) -> Iterator[Violation]:
    """Check V11 for UDP: `__udp_gso_segment` uses the length field."""
    stated = layers.transport.stated_length if layers is not None and not layers.ip.is_fragment else None
    if layers is not None and stated not in {None, len(packet) - layers.transport_offset}:
        yield Violation("V11", "udp.length", stated, f"the datagram has {len(packet) - layers.transport_offset} bytes")


def _superpacket(header: VnetHeader, ip: IPv4 | IPv6, layers: Layers | None, packet: Buffer) -> Iterator[Violation]:
    """Check V3, V4, V5, V8, V9, V10 and V14."""
    right = GsoType.UDP_L4 if ip.protocol == Protocol.UDP else TCP_TYPES[ip.version]
    if header.base_type != right or layers is None:
        because = f"the packet is IPv{ip.version} with protocol {ip.protocol}"
        yield Violation("V3", "vnet.gso_type", header.gso_type, because)
    if not header.needs_csum:
        yield Violation("V4", "vnet.flags", header.flags, "a superpacket has NEEDS_CSUM")
    if layers is None:
        return
    payload = len(packet) - layers.payload_offset
    if not 1 <= header.gso_size < min(payload, _GSO_BY_FRAGS):
        yield Violation("V5", "vnet.gso_size", header.gso_size, f"the payload has {payload} bytes")
    if not layers.payload_offset <= header.hdr_len <= len(packet):
        because = f"the headers have {layers.payload_offset} bytes, the packet {len(packet)}"
        yield Violation("V8", "vnet.hdr_len", header.hdr_len, because)
    transport = layers.transport
    if header.ecn and not (isinstance(transport, Tcp) and transport.flags & _CWR):
        yield Violation("V9", "vnet.gso_type", header.gso_type, "the ECN bit is for TCP with CWR")
    if isinstance(transport, Tcp) and transport.flags & _CWR and not header.ecn:
        yield Violation("V14", "vnet.gso_type", header.gso_type, "the TCP header has CWR")
    if not isinstance(transport, Tcp) and payload > header.gso_size * MAX_UDP_SEGMENTS:
        yield Violation("V10", "vnet.gso_size", header.gso_size, f"{payload} bytes make more than 128 segments")


def _checksum(header: VnetHeader, ip: IPv4 | IPv6, layers: Layers | None, packet: Buffer) -> Iterator[Violation]:
    """Check V6 and V7."""
    if layers is None:
        if not ip.header_length <= header.csum_start <= len(packet) - header.csum_offset - 2:
            because = f"the checksum field must lie between byte {ip.header_length} and the end at byte {len(packet)}"
            yield Violation("V6", "vnet.csum_start", header.csum_start, because)
        return
    if header.csum_start != layers.transport_offset:
        because = f"the transport header begins at byte {layers.transport_offset}"
        yield Violation("V6", "vnet.csum_start", header.csum_start, because)
    if header.csum_offset != layers.transport.checksum_offset:
        because = f"the checksum field is {layers.transport.checksum_offset} bytes into the transport header"
        yield Violation("V6", "vnet.csum_offset", header.csum_offset, because)
    partial = layers.partial(len(packet) - layers.transport_offset)
    if layers.transport.checksum != partial:
        yield Violation("V7", "transport.checksum", layers.transport.checksum, f"the partial is {partial}")
