"""Making an input smaller for as long as it still shows the same: its structure first, its bytes last.

Greedy and deterministic. Lengths and sums that were correct are corrected again after each step, so that what is left
shows one thing. Parts that make no packet make no candidate.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from tio.virtio import HEADER_SIZE, VnetHeader
from tio.wire import IPv4Layout, IPv6Layout, TcpLayout, VnetLayout
from tunfuzz.build import NoPacketError, assemble, protocol_of
from tunfuzz.differential.minimise import minimise as minimise_bytes
from tunfuzz.peer.cases import Input
from tunfuzz.peer.repair import layers_of, repaired
from tunproof.corpus.cases import BatchInput, ChecksumInput, EmitInput, GsoInput, ParseInput, ReadInput, WriteInput
from tunproof.packets.fields import packet_fields

__all__ = ["candidates", "minimise", "minimise_before"]

_ROUNDS = 2  # a later step's removal may enable an earlier one
_LENGTHS = (0, 1, 8, 9, 16, 17, 24)
_FEW = 8  # packets of a batch, or fragments, up to which each is tried
_LITTLE = "little"
_IN_A_FRAME = [field.name for field in VnetLayout.within(HEADER_SIZE)]

_Step = Callable[[Any], Iterator[Any]]
_Note = Callable[[Exception], None]


def minimise(given: Input, still: Callable[[Input], bool], *, note: _Note) -> Input:
    """Return the smallest input found for which `still` holds; it holds for `given`.

    A step that raises has no more candidates: `note` gets the error, which is a bug of this module.
    """
    for _ in range(_ROUNDS):
        before = given
        for step in _STEPS[type(given)]:
            given = _down(given, step, still, note)
        given = _by_bytes(given, still)
        if given == before:
            break
    return given


def minimise_before(given: Input, still: Callable[[Input], bool], *, note: _Note) -> Input:
    """Return the input with as few others before it as `still` needs. `note` is as in `minimise`."""
    return _down(given, _less_before, still, note)


def candidates(given: Input) -> Iterator[Input]:
    """Yield all that one step makes of an input."""
    for step in _STEPS[type(given)]:
        yield from step(given)


def _down(given: Input, step: _Step, still: Callable[[Input], bool], note: _Note) -> Input:
    again = True
    while again:
        again = False
        for candidate in _until_it_raises(step(given), note):
            if candidate != given and still(candidate):
                given, again = candidate, True
                break
    return given


def _until_it_raises(step: Iterator[Input], note: _Note) -> Iterator[Input]:
    while True:
        try:
            candidate = next(step, None)
        except Exception as error:  # noqa: BLE001 (whatever a step raises, what was found stays)
            note(error)
            return
        if candidate is None:
            return
        yield candidate


def _by_bytes(given: Input, still: Callable[[Input], bool]) -> Input:
    """Cut and zero the bytes of an input that is a single run of bytes."""
    name = _BYTES.get(type(given))
    if name is None:
        return given

    def made(data: bytes) -> Input:
        smaller: Input = msgspec.structs.replace(given, **{name: data})
        return smaller

    return made(minimise_bytes(getattr(given, name), lambda data: still(made(data))))


_BYTES: dict[type, str] = {ReadInput: "frame", WriteInput: "packet", ChecksumInput: "data", ParseInput: "bytes"}


# Packets ---------------------------------------------------------------------------------------------------------


def _plainer(packet: bytes, *, partial: bool) -> Iterator[bytes]:
    """Yield packets with less payload, without options, with zeros: sound ones, if `packet` is."""
    layers = layers_of(packet)
    if layers is None:
        return
    at, end = layers.transport_offset, layers.payload_offset
    stem, transport, payload = packet[:at], packet[at:end], packet[end:]
    if repaired(packet, partial=partial) == packet:
        for length in (*_LENGTHS, len(payload) // 2, len(payload) - 1):
            if 0 <= length < len(payload):
                yield from _assembled(stem, transport, payload[:length], partial=partial)
        for headers in _without_options(stem, transport):
            yield from _assembled(*headers, payload, partial=partial)
        yield from _assembled(stem, transport, bytes(len(payload)), partial=partial)
        yield from (repaired(one, partial=partial) for one in _without_a_field(packet))
    yield from _without_a_field(packet)


def _assembled(stem: bytes, transport: bytes, payload: bytes, *, partial: bool) -> Iterator[bytes]:
    """Yield the packet of these parts, if there is one."""
    with contextlib.suppress(NoPacketError):
        yield assemble(stem, transport, payload, partial=partial)


def _without_options(stem: bytes, transport: bytes) -> Iterator[tuple[bytes, bytes]]:
    if stem[0] >> 4 == 4 and len(stem) > IPv4Layout.size:
        yield b"\x45" + stem[1 : IPv4Layout.size], transport
    if stem[0] >> 4 == 6 and len(stem) > IPv6Layout.size:
        bare = bytearray(stem[: IPv6Layout.size])
        bare[IPv6Layout.NEXT_HEADER.offset] = protocol_of(transport)
        yield bytes(bare), transport
    if len(transport) > TcpLayout.size:
        bare = bytearray(transport[: TcpLayout.size])
        at = TcpLayout.DATA_OFFSET_RESERVED.offset
        bare[at] = 0x50 | bare[at] & 15
        yield stem, bytes(bare)


def _without_a_field(packet: bytes) -> Iterator[bytes]:
    for field in packet_fields(packet):
        if any(packet[field.start : field.end]) and "version" not in field.name:
            yield packet[: field.start] + bytes(field.end - field.start) + packet[field.end :]


# Steps: each yields something slightly smaller. ------------------------------------------------------------------


def _less_before(given: Any) -> Iterator[Any]:
    for before in _fewer(given.before):
        yield msgspec.structs.replace(given, before=before)


def _fewer(items: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the items without some of them: all, halves, quarters, single ones."""
    size = len(items)
    while size:
        for start in range(0, len(items), size):
            yield items[:start] + items[start + size :]
        size //= 2


def _no_poison(given: Any) -> Iterator[Any]:
    yield msgspec.structs.replace(given, poison=None)


def _smaller_frame(given: ReadInput) -> Iterator[ReadInput]:
    frame = given.frame
    if len(frame) < HEADER_SIZE:
        return
    header, packet = VnetHeader.parse(frame, byte_order=_LITTLE), frame[HEADER_SIZE:]
    pairs = [*_smaller_segments(header, packet), *_moved(header, packet)]
    pairs += [(header.with_(**{name: 0}), packet) for name in _IN_A_FRAME]
    for each, rest in pairs:
        yield msgspec.structs.replace(given, frame=(each.emit(byte_order=_LITTLE) + rest))


def _smaller_segments(header: VnetHeader, packet: bytes) -> Iterator[tuple[VnetHeader, bytes]]:
    """Yield superpackets of two segments, or three, of few bytes."""
    layers = layers_of(packet)
    if not header.gso_type or layers is None:
        return
    for size in (8, header.gso_size // 2):
        for length in (2 * size, size + 1, 3 * size):
            shorter = packet[: layers.payload_offset + length]
            if 0 < size < header.gso_size and len(shorter) < len(packet):
                yield header.with_(gso_size=size), repaired(shorter, partial=header.needs_csum)


def _moved(header: VnetHeader, packet: bytes) -> Iterator[tuple[VnetHeader, bytes]]:
    """Yield simpler packets, each with a vnet header that matches its headers."""
    old = layers_of(packet)
    for smaller in _plainer(packet, partial=header.needs_csum):
        new = layers_of(smaller)
        changed = header
        if old is not None and new is not None:
            if header.csum_start == old.transport_offset:
                changed = changed.with_(csum_start=new.transport_offset)
            if header.hdr_len == old.payload_offset:
                changed = changed.with_(hdr_len=new.payload_offset)
        yield changed, smaller


def _smaller_arguments(given: GsoInput) -> Iterator[GsoInput]:
    """Yield calls with less payload, sound ones if this one is; then ones with plainer headers and as much payload."""
    hdr, transport_hdr, pays = given.hdr, given.transport_hdr, given.pays
    whole = b"".join((hdr, transport_hdr, *pays))
    is_sound = repaired(whole, partial=True) == whole
    for fewer in _less_payload(pays):
        packet = b"".join((hdr, transport_hdr, *fewer))
        packet = repaired(packet, partial=True) if is_sound else packet
        yield _split(given, packet, len(hdr), len(transport_hdr), [len(pay) for pay in fewer])
    sizes = [len(pay) for pay in pays]
    for packet in _plainer(whole, partial=True):
        layers = layers_of(packet)
        if len(packet) == len(whole):
            yield _split(given, packet, len(hdr), len(transport_hdr), sizes)
        elif layers is not None and len(packet) - layers.payload_offset == sum(sizes):
            first, second = layers.transport_offset, layers.payload_offset - layers.transport_offset
            yield _split(given, packet, first, second, sizes)


def _less_payload(pays: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield the first or last fragments, then shorter ones, then zeros, then one shorter fragment among the others."""
    for number in (0, 1, 2, 3, len(pays) // 2, len(pays) - 1):
        if 0 <= number < len(pays):
            yield pays[:number]
            yield pays[len(pays) - number :]
    most = max(map(len, pays), default=0)
    for length in (8, 1, most // 2):
        if 0 < length < most:
            yield [pay[:length] for pay in pays]
    yield [bytes(len(pay)) for pay in pays]
    if len(pays) <= _FEW:
        yield from _one_shorter(pays)


def _one_shorter(pays: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for at, pay in enumerate(pays):
        for length in (1, 8, 9):
            if length < len(pay):
                yield [*pays[:at], pay[:length], *pays[at + 1 :]]


def _split(given: GsoInput, packet: bytes, first: int, second: int, sizes: list[int]) -> GsoInput:
    pays, at = [], first + second
    for size in sizes:
        pays.append(packet[at : at + size])
        at += size
    return msgspec.structs.replace(
        given, hdr=packet[:first], transport_hdr=packet[first : first + second], pays=tuple(pays)
    )


def _fewer_packets(given: BatchInput) -> Iterator[BatchInput]:
    for packets in _fewer(given.packets):
        yield msgspec.structs.replace(given, packets=packets)


def _plainer_packets(given: BatchInput) -> Iterator[BatchInput]:
    """Yield batches in which the same is removed from all packets, then ones with one simpler packet."""
    packets = given.packets
    if len(packets) > _FEW:
        return
    for together in zip(*(list(_plainer(packet, partial=False)) for packet in packets), strict=False):
        yield msgspec.structs.replace(given, packets=tuple(together))
    for index, packet in enumerate(packets):
        for smaller in _plainer(packet, partial=False):
            yield msgspec.structs.replace(given, packets=(*packets[:index], smaller, *packets[index + 1 :]))


def _from_zero(given: ChecksumInput) -> Iterator[ChecksumInput]:
    yield msgspec.structs.replace(given, initial=0)


def _smaller_header(given: Any) -> Iterator[Any]:
    yield msgspec.structs.replace(given, byte_order=_LITTLE)
    if isinstance(given, EmitInput):
        for name, value in msgspec.structs.asdict(given.fields).items():
            if value:
                zero = bytes(12) if name == "rest" else 0
                yield msgspec.structs.replace(given, fields=msgspec.structs.replace(given.fields, **{name: zero}))


_STEPS: dict[type, tuple[_Step, ...]] = {
    ReadInput: (_less_before, _smaller_frame),
    WriteInput: (_less_before, _no_poison),
    GsoInput: (_less_before, _smaller_arguments),
    BatchInput: (_less_before, _no_poison, _fewer_packets, _plainer_packets),
    ChecksumInput: (_from_zero,),
    ParseInput: (_smaller_header,),
    EmitInput: (_smaller_header,),
}
