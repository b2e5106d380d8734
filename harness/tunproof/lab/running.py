"""The running kernel as a device: any frame, any path, one answer. Labs are made when a path is first used.

`tio.linux.Model` does the same as a model, so whatever uses a `Device` (the probes, the differential) can be tested on
kernels that are not at hand.
"""

import ctypes
import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from tio import tuntap
from tio.linux import KernelOutcome, Lost, Refused
from tio.linux.way import REDIRECT, Way
from tio.tuntap import Offload
from tunproof.lab import links, wiring
from tunproof.lab.closeable import Closeable
from tunproof.lab.exchange import Exchange
from tunproof.lab.wiring import IN, OUT, Pair

__all__ = ["Device", "KernelDevice", "RunningKernel", "Sender"]

Sender = Callable[[bytes, int], KernelOutcome]
"""Write a frame and return its outcome; the number is how many packets are expected, a hint."""


class Device(Protocol):
    """Something that does what a kernel does: the running one, or a model of another."""

    def send(self, frame: bytes, way: Way) -> KernelOutcome:
        """Return the outcome of `frame` on `way`."""
        ...


class KernelDevice(Device, Protocol):
    """A kernel that makes its labs on demand, and again after `close`."""

    def sender(self, way: Way) -> Sender:
        """Return the function that sends on `way`, for many frames."""
        ...

    def close(self) -> None:
        """End all labs."""
        ...


class RunningKernel(Closeable):
    """The running kernel. Not thread-safe. `close` ends its labs; a later `send` makes new ones."""

    def __init__(self) -> None:
        self._labs: dict[Way, tuple[Pair, Exchange]] = {}

    def send(self, frame: bytes, way: Way) -> KernelOutcome:
        """Return the outcome of `frame` on `way`. Raises `EnvironmentProblem`."""
        return self.sender(way)(frame, 0)

    def sender(self, way: Way) -> Sender:
        """Return the function that sends on `way`, for many frames; a call for another reader invalidates it."""
        if not way.attached:
            return _unattached
        pair, exchange = self._lab(way)
        if way.readable is not None:
            return Exchange(pair, writing=_half_readable(way.readable)).send
        if not way.up:
            return _attempt(pair.writer)
        if way.reader is not None and way.reader & Offload.UDP_TUNNEL:
            return _faulting(exchange, pair.reader)
        return exchange.send

    def close(self) -> None:
        """End all labs in parallel: each close waits about 20 ms for the kernel's RCU, and the waits can overlap."""
        if self._labs:
            with ThreadPoolExecutor(len(self._labs)) as pool:
                list(pool.map(Pair.close, (pair for pair, _ in self._labs.values())))
            self._labs.clear()

    def _lab(self, way: Way) -> tuple[Pair, Exchange]:
        """Return the lab of a path. One serves all readers with the same header: their mask is set each time."""
        wired = replace(way, readable=None, reader=None if way.reader is None else Offload.NONE)
        if wired not in self._labs:
            pair = _make(wired)
            self._labs[wired] = pair, Exchange(pair, reading=_reading(wired))
        pair, exchange = self._labs[wired]
        if way.reader is not None:
            tuntap.set_offload(pair.reader, way.reader)
        return pair, exchange


def _make(way: Way) -> Pair:
    if way.forwarded:
        pair = wiring.forward(offload=way.reader, mtu=way.mtu, header_size=way.header_size)
    elif way.reader is None:
        pair = wiring.redirect(header_size=way.header_size)
    else:
        pair = wiring.readback(way.reader, header_size=way.header_size, reader_header_size=way.reader_header_size)
    if not way.up:
        pair.ground.run(links.bring_down, IN)
    if way.gso_max_segs != REDIRECT.gso_max_segs:
        pair.ground.run(links.limit_segments, OUT, way.gso_max_segs)
    return pair


def _reading(way: Way) -> Callable[[int, int], bytes]:
    """Return how to read: into a buffer full of `reader_fill` if that may show."""
    if way.reader is None or way.reader_header_size == REDIRECT.reader_header_size:
        return os.read
    fill = bytes((way.reader_fill,))

    def read(fd: int, size: int) -> bytes:
        buffer = bytearray(fill * size)
        return bytes(buffer[: os.readv(fd, [buffer])])

    return read


# Writes that cannot succeed ------------------------------------------------------------------------------------------


def _attempt(fd: int) -> Sender:
    """Return a sender whose writes are expected to fail: nothing can be read after them."""

    def send(frame: bytes, _: int) -> KernelOutcome:
        try:
            os.write(fd, frame)
        except OSError as error:
            return Refused(error.errno or 0)
        return Lost()

    return send


def _unattached(frame: bytes, _: int) -> KernelOutcome:
    """Write to an fd of /dev/net/tun that was never attached to a device."""
    fd = os.open(tuntap.DEVICE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return _attempt(fd)(frame, 0)
    finally:
        os.close(fd)


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


_NOWHERE = 8  # a user-space address that is never mapped

_libc = ctypes.CDLL(None, use_errno=True)


def _half_readable(readable: int) -> Callable[[int, bytes], int]:
    """Return a write for frames of which only the first bytes are in readable memory."""

    def write(fd: int, frame: bytes) -> int:
        if not frame:
            return os.write(fd, frame)  # writev(2) does not even call the device
        good = min(readable, len(frame))
        vector = (_Iovec * 2)(
            _Iovec(ctypes.cast(ctypes.c_char_p(frame), ctypes.c_void_p), good), _Iovec(_NOWHERE, len(frame) - good)
        )
        written: int = _libc.writev(fd, vector, 2)
        if written < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return written

    return write


# Reads that may fail -------------------------------------------------------------------------------------------------


def _faulting(exchange: Exchange, reader: int) -> Sender:
    """Return a sender for readers whose reads may all fail with EFAULT and lose the packet."""

    def send(frame: bytes, hint: int) -> KernelOutcome:
        try:
            return exchange.send(frame, hint)
        except OSError as error:
            if error.errno != errno.EFAULT:
                raise
            _empty(reader)
            return Lost()

    return send


def _empty(reader: int) -> None:
    """Read until nothing is left, whether reads fail or not."""
    while True:
        try:
            os.read(reader, 1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EFAULT:
                raise
