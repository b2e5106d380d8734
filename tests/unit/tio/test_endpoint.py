"""Waiting, closing and errnos: I1, I2 and the table of `endpoint`."""

import errno
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from common.support import PATIENCE, STACKS, Background, Vnet, Waits, Wire, build, open_fds, text
from tio.endpoint import Endpoint
from tio.errors import Closed, DeviceError, Geometry, KernelRefused, LinkDown, TioError

PACKET = build(STACKS["udp4"], text(9))
SHAPE = Geometry(header=28, payload=9, gso_size=0, segments=1)
MakeWire = Callable[..., Wire]
Fail = Callable[..., list[bytes]]


def write_forever(wire: Wire) -> None:
    """Write until that raises."""
    while True:
        wire.queue.write(PACKET)


# The table of errnos.

GONE = [errno.EBADFD, errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN]
REFUSED = [errno.EINVAL, errno.EMSGSIZE, errno.ENOBUFS, errno.ENOMEM]
OTHER = [errno.EFAULT, errno.EBADF, errno.EPERM, errno.ENODEV]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((number, Closed) for number in GONE),
        *((number, KernelRefused) for number in REFUSED),
        *((number, DeviceError) for number in OTHER),
        (errno.EIO, LinkDown),
    ],
)
def test_what_becomes_of_an_errno_on_write(number: int, kind: type[TioError], wire: Wire, fail: Fail) -> None:
    fail("writev", number)
    with pytest.raises(TioError) as caught:
        wire.queue.write(PACKET)
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, OSError)
    if isinstance(caught.value, DeviceError):
        assert (caught.value.call, caught.value.errno) == ("write", number)
        assert f"errno {number}" in str(caught.value)
    assert wire.queue.write(PACKET) == len(PACKET)
    assert wire.packets() == [PACKET]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((number, Closed) for number in GONE if number != errno.ECONNRESET),
        *((number, DeviceError) for number in (*OTHER, *REFUSED[1:])),
        (errno.EIO, LinkDown),
    ],
)
def test_what_becomes_of_an_errno_on_read(number: int, kind: type[TioError], wire: Wire, fail: Fail) -> None:
    fail("readv", number)
    with pytest.raises(TioError) as caught:
        wire.queue.read()
    assert type(caught.value) is kind
    assert not isinstance(caught.value, DeviceError) or caught.value.call == "read"
    wire.send(PACKET)
    assert [bytes(view) for view in wire.queue.read()] == [PACKET]


def test_einval_on_read_is_a_packet_that_the_kernel_dropped(wire: Wire, fail: Fail) -> None:
    fail("readv", errno.EINVAL)
    wire.send(PACKET)
    assert [bytes(packet) for packet in wire.queue.read()] == [PACKET]
    assert wire.queue.rejected == {"R4": 1}


@pytest.mark.parametrize("call", ["readv", "writev"])
def test_eagain_waits_and_tries_again(call: str, wire: Wire, fail: Fail, waits: Waits) -> None:
    fail(call, errno.EAGAIN, errno.EAGAIN)
    wire.send(PACKET)
    if call == "readv":
        assert [bytes(view) for view in wire.queue.read()] == [PACKET]
    else:
        assert wire.queue.write(PACKET) == len(PACKET)
        assert wire.packets() == [PACKET]
    waits.next()
    waits.next()


# The end of a wire, and what is not its end.


def test_reading_from_a_wire_whose_other_end_is_closed_raises_closed(wire: Wire) -> None:
    wire.peer.close()
    for _ in range(2):
        with pytest.raises(Closed):
            wire.queue.read()


def test_writing_to_a_wire_whose_other_end_is_closed_raises_closed(wire: Wire) -> None:
    wire.peer.close()
    for _ in range(2):
        with pytest.raises(Closed):
            wire.queue.write(PACKET)


def test_closing_the_other_end_wakes_a_reader(wire: Wire, waits: Waits) -> None:
    reader = Background(wire.queue.read)
    waits.next()
    wire.peer.close()
    with pytest.raises(Closed):
        reader.result()


def test_closing_the_other_end_wakes_a_writer(wire: Wire, waits: Waits) -> None:
    writer = Background(lambda: write_forever(wire))
    waits.next()
    wire.peer.close()
    with pytest.raises(Closed):
        writer.result()


def test_other_end_that_only_stopped_sending_is_the_end_for_the_reader(wire: Wire) -> None:
    wire.peer.shutdown(socket.SHUT_WR)
    with pytest.raises(Closed):
        Background(wire.queue.read).result()
    assert wire.queue.rejected == {}
    assert wire.queue.write(PACKET) == len(PACKET)


def test_what_was_sent_before_the_end_is_read(wire: Wire) -> None:
    wire.send(PACKET)
    wire.send(PACKET)
    wire.peer.close()
    assert [[bytes(view) for view in wire.queue.read()] for _ in range(2)] == [[PACKET], [PACKET]]
    with pytest.raises(Closed):
        wire.queue.read()


def test_an_empty_datagram_is_a_rejected_frame_and_not_the_end(wire: Wire) -> None:
    wire.peer.send(b"")
    wire.peer.send(b"")
    wire.send(PACKET)
    assert [bytes(view) for view in wire.queue.read()] == [PACKET]
    assert sum(wire.queue.rejected.values()) == 2


@pytest.mark.parametrize("end", [lambda peer: peer.close(), lambda peer: peer.shutdown(socket.SHUT_WR)])
def test_an_empty_datagram_before_the_last_frame_is_not_the_end(
    wire: Wire, end: Callable[[socket.socket], None]
) -> None:
    wire.peer.send(b"")
    wire.send(PACKET)
    end(wire.peer)
    assert [bytes(view) for view in wire.queue.read()] == [PACKET]
    assert sum(wire.queue.rejected.values()) == 1
    with pytest.raises(Closed):
        wire.queue.read()


# I1, I2: closing.


def make_endpoint() -> tuple[Endpoint, socket.socket]:
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return Endpoint(ours.detach()), peer


def test_i1_closing_twice_closes_once(no_leak: None, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, peer = make_endpoint()
    fd, closed, close = endpoint.fd, [], os.close
    monkeypatch.setattr("tio.endpoint.os.close", lambda fd: (closed.append(fd), close(fd)))
    for _ in range(3):
        endpoint.close()
        assert endpoint.fd is None
    assert closed.count(fd) == 1
    assert len(closed) == 2  # the eventfd too
    monkeypatch.undo()
    peer.close()


def test_i1_many_threads_that_close_close_once(no_leak: None, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, peer = make_endpoint()
    closed, close = [], os.close
    monkeypatch.setattr("tio.endpoint.os.close", lambda fd: (closed.append(fd), close(fd)))
    barrier = threading.Barrier(8)

    def close_together() -> None:
        barrier.wait(PATIENCE)
        endpoint.close()

    for closer in [Background(close_together) for _ in range(8)]:
        closer.result()
    assert len(closed) == len(set(closed)) == 2
    monkeypatch.undo()
    peer.close()


def test_i1_the_fd_is_not_closed_while_an_operation_is_inside(no_leak: None, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, peer = make_endpoint()
    fd = endpoint.fd
    assert fd is not None
    inside, go_on, closing = threading.Event(), threading.Event(), threading.Event()
    wait = endpoint._changed.wait
    real = os.readv

    def slow_read(fd: int, buffers: tuple[bytearray, ...]) -> int:
        inside.set()
        assert go_on.wait(PATIENCE)
        return real(fd, buffers)

    def wait_for_the_reader() -> None:
        closing.set()
        wait()

    monkeypatch.setattr("tio.endpoint.os.readv", slow_read)
    monkeypatch.setattr(endpoint._changed, "wait", wait_for_the_reader)
    reader = Background(lambda: endpoint.readv(bytearray(99)))
    assert inside.wait(PATIENCE)
    closer = Background(endpoint.close)
    assert closing.wait(PATIENCE)
    assert os.fstat(fd)
    peer.send(PACKET)
    go_on.set()
    assert reader.result() == len(PACKET)  # the system call was already under way
    closer.result()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
    peer.close()


def test_i2_no_operation_starts_after_close_began(no_leak: None) -> None:
    endpoint, peer = make_endpoint()
    peer.send(PACKET)
    endpoint.close()
    with pytest.raises(Closed):
        endpoint.readv(bytearray(99))
    with pytest.raises(Closed):
        endpoint.writev((PACKET,), SHAPE)
    with pytest.raises(ConnectionResetError):  # its packet was not read, and nothing was written
        peer.recv(99)
    peer.close()


def test_i2_a_new_file_with_the_old_number_is_not_touched(no_leak: None) -> None:
    endpoint, peer = make_endpoint()
    number = endpoint.fd
    assert number is not None
    endpoint.close()
    read_end, write_end = os.pipe()
    assert number in (read_end, write_end)
    endpoint.close()
    with pytest.raises(Closed):
        endpoint.writev((PACKET,), SHAPE)
    assert os.fstat(read_end)
    assert not select.select([read_end], [], [], 0)[0]
    for fd in (read_end, write_end):
        os.close(fd)
    peer.close()


def test_i2_close_wakes_every_one_of_many(no_leak: None, waits: Waits) -> None:
    endpoint, peer = make_endpoint()
    readers = [Background(lambda: endpoint.readv(bytearray(99))) for _ in range(5)]
    for _ in readers:
        waits.next()
    endpoint.close()
    for reader in readers:
        with pytest.raises(Closed):
            reader.result()
    peer.close()


# A signal handler that closes.


@pytest.fixture
def interrupt() -> Iterator[Callable[[Callable[[], object]], Callable[[], None]]]:
    """Let a signal handler do something in the main thread; returns what sends the signal.

    Python runs a handler only between bytecodes, so one signal can come too late for that and too early to interrupt
    `poll`; it is sent again until the handler has run.
    """
    before = signal.getsignal(signal.SIGUSR1)
    main = threading.main_thread().ident or 0
    done = threading.Event()

    def install(action: Callable[[], object]) -> Callable[[], None]:
        def handler(*_: object) -> None:
            action()
            done.set()

        def send() -> None:
            signal.pthread_kill(main, signal.SIGUSR1)
            while not done.wait(0.01):
                signal.pthread_kill(main, signal.SIGUSR1)

        signal.signal(signal.SIGUSR1, handler)
        return send

    yield install
    done.set()
    signal.signal(signal.SIGUSR1, before)


Interrupt = Callable[[Callable[[], object]], Callable[[], None]]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("closing", ["queue", "container"])
def test_a_signal_handler_may_close_while_its_thread_reads(
    closing: str, wire: Wire, waits: Waits, interrupt: Interrupt
) -> None:
    send = interrupt(getattr(wire, closing).close)
    sender = Background(lambda: (waits.next(), send()))
    with pytest.raises(Closed):
        wire.queue.read()
    sender.result()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(wire.fd)
    for _ in range(2):  # and it stays closed, once
        with pytest.raises(Closed):
            wire.queue.write(PACKET)


@pytest.mark.timeout(20)
def test_a_signal_handler_may_close_while_its_thread_writes(wire: Wire, waits: Waits, interrupt: Interrupt) -> None:
    send = interrupt(wire.container.close)
    sender = Background(lambda: (waits.next(), send()))
    with pytest.raises(Closed):
        write_forever(wire)
    sender.result()


@pytest.mark.timeout(20)
def test_a_signal_handler_may_close_while_other_threads_are_inside_too(
    wire: Wire, waits: Waits, interrupt: Interrupt
) -> None:
    writer = Background(lambda: write_forever(wire))
    waits.next()
    send = interrupt(wire.container.close)
    sender = Background(lambda: (waits.next(), send()))
    with pytest.raises(Closed):
        wire.queue.read()
    sender.result()
    with pytest.raises(Closed):
        writer.result()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(wire.fd)


@pytest.mark.timeout(20)
def test_a_signal_handler_that_does_nothing_disturbs_nothing(wire: Wire, waits: Waits, interrupt: Interrupt) -> None:
    send = interrupt(lambda: None)
    sender = Background(lambda: (waits.next(), send(), wire.send(PACKET)))
    assert [bytes(view) for view in wire.queue.read()] == [PACKET]
    sender.result()


# Leaks.


def test_an_endpoint_without_room_for_its_eventfd_leaves_the_fd_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def no_room(*_: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    before = open_fds()
    monkeypatch.setattr("tio.endpoint.os.eventfd", no_room)
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        Endpoint(ours.fileno())
    assert open_fds() == before
    ours.send(Vnet().pack())
    assert peer.recv(99) == Vnet().pack()
    ours.close()
    peer.close()


def test_the_eventfd_is_not_inherited(no_leak: None) -> None:
    endpoint, peer = make_endpoint()
    assert not os.get_inheritable(endpoint._wake)
    endpoint.close()
    peer.close()


def test_a_reset_is_said_once_before_the_frames_that_came_earlier(wire: Wire, fail: Fail) -> None:
    wire.send(PACKET)
    fail("readv", errno.ECONNRESET)
    assert [bytes(packet) for packet in wire.queue.read()] == [PACKET]
