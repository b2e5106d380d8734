"""dpkt's checksum behind tunproof's protocol. It sums in little-endian order, and gives the inverted sum."""

from importlib.metadata import version

from dpkt import dpkt
from kit import serve


def checksum(data: bytes, initial: int) -> int:
    """Return the sum, folded and not inverted."""
    swapped = int.from_bytes(initial.to_bytes(2, "big"), "little")
    return ~dpkt.in_cksum_done(dpkt.in_cksum_add(swapped, data)) & 0xFFFF


serve(
    {
        "implementation": {
            "name": "dpkt",
            "version": version("dpkt"),
            "language": "Python",
            "source": "https://github.com/kbandla/dpkt",
            "issues": "https://github.com/kbandla/dpkt/issues",
        },
        "capabilities": [],
        "modes": ["memory"],
    },
    {"checksum": checksum},
)
