"""What a case may require of a subject: a closed list, so that "unsupported" always means the same thing."""

__all__ = ["CAPABILITIES"]

CAPABILITIES = {
    "gso.tcp4": "superpackets of TCP over IPv4",
    "gso.tcp6": "superpackets of TCP over IPv6",
    "gso.udp4": "superpackets of UDP over IPv4 (UDP_L4)",
    "gso.udp6": "superpackets of UDP over IPv6 (UDP_L4)",
    "csum.partial": "single packets with NEEDS_CSUM are completed when they are read",
    "header.parse": "the vnet header alone can be read",
    "header.emit": "the vnet header alone can be made",
    "header.12": "vnet headers of 12 bytes (num_buffers)",
    "header.24": "vnet headers of 24 bytes (tunnel and hash fields)",
    "header.big-endian": "vnet headers in big-endian order (TUNSETVNETBE)",
    "header.any-integer": "header fields are given as integers that may not fit",
    "lifecycle.wire": "a container takes a socket in place of a TUN",
    "lifecycle.device": "a container takes the fd of a real TUN",
    "lifecycle.concurrent": "a queue may be closed while another thread reads or writes",
    "lifecycle.lent": "packets that were read are lent, and may be looked at until the next read",
    "lifecycle.plain": "there is a backend without vnet headers",
}
"""Every capability, explained. That a subject has the operation itself goes without saying."""
