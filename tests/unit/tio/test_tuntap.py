"""The ioctls of a TUN: numbers and bytes, against the layout that `if_tun.h` and `ioctl.h` give; no device needed."""

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable

import pytest

from common.support import open_fds
from tio import tuntap
from tio.tuntap import Iff, Offload

READ, WRITE = 2, 1


def request(direction: int, number: int, size: int) -> int:
    """Return `_IOC(direction, 'T', number, size)`."""
    return direction << 30 | size << 16 | ord("T") << 8 | number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (tuntap._TUNSETIFF, request(WRITE, 202, 4)),
        (tuntap._TUNGETIFF, request(READ, 210, 4)),
        (tuntap._TUNSETOFFLOAD, request(WRITE, 208, 4)),
        (tuntap._TUNGETVNETHDRSZ, request(READ, 215, 4)),
        (tuntap._TUNSETVNETHDRSZ, request(WRITE, 216, 4)),
        (tuntap._TUNGETVNETLE, request(READ, 221, 4)),
        (tuntap._TUNGETVNETBE, request(READ, 223, 4)),
    ],
)
def test_request_numbers_are_those_of_if_tun_h(value: int, expected: int) -> None:
    assert value == expected


def test_flags_are_those_of_if_tun_h() -> None:
    assert (Iff.TUN, Iff.TAP, Iff.NAPI, Iff.MULTI_QUEUE) == (1, 2, 0x10, 0x100)
    assert (Iff.PERSIST, Iff.NO_PI, Iff.VNET_HDR, Iff.TUN_EXCL) == (0x800, 0x1000, 0x4000, 0x8000)
    assert (Offload.NONE, Offload.CSUM, Offload.TSO4, Offload.TSO6, Offload.TSO_ECN) == (0, 1, 2, 4, 8)
    assert (Offload.TSO, Offload.USO) == (0x0F, 0x60)


class Ioctls:
    """Records ioctls, and answers them with given bytes or errors."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, object]] = []
        self.answers: dict[int, bytes | OSError] = {}

    def __call__(self, fd: int, number: int, argument: object) -> object:
        self.calls.append((fd, number, argument))
        answer = self.answers.get(number, argument)
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
def ioctls(monkeypatch: pytest.MonkeyPatch) -> Ioctls:
    fake = Ioctls()
    monkeypatch.setattr("tio.tuntap.fcntl.ioctl", fake)
    return fake


def test_attach_passes_name_and_flags(ioctls: Ioctls) -> None:
    tuntap.attach(7, "tun3", Iff.TUN | Iff.NO_PI | Iff.VNET_HDR | Iff.TUN_EXCL)
    ((fd, number, ifreq),) = ioctls.calls
    assert (fd, number) == (7, tuntap._TUNSETIFF)
    assert ifreq == struct.pack("16sH22x", b"tun3", 0xD001)
    assert len(ifreq) == 40  # sizeof(struct ifreq) with 8-byte pointers


def test_get_interface_reads_name_and_flags(ioctls: Ioctls) -> None:
    ioctls.answers[tuntap._TUNGETIFF] = struct.pack("16sH22x", b"tun3", 0x5101)
    assert tuntap.get_interface(7) == ("tun3", Iff.TUN | Iff.MULTI_QUEUE | Iff.NO_PI | Iff.VNET_HDR)


def test_get_interface_keeps_unknown_flags_and_strange_names(ioctls: Ioctls) -> None:
    ioctls.answers[tuntap._TUNGETIFF] = struct.pack("16sH22x", b"\xff" * 15, 0xFFFF)
    name, flags = tuntap.get_interface(7)
    assert int(flags) == 0xFFFF
    assert len(name) == 15


@pytest.mark.parametrize(
    ("call", "number", "argument"),
    [
        (lambda: tuntap.set_offload(7, Offload.TSO | Offload.USO), tuntap._TUNSETOFFLOAD, 0x6F),
        (lambda: tuntap.set_offload(7, Offload.NONE), tuntap._TUNSETOFFLOAD, 0),
        (lambda: tuntap.set_vnet_header_size(7, 12), tuntap._TUNSETVNETHDRSZ, struct.pack("i", 12)),
    ],
)
def test_setters_pass_their_value(call: Callable[[], None], number: int, argument: object, ioctls: Ioctls) -> None:
    call()
    assert ioctls.calls == [(7, number, argument)]


def test_get_vnet_header_size(ioctls: Ioctls) -> None:
    ioctls.answers[tuntap._TUNGETVNETHDRSZ] = struct.pack("i", 24)
    assert tuntap.get_vnet_header_size(7) == 24


@pytest.mark.parametrize(
    ("answers", "host", "expected"),
    [
        ((1, 0), "little", False),
        ((1, 0), "big", False),
        ((0, 0), "little", False),
        ((0, 0), "big", True),
        ((0, 1), "little", True),
        ((0, 1), "big", True),
        ((1, None), "big", False),
        ((0, None), "little", False),
        ((0, None), "big", True),
    ],
)
def test_byte_order_is_what_was_set_or_the_hosts(
    answers: tuple[int, int | None], host: str, expected: bool, ioctls: Ioctls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`answers` are those to TUNGETVNETLE and TUNGETVNETBE; kernels may be built without the second."""
    little, big = answers
    ioctls.answers[tuntap._TUNGETVNETLE] = struct.pack("i", little)
    unknown = OSError(errno.EINVAL, "Invalid argument")
    ioctls.answers[tuntap._TUNGETVNETBE] = unknown if big is None else struct.pack("i", big)
    monkeypatch.setattr(sys, "byteorder", host)
    assert tuntap.is_big_endian(7) is expected


def test_errors_are_the_kernels(ioctls: Ioctls) -> None:
    ioctls.answers[tuntap._TUNSETOFFLOAD] = OSError(errno.EINVAL, "Invalid argument")
    with pytest.raises(OSError, match="Invalid argument"):
        tuntap.set_offload(7, Offload.TSO)


def test_open_tun_attaches_what_it_opened(ioctls: Ioctls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuntap, "DEVICE", os.devnull)
    before = open_fds()
    fd = tuntap.open_tun("tun%d", Iff.TUN)
    assert ioctls.calls == [(fd, tuntap._TUNSETIFF, struct.pack("16sH22x", b"tun%d", 1))]
    assert not os.get_inheritable(fd)
    assert open_fds() == before + 1
    os.close(fd)


def test_open_tun_leaves_nothing_open_when_attaching_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuntap, "DEVICE", os.devnull)  # which has no ioctls
    before = open_fds()
    with pytest.raises(OSError, match=os.strerror(errno.ENOTTY)):
        tuntap.open_tun("tun0", Iff.TUN)
    assert open_fds() == before


def test_open_tun_without_a_device_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuntap, "DEVICE", "/dev/net/there-is-no-such-node")
    with pytest.raises(FileNotFoundError):
        tuntap.open_tun("tun0", Iff.TUN)


@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_DGRAM])
def test_a_wire_answers_that_it_is_no_tun(kind: socket.SocketKind) -> None:
    ours, peer = socket.socketpair(socket.AF_UNIX, kind)
    with ours, peer, pytest.raises(OSError, match=os.strerror(errno.ENOTTY)):
        tuntap.get_interface(ours.fileno())
