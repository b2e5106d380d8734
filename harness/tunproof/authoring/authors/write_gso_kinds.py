"""Superpackets of the four kinds that are written, in pieces: what the authors of `write_gso` share."""

from dataclasses import replace

from scapy.layers.inet import UDP
from scapy.packet import Packet

from tunproof.authoring.authors.write_gso_superpackets import fragments, tcp
from tunproof.authoring.draft import ANY_KERNEL, Built, KernelRule, Topic, kernel, needs, virtio
from tunproof.packets.builder import GsoPieces, ip4, ip6, patched, pieces

__all__ = [
    "BASIS",
    "FOLDING",
    "KINDS",
    "NOP",
    "UDP_HEADER",
    "add",
    "changed",
    "folding",
    "usual",
    "zero_header_checksum",
]

BASIS = (virtio("5.1.6.2.1"), kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h"))
UDP_HEADER = UDP(sport=40000, dport=443)
KINDS: dict[str, tuple[Packet, Packet, tuple[KernelRule, ...]]] = {
    "tcp4": (ip4(), tcp(), ANY_KERNEL),
    "tcp6": (ip6(), tcp(), ANY_KERNEL),
    "udp4": (ip4(), UDP_HEADER, needs("uso")),
    "udp6": (ip6(), UDP_HEADER, needs("uso")),
}
NOP = ("NOP", None)
FOLDING = {"tcp4": ip4(dst="198.51.0.0"), "udp6": ip6(dst="2001:db8:ffff::")}


def usual(kind: str, *sizes: int) -> GsoPieces:
    """Return the pieces of an ordinary superpacket with fragments of these sizes."""
    ip, transport, _ = KINDS[kind]
    return pieces(ip / transport, fragments(*sizes))


def add(topic: Topic, kind: str, name: str, about: str, built: Built, *flags: str, **options: object) -> None:
    """Add a case that requires what its kind requires."""
    stated: dict[str, object] = {"flags": flags, "requires": (f"gso.{kind}",), "kernels": KINDS[kind][2]}
    topic.add(f"{name}-{kind}", about, built, **(stated | options))  # type: ignore[arg-type]


def changed(good: GsoPieces, offset: int, value: bytes) -> GsoPieces:
    """Return the pieces with some bytes of the headers replaced; the offset counts from `hdr`."""
    headers = patched(good.hdr + good.transport_hdr, offset, value)
    return replace(good, hdr=headers[: len(good.hdr)], transport_hdr=headers[len(good.hdr) :])


def folding(kind: str) -> GsoPieces:
    """Return pieces whose pseudo-header sums up to a multiple of 0xFFFF, by the last word of the address."""
    transport = KINDS[kind][1]
    built = pieces(FOLDING[kind] / transport, fragments(8, 8, 8))
    field = 16 if kind == "tcp4" else 6
    last = 0xFFFF - int.from_bytes(built.transport_hdr[field : field + 2], "big")
    fitting = ip4(dst=f"198.51.{last >> 8}.{last & 0xFF}") if kind == "tcp4" else ip6(dst=f"2001:db8:ffff::{last:x}")
    return pieces(fitting / transport, fragments(8, 8, 8))


def zero_header_checksum() -> GsoPieces:
    """Return pieces with an identification that makes the IPv4 header checksum zero."""
    start = pieces(ip4(id=0, flags=0) / tcp(), fragments(8, 8, 8))
    number = int.from_bytes(start.hdr[10:12], "big")
    return pieces(ip4(id=number, flags=0) / tcp(), fragments(8, 8, 8))
