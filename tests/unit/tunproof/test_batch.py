"""The judge of batches and the two freedoms: wrong outputs made by hand, one for each finding, and correct ones."""

from collections.abc import Sequence

import pytest
from scapy.layers.inet import IP
from scapy.packet import Packet

from common.support import (
    Vnet,
    build,
    cut,
    ip4,
    ip6,
    judged,
    patched,
    superframe,
    tcp,
    text,
    udp,
    vnet_for,
    with_partial,
    word,
    word_sum,
    zero_checksum_payload,
)
from tunproof.authoring.oracle import batched
from tunproof.corpus.cases import Joined
from tunproof.judge.batch import REPAIRS, SUMS, BatchReport, inspect_batch, inspect_cut_batch
from tunproof.packets.equality import RESTAMPS, normalized, same_packets

TCP4, TCP6 = ip4(flags="DF") / tcp(), ip6() / tcp()
UDP4, UDP6 = ip4() / udp(), ip6() / udp()
ID_MATTERS = ip4(flags=0) / tcp()
PLAIN = bytes(10)
LIMIT = 10  # bytes of payload in each packet here


def train(stack: Packet, count: int) -> list[bytes]:
    """Return packets that continue each other, each built by scapy."""
    return cut(stack, text(LIMIT * count), LIMIT)


def joined(stack: Packet, count: int) -> bytes:
    """Return the frame that stands for `train`."""
    return superframe(stack, text(LIMIT * count), LIMIT)


def inspected(packets: Sequence[bytes], frames: Sequence[bytes], **expect: object) -> BatchReport:
    """Inspect frames. Unless told otherwise all packets are one flow and could be joined."""
    everything = tuple(range(len(packets)))
    usual: dict[str, object] = {"order": (everything,), "ideal": (everything,), "example": ()}
    return inspect_batch(packets, frames, Joined(**{**usual, **expect}))


def only(findings: Sequence[str]) -> str:
    """Return the one finding that there is."""
    (finding,) = findings
    return finding


# What is correct.


@pytest.mark.parametrize("stack", [TCP4, TCP6, UDP4, UDP6, ID_MATTERS], ids=["tcp4", "tcp6", "udp4", "udp6", "id"])
def test_joined_and_unjoined_are_both_right(stack: Packet) -> None:
    packets = train(stack, 3)
    whole = inspected(packets, [joined(stack, 3)])
    assert (whole.failures, whole.advice, whole.policies) == ([], [], set())
    assert (whole.groups, whole.quality) == ([(0, 1, 2)], 1.0)
    single = inspected(packets, [PLAIN + packet for packet in packets])
    assert (single.failures, single.advice, single.policies) == ([], [], set())
    assert (single.groups, single.quality) == ([(0,), (1,), (2,)], 0.0)


def test_a_single_packet_with_a_partial_checksum_is_completed() -> None:
    (packet,) = train(TCP4, 1)
    frame = vnet_for(TCP4, 0, gso_type=0, hdr_len=0) + with_partial(TCP4, text(LIMIT))
    assert not inspected([packet], [frame]).failures


def test_nothing_for_nothing() -> None:
    assert inspected([], [], order=(), ideal=()) == BatchReport(quality=None)


def test_quality_is_the_share_of_writes_saved() -> None:
    packets = train(TCP4, 5)
    frames = [superframe(TCP4, text(20), LIMIT), *(PLAIN + packet for packet in packets[2:])]
    assert inspected(packets, frames).quality == 0.25  # four writes could be saved, one was
    assert inspected(packets, frames, ideal=((0, 1), (2, 3), (4,))).quality == 0.5
    assert inspected(packets, frames, ideal=tuple((at,) for at in range(5))).quality is None
    assert inspected(packets, [joined(TCP4, 5)], ideal=((0, 1), (2, 3), (4,))).quality == 1.0  # more than the ideal


def test_quality_counts_no_frames_of_packets_that_the_ideal_leaves_out() -> None:
    packets = [*train(TCP4, 2), b"\x50" + bytes(30)]
    report = inspected(packets, [joined(TCP4, 2), PLAIN + packets[2]], order=((0, 1),), ideal=((0, 1),), optional=(2,))
    assert (report.failures, report.quality) == ([], 1.0)


# Lost, repeated, invented, changed.


def test_a_lost_packet() -> None:
    packets = train(TCP4, 3)
    assert (
        only(inspected(packets, [PLAIN + packets[0], PLAIN + packets[2]]).failures)
        == "packet 1 (50 bytes) never came out"
    )


def test_a_repeated_packet() -> None:
    packets = train(TCP4, 2)
    found = only(inspected(packets, [joined(TCP4, 2), PLAIN + packets[1]]).failures)
    assert found == "frame 1 stands for a packet that was not in the batch"


def test_the_same_packet_put_in_twice_must_come_out_twice() -> None:
    (packet,) = train(TCP4, 1)
    assert not inspected([packet, packet], [PLAIN + packet] * 2, ideal=((0,), (1,))).failures
    assert only(inspected([packet, packet], [PLAIN + packet]).failures) == "packet 1 (50 bytes) never came out"


def test_an_invented_packet_is_shown_beside_the_one_that_is_missing() -> None:
    (packet,) = train(TCP4, 1)
    changed = judged(patched(packet, 34, word(999)))  # another window
    invented, lost = inspected([packet], [PLAIN + changed]).failures
    assert invented.startswith("frame 0 stands for a packet that was not in the batch\npacket 0, tcp.window")
    assert lost == "packet 0 (50 bytes) never came out"


def test_psh_that_nobody_sent() -> None:
    packets = train(TCP4, 2)
    frame = superframe(ip4(flags="DF") / tcp(flags="PA"), text(20), LIMIT)
    findings = inspected(packets, [frame]).failures
    assert [finding.partition("\n")[0] for finding in findings] == [
        "frame 0 stands for a packet that was not in the batch",
        "packet 1 (50 bytes) never came out",
    ]


def test_an_empty_packet_that_is_written() -> None:
    violation, invented = inspected([b""], [PLAIN], order=(), ideal=(), silent=(0,)).failures[:2]
    assert violation.startswith("frame 0: V1: ")
    assert "frame 0" in invented


def test_an_empty_packet_need_not_come_out() -> None:
    packets = [b"", *train(TCP4, 2)]
    report = inspected(packets, [joined(TCP4, 2)], order=((1, 2),), ideal=((1, 2),), silent=(0,))
    assert (report.failures, report.groups) == ([], [(1, 2)])


@pytest.mark.parametrize("odd", [b"\x50" + bytes(40), b"\x60" + bytes(65536)], ids=["no-ip", "too-long"])
def test_an_optional_packet_may_come_out_or_not_but_once(odd: bytes) -> None:
    packets = [*train(TCP4, 2), odd]
    expect: dict[str, object] = {"order": ((0, 1),), "ideal": ((0, 1),), "optional": (2,)}
    assert not inspected(packets, [joined(TCP4, 2)], **expect).failures
    assert not inspected(packets, [joined(TCP4, 2), PLAIN + odd], **expect).failures
    twice = inspected(packets, [joined(TCP4, 2), PLAIN + odd, PLAIN + odd], **expect)
    assert only(twice.failures) == "frame 2 stands for a packet that was not in the batch"


# Order, and what must stay apart.


def test_a_packet_that_overtakes_its_flow() -> None:
    packets = train(TCP4, 3)
    frames = [PLAIN + packets[at] for at in (0, 2, 1)]
    assert only(inspected(packets, frames).failures) == "packet 2 overtook packet 1 of its flow"
    assert not inspected(packets, frames, order=((0, 1), (2,))).failures


def test_a_packet_that_is_joined_past_another() -> None:
    packets = train(TCP4, 2)
    other = build(ip4(flags="MF", id=9) / udp(), text(16))
    report = inspected([packets[0], other, packets[1]], [joined(TCP4, 2), PLAIN + other], ideal=((0, 2), (1,)))
    assert only(report.failures) == "packet 2 overtook packet 1 of its flow"


def test_a_moved_ack_is_advice() -> None:
    data = train(TCP6, 2)
    ack = build(TCP6)
    packets = [data[0], ack, data[1]]
    report = inspected(
        packets, [joined(TCP6, 2), PLAIN + ack], order=((0, 2),), order_should=((0, 1, 2),), ideal=((0, 2), (1,))
    )
    assert (report.failures, report.advice) == ([], ["packet 2 overtook packet 1 of its flow"])
    assert report.quality == 1.0


def test_packets_that_must_stand_apart() -> None:
    packets = train(ip4() / tcp(flags="UA", urgptr=3), 3)
    frame = joined(ip4() / tcp(flags="UA", urgptr=3), 3)
    assert only(inspected(packets, [frame], apart=((1, 2),)).failures) == "packets 1 and 2 must not share a superpacket"
    assert not inspected(packets, [PLAIN + packet for packet in packets], apart=((1, 2),)).failures


# Headers.


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"csum_offset": 6}, "V6"),
        ({"gso_size": 0}, "V5"),
        ({"hdr_len": 8}, "V8"),
        ({"gso_type": 4}, "V3"),
        ({"gso_type": 0x81}, "V9"),
        ({"gso_type": 0}, "V2"),
    ],
)
def test_an_illegal_header(changes: dict[str, int], rule: str) -> None:
    report = inspected(train(TCP4, 2), [superframe(TCP4, text(20), LIMIT, **changes)])
    assert any(finding.startswith(f"frame 0: {rule}: ") for finding in report.failures)


def test_a_wrong_partial() -> None:
    frame = vnet_for(TCP4, LIMIT) + with_partial(TCP4, text(20), error=1)
    findings = inspected(train(TCP4, 2), [frame]).failures
    assert findings[0].startswith("frame 0: V7: ")
    assert sum("not in the batch" in finding for finding in findings) == 2


def test_a_stale_header_is_no_plain_packet() -> None:
    (packet,) = train(TCP4, 1)
    findings = inspected([packet], [b"\xff" * 10 + packet]).failures
    assert any("cannot be cut" in finding for finding in findings)
    assert findings[-1] == "packet 0 (50 bytes) never came out"


def test_a_missing_header() -> None:
    (packet,) = train(TCP4, 1)
    assert "packet 0 (50 bytes) never came out" in inspected([packet], [packet]).failures


def test_manners_are_advice() -> None:
    (packet,) = train(TCP4, 1)
    report = inspected([packet], [Vnet(flags=2).pack() + packet])
    assert not report.failures
    assert only(report.advice).startswith("frame 0: V12: ")


@pytest.mark.parametrize("flags", [0, 2], ids=["plain", "data-valid"])
@pytest.mark.parametrize(
    "packet",
    [
        build(TCP4, text(10)) + bytes(4),
        build(TCP4, text(10))[:15],
        patched(build(TCP4, text(10)), 10, b"\xde\xad"),
        patched(build(UDP6, text(10)), 44, b"\0\x07"),
    ],
    ids=["trailing-bytes", "cut-off", "ip-checksum", "udp-length"],
)
def test_a_packet_that_is_damaged_travels_alone_as_it_is(packet: bytes, flags: int) -> None:
    assert not inspected([packet], [Vnet(flags=flags).pack() + packet]).failures
    assert inspected([packet], [vnet_for(TCP4, LIMIT) + packet]).failures


# Freedoms.


def test_the_identification_is_restored_where_it_means_something() -> None:
    packets = train(ID_MATTERS, 2)
    packets[1] = judged(patched(packets[1], 4, word(0x7777)))
    assert len(inspected(packets, [joined(ID_MATTERS, 2)]).failures) == 2


def test_the_identification_of_an_atomic_packet_is_free() -> None:
    packets = train(TCP4, 2)
    packets[1] = judged(patched(packets[1], 4, word(0x7777)))
    report = inspected(packets, [joined(TCP4, 2)])
    assert (report.failures, report.groups, report.policies) == ([], [(0, 1)], {RESTAMPS})


def test_what_a_kernel_cut_is_held_against_the_packets_alone() -> None:
    packets = train(TCP4, 3)
    expect = Joined(order=((0, 1, 2),), apart=((0, 1),), ideal=((0, 1, 2),), example=())
    assert not inspect_cut_batch(packets, packets, expect).failures
    assert inspect_cut_batch(packets, packets[:2], expect).failures == ["packet 2 (50 bytes) never came out"]
    assert inspect_cut_batch(packets, [packets[1], packets[0], packets[2]], expect).failures
    assert len(inspect_cut_batch(packets, [*packets, packets[0]], expect).failures) == 1


@pytest.mark.parametrize("spelling", [b"\0\0", b"\xff\xff"])
@pytest.mark.parametrize("stack", [TCP4, TCP6], ids=["tcp4", "tcp6"])
def test_a_tcp_checksum_of_zero_has_two_spellings(stack: Packet, spelling: bytes) -> None:
    data = zero_checksum_payload(stack, text(LIMIT)) + text(20)[LIMIT:]
    at = 36 if IP in stack else 56
    packets = cut(stack, data, LIMIT)
    packets[0] = patched(packets[0], at, spelling)
    assert not inspected(packets, [superframe(stack, data, LIMIT)]).failures


def test_a_udp_checksum_of_zero_has_one_spelling() -> None:
    packet = build(UDP6, zero_checksum_payload(UDP6, text(LIMIT)))
    assert packet[46:48] == b"\xff\xff"
    assert len(inspected([packet], [PLAIN + patched(packet, 46, b"\0\0")]).failures) == 2


# Policies.


@pytest.mark.parametrize("stack", [TCP4, TCP6, UDP4, UDP6], ids=["tcp4", "tcp6", "udp4", "udp6"])
def test_joining_a_wrong_checksum_is_a_policy(stack: Packet) -> None:
    packets = train(stack, 3)
    packets[1] = packets[1][:-1] + bytes([packets[1][-1] ^ 1])
    right = cut(stack, b"".join(packet[-LIMIT:] for packet in packets), LIMIT)
    frame = superframe(stack, b"".join(packet[-LIMIT:] for packet in packets), LIMIT)
    assert right[1] != packets[1]
    report = inspected(packets, [frame], repairable=(1,))
    assert (report.failures, report.policies, report.groups) == ([], {REPAIRS}, [(0, 1, 2)])
    assert len(inspected(packets, [frame]).failures) == 2
    kept = inspected(packets, [PLAIN + packet for packet in packets], repairable=(1,))
    assert (kept.failures, kept.policies) == ([], set())


def test_joining_a_wrong_ip_header_checksum_is_the_same_policy() -> None:
    packets = train(TCP4, 2)
    packets[0] = patched(packets[0], 10, b"\xde\xad")
    report = inspected(packets, [joined(TCP4, 2)], repairable=(0,))
    assert (report.failures, report.policies) == ([], {REPAIRS})


_INVERTED = "packets with a wrong checksum are joined, and those with a right one are not"
_SUM_AT = 36  # of a TCP checksum behind an IPv4 header


def _two_and_two(stack: Packet, damage: int, last: Packet | None = None) -> BatchReport:
    """Inspect four packets, of which the first two are damaged at a byte, and joined, and the last two are not."""
    first, second, third, fourth = train(stack, 4)
    packets = [patched(packet, damage, b"\xde\xad") for packet in (first, second)]
    packets += [third, fourth] if last is None else train(last, 4)[2:]
    frames = [joined(stack, 2), *(PLAIN + packet for packet in packets[2:])]
    return inspected(packets, frames, repairable=(0, 1), ideal=((0,), (1,), (2, 3)))


def test_only_wrong_checksums_are_joined_by_a_test_that_is_the_wrong_way_round() -> None:
    assert only(_two_and_two(TCP4, _SUM_AT).failures) == _INVERTED


@pytest.mark.parametrize(
    "last",
    [ip4(flags="DF") / tcp(flags="AE"), ip4(flags="DF") / tcp(window=7), ip4(flags="DF", tos=1) / tcp(), ID_MATTERS],
    ids=["ece", "window", "ecn", "no-df"],
)
def test_right_packets_that_are_left_alone_for_another_reason_prove_nothing(last: Packet) -> None:
    assert _two_and_two(TCP4, _SUM_AT, last).failures == []


def test_a_wrong_ip_header_checksum_says_nothing_about_the_test_of_the_other() -> None:
    assert _two_and_two(TCP4, 10).failures == []


def test_who_joins_right_packets_elsewhere_has_no_test_the_wrong_way_round() -> None:
    other = ip4(flags="DF") / tcp(sport=7)
    packets = [patched(one, _SUM_AT, b"\xde\xad") for one in train(TCP4, 2)] + train(TCP4, 4)[2:] + train(other, 2)
    frames = [joined(TCP4, 2), PLAIN + packets[2], PLAIN + packets[3], joined(other, 2)]
    report = inspected(packets, frames, repairable=(0, 1), ideal=((0,), (1,), (2, 3), (4, 5)))
    assert report.failures == []


def test_a_packet_that_comes_out_wrong_and_repaired_was_repeated() -> None:
    packets = train(TCP6, 2)
    packets[0] = patched(packets[0], 56, b"\xab\xcd")
    report = inspected(packets, [PLAIN + packets[0], joined(TCP6, 2)], repairable=(0,))
    assert only(report.failures).startswith("frame 1 stands for a packet that was not in the batch\n")


def test_a_repaired_packet_is_told_from_its_repeat_by_its_place() -> None:
    first, second = train(TCP6, 2)
    packets = [patched(first, 56, b"\xab\xcd"), first, second]
    repaired = inspected(packets, [PLAIN + first, joined(TCP6, 2)], repairable=(0,))
    assert only(repaired.failures) == "packet 1 overtook packet 0 of its flow", "the one that was damaged came out last"
    kept = inspected(packets, [PLAIN + packets[0], joined(TCP6, 2)], repairable=(0,))
    assert (kept.failures, kept.policies, kept.groups) == ([], set(), [(0,), (1, 2)])


def test_a_damaged_packet_that_travels_alone_must_stay_damaged() -> None:
    first, second = train(TCP6, 2)
    bad = patched(first, 56, b"\xab\xcd")
    assert inspected([bad, second], [PLAIN + bad, PLAIN + second], repairable=(0,)).failures == []
    mended = inspected([bad, second], [PLAIN + first, PLAIN + second], repairable=(0,))
    assert mended.failures[0].startswith("frame 0 stands for a packet that was not in the batch\n")
    assert mended.policies == set()


def test_summing_what_had_no_checksum_is_a_policy() -> None:
    packets = [patched(packet, 26, b"\0\0") for packet in train(UDP4, 2)]
    report = inspected(packets, [joined(UDP4, 2)], unsummed=(0, 1))
    assert (report.failures, report.policies) == ([], {SUMS})
    assert len(inspected(packets, [joined(UDP4, 2)]).failures) == 4


# What scapy sees in a batch.


def test_oracle_sorts_into_flows() -> None:
    fragment = build(ip4(flags="MF", proto=6), text(16))
    packets = [*train(TCP4, 2), *train(ip4() / tcp(sport=9), 2), fragment, build(TCP4), b"", *train(UDP4, 2)]
    seen = batched(packets)
    assert seen.order == ((0, 1), (2, 3), (7, 8))
    assert seen.order_should == ((0, 1, 4, 5), (2, 3, 4))
    assert seen.silent == (6,)
    assert seen.optional == seen.repairable == seen.unsummed == ()


def test_oracle_lets_damaged_packets_move() -> None:
    packets = [train(TCP4, 1)[0], build(TCP4, text(10))[:39], patched(build(TCP4, text(10)), 32, b"\xf0")]
    seen = batched([*packets, packets[0]])
    assert seen.order == ((0, 3),)
    assert seen.order_should == ((0, 1, 2, 3),)
    assert seen.repairable == ()


def test_oracle_knows_what_may_be_refused() -> None:
    cut_off = build(TCP4, text(10))[:30]
    packets = [b"\x50" + bytes(30), b"\x60" + bytes(65535), b"\0", b"\x45", b"", build(TCP4, text(10)), cut_off]
    assert batched(packets).optional == (0, 1, 2, 3, 6)


@pytest.mark.parametrize(
    ("packet", "repairable", "unsummed"),
    [
        (build(TCP4, text(10)), (), ()),
        (patched(build(TCP4, text(10)), 36, b"\xab\xcd"), (0,), ()),
        (patched(build(TCP4, text(10)), 10, b"\xab\xcd"), (0,), ()),
        (patched(build(TCP4, text(10)), 36, b"\xab\xcd") + b"\0", (), ()),
        (build(ip4(flags="MF") / tcp(), text(10)), (), ()),
        (patched(build(UDP4, text(10)), 26, b"\0\0"), (), (0,)),
        (patched(build(UDP6, text(10)), 46, b"\0\0"), (), ()),
        (patched(build(UDP6, text(10)), 46, b"\xab\xcd"), (0,), ()),
    ],
)
def test_oracle_finds_wrong_and_missing_checksums(
    packet: bytes, repairable: tuple[int, ...], unsummed: tuple[int, ...]
) -> None:
    seen = batched([packet])
    assert (seen.repairable, seen.unsummed) == (repairable, unsummed)


# `freedoms` itself.


def _numbered(number: int, **fields: object) -> bytes:
    return build(ip4(id=number, **fields) / tcp(), text(10))


def test_same_packets_knows_the_freedoms_and_exact_does_not() -> None:
    one, other = [_numbered(1, flags="DF")], [_numbered(2, flags="DF")]
    assert same_packets(one, one, exact=True)
    assert same_packets(one, other)
    assert not same_packets(one, other, exact=True)
    assert not same_packets(one, one * 2)
    assert not same_packets([*one, b"a"], [b"a", *one])


@pytest.mark.parametrize("fields", [{"flags": 0}, {"flags": "MF+DF"}, {"flags": "DF", "frag": 3}, {"flags": "evil"}])
def test_identification_matters_without_df_and_in_fragments(fields: dict[str, object]) -> None:
    assert not same_packets([_numbered(1, **fields)], [_numbered(2, **fields)])


def test_a_free_identification_has_a_right_header_checksum_all_the_same() -> None:
    right, wrong = _numbered(1, flags="DF"), patched(_numbered(2, flags="DF"), 10, _numbered(1, flags="DF")[10:12])
    assert not same_packets([right], [wrong])


def test_a_header_checksum_of_zero_has_one_spelling() -> None:
    header = _numbered(0, flags="DF")[:20]
    number = ~word_sum(patched(header, 10, b"\0\0")) & 0xFFFF  # with this identification the header sums up to zero
    packet = _numbered(number, flags="DF")
    assert packet[10:12] == b"\0\0"
    assert not same_packets([packet], [patched(packet, 10, b"\xff\xff")])


@pytest.mark.parametrize("stack", [TCP4, TCP6], ids=["tcp4", "tcp6"])
def test_two_spellings_are_for_tcp_and_not_for_its_fragments(stack: Packet) -> None:
    at = 36 if IP in stack else 56
    packet = build(stack, text(10))
    zero, ones = patched(packet, at, b"\0\0"), patched(packet, at, b"\xff\xff")
    assert normalized(zero) == normalized(ones) != normalized(packet)
    if IP in stack:
        fragments = [patched(one, 6, b"\x20\0") for one in (zero, ones)]
        assert normalized(fragments[0]) != normalized(fragments[1])


@pytest.mark.parametrize("packet", [b"", b"\x45", b"\x50" + bytes(40), bytes(60), b"\x60" + bytes(20)])
def test_what_cannot_be_read_has_no_freedom(packet: bytes) -> None:
    assert normalized(packet) == packet


def test_every_other_byte_counts() -> None:
    packet = build(ip4(flags="DF") / tcp(), text(10))
    free = {4, 5}  # the identification; the header checksum follows it
    changed = [patched(packet, at, bytes([packet[at] ^ 1])) for at in range(len(packet)) if at not in free]
    assert not any(same_packets([packet], [one]) for one in changed)
    assert len(set(map(normalized, changed))) == len(changed)
