"""Mutations: one change to a frame that is made of a template. Each knows where things stand, and hits them.

Two kinds: a *value* changes what is written where nothing else depends on it; a *structure* changes how the frame is
read: a length, an offset, a type, a version, a header's end. A mutation takes a mutable frame and may make it longer or
shorter; it must not fail on any frame.
"""

from collections.abc import Callable, Sequence
from random import Random

from tio.checksum import checksum
from tio.linux.sums import inverted_sum
from tio.virtio import HEADER_SIZE, GsoType, VnetFlag
from tio.wire import IPv4Layout, IPv6Layout, TcpFlag, TcpLayout, TunnelLayout, UdpLayout, VnetLayout
from tunfuzz.build import TCP, UDP
from tunfuzz.differential.templates import VNET, Template

__all__ = ["LONG", "STRUCTURES", "STRUCTURES_OF_LONG", "VALUES", "Mutation", "outer_header", "resum", "word"]

Mutation = Callable[[bytearray, Template, Random], None]

_TYPES = bytes.fromhex("00 01 03 04 05  00 01 04 05  81 84 85 80 83 82  02 06 07 10 11 20 21 24 41 45 61 ff")
_NUMBERS = (0, 6, 17, 43, 44, 51, 58, 59, 60, 1, 4, 41, 47, 132, 255)
LONG = 0xFFC8
"""Bytes of a frame from which offsets into it may be too large for 16 bits."""

_FLAGS, _GSO_TYPE = VnetLayout.FLAGS.offset, VnetLayout.GSO_TYPE.offset
_HDR_LEN, _GSO_SIZE = VnetLayout.HDR_LEN.offset, VnetLayout.GSO_SIZE.offset
_CSUM_START, _CSUM_OFFSET = VnetLayout.CSUM_START.offset, VnetLayout.CSUM_OFFSET.offset
_OUTER_TRANSPORT, _INNER_NETWORK = TunnelLayout.OUTER_TRANSPORT.offset, TunnelLayout.INNER_NETWORK.offset
_NEEDS_CSUM, _UFO, _USO = int(VnetFlag.NEEDS_CSUM), int(GsoType.UDP), int(GsoType.UDP_L4)

_IPV4, _IPV6, _IHL = IPv4Layout.size, IPv6Layout.size, IPv4Layout.IHL.mask
_TOTAL_LENGTH, _IDENTIFICATION = IPv4Layout.TOTAL_LENGTH.offset, IPv4Layout.IDENTIFICATION.offset
_FRAGMENT, _TTL = IPv4Layout.FRAGMENT.offset, IPv4Layout.TTL.offset
_PROTOCOL, _HEADER_CHECKSUM = IPv4Layout.PROTOCOL.offset, IPv4Layout.CHECKSUM.offset
_PAYLOAD_LENGTH, _NEXT_HEADER = IPv6Layout.PAYLOAD_LENGTH.offset, IPv6Layout.NEXT_HEADER.offset
_HOP_LIMIT = IPv6Layout.HOP_LIMIT.offset

_DATA_OFFSET, _TCP_FLAGS = TcpLayout.DATA_OFFSET_RESERVED.offset, TcpLayout.FLAGS.offset
_SEQUENCE, _TCP_CHECKSUM = TcpLayout.SEQUENCE.offset, TcpLayout.CHECKSUM.offset
_UDP_LENGTH, _UDP_CHECKSUM = UdpLayout.LENGTH.offset, UdpLayout.CHECKSUM.offset
_NOT_LAST = ~int(TcpFlag.FIN | TcpFlag.PSH)


def _pick(random: Random, options: Sequence[int]) -> int:
    """Return one of the options: what `random.choice` does, in half the time."""
    return options[int(random.random() * len(options))]


def _at(frame: bytearray, place: int, value: int) -> None:
    if 0 <= place < len(frame):
        frame[place] = value & 0xFF


def word(frame: bytearray, place: int, value: int) -> None:
    """Write a word in network order, where it fits."""
    if place >= 0 and place + 2 <= len(frame):
        frame[place : place + 2] = (value & 0xFFFF).to_bytes(2, "big")


def _little(frame: bytearray, place: int, value: int) -> None:
    """Write a word of the vnet header."""
    if place + 2 <= len(frame):
        frame[place : place + 2] = (value & 0xFFFF).to_bytes(2, "little")


# The vnet header -----------------------------------------------------------------------------------------------------


def flags(frame: bytearray, _: Template, random: Random) -> None:
    """NEEDS_CSUM on or off, or any bits."""
    toggles = frame and random.random() < 0.7
    _at(frame, _FLAGS, frame[_FLAGS] ^ _NEEDS_CSUM if toggles else random.getrandbits(8))


def gso_type(frame: bytearray, _: Template, random: Random) -> None:
    """Another type."""
    _at(frame, _GSO_TYPE, _TYPES[random.randrange(len(_TYPES))])


def hdr_len(frame: bytearray, template: Template, random: Random) -> None:
    """Another hdr_len: around the headers, around the packet's length, or anything."""
    length = len(frame) - template.header_size
    chance = random.random()
    base = template.payload if chance < 0.4 else length if chance < 0.8 else random.getrandbits(16)
    _little(frame, _HDR_LEN, base + random.randrange(-1, 2 + max(0, template.header_size - HEADER_SIZE)))


def gso_size(frame: bytearray, template: Template, random: Random) -> None:
    """Another gso_size: around the payload, around a share of it, small, or a number that means something."""
    payload = max(len(frame) - template.header_size - template.payload, 0)
    chance = random.random()
    if chance < 0.35:
        value = payload + random.randrange(-2, 3)
    elif chance < 0.5:
        value = payload + _pick(random, (8, 20, 4, 12, 40, -4, -8, -12))
    elif chance < 0.58:
        value = payload // _pick(random, (2, 3, 64)) + random.randrange(2)
    elif chance < 0.65:
        value = max(payload // 128, 1) + random.randrange(-1, 2)
    elif chance < 0.9:
        value = max(random.randrange(1, 12), payload // 10)
    else:
        value = _pick(random, (0, 0, 0xFFFF, 0xFFFF, 0xFFFE, random.getrandbits(16) | 0x100))
    _little(frame, _GSO_SIZE, value)


def csum_start(frame: bytearray, template: Template, random: Random) -> None:
    """Another csum_start: a little off, inside the IP header, at the end, or anything."""
    chance = random.random()
    if chance < 0.35:
        value = template.l4 + _pick(random, (-1, 1, 2, -2, 4, 20, -20))
    elif chance < 0.75:
        value = random.randrange(44)
    elif chance < 0.9:
        value = len(frame) - template.header_size + random.randrange(-24, 3)
    else:
        value = _pick(random, (0xFFFF, 0xFFF0, 0xFFBE, 0xFFBF, 0xFFC0, random.getrandbits(16)))
    if len(frame) > LONG and chance < 0.6:
        value = _pick(random, (0xFFBE, 0xFFBF, 0xFFC0))
    _little(frame, _CSUM_START, value)


def csum_offset(frame: bytearray, template: Template, random: Random) -> None:
    """Another csum_offset: that of the other protocol, at the end, or anything."""
    chance = random.random()
    if chance < 0.6:
        value = _pick(random, (6, 16, 0, 14, 18, 4))
    elif chance < 0.85:
        value = len(frame) - template.header_size - template.l4 + random.randrange(-4, 2)
    else:
        value = _pick(random, (0xFFFF, 0xFFFE, 0xFFF0, random.getrandbits(8)))
    _little(frame, _CSUM_OFFSET, value)


def csum_wraps(frame: bytearray, _: Template, random: Random) -> None:
    """csum_start and csum_offset that add up to more than 16 bits hold."""
    _at(frame, _FLAGS, _NEEDS_CSUM)
    offset = _pick(random, (16, 6, random.randrange(1, 200)))
    _little(frame, _CSUM_START, 0x10000 - offset + random.randrange(-2, 60))
    _little(frame, _CSUM_OFFSET, offset)


def other_vnet_bytes(frame: bytearray, template: Template, random: Random) -> None:
    """What stands behind the first 10 bytes of a longer vnet header."""
    if template.header_size > HEADER_SIZE:
        place = _pick(random, (_OUTER_TRANSPORT, _INNER_NETWORK, _OUTER_TRANSPORT, _INNER_NETWORK, HEADER_SIZE))
        if place < len(frame):
            _little(frame, place, frame[place] + _pick(random, (-20, -14, -1, 1, 8, 14, 16, random.getrandbits(8))))


def outer_header(frame: bytearray, template: Template, random: Random) -> None:
    """The outer IP header of a tunnel says that it ends elsewhere, or announces another protocol."""
    start = template.header_size
    if start < TunnelLayout.size or len(frame) < start + _IPV4:
        return
    is_ipv4 = frame[start] >> 4 == 4
    if is_ipv4 and random.random() < 0.8:
        inner = int.from_bytes(frame[TunnelLayout.INNER_NETWORK.span], "little")
        frame[start] = 0x40 | max(0, inner // 4 + _pick(random, (-2, -1, 0, 0, 1, 1, 1))) & 15
    if random.random() < 0.6:
        frame[start + (_PROTOCOL if is_ipv4 else _NEXT_HEADER)] = _pick(random, (17, 47, 47, 47, 6, 4, 41))


def short_ipv6(frame: bytearray, template: Template, random: Random) -> None:
    """Not even an IPv6 header, yet enough for what the vnet header says."""
    packet = b"\x60" + bytes(5) + bytes((_pick(random, (6, 17)),)) + random.randbytes(random.randrange(28, 34))
    frame[:] = VNET.pack(1, _pick(random, (1, 5)), 0, 1, 20, 16).ljust(template.header_size, b"\0") + packet
    if frame[_GSO_TYPE] == _USO:
        frame[_CSUM_OFFSET] = _UDP_CHECKSUM
    else:
        frame += bytes(random.randrange(6))


def ufo_of_one(frame: bytearray, template: Template, random: Random) -> None:
    """UFO that seems to be longer than gso_size, because it is measured from csum_start."""
    if template.l4 > _IPV4:
        _at(frame, _FLAGS, _NEEDS_CSUM)
        _at(frame, _GSO_TYPE, _UFO)
        _little(frame, _GSO_SIZE, len(frame) - template.header_size - template.l4 + random.randrange(-2, 12))
        _little(frame, _CSUM_START, random.randrange(_IPV4, template.l4))
        _little(frame, _CSUM_OFFSET, _UDP_CHECKSUM)


# The IP header -------------------------------------------------------------------------------------------------------


def version(frame: bytearray, template: Template, random: Random) -> None:
    """Another version nibble."""
    place = template.header_size
    if place < len(frame):
        frame[place] = _pick(random, (0x40, 0x60, 0x00, 0x50, 0xF0)) | frame[place] & 15


def ip_header_length(frame: bytearray, template: Template, random: Random) -> None:
    """An IPv4 header, or an extension header, that says another length than it has."""
    start = template.header_size
    if template.version == 4:
        _at(frame, start, 0x40 | random.getrandbits(4))
    elif template.l4 > _IPV6:
        _at(frame, start + _IPV6 + 1, _pick(random, (0, 1, 2, 3, 5, 255)))
    elif start + _NEXT_HEADER < len(frame):
        _at(frame, start + _NEXT_HEADER, _pick(random, (0, 43, 60)))


def protocol(frame: bytearray, template: Template, random: Random) -> None:
    """Another protocol, in the IP header or in an extension header."""
    start = template.header_size
    place = start + (_PROTOCOL if template.version == 4 else _NEXT_HEADER)
    if template.l4 > _IPV6 and template.version == 6 and random.random() < 0.5:
        place = start + _IPV6
    _at(frame, place, _NUMBERS[random.randrange(len(_NUMBERS))])


def stated_length(frame: bytearray, template: Template, random: Random) -> None:
    """Another length in the IP header: none, a little off, or anything."""
    start = template.header_size
    place = start + (_TOTAL_LENGTH if template.version == 4 else _PAYLOAD_LENGTH)
    true = len(frame) - start - (0 if template.version == 4 else _IPV6)
    chance = random.random()
    if chance < 0.25:
        value = 0
    elif chance < 0.8:
        value = true + _pick(random, (-1, 1, -8, 8, -20, -2, -3, -17))
    else:
        value = random.getrandbits(16)
    word(frame, place, value)
    resum(frame, template)


def resum(frame: bytearray, template: Template) -> None:
    """Make the IPv4 header checksum right, so that a router looks further."""
    start = template.header_size
    if template.version != 4 or len(frame) < start + _IPV4:
        return
    end = start + max((frame[start] & _IHL) * 4, _IPV4)
    word(frame, start + _HEADER_CHECKSUM, 0)
    word(frame, start + _HEADER_CHECKSUM, inverted_sum(frame[start:end]))


def fragment(frame: bytearray, template: Template, random: Random) -> None:
    """Other fragment bits in an IPv4 header."""
    if template.version == 4:
        place = template.header_size + _FRAGMENT
        word(frame, place, _pick(random, (0, 0x2000, 0x4000, 0x6000, 0x8000, 0x0001, 0x2001, random.getrandbits(16))))
        resum(frame, template)


def identification(frame: bytearray, template: Template, random: Random) -> None:
    """Another identification in an IPv4 header, near the end of its range, or any."""
    if template.version == 4:
        word(frame, template.header_size + _IDENTIFICATION, _pick(random, (0xFFFF, 0xFFFE, random.getrandbits(16))))
        resum(frame, template)


def time_to_live(frame: bytearray, template: Template, random: Random) -> None:
    """A TTL or hop limit that a router may not like."""
    place = template.header_size + (_TTL if template.version == 4 else _HOP_LIMIT)
    _at(frame, place, _pick(random, (0, 1, 2, 255)))
    resum(frame, template)


def header_checksum(frame: bytearray, template: Template, random: Random) -> None:
    """A wrong IPv4 header checksum."""
    if template.version == 4:
        word(frame, template.header_size + _HEADER_CHECKSUM, random.getrandbits(16))


# TCP and UDP ---------------------------------------------------------------------------------------------------------


def _transport(template: Template) -> int:
    return template.header_size + template.l4


def data_offset(frame: bytearray, template: Template, random: Random) -> None:
    """A TCP header that says another length than it has."""
    place = _transport(template) + _DATA_OFFSET
    if template.protocol == TCP and place < len(frame):
        offset = _pick(random, (0, 4, 5, 6, 7, 8, 15))
        frame[place] = offset << 4 | frame[place] & 15


def tcp_flags(frame: bytearray, template: Template, random: Random) -> None:
    """Other TCP flags."""
    if template.protocol == TCP:
        _at(frame, _transport(template) + _TCP_FLAGS, random.getrandbits(8))


def sequence(frame: bytearray, template: Template, random: Random) -> None:
    """Another sequence number, near the end of its range, or any."""
    if template.protocol == TCP:
        place = _transport(template) + _SEQUENCE
        word(frame, place, 0xFFFF)
        word(frame, place + 2, random.getrandbits(16))


def checksum_field(frame: bytearray, template: Template, random: Random) -> None:
    """Another partial: a number near a zero, or any."""
    place = _transport(template) + (_UDP_CHECKSUM if template.protocol == UDP else _TCP_CHECKSUM)
    word(frame, place, _pick(random, (0, 1, 0xFFFF, 0xFFFE, random.getrandbits(16))))


def udp_length(frame: bytearray, template: Template, random: Random) -> None:
    """Another UDP length."""
    if template.protocol == UDP:
        place = _transport(template) + _UDP_LENGTH
        true = len(frame) - _transport(template)
        word(frame, place, _pick(random, (0, 7, 8, true - 1, true + 1, 0xFFFF, random.getrandbits(16))))


def sum_of_zero(frame: bytearray, template: Template, random: Random) -> None:
    """A partial that makes the checksum of the first segment, or of the one packet, zero."""
    del random
    start = _transport(template)
    at = start + (_UDP_CHECKSUM if template.protocol == UDP else _TCP_CHECKSUM)
    if template.protocol not in (TCP, UDP) or at + 2 > len(frame):
        return
    _, kind, _, size, _, _ = VNET.unpack_from(frame)
    _at(frame, _FLAGS, _NEEDS_CSUM)
    end = template.header_size + template.payload
    whole = len(frame) - start
    is_cut = kind and 0 < size < len(frame) - end
    stop = end + size if is_cut else len(frame)
    piece = bytearray(frame[start:stop])
    if template.protocol == TCP and is_cut and len(piece) > _TCP_FLAGS:
        piece[_TCP_FLAGS] &= _NOT_LAST
    elif template.protocol == UDP and is_cut:
        piece[UdpLayout.LENGTH.span] = (len(piece) & 0xFFFF).to_bytes(2, "big")
    piece[at - start : at - start + 2] = b"\0\0"
    word(frame, at, (whole - len(piece) - checksum(piece)) % 0xFFFF)


# Sizes ---------------------------------------------------------------------------------------------------------------


def cut_off(frame: bytearray, template: Template, random: Random) -> None:
    """The end is missing, most often inside or right behind a header."""
    chance = random.random()
    start = template.header_size
    if chance < 0.6:
        base = _pick(random, (start, start + 20, start + template.l4, start + template.payload, start + 40))
        length = base + _pick(random, (0, 1, -1, 8, 2, 3, 7, 19, 20, 6, 17, 18))
    else:
        length = random.randrange(len(frame) + 1)
    del frame[max(length, 0) :]


def longer(frame: bytearray, _: Template, random: Random) -> None:
    """More bytes at the end."""
    frame += bytes(random.randrange(1, 24))


def insert(frame: bytearray, template: Template, random: Random) -> None:
    """Some bytes in the middle of a header."""
    place = template.header_size + random.randrange(61)
    frame[place:place] = random.randbytes(_pick(random, (1, 2, 4, 8)))


def some_byte(frame: bytearray, _: Template, random: Random) -> None:
    """Any byte of the first hundred."""
    if frame:
        frame[random.randrange(min(len(frame), 100))] = random.getrandbits(8)


def payload_byte(frame: bytearray, template: Template, random: Random) -> None:
    """A byte of the payload."""
    start = template.header_size + template.payload
    if start < len(frame):
        frame[random.randrange(start, len(frame))] = random.getrandbits(8)


VALUES: tuple[Mutation, ...] = (
    identification,
    tcp_flags,
    sequence,
    checksum_field,
    sum_of_zero,
    payload_byte,
    tcp_flags,
    time_to_live,
)

STRUCTURES: tuple[Mutation, ...] = (
    flags,
    gso_type,
    gso_type,
    hdr_len,
    gso_size,
    gso_size,
    gso_size,
    csum_start,
    csum_start,
    csum_offset,
    csum_wraps,
    other_vnet_bytes,
    short_ipv6,
    ufo_of_one,
    version,
    ip_header_length,
    protocol,
    stated_length,
    fragment,
    header_checksum,
    data_offset,
    data_offset,
    udp_length,
    cut_off,
    cut_off,
    longer,
    insert,
    some_byte,
)

STRUCTURES_OF_LONG: tuple[Mutation, ...] = (
    csum_start,
    csum_start,
    csum_start,
    gso_size,
    gso_type,
    flags,
    hdr_len,
    stated_length,
    longer,
    cut_off,
)
"""For frames from `LONG` bytes, which take as long as twenty others: what shows in no shorter one."""
