"""The vnet header, against bytes that `struct` packed: H1, H2."""

import itertools
import random
import struct

import pytest

from common.support import broken_rule
from tio.errors import HeaderError
from tio.virtio import HEADER_SIZES, ByteOrder, GsoType, VnetFlag, VnetHeader

ORDERS = {"little": "<", "big": ">"}
BOTH = list(itertools.product(HEADER_SIZES, ORDERS))
FIELDS = {"flags": 0, "gso_type": 1, "hdr_len": 2, "gso_size": 4, "csum_start": 6, "csum_offset": 8, "num_buffers": 10}
NUMBERS = dict(zip(FIELDS, (1, 0x81, 0x0102, 0x0304, 0x0506, 0x0708, 0x090A), strict=True))
REST = bytes(range(1, 13))
HEADER = VnetHeader(**NUMBERS, rest=REST)


def packed(order: str) -> bytes:
    return struct.pack(ORDERS[order] + "BBHHHHH", *NUMBERS.values()) + REST


@pytest.mark.parametrize(("size", "order"), BOTH)
def test_emit_gives_the_fields_in_their_places(size: int, order: str) -> None:
    assert HEADER.emit(size=size, byte_order=order) == packed(order)[:size]


@pytest.mark.parametrize(("size", "order"), BOTH)
def test_parse_reads_the_fields_from_their_places(size: int, order: str) -> None:
    header = VnetHeader.parse(packed(order)[:size], size=size, byte_order=order)
    for name in ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset"):
        assert getattr(header, name) == NUMBERS[name], name
    assert header.num_buffers == (NUMBERS["num_buffers"] if size >= 12 else 0)
    assert header.rest == (REST if size == 24 else bytes(12))


@pytest.mark.parametrize(("size", "order"), BOTH)
def test_unknown_bits_and_numbers_survive_parse_and_emit(size: int, order: str) -> None:
    rng = random.Random(size)
    for data in (b"\xff" * size, *(rng.randbytes(size) for _ in range(200))):
        assert VnetHeader.parse(data, size=size, byte_order=order).emit(size=size, byte_order=order) == data


def test_parse_leaves_the_packet_alone() -> None:
    assert VnetHeader.parse(b"\x01" + bytes(9) + b"\xff" * 14) == VnetHeader(flags=1)


def test_order_is_the_hosts_and_size_is_10_unless_said_otherwise() -> None:
    data = struct.pack("=BBHHHH", 0, 0, 1, 2, 3, 4)
    assert VnetHeader.parse(data) == VnetHeader(hdr_len=1, gso_size=2, csum_start=3, csum_offset=4)
    assert VnetHeader(hdr_len=1, gso_size=2, csum_start=3, csum_offset=4).emit() == data
    assert ByteOrder.HOST in (ByteOrder.LITTLE, ByteOrder.BIG)


@pytest.mark.parametrize("size", [-1, 0, 9, 11, 13, 23, 25])
def test_h1_other_sizes_are_refused(size: int) -> None:
    assert broken_rule(HeaderError, VnetHeader.parse, bytes(64), size=size) == "H1"
    assert broken_rule(HeaderError, VnetHeader().emit, size=size) == "H1"


@pytest.mark.parametrize("size", HEADER_SIZES)
def test_h1_shorter_data_is_refused(size: int) -> None:
    for length in range(size):
        assert broken_rule(HeaderError, VnetHeader.parse, bytes(length), size=size) == "H1"


@pytest.mark.parametrize("name", FIELDS)
def test_h2_numbers_wider_than_their_field_are_refused_by_name(name: str) -> None:
    limit = 0xFF if name in {"flags", "gso_type"} else 0xFFFF
    assert VnetHeader().with_(**{name: limit}).emit(size=12)
    for value in (-1, limit + 1):
        with pytest.raises(HeaderError) as caught:
            VnetHeader().with_(**{name: value}).emit(size=12)
        error = caught.value
        assert (error.rule, error.field, error.offset, error.found) == ("H2", f"vnet.{name}", FIELDS[name], value)


@pytest.mark.parametrize("rest", [b"", bytes(11), bytes(13)])
def test_h2_a_rest_that_is_not_12_bytes_long_is_refused(rest: bytes) -> None:
    assert broken_rule(HeaderError, VnetHeader(rest=rest).emit, size=24) == "H2"


def test_needs_csum_is_one_bit_of_the_flags() -> None:
    assert VnetHeader(flags=VnetFlag.NEEDS_CSUM).needs_csum
    assert VnetHeader(flags=0xFF).needs_csum
    assert not VnetHeader(flags=0xFE).needs_csum


@pytest.mark.parametrize(
    ("number", "base", "ecn"),
    [(0, 0, False), (1, 1, False), (0x81, 1, True), (0x84, 4, True), (0x80, 0, True), (0x21, 0x21, False)],
)
def test_ecn_qualifies_the_type_and_other_bits_belong_to_it(number: int, base: int, ecn: bool) -> None:
    header = VnetHeader(gso_type=number)
    assert (header.base_type, header.ecn) == (base, ecn)


def test_numbers_are_those_of_the_virtio_specification() -> None:
    assert {kind.name: int(kind) for kind in GsoType} == {
        "NONE": 0,
        "TCPV4": 1,
        "UDP": 3,
        "TCPV6": 4,
        "UDP_L4": 5,
        "ECN": 0x80,
    }
    assert {flag.name: int(flag) for flag in VnetFlag} == {"NEEDS_CSUM": 1, "DATA_VALID": 2, "RSC_INFO": 4}


def test_with_changes_some_fields_of_a_copy() -> None:
    assert HEADER.with_(gso_size=9) == VnetHeader(**{**NUMBERS, "gso_size": 9}, rest=REST)
    assert HEADER.gso_size == NUMBERS["gso_size"]
