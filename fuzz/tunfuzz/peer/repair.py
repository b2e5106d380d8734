"""Packets with correct lengths and sums, made from nearly correct ones: then a change shows in isolation."""

from tio.errors import PacketError
from tio.ip import MAX_PACKET, parse_ip
from tio.transport import Layers, parse_layers
from tunfuzz.build import NoPacketError, assemble

__all__ = ["layers_of", "repaired"]


def layers_of(packet: bytes) -> Layers | None:
    """Return the layers of a complete TCP or UDP packet that is not a fragment, or None."""
    try:
        ip = parse_ip(packet)
        return None if ip.is_fragment else parse_layers(ip, packet)
    except PacketError:
        return None


def repaired(packet: bytes, *, partial: bool) -> bytes:
    """Return the packet with lengths and sums corrected; unchanged if they have no place, or do not fit.

    `partial` leaves the pseudo-header sum in the transport checksum.
    """
    layers = layers_of(packet)
    if layers is None or len(packet) > MAX_PACKET:
        return packet
    at, end = layers.transport_offset, layers.payload_offset
    try:
        return assemble(packet[:at], packet[at:end], packet[end:], partial=partial)
    except NoPacketError:
        return packet
