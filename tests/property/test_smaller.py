"""Making an input smaller never raises, whatever the input: the minimiser meets what nobody would write by hand."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tio.virtio import GsoType, VnetHeader
from tunfuzz import batches, frames, gso_arguments, hostile_packets, packets, runts
from tunfuzz.build import TCP, UDP, NoPacketError, assemble, ipv6_stem, with_length
from tunfuzz.peer.cases import Input
from tunfuzz.peer.pools import gso_input
from tunfuzz.peer.repair import repaired
from tunfuzz.peer.smaller import candidates, minimise
from tunfuzz.values import GsoArguments
from tunproof.corpus.cases import BatchInput, ChecksumInput, EmitInput, ParseInput, ReadInput, VnetFields, WriteInput

_ADDRESSES = bytes(range(32))
_TCP_HEADER = bytes(12) + b"\x50\x10" + bytes(6)


def _oversized(length: int) -> bytes:
    """An IPv6 packet of TCP that its own length field cannot express: such frames reach the minimiser."""
    return ipv6_stem(_ADDRESSES, TCP) + _TCP_HEADER + bytes(length)


_OVERSIZED = st.integers(65450, 70000).map(_oversized)
_BYTES = st.binary(max_size=120)
_PACKETS = st.one_of(packets(), hostile_packets(), runts(), _OVERSIZED, _BYTES)
_HEADERS = st.tuples(st.integers(0, 255), st.integers(0, 255), *[st.integers(0, 65535)] * 4).map(
    lambda values: VnetHeader(*values).emit(byte_order="little")
)
_FRAMES = st.one_of(frames(), st.builds(lambda header, packet: header + packet, _HEADERS, _PACKETS), _BYTES)
_CUT = st.builds(lambda data, size: data[:size], _FRAMES, st.integers(0, 100))
_FRAGMENTS = st.one_of(_BYTES, st.sampled_from((1400, 65475)).map(bytes))
_NAMES = ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset")
_WORD = st.integers(-1, 0x1FFFF)
_INPUTS: st.SearchStrategy[Input] = st.one_of(
    st.builds(lambda frame, before: ReadInput(frame=frame, before=before), st.one_of(_FRAMES, _CUT), st.tuples(_BYTES)),
    st.builds(lambda packet: WriteInput(packet=packet, poison=b"\xa5"), _PACKETS),
    gso_arguments().map(gso_input),
    st.builds(GsoArguments, _BYTES, _BYTES, st.lists(_FRAGMENTS, max_size=3).map(tuple)).map(gso_input),
    batches().map(lambda packets: BatchInput(packets=tuple(packets))),
    st.lists(_PACKETS, max_size=5).map(lambda packets: BatchInput(packets=tuple(packets))),
    _BYTES.map(lambda data: ChecksumInput(data=data, initial=7)),
    _BYTES.map(lambda data: ParseInput(bytes=data, size=12, byte_order="big")),
    st.builds(VnetFields, **dict.fromkeys(_NAMES, _WORD)).map(
        lambda fields: EmitInput(fields=fields, size=10, byte_order="big")
    ),
)
_HEADER = VnetHeader(flags=1, gso_type=GsoType.TCPV6, hdr_len=60, gso_size=1400, csum_start=40, csum_offset=16)


@given(_INPUTS)
@example(ReadInput(frame=_HEADER.emit(byte_order="little") + _oversized(65600)))
@example(WriteInput(packet=_oversized(65536)))
@example(WriteInput(packet=b""))
def test_no_step_raises(one: Input) -> None:
    for _ in candidates(one):
        pass


@settings(max_examples=40)
@given(_INPUTS)
def test_what_a_test_accepts_is_what_is_left(one: Input) -> None:
    accepted = [one]
    raised: list[Exception] = []

    def still(candidate: Input) -> bool:
        is_smaller = len(accepted) < 9 and len(repr(candidate)) < len(repr(accepted[-1]))
        if is_smaller:
            accepted.append(candidate)
        return is_smaller

    assert minimise(one, still, note=raised.append) == accepted[-1]
    assert raised == []


@given(_PACKETS, st.booleans())
def test_a_packet_that_cannot_be_repaired_stays(packet: bytes, partial: bool) -> None:
    assert len(repaired(packet, partial=partial)) == len(packet)


@given(st.integers(-70000, 140000), st.binary(max_size=60))
def test_no_packet_is_a_word(total: int, stem: bytes) -> None:
    """Parts that make no packet are told by one error, which callers expect."""
    try:
        assert len(with_length(stem, total)) == len(stem)
    except NoPacketError:
        fits = len(stem) >= 12 and 40 <= total <= 65535
        assert not fits
    try:
        assemble(ipv6_stem(_ADDRESSES, UDP), bytes(8), bytes(max(total, 0)))
    except NoPacketError:
        assert total > 65535 - 8


@settings(max_examples=300)
@given(gso_arguments())
def test_no_arguments_are_so_large_that_reading_them_is_the_work(arguments: GsoArguments) -> None:
    """A hang is to be one of the implementation."""
    assert sum(map(len, arguments.pays)) <= 4 * 65535
