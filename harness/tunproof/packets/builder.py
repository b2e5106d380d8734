"""Building frames with scapy, an independent library: what it says about lengths and checksums is not our own word.

Nothing is read from `tio.wire` for the same reason: a mistake in its tables must not be built into the frames as well.
Every builder is deterministic. Payloads are patterns in which no two segments are alike, so that a swapped or repeated
segment shows.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw
from scapy.utils import checksum as rfc1071

__all__ = [
    "Flow",
    "GsoPieces",
    "frame",
    "ip4",
    "ip6",
    "packet_bytes",
    "patched",
    "payload",
    "pieces",
    "plain",
    "superpacket",
    "whole",
]

_NEEDS_CSUM = 1
_ECN = 0x80
_CSUM_OFFSET = {6: 16, 17: 6}
_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class GsoPieces:
    """The arguments of one `write_gso`."""

    hdr: bytes
    transport_hdr: bytes
    pays: tuple[bytes, ...]


def ip4(**fields: object) -> Packet:
    """Return an IPv4 header between two documentation addresses (RFC 5737), DF set, unless told otherwise."""
    return IP(**{"src": "192.0.2.1", "dst": "198.51.100.2", "id": 0x1234, "flags": "DF", "ttl": 64} | fields)


def ip6(**fields: object) -> Packet:
    """Return an IPv6 header between two documentation addresses (RFC 3849) unless told otherwise."""
    return IPv6(**{"src": "2001:db8::1", "dst": "2001:db8:ffff::2", "hlim": 64} | fields)


def payload(length: int, *, seed: int = 0) -> bytes:
    """Return `length` bytes of a pattern with a period of 251 * 256, so segments differ whatever their size."""
    return bytes((index * 7 + index // 251 + seed) & 0xFF for index in range(length))


def whole(headers: Packet, data: bytes = b"") -> bytes:
    """Return a complete packet: lengths and checksums by scapy."""
    return packet_bytes(headers / Raw(data) if data else headers)


def patched(packet: bytes, offset: int, value: bytes) -> bytes:
    """Return a packet with some bytes replaced, and nothing made right again."""
    return packet[:offset] + value + packet[offset + len(value) :]


class Flow:
    """Complete packets of one flow. Each continues the one before: identification, TCP sequence number, payload."""

    def __init__(self, headers: Packet, *, seed: int = 0) -> None:
        """Begin a flow whose first packet has these headers; `seed` makes its payload unlike that of other flows."""
        self._headers = headers
        self._seed = seed
        self._count = 0
        self._position = 0

    def packet(
        self,
        size: int = 16,
        *,
        start: int | None = None,
        network: Mapping[str, object] = _NOTHING,
        transport: Mapping[str, object] = _NOTHING,
    ) -> bytes:
        """Return the next packet, with `size` bytes of payload.

        `start` is where in the stream they are, if not behind those before: a gap, an overlap, a retransmission. The
        other two replace fields of the IP header and of the TCP or UDP header for this packet alone.
        """
        headers = self._headers.copy()
        position = self._position if start is None else start
        if IP in headers:
            headers.id = (headers.id + self._count) & 0xFFFF
        layer = headers[TCP] if TCP in headers else headers[UDP]
        if TCP in headers:
            layer.seq = (layer.seq + position) & 0xFFFFFFFF
        for fields, changes in ((headers, network), (layer, transport)):
            for name, value in changes.items():
                setattr(fields, name, value)
        self._count += 1
        self._position = position + size
        numbers = range(position, position + size)
        return whole(headers, bytes((index * 7 + index // 251 + self._seed) & 0xFF for index in numbers))

    def packets(self, *sizes: int) -> list[bytes]:
        """Return the next packets, one for each size."""
        return [self.packet(size) for size in sizes]


def superpacket(headers: Packet, data: bytes, *, gso_size: int, **vnet: int) -> bytes:
    """Return the frame of a canonical superpacket: right lengths, right partial, right vnet header.

    `headers` end in TCP or UDP. `vnet` replaces fields of the vnet header: flags, gso_type, hdr_len, csum_start,
    csum_offset.
    """
    packet = packet_bytes(headers / Raw(data))
    at, protocol = _transport(headers)
    packet = _with_partial(packet, at, protocol)
    transport_length = (packet[at + 12] >> 4) * 4 if protocol == 6 else 8
    values = {
        "flags": _NEEDS_CSUM,
        "gso_type": _gso_type(packet, at, protocol),
        "hdr_len": at + transport_length,
        "gso_size": gso_size,
        "csum_start": at,
        "csum_offset": _CSUM_OFFSET[protocol],
    } | vnet
    return frame(packet, **values)


def plain(headers: Packet, data: bytes, **vnet: int) -> bytes:
    """Return the frame of a single packet with a partial checksum, as a local socket's packets are read from a TUN."""
    at, protocol = _transport(headers)
    packet = _with_partial(packet_bytes(headers / Raw(data)), at, protocol)
    return frame(packet, **({"flags": _NEEDS_CSUM, "csum_start": at, "csum_offset": _CSUM_OFFSET[protocol]} | vnet))


def frame(  # noqa: PLR0913 (the fields of the vnet header)
    packet: bytes,
    *,
    flags: int = 0,
    gso_type: int = 0,
    hdr_len: int = 0,
    gso_size: int = 0,
    csum_start: int = 0,
    csum_offset: int = 0,
) -> bytes:
    """Return a frame of a vnet header of 10 bytes, little-endian, and a packet."""
    return struct.pack("<BBHHHH", flags, gso_type, hdr_len, gso_size, csum_start, csum_offset) + packet


def pieces(headers: Packet, pays: list[bytes]) -> GsoPieces:
    """Return the arguments of a `write_gso`, headers finalized as the contract asks."""
    at, protocol = _transport(headers)
    packet = _with_partial(packet_bytes(headers / Raw(b"".join(pays))), at, protocol)
    end = at + ((packet[at + 12] >> 4) * 4 if protocol == 6 else 8)
    return GsoPieces(packet[:at], packet[at:end], tuple(pays))


def packet_bytes(packet: Packet) -> bytes:
    """Return the bytes of a scapy packet: lengths and checksums filled in by scapy."""
    data: bytes = raw(packet)
    return data


def _transport(headers: Packet) -> tuple[int, int]:
    """Return where the transport header begins, and its protocol number."""
    protocol, layer = (6, TCP) if TCP in headers else (17, UDP)
    return len(packet_bytes(headers)) - len(packet_bytes(headers[layer])), protocol


def _with_partial(packet: bytes, at: int, protocol: int) -> bytes:
    """Put the pseudo-header partial where the checksum stands, summed by scapy."""
    addresses = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    partial = ~rfc1071(addresses + struct.pack(">HH", protocol, len(packet) - at)) & 0xFFFF
    field = at + _CSUM_OFFSET[protocol]
    finished: bytes = packet[:field] + partial.to_bytes(2, "big") + packet[field + 2 :]
    return finished


def _gso_type(packet: bytes, at: int, protocol: int) -> int:
    if protocol == 17:
        return 5
    ecn = _ECN if packet[at + 13] & 0x80 else 0
    return (1 if packet[0] >> 4 == 4 else 4) | ecn
