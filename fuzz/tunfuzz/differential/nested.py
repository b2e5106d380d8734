"""Packets inside others, as one template: IP in IP, GRE with all that can stand in it, too many extension headers.

A TUN knows none of these as a superpacket, but a kernel that dissects what has no NEEDS_CSUM looks inside.
"""

from random import Random

from tio.virtio import HEADER_SIZE, VnetFlag
from tio.wire import IPv4Layout, IPv6Layout
from tunfuzz.build import GRE, ipv4_stem, ipv6_stem, with_length
from tunfuzz.differential.templates import ADDRESSES, VNET, Template, superpacket

__all__ = ["nested"]

_NEEDS_CSUM = int(VnetFlag.NEEDS_CSUM)
_IN_IP = {4: 4, 6: 41}
_ETHERTYPES = {4: 0x0800, 6: 0x86DD}
_PPP_PROTOCOLS = {4: 0x0021, 6: 0x0057}
_TEB, _PPP = 0x6558, 0x880B
_CSUM, _ROUTING, _KEY, _SEQUENCE, _ACK, _PPTP = 0x8000, 0x4000, 0x2000, 0x1000, 0x80, 1
_DESTINATION = (60, bytes((0, 1, 4)) + bytes(4))
_LONGEST = 2000


def nested(random: Random, header_size: int) -> Template:
    """Return a superpacket inside one other packet, or about as many as a kernel looks into."""
    inner = superpacket(random, _LONGEST)
    flags, kind, _, size, start, offset = VNET.unpack_from(inner.frame)
    packet, version = inner.frame[HEADER_SIZE:], inner.version
    for _ in range(random.choice((1, 1, 1, 2, 3, 14, 15, 16))):
        packet, version = _wrapped(random, packet, version)
    before = len(packet) - len(inner.frame) + HEADER_SIZE
    if random.random() < 0.9:
        flags, start, offset = flags & ~_NEEDS_CSUM, 0, 0
    else:
        start += before
    header = VNET.pack(flags, kind, 0, size, start, offset).ljust(header_size, b"\0")
    protocol = packet[IPv4Layout.PROTOCOL.offset if version == 4 else IPv6Layout.NEXT_HEADER.offset]
    return Template(header + packet, header_size, version, protocol, inner.l4 + before, inner.payload + before)


def _wrapped(random: Random, packet: bytes, version: int) -> tuple[bytes, int]:
    """Return a packet with `packet`, of an IP version, inside, and the version of the new one."""
    outer = version if random.random() < 0.6 else 10 - version
    if random.random() < 0.5:
        return _in_ip(random, packet, _IN_IP[version], outer), outer
    return _in_ip(random, _in_gre(random, packet, version), GRE, outer), outer


def _in_ip(random: Random, packet: bytes, protocol: int, version: int) -> bytes:
    if version == 4:
        stem = ipv4_stem(ADDRESSES[4], protocol, b"\x01" * random.choice((0, 0, 0, 4, 16)))
    else:
        stem = ipv6_stem(ADDRESSES[6], protocol, (_DESTINATION,) * random.choice((0, 0, 0, 1, 13, 14, 15, 16)))
    return with_length(stem, len(stem) + len(packet)) + packet


def _in_gre(random: Random, packet: bytes, version: int) -> bytes:
    """Return a packet behind a GRE header (RFC 2784 and 2890), or one of PPTP (RFC 2637)."""
    flags = random.choice((0, 0, 0, _KEY, _CSUM, _SEQUENCE, _CSUM | _KEY | _SEQUENCE, _ROUTING, 2, _PPTP))
    optional = bytes(4 * (flags & (_CSUM | _KEY | _SEQUENCE)).bit_count())
    if flags == _PPTP:
        flags |= random.choice((0, _KEY, _KEY, _KEY | _SEQUENCE | _ACK))
        ppp = b"\xff\x03" + random.choice((_PPP_PROTOCOLS[version], 1)).to_bytes(2, "big")
        return _words(flags, _PPP) + bytes(4 * (flags & (_KEY | _SEQUENCE | _ACK)).bit_count()) + ppp + packet
    chance = random.random()
    if chance < 0.6:
        return _words(flags, _ETHERTYPES[version]) + optional + packet
    if chance < 0.8:
        return _words(flags, _TEB) + optional + bytes(12) + _words(_ETHERTYPES[version]) + packet
    if chance < 0.95:
        tags = [random.choice((0x8100, 0x88A8)) for _ in range(random.choice((1, 2, 3, 14, 15)))]
        stacked = b"".join(_words(0, following) for following in (*tags[1:], _ETHERTYPES[version]))
        return _words(flags, tags[0]) + optional + stacked + packet
    return _words(flags, random.choice((0x8847, 0x1234, _ETHERTYPES[10 - version]))) + optional + packet


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)
