"""tunfuzz: hypothesis strategies for TUN frames, and the invariants that hold for them.

`strategies` makes values, `invariants` says what must hold for them, `python -m tunfuzz --seconds N` tries the two
together with fresh random numbers. The strategies are public: import them from here.

They are loaded on first use: the command line imports this package for every `--help`, and
hypothesis alone takes longer than that.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunfuzz.build import assemble
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

_HOMES = (
    "tunfuzz.values",
    "tunfuzz.build",
    "tunfuzz.strategies.anything",
    "tunfuzz.strategies.arguments",
    "tunfuzz.strategies.extensions",
    "tunfuzz.strategies.headers",
    "tunfuzz.strategies.lifecycles",
    "tunfuzz.strategies.oddities",
    "tunfuzz.strategies.superpackets",
    "tunfuzz.strategies.traffic",
    "tunfuzz.strategies.vnet",
)


def __getattr__(name: str) -> object:
    """Return a public name from the module that has it."""
    if name in __all__:
        for home in map(import_module, _HOMES):
            if hasattr(home, name):
                return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
