"""The four kinds of superpackets, for authors who sweep one field over all of them. No cases here."""

from dataclasses import dataclass
from typing import cast

from scapy.layers.inet import TCP, UDP
from scapy.packet import Packet

from tunproof.authoring.draft import ANY_KERNEL, KernelRule, Topic, kernel, needs
from tunproof.corpus.model import Basis
from tunproof.packets.builder import ip4, ip6, payload, plain, superpacket

__all__ = ["CSUM6_SIBLING", "CSUM_SIBLING", "NO_CSUM", "SHAPES", "TIMESTAMPS", "Shape", "add_of_kind", "patched"]

_USO = kernel("__udp_gso_segment", "net/ipv4/udp_offload.c", since="6.2 for TUN")

TIMESTAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (0x01020304, 0x05060708))]
"""TCP options of 12 bytes."""

CSUM_SIBLING = "read/vnet-faults/valid-csum"
"""A valid single packet with a partial checksum."""

CSUM6_SIBLING = "read/csum/udp6-even"
"""The same over IPv6."""

NO_CSUM = {"flags": 0, "csum_start": 0, "csum_offset": 0}
"""Vnet header fields of a frame without NEEDS_CSUM."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind: its headers, and what a case of it requires of subjects and kernels.

    Attributes:
        name: tcp4, tcp6, udp4 or udp6.
        headers: IP and transport header.
        gso_type: the type that fits.
        network: length of the IP header.
        requires: the capability.
        kernels: what kernels do, unless some differ for another reason.
        sibling: a valid case of this kind.
    """

    name: str
    headers: Packet
    gso_type: int
    network: int
    requires: tuple[str, ...]
    kernels: tuple[KernelRule, ...]
    sibling: str

    @property
    def is_tcp(self) -> bool:
        """Whether the transport is TCP."""
        return self.name.startswith("tcp")

    @property
    def length(self) -> int:
        """How long all headers are."""
        return self.network + (20 if self.is_tcp else 8)

    def superpacket(self, length: int = 24, *, gso_size: int = 8, **vnet: int) -> bytes:
        """Return the frame of a superpacket: three segments of 8 bytes unless told otherwise."""
        return superpacket(self.headers, payload(length), gso_size=gso_size, **vnet)

    def single(self, length: int = 20, **vnet: int) -> bytes:
        """Return the frame of one packet with a partial checksum."""
        return plain(self.headers, payload(length), **vnet)


SHAPES = tuple(
    Shape(name, headers, gso_type, network, (f"gso.{name}",), kernels, sibling)
    for name, headers, gso_type, network, kernels, sibling in (
        ("tcp4", ip4() / TCP(flags="A"), 1, 20, ANY_KERNEL, "read/vnet-faults/valid-tcp4"),
        ("tcp6", ip6() / TCP(flags="A"), 4, 40, ANY_KERNEL, "read/vnet-faults/valid-tcp6"),
        ("udp4", ip4() / UDP(), 5, 20, needs("uso"), "read/vnet-faults/valid-udp4"),
        ("udp6", ip6() / UDP(), 5, 40, needs("uso"), "read/udp6/two-datagrams"),
    )
)


def patched(good: bytes, offset: int, value: bytes) -> bytes:
    """Return a frame with bytes of its packet replaced."""
    at = 10 + offset
    return good[:at] + value + good[at + len(value) :]


def add_of_kind(topic: Topic, kind: str, name: str, about: str, built: bytes, **options: object) -> None:
    """Add a case about a field that every kind of frame has; for UDP superpackets their own cut is a basis, too."""
    basis = (*cast("tuple[Basis, ...]", options.pop("basis", ())), *((_USO,) if kind == "udp" else ()))
    topic.add(f"{kind}-{name}", about, built, basis=basis, **options)  # type: ignore[arg-type]
