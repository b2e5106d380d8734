"""A packet in transit, with what the kernel knows about it, in the kernel's terms (`struct sk_buff`)."""

from typing import Final

from tio.virtio import HEADER_SIZE, ByteOrder, GsoType, VnetFlag
from tio.wire import TcpLayout, UdpLayout, VnetLayout

__all__ = ["ECN", "PROTOCOLS", "TCPV4", "TCPV6", "TCP_TYPES", "TUNNEL", "UDP_L4", "UFO", "Skb"]

# As plain numbers: arithmetic on an IntEnum is some ten times slower.
TCPV4: Final = int(GsoType.TCPV4)
UFO: Final = int(GsoType.UDP)
TCPV6: Final = int(GsoType.TCPV6)
UDP_L4: Final = int(GsoType.UDP_L4)
ECN: Final = int(GsoType.ECN)
TUNNEL: Final = 0x60
"""The bits that mark a UDP tunnel, with an outer IPv4 (0x20) or IPv6 (0x40) header."""

TCP_TYPES: Final = (TCPV4, TCPV6)

_NEEDS_CSUM = int(VnetFlag.NEEDS_CSUM)
_HEADER = VnetLayout.packer(ByteOrder.HOST, HEADER_SIZE)
_TRANSPORT_MINIMUM = {TCPV4: TcpLayout.size, TCPV6: TcpLayout.size, UFO: UdpLayout.size, UDP_L4: UdpLayout.size}

PROTOCOLS: Final = {TCPV4: 6, TCPV6: 6, UFO: 17, UDP_L4: 17}
"""The IP protocol that each type stands for."""


class Skb:
    """A frame on its way through the kernel.

    What was written: `size` bytes in all, of them `header` (the vnet header, of which the kernel reads `header_read`
    bytes) and `data` (the packet), with the header's fields: `raw_type`, `hdr_len`, `raw_gso_size`, `csum_start`,
    `csum_offset`.

    What follows from them: `needs_csum`; `type`, without the ECN bit, and without the tunnel bits where those have a
    meaning; `tunnel`, those bits; `transport`, the minimum length of the type's transport header; `csum_end`, where the
    checksum field ends; `headers`, the minimum length of all headers, as the kernel counts it.

    What the kernel decides on the way: `gso_size`, 0 for a packet that is not to be segmented; `partial`, whether the
    checksum still has to be completed; `version`, `l4` (where the transport header begins) and `protocol`; `linear`,
    how many bytes were requested to be linear.
    """

    __slots__ = (
        "csum_end",
        "csum_offset",
        "csum_start",
        "data",
        "gso_size",
        "hdr_len",
        "header",
        "header_read",
        "headers",
        "l4",
        "linear",
        "needs_csum",
        "partial",
        "protocol",
        "raw_gso_size",
        "raw_type",
        "size",
        "transport",
        "tunnel",
        "type",
        "version",
    )

    raw_type: int
    hdr_len: int
    raw_gso_size: int
    header_read: int

    def __init__(self, frame: bytes, header_size: int, type_mask: int) -> None:
        """Parse a frame; one that is shorter than its vnet header is treated as if zeros followed."""
        self.size = len(frame)
        self.header = header = frame[:header_size]
        self.data = data = frame[header_size:]
        if len(header) < _HEADER.size:
            header = header.ljust(_HEADER.size, b"\0")
        flags: int
        start: int
        offset: int
        flags, self.raw_type, self.hdr_len, self.raw_gso_size, start, offset = _HEADER.unpack_from(header)
        self.csum_start, self.csum_offset, self.csum_end = start, offset, start + offset + 2
        self.needs_csum = self.partial = bool(flags & _NEEDS_CSUM)
        self.type = self.raw_type & type_mask
        self.tunnel = self.raw_type & TUNNEL & ~type_mask
        self.transport = _TRANSPORT_MINIMUM.get(self.type, 0)
        self.version = data[0] >> 4 if data else 0
        self.headers = self.gso_size = self.linear = self.l4 = self.protocol = 0
