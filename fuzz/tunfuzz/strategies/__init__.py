"""Strategies for hypothesis: headers, packets, frames, superpackets, batches.

headers        one header each, without lengths and checksums
superpackets   frames that everybody must treat the same way
anything       valid, nearly valid and hostile packets and frames
arguments      `write_gso`, with and without a fault
traffic        batches for a coalescer
"""

from tunfuzz.strategies.anything import frames, packets
from tunfuzz.strategies.arguments import gso_arguments
from tunfuzz.strategies.headers import (
    ip_headers,
    ipv4_headers,
    ipv6_headers,
    tcp_headers,
    udp_headers,
    vnet_headers,
)
from tunfuzz.strategies.superpackets import canonical_superpackets, partial_packets
from tunfuzz.strategies.traffic import batches

__all__ = [
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
