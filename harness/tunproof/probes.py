"""What the running kernel does where kernels differ, found out by frames that tell them apart, never by its version."""

import errno

from scapy.layers.inet import TCP, UDP

from tunproof import lab
from tunproof.corpus.builder import frame, ip4, ip6, packet_bytes, payload, plain, superpacket
from tunproof.lab import Delivered, Exchange, Outcome, Refused

__all__ = ["probe"]


def probe(exchange: Exchange | None = None) -> frozenset[str]:
    """Return the traits of the running kernel, over a `redirect` lab. Raises `EnvironmentProblem`."""
    if exchange is None:
        with lab.redirect() as pair:
            return probe(Exchange(pair))
    send = exchange.send
    no_csum = {"flags": 0, "csum_start": 0, "csum_offset": 0}
    typed_whole = superpacket(ip4() / TCP(), payload(24), gso_size=24, **no_csum)
    found = {
        "uso": _is_delivered(send(superpacket(ip4() / UDP(), payload(24), gso_size=8), 3)),
        "uso_128": _is_delivered(send(superpacket(ip4() / UDP(), payload(65 * 8), gso_size=8), 65)),
        "csum_start_floor": send(plain(ip4() / UDP(), payload(8), csum_start=10), 1) == _EINVAL,
        "tso_csum_checked": send(superpacket(ip4() / TCP(), payload(24), gso_size=8, csum_offset=6), 3) == _EINVAL,
        "nocsum_min_len": _is_delivered(send(typed_whole, 1)),
        "min_gso_8": _count(send(superpacket(ip4() / TCP(), payload(16), gso_size=4), 4)) == 2,
        "dissected": send(superpacket(ip6() / TCP(), payload(24), gso_size=8, gso_type=1, **no_csum), 0) == _EINVAL,
        "long_frames": send(frame(packet_bytes(ip4() / UDP()) + bytes(70_000), hdr_len=28), 1) != _EMSGSIZE,
    }
    return frozenset(trait for trait, has in found.items() if has)


_EINVAL = Refused(errno.EINVAL)
_EMSGSIZE = Refused(errno.EMSGSIZE)


def _is_delivered(outcome: Outcome) -> bool:
    return isinstance(outcome, Delivered)


def _count(outcome: Outcome) -> int:
    return len(outcome.packets) if isinstance(outcome, Delivered) else 0
