"""Templates: frames that are right, with what a mutation wants to know about them. Built once, then patched many times.

Building a frame takes as long as some twenty cases take to be asked, so a block of cases shares its templates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tio.virtio import HEADER_SIZE, GsoType, VnetFlag
from tio.wire import IPv4Layout, IPv6Layout, TcpLayout, TunnelLayout, UdpLayout, VnetLayout
from tunfuzz.build import AH, FRAGMENT, GRE, TCP, UDP, assemble, filler, ipv4_stem, ipv6_stem, with_length

__all__ = ["ADDRESSES", "VNET", "Template", "grammar", "huge", "of_corpus", "superpacket", "tunnelled"]

VNET = VnetLayout.packer("little", HEADER_SIZE)
"""flags, gso_type, hdr_len, gso_size, csum_start, csum_offset."""

_NEEDS_CSUM = int(VnetFlag.NEEDS_CSUM)
_TYPES = {
    (TCP, 4): int(GsoType.TCPV4),
    (TCP, 6): int(GsoType.TCPV6),
    (UDP, 4): int(GsoType.UDP_L4),
    (UDP, 6): int(GsoType.UDP_L4),
}
_UFO, _ECN = int(GsoType.UDP), int(GsoType.ECN)
_DESTINATION, _ROUTING, _HOP = 60, 43, 0

ADDRESSES = {
    4: bytes.fromhex("0a4d0001 0a4d0002"),
    6: bytes.fromhex("fd77000000000000000000000000000a fd77000000000000000000000000000b"),
}
"""Source and destination, by IP version."""


@dataclass(frozen=True, slots=True)
class Template:
    """A frame of `header_size` bytes of vnet header and a packet; `l4` and `payload` count from the packet's start.

    `version` is 4 or 6, or 0 for a frame that nobody knows anything about; `protocol` is what is behind the IP header.
    """

    frame: bytes
    header_size: int
    version: int
    protocol: int
    l4: int
    payload: int


def _stem(random: Random, version: int, protocol: int) -> bytes:
    """Return an IP header without lengths: mostly plain, sometimes with options or extension headers."""
    if version == 4:
        options = b"\x01" * (4 * random.randrange(1, 11)) if random.random() < 0.2 else b""
        fragment = random.choice((0x4000, 0x4000, 0x0000, 0x2000, 0x0003, 0x8000)) if random.random() < 0.3 else 0x4000
        fields = bytes((random.randrange(256) & 0xFF,)) + random.randbytes(2) + fragment.to_bytes(2, "big") + b"\x40"
        return ipv4_stem(ADDRESSES[4], protocol, options, fields)
    extensions = tuple(_extension(random) for _ in range(random.randrange(1, 4))) if random.random() < 0.3 else ()
    return ipv6_stem(ADDRESSES[6], protocol, extensions, random.randbytes(3) + b"\x40")


def _extension(random: Random) -> tuple[int, bytes]:
    """Return an extension header that can be walked, or seldom one that cannot."""
    number = random.choice((*(_DESTINATION, _ROUTING, _HOP, _DESTINATION, _ROUTING) * 2, FRAGMENT, AH))
    if number == FRAGMENT:
        return number, bytes((0,)) + random.randbytes(2) + bytes(4)
    units = random.choice((0, 0, 1, 2))
    if number == AH:
        return number, bytes((4,)) + bytes(22)
    if number == _ROUTING:
        return number, bytes((units, 4, 0)) + bytes(4 + 8 * units)
    return number, bytes((units, 1, 4 + 8 * units)) + bytes(4 + 8 * units)  # one PadN over all of it


def _transport(random: Random, protocol: int) -> bytes:
    if protocol == UDP:
        return random.randbytes(4) + bytes(4)
    options = b"\x01" * (4 * random.randrange(1, 11)) if random.random() < 0.3 else b""
    offset = (5 + len(options) // 4) << 4
    flags = random.choice((0x10, 0x10, 0x18, 0x19, 0x90, 0x98, 0x11, 0xFF, 0x02, 0x14))
    sequence = random.choice((0xFFFFFFF0, random.getrandbits(32)))
    head = (
        random.randbytes(4)
        + sequence.to_bytes(4, "big")
        + random.randbytes(4)
        + bytes((offset | random.getrandbits(4), flags))
    )
    return head + random.randbytes(2) + bytes(2) + random.randbytes(2) + options


def _sizes(random: Random) -> tuple[int, int]:
    """Return the bytes of payload, and a gso_size that cuts them into a few segments."""
    if random.random() < 0.005:
        return random.randrange(1000, 9000), random.choice((1000, 1400, 1448))
    size = random.randrange(1, 48)
    return random.randrange(size, random.choice((2, 2, 2, 3)) * size + 2), size


def grammar(random: Random, header_size: int) -> Template:
    """Return a frame as a writer would make it: TCP, UDP or another protocol, a superpacket or one packet."""
    return _written(random, header_size, *_sizes(random))


def huge(random: Random, header_size: int, *, jumbo: bool) -> Template:
    """Return the same, about as long as a packet can be, or a little longer, in few segments.

    `jumbo` says that it has a jumbo payload option; another may have one.
    """
    length, size = random.randrange(65400, 66000), random.choice((16000, 30000))
    if not jumbo and random.random() < 0.6:
        return _written(random, header_size, length, size)
    option = (_HOP, bytes((0, 0xC2, 4)) + (length + 28).to_bytes(4, "big"))  # RFC 2675
    return _written(random, header_size, length, size, ipv6_stem(ADDRESSES[6], TCP, (option,)))


def _written(random: Random, header_size: int, length: int, size: int, stem: bytes | None = None) -> Template:
    version = random.choice((4, 6)) if stem is None else 6
    protocol = random.choice((TCP, TCP, UDP, UDP, TCP, 1)) if stem is None else TCP
    stem = stem or _stem(random, version, protocol)
    payload = filler(length, random.randrange(2, 1000))
    if protocol not in (TCP, UDP):
        packet = with_length(stem, min(len(stem) + length, 0xFFFF)) + payload
        return Template(bytes(header_size) + packet, header_size, version, protocol, len(stem), len(stem))
    transport = _transport(random, protocol)
    partial = random.random() < 0.85
    packet = _assembled(stem, transport, payload, partial=partial)
    gso_type, gso_size = _typed(random, protocol, version, size)
    begin = len(stem)
    header = VNET.pack(
        _NEEDS_CSUM if partial else 0,
        gso_type,
        random.choice((begin + len(transport), 0)),
        gso_size,
        begin if partial else 0,
        (TcpLayout if protocol == TCP else UdpLayout).CHECKSUM.offset if partial else 0,
    )
    frame = header.ljust(header_size, b"\0") + packet
    return Template(frame, header_size, version, protocol, begin, begin + len(transport))


def _assembled(stem: bytes, transport: bytes, payload: bytes, *, partial: bool) -> bytes:
    """Return the packet; one that is too long for its length fields states zero."""
    if len(stem) + len(transport) + len(payload) <= 0xFFFF:
        return assemble(stem, transport, payload, partial=partial)
    return with_length(stem, 0 if stem[0] >> 4 == 4 else IPv6Layout.size) + transport + payload


def _typed(random: Random, protocol: int, version: int, size: int) -> tuple[int, int]:
    chance = random.random()
    if chance < 0.25:
        return 0, 0
    if protocol == UDP and chance < 0.4:
        return _UFO, size if chance < 0.28 else max(8, size & ~7)
    ecn = _ECN if protocol == TCP and chance > 0.8 else 0
    return _TYPES[protocol, version] | ecn, size


def of_corpus(frames: Sequence[bytes], header_size: int) -> list[Template]:
    """Return templates of frames with the shortest vnet header, as the corpus has them."""
    padding = bytes(header_size - HEADER_SIZE)
    return [
        _known(frame[:HEADER_SIZE] + padding + frame[HEADER_SIZE:], header_size)
        for frame in frames
        if len(frame) >= HEADER_SIZE
    ]


def _known(frame: bytes, header_size: int) -> Template:
    packet = frame[header_size:]
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) > IPv4Layout.size:
        begin = max(IPv4Layout.IHL.of(packet[0]) * 4, IPv4Layout.size)
        protocol = packet[IPv4Layout.PROTOCOL.offset]
    elif version == 6 and len(packet) > IPv6Layout.size:
        begin, protocol = VNET.unpack_from(frame)[4] or IPv6Layout.size, packet[IPv6Layout.NEXT_HEADER.offset]
    else:
        return Template(frame, header_size, 0, 0, 0, 0)
    transport = UdpLayout.size if protocol == UDP else TcpLayout.size
    return Template(frame, header_size, version, protocol, begin, min(begin + transport, len(packet)))


def superpacket(random: Random, longest: int) -> Template:
    """Return a TCP or UDP frame of the grammar, of up to `longest` bytes, whose packet is to stand in another one."""
    inner = grammar(random, HEADER_SIZE)
    while inner.protocol not in (TCP, UDP) or len(inner.frame) > longest:
        inner = grammar(random, HEADER_SIZE)
    return inner


def tunnelled(random: Random) -> Template:
    """Return a superpacket inside a UDP tunnel, behind 24 bytes of vnet header (virtio 1.4)."""
    inner = superpacket(random, 9000)
    flags, gso_type, _, gso_size, start, offset = VNET.unpack_from(inner.frame)
    version = random.choice((4, 6))
    if version == 4:
        # Some 16 bytes of options: see TUNNEL_OUTER_ETHERNET.
        stem = ipv4_stem(ADDRESSES[4], UDP, b"\x01" * random.choice((0, 16, 16, 20)))
    else:
        stem = ipv6_stem(ADDRESSES[6], UDP, ((_DESTINATION, bytes((1, 1, 12)) + bytes(12)),) * random.choice((0, 1, 1)))
    between = random.choice((b"", bytes(8), bytes(8)))
    begin = len(stem) + UdpLayout.size + len(between)
    packet = bytearray(
        assemble(stem, random.randbytes(4) + bytes(4), between + inner.frame[HEADER_SIZE:], partial=True)
    )
    if random.random() < 0.5:
        packet[len(stem) + UdpLayout.CHECKSUM.offset : len(stem) + UdpLayout.CHECKSUM.end] = bytes(2)
    with_outer_sum = 8 if random.random() < 0.5 else 0
    if version == 4 and random.random() < 0.1:
        packet[IPv4Layout.PROTOCOL.offset] = GRE
    header = VNET.pack(
        flags | with_outer_sum,
        gso_type | (0x20 if version == 4 else 0x40),
        0,
        gso_size,
        (start + begin) & 0xFFFF,
        offset,
    )
    header = header.ljust(TunnelLayout.OUTER_TRANSPORT.offset, b"\0")
    header += len(stem).to_bytes(2, "little") + begin.to_bytes(2, "little")
    return Template(
        header + packet, len(header), inner.version, inner.protocol, inner.l4 + begin, inner.payload + begin
    )
