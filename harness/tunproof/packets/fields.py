"""Names for the bytes of a packet: which field a byte belongs to, and what each field says.

For people who look at a difference. Nothing here decides anything, and damaged packets are named as far as they go.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tio.errors import PacketError
from tio.ip import IPv6, parse_ip
from tio.wire import IPv4Layout, IPv6Layout, Layout, TcpLayout, UdpLayout

__all__ = ["Field", "field_at", "packet_fields"]

_Table = tuple[tuple[str, int, int], ...]


def _table(layer: str, layout: type[Layout]) -> _Table:
    return tuple((f"{layer}.{field.name}", field.offset, field.end) for field in layout.fields)


_IPV4, _IPV6 = _table("ipv4", IPv4Layout), _table("ipv6", IPv6Layout)
_TCP, _UDP = _table("tcp", TcpLayout), _table("udp", UdpLayout)
_DATA_OFFSET = TcpLayout.DATA_OFFSET_RESERVED.offset


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
    table, options = (_IPV6, "ipv6.extension_headers") if isinstance(ip, IPv6) else (_IPV4, "ipv4.options")
    yield from _named(table, 0)
    if ip.header_length > ip.min_length:
        yield Field(options, ip.min_length, ip.header_length)
    yield from _transport_fields(packet, ip.header_length, ip.protocol)


def field_at(packet: bytes, offset: int) -> Field:
    """Return the field that holds the byte at `offset`."""
    for field in packet_fields(packet):
        if field.start <= offset < field.end:
            return field
    return Field("end of packet", len(packet), offset + 1)


def _transport_fields(packet: bytes, at: int, protocol: int) -> Iterator[Field]:
    body = packet[at:]
    end = at
    if protocol == 6 and len(body) >= TcpLayout.size:
        yield from _named(_TCP, at)
        options = at + TcpLayout.size
        end = min(at + max((body[_DATA_OFFSET] >> 4) * 4, TcpLayout.size), len(packet))
        if end > options:
            yield Field("tcp.options", options, end)
    elif protocol == 17 and len(body) >= UdpLayout.size:
        yield from _named(_UDP, at)
        end = at + UdpLayout.size
    if end < len(packet):
        yield Field("payload", end, len(packet))


def _named(table: _Table, at: int) -> Iterator[Field]:
    return (Field(name, at + start, at + end) for name, start, end in table)
