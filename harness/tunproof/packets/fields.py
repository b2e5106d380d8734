"""Names for the bytes of a packet: which field a byte belongs to, and what each field says.

For people who look at a difference. Nothing here decides anything, and damaged packets are named as far as they go.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from tio.errors import PacketError
from tio.ip import IPv6, Protocol, parse_ip
from tio.wire import IPv4Layout, IPv6Layout, Layout, TcpLayout, UdpLayout, VnetLayout

__all__ = ["Field", "field_at", "packet_fields", "vnet_field_at"]

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


def packet_fields(packet: bytes) -> tuple[Field, ...]:
    """Return the fields of a packet in order, payload last; what cannot be read is one field "bytes"."""
    try:
        ip = parse_ip(packet)
    except PacketError:
        return (Field("bytes", 0, len(packet)),)
    at, data_offset = ip.header_length, ip.header_length + _DATA_OFFSET
    words = packet[data_offset] >> 4 if ip.protocol == Protocol.TCP and data_offset < len(packet) else 0
    return _fields(isinstance(ip, IPv6), at, ip.protocol, words, len(packet))


@functools.lru_cache(maxsize=1 << 14)
def _fields(is_ipv6: bool, at: int, protocol: int, words: int, length: int) -> tuple[Field, ...]:
    """Return the fields of all packets of one shape: a report names those of thousands of packets, and most are alike.

    `at` is where the transport header begins, `words` its data offset (TCP).
    """
    layout, options = (IPv6Layout, "ipv6.extension_headers") if is_ipv6 else (IPv4Layout, "ipv4.options")
    found = [*_named(_IPV6 if is_ipv6 else _IPV4, 0)]
    if at > layout.size:
        found.append(Field(options, layout.size, at))
    return (*found, *_transport_fields(at, protocol, words, length))


def field_at(packet: bytes, offset: int) -> Field:
    """Return the field that holds the byte at `offset`."""
    for field in packet_fields(packet):
        if field.start <= offset < field.end:
            return field
    return Field("end of packet", len(packet), offset + 1)


def vnet_field_at(offset: int) -> str:
    """Return the name of the field of a vnet header that holds the byte at `offset`, below 10."""
    return next(field.name for field in VnetLayout.fields if field.offset <= offset < field.end)


def _transport_fields(at: int, protocol: int, words: int, length: int) -> Iterator[Field]:
    end = at
    if protocol == Protocol.TCP and length - at >= TcpLayout.size:
        yield from _named(_TCP, at)
        options = at + TcpLayout.size
        end = min(at + max(words * 4, TcpLayout.size), length)
        if end > options:
            yield Field("tcp.options", options, end)
    elif protocol == Protocol.UDP and length - at >= UdpLayout.size:
        yield from _named(_UDP, at)
        end = at + UdpLayout.size
    if end < length:
        yield Field("payload", end, length)


def _named(table: _Table, at: int) -> Iterator[Field]:
    return (Field(name, at + start, at + end) for name, start, end in table)
