"""The numbered blocks of inputs: which ones block 7 of `read` of seed 1 has. Nothing else determines them.

Frames are those of the kernel differential. For the other operations golden inputs and drawn examples are used
unchanged, or with a change or two: a raw byte, or a change after which lengths and sums are corrected.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, count
from random import Random

import msgspec

from tio.virtio import HEADER_SIZE, HEADER_SIZES
from tunfuzz.build import assemble
from tunfuzz.differential.cases import block as block_of_frames
from tunfuzz.peer.cases import Input
from tunfuzz.peer.pools import examples, golden, gso_input
from tunfuzz.peer.repair import layers_of, repaired
from tunfuzz.values import GsoArguments
from tunproof.corpus.cases import (
    BatchInput,
    ChecksumInput,
    EmitInput,
    GsoInput,
    ParseInput,
    ReadInput,
    VnetFields,
    WriteInput,
)
from tunproof.corpus.load import Corpus

__all__ = ["BLOCK", "Inputs"]

BLOCK = 64
"""Inputs of one operation that run one after the other."""

_EPOCH = 100  # blocks of an operation after which new examples are drawn
_WAYS = 8  # every eighth block of the kernel differential has 10 bytes of vnet header, and no offload at the other end
_AS_IT_IS = 0.2
_MOST_PACKETS = 300
_ORDERS = ("little", "little", "big")
_SIZES = (HEADER_SIZE, *HEADER_SIZES)
_WORDS = (0, 1, 0xFF, 0x100, 0x1234, 0x7FFF, 0x8000, 0xFFFF)


Attempt = Callable[[str, Callable[[], Input]], Input | None]
"""Calls something, and returns None if that fails: `Mishaps.attempt`."""


class Inputs:
    """The inputs of one operation and seed, block by block. An input that cannot be made is left out."""

    def __init__(self, operation: str, seed: int, corpus: Corpus, attempt: Attempt) -> None:
        self._operation = operation
        self._attempt = attempt
        self._seed = seed
        self._golden = golden(corpus, operation)
        self._frames = self._read() if operation == "read" else iter(())

    def blocks(self) -> Iterator[list[Input]]:
        """Yield blocks endlessly."""
        for number in count():
            one = partial(self._one, Random(f"{self._operation}/{self._seed}/{number}"), number)
            made = (self._attempt("making an input", one) for _ in range(BLOCK))
            yield [given for given in made if given is not None]

    def _read(self) -> Iterator[bytes]:
        corpus = [given.frame for given in self._golden.small if isinstance(given, ReadInput)]
        numbers = (_WAYS * number for number in count())
        return chain.from_iterable(
            (frame for frame, _ in block_of_frames(self._seed, number, corpus)) for number in numbers
        )

    def _one(self, random: Random, number: int) -> Input:
        match self._operation:
            case "read" if random.random() > _AS_IT_IS / 2:
                return ReadInput(frame=next(self._frames))
            case "checksum":
                return _checksum(random)
            case "header":
                return _header(random)
        is_drawn = random.random() < 0.5
        base = (examples(self._operation, self._seed + number // _EPOCH) if is_drawn else self._golden).pick(random)
        chance = random.random()
        if chance < _AS_IT_IS or isinstance(base, ReadInput):
            return base
        changed = _CHANGED[type(base)](base, random)
        return _CHANGED[type(base)](changed, random) if chance > 0.7 else changed


# Numbers ---------------------------------------------------------------------------------------------------------


def _checksum(random: Random) -> ChecksumInput:
    length = random.choice((random.randrange(8), random.randrange(80), random.randrange(300), random.randrange(3000)))
    filling = random.random()
    data = bytes(length) if filling < 0.1 else b"\xff" * length if filling < 0.3 else random.randbytes(length)
    return ChecksumInput(data=data, initial=random.choice((0, 0, 0xFFFF, 1, random.getrandbits(16))))


def _header(random: Random) -> ParseInput | EmitInput:
    size, order = random.choice(_SIZES), random.choice(_ORDERS)
    if random.random() < 0.5:
        length = size if random.random() < 0.6 else random.randrange(size + 8)
        return ParseInput(bytes=random.randbytes(length), size=size, byte_order=order)  # type: ignore[arg-type]
    words = [random.choice((*_WORDS, random.getrandbits(16))) for _ in range(5)]
    bytes_ = [word & 0xFF for word in (random.choice(_WORDS), random.getrandbits(8))]
    if random.random() < 0.1:
        words[random.randrange(4)] = random.choice((0x10000, -1, 0x1FFFF))
    fields = VnetFields(
        flags=bytes_[0],
        gso_type=bytes_[1],
        hdr_len=words[0],
        gso_size=words[1],
        csum_start=words[2],
        csum_offset=words[3],
        num_buffers=words[4] if size >= 12 else None,
        rest=random.randbytes(12) if size >= 24 else None,
    )
    return EmitInput(fields=fields, size=size, byte_order=order)  # type: ignore[arg-type]


# Bytes -----------------------------------------------------------------------------------------------------------


def _other_byte(data: bytes, random: Random) -> bytes:
    """Change one of the first bytes, which are headers."""
    if not data:
        return data
    at = random.randrange(min(len(data), 64))
    value = random.choice((data[at] ^ 1 << random.randrange(8), random.getrandbits(8), 0, 0xFF))
    return b"".join((data[:at], bytes((value,)), data[at + 1 :]))


def _other_field(packet: bytes, random: Random, *, partial: bool) -> bytes:
    """Change a byte of a header, or of the payload, and correct lengths and sums."""
    changed = repaired(_other_byte(packet, random), partial=partial)
    return changed if layers_of(changed) is not None else packet


def _poison(random: Random) -> bytes | None:
    return random.choice((None, b"\x00", b"\xff", b"\xa5"))


# A packet --------------------------------------------------------------------------------------------------------


def _write(given: WriteInput, random: Random) -> WriteInput:
    packet = given.packet
    match random.randrange(4):
        case 0:
            packet = packet[: random.randrange(len(packet) + 1)]
        case 1:
            packet += random.randbytes(random.randrange(20))
        case _:
            packet = _other_byte(packet, random)
    return WriteInput(packet=packet, poison=_poison(random))


# Arguments of write_gso ------------------------------------------------------------------------------------------


def _whole(given: GsoInput) -> GsoArguments:
    return GsoArguments(given.hdr, given.transport_hdr, given.pays)


def _cut(data: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(data[at : at + size] for at in range(0, len(data), size))


def _finished(one: GsoArguments) -> GsoArguments:
    """Return the arguments with lengths and sums as the contract requires; unchanged if they make no packet."""
    if not one.hdr or len(one.transport_hdr) < 8 or len(b"".join(one.pays)) > 65000:
        return one
    packet = repaired(b"".join((one.hdr, one.transport_hdr, *one.pays)), partial=True)
    at = len(one.hdr)
    return GsoArguments(packet[:at], packet[at : at + len(one.transport_hdr)], one.pays)


def _other_headers(one: GsoArguments, random: Random) -> GsoArguments:
    in_first = random.random() < 0.5
    hdr = _other_byte(one.hdr, random) if in_first else one.hdr
    transport_hdr = one.transport_hdr if in_first else _other_byte(one.transport_hdr, random)
    return GsoArguments(hdr, transport_hdr, one.pays)


def _other_sizes(one: GsoArguments, random: Random) -> GsoArguments:
    """Split the payload, or a part of it, into other fragments."""
    payload = b"".join(one.pays)
    size = random.choice((8, 9, random.randrange(1, 64), max(len(payload) - 1, 1), len(payload) or 1))
    payload = payload[: random.choice((len(payload), random.randrange(len(payload) + 1)))]
    return GsoArguments(one.hdr, one.transport_hdr, _cut(payload, size))


def _other_fragments(one: GsoArguments, random: Random) -> GsoArguments:
    """Drop, repeat, empty, shorten or exchange a fragment."""
    pays = list(one.pays)
    if not pays:
        return one
    at = random.randrange(len(pays))
    match random.randrange(5):
        case 0:
            del pays[at]
        case 1:
            pays.insert(at, pays[at])
        case 2:
            pays.insert(at, b"")
        case 3:
            pays[at] = pays[at][:-1]
        case _:
            pays[at], pays[-1] = pays[-1], pays[at]
    return GsoArguments(one.hdr, one.transport_hdr, tuple(pays))


_ARGUMENTS: tuple[Callable[[GsoArguments, Random], GsoArguments], ...] = (
    _other_headers,
    _other_sizes,
    _other_fragments,
)


def _write_gso(given: GsoInput, random: Random) -> GsoInput:
    changed = random.choice(_ARGUMENTS)(_whole(given), random)
    return gso_input(_finished(changed) if random.random() < 0.7 else changed)


# Batches ---------------------------------------------------------------------------------------------------------


def _write_batch(given: BatchInput, random: Random) -> BatchInput:
    packets = list(given.packets[:_MOST_PACKETS])
    if packets:
        at = random.randrange(len(packets))
        match random.randrange(8):
            case 0:
                del packets[at]
            case 1:
                packets.insert(at, random.choice(packets))
            case 2:
                packets[at], packets[-1] = packets[-1], packets[at]
            case 3:
                packets[at] = _other_byte(packets[at], random)
            case 4:
                packets[at] = _other_length(packets[at], random)
            case _:
                packets[at] = _other_field(packets[at], random, partial=False)
    return msgspec.structs.replace(given, packets=tuple(packets), poison=_poison(random))


def _other_length(packet: bytes, random: Random) -> bytes:
    """Shorten or lengthen the payload, as if it had been sent that way."""
    layers = layers_of(packet)
    if layers is None or len(packet) > 65000:
        return packet
    at, end = layers.transport_offset, layers.payload_offset
    payload = packet[end:] + bytes(random.randrange(3))
    return assemble(packet[:at], packet[at:end], payload[: random.randrange(len(payload) + 1)])


_CHANGED: dict[type, Callable[..., Input]] = {
    WriteInput: _write,
    GsoInput: _write_gso,
    BatchInput: _write_batch,
}
