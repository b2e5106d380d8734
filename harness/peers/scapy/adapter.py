"""Scapy's checksum behind tunproof's protocol. It gives the inverted sum; the initial one is a word of the data."""

from importlib.metadata import version

from kit import serve
from scapy.utils import checksum as scapy_checksum


def checksum(data: bytes, initial: int) -> int:
    """Return the sum, folded and not inverted."""
    return ~scapy_checksum(initial.to_bytes(2, "big") + data) & 0xFFFF


serve(
    {
        "implementation": {
            "name": "scapy",
            "version": version("scapy"),
            "language": "Python",
            "source": "https://github.com/secdev/scapy",
            "issues": "https://github.com/secdev/scapy/issues",
        },
        "capabilities": [],
        "modes": ["memory"],
    },
    {"checksum": checksum},
)
