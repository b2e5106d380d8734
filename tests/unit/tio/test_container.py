"""Adopting fds (A1 to A7), and closing everything; devices are faked."""

import contextlib
import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from common.support import (
    BACKENDS,
    PATIENCE,
    STACKS,
    Background,
    Vnet,
    Waits,
    Wire,
    broken_rule,
    build,
    cut,
    open_fds,
    pieces,
    text,
    vnet_for,
    with_partial,
)
from tio import tuntap
from tio.container import BaseContainer, BaseQueue, Interface
from tio.errors import AddRefused, Closed, CloseFailed, DeviceError, Unsupported
from tio.offload import OffloadContainer
from tio.poll import PollContainer
from tio.tuntap import Iff, Offload
from tio.virtio import VnetHeader

PACKET = build(STACKS["udp4"], text(9))
TCP4, UDP4 = STACKS["tcp4"], STACKS["udp4"]
TUN = Iff.TUN | Iff.NO_PI
MakeWire = Callable[..., Wire]
Fds = Callable[[], int]


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class FakeTun:
    """Answers of a TUN's ioctls, for every fd."""

    def __init__(self) -> None:
        self.flags = TUN | Iff.VNET_HDR
        self.unattached = 0  # an errno
        self.size = 10
        self.size_error = 0
        self.big = False
        self.refused: dict[Offload, int] = {}  # mask: errno
        self.asked: list[Offload] = []

    def get_interface(self, fd: int) -> tuple[str, Iff]:
        if self.unattached:
            raise error(self.unattached)
        return "tun7", self.flags

    def get_vnet_header_size(self, fd: int) -> int:
        if self.size_error:
            raise error(self.size_error)
        return self.size

    def is_big_endian(self, fd: int) -> bool:
        return self.big

    def set_offload(self, fd: int, offload: Offload) -> None:
        self.asked.append(offload)
        if offload in self.refused:
            raise error(self.refused[offload])


@pytest.fixture
def tun(monkeypatch: pytest.MonkeyPatch) -> FakeTun:
    fake = FakeTun()
    for name in ("get_interface", "get_vnet_header_size", "is_big_endian", "set_offload"):
        monkeypatch.setattr(tuntap, name, getattr(fake, name))
    return fake


@pytest.fixture
def new_fd(no_leak: None) -> Iterator[Fds]:
    """Make fds that are closed at the end, if they are still open."""
    pairs: list[tuple[int, socket.socket]] = []

    def make() -> int:
        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pairs.append((ours.detach(), peer))
        return pairs[-1][0]

    yield make
    for fd, peer in pairs:
        peer.close()
        with contextlib.suppress(OSError):  # it was taken, and closed with its container
            os.close(fd)


@pytest.fixture(params=BACKENDS)
def container(request: pytest.FixtureRequest, new_fd: Fds) -> Iterator[BaseContainer]:
    """An empty container of each backend; it is closed before `new_fd` looks what is still open."""
    with BACKENDS[request.param]() as made:
        yield made


def blocking(fd: int) -> bool:
    return not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK


def assert_refused(container: BaseContainer, fd: int, rule: str) -> None:
    """See that `add` refuses the fd by a rule, and leaves it as it was."""
    before, flags = open_fds(), fcntl.fcntl(fd, fcntl.F_GETFL)
    queues = container.queues()
    assert broken_rule(AddRefused, container.add, fd) == rule
    assert fcntl.fcntl(fd, fcntl.F_GETFL) == flags
    assert open_fds() == before
    assert container.queues() == queues


# A1 to A7.


def test_a1_the_container_is_open(container: BaseContainer, new_fd: Fds) -> None:
    fd = new_fd()
    container.close()
    with pytest.raises(Closed, match="A1"):
        container.add(fd)
    assert blocking(fd)
    assert container.queues() == ()


def test_a2_the_fd_is_open(container: BaseContainer, new_fd: Fds) -> None:
    fd = new_fd()
    os.close(fd)
    for closed in (fd, -1, 1 << 20, 1 << 40):
        assert broken_rule(AddRefused, container.add, closed) == "A2"
    assert container.queues() == ()


def test_a2_the_fd_is_not_one_of_the_containers_own(container: BaseContainer, new_fd: Fds) -> None:
    fd = new_fd()
    container.add(fd)
    assert_refused(container, fd, "A2")
    container.queues()[0].close()
    again = new_fd()
    container.add(again)  # its number may be the old one
    assert [queue.fd for queue in container.queues()] == [None, again]


@pytest.mark.parametrize("number", [errno.EBADFD, errno.EINVAL, errno.EPERM])
def test_a3_a_tun_is_attached_to_a_device(number: int, container: BaseContainer, tun: FakeTun, new_fd: Fds) -> None:
    tun.unattached = number
    assert_refused(container, new_fd(), "A3")


def test_a3_a_fd_that_is_no_tun_is_trusted(container: BaseContainer, tun: FakeTun, new_fd: Fds) -> None:
    tun.unattached = errno.ENOTTY
    container.add(new_fd())
    assert container.queues()[0].interface == Interface(name=None, multi_queue=False)
    assert tun.asked == []


@pytest.mark.parametrize("flags", [Iff.TAP | Iff.NO_PI, Iff.TAP | Iff.NO_PI | Iff.VNET_HDR])
def test_a3_a_tap_is_refused(flags: Iff, container: BaseContainer, tun: FakeTun, new_fd: Fds) -> None:
    tun.flags = flags
    assert_refused(container, new_fd(), "A3")


@pytest.mark.parametrize(("make", "flags"), [(PollContainer, TUN | Iff.VNET_HDR), (OffloadContainer, TUN)])
def test_a4_vnet_headers_are_there_if_and_only_if_they_are_expected(
    make: type[BaseContainer], flags: Iff, tun: FakeTun, new_fd: Fds
) -> None:
    tun.flags = flags
    with make() as container:
        assert_refused(container, new_fd(), "A4")
        assert tun.asked == []
        tun.flags = flags ^ Iff.VNET_HDR
        container.add(new_fd())


@pytest.mark.parametrize("multi", [False, True])
def test_interface_is_what_the_device_says(multi: bool, container: BaseContainer, tun: FakeTun, new_fd: Fds) -> None:
    tun.flags = TUN | (Iff.VNET_HDR if container.vnet_header else 0) | (Iff.MULTI_QUEUE if multi else 0)
    container.add(new_fd())
    assert container.queues()[0].interface == Interface(name="tun7", multi_queue=multi)


@pytest.mark.parametrize("size", [0, 9, 11, 16, 23, 25, 70000])
def test_a5_other_header_sizes_are_refused(size: int, tun: FakeTun, new_fd: Fds) -> None:
    tun.size = size
    with OffloadContainer() as container:
        assert_refused(container, new_fd(), "A5")
    assert tun.asked == []


def test_a5_a_device_that_does_not_tell_its_header_is_refused(tun: FakeTun, new_fd: Fds) -> None:
    tun.size_error = errno.EINVAL
    with OffloadContainer() as container:
        assert_refused(container, new_fd(), "A5")


@pytest.mark.parametrize("size", [10, 12, 24])
@pytest.mark.parametrize("big", [False, True])
def test_a5_headers_have_the_devices_size_and_byte_order(size: int, big: bool, tun: FakeTun) -> None:
    tun.size, tun.big = size, big
    order, tail = ">" if big else "<", bytes(size - 10)
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with OffloadContainer() as container, peer:
        container.add(ours.detach())
        (queue,) = container.queues()
        header = Vnet(*struct.unpack("=BBHHHH", vnet_for(TCP4, 10)))
        frame = header.pack(order) + tail + with_partial(TCP4, text(35))
        peer.send(frame)
        assert [bytes(view) for view in queue.read()] == cut(TCP4, text(35), 10)
        queue.write_gso(*pieces(TCP4, text(35), 10))
        assert peer.recv(1 << 16) == frame
        queue.write(PACKET)
        assert peer.recv(1 << 16) == bytes(size) + PACKET
        longest = text(65535 - 40)
        peer.send(header.pack(order) + tail + with_partial(TCP4, longest))
        assert b"".join(bytes(view[40:]) for view in queue.read()) == longest


def test_a6_tso_and_uso_are_asked_for_together_first(tun: FakeTun, new_fd: Fds) -> None:
    with OffloadContainer() as container:
        container.add(new_fd())
        assert tun.asked == [Offload.TSO | Offload.USO]
        assert int(tun.asked[0]) == 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40
        assert container.queues()[0].uso_supported()


def test_a6_a_later_add_does_not_lower_the_mask(tun: FakeTun, new_fd: Fds) -> None:
    with OffloadContainer() as container:
        for _ in range(3):
            container.add(new_fd())
    assert tun.asked == [Offload.TSO | Offload.USO] * 3


def test_a6_a_kernel_without_uso_still_gets_tso(tun: FakeTun) -> None:
    tun.refused = {Offload.TSO | Offload.USO: errno.EINVAL}
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with OffloadContainer() as container, peer:
        container.add(ours.detach())
        (queue,) = container.queues()
        assert tun.asked == [Offload.TSO | Offload.USO, Offload.TSO]
        assert queue.gso_supported()
        assert not queue.uso_supported()
        with pytest.raises(Unsupported):
            queue.write_gso(*pieces(UDP4, text(20), 10))
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(1)
        queue.write_gso(*pieces(UDP4, text(20), 20))  # one datagram needs no USO
        queue.write_gso(*pieces(TCP4, text(20), 10))
        assert [peer.recv(1 << 16)[1] for _ in range(2)] == [0, 1]


@pytest.mark.parametrize(
    "refused",
    [
        {Offload.TSO | Offload.USO: errno.EINVAL, Offload.TSO: errno.EINVAL},
        {Offload.TSO | Offload.USO: errno.EPERM},
        {Offload.TSO | Offload.USO: errno.EBADFD},
    ],
)
def test_a6_a_device_that_refuses_offloads_is_refused(refused: dict[Offload, int], tun: FakeTun, new_fd: Fds) -> None:
    tun.refused = refused
    with OffloadContainer() as container:
        assert_refused(container, new_fd(), "A6")
    assert len(tun.asked) == len(refused)


def test_a6_without_vnet_headers_no_offload_is_left(tun: FakeTun, new_fd: Fds) -> None:
    tun.flags = TUN
    with PollContainer() as container:
        container.add(new_fd())
        assert tun.asked == [Offload.NONE]
        tun.refused = {Offload.NONE: errno.EPERM}
        assert_refused(container, new_fd(), "A6")


def test_a7_the_fd_becomes_non_blocking(container: BaseContainer, new_fd: Fds) -> None:
    fd = new_fd()
    assert blocking(fd)
    container.add(fd)
    assert not blocking(fd)


@pytest.mark.parametrize("before", [0, os.O_NONBLOCK])
def test_a7_without_room_for_an_eventfd_the_flags_are_restored(
    before: int, container: BaseContainer, new_fd: Fds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: int) -> int:
        raise error(errno.EMFILE)

    fd = new_fd()
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | before)
    with monkeypatch.context() as patch:
        patch.setattr("tio.endpoint.os.eventfd", no_room)
        assert_refused(container, fd, "A7")
    container.add(fd)
    assert container.queues()[0].fd == fd


def test_a_refused_fd_can_be_added_when_it_is_mended(tun: FakeTun, new_fd: Fds) -> None:
    tun.size = 11
    fd = new_fd()
    with OffloadContainer() as container:
        assert_refused(container, fd, "A5")
        tun.size = 12
        container.add(fd)
        assert container.queues()[0].fd == fd


def test_errors_of_add_name_the_device_and_the_rule(tun: FakeTun, new_fd: Fds) -> None:
    tun.flags = TUN
    with OffloadContainer() as container, pytest.raises(AddRefused, match="A4: tun7 has no IFF_VNET_HDR"):
        container.add(new_fd())


# Queues, and closing.


def test_queues_stand_in_the_order_they_were_added(container: BaseContainer, new_fd: Fds) -> None:
    fds = [new_fd() for _ in range(4)]
    for fd in fds:
        container.add(fd)
    assert [queue.fd for queue in container.queues()] == fds
    container.queues()[1].close()
    assert [queue.fd for queue in container.queues()] == [fds[0], None, *fds[2:]]


def test_close_closes_every_fd_and_closing_again_is_harmless(container: BaseContainer, new_fd: Fds) -> None:
    fds = [new_fd() for _ in range(3)]
    for fd in fds:
        container.add(fd)
    for _ in range(3):
        container.close()
    for fd in fds:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fd)
    assert [queue.fd for queue in container.queues()] == [None] * 3


def test_close_goes_round_queues_that_were_closed_before(container: BaseContainer, new_fd: Fds) -> None:
    for _ in range(3):
        container.add(new_fd())
    container.queues()[1].close()
    container.close()
    container.queues()[1].close()
    assert [queue.fd for queue in container.queues()] == [None] * 3


def test_leaving_a_with_block_closes(no_leak: None) -> None:
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with PollContainer() as container, peer:
        container.add(ours.detach())
        with container.queues()[0] as queue:
            assert queue.write(PACKET) == len(PACKET)
        with pytest.raises(Closed):
            queue.write(PACKET)


def test_close_wakes_the_readers_of_all_queues(container: BaseContainer, new_fd: Fds, waits: Waits) -> None:
    for _ in range(4):
        container.add(new_fd())
    readers = [Background(queue.read) for queue in container.queues()]
    for _ in readers:
        waits.next()
    Background(container.close).result()
    for reader in readers:
        with pytest.raises(Closed):
            reader.result()


def test_close_collects_errors_and_closes_all_others(
    container: BaseContainer, new_fd: Fds, monkeypatch: pytest.MonkeyPatch
) -> None:
    fds = [new_fd() for _ in range(4)]
    for fd in fds:
        container.add(fd)
    close = os.close

    def failing(fd: int) -> None:
        close(fd)
        if fd in (fds[0], fds[2]):
            raise error(errno.EIO)

    monkeypatch.setattr("tio.endpoint.os.close", failing)
    with pytest.raises(CloseFailed, match="2 of 4") as caught:
        container.close()
    group = caught.value.__cause__
    assert isinstance(group, ExceptionGroup)
    assert [one.errno for one in group.exceptions if isinstance(one, DeviceError)] == [errno.EIO] * 2
    for fd in fds:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fd)
    container.close()


def test_threads_that_add_and_close_leave_nothing_open(container: BaseContainer, no_leak: None) -> None:
    barrier = threading.Barrier(5)
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(40)]

    def add_ten(start: int) -> None:
        barrier.wait(PATIENCE)
        for ours, _ in pairs[start : start + 10]:
            try:
                container.add(ours.fileno())
            except Closed:
                ours.close()
            else:
                ours.detach()

    def close() -> None:
        barrier.wait(PATIENCE)
        container.close()

    threads = [Background(lambda start=start: add_ten(start)) for start in range(0, 40, 10)]
    threads.append(Background(close))
    for thread in threads:
        thread.result()
    assert all(queue.fd is None for queue in container.queues())
    for _, peer in pairs:
        peer.close()


def test_a_hundred_cycles_leak_nothing(make_wire: MakeWire) -> None:
    before = open_fds()
    for cycle in range(100):
        wire = Wire(BACKENDS["poll" if cycle % 2 else "offload"])
        wire.send(PACKET)
        views = wire.queue.read()
        wire.queue.write(bytes(views[0]))
        assert broken_rule(AddRefused, wire.container.add, -1) == "A2"
        wire.close()
        assert open_fds() == before


def test_callbacks_and_counts_belong_to_the_queue(new_fd: Fds) -> None:
    shown: list[bytes] = []
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    with OffloadContainer(on_reject=lambda frame, _: shown.append(frame)) as container:
        for ours, _ in pairs:
            container.add(ours.detach())
        for index, (_, peer) in enumerate(pairs):
            peer.send(bytes([index]) * 5)
            peer.send(VnetHeader().emit() + PACKET)
        queues: tuple[BaseQueue, ...] = container.queues()
        queues[0].read()
        assert [queue.rejected for queue in queues] == [{"H1": 1}, {}]
        queues[1].read()
        assert shown == [b"\0" * 5, b"\1" * 5]
    for _, peer in pairs:
        peer.close()
