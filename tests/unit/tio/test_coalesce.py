"""Joining: C1 to C10, and always that segmenting the output gives the input back."""

import functools
import itertools
import random
from collections.abc import Callable, Sequence

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, PadN
from scapy.packet import Packet

from common.support import (
    EXTENSIONS,
    STACKS,
    TIMESTAMPS,
    build,
    cut,
    header_lengths,
    ip4,
    ip6,
    judged,
    patched,
    tcp,
    text,
    udp,
    word,
    zero_checksum_payload,
)
from tio.coalesce import coalesce
from tio.geometry import check_geometry
from tio.superpacket import Plain, Superpacket

TCP4, TCP6, UDP4, UDP6 = (STACKS[name] for name in ("tcp4", "tcp6", "udp4", "udp6"))
JOINABLE = [name for name in STACKS if name != "tcp4-ip-options"]
Batch = list[bytes]


def joined(packets: Sequence[bytes]) -> list[int]:
    """Coalesce, see that nothing was lost, changed or overtaken in its flow, and return how many each output holds."""
    outputs = coalesce(packets)
    restored = [[bytes(one.packet)] if isinstance(one, Plain) else one.packets() for one in outputs]
    flat = list(itertools.chain(*restored))
    assert sorted(flat) == sorted(packets)
    for key in {flow_of(packet) for packet in packets}:
        assert [one for one in flat if flow_of(one) == key] == [one for one in packets if flow_of(one) == key]
    for output in outputs:
        if isinstance(output, Superpacket):
            check_geometry(output.hdr, output.transport_hdr, output.pays)
            assert len(output.pays) > 1
    return [len(packets) for packets in restored]


@functools.cache
def flow_of(packet: bytes) -> object:
    """Return addresses, protocol and ports, as scapy reads them; the packet itself where there are none."""
    parsed = (IPv6 if packet[:1] >= b"\x60" else IP)(packet)
    for layer in (TCP, UDP):
        if layer in parsed:
            return parsed.src, parsed.dst, layer, parsed[layer].sport, parsed[layer].dport
    return packet


def train(stack: Packet, *sizes: int) -> Batch:
    """Return packets with payloads of these sizes, each continuing the one before."""
    packets, start = [], 0
    for index, size in enumerate(sizes):
        part = stack.copy()
        if IP in part:
            part[IP].id = (part[IP].id + index) & 0xFFFF
        if TCP in part:
            part[TCP].seq = (part[TCP].seq + start) & 0xFFFFFFFF
        packets.append(build(part, text(start + size)[start:]))
        start += size
    return packets


def mended(packet: bytes, offset: int, value: bytes) -> bytes:
    """Return the packet with some bytes changed, and all checksums right again."""
    return judged(patched(packet, offset, value))


# What is joined.


@pytest.mark.parametrize("sizes", [(10, 10), (10, 10, 10), (10, 10, 9), (10, 1), (8, 8), (9,) * 20 + (7,)])
@pytest.mark.parametrize("name", JOINABLE)
def test_a_train_becomes_one_superpacket(name: str, sizes: tuple[int, ...]) -> None:
    assert joined(train(STACKS[name], *sizes)) == [len(sizes)]


@pytest.mark.parametrize("name", JOINABLE)
def test_output_is_finalized_headers_and_the_payloads(name: str) -> None:
    packets = train(STACKS[name], 10, 10, 3)
    (output,) = coalesce(packets)
    assert isinstance(output, Superpacket)
    assert [bytes(pay) for pay in output.pays] == [text(10), text(20)[10:], text(23)[20:]]
    assert output.packets() == packets == cut(STACKS[name], text(23), 10)


def test_payloads_and_plain_packets_are_borrowed_and_not_copied() -> None:
    buffers = [bytearray(packet) for packet in (*train(TCP4, 10, 10), build(ip4() / ICMP()))]
    superpacket, plain = coalesce(buffers)
    assert isinstance(superpacket, Superpacket)
    assert isinstance(plain, Plain)
    assert plain.packet is buffers[2]
    buffers[1][40:50] = b"x" * 10
    assert bytes(superpacket.pays[1]) == b"x" * 10


def test_packets_are_not_changed() -> None:
    buffers = [bytearray(packet) for packet in train(TCP4, 10, 10, 10)]
    before = [bytes(buffer) for buffer in buffers]
    coalesce(buffers)
    assert [bytes(buffer) for buffer in buffers] == before


@pytest.mark.parametrize("packet", [train(TCP4, 10)[0], b"", b"\x45", b"\xff" * 30, build(ip4() / ICMP(), b"ping")])
def test_a_single_packet_stays_as_it_is(packet: bytes) -> None:
    assert coalesce([packet]) == [Plain(packet)]


def test_nothing_becomes_nothing_and_any_iterable_is_taken() -> None:
    assert coalesce([]) == []
    assert len(coalesce(iter(train(TCP4, 10, 10)))) == 1


def test_flows_are_joined_apart_and_stand_in_the_order_of_their_first_packets() -> None:
    flows = [
        ip4() / tcp(),
        ip4() / tcp(sport=444),
        ip4(src="192.0.2.9") / tcp(),
        ip4() / udp(),
        ip6() / tcp(),
        ip6() / udp(dport=1),
    ]
    mixed = [packet for packets in zip(*(train(flow, 10, 10, 10) for flow in flows), strict=True) for packet in packets]
    assert joined(mixed) == [3] * 6
    outputs = coalesce(mixed)
    assert [one.packets()[0] for one in outputs if isinstance(one, Superpacket)] == mixed[:6]


def test_the_two_directions_of_a_connection_are_two_flows() -> None:
    forth = train(TCP4, 10, 10)
    back = train(ip4(src="198.51.100.2", dst="192.0.2.1") / tcp(sport=40000, dport=443), 10, 10)
    assert joined([forth[0], back[0], forth[1], back[1]]) == [2, 2]


@pytest.mark.parametrize("flags", [0x18, 0x11, 0x19])
def test_fin_and_psh_complete_a_superpacket_and_come_back_on_its_last_segment(flags: int) -> None:
    packets = train(TCP4, 10, 10, 10, 10)
    packets[1] = mended(packets[1], 33, bytes([flags]))
    assert joined(packets) == [2, 2]


def test_a_shorter_payload_completes_a_superpacket() -> None:
    assert joined(train(TCP6, 10, 9, 9, 9)) == [2, 2]
    assert joined(train(UDP4, 10, 9, 10)) == [2, 1]


def test_cwr_stays_on_the_first() -> None:
    packets = train(TCP4, 10, 10, 10)
    packets[0] = mended(packets[0], 33, b"\x90")
    assert joined(packets) == [3]


def test_identification_and_sequence_number_wrap() -> None:
    assert joined(train(ip4(id=0xFFFF) / tcp(seq=0xFFFFFFFB), 10, 10, 10)) == [3]


@pytest.mark.parametrize("checksum", [0x0000, 0xFFFF])
def test_both_zeros_of_a_tcp_checksum_are_right(checksum: int) -> None:
    first, second = train(TCP4, 20, 20)
    first = build(TCP4, zero_checksum_payload(TCP4, text(20)))
    assert first[36:38] == b"\0\0"
    outputs = coalesce([patched(first, 36, word(checksum)), second])
    assert len(outputs) == 1
    assert isinstance(outputs[0], Superpacket)
    assert outputs[0].packets() == [first, second]


def test_a_udp_checksum_of_ffff_comes_back() -> None:
    first = build(UDP4, zero_checksum_payload(UDP4, text(20)))
    assert first[26:28] == b"\xff\xff"
    assert joined([first, train(UDP4, 20, 20)[1]]) == [2]


def with_udp_length(packet: bytes, length: int) -> bytes:
    """Return the IPv4 packet with another UDP length, and the checksum that belongs to the bytes as they are."""
    parsed = IP(packet)
    parsed[UDP].len = length
    del parsed[UDP].chksum
    return bytes(parsed)


# What is not: each pair would be joined except for one fault, in its first or in its second packet.

STRANGERS: dict[str, tuple[Packet, Callable[[bytes], bytes]]] = {
    "C1 bytes behind the packet": (TCP4, lambda packet: packet + b"\0"),
    "C1 bytes behind an IPv6 packet": (TCP6, lambda packet: packet + b"\0"),
    "C1 packet cut off": (TCP4, lambda packet: packet[:-1]),
    "C1 IPv6 length one less": (TCP6, lambda packet: patched(packet, 4, word(29))),
    "C1 IPv6 length one more": (UDP6, lambda packet: patched(packet, 4, word(19))),
    "C1 UDP length one less, checksum right": (UDP4, lambda packet: with_udp_length(packet, 17)),
    "C1 UDP length one less": (UDP4, lambda packet: patched(packet, 24, word(17))),
    "C1 UDP length 0": (UDP6, lambda packet: patched(packet, 44, word(0))),
    "C1 half a TCP header": (TCP4, lambda packet: patched(packet, 2, word(39))[:39]),
    "C1 data offset beyond": (TCP6, lambda packet: patched(packet, 52, b"\xf0")),
    "C2 IPv4 options": (STACKS["tcp4-ip-options"], lambda packet: packet),
    "C2 more fragments": (TCP4, lambda packet: mended(packet, 6, word(0x2000))),
    "C2 more fragments of UDP": (UDP4, lambda packet: mended(packet, 6, word(0x2000))),
    "C2 ICMP": (ip4() / ICMP(), lambda packet: packet),
    "C2 IPv6 fragment": (ip6() / IPv6ExtHdrFragment() / tcp(), lambda packet: packet),
    "C3 IPv4 header checksum": (TCP4, lambda packet: patched(packet, 10, word(0x1111))),
    "C3 TCP checksum": (TCP4, lambda packet: patched(packet, 36, word(0x1111))),
    "C3 TCP checksum over IPv6": (TCP6, lambda packet: patched(packet, 56, word(0x1111))),
    "C3 one bit of the payload": (UDP6, lambda packet: packet[:-1] + bytes([packet[-1] ^ 1])),
    "C3 UDP without checksum": (UDP4, lambda packet: patched(packet, 26, word(0))),
    "C3 UDP without checksum over IPv6": (UDP6, lambda packet: patched(packet, 46, word(0))),
    "C5 SYN": (TCP4, lambda packet: mended(packet, 33, b"\x12")),
    "C5 RST": (TCP6, lambda packet: mended(packet, 53, b"\x14")),
    "C5 URG": (TCP4, lambda packet: mended(packet, 33, b"\x30")),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_packet_that_cannot_be_joined_stays_as_it_is(name: str) -> None:
    stack, change = STRANGERS[name]
    packets = train(stack, 10, 10, 10)
    assert joined([change(packets[0]), packets[1]]) == [1, 1]
    assert joined([packets[0], change(packets[1])]) == [1, 1]
    assert joined([change(packet) for packet in packets]) == [1, 1, 1]


def test_c2_ipv4_options_are_not_even_joined_when_all_agree() -> None:
    assert joined(train(STACKS["tcp4-ip-options"], 10, 10)) == [1, 1]


@pytest.mark.parametrize("name", ["tcp6-extensions", "udp6-extensions"])
def test_c2_extension_headers_are_joined(name: str) -> None:
    assert joined(train(STACKS[name], 10, 10)) == [2]


def test_c3_udp_without_checksum_is_not_joined_even_if_its_checksum_would_be_zero() -> None:
    first, second = build(UDP4, zero_checksum_payload(UDP4, text(20))), train(UDP4, 20, 20)[1]
    assert joined([first, second]) == [2]
    assert joined([patched(first, 26, b"\0\0"), second]) == [1, 1]


def test_c4_a_packet_without_payload_is_not_joined_and_closes_its_flow() -> None:
    data = train(TCP4, 10, 10, 10, 10)
    assert joined([data[0], data[1], train(TCP4, 10, 10, 0)[2], data[2], data[3]]) == [2, 1, 2]
    assert joined(train(UDP4, 0, 0)) == [1, 1]


def test_c4_a_first_payload_under_8_bytes_is_not_joined() -> None:
    assert joined(train(TCP4, 7, 7, 7)) == [1, 1, 1]
    assert joined(train(TCP4, 8, 8, 7)) == [3]


# C6: field, and the two values that it has.
DIFFERENCES: dict[str, tuple[Packet, Packet]] = {
    "DSCP": (ip4() / tcp(), ip4(tos=4) / tcp()),
    "ECN": (ip4(tos=2) / tcp(), ip4(tos=3) / tcp()),
    "TTL": (ip4() / tcp(), ip4(ttl=63) / tcp()),
    "DF": (ip4() / tcp(), ip4(flags="DF") / tcp()),
    "reserved bit": (ip4() / udp(), ip4(flags="evil") / udp()),
    "traffic class": (ip6() / tcp(), ip6(tc=6) / tcp()),
    "flow label": (ip6() / udp(), ip6(fl=1) / udp()),
    "hop limit": (ip6() / udp(), ip6(hlim=9) / udp()),
    "extension headers": (ip6() / IPv6ExtHdrDestOpt() / tcp(), ip6() / tcp()),
    "bytes of an extension header": (
        ip6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")]) / tcp(),
        ip6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\1\0\0\0")]) / tcp(),
    ),
    "length of the extension headers": (ip6() / EXTENSIONS / udp(), ip6() / IPv6ExtHdrDestOpt() / udp()),
    "acknowledgment": (ip4() / tcp(), ip4() / tcp(ack=78)),
    "window": (ip4() / tcp(), ip4() / tcp(window=513)),
    "urgent pointer": (ip4() / tcp(), ip4() / tcp(urgptr=1)),
    "ECE": (ip4() / tcp(), ip4() / tcp(flags="EA")),
    "ACK": (ip4() / tcp(), ip4() / tcp(flags="")),
    "reserved bits of TCP": (ip6() / tcp(), ip6() / tcp(reserved=1)),
    "timestamps": (ip4() / tcp(options=TIMESTAMPS), ip4() / tcp(options=[*TIMESTAMPS[:2], ("Timestamp", (8, 9))])),
    "presence of options": (ip4() / tcp(), ip4() / tcp(options=TIMESTAMPS)),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_c6_a_difference_in_what_cutting_copies_keeps_packets_apart(name: str) -> None:
    for one, other in (DIFFERENCES[name], DIFFERENCES[name][::-1]):
        assert joined([*train(one, 10, 10), *train(other, 10, 10, 10)[2:]]) == [2, 1]


@pytest.mark.parametrize(("first", "second"), [(7, 7), (7, 9), (7, 6), (0, 0), (0xFFFF, 1)])
def test_c7_another_identification_keeps_packets_apart(first: int, second: int) -> None:
    for flags in ("DF", 0):
        one, other = train(UDP4, 10, 10)
        for transport in (udp(), tcp()):
            one = train(ip4(id=first, flags=flags) / transport, 10)[0]
            other = train(ip4(id=second - 1, flags=flags) / transport, 10, 10)[1]
            assert joined([one, other]) == [1, 1]


@pytest.mark.parametrize("gap", [1, -1, 10, -10, 1 << 31])
def test_c8_another_sequence_number_keeps_packets_apart(gap: int) -> None:
    one, other = train(TCP6, 10, 10)
    moved = (int.from_bytes(other[44:48], "big") + gap) & 0xFFFFFFFF
    assert joined([one, mended(other, 44, moved.to_bytes(4, "big"))]) == [1, 1]


def test_c8_cwr_begins_another_superpacket() -> None:
    packets = train(TCP4, 10, 10, 10, 10)
    packets[2] = mended(packets[2], 33, b"\x90")
    assert joined(packets) == [2, 2]


def test_c9_a_longer_payload_begins_another_superpacket() -> None:
    assert joined(train(TCP4, 10, 10, 11, 11)) == [2, 2]
    assert joined(train(UDP6, 10, 11)) == [1, 1]


@pytest.mark.parametrize("name", ["tcp4", "tcp6-extensions", "udp6"])
def test_c10_the_whole_stays_within_65535_bytes(name: str) -> None:
    room = 65535 - sum(header_lengths(STACKS[name]))
    size = room // 2
    assert joined(train(STACKS[name], size, room - size - room % 2)) == [2]
    assert joined(train(STACKS[name], size + 1, room - size - 1)) == [2]
    assert joined(train(STACKS[name], size + 1, room - size)) == [1, 1]


def test_c10_tcp_stays_within_1021_fragments() -> None:
    batch = cut(TCP4, text(8 * 1022), 8)
    assert [len(one.pays) if isinstance(one, Superpacket) else 1 for one in coalesce(batch)] == [1021, 1]


def test_c10_udp_stays_within_128_fragments() -> None:
    assert joined(train(UDP4, *[8] * 129)) == [128, 1]


# No packet overtakes another.


def test_an_unreadable_packet_closes_every_flow_between_its_addresses() -> None:
    data = train(TCP4, 10, 10)
    for stranger in (
        patched(build(ip4() / udp(), text(9)), 6, word(0x2001)),  # a fragment
        build(ip4() / ICMP(), b"ping"),
        build(ip4() / tcp())[:30],  # a truncated header
        bytes([0x4F]) + build(ip4() / tcp())[1:],  # missing options
    ):
        assert [type(one) for one in coalesce([data[0], stranger, data[1]])] == [Plain] * 3
    elsewhere = build(ip4(dst="198.51.100.3") / ICMP(), b"ping")
    assert joined([data[0], elsewhere, data[1]]) == [2, 1]


def test_an_unreadable_packet_without_addresses_closes_nothing() -> None:
    data = train(TCP4, 10, 10)
    assert [type(one) for one in coalesce([data[0], b"\x45", b"", b"\xff" * 60, data[1]])] == [Superpacket] + [
        Plain
    ] * 3


def test_an_ipv6_packet_with_damaged_extensions_closes_its_address_pair() -> None:
    data = train(TCP6, 10, 10)
    damaged = build(ip6() / EXTENSIONS / tcp())[:60]
    assert [type(one) for one in coalesce([data[0], damaged, data[1]])] == [Plain] * 3


def test_a_packet_that_cannot_continue_its_flow_completes_it() -> None:
    one, two, three, four = train(TCP4, 10, 10, 10, 10)
    assert joined([one, three, two, four]) == [1, 1, 1, 1]
    assert joined([one, two, one, two]) == [2, 2]


def test_random_batches_are_transparent() -> None:
    rng = random.Random(1071)
    stacks = [stack for name, stack in STACKS.items() if name != "tcp4-df"]
    trains = [train(stack, *(rng.choice((8, 10, 10, 10, 7)) for _ in range(6))) for stack in stacks]
    for _ in range(300):
        cursors = [list(packets) for packets in trains]
        batch = []
        for _ in range(rng.randrange(12)):
            packets = rng.choice(cursors)
            if packets and rng.random() < 0.9:
                batch.append(packets.pop(0 if rng.random() < 0.8 else -1))
        joined(batch)
