"""What the authors of batches share: headers to start from, and a short way to write down a batch."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Literal

from scapy.layers.inet import UDP
from scapy.packet import Packet

from tunproof.authoring.authors.shapes import tcp
from tunproof.authoring.draft import Batch, Topic, kernel, needs
from tunproof.corpus.cases import BatchInput
from tunproof.corpus.model import Basis, Level
from tunproof.packets.builder import ip4, ip6

__all__ = ["CUT", "GRO", "GRO_UDP", "KINDS", "PAIRS_APART", "alone", "borders", "put", "tcp", "udp"]

CUT = {
    "tcp4": (kernel("tcp_gso_segment", "net/ipv4/tcp_offload.c"), kernel("inet_gso_segment", "net/ipv4/af_inet.c")),
    "tcp6": (kernel("tcp_gso_segment", "net/ipv4/tcp_offload.c"), kernel("ipv6_gso_segment", "net/ipv6/ip6_offload.c")),
    "udp4": (kernel("__udp_gso_segment", "net/ipv4/udp_offload.c"), kernel("inet_gso_segment", "net/ipv4/af_inet.c")),
    "udp6": (
        kernel("__udp_gso_segment", "net/ipv4/udp_offload.c"),
        kernel("ipv6_gso_segment", "net/ipv6/ip6_offload.c"),
    ),
}
"""What restores the packets, by kind of flow: what it does not restore must not be joined."""
GRO = kernel("tcp_gro_receive", "net/ipv4/tcp_offload.c")
GRO_UDP = kernel("udp_gro_receive_segment", "net/ipv4/udp_offload.c")

PAIRS_APART = "The two pairs must not be joined."
"""What must hold where two packets are followed by two others that differ from them."""


def udp(**fields: object) -> Packet:
    """Return a UDP header with ports that name no other protocol, unless told otherwise."""
    return UDP(**({"sport": 40000, "dport": 40001} | fields))


KINDS = {"tcp4": ip4() / tcp(), "tcp6": ip6() / tcp(), "udp4": ip4() / udp(), "udp6": ip6() / udp()}


def alone(count: int) -> tuple[tuple[int, ...], ...]:
    """Return the ideal for packets none of which is joined."""
    return tuple((index,) for index in range(count))


def borders(ideal: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the last packet of each group with the first of the next."""
    return [(group[-1], after[0]) for group, after in itertools.pairwise(ideal)]


def put(  # noqa: PLR0913 (one keyword for each thing that a batch states)
    topic: Topic,
    name: str,
    about: str,
    packets: Sequence[bytes],
    *,
    ideal: Sequence[Sequence[int]],
    flags: Iterable[str],
    apart: Sequence[tuple[int, int]] = (),
    before: Sequence[Sequence[bytes]] = (),
    poison: bytes | None = None,
    basis: Iterable[Basis] = (),
    traits: Sequence[str] = ("uso",),
    level: Level = "must",
    importance: Literal["critical", "high", "medium", "low"] = "high",
) -> None:
    """Add a batch. `traits` are what a kernel needs for the superpackets of UDP, if the ideal has any.

    Subjects need no capability: joining is never required.
    """
    given = BatchInput(
        packets=tuple(packets),
        before=tuple(map(tuple, before)),
        poison=poison,
    )
    joins_udp = any(len(group) > 1 and _is_udp(packets[group[0]]) for group in ideal)
    topic.add(
        name,
        about,
        Batch(input=given, ideal=ideal, apart=apart),
        flags=tuple(flags),
        basis=basis,
        kernels=needs(*traits) if joins_udp else None,
        level=level,
        importance=importance,
    )


def _is_udp(packet: bytes) -> bool:
    """Whether a joined packet is UDP: by its protocol, or by the one after its extension header."""
    if packet[0] >> 4 == 4:
        return packet[9] == 17
    return 17 in {packet[6], packet[40] if packet[6] != 6 else 6}
