"""Segmenting: one frame, as read from a TUN, becomes the packets that it stands for.

A frame is trusted as far as its headers prove, and no further; `hdr_len` proves nothing (it is the linear size of a
kernel buffer, `virtio_net_hdr_from_skb`) and is never used.

R1  The frame begins with a complete vnet header (H1), and a packet with version nibble 4 or 6 follows (P1).
R2  A frame without a type is one packet. With `NEEDS_CSUM` its checksum is completed, without it not a byte is touched.
R3  `NEEDS_CSUM`: the checksum field lies inside the packet, and summing starts after the fixed IP header. Kernels
    before 6.12 wrote into the IP header instead (49d14b54a527); for IPv6 all of them still can.
R4  The type is TCPV4, TCPV6 or UDP_L4. The ECN bit may be set on the TCP types. Readers never receive UFO.
R5  gso_size is at least 1.
R6  A packet is at most 65535 bytes long.
R7  The IP version is the one that a TCP type names.
R8  The IP header and the walked extension headers are complete (P2 to P4).
R9  What follows is the protocol that the type names, so there is no Fragment or AH header in between.
R10 The IP length field matches the length of the packet, and the UDP length field that of the datagram.
R11 The transport header is complete (P5, P6).
R12 `NEEDS_CSUM`: csum_start is where the transport header begins, and csum_offset is that of the protocol
    (enforced by kernels since 89add40066f9).
R13 UDP_L4 has `NEEDS_CSUM` and gives at most 128 segments (`virtio_net_hdr_to_skb`, UDP_MAX_SEGMENTS).

A superpacket whose payload is not longer than gso_size is really one packet and treated as such (R2), as in the kernel
(`virtio_net_hdr_to_skb` since 7c6d2ecbda83).

Each segment has the headers of the superpacket with these fields changed, and no others:

    IPv4  total length; identification + i; header checksum            `IPv4.resized`
    IPv6  payload length                                               `IPv6.resized`
    TCP   sequence + i * gso_size; CWR first only; FIN, PSH last only  `Tcp.for_segment`
    UDP   length                                                       `Udp.for_segment`
    both  checksum, from the given partial adjusted to the segment's length; without `NEEDS_CSUM` from a new one

The functions here are pure: bytes in, values out; any input gives packets or a `FrameError`.
"""

from tio.checksum import Buffer, adjust, checksum, complete_checksum, finish
from tio.errors import HeaderError, PacketError
from tio.ip import MAX_PACKET, IPv4, IPv6, Protocol, parse_ip, version_of
from tio.transport import Layers, parse_layers
from tio.virtio import HEADER_SIZE, ByteOrder, GsoType, VnetHeader
from tio.wire import UdpLayout, VnetLayout

__all__ = ["MAX_UDP_SEGMENTS", "segment", "segment_packet"]

MAX_UDP_SEGMENTS = 128

# Type, ECN bit included: protocol, and the IP version if the type names one (R4, R7, R9).
_TYPES: dict[int, tuple[int, int | None]] = {
    GsoType.TCPV4: (Protocol.TCP, 4),
    GsoType.TCPV4 | GsoType.ECN: (Protocol.TCP, 4),
    GsoType.TCPV6: (Protocol.TCP, 6),
    GsoType.TCPV6 | GsoType.ECN: (Protocol.TCP, 6),
    GsoType.UDP_L4: (Protocol.UDP, None),
}
_FIXED_HEADER = {4: IPv4.min_length, 6: IPv6.min_length}


def segment(frame: Buffer, *, header_size: int = HEADER_SIZE, byte_order: str = ByteOrder.HOST) -> list[bytes]:
    """Return the packets that a frame stands for, in order: one, or the segments of a superpacket.

    Raises `HeaderError` or `PacketError` (R1 to R13, P1 to P6, H1).
    """
    header = VnetHeader.parse(frame, size=header_size, byte_order=byte_order)
    return segment_packet(header, frame[header_size:])


def segment_packet(header: VnetHeader, packet: Buffer) -> list[bytes]:
    """Return the packets that a vnet header and the packet after it stand for. Raises as `segment` does."""
    version = version_of(packet)
    if len(packet) > MAX_PACKET:
        raise PacketError("R6", "ip", 0, len(packet), "a packet has at most 65535 bytes")
    if header.gso_type == GsoType.NONE:
        return [_single(header, packet, version)]
    layers = _check_superpacket(header, packet, version)
    if len(packet) - layers.payload_offset <= header.gso_size:
        return [_single(header, packet, version)]
    return _segments(header, layers, packet)


def _single(header: VnetHeader, packet: Buffer, version: int) -> bytes:
    """One packet: complete its checksum if requested (R2, R3)."""
    if not header.needs_csum:
        return bytes(packet)
    if header.csum_start < _FIXED_HEADER[version]:
        because = "summing must not start in the IP header"
        raise HeaderError("R3", "vnet.csum_start", VnetLayout.CSUM_START.offset, header.csum_start, because)
    return complete_checksum(packet, header.csum_start, header.csum_offset)


def _segments(header: VnetHeader, layers: Layers, packet: Buffer) -> list[bytes]:
    """Segment a checked superpacket."""
    ip, transport = layers.ip, layers.transport
    whole = len(packet) - layers.transport_offset
    partial = transport.checksum if header.needs_csum else layers.partial(whole)
    at = transport.checksum_offset

    packets = []
    size = header.gso_size
    starts = range(layers.payload_offset, len(packet), size)
    for index, start in enumerate(starts):
        payload = packet[start : start + size]
        length = transport.header_length + len(payload)
        head = transport.for_segment(index * size, length, last=index == len(starts) - 1)
        head[at : at + 2] = adjust(partial, whole, length).to_bytes(2, "big")
        head[at : at + 2] = finish(checksum(head + payload), zero=transport.zero_checksum).to_bytes(2, "big")
        packets.append(ip.resized(ip.header_length + length, index) + head + payload)
    return packets


def _check_superpacket(header: VnetHeader, packet: Buffer, version: int) -> Layers:
    """Return the layers of a superpacket that satisfies R4 to R13."""
    if header.gso_type not in _TYPES:
        because = "not TCPV4, TCPV6 (ECN allowed) or UDP_L4"
        raise HeaderError("R4", "vnet.gso_type", VnetLayout.GSO_TYPE.offset, header.gso_type, because)
    protocol, version_of_type = _TYPES[header.gso_type]
    if header.gso_size < 1:
        because = "a superpacket has segments of at least 1 byte"
        raise HeaderError("R5", "vnet.gso_size", VnetLayout.GSO_SIZE.offset, header.gso_size, because)
    if version_of_type not in (None, version):
        raise PacketError("R7", "ip.version", 0, version, f"the type is for IPv{version_of_type}")
    layers = _check_layers(parse_ip(packet), packet, protocol)
    if header.needs_csum:
        _check_csum_fields(header, layers)
    if protocol == Protocol.UDP:
        _check_udp(header, len(packet) - layers.payload_offset)
    return layers


def _check_layers(ip: IPv4 | IPv6, packet: Buffer, protocol: int) -> Layers:
    """Return the layers of a packet whose protocol and lengths are correct (R9 to R11)."""
    if ip.protocol != protocol:
        because = f"the type is for protocol {protocol}"
        raise PacketError("R9", f"ipv{ip.version}.protocol", ip.protocol_offset, ip.protocol, because)
    if ip.stated_length != len(packet):
        because = f"the packet has {len(packet)} bytes"
        raise PacketError("R10", f"ipv{ip.version}.length", ip.length_offset, ip.stated_length, because)
    layers = parse_layers(ip, packet)
    length, stated = len(packet) - ip.header_length, layers.transport.stated_length
    if stated not in {None, length}:
        because = f"the datagram has {length} bytes"
        raise PacketError("R10", "udp.length", ip.header_length + UdpLayout.LENGTH.offset, stated, because)
    return layers


def _check_csum_fields(header: VnetHeader, layers: Layers) -> None:
    """Check R12."""
    if header.csum_start != layers.transport_offset:
        because = f"the transport header begins at byte {layers.transport_offset}"
        raise HeaderError("R12", "vnet.csum_start", VnetLayout.CSUM_START.offset, header.csum_start, because)
    if header.csum_offset != layers.transport.checksum_offset:
        because = f"the checksum field is {layers.transport.checksum_offset} bytes into the transport header"
        raise HeaderError("R12", "vnet.csum_offset", VnetLayout.CSUM_OFFSET.offset, header.csum_offset, because)


def _check_udp(header: VnetHeader, payload: int) -> None:
    """Check R13."""
    if not header.needs_csum:
        raise HeaderError("R13", "vnet.flags", VnetLayout.FLAGS.offset, header.flags, "UDP_L4 needs NEEDS_CSUM")
    if payload > header.gso_size * MAX_UDP_SEGMENTS:
        because = f"{payload} bytes make more than 128 segments"
        raise HeaderError("R13", "vnet.gso_size", VnetLayout.GSO_SIZE.offset, header.gso_size, because)
