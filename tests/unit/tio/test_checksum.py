"""The Internet checksum: worked examples of the RFCs, and scapy as the judge of complete packets."""

import random

import pytest

from common.support import (
    STACKS,
    broken_rule,
    build,
    csum_offset,
    header_lengths,
    is_tcp,
    judged,
    partial_sum,
    text,
    with_partial,
    word,
    word_sum,
    zero_checksum_payload,
)
from tio.checksum import adjust, checksum, complete_checksum, finish, pseudo_header_sum
from tio.errors import HeaderError

RFC1071 = bytes.fromhex("0001f203f4f5f6f7")


def test_sum_is_the_worked_example_of_rfc1071_section_3() -> None:
    assert checksum(RFC1071) == 0xDDF2
    assert finish(checksum(RFC1071)) == 0x220D


def test_sum_may_be_taken_in_any_even_parts() -> None:
    assert checksum(RFC1071[4:], checksum(RFC1071[:4])) == checksum(RFC1071)


def test_odd_last_byte_is_the_high_half_of_a_word() -> None:
    assert checksum(b"\x12") == checksum(b"\x12\x00") == 0x1200
    assert checksum(RFC1071 + b"\x12") == checksum(RFC1071 + b"\x12\x00")


def test_initial_is_added_to_an_odd_number_of_bytes_unshifted() -> None:
    assert checksum(b"\x12", 0x34) == 0x1234


@pytest.mark.parametrize("length", [*range(9), 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 65535])
@pytest.mark.parametrize("fill", ["random", "ff", "carries"])
def test_sum_is_that_of_words_added_one_by_one(length: int, fill: str) -> None:
    fills = {"random": random.Random(length).randbytes(length), "ff": b"\xff" * length, "carries": b"\xff\xfe" * length}
    data = fills[fill][:length]
    assert checksum(data) == word_sum(data)


def test_sum_is_zero_only_for_zeros_and_ffff_for_every_other_multiple_of_ffff() -> None:
    assert checksum(b"") == checksum(bytes(6)) == checksum(bytes(6), 0) == 0
    assert checksum(b"\xff\xff") == checksum(b"\x00\x01\xff\xfe") == checksum(b"\xff\xff" * 3) == 0xFFFF
    assert checksum(b"", 0xFFFF) == checksum(bytes(2), 0xFFFF) == checksum(b"", 2 * 0xFFFF) == 0xFFFF


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_sum_takes_every_kind_of_buffer(kind: type) -> None:
    assert checksum(kind(RFC1071)) == 0xDDF2


@pytest.mark.parametrize("name", STACKS)
def test_partial_is_the_sum_of_the_pseudo_header(name: str) -> None:
    stack = STACKS[name]
    packet = build(stack, text(9))
    addresses = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    assert pseudo_header_sum(addresses, 6 if is_tcp(stack) else 17, 4321) == partial_sum(stack, 4321)


def test_adjusted_sum_is_that_of_the_changed_words() -> None:
    rng = random.Random(1624)
    for _ in range(500):
        first, old, new = rng.randbytes(6), rng.randrange(0x10000), rng.randrange(0x10000)
        assert adjust(checksum(first + word(old)), old, new) == (checksum(first + word(new)) or 0xFFFF)


def test_adjusted_sum_is_never_zero() -> None:
    assert adjust(5, 5, 0) == adjust(0xFFFF, 7, 7) == 0xFFFF


def test_wrong_partial_stays_wrong_by_the_same_amount() -> None:
    assert (adjust(0x1235, 100, 50) - adjust(0x1234, 100, 50)) % 0xFFFF == 1


def test_finish_inverts_and_says_what_stands_for_zero() -> None:
    assert finish(0x1234) == 0xEDCB
    assert finish(0xFFFF) == 0
    assert finish(0xFFFF, zero=0xFFFF) == 0xFFFF
    assert finish(0x0000) == 0xFFFF


@pytest.mark.parametrize("length", [0, 1, 2, 99])
@pytest.mark.parametrize("name", STACKS)
def test_completed_packet_is_the_one_that_scapy_builds(name: str, length: int) -> None:
    stack, payload = STACKS[name], text(length)
    packet = complete_checksum(with_partial(stack, payload), header_lengths(stack)[0], csum_offset(stack))
    assert packet == build(stack, payload) == judged(packet)


@pytest.mark.parametrize("name", ["tcp4", "tcp6", "udp4", "udp6"])
def test_completed_zero_is_stored_as_ffff_for_udp_and_for_tcp(name: str) -> None:
    stack = STACKS[name]
    payload = zero_checksum_payload(stack, text(10))
    start, offset = header_lengths(stack)[0], csum_offset(stack)
    packet = complete_checksum(with_partial(stack, payload), start, offset)
    assert packet[start + offset : start + offset + 2] == b"\xff\xff"
    assert checksum(packet[start:], partial_sum(stack, len(packet) - start)) == 0xFFFF


def test_only_the_two_bytes_of_the_checksum_field_change_and_not_in_the_callers_buffer() -> None:
    packet = bytearray(with_partial(STACKS["tcp4"], text(30)))
    before = bytes(packet)
    after = complete_checksum(packet, 20, 16)
    assert packet == before
    assert (after[:36], after[38:]) == (before[:36], before[38:])


@pytest.mark.parametrize(
    ("start", "offset"), [(20, 19), (39, 0), (40, 0), (0, 39), (0xFFFF, 0xFFFF), (-1, 16), (30, -1)]
)
def test_r3_field_outside_the_packet_is_refused(start: int, offset: int) -> None:
    assert broken_rule(HeaderError, complete_checksum, bytes(40), start, offset) == "R3"


def test_r3_field_in_the_last_two_bytes_is_inside() -> None:
    assert complete_checksum(bytes(40), 20, 18) == bytes(38) + b"\xff\xff"
