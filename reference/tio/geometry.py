"""Whether the pieces handed to `write_gso` form one legal superpacket, and the vnet header that describes it.

The contract has the caller finalize the headers: total length, IPv4 header checksum, and the pseudo-header partial in
the transport checksum. Kernels trust them; a wrong one is carried into every segment and found by the receiver, far
from the mistake. So everything is checked before a byte is written, in this order:

G1  `hdr` is not empty.
G2  `transport_hdr` is not empty.
G3  `pays` is not empty.
G4  No fragment is empty: it would be an empty datagram, or end the kernel's segments.
G5  All fragments but the last are as long as the first, and the last is not longer.
G6  `hdr` begins with an IP header (P1 to P4).
G7  `hdr` states that TCP or UDP follows, and that the packet is not a fragment.
G8  `hdr` is exactly that header and its extension headers, and `transport_hdr` is exactly one TCP or UDP header
    (P5, P6), so it contains its checksum field.
G9  The whole is at most 65535 bytes long.
G10 The IP length field, and that of UDP, match the length of the whole.
G11 The IPv4 header checksum is correct.
G12 The transport checksum field holds the partial: folded, not inverted.
G13 With several fragments, each but the last has at least 8 bytes: for TCP, kernels disagree about smaller ones (some
    raise gso_size to 8, c27c449d455a, and then segment elsewhere), and tiny UDP sizes have crashed kernels behind
    tunnel sockets.
G14 UDP has at most 128 fragments.
G15 The vnet header, two headers and fragments fit in one `writev`: IOV_MAX is 1024 on Linux, which leaves 1021
    fragments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tio.checksum import Buffer
from tio.errors import GeometryError, PacketError
from tio.ip import MAX_PACKET, IPv4, IPv6, Protocol, parse_ip
from tio.segment import MAX_UDP_SEGMENTS
from tio.tcp import Tcp, TcpFlag
from tio.transport import Layers, parse_layers
from tio.virtio import TCP_TYPES, GsoType, VnetFlag, VnetHeader
from tio.wire import IPv4Layout, UdpLayout

__all__ = ["MAX_FRAGMENTS", "MIN_GSO_SIZE", "Shape", "check_geometry"]

MAX_FRAGMENTS: Final = 1024 - 3
MIN_GSO_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """A superpacket that satisfies G1 to G15: its vnet header, and the length of the headers after it in bytes."""

    protocol: Protocol
    header: VnetHeader
    header_length: int


def check_geometry(hdr: Buffer, transport_hdr: Buffer, pays: Sequence[Buffer]) -> Shape:
    """Return the shape of a legal superpacket, vnet header included.

    Raises `GeometryError`; its offset counts from the start of `hdr`, as if all pieces were one packet, except for G3
    to G5 and G13, where it is the index of the fragment.
    """
    payload = _check_fragments(hdr, transport_hdr, pays)
    layers = _check_headers(hdr, transport_hdr)
    _check_lengths(layers, len(hdr) + len(transport_hdr) + payload)
    _check_sums(layers, hdr, len(transport_hdr) + payload)
    _check_counts(layers, pays)
    return Shape(Protocol(layers.ip.protocol), _vnet_header(layers, pays), layers.payload_offset)


def _check_fragments(hdr: Buffer, transport_hdr: Buffer, pays: Sequence[Buffer]) -> int:
    """Return the bytes of payload (G1 to G5)."""
    if not len(hdr):
        raise GeometryError("G1", "hdr", 0, 0, "the IP header is missing")
    if not len(transport_hdr):
        raise GeometryError("G2", "transport_hdr", len(hdr), 0, "the transport header is missing")
    sizes = [len(pay) for pay in pays]
    if not sizes:
        raise GeometryError("G3", "pays", 0, 0, "there is no payload")
    if 0 in sizes:
        raise GeometryError("G4", "pays", sizes.index(0), 0, "a fragment is empty")
    for index, size in enumerate(sizes):
        if size > sizes[0] or (size < sizes[0] and index < len(sizes) - 1):
            raise GeometryError("G5", "pays", index, size, f"the first fragment has {sizes[0]} bytes")
    return sum(sizes)


def _check_headers(hdr: Buffer, transport_hdr: Buffer) -> Layers:
    """Return the layers of the two headers (G6 to G8)."""
    try:
        ip = parse_ip(hdr)
        if ip.protocol not in {Protocol.TCP, Protocol.UDP}:
            because = "neither TCP nor UDP follows"
            raise GeometryError("G7", f"ipv{ip.version}.protocol", ip.protocol_offset, ip.protocol, because)
        if ip.is_fragment:  # IPv4 only: an IPv6 Fragment header is reported as the protocol
            at, found = IPv4Layout.FRAGMENT.offset, bytes(hdr[IPv4Layout.FRAGMENT.span]).hex()
            raise GeometryError("G7", "ipv4.fragment", at, found, "a fragment is not a superpacket")
        if ip.header_length != len(hdr):
            because = f"the header itself is {ip.header_length} bytes long"
            raise GeometryError("G8", "hdr", ip.header_length, len(hdr), because)
        layers = parse_layers(ip, b"".join((hdr, transport_hdr)))
    except PacketError as error:
        rule = "G6" if error.rule in {"P1", "P2", "P3", "P4"} else "G8"
        raise GeometryError(rule, error.field, error.offset, error.found, error.because) from error
    if layers.transport.header_length != len(transport_hdr):
        because = f"the header itself is {layers.transport.header_length} bytes long"
        raise GeometryError("G8", "transport_hdr", len(hdr), len(transport_hdr), because)
    return layers


def _check_lengths(layers: Layers, total: int) -> None:
    """Check G9 and G10."""
    ip, stated = layers.ip, layers.transport.stated_length
    if total > MAX_PACKET:
        raise GeometryError("G9", "pays", 0, total, "a superpacket has at most 65535 bytes")
    if ip.stated_length != total:
        because = f"the superpacket has {total} bytes"
        raise GeometryError("G10", f"ipv{ip.version}.length", ip.length_offset, ip.stated_length, because)
    if stated not in {None, total - layers.transport_offset}:
        because = f"header and data have {total - layers.transport_offset} bytes"
        offset = layers.transport_offset + UdpLayout.LENGTH.offset
        raise GeometryError("G10", "udp.length", offset, stated, because)


def _check_sums(layers: Layers, hdr: Buffer, length: int) -> None:
    """Check G11 and G12."""
    ip, transport = layers.ip, layers.transport
    if isinstance(ip, IPv4) and not ip.checksum_is_right:
        field = IPv4Layout.CHECKSUM
        found = bytes(hdr[field.span]).hex()
        raise GeometryError("G11", "ipv4.checksum", field.offset, found, "the header checksum is wrong")
    partial = layers.partial(length)
    if transport.checksum != partial:
        offset = layers.transport_offset + transport.checksum_offset
        because = f"the partial, folded and not inverted, is {partial:#06x}"
        raise GeometryError("G12", "transport.checksum", offset, f"{transport.checksum:#06x}", because)


def _check_counts(layers: Layers, pays: Sequence[Buffer]) -> None:
    """Check G13 to G15."""
    if len(pays) > 1 and len(pays[0]) < MIN_GSO_SIZE:
        raise GeometryError("G13", "pays", 0, len(pays[0]), "kernels disagree about segments under 8 bytes")
    if layers.ip.protocol == Protocol.UDP and len(pays) > MAX_UDP_SEGMENTS:
        raise GeometryError("G14", "pays", 0, len(pays), "UDP has at most 128 segments")
    if len(pays) > MAX_FRAGMENTS:
        raise GeometryError("G15", "pays", 0, len(pays), f"one writev takes at most {MAX_FRAGMENTS} fragments")


def _vnet_header(layers: Layers, pays: Sequence[Buffer]) -> VnetHeader:
    """Return the header that satisfies V1 to V14: a single fragment is not a superpacket (V2)."""
    plain = VnetHeader(
        flags=VnetFlag.NEEDS_CSUM,
        csum_start=layers.transport_offset,
        csum_offset=layers.transport.checksum_offset,
    )
    if len(pays) < 2:
        return plain
    return plain.with_(
        gso_type=_gso_type(layers.ip, layers.transport),
        hdr_len=layers.payload_offset,
        gso_size=len(pays[0]),
    )


def _gso_type(ip: IPv4 | IPv6, transport: object) -> int:
    """Return the type, with the ECN bit for TCP that carries CWR (V9, virtio 5.1.6.2.1)."""
    if not isinstance(transport, Tcp):
        return GsoType.UDP_L4
    kind = TCP_TYPES[ip.version]
    return kind | GsoType.ECN if transport.flags & TcpFlag.CWR else kind
