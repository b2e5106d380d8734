"""V1 to V14: one fault each, in otherwise correct frames; and what the reference writes is correct."""

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP
from scapy.packet import Packet

from common.support import STACKS, Vnet, Wire, build, ip4, ip6, patched, pieces, superframe, tcp, text, vnet_for, word
from tio.superpacket import Superpacket
from tio.vnet_rules import SHOULD, violations

TCP4, TCP6, UDP4, UDP6 = (STACKS[name] for name in ("tcp4", "tcp6", "udp4", "udp6"))
PLAIN = build(TCP4, text(25))
BARE = bytes(10)

FAULTS: dict[str, tuple[list[str], Callable[[], bytes]]] = {
    "V1 no header": (["V1"], lambda: b""),
    "V1 half a header": (["V1"], lambda: bytes(9)),
    "V1 no packet": (["V1"], lambda: BARE),
    "V1 version 5": (["V1"], lambda: BARE + b"\x55" * 40),
    "V1 half an IPv6 header": (["V1"], lambda: BARE + build(TCP6)[:39]),
    "V2 gso_size of a plain packet": (["V2"], lambda: Vnet(gso_size=10).pack() + PLAIN),
    "V2 gso_size beside NEEDS_CSUM": (["V2"], lambda: superframe(TCP4, text(25), 10, gso_type=0, hdr_len=0)),
    "V3 TCPV6 on IPv4": (["V3"], lambda: superframe(TCP4, text(25), 10, gso_type=4)),
    "V3 TCPV4 on IPv6": (["V3"], lambda: superframe(TCP6, text(25), 10, gso_type=1)),
    "V3 UDP_L4 on TCP": (["V3"], lambda: superframe(TCP4, text(25), 10, gso_type=5)),
    "V3 TCPV4 on UDP": (["V3"], lambda: superframe(UDP4, text(25), 10, gso_type=1)),
    "V3 UFO": (["V3"], lambda: superframe(UDP4, text(25), 10, gso_type=3)),
    "V3 ECN alone": (["V3"], lambda: superframe(ip4() / tcp(flags="CA"), text(25), 10, gso_type=0x80)),
    "V3 ICMP": (["V3"], lambda: Vnet(1, 1, 28, 10, 20, 2).pack() + build(ip4() / ICMP(), text(25))),
    "V4 no NEEDS_CSUM": (["V4"], lambda: superframe(TCP4, text(25), 10, flags=0, csum_start=0, csum_offset=0)),
    "V5 gso_size 0": (["V5"], lambda: superframe(TCP4, text(25), 0)),
    "V5 gso_size of the payload": (["V5"], lambda: superframe(UDP6, text(25), 25)),
    "V5 GSO_BY_FRAGS": (["V5"], lambda: superframe(TCP6, text(25), 0xFFFF)),
    "V6 csum_start": (["V6"], lambda: superframe(TCP4, text(25), 10, csum_start=19)),
    "V6 csum_offset": (["V6"], lambda: superframe(UDP4, text(25), 10, csum_offset=16)),
    "V6 csum_start of one packet": (["V6"], lambda: superframe(TCP6, text(9), 0, gso_type=0, hdr_len=0, csum_start=41)),
    "V6 in the IP header": (["V6"], lambda: Vnet(1, csum_start=18).pack() + build(ip4() / ICMP())),
    "V6 behind the end": (["V6"], lambda: Vnet(1, csum_start=20, csum_offset=7).pack() + build(ip4() / ICMP())),
    "V7 complete checksum": (["V7"], lambda: vnet_for(TCP4, 10) + PLAIN),
    "V7 complete checksum of one packet": (["V7"], lambda: Vnet(1, 0, 0, 0, 20, 16).pack() + PLAIN),
    "V7 no partial": (["V7"], lambda: patched(superframe(UDP6, text(25), 10), 56, word(0))),
    "V8 hdr_len 0": (["V8"], lambda: superframe(TCP4, text(25), 10, hdr_len=0)),
    "V8 hdr_len one less": (["V8"], lambda: superframe(UDP6, text(25), 10, hdr_len=47)),
    "V8 hdr_len beyond": (["V8"], lambda: superframe(TCP4, text(25), 10, hdr_len=66)),
    "V9 ECN without CWR": (["V9"], lambda: superframe(TCP4, text(25), 10, gso_type=0x81)),
    "V9 ECN on UDP": (["V9"], lambda: superframe(UDP4, text(25), 10, gso_type=0x85)),
    "V10 129 segments": (["V10"], lambda: superframe(UDP4, text(8 * 128 + 1), 8)),
    "V11 total length one less": (["V11"], lambda: BARE + build(ip4(len=64) / tcp(), text(25))),
    "V11 payload length one more": (["V11"], lambda: patched(superframe(TCP6, text(25), 10), 14, word(46))),
    "V11 header checksum": (["V11"], lambda: patched(superframe(TCP4, text(25), 10), 20, word(1))),
    "V11 65536 bytes": (["V11"], lambda: superframe(TCP6, text(65536 - 60), 1448)),
    "V12 DATA_VALID": (["V12"], lambda: Vnet(flags=2).pack() + PLAIN),
    "V12 RSC_INFO": (["V12"], lambda: superframe(TCP4, text(25), 10, flags=5)),
    "V13 hdr_len": (["V13"], lambda: Vnet(hdr_len=40).pack() + PLAIN),
    "V13 csum_start": (["V13"], lambda: Vnet(csum_start=20).pack() + PLAIN),
    "V13 csum_offset": (["V13"], lambda: Vnet(csum_offset=16).pack() + PLAIN),
    "V14 CWR without ECN": (["V14"], lambda: superframe(ip4() / tcp(flags="CA"), text(25), 10, gso_type=1)),
    "several": (["V2", "V12", "V13"], lambda: Vnet(2, 0, 40, 10).pack() + PLAIN),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_by_its_rule_and_by_no_other(name: str) -> None:
    rules, make = FAULTS[name]
    found = violations(make())
    assert [violation.rule for violation in found] == rules
    assert all(violation.rule in str(violation) and violation.because in str(violation) for violation in found)


def test_the_last_three_rules_are_shoulds() -> None:
    assert {"V12", "V13", "V14"} == SHOULD
    for rules, make in FAULTS.values():
        assert [violation.is_must for violation in violations(make())] == [rule not in SHOULD for rule in rules]


@pytest.mark.parametrize("name", STACKS)
def test_what_the_reference_writes_breaks_no_rule(name: str, offload: Wire) -> None:
    for size in (8, 10, 24, 25, 100):
        offload.queue.write_gso(*pieces(STACKS[name], text(25), size))
    offload.queue.write(build(STACKS[name], text(25)))
    offload.queue.write_segments(Superpacket(*pieces(STACKS[name], text(25), 10)))
    frames = offload.frames()
    assert len(frames) == 9
    assert [violations(frame) for frame in frames] == [[]] * 9


@pytest.mark.parametrize("ip", [ip4(), ip6()])
def test_superpackets_with_cwr_are_right(ip: Packet, offload: Wire) -> None:
    offload.queue.write_gso(*pieces(ip / tcp(flags="CA"), text(25), 10))
    assert violations(*offload.frames()) == []


def test_limits_are_right() -> None:
    assert violations(superframe(UDP4, text(8 * 128), 8)) == []
    assert violations(superframe(TCP4, text(65535 - 40), 1448)) == []
    assert violations(superframe(TCP4, text(2), 1)) == []
    assert violations(superframe(TCP4, text(25), 10, hdr_len=65)) == []


@pytest.mark.parametrize(("size", "order"), [(10, "little"), (12, "big"), (24, "little")])
def test_headers_of_every_format_are_read(size: int, order: str) -> None:
    superpacket = Superpacket(*pieces(UDP6, text(25), 10))
    frame = superpacket.frame(header_size=size, byte_order=order)
    assert violations(frame, header_size=size, byte_order=order) == []
    assert violations(frame[: size - 1], header_size=size, byte_order=order)[0].rule == "V1"
