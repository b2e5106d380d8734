"""What only a router looks at: the MTU, IPv4 and hop-by-hop options, addresses, lengths that trim a packet.

`near_the_mtu` makes a template of another one; the mutations are to be mixed with all the others where a way is
forwarded. Other mutations leave an IPv4 header with a wrong checksum, at which a router looks first:
`resum` after them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from tio.checksum import checksum
from tio.virtio import GsoType, VnetFlag
from tio.wire import IPv4Layout, IPv6Layout, TcpLayout, UdpLayout, VnetLayout
from tunfuzz.build import TCP, UDP, filler
from tunfuzz.differential.mutations import Mutation, resum, word
from tunfuzz.differential.templates import VNET, Template

__all__ = ["ROUTED", "near_the_mtu"]

_NEEDS_CSUM = int(VnetFlag.NEEDS_CSUM)
_UFO = int(GsoType.UDP)
_DONT_FRAGMENT = IPv4Layout.DF.mask >> 8  # in the first byte of the field
_FRAGMENT, _HEADER_CHECKSUM = IPv4Layout.FRAGMENT.offset, IPv4Layout.CHECKSUM.offset
_TOTAL_LENGTH, _PAYLOAD_LENGTH = IPv4Layout.TOTAL_LENGTH.offset, IPv6Layout.PAYLOAD_LENGTH.offset
_NEXT_HEADER = IPv6Layout.NEXT_HEADER.offset
_IPV4 = ("00000000", "ffffffff", "e0000001", "efffffff", "f0000001", "7f000001", "00000001", "0a4d00ff")
_IPV6 = (
    "0" * 32,
    "0" * 31 + "1",
    "fe80" + "0" * 27 + "1",
    "ff02" + "0" * 27 + "1",
    "ff0e" + "0" * 28,
    "0" * 20 + "ffff7f000001",
)


def _get(frame: bytearray, place: int) -> int:
    return int.from_bytes(frame[place : place + 2], "big")


# Lengths -------------------------------------------------------------------------------------------------------------


def near_the_mtu(template: Template, mtu: int, random: Random) -> Template:
    """Return a like template whose packet, or each of whose segments, is about as long as the MTU, or a few times."""
    start, end = template.header_size, template.header_size + template.payload
    if not template.payload or end > len(template.frame) or start + 10 > end:
        return template
    room = max(mtu - template.payload, 1)
    size = max(room + random.choice((-16, -9, -8, -1, 0, 0, 1, 8, 9)), 1)
    head = bytearray(template.frame[:end])
    flags, kind, hdr_len, gso_size, csum_start, csum_offset = VNET.unpack_from(head)
    length = (
        max(size * random.choice((1, 2, 2, 3)) + random.randrange(-8, 9), 1)
        if kind
        else size * random.choice((1, 1, 2, 4))
    )
    if kind:
        gso_size = size + UdpLayout.size if kind == _UFO else size
    VNET.pack_into(head, 0, flags, kind, hdr_len, gso_size, csum_start, csum_offset)
    if template.version == 4 and random.random() < 0.6:
        head[start + _FRAGMENT] &= ~_DONT_FRAGMENT
    frame = head + filler(length, random.randrange(2, 1000))
    _state_lengths(frame, template)
    resum(frame, template)
    return replace(template, frame=bytes(frame))


def _state_lengths(frame: bytearray, template: Template) -> None:
    """Make the lengths in the headers right, and the partial, where there is one."""
    start, l4 = template.header_size, template.header_size + template.l4
    whole = len(frame) - l4
    before = len(template.frame) - l4
    place, counted = (_TOTAL_LENGTH, 0) if template.version == 4 else (_PAYLOAD_LENGTH, IPv6Layout.size)
    word(frame, start + place, len(frame) - start - counted)
    if template.protocol == UDP:
        word(frame, l4 + UdpLayout.LENGTH.offset, whole)
    field = l4 + (UdpLayout if template.protocol == UDP else TcpLayout).CHECKSUM.offset
    if frame[VnetLayout.FLAGS.offset] & _NEEDS_CSUM and template.protocol in (TCP, UDP):
        word(frame, field, checksum(b"", _get(frame, field) + (~before & 0xFFFF) + (whole & 0xFFFF)))


def trimming_length(frame: bytearray, template: Template, random: Random) -> None:
    """A length in the IP header that ends the packet around the checksum field, the headers, or the first segment."""
    start = template.header_size
    if len(frame) < start + IPv4Layout.size:
        return
    _, _, _, gso_size, csum_start, csum_offset = VNET.unpack_from(frame)
    field = csum_start + csum_offset
    base = random.choice(
        (field, field, template.l4, template.payload, template.payload + gso_size, len(frame) - start - 1)
    )
    length = base + random.choice((0, 0, 1, 2, 3, -1, 8))
    place, counted = (_TOTAL_LENGTH, 0) if template.version == 4 else (_PAYLOAD_LENGTH, IPv6Layout.size)
    word(frame, start + place, length - counted)
    resum(frame, template)


def hop_count(frame: bytearray, template: Template, random: Random) -> None:
    """Another TTL or hop limit; more often than not one that lives on."""
    place = template.header_size + (IPv4Layout.TTL if template.version == 4 else IPv6Layout.HOP_LIMIT).offset
    if place < len(frame):
        frame[place] = random.choice((0, 1, 2, 2, 3, 255, random.getrandbits(8), random.getrandbits(8)))
    resum(frame, template)


def fragment_bits(frame: bytearray, template: Template, random: Random) -> None:
    """Other fragment bits in an IPv4 header that may be fragmented."""
    if template.version == 4:
        bits = random.choice((0, 0x2000, 0x8000, 0x0003, 0x2001, 0x1FFF, 0x3FF0, random.getrandbits(16)))
        word(frame, template.header_size + _FRAGMENT, bits & ~IPv4Layout.DF.mask)
        resum(frame, template)


def header_checksum_of_two_zeros(frame: bytearray, template: Template, random: Random) -> None:
    """An IPv4 header checksum that is 0x0000 or close to it, or that is spelled 0xFFFF."""
    place = template.header_size + _HEADER_CHECKSUM
    if template.version != 4 or place + 2 > len(frame):
        return
    wanted = random.choice((0x0000, 0xFEFF, 0xFEFE, 0xFF00, 0xFFFE))
    resum(frame, template)
    identification = template.header_size + IPv4Layout.IDENTIFICATION.offset
    word(frame, identification, checksum(b"", _get(frame, identification) + _get(frame, place) + (~wanted & 0xFFFF)))
    word(frame, place, wanted)
    if wanted == 0 and random.random() < 0.5:
        word(frame, place, 0xFFFF)


# Options -------------------------------------------------------------------------------------------------------------


def _insert(frame: bytearray, template: Template, place: int, header: bytes) -> None:
    """Put `header` into the packet at byte `place`, and move what the vnet header points at."""
    start = template.header_size + place
    flags, kind, hdr_len, gso_size, csum_start, csum_offset = VNET.unpack_from(frame)
    if flags & _NEEDS_CSUM:
        csum_start += len(header)
    hdr_len = hdr_len + len(header) if hdr_len else 0
    VNET.pack_into(frame, 0, flags, kind, hdr_len & 0xFFFF, gso_size, csum_start & 0xFFFF, csum_offset)
    frame[start:start] = header


def _record_route(random: Random) -> bytes:
    size = random.choice((3, 7, 11, 15))
    pointer = random.choice((4, 4, 8, size + 1, size - 3, size - 2, 3))
    return bytes((7, size, pointer)) + random.randbytes(size - 3)


def _timestamp(random: Random) -> bytes:
    size = random.choice((4, 8, 12))
    pointer = random.choice((5, size + 1, size + 1, size + 1, size + 5, size - 2, 4))
    missed_and_form = random.choice((0x00, 0x01, 0x02, 0x03, 0x12, 0xE0, 0xF1, 0xF3))
    return bytes((68, size, pointer, missed_and_form)) + random.randbytes(size - 4)


def _router_alert(random: Random) -> bytes:
    return random.choice((b"\x94\x04\0\0", b"\x94\x04\0\x01", b"\x94\x03\0"))


def _source_route(random: Random) -> bytes:
    return bytes((random.choice((131, 137)), 7, random.choice((4, 8)))) + random.randbytes(4)


def _other_option(random: Random) -> bytes:
    size = random.randrange(2, 9)
    return bytes((random.choice((0x5E, 0xDE, 0x82, 0x19, 0x99)), size)) + random.randbytes(size - 2)


def _end(random: Random) -> bytes:
    return bytes(random.randrange(1, 5)) + random.choice((b"", b"\x07", b"\x01\x05"))


def _wrong(random: Random) -> bytes:
    return random.choice((b"\x02\0", b"\x07\x01", b"\x44", b"\x5e\xff"))


_IPV4_OPTIONS = (
    _record_route,
    _record_route,
    _timestamp,
    _timestamp,
    _router_alert,
    _source_route,
    _other_option,
    _other_option,
    _end,
    _wrong,
)


def _some(options: Sequence[Callable[[Random], bytes]], random: Random) -> Iterator[bytes]:
    for _ in range(random.randrange(1, 4)):
        yield random.choice(options)(random)


def ipv4_options(frame: bytearray, template: Template, random: Random) -> None:
    """Options in an IPv4 header that had none: such as a router changes, such as it refuses, and such as it copies."""
    start = template.header_size
    if template.version != 4 or template.l4 != IPv4Layout.size or len(frame) < start + IPv4Layout.size:
        return
    options = (random.choice((b"", b"\x01")) + b"".join(_some(_IPV4_OPTIONS, random)))[:40]
    options += random.choice((b"\0", b"\x01")) * (-len(options) % 4)
    _insert(frame, template, IPv4Layout.size, options)
    frame[start] = 0x45 + len(options) // 4
    word(frame, start + _TOTAL_LENGTH, _get(frame, start + _TOTAL_LENGTH) + len(options))
    resum(frame, template)


def _padding(random: Random) -> bytes:
    size = random.choice((0, 0, 1, 2, 4, 4, 5, 6))
    value = bytes(size) if random.random() < 0.6 else random.randbytes(size)
    return b"\0" * random.randrange(1, 9) if random.random() < 0.3 else bytes((1, size)) + value


def _hop_router_alert(random: Random) -> bytes:
    return random.choice((b"\x05\x02\0\0", b"\x05\x02\0\x05", b"\x05\x03\0\0\0"))


def _unknown(random: Random) -> bytes:
    size = random.choice((0, 0, 1, 2, 4))
    return bytes((random.choice((0x1E, 0x1E, 0x3E, 0x5E, 0x9E, 0xDE)), size)) + random.randbytes(size)


def _jumbo(random: Random) -> bytes:
    return b"\xc2\x04" + random.choice((65536, 65535, 0)).to_bytes(4, "big")


def _too_many(random: Random) -> bytes:
    return random.choice((b"\x1e\0" * random.randrange(7, 11), b"\x1e\xff"))


_HOP_OPTIONS = (_padding, _padding, _hop_router_alert, _unknown, _unknown, _jumbo, _too_many)


def hop_options(frame: bytearray, template: Template, random: Random) -> None:
    """A hop-by-hop header in front of all others, with options to skip, to refuse, and to drown in."""
    start = template.header_size
    if template.version != 6 or len(frame) < start + IPv6Layout.size:
        return
    options = b"".join(_some(_HOP_OPTIONS, random))
    padding = -(len(options) + 2) % 8
    options += bytes((1, padding - 2)) + bytes(padding - 2) if padding > 1 else bytes(padding)
    units = (len(options) + 2) // 8 - 1 if random.random() < 0.9 else random.choice((0, 3, 255))
    _insert(frame, template, IPv6Layout.size, bytes((frame[start + _NEXT_HEADER], units)) + options)
    frame[start + _NEXT_HEADER] = 0
    stated = _get(frame, start + _PAYLOAD_LENGTH) + len(options) + 2
    word(frame, start + _PAYLOAD_LENGTH, stated if random.random() < 0.9 else 0)


# Addresses -----------------------------------------------------------------------------------------------------------


def address(frame: bytearray, template: Template, random: Random) -> None:
    """A source or destination that a router may not like, or any."""
    if template.version == 0:
        return
    layout, special = (IPv4Layout, _IPV4) if template.version == 4 else (IPv6Layout, _IPV6)
    field = random.choice((layout.SOURCE, layout.DESTINATION))
    place, size = template.header_size + field.offset, field.width
    if place + size <= len(frame):
        frame[place : place + size] = (
            bytes.fromhex(random.choice(special)) if random.random() < 0.8 else random.randbytes(size)
        )
    resum(frame, template)


ROUTED: tuple[Mutation, ...] = (
    trimming_length,
    trimming_length,
    hop_count,
    fragment_bits,
    header_checksum_of_two_zeros,
    ipv4_options,
    ipv4_options,
    ipv4_options,
    hop_options,
    hop_options,
    address,
)
