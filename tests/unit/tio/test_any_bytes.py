"""Any input at all: packets or a `FrameError`, and nothing else. Seeded, so every run tries the same bytes."""

import random

import pytest

from common.support import STACKS, build, pieces, superframe, text
from tio.coalesce import coalesce
from tio.errors import FrameError
from tio.geometry import check_geometry
from tio.ip import parse_ip
from tio.segment import segment
from tio.superpacket import Plain
from tio.transport import parse_layers
from tio.virtio import HEADER_SIZES, VnetHeader

ROUNDS = 3000
FRAMES = [superframe(stack, text(35), 10) for stack in STACKS.values()]
PACKETS = [build(stack, text(10)) for stack in STACKS.values()]
PIECES = [pieces(stack, text(35), 10) for stack in STACKS.values()]
INTERESTING = (0, 1, 4, 5, 6, 7, 8, 0x45, 0x46, 0x60, 0x7F, 0x80, 0x81, 0x84, 0xFE, 0xFF)


def noise(rng: random.Random) -> bytes:
    """Return random bytes, of which most look like the start of a packet."""
    data = rng.randbytes(rng.choice((0, 1, 7, 8, 9, 10, 11, 19, 20, 21, 39, 40, 41, 60, 100)))
    return rng.choice((b"", b"\x45", b"\x46", b"\x4f", b"\x60")) + data


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return the data with a few changes: bytes set, cut off, doubled or put in."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        changes = (
            data[:at] + bytes([rng.choice(INTERESTING)]) + data[at + 1 :],
            data[:at] + rng.randbytes(2) + data[at + 2 :],
            data[:at],
            data[at:],
            data + data[at:],
            data[:at] + rng.randbytes(rng.randrange(9)) + data[at:],
        )
        data = rng.choice(changes)
    return data


def some(rng: random.Random, valid: list[bytes]) -> bytes:
    return noise(rng) if rng.random() < 0.2 else mutated(rng, rng.choice(valid))


def test_segment_gives_packets_or_a_frame_error() -> None:
    rng, cut, refused = random.Random(1), 0, 0
    for _ in range(ROUNDS):
        frame = some(rng, FRAMES)
        try:
            if rng.random() < 0.8:
                packets = segment(frame)
            else:
                packets = segment(frame, header_size=rng.choice(HEADER_SIZES), byte_order=rng.choice(("little", "big")))
        except FrameError:
            refused += 1
        else:
            cut += 1
            assert packets
            assert all(type(packet) is bytes and packet for packet in packets)
    assert min(cut, refused) > ROUNDS // 20  # or this test tests nothing


def test_vnet_header_gives_numbers_or_a_frame_error() -> None:
    rng = random.Random(2)
    for _ in range(ROUNDS):
        data, size = some(rng, FRAMES), rng.choice((*HEADER_SIZES, 0, 11))
        try:
            header = VnetHeader.parse(data, size=size)
        except FrameError:
            assert len(data) < size or size not in HEADER_SIZES
        else:
            assert header.emit(size=size) == data[:size]


def test_parse_layers_gives_views_whose_accessors_do_not_fail() -> None:
    rng, read = random.Random(3), 0
    for _ in range(ROUNDS):
        packet = some(rng, PACKETS)
        try:
            layers = parse_layers(parse_ip(packet), packet)
        except FrameError:
            continue
        read += 1
        for view in (layers.ip, layers.transport):
            names = [name for name in dir(view) if not name.startswith("_")]
            assert all(getattr(view, name) is not NotImplemented for name in names)
        assert layers.ip.header == packet[: layers.transport_offset]
        assert len(layers.ip.resized(1000, 3)) == layers.transport_offset
        assert 0 <= layers.partial(len(packet)) <= 0xFFFF
    assert read > ROUNDS // 20


def test_check_geometry_gives_a_shape_or_a_frame_error() -> None:
    rng, fit = random.Random(4), 0
    for _ in range(ROUNDS):
        hdr, transport, pays = rng.choice(PIECES)
        which = rng.randrange(8)
        if which in (0, 3):
            hdr = mutated(rng, hdr)
        if which in (1, 3):
            transport = mutated(rng, transport)
        if which in (2, 3):
            pays = [mutated(rng, pay) if rng.random() < 0.5 else pay for pay in pays]
        if which == 4:
            hdr, transport, pays = noise(rng), noise(rng), [noise(rng)]
        try:
            check_geometry(hdr, transport, pays)
        except FrameError:
            continue
        fit += 1
    assert ROUNDS // 20 < fit < ROUNDS


@pytest.mark.parametrize("seed", range(4))
def test_coalesce_takes_anything_and_loses_nothing(seed: int) -> None:
    rng = random.Random(50 + seed)
    for _ in range(ROUNDS // 20):
        batch = [rng.choice(PACKETS) if rng.random() < 0.3 else some(rng, PACKETS) for _ in range(rng.randrange(20))]
        outputs = coalesce(batch)
        packets = [[bytes(one.packet)] if isinstance(one, Plain) else one.packets() for one in outputs]
        assert sorted(packet for several in packets for packet in several) == sorted(batch)
