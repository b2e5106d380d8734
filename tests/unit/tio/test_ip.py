"""IPv4 and IPv6 headers against scapy's: P1 to P4, and what a view says about the packet."""

import pytest
from scapy.layers.inet import ICMP, IP, IPOption_NOP
from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.packet import Raw

from common.support import (
    EXTENSIONS,
    STACKS,
    broken_rule,
    build,
    header_lengths,
    ip4,
    ip6,
    judged,
    patched,
    tcp,
    text,
    word,
)
from tio.errors import PacketError
from tio.ip import IPv4, IPv6, parse_ip, version_of

PACKET4 = build(ip4() / tcp(), text(10))
PACKET6 = build(ip6() / tcp(), text(10))
EXTENDED = build(ip6() / EXTENSIONS / tcp(), text(10))


@pytest.mark.parametrize("packet", [b"", b"\x00", b"\x3f", b"\x50" + bytes(39), b"\x70", b"\xff" * 60])
def test_p1_a_packet_begins_with_version_4_or_6(packet: bytes) -> None:
    assert broken_rule(PacketError, version_of, packet) == "P1"
    assert broken_rule(PacketError, parse_ip, packet) == "P1"


def test_p1_version_picks_the_view() -> None:
    assert (version_of(PACKET4), version_of(PACKET6)) == (4, 6)
    assert isinstance(parse_ip(PACKET4), IPv4)
    assert isinstance(parse_ip(PACKET6), IPv6)


@pytest.mark.parametrize(("packet", "length"), [(PACKET4, 20), (PACKET6, 40)])
def test_p2_the_fixed_header_is_all_there(packet: bytes, length: int) -> None:
    for short in range(1, length):
        assert broken_rule(PacketError, parse_ip, packet[:short]) == "P2"


def test_p2_the_fixed_header_alone_is_enough() -> None:
    assert parse_ip(PACKET4[:20]).header_length == 20
    assert parse_ip(patched(PACKET6, 6, b"\x3b")[:40]).header_length == 40


@pytest.mark.parametrize("words", range(5))
def test_p3_ihl_is_at_least_5(words: int) -> None:
    assert broken_rule(PacketError, parse_ip, bytes([0x40 | words]) + PACKET4[1:]) == "P3"


@pytest.mark.parametrize("words", range(6, 16))
def test_p3_options_are_all_there(words: int) -> None:
    packet = bytes([0x40 | words]) + PACKET4[1:20] + bytes(words * 4 - 20)
    assert parse_ip(packet).header_length == words * 4
    assert broken_rule(PacketError, parse_ip, packet[:-1]) == "P3"


def test_p4_extension_headers_are_all_there() -> None:
    end = header_lengths(STACKS["tcp6-extensions"])[0]
    for short in range(40, end):
        assert broken_rule(PacketError, parse_ip, EXTENDED[:short]) == "P4"
    assert parse_ip(EXTENDED[:end]).header_length == end


def test_p4_a_length_beyond_the_packet_is_refused() -> None:
    assert broken_rule(PacketError, parse_ip, patched(EXTENDED, 41, b"\xff")) == "P4"


def test_errors_name_rule_field_offset_and_value() -> None:
    with pytest.raises(PacketError) as caught:
        parse_ip(b"\x43" + PACKET4[1:])
    error = caught.value
    assert (error.rule, error.field, error.offset, error.found) == ("P3", "ipv4.ihl", 0, 3)
    assert all(part in str(error) for part in ("P3", "ipv4.ihl", error.because))


@pytest.mark.parametrize("name", STACKS)
def test_view_says_what_scapy_built(name: str) -> None:
    stack = STACKS[name]
    packet = build(stack, text(33))
    view, length = parse_ip(packet), header_lengths(stack)[0]
    assert view.header_length == length
    assert view.header == packet[:length]
    assert view.protocol == (6 if "tcp" in name else 17)
    assert view.stated_length == len(packet)
    assert view.version == packet[0] >> 4
    assert not view.is_fragment
    assert isinstance(view, IPv6) or view.has_options == (name == "tcp4-ip-options")
    assert view.addresses == (packet[12:20] if view.version == 4 else packet[8:40])


def test_stated_length_is_what_the_header_says() -> None:
    assert parse_ip(patched(PACKET4, 2, word(7))).stated_length == 7
    assert parse_ip(patched(PACKET6, 4, word(7))).stated_length == 47


@pytest.mark.parametrize(
    ("bits", "fragment"),
    [(0x0000, False), (0x4000, False), (0x8000, False), (0x2000, True), (0x0001, True), (0x1FFF, True), (0x6000, True)],
)
def test_ipv4_fragment_has_more_fragments_or_an_offset(bits: int, fragment: bool) -> None:
    assert parse_ip(patched(PACKET4, 6, word(bits))).is_fragment is fragment


@pytest.mark.parametrize(("number", "length"), [(44, 40), (51, 40), (59, 40), (6, 40), (17, 40), (58, 40)])
def test_walk_stops_at_anything_but_the_three_headers_it_knows(number: int, length: int) -> None:
    view = parse_ip(patched(PACKET6, 6, bytes([number])))
    assert (view.protocol, view.header_length, view.is_fragment) == (number, length, False)


def test_walk_ends_at_a_fragment_header_behind_others() -> None:
    packet = build(ip6() / EXTENSIONS / IPv6ExtHdrFragment() / tcp(), text(4))
    view = parse_ip(packet)
    assert (view.protocol, view.header_length, view.is_fragment) == (44, 80, False)


@pytest.mark.parametrize("length", [40, 41, 1500, 65535])
@pytest.mark.parametrize("stack", [ip4(), ip4(options=[IPOption_NOP()] * 12), ip4(flags="DF", ttl=1, tos=3)])
def test_ipv4_resized_has_new_length_identification_and_header_checksum(stack: IP, length: int) -> None:
    header = IPv4(build(stack / ICMP())).resized(max(length, 60), 2)
    expected = stack.copy()
    expected.len, expected.id, expected.proto = max(length, 60), 0x1236, 1
    assert header == build(expected / Raw(b""))
    assert judged(header + bytes(max(length, 60) - len(header)))[: len(header)] == header


def test_ipv4_resized_mends_a_wrong_header_checksum() -> None:
    wrong = patched(PACKET4, 10, b"\xde\xad")
    assert IPv4(wrong).resized(len(PACKET4), 0) == PACKET4[:20]


@pytest.mark.parametrize("name", [name for name in STACKS if "4" in name])
def test_ipv4_header_checksum_is_right_if_it_is_scapys(name: str) -> None:
    packet = build(STACKS[name])
    right = int.from_bytes(packet[10:12], "big")
    for value in (0, 0xFFFF, right ^ 1, ~right & 0xFFFF, right):
        assert IPv4(patched(packet, 10, word(value))).checksum_is_right == (value == right)


def test_ipv4_header_checksum_of_zero_is_written_0000_and_not_ffff() -> None:
    missing = int.from_bytes(build(ip4(id=0) / tcp())[10:12], "big")
    packet = build(ip4(id=missing) / tcp())
    assert packet[10:12] == b"\0\0"
    assert IPv4(packet).checksum_is_right
    assert not IPv4(patched(packet, 10, b"\xff\xff")).checksum_is_right


def test_ipv4_identification_wraps() -> None:
    view = IPv4(build(ip4(id=0xFFFE) / tcp()))
    assert view.identification == 0xFFFE
    assert [view.resized(40, index)[4:6].hex() for index in range(4)] == ["fffe", "ffff", "0000", "0001"]


def test_ipv4_identification_counts_whatever_df_says() -> None:
    assert IPv4(build(ip4(flags="DF") / tcp())).resized(40, 1)[4:6].hex() == "1235"


@pytest.mark.parametrize("packet", [PACKET6, EXTENDED])
def test_ipv6_resized_has_a_new_payload_length_and_nothing_else(packet: bytes) -> None:
    view = IPv6(packet)
    header = view.resized(1000, 5)
    assert header == patched(packet, 4, word(960))[: view.header_length]


def changes_that_are_copied(packet: bytes) -> set[int]:
    """Return the offsets of header bytes whose change shows in the header of a segment."""
    view = parse_ip(packet)
    changed = set()
    for offset in range(1, view.header_length):
        other = bytearray(packet)
        other[offset] ^= 1
        try:
            if parse_ip(other).resized(99, 0) != view.resized(99, 0):
                changed.add(offset)
        except PacketError:  # a length that now points beyond the packet
            changed.add(offset)
    return changed


def test_ipv4_segments_share_all_but_length_and_checksum() -> None:
    packet = build(STACKS["tcp4-ip-options"])
    assert changes_that_are_copied(packet) == set(range(1, 28)) - {2, 3, 10, 11}


def test_ipv6_segments_share_all_but_the_payload_length() -> None:
    assert changes_that_are_copied(EXTENDED) == set(range(1, 80)) - {4, 5}


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_views_take_every_kind_of_buffer_and_leave_it_unchanged(kind: type) -> None:
    for packet in (PACKET4, EXTENDED):
        buffer = kind(bytearray(packet))
        view = parse_ip(buffer)
        assert isinstance(view.header, bytes)
        assert view.resized(99, 1) == parse_ip(packet).resized(99, 1)
        assert bytes(buffer) == packet
