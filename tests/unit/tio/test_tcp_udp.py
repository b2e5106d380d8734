"""TCP and UDP headers against scapy's: P5, P6, and how segmentation changes them."""

import pytest
from scapy.compat import raw
from scapy.layers.inet import ICMP, TCP
from scapy.packet import Packet

from common.support import (
    STACKS,
    TIMESTAMPS,
    broken_rule,
    build,
    header_lengths,
    ip4,
    ip6,
    partial_sum,
    patched,
    tcp,
    text,
)
from tio.errors import PacketError
from tio.ip import parse_ip
from tio.tcp import Tcp, TcpFlag
from tio.transport import Layers, parse_layers
from tio.udp import Udp

SEGMENT = raw(tcp(flags=0xFF, seq=0xFFFFFFF0, urgptr=3, options=TIMESTAMPS)) + text(9)
DATAGRAM = bytes.fromhex("01bb 9c40 000b dead") + b"abc"


def test_p5_the_fixed_header_is_all_there() -> None:
    for short in range(20):
        assert broken_rule(PacketError, Tcp, SEGMENT[:short], 20) == "P5"


@pytest.mark.parametrize("words", range(5))
def test_p5_data_offset_is_at_least_5(words: int) -> None:
    assert broken_rule(PacketError, Tcp, patched(SEGMENT, 12, bytes([words << 4])), 20) == "P5"


@pytest.mark.parametrize("words", range(5, 16))
def test_p5_options_are_all_there(words: int) -> None:
    segment = patched(bytes(words * 4), 12, bytes([words << 4 | 0xF]))
    assert Tcp(segment, 20).header_length == words * 4
    assert broken_rule(PacketError, Tcp, segment[:-1], 20) == "P5"


def test_p6_the_8_bytes_are_there() -> None:
    for short in range(8):
        assert broken_rule(PacketError, Udp, DATAGRAM[:short], 20) == "P6"
    assert Udp(DATAGRAM[:8], 20).stated_length == 11


def test_errors_count_from_the_packet() -> None:
    with pytest.raises(PacketError) as caught:
        Tcp(patched(SEGMENT, 12, b"\x40"), 60)
    assert (caught.value.field, caught.value.offset, caught.value.found) == ("tcp.data_offset", 72, 4)


def test_tcp_view_says_what_scapy_built() -> None:
    view = Tcp(SEGMENT, 20)
    assert (view.ports, view.sequence, view.flags) == (SEGMENT[:4], 0xFFFFFFF0, 0xFF)
    assert view.checksum == int.from_bytes(SEGMENT[16:18], "big")
    assert view.stated_length is None


def test_udp_view_says_what_stands_there() -> None:
    view = Udp(DATAGRAM, 20)
    assert (view.ports, view.checksum, view.stated_length) == (DATAGRAM[:4], 0xDEAD, 11)


@pytest.mark.parametrize(
    ("start", "last", "flags"),
    [
        (0, True, 0xFF),
        (0, False, 0xFF & ~(TcpFlag.FIN | TcpFlag.PSH)),
        (100, True, 0xFF & ~TcpFlag.CWR),
        (100, False, 0xFF & ~(TcpFlag.FIN | TcpFlag.PSH | TcpFlag.CWR)),
    ],
)
def test_cwr_stays_on_the_first_segment_fin_and_psh_on_the_last(start: int, last: bool, flags: int) -> None:
    header = Tcp(SEGMENT, 20).for_segment(start, 999, last=last)
    assert header[13] == flags
    expected = TCP(SEGMENT[:32])
    expected.seq, expected.flags = (0xFFFFFFF0 + start) & 0xFFFFFFFF, flags
    assert header == raw(expected)


def test_sequence_number_wraps() -> None:
    assert Tcp(SEGMENT, 20).for_segment(0x10, 99, last=True)[4:8] == bytes(4)


def test_udp_segment_has_its_own_length_and_nothing_else_changed() -> None:
    for last in (False, True):
        assert Udp(DATAGRAM, 20).for_segment(8, 0x0102, last=last) == patched(DATAGRAM[:8], 4, b"\x01\x02")


def test_header_of_a_segment_is_fresh() -> None:
    for view, data in ((Tcp(SEGMENT, 20), SEGMENT), (Udp(DATAGRAM, 20), DATAGRAM)):
        before = bytes(data)
        view.for_segment(0, 20, last=True)[:] = b""
        assert data == before


def middle(segment: bytes | bytearray) -> bytearray:
    """Return the header of a segment that is neither the first nor the last."""
    return Tcp(segment, 20).for_segment(10, 42, last=False)


def test_a_middle_tcp_segment_has_all_bits_but_cwr_fin_and_psh() -> None:
    changed = set()
    for bit in range(32 * 8):
        other = bytearray(SEGMENT[:32])
        other[bit // 8] ^= 0x80 >> bit % 8
        if 12 * 8 <= bit < 12 * 8 + 4:
            continue  # the data offset
        if middle(other) != middle(SEGMENT):
            changed.add(bit)
    cleared = {13 * 8, 13 * 8 + 4, 13 * 8 + 7}
    assert changed == set(range(32 * 8)) - cleared - set(range(12 * 8, 12 * 8 + 4))


def test_udp_segments_have_ports_and_checksum() -> None:
    assert Udp(DATAGRAM, 20).for_segment(10, 99, last=False) == DATAGRAM[:4] + b"\0\x63" + DATAGRAM[6:8]


def layers_of(packet: bytes) -> Layers:
    return parse_layers(parse_ip(packet), packet)


@pytest.mark.parametrize("name", STACKS)
def test_layers_stand_where_scapy_put_them(name: str) -> None:
    stack = STACKS[name]
    layers = layers_of(build(stack, text(5)))
    ip, transport = header_lengths(stack)
    assert (layers.transport_offset, layers.payload_offset) == (ip, ip + transport)
    assert layers.partial(1234) == partial_sum(stack, 1234)
    assert isinstance(layers.transport, Tcp if "tcp" in name else Udp)


@pytest.mark.parametrize("ip", [ip4(), ip6()])
def test_r9_no_transport_is_found_behind_another_protocol(ip: Packet) -> None:
    packet = build(ip / ICMP())
    assert broken_rule(PacketError, layers_of, packet) == "R9"
    assert broken_rule(PacketError, parse_layers, parse_ip(packet), packet) == "R9"


@pytest.mark.parametrize(("name", "rule"), [("tcp4", "P5"), ("tcp6-extensions", "P5"), ("udp4", "P6"), ("udp6", "P6")])
def test_layers_need_a_whole_transport_header(name: str, rule: str) -> None:
    packet = build(STACKS[name])
    assert broken_rule(PacketError, layers_of, packet[:-1]) == rule
