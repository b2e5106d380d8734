"""Strategies for hypothesis: headers, packets, frames, superpackets, batches, lifecycles.

vnet           vnet headers: correct, nearly correct, any numbers
headers        correct IP and transport headers, without lengths and checksums
extensions     IPv4 options and IPv6 extension headers that are wrong or rare
superpackets   frames that every implementation must treat the same way
oddities       UFO, UDP tunnels, other protocols, packets too long, frames too short
anything       valid, nearly valid and hostile packets and frames
arguments      `write_gso`, with and without a fault
traffic        batches for a coalescer
lifecycles     what a container goes through
"""

from tunfuzz.strategies.anything import frames, packets
from tunfuzz.strategies.arguments import gso_arguments
from tunfuzz.strategies.extensions import hostile_ip_headers, hostile_ipv4_headers, hostile_ipv6_headers
from tunfuzz.strategies.headers import ip_headers, ipv4_headers, ipv6_headers, tcp_headers, udp_headers
from tunfuzz.strategies.lifecycles import lifecycles
from tunfuzz.strategies.oddities import (
    hostile_packets,
    jumbo_frames,
    other_frames,
    other_packets,
    runts,
    tunnel_frames,
    ufo_frames,
)
from tunfuzz.strategies.superpackets import canonical_superpackets, partial_packets
from tunfuzz.strategies.traffic import batches
from tunfuzz.strategies.vnet import in_any_layout, vnet_bytes, vnet_headers

__all__ = [
    "batches",
    "canonical_superpackets",
    "frames",
    "gso_arguments",
    "hostile_ip_headers",
    "hostile_ipv4_headers",
    "hostile_ipv6_headers",
    "hostile_packets",
    "in_any_layout",
    "ip_headers",
    "ipv4_headers",
    "ipv6_headers",
    "jumbo_frames",
    "lifecycles",
    "other_frames",
    "other_packets",
    "packets",
    "partial_packets",
    "runts",
    "tcp_headers",
    "tunnel_frames",
    "udp_headers",
    "ufo_frames",
    "vnet_bytes",
    "vnet_headers",
]
