"""pypacker's checksum behind tunproof's protocol. It sums in the order of this machine, and gives the inverted sum."""

import socket
from importlib.metadata import version

from kit import serve
from pypacker import checksum as pypacker


def checksum(data: bytes, initial: int) -> int:
    """Return the sum, folded and not inverted."""
    return ~pypacker.in_cksum_done(pypacker.in_cksum_add(socket.htons(initial), data)) & 0xFFFF


serve(
    {
        "implementation": {
            "name": "pypacker",
            "version": version("pypacker"),
            "language": "Python",
            "source": "https://gitlab.com/mike01/pypacker",
            "issues": "https://gitlab.com/mike01/pypacker",
        },
        "capabilities": [],
        "modes": ["memory"],
    },
    {"checksum": checksum},
)
