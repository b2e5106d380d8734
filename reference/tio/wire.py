"""The wire: the fields of each header, under the names that people see. Each offset is stated here and nowhere else.

A header is a `Layout`: fields in the order of their bytes, without gap or overlap. Options and extension headers, which
vary, begin behind its `size` bytes.

    TcpLayout.SEQUENCE.offset            where it begins, in bytes from the header's first: 4
    packet[at + TcpLayout.FLAGS.offset]  that byte of a TCP header that begins at `at`
    header[IPv4Layout.CHECKSUM.span]     the bytes of the field
    IPv4Layout.IHL.of(header[0])         one of two numbers that share a byte

Numbers are in network byte order, those of a vnet header in the byte order of the device (`virtio`). Code that runs for
every packet copies the offsets that it needs into constants of its module.
"""

import enum
import struct
from dataclasses import dataclass
from typing import ClassVar, Final

__all__ = [
    "Bits",
    "Field",
    "GsoType",
    "IPv4Layout",
    "IPv6Layout",
    "Layout",
    "TcpFlag",
    "TcpLayout",
    "TunnelLayout",
    "UdpLayout",
    "VnetFlag",
    "VnetLayout",
]


@dataclass(frozen=True, slots=True)
class Bits:
    """One of several numbers in a field: `width` bits, the lowest of which is bit `shift` of the field."""

    name: str
    shift: int
    width: int = 1

    @property
    def mask(self) -> int:
        """The number of a field in which all these bits are set, and no others."""
        return (1 << self.width) - 1 << self.shift

    def of(self, number: int) -> int:
        """Return what these bits say in a field of that number."""
        return (number & self.mask) >> self.shift


@dataclass(frozen=True, slots=True)
class Field:
    """A field of `width` bytes that begins at byte `offset` of its header.

    `bits` has the parts of one that holds several numbers, from the highest.
    """

    name: str
    offset: int
    width: int
    bits: tuple[Bits, ...] = ()

    @property
    def end(self) -> int:
        """Where the next field begins."""
        return self.offset + self.width

    @property
    def span(self) -> slice:
        """What cuts the field out of a header."""
        return slice(self.offset, self.end)


class Layout:
    """The fields of a header, in the order of their bytes; `size` is the number of bytes that they take."""

    fields: ClassVar[tuple[Field, ...]]
    size: ClassVar[int]

    def __init_subclass__(cls) -> None:
        """Collect the fields of the class."""
        cls.fields = tuple(value for value in vars(cls).values() if isinstance(value, Field))
        cls.size = cls.fields[-1].end

    @classmethod
    def within(cls, size: int) -> tuple[Field, ...]:
        """Return the fields that a header of `size` bytes has."""
        return tuple(field for field in cls.fields if field.end <= size)

    @classmethod
    def packer(cls, byte_order: str, size: int) -> struct.Struct:
        """Return what packs and unpacks these fields: numbers, and as bytes what is wider than four of them."""
        codes = (_CODES.get(field.width, f"{field.width}s") for field in cls.within(size))
        return struct.Struct(("<" if byte_order == "little" else ">") + "".join(codes))


_CODES: Final = {1: "B", 2: "H", 4: "I"}


def _one_by_one(flags: type[enum.IntFlag]) -> tuple[Bits, ...]:
    return tuple(Bits(str(flag.name), flag.bit_length() - 1) for flag in reversed(flags))


# The vnet header -----------------------------------------------------------------------------------------------------


class VnetFlag(enum.IntFlag):
    """Bits of `flags`, from the lowest."""

    NEEDS_CSUM = enum.auto()
    DATA_VALID = enum.auto()
    RSC_INFO = enum.auto()


class GsoType(enum.IntEnum):
    """Values of `gso_type`; `ECN` is a bit that qualifies the TCP types."""

    NONE = 0
    TCPV4 = 1
    UDP = 3  # UDP fragmentation (UFO)
    TCPV6 = 4
    UDP_L4 = 5
    ECN = 0x80


class VnetLayout(Layout):
    """`struct virtio_net_hdr` and what longer ones add (virtio 1.3, 5.1.6; `include/uapi/linux/virtio_net.h`)."""

    FLAGS: Final = Field("flags", 0, 1, _one_by_one(VnetFlag))
    GSO_TYPE: Final = Field("gso_type", 1, 1)  # a `GsoType`
    HDR_LEN: Final = Field("hdr_len", 2, 2)  # bytes of all headers; on read a hint and no more
    GSO_SIZE: Final = Field("gso_size", 4, 2)  # payload bytes in each segment but the last
    CSUM_START: Final = Field("csum_start", 6, 2)  # where summing starts, counted from the packet
    CSUM_OFFSET: Final = Field("csum_offset", 8, 2)  # where the checksum goes, counted from csum_start
    NUM_BUFFERS: Final = Field("num_buffers", 10, 2)  # with headers of 12 bytes; unused by TUN
    REST: Final = Field("rest", 12, 12)  # with headers of 24 bytes; see `TunnelLayout`


class TunnelLayout(Layout):
    """What `rest` has in it: hash and tunnel fields (virtio 1.4, 5.1.6; `struct virtio_net_hdr_v1_hash_tunnel`)."""

    HASH_VALUE: Final = Field("hash_value", 12, 4)
    HASH_REPORT: Final = Field("hash_report", 16, 2)
    PADDING: Final = Field("padding_reserved", 18, 2)
    OUTER_TRANSPORT: Final = Field("outer_th_offset", 20, 2)  # where the outer UDP header begins in the packet
    INNER_NETWORK: Final = Field("inner_nh_offset", 22, 2)  # where the inner IP header begins


# IP ------------------------------------------------------------------------------------------------------------------


class IPv4Layout(Layout):
    """The IPv4 header (RFC 791, 3.1; the second byte: RFC 2474, 3, and RFC 3168, 5), then options up to IHL * 4."""

    VERSION: Final = Bits("version", 4, 4)
    IHL: Final = Bits("IHL", 0, 4)  # words of 4 bytes
    RESERVED: Final = Bits("reserved", 15)
    DF: Final = Bits("DF", 14)
    MF: Final = Bits("MF", 13)
    FRAGMENT_OFFSET: Final = Bits("fragment_offset", 0, 13)  # units of 8 bytes

    VERSION_IHL: Final = Field("version, IHL", 0, 1, (VERSION, IHL))
    DSCP_ECN: Final = Field("DSCP, ECN", 1, 1, (Bits("DSCP", 2, 6), Bits("ECN", 0, 2)))
    TOTAL_LENGTH: Final = Field("total_length", 2, 2)
    IDENTIFICATION: Final = Field("identification", 4, 2)
    FRAGMENT: Final = Field("flags, fragment_offset", 6, 2, (RESERVED, DF, MF, FRAGMENT_OFFSET))
    TTL: Final = Field("ttl", 8, 1)
    PROTOCOL: Final = Field("protocol", 9, 1)
    CHECKSUM: Final = Field("checksum", 10, 2)
    SOURCE: Final = Field("source", 12, 4)
    DESTINATION: Final = Field("destination", 16, 4)

    ADDRESSES: Final = slice(SOURCE.offset, DESTINATION.end)


class IPv6Layout(Layout):
    """The IPv6 header (RFC 8200, section 3), then extension headers."""

    VERSION: Final = Bits("version", 28, 4)
    TRAFFIC_CLASS: Final = Bits("traffic_class", 20, 8)
    FLOW_LABEL: Final = Bits("flow_label", 0, 20)

    FIRST: Final = Field("version, traffic_class, flow_label", 0, 4, (VERSION, TRAFFIC_CLASS, FLOW_LABEL))
    PAYLOAD_LENGTH: Final = Field("payload_length", 4, 2)  # of all that follows this header
    NEXT_HEADER: Final = Field("next_header", 6, 1)
    HOP_LIMIT: Final = Field("hop_limit", 7, 1)
    SOURCE: Final = Field("source", 8, 16)
    DESTINATION: Final = Field("destination", 24, 16)

    ADDRESSES: Final = slice(SOURCE.offset, DESTINATION.end)


# TCP and UDP ---------------------------------------------------------------------------------------------------------


class TcpFlag(enum.IntFlag):
    """Bits of `flags`, from the lowest. AE, of Accurate ECN, is the lowest of the reserved bits before them."""

    FIN = enum.auto()
    SYN = enum.auto()
    RST = enum.auto()
    PSH = enum.auto()
    ACK = enum.auto()
    URG = enum.auto()
    ECE = enum.auto()
    CWR = enum.auto()


class TcpLayout(Layout):
    """The TCP header (RFC 9293, 3.1), then options up to data offset * 4."""

    DATA_OFFSET: Final = Bits("data_offset", 4, 4)  # words of 4 bytes

    SOURCE_PORT: Final = Field("source_port", 0, 2)
    DESTINATION_PORT: Final = Field("destination_port", 2, 2)
    SEQUENCE: Final = Field("sequence", 4, 4)
    ACKNOWLEDGMENT: Final = Field("acknowledgment", 8, 4)
    DATA_OFFSET_RESERVED: Final = Field("data_offset, reserved", 12, 1, (DATA_OFFSET, Bits("reserved", 0, 4)))
    FLAGS: Final = Field("flags", 13, 1, _one_by_one(TcpFlag))
    WINDOW: Final = Field("window", 14, 2)
    CHECKSUM: Final = Field("checksum", 16, 2)
    URGENT_POINTER: Final = Field("urgent_pointer", 18, 2)

    PORTS: Final = slice(SOURCE_PORT.offset, DESTINATION_PORT.end)


class UdpLayout(Layout):
    """The UDP header (RFC 768)."""

    SOURCE_PORT: Final = Field("source_port", 0, 2)
    DESTINATION_PORT: Final = Field("destination_port", 2, 2)
    LENGTH: Final = Field("length", 4, 2)  # header and data
    CHECKSUM: Final = Field("checksum", 6, 2)  # 0: none, over IPv4 only

    PORTS: Final = slice(SOURCE_PORT.offset, DESTINATION_PORT.end)
