"""Differences are found and named: which packet, which field, which bytes."""

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import IPv6ExtHdrDestOpt

from tio import VnetHeader
from tunproof.corpus.cases import VnetFields
from tunproof.packets.builder import ip4, ip6, packet_bytes, payload
from tunproof.packets.difference import describe_packets, first_difference, hexdump
from tunproof.packets.fields import field_at, packet_fields
from tunproof.packets.picture import changes, drawn_cut, header_rows, packet_rows, vnet_summary

TCP4 = packet_bytes(ip4() / TCP(flags="A", options=[("NOP", None)] * 4) / payload(20))
UDP6 = packet_bytes(ip6() / IPv6ExtHdrDestOpt() / UDP() / payload(20))


def changed(packet: bytes, at: int) -> bytes:
    return packet[:at] + bytes((packet[at] ^ 1,)) + packet[at + 1 :]


@pytest.mark.parametrize(
    ("packet", "at", "name"),
    [
        (TCP4, 0, "ipv4.version, IHL"),
        (TCP4, 3, "ipv4.total_length"),
        (TCP4, 5, "ipv4.identification"),
        (TCP4, 11, "ipv4.checksum"),
        (TCP4, 19, "ipv4.destination"),
        (TCP4, 27, "tcp.sequence"),
        (TCP4, 33, "tcp.flags"),
        (TCP4, 36, "tcp.checksum"),
        (TCP4, 41, "tcp.options"),
        (TCP4, 44, "payload"),
        (UDP6, 5, "ipv6.payload_length"),
        (UDP6, 41, "ipv6.extension_headers"),
        (UDP6, 48 + 5, "udp.length"),
        (UDP6, 48 + 8, "payload"),
    ],
)
def test_the_first_difference_is_named_by_packet_field_and_values(packet: bytes, at: int, name: str) -> None:
    difference = first_difference([packet, packet], [packet, changed(packet, at)])
    assert difference is not None
    assert (difference.packet, difference.field) == (1, name)
    assert difference.expected != difference.got
    assert "expected" in difference.dump
    assert "got" in difference.dump


def test_equal_packets_have_no_difference() -> None:
    assert first_difference([TCP4, UDP6], [TCP4, UDP6]) is None


def test_a_missing_and_an_extra_packet_are_differences_in_number() -> None:
    missing = first_difference([TCP4, UDP6], [TCP4])
    extra = first_difference([TCP4], [TCP4, UDP6])
    assert missing is not None
    assert extra is not None
    assert (missing.field, missing.expected, missing.got) == ("number of packets", "2", "1")
    assert (extra.expected, extra.got) == ("1", "2")
    assert "missing" in str(missing)
    assert "extra" in str(extra)


def test_a_packet_that_is_cut_short_differs_at_its_end() -> None:
    difference = first_difference([TCP4], [TCP4[:-1]])
    assert difference is not None
    assert difference.got == f"end of packet (it has {len(TCP4) - 1} bytes)"


ICMP4 = packet_bytes(ip4() / ICMP() / payload(9))


@pytest.mark.parametrize("packet", [TCP4, UDP6, ICMP4, b"\x00\x01", b"E", TCP4[:30]])
def test_fields_cover_every_byte_once(packet: bytes) -> None:
    ends = 0
    for field in packet_fields(packet):
        assert field.start == ends
        ends = field.end
    assert ends == len(packet)
    assert all(field_at(packet, at).start <= at < field_at(packet, at).end for at in range(len(packet)))


def test_a_hexdump_marks_the_bytes_of_the_field() -> None:
    assert hexdump(b"\x01\x02\x03", start=16, mark=range(17, 18)) == "    16  01 [02] 03"


def test_packets_are_described_by_number_and_length() -> None:
    assert describe_packets([b"a"]) == "1 packet (1 bytes)"
    assert describe_packets([b"ab"] * 8) == "8 packets (2, 2, 2, 2, 2, 2, … bytes)"


def test_a_cut_is_drawn_with_a_bar_for_every_segment() -> None:
    segments = [packet_bytes(ip4() / TCP() / payload(size)) for size in (10, 10, 5)]
    drawing = drawn_cut(packet_bytes(ip4() / TCP() / payload(25)), segments, width=78)
    assert [line.split()[:2] for line in drawing.splitlines() if "segment " in line] == [
        ["segment", "0"],
        ["segment", "1"],
        ["segment", "2"],
    ]
    assert max(map(len, drawing.splitlines())) <= 78


def test_many_segments_are_drawn_in_part_and_counted() -> None:
    segments = [packet_bytes(ip4() / TCP() / payload(8))] * 100
    drawing = drawn_cut(packet_bytes(ip4() / TCP() / payload(800)), segments)
    assert "88 more" in drawing
    assert "segment 99" in drawing


def test_only_fields_that_change_are_listed() -> None:
    segments = [packet_bytes(ip4(id=index) / TCP(seq=index, flags="A", chksum=7)) for index in range(3)]
    assert [change.name for change in changes(segments)] == ["ipv4.identification", "ipv4.checksum", "tcp.sequence"]
    assert changes([]) == []


def test_a_vnet_header_is_summed_up_with_unknown_bits_kept() -> None:
    text = vnet_summary(VnetHeader(flags=0x81, gso_type=0x84, gso_size=8))
    assert "flags NEEDS_CSUM|0x80, type TCPV6|ECN\n" in text
    assert "hdr_len 0, gso_size 8, csum_start 0" in text


def test_all_fields_of_a_vnet_header_and_of_a_packet_are_listed_with_offsets() -> None:
    fields = VnetFields(flags=0, gso_type=0, hdr_len=0, gso_size=9, csum_start=0, csum_offset=0)
    assert ("gso_size", 4, "9") in [(row.name, row.start, row.value) for row in header_rows(fields)]
    assert ("tcp.flags", 33, "ACK") in packet_rows(TCP4)
