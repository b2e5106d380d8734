"""The IP layer of the model of Linux. Expected bytes come from a 6.18.44 kernel, from scapy, or from the RFCs."""

import struct

import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, defragment
from scapy.layers.inet6 import IPv6ExtHdrDestOpt
from scapy.packet import Packet, Raw

from common.support import ip4, ip6, tcp, udp
from tio.linux import NotModelled, Trait, Traits, Way, traits_of
from tio.linux.forward import Router
from tio.linux.skb import Skb
from tio.linux.transmit import Transmission
from tio.tuntap import Offload

LINUX = traits_of("6.18.44")
NO_OFFLOAD = bytes(10)


def vnet(gso_type: int = 0, gso_size: int = 0, start: int = 0, offset: int = 0) -> bytes:
    """Return a vnet header; with a `start` it has NEEDS_CSUM."""
    return struct.pack("=BBHHHH", bool(start), gso_type, 0, gso_size, start, offset)


def forward(
    packet: Packet | bytes, header: bytes = NO_OFFLOAD, *, mtu: int = 1500, traits: Traits = LINUX
) -> tuple[list[bytes], list[str]]:
    """Return what leaves a router with this MTU, and the rules that were met."""
    way, trail = Way(forwarded=True, mtu=mtu), []
    skb = Skb(header + raw(packet), len(header), 0x7F)
    skb.gso_size, skb.linear = skb.raw_gso_size, skb.hdr_len
    routed = Router(traits, way).route(skb, trail) or []
    return [packet for one in routed for packet in Transmission(traits, way).send(one, trail) or []], trail


def lost_by(packet: Packet | bytes, header: bytes = NO_OFFLOAD, *, mtu: int = 1500, traits: Traits = LINUX) -> str:
    """Return the rule that a packet was lost by."""
    packets, trail = forward(packet, header, mtu=mtu, traits=traits)
    assert packets == []
    return trail[-1]


def superpacket(ip: Packet, payload: int, gso_size: int, *, seq: int = 1) -> tuple[bytes, bytes]:
    """Return a TCP superpacket with a partial checksum, and its vnet header."""
    packet = bytearray(raw(ip / tcp(seq=seq) / Raw(bytes(payload))))
    end = len(packet) - payload - 20
    whole = len(packet) - end
    addresses = packet[12:20] if IP in ip else packet[8:40]
    total = sum(struct.unpack(f">{len(addresses) // 2}H", addresses)) + 6 + whole
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    packet[end + 16 : end + 18] = total.to_bytes(2, "big")
    return bytes(packet), vnet(1 if IP in ip else 4, gso_size, end, 16)


# What a router changes -----------------------------------------------------------------------------------------------

KERNEL = {
    "": "45000028123400003ffd54090a4d00010a4d0002",
    "070b04aabbccddeeff001100": "48000034123400003ffd31030a4d00010a4d0002070b0800000000eeff001100",
    "070b0caabbccddeeff001100": "48000034123400003ffd938b0a4d00010a4d0002070b0caabbccddeeff001100",
    "440c0d01aabbccddeeff0011": "48000034123400003ffd99350a4d00010a4d0002440c0d11aabbccddeeff0011",
    "440c0d03aabbccddeeff0011": "48000034123400003ffd99430a4d00010a4d0002440c0d03aabbccddeeff0011",
    "440c0502c000020100000000": "48000034123400003ffd45ed0a4d00010a4d0002440c0502c000020100000000",
    "94040001": "4600002c123400003ffdbeff0a4d00010a4d000294040001",
    "00aabbcc": "4600002c123400003ffd53050a4d00010a4d000200000000",
    "01010100": "4600002c123400003ffd51040a4d00010a4d000201010100",
}
"""Options, and the header that came out of Linux 6.18.44."""


@pytest.mark.parametrize("options", KERNEL)
def test_ipv4_header_leaves_as_it_left_the_kernel(options: str) -> None:
    assert forward(_built(options))[0] == [bytes.fromhex(KERNEL[options]) + b"x" * 20]


def _built(options: str) -> bytes:
    built = bytearray(raw(IP(src="10.77.0.1", dst="10.77.0.2", id=0x1234, proto=253, ttl=64) / Raw(b"x" * 20)))
    built[20:20] = bytes.fromhex(options)
    built[0] = 0x45 + len(options) // 8
    built[2:4] = len(built).to_bytes(2, "big")
    built[10:12] = b"\0\0"
    built[10:12] = header_checksum(built[: 20 + len(options) // 2])
    return bytes(built)


def header_checksum(header: bytes) -> bytes:
    """Return the IPv4 header checksum, added up word by word (RFC 1071)."""
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def test_ipv6_loses_one_hop_and_nothing_else() -> None:
    packet = raw(ip6(hlim=9) / udp() / Raw(b"abc"))
    assert forward(packet)[0] == [packet[:7] + b"\x08" + packet[8:]]


@pytest.mark.parametrize("checksum", [0xFEFF, 0xFEFE, 0x0000, 0xFF00])
def test_lower_ttl_leaves_a_right_header_checksum_at_the_ends_of_its_range(checksum: int) -> None:
    packet = bytearray(_built(""))
    packet[4:6] = b"\0\0"
    packet[10:12] = checksum.to_bytes(2, "big")
    packet[4:6] = header_checksum(packet[:20])
    leaving = forward(bytes(packet))[0][0]
    assert leaving[8] == 63
    assert leaving[10:12] == header_checksum(leaving[:10] + b"\0\0" + leaving[12:20])


def test_what_lies_behind_the_stated_length_is_gone() -> None:
    packet = raw(ip4() / udp() / Raw(b"abc"))
    assert [len(one) for one in forward(packet + b"padding")[0]] == [len(packet)]
    packet = raw(ip6() / udp() / Raw(b"abc"))
    assert [len(one) for one in forward(packet + b"padding")[0]] == [len(packet)]


def test_partial_checksum_survives_a_trim_right_behind_its_field() -> None:
    packet = raw(ip4() / udp(chksum=0, len=8))
    assert forward(packet + b"padding", vnet(start=20, offset=6))[0]
    assert lost_by(packet + b"padding", vnet(start=21, offset=6)) == "checksum_field_trimmed_off"


# What a router loses -------------------------------------------------------------------------------------------------


def tampered(packet: Packet, place: int, value: int) -> bytes:
    built = bytearray(raw(packet))
    built[place] = value
    return bytes(built)


NEVER_UNICAST = ("0.0.0.0", "224.0.0.1", "239.255.255.255", "255.255.255.255")  # noqa: S104 (nothing is bound)
IPV4 = ip4() / udp() / Raw(b"abcd")
IPV6 = ip6() / udp() / Raw(b"abcd")

LOST = {
    "ipv4_header_cut_off": [raw(IPV4)[:19], tampered(IPV4, 0, 0x44), raw(ip4(ihl=15) / Raw(b"abcd"))],
    "ipv4_header_checksum_wrong": [tampered(IPV4, 10, raw(IPV4)[10] ^ 1)],
    "total_length_beyond_the_packet": [raw(IPV4)[:-1]],
    "total_length_inside_the_header_but_not_zero": [raw(ip4(len=19) / udp()), raw(ip4(len=0) / udp())],
    "ipv4_source_martian": [ip4(src=src) / udp() for src in NEVER_UNICAST],
    "ipv4_destination_not_routed": [ip4(dst=dst) / udp() for dst in NEVER_UNICAST],
    "ttl_expired": [ip4(ttl=1) / udp(), ip4(ttl=0) / udp()],
    "over_the_mtu_with_df": [ip4(flags="DF") / udp() / Raw(bytes(1473))],
    "option_beyond_the_header": [_built("5e050000"), _built("01010144"), _built("02000000")],
    "source_route": [_built("8907040102030400"), _built("8307080102030400")],
    "record_route_malformed": [_built("070b0aaabbccddeeff001100"), _built("070703aabbccdd00")],
    "timestamp_malformed": [_built("440c0df1aabbccddeeff0011"), _built("44080400aabbccdd")],
    "router_alert_too_short": [_built("94030000")],
    "ipv6_header_cut_off": [raw(IPV6)[:39]],
    "ipv6_loopback": [ip6(src="::1") / udp(), ip6(dst="::1") / udp()],
    "ipv6_source_multicast": [ip6(src="ff02::1") / udp()],
    "payload_length_beyond_the_packet": [raw(IPV6)[:-1]],
    "ipv6_destination_on_a_link": [ip6(dst=dst) / udp() for dst in ("fe80::1", "febf::1", "ff02::1", "ff0e::1")],
    "ipv6_source_not_forwarded": [ip6(src=src) / udp() for src in ("::", "fe80::1")],
    "hop_limit_expired": [ip6(hlim=1) / udp(), ip6(hlim=0) / udp()],
    "over_the_mtu": [ip6() / udp() / Raw(bytes(1453))],
}


@pytest.mark.parametrize("rule", LOST)
def test_packet_is_lost_by_the_rule_that_says_so(rule: str) -> None:
    assert [lost_by(packet) for packet in LOST[rule]] == [rule] * len(LOST[rule])


@pytest.mark.parametrize("address", ["0.0.0.1", "10.255.255.255", "127.0.0.1", "240.0.0.1", "255.255.255.254"])
def test_unusual_unicast_ipv4_addresses_are_forwarded(address: str) -> None:
    assert forward(ip4(src=address) / udp())[0]
    assert forward(ip4(dst=address) / udp())[0]


@pytest.mark.parametrize("address", ["fec0::1", "::ffff:1.2.3.4", "::1.2.3.4", "fc00::"])
def test_unusual_unicast_ipv6_addresses_are_forwarded(address: str) -> None:
    assert forward(ip6(src=address) / udp())[0]
    assert forward(ip6(dst=address) / udp())[0]


def hop_by_hop(options: str, *, units: int | None = None) -> bytes:
    """Return a packet with these options, whose bytes must fill the header."""
    header = bytes.fromhex(options)
    header = bytes((59, (len(header) + 2) // 8 - 1 if units is None else units)) + header
    return raw(ip6(nh=0) / Raw(header + b"yyyy"))


HOP_OPTIONS = {
    "hop_padding_too_long": ["0000000000000000000000000000"],
    "hop_padding_not_zero": ["010400000001"],
    "hop_option_beyond_the_header": ["1e0500000000", "1e030000001e"],
    "hop_options_too_many": ["1e00" * 11],
    "hop_option_unknown": ["5e0400000000", "9e0400000000", "de0400000000"],
    "hop_router_alert_length": ["050300000000"],
    "hop_jumbo_refused": ["c20400010000", "0100c20400010000010200000000"],
}


@pytest.mark.parametrize("rule", HOP_OPTIONS)
def test_hop_by_hop_options_lose_the_packet(rule: str) -> None:
    assert [lost_by(hop_by_hop(options)) for options in HOP_OPTIONS[rule]] == [rule] * len(HOP_OPTIONS[rule])


@pytest.mark.parametrize(
    "options", ["010400000000", "000000000000", "050200000100", "1e0400000000", "1e00" * 7, "010031000100"]
)
def test_hop_by_hop_options_that_may_be_skipped_are_left_alone(options: str) -> None:
    packet = hop_by_hop(options)
    assert forward(packet)[0] == [packet[:7] + bytes((packet[7] - 1,)) + packet[8:]]


def test_hop_by_hop_header_must_be_there() -> None:
    assert lost_by(hop_by_hop("010400000000", units=3)) == "hop_header_cut_off"
    assert lost_by(raw(ip6(nh=0) / Raw(bytes(7)))) == "hop_header_cut_off"


def test_payload_length_zero_leaves_a_bare_header_but_not_before_hop_by_hop_options() -> None:
    assert [len(one) for one in forward(ip6(plen=0) / udp())[0]] == [40]
    packet = bytearray(hop_by_hop("010400000000"))
    packet[4:6] = b"\0\0"
    assert [len(one) for one in forward(bytes(packet))[0]] == [len(packet)]


def test_jumbo_payload_length_ends_the_packet() -> None:
    packet = raw(ip6(nh=0, plen=0) / Raw(bytes.fromhex("0600c20400010000")) / tcp() / Raw(bytes(70000)))
    header = vnet(4, 1400, 48, 16)
    assert sum(len(one) - 60 for one in forward(packet, header)[0]) == 65536 - 8 - 20, "the jumbo option itself is gone"
    assert lost_by(packet[: 40 + 65535], header) == "hop_jumbo_refused"


# The MTU -------------------------------------------------------------------------------------------------------------


def reassembled(packets: list[bytes]) -> list[Packet]:
    """Return the datagrams that scapy puts together."""
    return [IP(raw(one)) for one in defragment([IP(packet) for packet in packets])]


@pytest.mark.parametrize("mtu", [68, 576, 600, 1499])
def test_fragments_fit_the_mtu_and_are_the_packet_again(mtu: int) -> None:
    payload = bytes(range(256)) * 8
    fragments = forward(ip4(ttl=9) / udp() / Raw(payload), mtu=mtu)[0]
    assert len(fragments) > 1
    assert max(map(len, fragments)) <= mtu
    assert all(packet[10:12] == header_checksum(packet[:10] + b"\0\0" + packet[12:20]) for packet in fragments)
    [datagram] = reassembled(fragments)
    expected = IP(raw(ip4(ttl=8) / udp() / Raw(payload)))
    assert raw(datagram[UDP]) == raw(expected[UDP])
    assert (datagram.ttl, datagram.id) == (8, 0x1234)


def test_partial_checksum_is_completed_before_the_packet_is_fragmented() -> None:
    packet, _ = superpacket(ip4(), 1200, 0)
    [datagram] = reassembled(forward(packet, vnet(start=20, offset=16), mtu=600)[0])
    given = datagram[TCP].chksum
    del datagram[TCP].chksum
    assert IP(raw(datagram))[TCP].chksum == given


def test_segments_of_a_superpacket_without_df_are_fragmented_each() -> None:
    packet, header = superpacket(ip4(), 3000, 1400)
    fragments = forward(packet, header, mtu=600)[0]
    assert [len(one) for one in fragments] == [596, 596, 288, 596, 596, 288, 240]
    datagrams = reassembled(fragments)
    assert [one.id for one in datagrams] == [0x1234, 0x1235, 0x1236]
    assert b"".join(raw(one[TCP].payload) for one in datagrams) == bytes(3000)
    for datagram in datagrams:
        given = datagram[TCP].chksum
        del datagram[TCP].chksum
        assert IP(raw(datagram))[TCP].chksum == given


def test_superpacket_with_df_passes_when_its_segments_fit_exactly() -> None:
    assert [len(one) for one in forward(*superpacket(ip4(flags="DF"), 2000, 960), mtu=1000)[0]] == [1000, 1000, 120]
    assert lost_by(*superpacket(ip4(flags="DF"), 2000, 961), mtu=1000) == "over_the_mtu_with_df"


def test_extension_headers_but_hop_by_hop_are_not_counted_against_the_mtu() -> None:
    """The byte where TCP would say its length is the first of the sequence number: 1000 begins with a zero."""
    packet = ip6() / IPv6ExtHdrDestOpt()
    assert max(map(len, forward(*superpacket(packet, 3000, 1355), mtu=1400)[0])) == 1423
    assert max(map(len, forward(*superpacket(packet, 3000, 1360), mtu=1400)[0])) == 1428
    assert lost_by(*superpacket(packet, 3000, 1361), mtu=1400) == "over_the_mtu"


def test_ipv6_has_no_link_under_1280() -> None:
    assert lost_by(ip6() / udp(), mtu=1279) == "link_without_ipv6"
    assert forward(ip6() / udp(), mtu=1280)[0]


def test_options_are_copied_to_later_fragments_only_with_the_copied_bit() -> None:
    packet = bytearray(_built("5e04aabbde04ccdd") + bytes(1200))
    packet[2:4] = len(packet).to_bytes(2, "big")
    packet[10:12] = b"\0\0"
    packet[10:12] = header_checksum(packet[:28])
    options = [one[20:28].hex() for one in forward(bytes(packet), mtu=600)[0]]
    assert options == ["5e04aabbde04ccdd", "01010101de04ccdd", "01010101de04ccdd"]


def test_fragment_is_fragmented_further_from_its_own_offset() -> None:
    fragments = [IP(one) for one in forward(ip4(frag=100, flags="MF", proto=17) / Raw(bytes(1000)), mtu=600)[0]]
    assert [(int(one.flags), one.frag) for one in fragments] == [(1, 100), (1, 172)]
    fragments = [IP(one) for one in forward(ip4(frag=100, proto=17) / Raw(bytes(1000)), mtu=600)[0]]
    assert [(int(one.flags), one.frag) for one in fragments] == [(1, 100), (0, 172)]


def test_reserved_bit_is_lost_where_a_segment_passes_the_fragmenter() -> None:
    packet, header = superpacket(ip4(flags="evil"), 700, 600)
    assert [IP(one).flags.value for one in forward(packet, header, mtu=600)[0]] == [1, 0, 0]
    assert [IP(one).flags.value for one in forward(packet, header, mtu=700)[0]] == [4, 4]


# Traits --------------------------------------------------------------------------------------------------------------


def test_total_length_zero_means_all_of_a_tcp_superpacket_with_totlen0() -> None:
    packet, header = superpacket(ip4(len=0), 2000, 1400)
    assert [len(one) for one in forward(packet, header)[0]] == [1440, 640]
    assert lost_by(packet, header, traits=LINUX - {Trait.TOTLEN0}) == "total_length_inside_the_header"


def test_payload_length_zero_means_all_of_a_tcp_superpacket_with_paylen0() -> None:
    packet, header = superpacket(ip6(plen=0), 2000, 1400)
    assert [len(one) for one in forward(packet, header, traits=LINUX | {Trait.PAYLEN0})[0]] == [1460, 660]
    assert lost_by(packet, header) == "checksum_field_trimmed_off"


def test_a_last_segment_without_room_for_the_checksum_of_another_place_is_lost_on_its_way_to_the_fragmenter() -> None:
    packet, _ = superpacket(ip4(flags=0), 1464, 1461)
    header, unchecked = vnet(1, 1461, 26, 16), LINUX - {Trait.TSO_CSUM_CHECKED}
    way, trail = Way(forwarded=True, mtu=1500, reader=Offload.CSUM), []
    skb = Skb(header + packet, len(header), 0x7F)
    skb.gso_size = 1461
    routed = Router(unchecked, way).route(skb, trail)
    assert routed is not None
    assert [len(one.data) for one in routed] == [1500, 21]
    assert "checksum_field_behind_the_segment" in trail


def test_extensions_are_read_as_tcp_by_kernels_with_that_regression() -> None:
    broken = LINUX | {Trait.EXTENSIONS_READ_AS_TCP}
    for sequence, arrives in ((0, False), (4 << 28, False), (5 << 28, True)):
        packet, header = superpacket(ip6() / IPv6ExtHdrDestOpt(), 1200, 600, seq=sequence)
        assert len(forward(packet, header)[0]) == 2
        if arrives:
            assert forward(packet, header, traits=broken) == forward(packet, header)
        else:
            assert lost_by(packet, header, traits=broken) == "no_tcp_header_behind_ip"
    packet, header = superpacket(ip6(), 1200, 600)
    assert forward(packet, header, traits=broken) == forward(packet, header)


def test_csum_start_in_the_header_of_a_packet_to_be_fragmented_loses_it_with_frag_csum_start() -> None:
    packet = bytearray(_built("5e08aabb00000000") + bytes(1200))
    packet[2:4] = len(packet).to_bytes(2, "big")
    packet[10:12] = b"\0\0"
    packet[10:12] = header_checksum(packet[:28])
    header = vnet(start=20, offset=4)
    first = forward(bytes(packet), header, mtu=600)[0][0]
    assert first[20:24] + first[26:28] == bytes.fromhex("5e08aabb0000")
    assert first[24:26] == header_checksum(packet[20:])
    traits = LINUX | {Trait.FRAG_CSUM_START}
    assert lost_by(bytes(packet), header, mtu=600, traits=traits) == "csum_start_inside_what_is_repeated"
    assert forward(bytes(packet), header, traits=traits)[0], "a packet that fits is not fragmented"


# Where the model ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["440c0500c000020100000000", "440c0501c000020100000000", "8606000000010100"])
def test_options_that_depend_on_the_clock_or_the_build_are_not_modelled(options: str) -> None:
    with pytest.raises(NotModelled):
        forward(_built(options))


@pytest.mark.parametrize("options", ["310400000000", "070400000000"])
def test_hop_options_that_depend_on_the_build_are_not_modelled(options: str) -> None:
    with pytest.raises(NotModelled):
        forward(hop_by_hop(options))


def test_tcp_header_length_outside_the_linear_part_is_not_modelled() -> None:
    packet, _ = superpacket(ip4(frag=1, options=[IPOption_NOP()] * 20), 5000, 1400)
    header = struct.pack("=BBHHHH", 0, 1, 40, 1400, 0, 0)
    with pytest.raises(NotModelled):
        forward(packet, header)
    assert forward(packet, header[:2] + b"\x48\0" + header[4:])[0], "an hdr_len of 72 makes it linear"
