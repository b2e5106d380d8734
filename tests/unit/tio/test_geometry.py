"""The arguments of `write_gso`: G1 to G15. Each fault is tried on the pure function and on a queue over a wire."""

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP
from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.packet import Packet

from common.support import (
    STACKS,
    Vnet,
    Wire,
    broken_rule,
    build,
    csum_offset,
    cut,
    gso_type,
    header_lengths,
    ip4,
    ip6,
    partial_sum,
    patched,
    pieces,
    tcp,
    text,
    with_partial,
    word,
    word_sum,
)
from tio.errors import GeometryError
from tio.geometry import MAX_FRAGMENTS, check_geometry
from tio.segment import segment
from tio.superpacket import Plain, Superpacket
from tio.virtio import ByteOrder

TCP4, TCP6, UDP4, UDP6 = (STACKS[name] for name in ("tcp4", "tcp6", "udp4", "udp6"))
OPTIONS4, STAMPED, EXTENDED = (STACKS[name] for name in ("tcp4-ip-options", "tcp4-tcp-options", "tcp6-extensions"))
SIZE, LENGTH = 10, 25
MORE = text(LENGTH)

Pieces = tuple[bytes, bytes, list[bytes]]


def whole(stack: Packet, length: int = LENGTH, size: int = SIZE) -> Pieces:
    return pieces(stack, text(length), size)


def patched_ip(stack: Packet, offset: int, value: bytes) -> Pieces:
    hdr, transport, pays = whole(stack)
    return patched(hdr, offset, value), transport, pays


def patched_transport(stack: Packet, offset: int, value: bytes) -> Pieces:
    hdr, transport, pays = whole(stack)
    return hdr, patched(transport, offset, value), pays


def resummed(parts: Pieces) -> Pieces:
    """Return the pieces with a right IPv4 header checksum again."""
    hdr = patched(parts[0], 10, b"\0\0")
    return patched(hdr, 10, word(0xFFFF - word_sum(hdr))), parts[1], parts[2]


def resized(stack: Packet, sizes: list[int]) -> Pieces:
    """Return pieces that are right but for the sizes of the fragments."""
    hdr, transport, _ = whole(stack, sum(sizes), 1 << 20)
    data, starts = text(sum(sizes)), [sum(sizes[:index]) for index in range(len(sizes))]
    return hdr, transport, [data[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def inverted(stack: Packet) -> Pieces:
    hdr, transport, pays = whole(stack)
    at = csum_offset(stack)
    return hdr, patched(transport, at, bytes(byte ^ 0xFF for byte in transport[at : at + 2])), pays


def unfolded(stack: Packet) -> Pieces:
    """Return pieces whose partial has its carries cut off instead of added."""
    hdr, transport, pays = whole(stack)
    words = hdr[12:20] + word(6) + word(len(transport) + LENGTH)
    total = sum(int.from_bytes(words[at : at + 2], "big") for at in range(0, len(words), 2))
    assert total > 0xFFFF
    return hdr, patched(transport, 16, word(total & 0xFFFF)), pays


def icmp() -> Pieces:
    packet = build(ip4() / ICMP(), MORE)
    return packet[:20], packet[20:28], [MORE]


# name: rule, field, offset, pieces. One fault each, in otherwise correct pieces.
FAULTS: dict[str, tuple[str, str, int, Callable[[], Pieces]]] = {
    "G1 empty hdr": ("G1", "hdr", 0, lambda: (b"", *whole(TCP4)[1:])),
    "G2 empty transport_hdr": ("G2", "transport_hdr", 20, lambda: (whole(TCP4)[0], b"", whole(TCP4)[2])),
    "G3 no pays": ("G3", "pays", 0, lambda: resized(TCP4, [])),
    "G4 only fragment empty": ("G4", "pays", 0, lambda: resized(UDP4, [0])),
    "G4 first fragment empty": ("G4", "pays", 0, lambda: resized(TCP4, [0, 10, 10])),
    "G4 middle fragment empty": ("G4", "pays", 1, lambda: resized(TCP6, [10, 0, 10])),
    "G4 last fragment empty": ("G4", "pays", 2, lambda: resized(UDP6, [10, 10, 0])),
    "G5 short in the middle": ("G5", "pays", 1, lambda: resized(TCP4, [20, 10, 20])),
    "G5 long in the middle": ("G5", "pays", 1, lambda: resized(UDP4, [20, 21, 20])),
    "G5 long at the end": ("G5", "pays", 1, lambda: resized(TCP6, [10, 20])),
    "G6 version 5": ("G6", "ip.version", 0, lambda: patched_ip(TCP4, 0, b"\x55")),
    "G6 IHL 4": ("G6", "ipv4.ihl", 0, lambda: patched_ip(TCP4, 0, b"\x44")),
    "G6 IHL beyond hdr": ("G6", "ipv4.ihl", 0, lambda: patched_ip(TCP4, 0, b"\x46")),
    "G8 IHL before the end of hdr": ("G8", "hdr", 24, lambda: resummed(patched_ip(OPTIONS4, 0, b"\x46"))),
    "G6 hdr too short": ("G6", "ipv4", 0, lambda: (whole(TCP4)[0][:19], *whole(TCP4)[1:])),
    "G8 hdr with more than headers": ("G8", "hdr", 40, lambda: (whole(TCP6)[0] + b"\0", *whole(TCP6)[1:])),
    "G8 hdr with the transport header": ("G8", "hdr", 20, lambda: (b"".join(whole(TCP4)[:2]), *whole(TCP4)[1:])),
    "G6 extension cut off": ("G6", "ipv6.extension", 72, lambda: (whole(EXTENDED)[0][:-1], *whole(EXTENDED)[1:])),
    "G7 ICMP": ("G7", "ipv4.protocol", 9, icmp),
    "G7 next header 59": ("G7", "ipv6.protocol", 6, lambda: patched_ip(TCP6, 6, b"\x3b")),
    "G7 next header of an extension": ("G7", "ipv6.protocol", 72, lambda: patched_ip(EXTENDED, 72, b"\x3b")),
    "G7 more fragments": ("G7", "ipv4.fragment", 6, lambda: resummed(patched_ip(TCP4, 6, word(0x2000)))),
    "G7 fragment offset": ("G7", "ipv4.fragment", 6, lambda: resummed(patched_ip(UDP4, 6, word(0x4001)))),
    "G8 half a TCP header": ("G8", "tcp", 20, lambda: (whole(TCP4)[0], whole(TCP4)[1][:16], whole(TCP4)[2])),
    "G8 half a UDP header": ("G8", "udp", 40, lambda: (whole(UDP6)[0], whole(UDP6)[1][:7], whole(UDP6)[2])),
    "G8 data offset 4": ("G8", "tcp.data_offset", 32, lambda: patched_transport(TCP4, 12, b"\x40")),
    "G8 data offset beyond": ("G8", "tcp.data_offset", 52, lambda: patched_transport(TCP6, 12, b"\x60")),
    "G8 more than the header": ("G8", "transport_hdr", 20, lambda: (whole(UDP4)[0], whole(UDP4)[1] + b"\0", [MORE])),
    "G8 data offset before the end": ("G8", "transport_hdr", 20, lambda: patched_transport(STAMPED, 12, b"\x50")),
    "G9 65536 bytes": ("G9", "pays", 0, lambda: whole(TCP6, 65536 - 60, 1448)),
    "G9 65536 bytes in one fragment": ("G9", "pays", 0, lambda: whole(TCP6, 65536 - 60, 1 << 20)),
    "G10 total length one less": ("G10", "ipv4.length", 2, lambda: resummed(patched_ip(TCP4, 2, word(64)))),
    "G10 total length one more": ("G10", "ipv4.length", 2, lambda: resummed(patched_ip(UDP4, 2, word(54)))),
    "G10 total length 0": ("G10", "ipv4.length", 2, lambda: resummed(patched_ip(TCP4, 2, word(0)))),
    "G10 payload length one more": ("G10", "ipv6.length", 4, lambda: patched_ip(TCP6, 4, word(46))),
    "G10 payload length counts the fixed header": ("G10", "ipv6.length", 4, lambda: patched_ip(TCP6, 4, word(85))),
    "G10 UDP length one less": ("G10", "udp.length", 24, lambda: patched_transport(UDP4, 4, word(32))),
    "G10 UDP length of one segment": ("G10", "udp.length", 44, lambda: patched_transport(UDP6, 4, word(18))),
    "G11 one bit of the checksum": ("G11", "ipv4.checksum", 10, lambda: patched_ip(TCP4, 11, b"\x00")),
    "G11 no checksum": ("G11", "ipv4.checksum", 10, lambda: patched_ip(UDP4, 10, word(0))),
    "G11 TTL changed afterwards": ("G11", "ipv4.checksum", 10, lambda: patched_ip(OPTIONS4, 8, b"\x01")),
    "G12 no partial": ("G12", "transport.checksum", 36, lambda: patched_transport(TCP4, 16, word(0))),
    "G12 inverted": ("G12", "transport.checksum", 56, lambda: inverted(TCP6)),
    "G12 inverted UDP": ("G12", "transport.checksum", 26, lambda: inverted(UDP4)),
    "G12 not folded": ("G12", "transport.checksum", 36, lambda: unfolded(TCP4)),
    "G13 7 bytes": ("G13", "pays", 0, lambda: whole(TCP4, 15, 7)),
    "G13 1 byte": ("G13", "pays", 0, lambda: whole(UDP6, 2, 1)),
    "G14 129 fragments": ("G14", "pays", 0, lambda: whole(UDP4, 129 * 8, 8)),
    "G15 1022 fragments": ("G15", "pays", 0, lambda: whole(TCP4, 1022 * 8, 8)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_is_refused_by_its_rule_field_and_offset(name: str) -> None:
    rule, field, offset, make = FAULTS[name]
    with pytest.raises(GeometryError) as caught:
        check_geometry(*make())
    assert (caught.value.rule, caught.value.field, caught.value.offset) == (rule, field, offset)
    assert all(part in str(caught.value) for part in (rule, field, str(offset), caught.value.because))


@pytest.mark.parametrize("name", FAULTS)
def test_w4_nothing_of_a_refused_superpacket_is_written(name: str, offload: Wire) -> None:
    with pytest.raises(GeometryError):
        offload.queue.write_gso(*FAULTS[name][-1]())
    with pytest.raises(BlockingIOError):
        offload.peer.recv(1)


def test_g7_an_ipv6_fragment_header_is_refused() -> None:
    stack = ip6() / IPv6ExtHdrFragment() / tcp()
    assert broken_rule(GeometryError, check_geometry, *whole(stack)) == "G7"
    hdr, transport, pays = whole(TCP6)
    assert broken_rule(GeometryError, check_geometry, patched(hdr, 6, b"\x2c"), transport, pays) == "G7"


def test_rules_are_tried_in_order() -> None:
    assert broken_rule(GeometryError, check_geometry, b"", b"", []) == "G1"
    assert broken_rule(GeometryError, check_geometry, b"x", b"", []) == "G2"
    assert broken_rule(GeometryError, check_geometry, b"x", b"x", []) == "G3"
    assert broken_rule(GeometryError, check_geometry, b"x", b"x", [b"", b"x"]) == "G4"
    assert broken_rule(GeometryError, check_geometry, b"x", b"x", [b"x", b"xx"]) == "G5"
    assert broken_rule(GeometryError, check_geometry, b"x", b"x", [b"x"]) == "G6"


def vnet(parts: Pieces) -> Vnet:
    return Vnet.unpack(check_geometry(*parts).header.emit())


@pytest.mark.parametrize("length", [16, 17, 23, 24, 1000])
@pytest.mark.parametrize("name", STACKS)
def test_header_of_several_fragments_says_type_sizes_and_sums(name: str, length: int) -> None:
    stack = STACKS[name]
    ip, transport = header_lengths(stack)
    expected = Vnet(1, gso_type(stack), ip + transport, 8, ip, csum_offset(stack))
    assert vnet(whole(stack, length, 8)) == expected


@pytest.mark.parametrize("length", [1, 7, 8, 1000])
@pytest.mark.parametrize("name", STACKS)
def test_one_fragment_is_no_superpacket_but_needs_its_checksum(name: str, length: int) -> None:
    stack = STACKS[name]
    assert vnet(whole(stack, length, 1000)) == Vnet(1, 0, 0, 0, header_lengths(stack)[0], csum_offset(stack))


@pytest.mark.parametrize(("ip", "kind"), [(ip4(), 0x81), (ip6(), 0x84)])
def test_ecn_bit_stands_on_a_superpacket_with_cwr_only(ip: Packet, kind: int) -> None:
    stack = ip / tcp(flags="CEA")
    assert vnet(whole(stack)).gso_type == kind
    assert vnet(whole(stack, 10)).gso_type == 0
    assert vnet(whole(ip / tcp(flags="EA"))).gso_type == kind & 0x7F


def test_g9_65535_bytes_are_a_superpacket() -> None:
    for stack in (TCP4, TCP6, UDP4, UDP6):
        room = 65535 - sum(header_lengths(stack))
        assert vnet(whole(stack, room, 1448)).gso_size == 1448
        assert vnet(whole(stack, room, 1 << 20)).gso_size == 0


def test_g13_8_bytes_are_enough_and_the_last_may_have_less() -> None:
    assert vnet(whole(TCP4, 17, 8)).gso_size == 8


def test_g14_udp_may_have_128_fragments_and_tcp_more() -> None:
    assert vnet(whole(UDP4, 128 * 8, 8)).gso_size == 8
    assert vnet(whole(TCP4, 129 * 8, 8)).gso_size == 8


def test_g15_1021_fragments_fill_one_writev() -> None:
    assert MAX_FRAGMENTS == 1021
    assert vnet(whole(TCP6, 1021 * 8, 8)).gso_size == 8


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_is_taken_and_not_changed(kind: type) -> None:
    hdr, transport, pays = whole(OPTIONS4)
    buffers = [kind(bytearray(piece)) for piece in (hdr, transport, *pays)]
    assert check_geometry(buffers[0], buffers[1], buffers[2:]) == check_geometry(hdr, transport, pays)
    assert [bytes(buffer) for buffer in buffers] == [hdr, transport, *pays]


def test_partial_that_is_divisible_by_ffff_is_ffff() -> None:
    missing = 0xFFFF - partial_sum(ip4(src="192.0.0.0") / tcp(), 20 + LENGTH)
    stack = ip4(src=f"192.0.{missing >> 8}.{missing & 0xFF}") / tcp()
    hdr, transport, pays = whole(stack)
    assert transport[16:18] == b"\xff\xff"
    assert check_geometry(hdr, transport, pays)
    zero = patched(transport, 16, b"\0\0")
    assert broken_rule(GeometryError, check_geometry, hdr, zero, pays) == "G12"


@pytest.mark.parametrize("name", STACKS)
def test_superpacket_stands_for_the_packets_that_scapy_builds(name: str) -> None:
    stack = STACKS[name]
    assert Superpacket(*whole(stack)).packets() == cut(stack, MORE, SIZE)
    assert Superpacket(*whole(stack, SIZE)).packets() == cut(stack, text(SIZE), SIZE)


@pytest.mark.parametrize("size", [10, 12, 24])
@pytest.mark.parametrize("order", ByteOrder)
def test_frames_are_header_and_packet_in_the_devices_format(size: int, order: ByteOrder) -> None:
    frame = Superpacket(*whole(UDP6)).frame(header_size=size, byte_order=order)
    assert frame[size:] == with_partial(UDP6, MORE)
    assert segment(frame, header_size=size, byte_order=order) == cut(UDP6, MORE, SIZE)
    assert Plain(b"E").frame(header_size=size, byte_order=order) == bytes(size) + b"E"


def test_superpacket_that_breaks_a_rule_has_no_frame_and_no_packets() -> None:
    wrong = Superpacket(*FAULTS["G12 inverted"][-1]())
    assert broken_rule(GeometryError, wrong.frame) == broken_rule(GeometryError, wrong.packets) == "G12"
