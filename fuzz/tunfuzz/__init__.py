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
    hostile_ip_headers,
    hostile_ipv4_headers,
    hostile_ipv6_headers,
    hostile_packets,
    in_any_layout,
    ip_headers,
    ipv4_headers,
    ipv6_headers,
    jumbo_frames,
    lifecycles,
    other_frames,
    other_packets,
    packets,
    partial_packets,
    runts,
    tcp_headers,
    tunnel_frames,
    udp_headers,
    ufo_frames,
    vnet_bytes,
    vnet_headers,
)
from tunfuzz.values import Framed, GsoArguments, Lifecycle, VnetBytes

__all__ = [
    "Framed",
    "GsoArguments",
    "Lifecycle",
    "VnetBytes",
    "assemble",
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
