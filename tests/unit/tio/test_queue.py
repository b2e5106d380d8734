"""The rules W1 to W9 of a queue, with both backends over a wire."""

import errno
import itertools
import pickle
import struct
from collections.abc import Callable

import pytest

from common.support import (
    PATIENCE,
    STACKS,
    TIMESTAMPS,
    Background,
    Vnet,
    Waits,
    Wire,
    broken_rule,
    build,
    cut,
    ip4,
    pieces,
    superframe,
    tcp,
    text,
    vnet_for,
    with_partial,
)
from tio.coalesce import coalesce
from tio.container import Lending
from tio.errors import (
    Closed,
    ConcurrentRead,
    FrameError,
    Geometry,
    GeometryError,
    KernelRefused,
    PacketError,
    Unsupported,
)
from tio.superpacket import Superpacket

TCP4, TCP6, UDP4, UDP6 = (STACKS[name] for name in ("tcp4", "tcp6", "udp4", "udp6"))
PACKETS = [build(UDP4, text(length)) for length in (5, 1400, 0, 9, 30)]
MakeWire = Callable[..., Wire]
Fail = Callable[..., list[bytes]]


def copies(views: list[memoryview]) -> list[bytes]:
    return [bytes(view) for view in views]


# What goes through.


def test_packets_are_read_in_order(wire: Wire) -> None:
    for packet in PACKETS:
        wire.send(packet)
    assert [copies(wire.queue.read()) for _ in PACKETS] == [[packet] for packet in PACKETS]


def test_packets_are_written_in_order_behind_an_empty_header(wire: Wire) -> None:
    assert [wire.queue.write(packet) for packet in PACKETS] == [len(packet) for packet in PACKETS]
    assert wire.frames() == [wire.header + packet for packet in PACKETS]


def test_longest_packet_is_read_whole(wire: Wire) -> None:
    packet = build(UDP4, text(65535 - 28))
    wire.send(packet)
    assert copies(wire.queue.read()) == [packet]


def test_longest_superpacket_is_read_whole(offload: Wire) -> None:
    payload = text(65535 - 40)
    offload.peer.send(superframe(TCP4, payload, 1448))
    assert copies(offload.queue.read()) == cut(TCP4, payload, 1448)


@pytest.mark.parametrize("name", STACKS)
def test_superpackets_are_read_cut(name: str, offload: Wire) -> None:
    offload.peer.send(superframe(STACKS[name], text(35), 10))
    assert copies(offload.queue.read()) == cut(STACKS[name], text(35), 10)


@pytest.mark.parametrize("name", STACKS)
def test_superpackets_are_written_whole(name: str, offload: Wire) -> None:
    offload.queue.write_gso(*pieces(STACKS[name], text(35), 10))
    assert offload.frames() == [superframe(STACKS[name], text(35), 10)]


@pytest.mark.parametrize("name", STACKS)
def test_one_fragment_is_written_as_a_plain_packet_that_needs_its_checksum(name: str, offload: Wire) -> None:
    offload.queue.write_gso(*pieces(STACKS[name], text(35), 35))
    header = vnet_for(STACKS[name], 0, gso_type=0, hdr_len=0)
    assert offload.frames() == [header + with_partial(STACKS[name], text(35))]


def test_most_fragments_fit_one_writev(offload: Wire) -> None:
    offload.queue.write_gso(*pieces(TCP4, text(8 * 1021), 8))
    assert offload.frames() == [superframe(TCP4, text(8 * 1021), 8)]


def test_what_one_queue_coalesces_and_writes_another_reads_and_cuts(make_wire: MakeWire) -> None:
    one, other = make_wire(), make_wire()
    packets = cut(TCP6, text(35), 10)
    (superpacket,) = coalesce(packets)
    assert isinstance(superpacket, Superpacket)
    one.queue.write_gso(superpacket.hdr, superpacket.transport_hdr, superpacket.pays)
    (frame,) = one.frames()
    other.peer.send(frame)
    assert copies(other.queue.read()) == packets


def test_offload_backend_supports_gso_and_uso_on_a_wire(offload: Wire) -> None:
    assert offload.queue.gso_supported()
    assert offload.queue.uso_supported()


def test_poll_backend_supports_neither_and_refuses_any_superpacket(make_wire: MakeWire) -> None:
    poll = make_wire("poll")
    assert not poll.queue.gso_supported()
    assert not poll.queue.uso_supported()
    for parts in (pieces(TCP4, text(20), 10), pieces(TCP4, text(20), 20), (b"", b"", [])):
        with pytest.raises(Unsupported):
            poll.queue.write_gso(*parts)
    assert poll.frames() == []


@pytest.mark.parametrize("name", STACKS)
def test_write_segments_sends_the_same_data_singly(name: str, wire: Wire) -> None:
    wire.queue.write_segments(Superpacket(*pieces(STACKS[name], text(35), 10)))
    assert wire.frames() == [wire.header + packet for packet in cut(STACKS[name], text(35), 10)]


def test_write_segments_writes_nothing_of_a_wrong_superpacket(wire: Wire) -> None:
    assert broken_rule(GeometryError, wire.queue.write_segments, Superpacket(b"", b"", [])) == "G1"
    assert wire.frames() == []


# W1: read lends.


def test_w1_views_are_read_only(wire: Wire) -> None:
    wire.send(PACKETS[0])
    (view,) = wire.queue.read()
    assert view.readonly
    assert view.format == "B"


def test_w1_views_are_released_at_the_next_read(wire: Wire) -> None:
    wire.send(PACKETS[0])
    wire.send(PACKETS[1])
    (view,) = wire.queue.read()
    wire.queue.read()
    with pytest.raises(ValueError, match="released"):
        bytes(view)


def test_w1_every_view_of_a_superpacket_is_released(offload: Wire) -> None:
    offload.peer.send(superframe(TCP4, text(35), 10))
    offload.send(PACKETS[0])
    views = offload.queue.read()
    assert len(views) == 4
    offload.queue.read()
    for view in views:
        with pytest.raises(ValueError, match="released"):
            view[0]


@pytest.mark.parametrize("close", [lambda wire: wire.queue.close(), lambda wire: wire.container.close()])
def test_w1_views_are_released_at_close(wire: Wire, close: Callable[[Wire], None]) -> None:
    wire.send(PACKETS[0])
    (view,) = wire.queue.read()
    close(wire)
    with pytest.raises(ValueError, match="released"):
        bytes(view)


def test_w1_views_are_released_by_a_read_that_fails(wire: Wire) -> None:
    wire.send(PACKETS[0])
    (view,) = wire.queue.read()
    wire.peer.close()
    with pytest.raises(Closed):
        wire.queue.read()
    with pytest.raises(ValueError, match="released"):
        bytes(view)


SURVIVORS: dict[str, Callable[[memoryview], object]] = {
    "slice": lambda view: view[1:],
    "cast": lambda view: view.cast("b"),
    "memoryview": memoryview,
    "export of the view itself": pickle.PickleBuffer,
}


@pytest.mark.parametrize("survivor", SURVIVORS)
def test_w1_a_slice_that_survives_keeps_showing_its_packet(wire: Wire, survivor: str) -> None:
    packets = [build(UDP4, bytes([fill]) * 100) for fill in range(6)]
    held = []
    for packet in packets:
        wire.send(packet)
        (view,) = wire.queue.read()
        held.append(SURVIVORS[survivor](view))
        del view
        for one, kept in zip(packets, held, strict=False):
            assert bytes(kept) in (one, one[1:])
    wire.close()
    for one, kept in zip(packets, held, strict=True):
        assert bytes(kept) in (one, one[1:])


def test_w1_a_buffer_that_nobody_looks_at_is_used_again() -> None:
    lending = Lending(100)
    first = lending.buffer
    lending.lend([memoryview(first)[:10]])
    lending.reclaim()
    assert lending.buffer is first
    assert len(first) == 100
    (view,) = lending.lend([memoryview(first)[:10]])
    kept = view[2:]
    lending.reclaim()
    assert lending.buffer is not first
    assert len(lending.buffer) == 100
    assert len(kept) == 8


# W2: one reader.


def test_w2_a_second_read_is_refused_and_does_not_disturb_the_first(wire: Wire, waits: Waits) -> None:
    first = Background(lambda: copies(wire.queue.read()))
    waits.next()
    for _ in range(3):
        with pytest.raises(ConcurrentRead):
            wire.queue.read()
    wire.send(PACKETS[0])
    assert first.result() == [PACKETS[0]]
    wire.send(PACKETS[1])
    assert copies(wire.queue.read()) == [PACKETS[1]]


def test_w2_a_second_read_does_not_release_what_is_lent(wire: Wire, waits: Waits) -> None:
    wire.send(PACKETS[0])
    (view,) = wire.queue.read()
    wire.queue._reading.acquire()  # as a first read does before it releases anything
    with pytest.raises(ConcurrentRead):
        wire.queue.read()
    wire.queue._reading.release()
    assert bytes(view) == PACKETS[0]


def test_w2_a_read_that_comes_while_close_releases_views_is_told_closed(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`close` holds the reader's lock for a moment; the only reader must not hear of a concurrent read then."""
    reclaim = Lending.reclaim
    outcomes: list[Background] = []

    def reclaim_while_another_thread_reads(self: Lending) -> None:
        if not outcomes:
            outcomes.append(Background(wire.queue.read))
            outcomes[0]._thread.join(PATIENCE)
        reclaim(self)

    monkeypatch.setattr(Lending, "reclaim", reclaim_while_another_thread_reads)
    wire.queue.close()
    with pytest.raises(Closed):
        outcomes[0].result()


# W3: many writers.


def test_w3_several_threads_write_whole_frames_each_in_its_order(wire: Wire) -> None:
    count, threads = 200, 4
    packets = [
        [b"\x45" + struct.pack(">BH", writer, number) * 100 * (writer + 1) for number in range(count)]
        for writer in range(threads)
    ]

    def write(writer: int) -> None:
        for packet in packets[writer]:
            wire.queue.write(packet)

    writers = [Background(lambda writer=writer: write(writer)) for writer in range(threads)]
    wire.peer.settimeout(PATIENCE)
    received = [wire.peer.recv(1 << 17)[len(wire.header) :] for _ in range(count * threads)]
    for thread in writers:
        thread.result()
    assert sorted(received) == sorted(itertools.chain(*packets))
    for writer, mine in enumerate(packets):
        assert [packet for packet in received if packet[1] == writer] == mine


# W4, W5, W6: what is written, and what is left alone.


def test_w5_an_empty_packet_is_a_no_op_that_never_reaches_the_fd(wire: Wire, fail: Fail) -> None:
    reached = fail("writev", errno.EIO)
    assert [wire.queue.write(empty) for empty in (b"", bytearray(), memoryview(b""))] == [0, 0, 0]
    assert reached == []
    assert wire.frames() == []


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_w6_buffers_of_write_are_neither_copied_nor_changed(
    kind: type, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr("tio.endpoint.os.writev", lambda _, buffers: calls.append(tuple(buffers)))
    packet = kind(bytearray(PACKETS[1]))
    wire.queue.write(packet)
    assert calls[0][-1] is packet
    assert bytes(packet) == PACKETS[1]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_w6_buffers_of_write_gso_are_neither_copied_nor_changed(
    kind: type, offload: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr("tio.endpoint.os.writev", lambda _, buffers: calls.append(tuple(buffers)))
    hdr, transport, pays = pieces(TCP4, text(35), 10)
    buffers = [kind(bytearray(piece)) for piece in (hdr, transport, *pays)]
    offload.queue.write_gso(buffers[0], buffers[1], buffers[2:])
    assert len(calls) == 1
    assert all(given is passed for given, passed in zip(buffers, calls[0][1:], strict=True))
    assert [bytes(buffer) for buffer in buffers] == [hdr, transport, *pays]


# W7: a full queue waits.


def test_w7_a_full_wire_waits_and_then_goes_on(wire: Wire, waits: Waits) -> None:
    total = 2000

    def write_all() -> None:
        for _ in range(total):
            wire.queue.write(PACKETS[1])

    writer = Background(write_all)
    waits.next()
    wire.peer.settimeout(PATIENCE)
    assert [wire.peer.recv(1 << 17) for _ in range(total)] == [wire.header + PACKETS[1]] * total
    writer.result()


def test_w7_a_superpacket_waits_for_room_too(offload: Wire, waits: Waits) -> None:
    payload = text(60000)
    frame = superframe(TCP4, payload, 1448)
    parts = pieces(TCP4, payload, 1448)

    def write_all() -> None:
        for _ in range(20):
            offload.queue.write_gso(*parts)

    writer = Background(write_all)
    waits.next()
    offload.peer.settimeout(PATIENCE)
    assert [offload.peer.recv(1 << 17) for _ in range(20)] == [frame] * 20
    writer.result()


def test_w7_an_empty_queue_waits(wire: Wire, waits: Waits) -> None:
    reader = Background(lambda: copies(wire.queue.read()))
    waits.next()
    wire.send(PACKETS[3])
    assert reader.result() == [PACKETS[3]]


@pytest.mark.parametrize("close", [lambda wire: wire.queue.close(), lambda wire: wire.container.close()])
def test_w7_close_ends_the_wait_of_a_reader(wire: Wire, waits: Waits, close: Callable[[Wire], None]) -> None:
    reader = Background(wire.queue.read)
    waits.next()
    Background(lambda: close(wire)).result()
    with pytest.raises(Closed):
        reader.result()


@pytest.mark.parametrize("close", [lambda wire: wire.queue.close(), lambda wire: wire.container.close()])
def test_w7_close_ends_the_wait_of_writers(wire: Wire, waits: Waits, close: Callable[[Wire], None]) -> None:
    def write_forever() -> None:
        while True:
            wire.queue.write(PACKETS[1])

    writers = [Background(write_forever) for _ in range(3)]
    for _ in writers:
        waits.next()
    Background(lambda: close(wire)).result()
    for writer in writers:
        with pytest.raises(Closed):
            writer.result()


def test_w7_after_close_every_call_raises_closed(offload: Wire) -> None:
    offload.queue.close()
    calls: list[Callable[[], object]] = [
        offload.queue.read,
        lambda: offload.queue.write(PACKETS[0]),
        lambda: offload.queue.write_gso(*pieces(TCP4, text(20), 10)),
        lambda: offload.queue.write_segments(Superpacket(*pieces(TCP4, text(20), 10))),
    ]
    for call in calls:
        with pytest.raises(Closed):
            call()
    assert offload.queue.fd is None


# W8: a frame that cannot be read.

BAD_POLL = {"P1": [b"", b"\x00", b"\x55" * 40]}
BAD_OFFLOAD = {
    "H1": [b"", b"\0", bytes(9)],
    "P1": [bytes(10), Vnet().pack() + b"\x55" * 40],
    "R3": [Vnet(flags=1).pack() + PACKETS[0]],
    "R5": [superframe(TCP4, text(35), 0)],
    "R10": [superframe(TCP4, text(35), 10)[:-1]],
}


@pytest.mark.parametrize("backend", ["poll", "offload"])
@pytest.mark.parametrize("listening", [False, True])
def test_w8_bad_frames_are_dropped_counted_and_shown_and_the_reader_goes_on(
    backend: str, listening: bool, make_wire: MakeWire
) -> None:
    shown: list[tuple[bytes, str]] = []
    callback = (lambda frame, error: shown.append((frame, error.rule))) if listening else None
    wire = make_wire(backend, callback)
    bad = BAD_POLL if backend == "poll" else BAD_OFFLOAD
    for frames in bad.values():
        for frame in frames:
            wire.peer.send(frame)
    wire.send(PACKETS[0])
    assert copies(wire.queue.read()) == [PACKETS[0]]
    assert wire.queue.rejected == {rule: len(frames) for rule, frames in bad.items()}
    if listening:
        assert shown == [(frame, rule) for rule, frames in bad.items() for frame in frames]


def test_w8_a_frame_that_was_shown_may_be_kept(make_wire: MakeWire) -> None:
    shown: list[bytes] = []
    for backend in ("poll", "offload"):
        wire = make_wire(backend, lambda frame, _: shown.append(frame))
        wire.peer.send(b"\x01" * 10 + b"\x11" * 20)
        wire.send(PACKETS[1])
        wire.queue.read()
    assert shown == [b"\x01" * 10 + b"\x11" * 20] * 2
    assert all(isinstance(frame, bytes) for frame in shown)


def test_w8_errors_that_are_kept_do_not_disturb_the_reader(make_wire: MakeWire) -> None:
    kept: list[FrameError] = []
    for backend in ("poll", "offload"):
        wire = make_wire(backend, lambda _, error: kept.append(error))
        for packet in PACKETS:
            wire.peer.send(b"\x01" * 40)
            wire.send(packet)
            assert copies(wire.queue.read()) == [packet]
    assert len(kept) == 2 * len(PACKETS)


def test_w8_closing_inside_on_reject_does_not_deadlock(make_wire: MakeWire) -> None:
    for backend in ("poll", "offload"):
        for closing in ("queue", "container"):
            wires: list[Wire] = []
            wires.append(make_wire(backend, lambda *_, to=wires, what=closing: getattr(to[0], what).close()))
            wires[0].peer.send(b"\x00" * 40)
            reader = Background(wires[0].queue.read)
            with pytest.raises(Closed):
                reader.result()


def test_w8_reading_inside_on_reject_is_a_concurrent_read(make_wire: MakeWire) -> None:
    wires: list[Wire] = []
    wires.append(make_wire("offload", lambda *_: wires[0].queue.read()))
    wires[0].peer.send(b"")
    with pytest.raises(ConcurrentRead):
        wires[0].queue.read()
    wires[0].send(PACKETS[0])
    assert copies(wires[0].queue.read()) == [PACKETS[0]]


def test_w8_a_packet_that_a_vnet_header_cannot_express_is_counted(make_wire: MakeWire, fail: Fail) -> None:
    shown: list[FrameError] = []
    wire = make_wire("offload", lambda _, error: shown.append(error))
    wire.send(PACKETS[0])
    fail("readv", errno.EINVAL, errno.EINVAL)
    assert copies(wire.queue.read()) == [PACKETS[0]]
    assert wire.queue.rejected == {"R4": 2}
    assert [error.rule for error in shown] == ["R4", "R4"]


# W9: what write takes.


@pytest.mark.parametrize("packet", [b"\x00", b"\x35" * 40, b"\x55" * 40, b"\xff" * 40])
def test_w9_a_packet_has_version_4_or_6(wire: Wire, packet: bytes) -> None:
    assert broken_rule(PacketError, wire.queue.write, packet) == "P1"
    assert wire.frames() == []


def test_w9_a_packet_has_at_most_65535_bytes(wire: Wire) -> None:
    assert wire.queue.write(b"\x45" + bytes(65534)) == 65535
    assert wire.packets() == [b"\x45" + bytes(65534)]
    assert broken_rule(PacketError, wire.queue.write, b"\x45" + bytes(65535)) == "W9"
    assert wire.frames() == []


@pytest.mark.parametrize("packet", [b"\x45", b"\x60", b"\x4f" + b"\xff" * 30, PACKETS[0][:-1]])
def test_w9_what_else_is_in_a_packet_is_its_own_affair(wire: Wire, packet: bytes) -> None:
    assert wire.queue.write(packet) == len(packet)
    assert wire.packets() == [packet]


# KernelRefused, and the way around it.

REFUSALS = [errno.EINVAL, errno.EMSGSIZE, errno.ENOBUFS, errno.ENOMEM]


@pytest.mark.parametrize("number", REFUSALS)
def test_a_refused_superpacket_is_not_consumed_and_goes_out_singly(number: int, offload: Wire, fail: Fail) -> None:
    stack = ip4() / tcp(options=TIMESTAMPS)
    superpacket = Superpacket(*pieces(stack, text(35), 10))
    refused = fail("writev", number)
    with pytest.raises(KernelRefused) as caught:
        offload.queue.write_gso(superpacket.hdr, superpacket.transport_hdr, superpacket.pays)
    assert (caught.value.errno, caught.value.call) == (number, "write")
    assert caught.value.geometry == Geometry(header=52, payload=35, gso_size=10, segments=4)
    assert "gso_size=10" in str(caught.value)
    assert refused == [superpacket.frame()]
    assert offload.frames() == []
    offload.queue.write_segments(superpacket)
    assert offload.packets() == cut(stack, text(35), 10)


@pytest.mark.parametrize("number", REFUSALS)
def test_a_refused_packet_is_not_consumed(number: int, wire: Wire, fail: Fail) -> None:
    fail("writev", number)
    with pytest.raises(KernelRefused) as caught:
        wire.queue.write(PACKETS[1])
    assert caught.value.geometry == Geometry(header=0, payload=len(PACKETS[1]), gso_size=0, segments=1)
    assert wire.frames() == []
    assert wire.queue.write(PACKETS[1]) == len(PACKETS[1])
    assert wire.packets() == [PACKETS[1]]


def test_reading_and_writing_go_on_at_the_same_time(wire: Wire) -> None:
    count = 300
    reader = Background(lambda: [copies(wire.queue.read()) for _ in range(count)])
    writer = Background(lambda: [wire.queue.write(PACKETS[1]) for _ in range(count)])
    wire.peer.settimeout(PATIENCE)

    def feed() -> None:
        for _ in range(count):
            wire.send(PACKETS[4])

    feeder = Background(feed)
    assert [wire.peer.recv(1 << 17) for _ in range(count)] == [wire.header + PACKETS[1]] * count
    feeder.result()
    writer.result()
    assert reader.result() == [[PACKETS[4]]] * count
