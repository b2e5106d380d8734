"""The kinds of frames, for authors who sweep one field over all of them. No cases here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from scapy.layers.inet import TCP, UDP
from scapy.packet import Packet
from scapy.utils import checksum as rfc1071

from tunproof.authoring.draft import ANY_KERNEL, KernelRule, Topic, kernel, needs
from tunproof.corpus.model import Basis
from tunproof.packets.builder import ip4, ip6, payload, plain, superpacket

__all__ = [
    "CSUM6_SIBLING",
    "CSUM_SIBLING",
    "NO_CSUM",
    "SHAPES",
    "TIMESTAMPS",
    "Kinds",
    "Shape",
    "completed",
    "patched",
    "tcp",
]

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


def completed(packet: bytes, start: int, offset: int) -> bytes:
    """Return a packet with a checksum over everything from `start`, stored `offset` bytes further, by scapy's sum."""
    value = rfc1071(packet[start:]) or 0xFFFF
    return packet[: start + offset] + value.to_bytes(2, "big") + packet[start + offset + 2 :]


def tcp(**fields: object) -> Packet:
    """Return a TCP header of a flow of data unless told otherwise."""
    usual = {"sport": 40000, "dport": 443, "seq": 0x01020304, "ack": 0x0A0B0C0D, "flags": "A", "window": 502}
    return TCP(**(usual | fields))


@dataclass(frozen=True, slots=True)
class Kinds:
    """Frames that differ in a field of their IP header: superpackets of TCP and UDP, and single packets.

    Attributes:
        topic: takes the cases.
        kinds: transport header and capability of "tcp", "udp" and "single".
    """

    topic: Topic
    kinds: Mapping[str, tuple[Packet, str]]

    def frame(self, kind: str, header: Packet, **vnet: int) -> bytes:
        """Return a frame of three segments of 8 bytes, or of a single packet; `header` is all up to the transport."""
        whole = header / self.kinds[kind][0]
        if kind == "single":
            return plain(whole, payload(24), **vnet)
        return superpacket(whole, payload(24), gso_size=8, **vnet)

    def add(self, kind: str, name: str, about: str, built: bytes, *flags: str, **options: object) -> None:
        """Add a case that requires what its kind requires; that of UDP superpackets rests on their own cut, too."""
        basis = (*cast("tuple[Basis, ...]", options.pop("basis", ())), *((_USO,) if kind == "udp" else ()))
        usual: dict[str, object] = {
            "flags": flags,
            "requires": (self.kinds[kind][1],),
            "kernels": needs("uso") if kind == "udp" else ANY_KERNEL,
        }
        self.topic.add(f"{kind}-{name}", about, built, basis=basis, **(usual | options))  # type: ignore[arg-type]
