"""Names for the bytes of a packet: which field a byte belongs to, and what each field says.

For people who look at a difference. Nothing here decides anything, and damaged packets are named as far as they go.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tio.errors import PacketError
from tio.ip import IPv6, parse_ip

__all__ = ["Field", "field_at", "packet_fields", "vnet_field_at"]

_IPV4 = (
    ("version, IHL", 0, 1),
    ("DSCP, ECN", 1, 2),
    ("total_length", 2, 4),
    ("identification", 4, 6),
    ("flags, fragment_offset", 6, 8),
    ("ttl", 8, 9),
    ("protocol", 9, 10),
    ("checksum", 10, 12),
    ("source", 12, 16),
    ("destination", 16, 20),
)
_IPV6 = (
    ("version, traffic_class, flow_label", 0, 4),
    ("payload_length", 4, 6),
    ("next_header", 6, 7),
    ("hop_limit", 7, 8),
    ("source", 8, 24),
    ("destination", 24, 40),
)
_TCP = (
    ("source_port", 0, 2),
    ("destination_port", 2, 4),
    ("sequence", 4, 8),
    ("acknowledgment", 8, 12),
    ("data_offset, reserved", 12, 13),
    ("flags", 13, 14),
    ("window", 14, 16),
    ("checksum", 16, 18),
    ("urgent_pointer", 18, 20),
)
_UDP = (("source_port", 0, 2), ("destination_port", 2, 4), ("length", 4, 6), ("checksum", 6, 8))


@dataclass(frozen=True, slots=True)
class Field:
    """A named run of bytes: `name` like "tcp.sequence", `start` and `end` counted from the packet's first byte."""

    name: str
    start: int
    end: int

    def value(self, packet: bytes) -> str:
        """Return what the field says: a number where it is short, hex otherwise."""
        data = packet[self.start : self.end]
        if not data:
            return "(not there)"
        if self.name.endswith(("source", "destination")) and len(data) == 4:
            return ".".join(map(str, data))
        number = int.from_bytes(data, "big")
        if self.name.endswith(("checksum", "flags", "fragment_offset")):
            return f"0x{data.hex()}"
        return str(number) if len(data) <= 4 else data.hex()


def packet_fields(packet: bytes) -> Iterator[Field]:
    """Yield the fields of a packet in order, payload last; what cannot be read is one field "bytes"."""
    try:
        ip = parse_ip(packet)
    except PacketError:
        yield Field("bytes", 0, len(packet))
        return
    layer, table = ("ipv6", _IPV6) if isinstance(ip, IPv6) else ("ipv4", _IPV4)
    yield from _named(layer, table, 0)
    options = "extension_headers" if layer == "ipv6" else "options"
    if ip.header_length > ip.min_length:
        yield Field(f"{layer}.{options}", ip.min_length, ip.header_length)
    yield from _transport_fields(packet, ip.header_length, ip.protocol)


def field_at(packet: bytes, offset: int) -> Field:
    """Return the field that holds the byte at `offset`."""
    for field in packet_fields(packet):
        if field.start <= offset < field.end:
            return field
    return Field("end of packet", len(packet), offset + 1)


_VNET = {"flags": 0, "gso_type": 1, "hdr_len": 2, "gso_size": 4, "csum_start": 6, "csum_offset": 8}


def vnet_field_at(offset: int) -> str:
    """Return the name of the field of a vnet header that holds the byte at `offset`, below 10."""
    return [name for name, start in _VNET.items() if start <= offset][-1]


def _transport_fields(packet: bytes, at: int, protocol: int) -> Iterator[Field]:
    body = packet[at:]
    end = at
    if protocol == 6 and len(body) >= 20:
        yield from _named("tcp", _TCP, at)
        end = min(at + max((body[12] >> 4) * 4, 20), len(packet))
        if end > at + 20:
            yield Field("tcp.options", at + 20, end)
    elif protocol == 17 and len(body) >= 8:
        yield from _named("udp", _UDP, at)
        end = at + 8
    if end < len(packet):
        yield Field("payload", end, len(packet))


def _named(layer: str, table: tuple[tuple[str, int, int], ...], at: int) -> Iterator[Field]:
    return (Field(f"{layer}.{name}", at + start, at + end) for name, start, end in table)
