"""What the running kernel does where kernels differ, found out by frames that tell them apart, never by its version."""

import errno

from scapy.layers.inet import TCP, UDP

from tunproof import lab
from tunproof.corpus.builder import ip4, payload, plain, superpacket
from tunproof.lab import Delivered, Exchange, Outcome, Refused

__all__ = ["TRAITS", "probe"]

TRAITS = {
    "uso": "UDP superpackets (UDP_L4) can be written to a TUN; Linux 6.2",
    "uso_128": "a UDP superpacket may have 128 segments, not 64; Linux 6.9 (1382e3b6a350)",
    "csum_start_floor": "csum_start inside the first 20 bytes (40 for TCPV6) is refused; Linux 6.12 (49d14b54a527)",
    "tso_csum_checked": "csum_offset, and csum_start, of a TCP superpacket must be right; Linux 6.11 (89add40066f9)",
}
"""Every trait that a case may name, explained."""


def probe() -> frozenset[str]:
    """Return the traits of the running kernel. Raises `EnvironmentProblem` where there can be no lab."""
    with lab.redirect() as pair:
        send = Exchange(pair).send
        found = {
            "uso": _is_delivered(send(superpacket(ip4() / UDP(), payload(24), gso_size=8), 3)),
            "uso_128": _is_delivered(send(superpacket(ip4() / UDP(), payload(65 * 8), gso_size=8), 65)),
            "csum_start_floor": send(plain(ip4() / UDP(), payload(8), csum_start=10), 1) == Refused(errno.EINVAL),
            "tso_csum_checked": not _is_delivered(
                send(superpacket(ip4() / TCP(), payload(24), gso_size=8, csum_offset=6), 3)
            ),
        }
    return frozenset(trait for trait, has in found.items() if has)


def _is_delivered(outcome: Outcome) -> bool:
    return isinstance(outcome, Delivered)
