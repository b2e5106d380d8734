"""Segmenting: R1 to R13, and every segment byte for byte as scapy builds it."""

import struct
from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP
from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.packet import Packet

from common.support import (
    STACKS,
    Vnet,
    broken_rule,
    build,
    csum_offset,
    cut,
    header_lengths,
    ip4,
    ip6,
    is_tcp,
    judged,
    patched,
    superframe,
    tcp,
    text,
    udp,
    vnet_for,
    with_partial,
    word,
    zero_checksum_payload,
)
from tio.errors import FrameError
from tio.segment import MAX_UDP_SEGMENTS, segment

TCP4, TCP6, UDP4, UDP6 = (STACKS[name] for name in ("tcp4", "tcp6", "udp4", "udp6"))
LONGEST = {name: 65535 - sum(header_lengths(stack)) for name, stack in STACKS.items()}


def checksum_of(packet: bytes, name: str) -> int:
    at = header_lengths(STACKS[name])[0] + csum_offset(STACKS[name])
    return int.from_bytes(packet[at : at + 2], "big")


# What comes out.


@pytest.mark.parametrize(("length", "size"), [(30, 10), (31, 10), (39, 13), (11, 10), (5, 1), (3000, 1448)])
@pytest.mark.parametrize("name", STACKS)
def test_segments_are_what_scapy_builds(name: str, length: int, size: int) -> None:
    stack, payload = STACKS[name], text(length)
    segments = segment(superframe(stack, payload, size))
    assert segments == cut(stack, payload, size)
    assert segments == [judged(packet) for packet in segments]


@pytest.mark.parametrize("name", STACKS)
def test_longest_superpacket_is_cut(name: str) -> None:
    stack, payload = STACKS[name], text(LONGEST[name])
    assert segment(superframe(stack, payload, 16000)) == cut(stack, payload, 16000)


@pytest.mark.parametrize("flags", [0x10, 0x18, 0x11, 0x90, 0xD0, 0xFF])
@pytest.mark.parametrize("ecn", [0, 0x80])
@pytest.mark.parametrize("ip", [ip4(), ip6()])
def test_cwr_stays_on_the_first_segment_fin_and_psh_on_the_last(ip: Packet, ecn: int, flags: int) -> None:
    stack = ip / tcp(flags=flags)
    kind = vnet_for(stack, 1)[1] | ecn
    segments = segment(superframe(stack, text(30), 10, gso_type=kind))
    assert segments == cut(stack, text(30), 10)
    at = header_lengths(stack)[0] + 13
    assert [packet[at] & 0x89 for packet in segments] == [flags & 0x80, 0, flags & 0x09]


def test_identification_wraps() -> None:
    segments = segment(superframe(ip4(id=0xFFFE) / tcp(), text(30), 10))
    assert [packet[4:6].hex() for packet in segments] == ["fffe", "ffff", "0000"]
    assert segments == [judged(packet) for packet in segments]


def test_sequence_number_wraps() -> None:
    segments = segment(superframe(ip6() / tcp(seq=0xFFFFFFF6), text(30), 10))
    assert [packet[44:48].hex() for packet in segments] == ["fffffff6", "00000000", "0000000a"]
    assert segments == [judged(packet) for packet in segments]


@pytest.mark.parametrize("bits", [0x0000, 0x4000, 0x8000])
def test_fragment_bits_and_wrong_header_checksum_of_ipv4(bits: int) -> None:
    frame = patched(patched(superframe(TCP4, text(20), 10), 16, word(bits)), 20, b"\xba\xad")
    segments = segment(frame)
    assert [packet[6:8] for packet in segments] == [word(bits)] * 2
    assert segments == [judged(packet) for packet in segments]


@pytest.mark.parametrize("name", ["tcp4", "tcp6-extensions"])
def test_zero_checksum_of_a_tcp_segment_stays_zero(name: str) -> None:
    first = zero_checksum_payload(STACKS[name], text(40)[:20])
    segments = segment(superframe(STACKS[name], first + text(20), 20))
    assert checksum_of(segments[0], name) == 0x0000
    assert segments == cut(STACKS[name], first + text(20), 20)


@pytest.mark.parametrize("name", ["udp4", "udp6", "udp6-extensions"])
def test_zero_checksum_of_a_udp_segment_is_sent_as_ffff(name: str) -> None:
    first = zero_checksum_payload(STACKS[name], text(40)[:20])
    segments = segment(superframe(STACKS[name], first + text(20), 20))
    assert checksum_of(segments[0], name) == 0xFFFF
    assert segments == cut(STACKS[name], first + text(20), 20)


@pytest.mark.parametrize("error", [1, 0xFFFE])
@pytest.mark.parametrize("name", STACKS)
def test_wrong_partial_is_carried_into_every_segment_by_the_same_amount(name: str, error: int) -> None:
    stack, payload = STACKS[name], text(35)
    wrong = segment(vnet_for(stack, 10) + with_partial(stack, payload, error=error))
    right = cut(stack, payload, 10)
    for one, other in zip(wrong, right, strict=True):
        assert (checksum_of(other, name) - checksum_of(one, name)) % 0xFFFF == error % 0xFFFF
        at = header_lengths(stack)[0] + csum_offset(stack)
        assert patched(one, at, b"\0\0") == patched(other, at, b"\0\0")


@pytest.mark.parametrize("garbage", [0x0000, 0xFFFF, 0x1234])
@pytest.mark.parametrize("name", [name for name, stack in STACKS.items() if is_tcp(stack)])
def test_without_needs_csum_checksums_are_made_anew(name: str, garbage: int) -> None:
    stack, payload = STACKS[name], text(35)
    packet = patched(build(stack, payload), header_lengths(stack)[0] + 16, word(garbage))
    frame = vnet_for(stack, 10, flags=0, csum_start=0, csum_offset=0) + packet
    assert segment(frame) == cut(stack, payload, 10)


@pytest.mark.parametrize("length", [0, 1, 9, 10])
@pytest.mark.parametrize("name", STACKS)
def test_payload_not_longer_than_gso_size_is_one_packet(name: str, length: int) -> None:
    stack = STACKS[name]
    assert segment(superframe(stack, text(length), 10)) == [build(stack, text(length))]


def test_one_packet_without_needs_csum_is_not_touched_even_if_it_has_a_type() -> None:
    packet = patched(build(TCP4, text(10)), 36, b"\xba\xad")
    assert segment(vnet_for(TCP4, 10, flags=0) + packet) == [packet]


@pytest.mark.parametrize("name", ["tcp4", "udp6"])
def test_zero_checksum_of_one_packet_is_ffff(name: str) -> None:
    payload = zero_checksum_payload(STACKS[name], text(10))
    for frame in (
        superframe(STACKS[name], payload, 10),
        superframe(STACKS[name], payload, 0, gso_type=0),
    ):
        (packet,) = segment(frame)
        assert checksum_of(packet, name) == 0xFFFF


@pytest.mark.parametrize("hdr_len", [0, 1, 20, 39, 41, 1500, 65535])
@pytest.mark.parametrize("name", STACKS)
def test_hdr_len_is_ignored(name: str, hdr_len: int) -> None:
    stack, payload = STACKS[name], text(25)
    assert segment(superframe(stack, payload, 10, hdr_len=hdr_len)) == cut(stack, payload, 10)


@pytest.mark.parametrize("flags", [0x03, 0x05, 0xFF])
def test_other_flags_are_ignored(flags: int) -> None:
    assert segment(superframe(TCP4, text(25), 10, flags=flags)) == cut(TCP4, text(25), 10)


@pytest.mark.parametrize("tail", [b"", bytes(2), b"\xff" * 2, b"\xff" * 14])
@pytest.mark.parametrize("order", ["little", "big"])
def test_headers_of_10_12_and_24_bytes_in_both_byte_orders(order: str, tail: bytes) -> None:
    header = struct.unpack("=BBHHHH", vnet_for(UDP6, 10))
    frame = Vnet(*header).pack("<" if order == "little" else ">") + tail + with_partial(UDP6, text(25))
    assert segment(frame, header_size=10 + len(tail), byte_order=order) == cut(UDP6, text(25), 10)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_is_taken_and_not_changed(kind: type) -> None:
    frame = superframe(STACKS["tcp6-extensions"], text(25), 10)
    buffer = kind(bytearray(frame))
    segments = segment(buffer)
    assert segments == cut(STACKS["tcp6-extensions"], text(25), 10)
    assert all(isinstance(packet, bytes) for packet in segments)
    assert bytes(buffer) == frame


# R1 to R3: frames of one packet.


@pytest.mark.parametrize("length", range(10))
def test_r1_a_whole_vnet_header_comes_first(length: int) -> None:
    assert broken_rule(FrameError, segment, bytes(length)) == "H1"


@pytest.mark.parametrize("kind", [0, 1, 4, 5])
@pytest.mark.parametrize("packet", [b"", b"\x00" * 60, b"\x55" * 60, b"\xf6" * 60])
def test_r1_a_packet_with_version_4_or_6_follows(packet: bytes, kind: int) -> None:
    assert broken_rule(FrameError, segment, Vnet(gso_type=kind, gso_size=8).pack() + packet) == "P1"


@pytest.mark.parametrize("packet", [b"\x45", b"\x60\x01", build(ip4() / ICMP()), patched(build(TCP4), 36, b"\0\0")])
def test_r2_a_frame_without_type_and_needs_csum_is_its_packet_untouched(packet: bytes) -> None:
    noise = Vnet(flags=0xFE, hdr_len=65535, gso_size=3, csum_start=1, csum_offset=2)
    assert segment(noise.pack() + packet) == [packet]


@pytest.mark.parametrize("name", STACKS)
def test_r2_needs_csum_completes_the_checksum_of_one_packet(name: str) -> None:
    stack = STACKS[name]
    for size in (0, 10):  # a stale gso_size means nothing
        assert segment(superframe(stack, text(25), size, gso_type=0)) == [build(stack, text(25))]


@pytest.mark.parametrize(("stack", "floor"), [(UDP4, 20), (UDP6, 40)])
def test_r3_summing_starts_behind_the_fixed_ip_header(stack: Packet, floor: int) -> None:
    packet = build(stack, text(20))
    for start in (0, 10, floor - 1):
        assert broken_rule(FrameError, segment, Vnet(flags=1, csum_start=start, csum_offset=6).pack() + packet) == "R3"
    assert len(segment(Vnet(flags=1, csum_start=floor, csum_offset=6).pack() + packet)) == 1


@pytest.mark.parametrize(("start", "offset"), [(20, 27), (46, 1), (48, 0), (0xFFFF, 0), (20, 0xFFFF), (0xFFFF, 0xFFFF)])
def test_r3_the_checksum_field_lies_inside_the_packet(start: int, offset: int) -> None:
    packet = build(UDP4, text(20))
    frame = Vnet(flags=1, csum_start=start, csum_offset=offset).pack() + packet
    assert broken_rule(FrameError, segment, frame) == "R3"
    assert len(segment(Vnet(flags=1, csum_start=20, csum_offset=26).pack() + packet)) == 1


# R4 to R13: one fault each, in an otherwise correct superpacket.


def fault(stack: Packet, patch: tuple[int, bytes] | None = None, length: int = 25, **vnet: int) -> bytes:
    """Return a superframe with a changed vnet header, and `patch` (offset, bytes) written over its packet."""
    frame = superframe(stack, text(length), 10, **vnet)
    return patched(frame, 10 + patch[0], patch[1]) if patch else frame


def short(stack: Packet, length: int) -> bytes:
    """Return a superframe whose packet ends after `length` bytes, and says so."""
    frame = superframe(stack, text(25), 10)[: 10 + length]
    return patched(frame, 12, word(length)) if frame[10] >> 4 == 4 else patched(frame, 14, word(max(0, length - 40)))


def fragment(offset_or_more: int) -> bytes:
    return patched(superframe(TCP4, text(25), 10), 16, word(offset_or_more))


EXTENDED = STACKS["tcp6-extensions"]
FAULTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "R4 type 2": ("R4", lambda: fault(TCP4, gso_type=2)),
    "R4 UFO": ("R4", lambda: fault(UDP4, gso_type=3)),
    "R4 UFO with ECN": ("R4", lambda: fault(UDP4, gso_type=0x83)),
    "R4 type 6": ("R4", lambda: fault(TCP4, gso_type=6)),
    "R4 ECN alone": ("R4", lambda: fault(TCP4, gso_type=0x80)),
    "R4 ECN on UDP": ("R4", lambda: fault(UDP4, gso_type=0x85)),
    "R4 tunnel bit": ("R4", lambda: fault(TCP4, gso_type=0x21)),
    "R4 all bits": ("R4", lambda: fault(TCP4, gso_type=0xFF)),
    "R5 TCP": ("R5", lambda: fault(TCP4, gso_size=0)),
    "R5 UDP": ("R5", lambda: fault(UDP6, gso_size=0)),
    "R6 one byte over": ("R6", lambda: superframe(TCP6, text(65536 - 60), 1448)),
    "R6 all that IPv6 can say": ("R6", lambda: superframe(EXTENDED, text(65535 + 40 - 112), 1448)),
    "R7 TCPV4 on IPv6": ("R7", lambda: fault(TCP6, gso_type=1)),
    "R7 TCPV6 on IPv4": ("R7", lambda: fault(TCP4, gso_type=4)),
    "R7 TCPV4 with ECN on IPv6": ("R7", lambda: fault(TCP6, gso_type=0x81)),
    "R7 TCPV6 with ECN on IPv4": ("R7", lambda: fault(TCP4, gso_type=0x84)),
    "R8 half an IPv4 header": ("P2", lambda: short(TCP4, 19)),
    "R8 half an IPv6 header": ("P2", lambda: short(TCP6, 39)),
    "R8 IHL 4": ("P3", lambda: fault(TCP4, (0, b"\x44"))),
    "R8 options cut off": ("P3", lambda: short(STACKS["tcp4-ip-options"], 27)),
    "R8 extension header cut off": ("P4", lambda: short(EXTENDED, 79)),
    "R9 TCPV4 on UDP": ("R9", lambda: fault(UDP4, gso_type=1, csum_offset=16)),
    "R9 TCPV6 on UDP": ("R9", lambda: fault(UDP6, gso_type=4, csum_offset=16)),
    "R9 UDP_L4 on TCP": ("R9", lambda: fault(TCP4, gso_type=5, csum_offset=6)),
    "R9 ICMP": ("R9", lambda: fault(TCP4, (9, b"\x01"))),
    "R9 IPv6 fragment": ("R9", lambda: superframe(ip6() / IPv6ExtHdrFragment() / tcp(), text(25), 10)),
    "R9 AH": ("R9", lambda: fault(TCP6, (6, b"\x33"))),
    "R10 total length one less": ("R10", lambda: fault(TCP4, (2, word(64)))),
    "R10 total length one more": ("R10", lambda: fault(TCP4, (2, word(66)))),
    "R10 total length 0": ("R10", lambda: fault(TCP4, (2, word(0)))),
    "R10 payload length one less": ("R10", lambda: fault(TCP6, (4, word(44)))),
    "R10 payload length one more": ("R10", lambda: fault(TCP6, (4, word(46)))),
    "R10 payload length 0": ("R10", lambda: fault(TCP6, (4, word(0)))),
    "R10 UDP length one less": ("R10", lambda: fault(UDP4, (24, word(32)))),
    "R10 UDP length one more": ("R10", lambda: fault(UDP6, (44, word(34)))),
    "R10 UDP length 0": ("R10", lambda: fault(UDP6, (44, word(0)))),
    "R11 half a TCP header": ("P5", lambda: short(TCP4, 39)),
    "R11 no TCP header": ("P5", lambda: short(TCP6, 40)),
    "R11 data offset 4": ("P5", lambda: fault(TCP4, (32, b"\x40"))),
    "R11 TCP options cut off": ("P5", lambda: short(STACKS["tcp4-tcp-options"], 51)),
    "R11 half a UDP header": ("P6", lambda: short(UDP4, 27)),
    "R12 csum_start before": ("R12", lambda: fault(TCP4, csum_start=19)),
    "R12 csum_start behind": ("R12", lambda: fault(TCP6, csum_start=42)),
    "R12 csum_start at an extension header": ("R12", lambda: fault(EXTENDED, csum_start=40)),
    "R12 csum_start 0": ("R12", lambda: fault(UDP4, csum_start=0)),
    "R12 csum_offset of UDP for TCP": ("R12", lambda: fault(TCP4, csum_offset=6)),
    "R12 csum_offset of TCP for UDP": ("R12", lambda: fault(UDP6, csum_offset=16)),
    "R12 also for what is one packet after all": ("R12", lambda: fault(TCP4, length=10, csum_start=22)),
    "R13 UDP without NEEDS_CSUM": ("R13", lambda: fault(UDP4, flags=0)),
    "R13 129 segments": ("R13", lambda: fault(UDP6, length=10 * 128 + 1)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_is_refused_by_its_rule(name: str) -> None:
    rule, make = FAULTS[name]
    assert broken_rule(FrameError, segment, make()) == rule


def test_r6_65535_bytes_are_a_superpacket() -> None:
    assert len(segment(superframe(TCP6, text(65535 - 60), 1448))) == 46


def test_r9_an_ipv4_fragment_is_cut_like_any_other_as_the_kernel_does() -> None:
    for bits in (0x2000, 0x0001):
        assert [packet[6:8] for packet in segment(fragment(bits))] == [word(bits)] * 3


def test_r13_128_segments_are_a_superpacket_and_tcp_may_have_more() -> None:
    assert MAX_UDP_SEGMENTS == 128
    assert len(segment(fault(UDP6, length=10 * 128))) == 128
    assert len(segment(fault(TCP6, length=10 * 128 + 1))) == 129


@pytest.mark.parametrize(
    ("frame", "field", "offset", "found"),
    [
        (fault(TCP4, gso_type=2), "vnet.gso_type", 1, 2),
        (fault(TCP4, gso_size=0), "vnet.gso_size", 4, 0),
        (fault(TCP4, csum_start=19), "vnet.csum_start", 6, 19),
        (fault(TCP4, csum_offset=6), "vnet.csum_offset", 8, 6),
        (fault(UDP4, flags=0), "vnet.flags", 0, 0),
        (fault(TCP4, (2, word(64))), "ipv4.length", 2, 64),
        (fault(TCP6, (4, word(44))), "ipv6.length", 4, 84),
        (fault(UDP4, (24, word(32))), "udp.length", 24, 32),
    ],
)
def test_errors_name_field_offset_and_value(frame: bytes, field: str, offset: int, found: int) -> None:
    with pytest.raises(FrameError) as caught:
        segment(frame)
    assert (caught.value.field, caught.value.offset, caught.value.found) == (field, offset, found)


def test_ip_and_udp_lengths_are_not_looked_at_in_one_packet() -> None:
    packet = patched(build(ip4() / udp(), text(4)), 2, word(9))
    assert segment(Vnet().pack() + packet) == [packet]
