"""Strategies for batches: what a reader of a busy tunnel hands to a coalescer at once.

A batch is played, not drawn: a few flows, and a list of steps ("flow 1 sends three packets of data, flow 0 repeats
one"). Shrinking removes steps, and what remains is still a conversation.
"""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tio import segment
from tio.wire import IPv4Layout, IPv6Layout, TcpFlag, TcpLayout, UdpLayout
from tunfuzz.build import (
    FRAGMENT,
    MAX_PACKET,
    TCP,
    UDP,
    add_to_word,
    assemble,
    checksum_offset,
    filler,
    protocol_of,
    with_length,
)
from tunfuzz.strategies.anything import packets
from tunfuzz.strategies.headers import ip_headers, transport_headers
from tunfuzz.strategies.superpackets import canonical_superpackets
from tunfuzz.values import Framed

__all__ = ["batches"]

_PSH, _FIN, _CWR = int(TcpFlag.PSH), int(TcpFlag.FIN), int(TcpFlag.CWR)
_FLAGS, _SEQUENCE, _IDENTIFICATION = TcpLayout.FLAGS.offset, TcpLayout.SEQUENCE.span, IPv4Layout.IDENTIFICATION.span
_MOST_BYTES = 1 << 19
"""A batch stops growing here: nothing that can be wrong needs more, and time is better spent on the next one."""


class _Flow:
    """One side of a conversation: what its next packet looks like, and what it has sent."""

    def __init__(self, stem: bytes, transport: bytes, size: int, step: int) -> None:
        self.stem = bytearray(stem)
        self.transport = bytearray(transport)
        if self.is_tcp:
            self.transport[_FLAGS] &= ~(_PSH | _FIN | _CWR)  # on every packet they would keep all from being joined
        self.size = size
        self.step = step  # of IPv4 identifications; not all senders count, once DF is set
        self.sent: list[bytes] = []

    def send(self, size: int, flags: int = 0, *, zero: bool = False) -> bytes:
        """Return the next packet, and get ready for the one after it. `zero`: its checksum comes out as zero."""
        transport = bytearray(self.transport)
        if self.is_tcp:
            transport[_FLAGS] |= flags
        payload = filler(size, len(self.sent))
        packet = assemble(bytes(self.stem), bytes(transport), payload)
        if zero and size >= 2:
            payload = add_to_word(payload, 0, int.from_bytes(packet[self.checksum_at : self.checksum_at + 2], "big"))
            packet = assemble(bytes(self.stem), bytes(transport), payload)
        self.skip(size)
        self.skip_identification()
        self.sent.append(packet)
        return packet

    @property
    def is_tcp(self) -> bool:
        return protocol_of(bytes(self.transport)) == TCP

    @property
    def checksum_at(self) -> int:
        return len(self.stem) + checksum_offset(bytes(self.transport))

    def skip(self, size: int) -> None:
        if self.is_tcp:
            sequence = int.from_bytes(self.transport[_SEQUENCE], "big") + size
            self.transport[_SEQUENCE] = (sequence & 0xFFFFFFFF).to_bytes(4, "big")

    def skip_identification(self) -> None:
        if self.stem[0] >> 4 == 4:
            number = int.from_bytes(self.stem[_IDENTIFICATION], "big") + self.step
            self.stem[_IDENTIFICATION] = (number & 0xFFFF).to_bytes(2, "big")


# Each step gets the flow and a number from 0 to 47, and returns what is sent. --------------------------------------


def _data(flow: _Flow, number: int) -> list[bytes]:
    """Send one to six packets of one size."""
    return [flow.send(flow.size) for _ in range(1 + number // 8)]


def _much_data(flow: _Flow, number: int) -> list[bytes]:
    """Send more packets of one size, even more than UDP or `writev` can join."""
    return [flow.send(flow.size) for _ in range((20, 40, 20, 130, 20, 40, 20, 1025)[number % 8])]


def _just_fits(flow: _Flow, number: int) -> list[bytes]:
    """Send two packets that would make a superpacket of 65534 to 65537 bytes."""
    room = MAX_PACKET - len(flow.stem) - len(flow.transport) + number % 4 - 1
    return [flow.send(room - room // 2), flow.send(room // 2)]


def _short(flow: _Flow, number: int) -> list[bytes]:
    return [flow.send(max(1, flow.size - 1 - number % flow.size))]


def _long(flow: _Flow, number: int) -> list[bytes]:
    return [flow.send(flow.size + 1 + number)]


def _nothing(flow: _Flow, _number: int) -> list[bytes]:
    """Send a pure ACK, or an empty datagram."""
    return [flow.send(0)]


def _flags(flow: _Flow, number: int) -> list[bytes]:
    flags = (_PSH, _FIN, _CWR, _PSH | _FIN, TcpFlag.SYN, TcpFlag.RST, TcpFlag.URG, TcpFlag.ECE)[number % 8]
    return [flow.send(flow.size, flags)]


def _repeat(flow: _Flow, number: int) -> list[bytes]:
    """Send a packet, and one of those that were sent, which may be the same."""
    return [flow.send(flow.size), flow.sent[-1 - number % len(flow.sent)]]


def _gap(flow: _Flow, number: int) -> list[bytes]:
    """Send two packets with a hole in the sequence numbers between them."""
    first = flow.send(flow.size)
    flow.skip(number - 8)
    return [first, flow.send(flow.size)]


def _gap_in_identification(flow: _Flow, _number: int) -> list[bytes]:
    first = flow.send(flow.size)
    flow.skip_identification()
    return [first, flow.send(flow.size)]


def _other_header(flow: _Flow, number: int) -> list[bytes]:
    """Change a field between two packets that all packets of a superpacket share.

    That is: class and DSCP, TTL or hop limit, acknowledgment, window.
    """
    hops = IPv4Layout.TTL if flow.stem[0] >> 4 == 4 else IPv6Layout.HOP_LIMIT
    places = [(flow.stem, IPv4Layout.DSCP_ECN.offset), (flow.stem, hops.offset)]
    if flow.is_tcp:
        places += [(flow.transport, field.end - 1) for field in (TcpLayout.ACKNOWLEDGMENT, TcpLayout.WINDOW)]
    first = flow.send(flow.size)
    header, at = places[number % len(places)]
    header[at] = (header[at] + 1) & 0xFF
    return [first, flow.send(flow.size)]


def _wrong_checksum(flow: _Flow, number: int) -> list[bytes]:
    """Send two packets; the first has a checksum or an IPv4 header checksum that is off by a bit, or no checksum."""
    packet, at = bytearray(flow.send(flow.size)), flow.checksum_at
    if number % 3 == 0:
        packet[at + 1] ^= 1
    elif number % 3 == 1 or packet[0] >> 4 == 6:
        packet[at : at + 2] = b"\0\0"
    else:
        packet[IPv4Layout.CHECKSUM.end - 1] ^= 1
    return [bytes(packet), flow.send(flow.size)]


def _between(flow: _Flow, number: int) -> list[bytes]:
    """Send two packets, and between them one with the same addresses whose headers are cut off or say nothing."""
    first = flow.send(flow.size)
    at, ipv4 = len(flow.stem), first[0] >> 4 == 4
    follows = (IPv4Layout.PROTOCOL if ipv4 else IPv6Layout.NEXT_HEADER).offset
    match number % 3:
        case 0:  # more options than there are, or an extension header that is not there
            foreign = bytes((0x4F,)) + first[1:30] if ipv4 else _with_byte(first[:41], follows, 0)
        case 1:  # ports and no more
            foreign = with_length(first[:at], at + 4) + first[at : at + 4]
        case _:  # another protocol
            foreign = with_length(_with_byte(first[:at], follows, 50), len(first)) + first[at:]
    return [first, foreign, flow.send(flow.size)]


def _with_byte(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes((value,)) + data[at + 1 :]


def _zero_checksum(flow: _Flow, number: int) -> list[bytes]:
    """Send three packets, of which one has a checksum of zero: as it should be written, or as the other zero.

    For TCP both are right; for UDP 0x0000 means that there is none.
    """
    first = flow.send(flow.size)
    packet, at = bytearray(flow.send(flow.size, zero=True)), flow.checksum_at
    if number % 2 and bytes(packet[at : at + 2]) in {b"\0\0", b"\xff\xff"}:
        packet[at : at + 2] = bytes((packet[at] ^ 0xFF,)) * 2
    return [first, bytes(packet), flow.send(flow.size)]


def _wrong_length(flow: _Flow, number: int) -> list[bytes]:
    """Send two packets; the first is longer or shorter than its headers say, or right but for one length field."""
    packet = flow.send(flow.size)
    match number % 4:
        case 0:
            packet = packet[: -1 - number % flow.size]
        case 1:
            packet += bytes(1 + number)
        case 2:
            packet = with_length(packet[: len(flow.stem)], len(packet) + number) + packet[len(flow.stem) :]
        case _:
            packet = packet if flow.is_tcp else _with_wrong_udp_length(packet, len(flow.stem))
    return [packet, flow.send(flow.size)]


def _with_wrong_udp_length(packet: bytes, at: int) -> bytes:
    """Return the packet with a UDP length that is too small by one, and a checksum that goes with it."""
    header = bytearray(packet[at : at + UdpLayout.size])
    length = int.from_bytes(header[UdpLayout.LENGTH.span], "big")
    header[UdpLayout.LENGTH.span] = (length - 1).to_bytes(2, "big")
    shorter = packet[:at] + bytes(header) + packet[at + UdpLayout.size :]
    return add_to_word(shorter, at + UdpLayout.CHECKSUM.offset, 1)


def _fragment(flow: _Flow, number: int) -> list[bytes]:
    """Send two fragments between the same addresses: first, middle or last ones."""
    place = (0x2000, 0x2001, 0x0001)[number % 3]
    return [_as_fragment(flow.send(flow.size), len(flow.stem), place) for _ in range(2)]


def _as_fragment(packet: bytes, at: int, place: int) -> bytes:
    if packet[0] >> 4 == 4:
        stem = bytearray(packet[:at])
        stem[IPv4Layout.FRAGMENT.span] = place.to_bytes(2, "big")
        return with_length(bytes(stem), len(packet)) + packet[at:]
    fixed, rest = packet[: IPv6Layout.size], packet[IPv6Layout.size :]
    follows = IPv6Layout.NEXT_HEADER.offset
    header = bytes((fixed[follows], 0)) + (place & 0xFFF or 1).to_bytes(2, "big") + bytes(4)
    return with_length(_with_byte(fixed, follows, FRAGMENT) + header, len(packet) + len(header)) + rest


_Step = Callable[[_Flow, int], list[bytes]]
_USUAL: tuple[_Step, ...] = (_data, _data, _data, _short, _data, _nothing, _repeat, _data, _flags)
_BROKEN: tuple[_Step, ...] = (_fragment, _wrong_checksum, _zero_checksum, _wrong_length, _between)
_JUMPY: tuple[_Step, ...] = (_gap, _gap_in_identification, _other_header, _long, _just_fits, _much_data)
# None stands for packets that no flow of the batch sends.
_STEPS: tuple[_Step | None, ...] = (*_USUAL, *_BROKEN, *_JUMPY, None, None)

_FLOWS = 4
_NUMBERS = 48
_Event = tuple[_Step | None, int, int]  # step, flow, and the step's own number
_EVENT = st.tuples(st.sampled_from(_STEPS), st.sampled_from((0, 0, 0, 1, 1, 2, 3)), st.sampled_from(range(_NUMBERS)))
_FEW, _MANY = st.lists(_EVENT, max_size=6), st.lists(_EVENT, min_size=8, max_size=24)
_EVENTS = st.one_of(_FEW, _MANY)


# Up to four flows. Many have the same addresses, and some the same ports.
_FLOW_PARTS = st.lists(
    st.sampled_from((TCP, TCP, UDP)).flatmap(
        lambda number: st.tuples(
            ip_headers(number),
            transport_headers(number, stream=True),
            st.one_of(st.integers(8, 24), st.sampled_from((100, 1400, 9, 20000)), st.integers(1, 9)),
            st.sampled_from((1, 1, 1, 0)),
        )
    ),
    min_size=1,
    max_size=_FLOWS,
)
# What comes from elsewhere: single packets of any kind, and the segments of superpackets.
_FOREIGN = st.lists(
    st.one_of(
        packets().map(lambda packet: [packet]),
        canonical_superpackets(max_segments=6).map(Framed.frame).map(segment),
    ),
    max_size=2,
)


def _play(events: list[_Event], flows: list[_Flow], foreign: list[list[bytes]]) -> list[bytes]:
    batch: list[bytes] = []
    room = _MOST_BYTES
    for step, who, number in events:
        if step is not None:
            sent = step(flows[who % len(flows)], number)
        else:
            sent = foreign[number % len(foreign)] if foreign else []
        room -= sum(map(len, sent))
        if room < 0:
            break
        batch += sent
    return batch


@st.composite
def _batches(draw: st.DrawFn) -> list[bytes]:
    # Events come first: hypothesis likes to repeat the end of an earlier list, and a later one would often be empty.
    events = draw(_EVENTS)
    flows = [_Flow(*parts) for parts in draw(_FLOW_PARTS)]
    needs_foreign = any(step is None for step, _, _ in events)
    return _play(events, flows, draw(_FOREIGN) if needs_foreign else [])


def batches() -> SearchStrategy[list[bytes]]:
    """Draw a list of packets, as a coalescer may get it.

    Up to four flows interleave, TCP and UDP over either IP version, with runs of equal packets (some longer than a
    superpacket may be), shorter and longer ones, pure ACKs, retransmissions, all flags, gaps, changed headers, wrong
    checksums and lengths, fragments between the same addresses, the segments of canonical superpackets, and packets of
    `packets()` in between.
    """
    return _batches()
