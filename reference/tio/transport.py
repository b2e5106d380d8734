"""The transport header after an IP header: which one it is, where it begins, and where the payload begins."""

from typing import NamedTuple

from tio.checksum import Buffer, pseudo_header_sum
from tio.errors import PacketError
from tio.ip import IPv4, IPv6, Protocol
from tio.tcp import Tcp
from tio.udp import Udp

__all__ = ["Layers", "parse_layers"]

_VIEWS: dict[int, type[Tcp] | type[Udp]] = {Protocol.TCP: Tcp, Protocol.UDP: Udp}


class Layers(NamedTuple):  # created for every packet; a frozen dataclass takes several times as long to create
    """A packet's checked views. Offsets are in bytes from the start of the packet."""

    ip: IPv4 | IPv6
    transport: Tcp | Udp
    transport_offset: int
    payload_offset: int

    def partial(self, length: int) -> int:
        """Return the partial for a transport header and data of `length` bytes."""
        return pseudo_header_sum(self.ip.addresses, self.ip.protocol, length)


def parse_layers(ip: IPv4 | IPv6, packet: Buffer) -> Layers:
    """Return the views of a packet whose IP header is `ip`.

    Raises `PacketError`: R9 if neither TCP nor UDP follows, P5 or P6 if the transport header is incomplete.
    """
    view = _VIEWS.get(ip.protocol)
    if view is None:
        raise PacketError("R9", f"ipv{ip.version}.protocol", ip.protocol_offset, ip.protocol, "neither TCP nor UDP")
    transport = view(packet[ip.header_length :], ip.header_length)
    return Layers(ip, transport, ip.header_length, ip.header_length + transport.header_length)
