"""What a case may require of a subject. The list is closed, so that "unsupported" always means the same thing."""

__all__ = ["CAPABILITIES"]

CAPABILITIES = {
    "gso.tcp4": "TCP superpackets over IPv4",
    "gso.tcp6": "TCP superpackets over IPv6",
    "gso.udp4": "UDP superpackets over IPv4 (UDP_L4)",
    "gso.udp6": "UDP superpackets over IPv6 (UDP_L4)",
    "csum.partial": "single packets with NEEDS_CSUM: the checksum is completed on read",
    "header.parse": "parsing a vnet header by itself",
    "header.emit": "building a vnet header by itself",
    "header.12": "vnet headers of 12 bytes (num_buffers)",
    "header.24": "vnet headers of 24 bytes (tunnel and hash fields)",
    "header.big-endian": "vnet headers in big-endian byte order (TUNSETVNETBE)",
    "header.any-integer": "header fields passed as integers of any size, including values that do not fit",
    "lifecycle.wire": "a container that takes a socket in place of a TUN",
    "lifecycle.device": "a container that takes the fd of a real TUN",
    "lifecycle.concurrent": "closing a queue while another thread reads or writes",
    "lifecycle.lent": "packets that are lent to the caller, and stay valid until the next read",
    "lifecycle.plain": "a backend without vnet headers",
}
"""Every capability and its meaning. The operation itself is not listed: its name is enough."""
