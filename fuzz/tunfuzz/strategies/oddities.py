"""Strategies for frames that are no TCP or USO superpackets and that a TUN meets all the same.

UFO, UDP tunnels, other protocols, packets over 65535 bytes, and frames that end too soon.
"""

from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tio import VnetHeader
from tio.checksum import checksum, finish, pseudo_header_sum
from tio.virtio import GsoType
from tio.wire import IPv6Layout, TcpLayout, TunnelLayout, UdpLayout, VnetLayout
from tunfuzz.build import MAX_PACKET, TCP, UDP, addresses, assemble, checksum_offset, filler, with_length
from tunfuzz.strategies.extensions import hostile_ip_headers
from tunfuzz.strategies.headers import ip_headers, transport_headers
from tunfuzz.strategies.superpackets import canonical_superpackets, fillers, partial_packets
from tunfuzz.values import Framed

__all__ = [
    "hostile_packets",
    "jumbo_frames",
    "other_frames",
    "other_packets",
    "runts",
    "tunnel_frames",
    "ufo_frames",
]

_TUNNEL4, _TUNNEL6, _TUNNEL_CSUM = 0x20, 0x40, 8
_SMALL = st.integers(0, 40)

# UFO ------------------------------------------------------------------------------------------------------------


@st.composite
def _ufo(draw: st.DrawFn) -> Framed:
    stem = draw(ip_headers(UDP))
    size = draw(st.sampled_from((8, 16, 1480, 1001, 3)))
    payload = draw(fillers(draw(st.integers(1, 3 * size + 8))))
    partial = draw(st.sampled_from((True, True, False)))
    header = VnetHeader(gso_type=GsoType.UDP, hdr_len=len(stem) + UdpLayout.size, gso_size=size)
    if partial:
        header = header.with_(flags=1, csum_start=len(stem), csum_offset=UdpLayout.CHECKSUM.offset)
    return Framed(header, assemble(stem, b"\x04\0\0\x50" + bytes(4), payload, partial=partial))


def ufo_frames() -> SearchStrategy[Framed]:
    """Draw a datagram that is to be cut into IP fragments (type UDP, 3), which a TUN is sent and never hands out.

    `gso_size` counts the UDP header; some are no multiple of 8. With and without `NEEDS_CSUM`.
    """
    return _ufo()


# UDP tunnels ----------------------------------------------------------------------------------------------------

_UNUSED: Final = TunnelLayout.OUTER_TRANSPORT.offset - VnetLayout.REST.offset
_VXLAN: Final = bytes.fromhex("0800000000000100")


@st.composite
def _tunnel(draw: st.DrawFn) -> Framed:
    inner = draw(canonical_superpackets(max_segments=4).filter(lambda framed: len(framed.packet) < 4000))
    outer = draw(ip_headers(UDP))
    ethernet = draw(st.sampled_from((b"", bytes(12) + b"\x08\x00")))
    checked = draw(st.booleans())
    datagram = _VXLAN + ethernet + inner.packet
    packet = assemble(outer, b"\xc0\0\x12\xb5" + bytes(4), datagram, partial=True)
    if not checked:
        at = len(outer) + UdpLayout.CHECKSUM.offset
        packet = packet[:at] + b"\0\0" + packet[at + 2 :]
    before = len(packet) - len(inner.packet)
    offsets = [len(outer), before]
    if draw(st.sampled_from((False, False, False, True))):
        offsets[draw(st.integers(0, 1))] = draw(st.one_of(st.sampled_from((0, 20, 0xFFFF)), st.integers(0, 0xFFFF)))
    header = inner.header._replace(
        flags=1 | (_TUNNEL_CSUM if checked else 0),
        gso_type=inner.header.gso_type | (_TUNNEL4 if outer[0] >> 4 == 4 else _TUNNEL6),
        hdr_len=before + inner.header.hdr_len,
        csum_start=before + inner.header.csum_start,
        rest=bytes(_UNUSED) + b"".join(offset.to_bytes(2, "little") for offset in offsets),
    )
    return Framed(header, packet, size=TunnelLayout.size)


def tunnel_frames() -> SearchStrategy[Framed]:
    """Draw a superpacket inside a UDP tunnel (virtio 1.4, Linux 6.17), behind a vnet header of 24 bytes.

    Bytes 20 and 22 say where the outer UDP header and the inner IP header begin, in little endian; one time in four
    one of them is wrong. Flag 8 says that the outer checksum is a partial; without it the outer checksum is zero.
    """
    return _tunnel()


# Other protocols ------------------------------------------------------------------------------------------------

# Where the checksum is, and whether the pseudo-header is in it; the others have none that this needs to know.
_CHECKSUMS = {1: (2, False), 58: (2, True), 33: (6, True), 136: (6, True), 103: (2, False)}
_PROTOCOLS = st.sampled_from((1, 58, 2, 4, 41, 47, 50, 33, 132, 136, 89, 59, 97, 103, 115, 253, 255))
_MESSAGE: Final = 8  # bytes, at least


@st.composite
def _other(draw: st.DrawFn, *, partial: bool) -> Framed:
    number = draw(_PROTOCOLS)
    stem = draw(ip_headers(number))
    message = bytearray(draw(st.sampled_from((b"\x08\0", b"\x80\0", b"\0\0"))) + bytes(_MESSAGE - 2))
    message += draw(fillers(draw(_SMALL)))
    header = VnetHeader()
    if number in _CHECKSUMS:
        at, pseudo = _CHECKSUMS[number]
        message[at : at + 2] = b"\0\0"
        total = pseudo_header_sum(addresses(stem), number, len(message)) if pseudo else 0
        if partial:
            header = VnetHeader(flags=1, csum_start=len(stem), csum_offset=at)
        else:
            total = finish(checksum(bytes(message), total))
        message[at : at + 2] = total.to_bytes(2, "big")
    return Framed(header, with_length(stem, len(stem) + len(message)) + bytes(message))


def other_packets() -> SearchStrategy[bytes]:
    """Draw a packet that is neither TCP nor UDP: ICMP, tunnels, ESP, SCTP, UDP-Lite, what has no number yet."""
    return _other(partial=False).map(lambda framed: framed.packet)


def other_frames() -> SearchStrategy[Framed]:
    """Draw such a packet in a frame; with `NEEDS_CSUM` and a partial where the protocol has a checksum like that."""
    return st.one_of(_other(partial=False), _other(partial=True))


@st.composite
def _hostile(draw: st.DrawFn) -> bytes:
    number = draw(st.sampled_from((TCP, UDP)))
    stem = draw(hostile_ip_headers(number))
    return assemble(stem, draw(transport_headers(number)), draw(fillers(draw(_SMALL))))


def hostile_packets() -> SearchStrategy[bytes]:
    """Draw a TCP or UDP packet behind options or extension headers that are wrong or rare; its lengths are right."""
    return _hostile()


# Sizes ----------------------------------------------------------------------------------------------------------

_JUMBO_SIZES = st.sampled_from((MAX_PACKET + 1, MAX_PACKET + 41, 70000, 100_000, 131_072))


@st.composite
def _jumbo(draw: st.DrawFn) -> Framed:
    jumbo_option = draw(st.booleans())
    stem = draw(ip_headers(TCP, options=False))
    if jumbo_option and stem[0] >> 4 == 6:
        fixed, follows = bytearray(stem[: IPv6Layout.size]), IPv6Layout.NEXT_HEADER.offset
        options = bytes((fixed[follows],)) + b"\0\xc2\x04" + bytes(4)
        fixed[follows] = 0
        stem = bytes(fixed) + options + stem[IPv6Layout.size :]
    transport = bytearray(draw(transport_headers(TCP)))
    size = draw(_JUMBO_SIZES)
    stated = draw(st.sampled_from((0, MAX_PACKET, size & MAX_PACKET)))
    payload = filler(size - len(stem) - len(transport), draw(st.integers(0, 1)))
    if jumbo_option and stem[0] >> 4 == 6:
        at = IPv6Layout.size + 4
        stem = stem[:at] + (size - IPv6Layout.size).to_bytes(4, "big") + stem[at + 4 :]
    partial = pseudo_header_sum(addresses(stem), TCP, len(transport) + len(payload))
    transport[TcpLayout.CHECKSUM.span] = partial.to_bytes(2, "big")
    header = VnetHeader(
        flags=1,
        gso_type=GsoType.TCPV4 if stem[0] >> 4 == 4 else GsoType.TCPV6,
        hdr_len=len(stem) + len(transport),
        gso_size=draw(st.sampled_from((1448, 8948, 0xFFFE))),
        csum_start=len(stem),
        csum_offset=checksum_offset(bytes(transport)),
    )
    head = with_length(stem, stated if stem[0] >> 4 == 4 else max(stated, IPv6Layout.size))
    return Framed(header, b"".join((head, bytes(transport), payload)))


def jumbo_frames() -> SearchStrategy[Framed]:
    """Draw a TCP superpacket of 65536 to 131072 bytes: BIG TCP, or an attempt at it.

    The length field says 0, 65535, or what is left of the length in 16 bits; some of IPv6 have a jumbo payload option.
    """
    return _jumbo()


def runts() -> SearchStrategy[bytes]:
    """Draw the beginning of a legal frame: cut in the vnet header, in the packet's headers, or right behind them."""
    legal = st.one_of(partial_packets(), canonical_superpackets(max_segments=4), other_frames())
    return st.builds(lambda framed, length: framed.frame()[:length], legal, st.integers(0, 110))
