"""What hypothesis shrinks to is what a person reads: the simplest packets that still show the problem."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.strategies import SearchStrategy

import tio
from tunfuzz import (
    Framed,
    GsoArguments,
    Lifecycle,
    assemble,
    batches,
    canonical_superpackets,
    cargo,
    frames,
    gso_arguments,
    hostile_ip_headers,
    hostile_ipv6_headers,
    hostile_packets,
    in_any_layout,
    ip_headers,
    ipv4_headers,
    ipv6_headers,
    jumbo_frames,
    lifecycles,
    other_frames,
    other_packets,
    packets,
    partial_packets,
    runts,
    tcp_headers,
    tunnel_frames,
    udp_headers,
    ufo_frames,
    vnet_bytes,
    vnet_headers,
)
from tunfuzz.build import ipv4_stem, ipv6_stem
from tunfuzz.values import VnetBytes
from tunproof.corpus.script import (
    Add,
    Close,
    Closed,
    CloseQueue,
    Feed,
    FinishRead,
    FinishWrite,
    LetGo,
    Look,
    OpenWire,
    Read,
    ReadPackets,
    Released,
    StartRead,
    StartWrite,
    Step,
    WriteGsoStep,
)

T = TypeVar("T")

# What the simplest packets are made of: written out, so that a change of the strategies shows here.
HERE_IPV4 = bytes.fromhex("0a0000010a000002")
HERE_IPV6 = bytes.fromhex("fd000000000000000000000000000001fd000000000000000000000000000002")
TCP_HEADER = bytes.fromhex("04000050 00000000 00000000 5010ffff 00000000")
UDP_HEADER = bytes.fromhex("04000050 00000000")
PLAINEST = assemble(ipv4_stem(HERE_IPV4, 6), TCP_HEADER, bytes(9), partial=True)

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # before shrinking


def minimal(strategy: SearchStrategy[T], condition: Callable[[T], Any] | None = None) -> T:
    """Return the smallest value that hypothesis finds."""
    return find(
        strategy,
        (lambda value: bool(condition(value))) if condition else lambda _: True,
        settings=settings(
            max_examples=5000,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


def tcp_flags(framed: Framed) -> int:
    return framed.packet[framed.header.csum_start + 13] if framed.header.csum_offset == 16 else 0


def broken_rule(arguments: GsoArguments) -> str | None:
    try:
        tio.check_geometry(arguments.hdr, arguments.transport_hdr, arguments.pays)
    except tio.FrameError as error:
        return error.rule
    return None


def superpackets_of(batch: list[bytes]) -> list[tio.Superpacket]:
    return [item for item in tio.coalesce(batch) if isinstance(item, tio.Superpacket)]


def test_a_vnet_header_is_empty() -> None:
    assert minimal(vnet_headers()) == tio.VnetHeader()


def test_a_superpacket_is_eight_zeros_and_one() -> None:
    framed = minimal(canonical_superpackets())
    assert framed == Framed(
        tio.VnetHeader(flags=1, gso_type=1, hdr_len=40, gso_size=8, csum_start=20, csum_offset=16), PLAINEST
    )


def test_more_segments_stay_small() -> None:
    framed = minimal(canonical_superpackets(), lambda framed: len(tio.segment(framed.frame())) > 3)
    assert framed.packet == assemble(ipv4_stem(HERE_IPV4, 6), TCP_HEADER, bytes(25), partial=True)


def test_a_superpacket_of_full_length_has_few_segments() -> None:
    framed = minimal(canonical_superpackets(), lambda framed: len(framed.packet) == 65535)
    assert not any(framed.packet[40:])
    assert len(tio.segment(framed.frame())) <= 5


def test_an_ipv6_superpacket_has_no_extension_headers() -> None:
    framed = minimal(canonical_superpackets(), lambda framed: framed.packet[0] >> 4 == 6)
    assert framed.packet == assemble(ipv6_stem(HERE_IPV6, 6), TCP_HEADER, bytes(9), partial=True)


def test_an_extension_header_is_the_smallest() -> None:
    framed = minimal(
        canonical_superpackets(), lambda framed: framed.packet[0] >> 4 == 6 and framed.header.csum_start > 40
    )
    assert framed.header.csum_start == 48


def test_a_udp_superpacket_is_plain() -> None:
    framed = minimal(canonical_superpackets(), lambda framed: framed.header.gso_type == 5)
    assert framed.packet == assemble(ipv4_stem(HERE_IPV4, 17), UDP_HEADER, bytes(9), partial=True)


@pytest.mark.parametrize("flag", [0x01, 0x08, 0x40, 0x80])
def test_a_flag_comes_alone(flag: int) -> None:
    framed = minimal(canonical_superpackets(stream=True), lambda framed: tcp_flags(framed) & flag)
    assert tcp_flags(framed) == flag | 0x10
    assert len(framed.packet) - framed.header.hdr_len == 9


def test_a_partial_packet_has_no_payload() -> None:
    framed = minimal(partial_packets())
    assert framed.packet == assemble(ipv4_stem(HERE_IPV4, 6), TCP_HEADER, b"", partial=True)


def test_a_packet_is_a_whole_one_or_nothing() -> None:
    assert minimal(packets()) == assemble(ipv4_stem(HERE_IPV4, 6), TCP_HEADER, b"")
    assert minimal(packets(), lambda packet: not packet) == b""


def test_a_frame_that_is_cut_is_the_plainest() -> None:
    frame = minimal(frames(), lambda frame: cuts(frame) > 1)
    assert frame[10:] == PLAINEST


def cuts(frame: bytes) -> int:
    try:
        return len(tio.segment(frame))
    except tio.FrameError:
        return 0


def test_a_batch_is_empty_or_what_is_needed() -> None:
    assert minimal(batches()) == []
    joined = minimal(batches(), superpackets_of)
    # The second payload is not zero: two equal ones could be swapped unnoticed.
    assert joined == tio.segment(tio.Superpacket(*pieces(bytes(8), b"\xff" * 8)).frame())


def pieces(*pays: bytes) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    packet = assemble(ipv4_stem(HERE_IPV4, 6), TCP_HEADER, b"".join(pays), partial=True)
    return packet[:20], packet[20:40], pays


def test_a_batch_with_a_long_train_has_only_the_train() -> None:
    batch = minimal(batches(), lambda batch: any(len(item.pays) >= 3 for item in superpackets_of(batch)))
    assert [len(packet) for packet in batch] == [48] * 3


def test_arguments_are_the_plainest_superpacket() -> None:
    assert minimal(gso_arguments()) == GsoArguments(*pieces(bytes(8), bytes(1)))


@pytest.mark.parametrize("rule", ["G1", "G2", "G6", "G8", "G11", "G13"])
def test_broken_arguments_are_broken_in_one_place(rule: str) -> None:
    broken = minimal(gso_arguments(), lambda arguments: broken_rule(arguments) == rule)
    assert sum(map(len, broken.pays)) <= 9
    assert not any(map(any, broken.pays))
    assert len(broken.hdr) + len(broken.transport_hdr) <= 100


# Headers.


def test_headers_are_the_plainest() -> None:
    assert minimal(ip_headers()) == minimal(ipv4_headers()) == ipv4_stem(HERE_IPV4, 6)
    assert minimal(ipv6_headers()) == ipv6_stem(HERE_IPV6, 6)
    assert minimal(tcp_headers()) == TCP_HEADER
    assert minimal(udp_headers()) == UDP_HEADER


def test_an_ipv4_option_is_the_smallest() -> None:
    assert minimal(ipv4_headers(), lambda stem: len(stem) > 20) == ipv4_stem(HERE_IPV4, 6, b"\x01" * 4)


def test_a_tcp_option_changes_nothing_else() -> None:
    header = minimal(tcp_headers(), lambda header: len(header) > 20)
    assert (header[:12], header[13:20]) == (TCP_HEADER[:12], TCP_HEADER[13:])


@pytest.mark.parametrize(
    ("field", "value"), [("flags", 8), ("gso_type", 0x61), ("gso_size", 0xFFFF), ("csum_start", 19), ("csum_offset", 2)]
)
def test_one_wrong_field_of_a_vnet_header_comes_alone(field: str, value: int) -> None:
    wrong = minimal(vnet_headers(), lambda header: getattr(header, field) == value)
    assert wrong == tio.VnetHeader().with_(**{field: value})


def test_a_sum_that_wraps_has_nothing_else() -> None:
    wrapped = minimal(vnet_headers(), lambda header: header.csum_start + header.csum_offset + 2 > 0xFFFF)
    assert wrapped[2:4] == (0, 0)


def test_a_vnet_header_that_is_cut_short_is_empty() -> None:
    short = minimal(vnet_bytes(), lambda given: len(given.data) < given.size)
    assert short == VnetBytes(b"", 10, tio.ByteOrder.HOST)


def test_a_long_vnet_header_has_zeros() -> None:
    longest = minimal(vnet_bytes(), lambda given: given.size == 24 and len(given.data) >= 24)
    assert longest == VnetBytes(bytes(24), 24, tio.ByteOrder.HOST)


def test_a_layout_changes_nothing_else() -> None:
    framed = minimal(in_any_layout(canonical_superpackets()), lambda framed: framed.byte_order == "big")
    assert framed.size == 10
    assert framed.packet == PLAINEST


def test_hostile_headers_have_one_fault() -> None:
    assert minimal(hostile_ip_headers(), lambda stem: stem[0] == 0x4F) == b"\x4f" + ipv4_stem(HERE_IPV4, 6)[1:]
    jumbo = minimal(hostile_ipv6_headers(), lambda stem: b"\xc2\x04" in stem)
    assert jumbo == ipv6_stem(HERE_IPV6, 6, ((0, bytes.fromhex("00c20400010000")),))


# Packets and frames.


def test_the_smallest_packet_with_a_hop_by_hop_header_has_no_other() -> None:
    packet = minimal(hostile_packets(), lambda packet: packet[0] >> 4 == 6 and packet[6] == 0)
    assert packet == assemble(ipv6_stem(HERE_IPV6, 6, ((0, bytes.fromhex("00010400000000")),)), TCP_HEADER, b"")


def test_the_smallest_superpacket_with_cwr_is_eight_bytes_and_one() -> None:
    framed = minimal(canonical_superpackets(), lambda framed: tcp_flags(framed) & 0x80)
    header = TCP_HEADER[:13] + b"\x90" + TCP_HEADER[14:]
    assert framed == Framed(
        tio.VnetHeader(flags=1, gso_type=0x81, hdr_len=40, gso_size=8, csum_start=20, csum_offset=16),
        assemble(ipv4_stem(HERE_IPV4, 6), header, bytes(9), partial=True),
    )


def test_a_datagram_for_ufo_is_plain() -> None:
    framed = minimal(ufo_frames(), lambda framed: len(framed.packet) - 20 > framed.header.gso_size)
    assert framed.packet == assemble(ipv4_stem(HERE_IPV4, 17), UDP_HEADER, b"\0", partial=True)
    assert framed.header == tio.VnetHeader(1, 3, 28, 8, 20, 6)


def test_a_tunnel_has_the_plainest_superpacket_inside() -> None:
    framed = minimal(tunnel_frames(), lambda framed: framed.header.gso_type & 0x20)
    assert framed.packet[36:] == PLAINEST
    assert framed.header.rest == bytes(8) + bytes.fromhex("1400 2400")


def test_another_protocol_has_eight_zeros() -> None:
    packet = minimal(other_packets(), lambda packet: packet[9] == 47 and packet[0] >> 4 == 4)
    assert packet == minimal(ip_headers(47))[:2] + b"\0\x1c" + packet[4:20] + b"\x08" + bytes(7)
    assert minimal(other_frames()).packet == minimal(other_packets())
    assert minimal(other_frames(), lambda framed: framed.header.flags).header.gso_type == 0


def test_a_jumbo_is_one_byte_over_and_zeros() -> None:
    framed = minimal(jumbo_frames())
    assert len(framed.packet) == 65536
    assert not any(framed.packet[40:])


def test_a_runt_is_empty() -> None:
    assert minimal(runts()) == b""
    assert minimal(runts(), lambda frame: len(frame) > 10) == bytes(10) + b"\x45"


# Lifecycles: unneeded steps are gone.


def steps(lifecycle: Lifecycle) -> tuple[Step, ...]:
    return lifecycle.script.steps


def answered(lifecycle: Lifecycle, kind: type[Step], answer: object) -> bool:
    lines = zip(lifecycle.script.steps, lifecycle.answers.answers, strict=True)
    return any(isinstance(step, kind) and answer in right for step, right in lines)


OPENED = (OpenWire(fd="a"), Add(fd="a"))
PACKET = cargo.plain(2)


def test_a_lifecycle_is_one_queue() -> None:
    assert steps(minimal(lifecycles())) == OPENED


def test_a_read_after_close_needs_a_close_and_a_read() -> None:
    lifecycle = minimal(lifecycles(), lambda lifecycle: answered(lifecycle, Read, Closed()))
    assert steps(lifecycle) in (
        (*OPENED, CloseQueue(fd="a"), Read(fd="a")),
        (*OPENED, Close(), Read(fd="a")),
    )


def test_a_reader_that_close_wakes_is_all_there_is() -> None:
    first, second, start, close, finish = steps(
        minimal(lifecycles(), lambda lifecycle: answered(lifecycle, FinishRead, Closed()))
    )
    assert (first, second) == OPENED
    assert (start, finish) == (StartRead(fd="a"), FinishRead(fd="a"))
    assert close in (CloseQueue(fd="a"), Close())


def test_a_writer_that_close_wakes_is_all_there_is() -> None:
    lifecycle = minimal(lifecycles(), lambda lifecycle: answered(lifecycle, FinishWrite, Closed()))
    assert steps(lifecycle)[2] == StartWrite(fd="a", packet=PACKET, count=64)
    assert len(steps(lifecycle)) == 5


def test_a_fd_for_a_closed_container_is_the_only_other() -> None:
    lifecycle = minimal(lifecycles(), lambda lifecycle: any(isinstance(step, LetGo) for step in steps(lifecycle)))
    assert steps(lifecycle) == (*OPENED, Close(), OpenWire(fd="b"), Add(fd="b"), LetGo(fd="b"))


def test_a_packet_is_the_smallest_frame_to_be_read() -> None:
    lifecycle = minimal(
        lifecycles(backend="plain"), lambda lifecycle: answered(lifecycle, Read, ReadPackets(packets=(PACKET,)))
    )
    assert steps(lifecycle) == (*OPENED, Feed(fd="a", frame=PACKET), Read(fd="a"))


def test_a_view_is_released_with_few_steps() -> None:
    lifecycle = minimal(lifecycles(), lambda lifecycle: answered(lifecycle, Look, Released()))
    assert len(steps(lifecycle)) <= 7
    assert {step.fd for step in steps(lifecycle) if isinstance(step, OpenWire)} == {"a"}


def test_a_superpacket_that_is_written_has_two_segments() -> None:
    lifecycle = minimal(
        lifecycles(), lambda lifecycle: any(isinstance(each, WriteGsoStep) for each in steps(lifecycle))
    )
    *_, step = steps(lifecycle)
    assert isinstance(step, WriteGsoStep)
    assert step.pays == tuple(cargo.superpacket(2, 2).pays)
