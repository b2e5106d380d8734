"""What hypothesis shrinks to is what a person reads: the plainest packets that still show the problem."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.strategies import SearchStrategy

import tio
from tunfuzz import (
    Framed,
    GsoArguments,
    assemble,
    batches,
    canonical_superpackets,
    frames,
    gso_arguments,
    packets,
    partial_packets,
    vnet_headers,
)
from tunfuzz.build import ipv4_stem, ipv6_stem

T = TypeVar("T")

# What the plainest packets are made of: written out, so that a change of the strategies shows here.
HERE_IPV4 = bytes.fromhex("0a0000010a000002")
HERE_IPV6 = bytes.fromhex("fd000000000000000000000000000001fd000000000000000000000000000002")
TCP_HEADER = bytes.fromhex("04000050 00000000 00000000 5010ffff 00000000")
UDP_HEADER = bytes.fromhex("04000050 00000000")
PLAINEST = assemble(ipv4_stem(HERE_IPV4, 6), TCP_HEADER, bytes(9), partial=True)

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of what is not yet small


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
    # The second payload is not zero: two equal ones could be swapped, and nobody would see it.
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
