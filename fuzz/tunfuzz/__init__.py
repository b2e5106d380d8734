"""tunfuzz: hypothesis strategies for TUN frames, and the invariants that hold for them.

`strategies` makes values, `invariants` says what must hold for them, `python -m tunfuzz --seconds N` tries the two on
each other with fresh random numbers. The strategies are public: import them from here.
"""

from tunfuzz.build import assemble
from tunfuzz.strategies import (
    batches,
    canonical_superpackets,
    frames,
    gso_arguments,
    ip_headers,
    ipv4_headers,
    ipv6_headers,
    packets,
    partial_packets,
    tcp_headers,
    udp_headers,
    vnet_headers,
)
from tunfuzz.values import Framed, GsoArguments

__all__ = [
    "Framed",
    "GsoArguments",
    "assemble",
    "batches",
    "canonical_superpackets",
    "frames",
    "gso_arguments",
    "ip_headers",
    "ipv4_headers",
    "ipv6_headers",
    "packets",
    "partial_packets",
    "tcp_headers",
    "udp_headers",
    "vnet_headers",
]
