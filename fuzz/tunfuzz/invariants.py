"""What must hold for the reference, and for the kernel beside it, as plain functions.

Each takes a value from one of the strategies and raises `AssertionError` with a message that says what was found. The
property tests and `python -m tunfuzz` call the same functions. An invariant that needs to read a packet does so by
itself, without `tio.wire`: the code under test must not decide what is correct.
"""

import contextlib
import itertools
import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

import tio
from tio import Plain, Superpacket
from tunfuzz.rules import violations
from tunfuzz.values import Framed, GsoArguments, Lifecycle, VnetBytes
from tunproof.corpus.script import Answer
from tunproof.subjects.lifecycle.player import play

__all__ = [
    "FrameSender",
    "check_answers",
    "check_arguments",
    "check_header_bytes",
    "check_joined_headers",
    "check_joins_back",
    "check_kernel_agrees",
    "check_kernel_completes",
    "check_legal_arguments",
    "check_lifecycle",
    "check_only_frame_errors",
    "check_same_in_any_layout",
    "check_transparent",
]

# Segmenting, then joining ---------------------------------------------------------------------------------------


def check_joins_back(framed: Framed) -> None:
    """Test that segmenting a canonical superpacket and joining the pieces gives it back, packet and vnet header."""
    joined = tio.coalesce(tio.segment(framed.frame()))
    if len(joined) != 1:
        kinds = [f"{type(item).__name__} of {len(item.frame()) - 10} bytes" for item in joined]
        raise AssertionError(f"the segments were not joined into one superpacket but into {kinds[:8]}")
    back = Framed.parse(joined[0].frame())
    if back.header != framed.header:
        raise AssertionError(f"the vnet header was {framed.header} and came back as {back.header}")
    _same_bytes("the packet, segmented and joined", back.packet, framed.packet)


# Joining, then segmenting ---------------------------------------------------------------------------------------


def check_transparent(packets: Sequence[bytes]) -> None:
    """Test that joining any packets and segmenting the result gives them back: once, unchanged, in order within a flow.

    A TCP checksum of 0x0000 may come back as 0xFFFF, and vice versa. Plain packets are the same objects as the input,
    and payloads are views of them.
    """
    storage = [bytearray(packet) for packet in packets]
    # Readers lend views, others pass their own bytes: each kind in turn.
    inputs = [memoryview(data) if index % 2 else data for index, data in enumerate(storage)]
    joined = tio.coalesce(inputs)
    index_of = {id(data): index for index, data in enumerate(storage)}
    order: list[int] = []
    for item in joined:
        order += _plain(item, inputs, index_of) if isinstance(item, Plain) else _joined(item, packets, index_of)
    if sorted(order) != list(range(len(packets))):
        raise AssertionError(f"{len(packets)} packets went in, and these came out (by index): {order}")
    if [bytes(data) for data in storage] != list(packets):
        raise AssertionError("the input packets were changed")
    _check_order(packets, order)


def _plain(item: Plain, inputs: Sequence[object], index_of: dict[int, int]) -> list[int]:
    """Return which input a plain packet is."""
    data = item.packet.obj if isinstance(item.packet, memoryview) else item.packet
    index = index_of.get(id(data))
    if index is None or item.packet is not inputs[index]:
        raise AssertionError("a plain packet is not the object that went in")
    return [index]


def _joined(item: Superpacket, packets: Sequence[bytes], index_of: dict[int, int]) -> list[int]:
    """Return which inputs a superpacket stands for; test that segmenting it gives them."""
    indices = []
    for pay in item.pays:
        if not isinstance(pay, memoryview) or id(pay.obj) not in index_of:
            raise AssertionError("a fragment of a superpacket is not a view of a packet that went in")
        indices.append(index_of[id(pay.obj)])
    pieces = tio.segment(item.frame())
    if len(pieces) != len(indices):
        raise AssertionError(f"a superpacket made of {len(indices)} packets is segmented into {len(pieces)}")
    for index, piece in zip(indices, pieces, strict=True):
        if _same_zero(piece) != _same_zero(packets[index]):
            _same_bytes(f"packet {index}, joined and segmented", piece, packets[index])
    return indices


def _same_zero(packet: bytes) -> bytes:
    """Return a packet that can be joined with the one of the two zeros replaced: as a TCP checksum they are equal."""
    protocol, transport = _transport(packet)
    if protocol != 6 or packet[transport + 16 : transport + 18] != b"\xff\xff":
        return packet
    return packet[: transport + 16] + b"\0\0" + packet[transport + 18 :]


def _check_order(packets: Sequence[bytes], order: Sequence[int]) -> None:
    """Test that no packet overtook one that it may belong together with.

    A flow is addresses, protocol and ports. A packet whose ports cannot be read belongs to every flow between its
    addresses; packets without addresses form their own group.
    """
    flows: dict[bytes, dict[bytes, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index in order:
        pair, ports = _flow(packets[index])
        flows[pair][ports].append(index)
    place = {index: position for position, index in enumerate(order)}
    for between in flows.values():
        anybodys = between.get(b"", [])
        for flow in between.values():
            both = sorted({*flow, *anybodys})
            for before, after in itertools.pairwise(both):
                if place[before] > place[after]:
                    raise AssertionError(f"packet {after} overtook packet {before} of its flow: {order}")


def _flow(packet: bytes) -> tuple[bytes, bytes]:
    """Return the addresses of a packet (b"": it has none) and its protocol and ports (b"": they cannot be read)."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        pair = packet[12:20]
        fragment = int.from_bytes(packet[6:8], "big") & 0x3FFF
    elif version == 6 and len(packet) >= 40:
        pair = packet[8:40]
        fragment = 0  # a Fragment header is neither TCP nor UDP
    else:
        return b"", b""
    protocol, transport = _transport(packet)
    ports = packet[transport : transport + 4]
    if fragment or protocol not in {6, 17} or len(ports) < 4:
        return pair, b""
    return pair, bytes((protocol,)) + ports


def _transport(packet: bytes) -> tuple[int, int]:
    """Return the protocol after the IP header and where it begins; -1 if the headers are truncated or invalid."""
    if packet[0] >> 4 == 4:
        length = (packet[0] & 15) * 4
        return (packet[9], length) if length >= 20 else (-1, 0)
    protocol, at = packet[6], 40
    while protocol in {0, 43, 60}:
        if at + 2 > len(packet):
            return -1, 0
        protocol, at = packet[at], at + 8 * (packet[at + 1] + 1)
    return protocol, at


# The headers of what was joined ---------------------------------------------------------------------------------


def check_joined_headers(packets: Sequence[bytes]) -> None:
    """Test that every joined superpacket passes `check_geometry`, satisfies V2 to V11, and can be segmented."""
    for item in tio.coalesce(packets):
        if isinstance(item, Superpacket):
            _check_frame(item)


def check_arguments(arguments: GsoArguments) -> None:
    """Test that what `check_geometry` accepts satisfies V2 to V11 and is segmented into its fragments again.

    It also raises nothing but `FrameError`.
    """
    item = Superpacket(arguments.hdr, arguments.transport_hdr, arguments.pays)
    try:
        tio.check_geometry(item.hdr, item.transport_hdr, item.pays)
    except tio.FrameError:
        return
    _check_frame(item)


def check_legal_arguments(arguments: GsoArguments) -> None:
    """Test that `check_geometry` accepts legal arguments, and that its result is correct."""
    _check_frame(Superpacket(arguments.hdr, arguments.transport_hdr, arguments.pays))


def _check_frame(item: Superpacket) -> None:
    header = tio.check_geometry(item.hdr, item.transport_hdr, item.pays).header
    frame = item.frame()
    broken = violations(frame) or [str(violation) for violation in tio.violations(frame)]
    if broken:
        raise AssertionError(f"{', '.join(broken)} broken by {header}")
    start = len(item.hdr) + len(item.transport_hdr)
    found = [piece[start:] for piece in tio.segment(frame)]
    if found != [bytes(pay) for pay in item.pays]:
        raise AssertionError(f"{len(item.pays)} fragments became {len(found)} segments with other payloads")


# Any bytes ------------------------------------------------------------------------------------------------------


def check_only_frame_errors(data: bytes) -> None:
    """Test that nothing but `FrameError` is raised, whatever the bytes.

    This covers `VnetHeader.parse`, `segment`, `coalesce` and `check_geometry`.
    """
    for size in (10, 12, 24):
        for order in tio.ByteOrder:
            _tolerant(tio.VnetHeader.parse, data, size=size, byte_order=order)
            _tolerant(tio.segment, data, header_size=size, byte_order=order)
    tio.coalesce([data, data[10:], data])
    for border in (20, 28, 40, len(data) // 2):
        _tolerant(tio.check_geometry, data[:20], data[20:border], [data[border:]])
        _tolerant(tio.check_geometry, data[:border], data[border : border + 20], [data[60:]] * 2)


def _tolerant(call: Callable[..., object], *arguments: object, **keywords: object) -> None:
    with contextlib.suppress(tio.FrameError):
        call(*arguments, **keywords)


# Vnet headers ---------------------------------------------------------------------------------------------------


def check_header_bytes(given: VnetBytes) -> None:
    """Test that a complete header is read as virtio lays it out and emitted unchanged, and less is rejected by H1."""
    data, size = given.data, given.size
    try:
        header = tio.VnetHeader.parse(data, size=size, byte_order=given.byte_order)
    except tio.HeaderError as error:
        if len(data) >= size or error.rule != "H1":
            raise AssertionError(f"{len(data)} bytes, for a header of {size}: {error}") from error
        return
    if len(data) < size:
        raise AssertionError(f"{len(data)} bytes were taken for a header of {size}")
    order = "<" if given.byte_order == tio.ByteOrder.LITTLE else ">"
    wanted = struct.unpack(f"{order}BBHHHHH", data[:size].ljust(12, b"\0")[:12])
    if header[:7] != wanted:
        raise AssertionError(f"the fields are {wanted}, and were read as {header}")
    _same_bytes("the header, emitted", header.emit(size=size, byte_order=given.byte_order), data[:size])


def check_same_in_any_layout(framed: Framed) -> None:
    """Test that a frame gives the same packets with vnet headers of any size and byte order."""
    try:
        found: object = tio.segment(framed.frame(), header_size=framed.size, byte_order=framed.byte_order)
    except tio.FrameError as error:
        found = (error.rule, error.field, error.found)
    try:
        wanted: object = tio.segment(Framed(framed.header, framed.packet).frame())
    except tio.FrameError as error:
        wanted = (error.rule, error.field, error.found)
    if found != wanted:
        raise AssertionError(f"{framed.size} bytes, {framed.byte_order}: {found}, with a header of 10 bytes {wanted}")


# Lifecycles -----------------------------------------------------------------------------------------------------


def check_lifecycle(lifecycle: Lifecycle) -> None:
    """Test that the reference, on wires, gives a correct answer to each step."""
    check_answers(lifecycle, play(lifecycle.script))


def check_answers(lifecycle: Lifecycle, answers: Sequence[Answer]) -> None:
    """Test that these answers are among the correct ones, step by step."""
    steps = lifecycle.script.steps
    for index, (step, right, answer) in enumerate(zip(steps, lifecycle.answers.answers, answers, strict=False)):
        if answer not in right:
            raise AssertionError(f"step {index}, {step}: {answer} instead of {' or '.join(map(str, right))}")
    if len(answers) != len(steps):
        raise AssertionError(f"{len(answers)} answers to {len(steps)} steps")


# The kernel -----------------------------------------------------------------------------------------------------


class FrameSender(Protocol):
    """The part of `tunproof.lab.Exchange` that is needed here."""

    def send(self, frame: bytes, hint: int) -> object:
        """Write a frame and return its outcome; `hint` is how many packets are expected."""
        ...


def check_kernel_agrees(framed: Framed, kernel: FrameSender) -> None:
    """Test that the kernel (a `redirect` lab) delivers exactly the packets that `segment` gives, byte for byte."""
    expected = tio.segment(framed.frame())
    outcome = kernel.send(framed.frame(), len(expected))
    packets = getattr(outcome, "packets", None)
    if packets is None:
        raise AssertionError(f"the kernel's answer is {outcome}; the reference gives {len(expected)} packets")
    if len(packets) != len(expected):
        raise AssertionError(f"the kernel gives {len(packets)} packets, the reference {len(expected)}")
    for index, (found, wanted) in enumerate(zip(packets, expected, strict=True)):
        _same_bytes(f"packet {index} of {len(expected)}: the kernel's, against the reference's", found, wanted)


def check_kernel_completes(framed: Framed, kernel: FrameSender) -> None:
    """Test that the kernel completes a partial checksum as `complete_checksum` and `segment` do, byte for byte."""
    header = framed.header
    completed = tio.complete_checksum(framed.packet, header.csum_start, header.csum_offset)
    _same_bytes("complete_checksum, against segment", completed, tio.segment(framed.frame())[0])
    check_kernel_agrees(framed, kernel)


# Messages -------------------------------------------------------------------------------------------------------


def _same_bytes(what: str, found: bytes, wanted: bytes) -> None:
    """Raise with the first difference: two dumps of 65535 bytes are unreadable."""
    if found == wanted:
        return
    pairs = zip(found, wanted, strict=False)
    at = next((place for place, (left, right) in enumerate(pairs) if left != right), min(len(found), len(wanted)))
    raise AssertionError(
        f"{what}: {len(found)} bytes against {len(wanted)}, different from byte {at}:"
        f" {found[at : at + 8].hex(' ')} against {wanted[at : at + 8].hex(' ')}"
    )
