"""Flow dissection: scapy says what is where, kernels 7.2.13 and 7.3.4 said where it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.l2 import GRE, GRE_PPTP, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import HDLC, PPP
from scapy.packet import Packet, raw

from tio.linux import NotModelled
from tio.linux.dissect import Flow, dissect, dissect_ipv6

_EXTENSIONS = (IPv6ExtHdrDestOpt, IPv6ExtHdrRouting, IPv6ExtHdrHopByHop)


def _in_ip(packet: Packet, version: int, options: int, extensions: list[type[Packet]]) -> Packet:
    if version == 4:
        return IP(options=b"\x01" * (4 * options)) / packet
    outer = IPv6()
    for extension in extensions:
        outer /= extension()
    return outer / packet


_ip_headers = st.tuples(st.sampled_from((4, 6)), st.integers(0, 10), st.lists(st.sampled_from(_EXTENSIONS), max_size=2))
_ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
_bits = st.integers(0, 1)
_gre_headers = st.one_of(
    st.none(),
    st.builds(GRE, chksum_present=_bits, key_present=_bits, seqnum_present=_bits),
    st.sampled_from((GRE() / _ETHERNET, GRE() / _ETHERNET / Dot1Q(), GRE(proto=0x88A8) / Dot1AD() / Dot1Q())),
    st.builds(GRE_PPTP, seqnum_present=_bits, acknum_present=_bits).map(lambda header: header / HDLC() / PPP()),
)


@given(
    innermost=_ip_headers,
    outer=st.lists(st.tuples(_ip_headers, _gre_headers), max_size=3),
    transport=st.sampled_from((TCP, UDP)),
)
def test_what_is_tunnelled_in_ip_and_gre_is_found_where_scapy_put_it(
    innermost: tuple[int, int, list[type[Packet]]],
    outer: list[tuple[tuple[int, int, list[type[Packet]]], Packet | None]],
    transport: type[Packet],
) -> None:
    packet = _in_ip(transport() / b"payload", *innermost)
    for header, gre in outer:
        packet = _in_ip(packet if gre is None else gre.copy() / packet, *header)
    data = raw(packet)
    offset = len(data) - len(raw(transport() / b"payload"))
    assert dissect(data) == Flow(innermost[0], 6 if transport is TCP else 17, offset)


@pytest.mark.parametrize(("headers", "found"), [(15, 6), (16, 6), (17, 60)])
def test_fifteen_headers_are_looked_at_behind_the_first(headers: int, found: int) -> None:
    data = raw(_in_ip(TCP(), 6, 0, [IPv6ExtHdrDestOpt] * headers))
    assert dissect(data) == Flow(6, found, 40 + 8 * min(headers, 16))


@pytest.mark.parametrize(("headers", "found"), [(15, 6), (16, 4)])
def test_so_are_fifteen_ip_headers(headers: int, found: int) -> None:
    packet = IP() / TCP()
    for _ in range(headers):
        packet = IP() / packet
    flow = dissect(raw(packet))
    assert flow is not None
    assert flow.protocol == found


@pytest.mark.parametrize(
    ("packet", "flow"),
    [
        (IP(flags="MF") / IP() / TCP(), Flow(4, 4, 20)),
        (IP(frag=1, proto=4) / IP() / TCP(), Flow(4, 4, 20)),
        (IPv6() / IPv6ExtHdrFragment() / IP() / TCP(), Flow(6, 4, 48)),
        (IP() / GRE(routing_present=1) / IP() / TCP(), Flow(4, 47, 20)),
        (IP() / GRE(version=2) / IP() / TCP(), Flow(4, 47, 20)),
        (IP() / GRE(version=1) / IP() / TCP(), Flow(4, 47, 20)),
        (IP(proto=60) / IPv6ExtHdrDestOpt() / TCP(), Flow(4, 60, 20)),
        (IP() / GRE(proto=0x8847) / b"label", Flow(4, 47, 24)),
        (IP() / GRE(proto=0x1234) / IP() / TCP(), None),
        (IP() / GRE_PPTP() / HDLC() / PPP(proto=1) / IP() / TCP(), None),
        (IP(proto=4) / IPv6() / TCP(), None),
    ],
)
def test_where_it_ends(packet: Packet, flow: Flow | None) -> None:
    assert dissect(raw(packet)) == flow


@given(layers=st.lists(st.sampled_from((IP, GRE, IPv6)), min_size=1, max_size=3))
def test_a_header_that_is_cut_off_says_nothing(layers: list[type[Packet]]) -> None:
    packet: Packet = IPv6() / TCP()
    for layer in layers:
        packet = IP() / GRE(key_present=1) / packet if layer is GRE else layer() / packet
    data = raw(packet)
    for length in range(len(data) - 20):
        assert dissect(data[:length]) is None
    assert dissect(data[:-20]) == Flow(6, 6, len(data) - 20)


def test_a_packet_of_no_ip_version_can_be_taken_for_ipv6() -> None:
    data = raw(IPv6() / UDP())
    assert dissect(b"\x40" + data[1:]) is None
    assert dissect(b"\x50" + data[1:]) is None
    assert dissect(b"") is None
    assert dissect_ipv6(b"\x40" + data[1:]) == Flow(6, 17, 40)


def test_what_changes_with_releases_has_no_answer() -> None:
    with pytest.raises(NotModelled, match="GRE"):
        dissect(raw(IP() / GRE(proto=0x8864) / b"PPPoE"))
