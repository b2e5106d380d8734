"""What both backends share: adopting fds, lending packets, closing everything.

Rules of `add`, in this order; an fd that breaks one stays the caller's, open and with its flags unchanged:

A1  The container is open.
A2  The fd is open, and not already in the container.
A3  A TUN (`TUNGETIFF` answers) is attached to a device, and is IFF_TUN and not IFF_TAP. An fd that answers ENOTTY is
    not a TUN but a wire, a socket that takes its place; it is trusted to be what the backend expects. Every TUN must
    have been opened with IFF_NO_PI; this is taken on trust, because in `TUNGETIFF`'s answer that bit (0x1000) is
    IFF_NOFILTER, which is set either way (`__tun_chr_ioctl`).
A4  IFF_VNET_HDR is set if and only if the backend expects vnet headers. The flags belong to the device: an fd opened
    without IFF_VNET_HDR has it if the device's first queue had it (multi-queue, persistent devices).
A5  The vnet header has 10, 12 or 24 bytes, in the byte order that the device states.
A6  The device's offloads are set to what the backend can read. They are one mask for all queues of a device, so a later
    `add` must not narrow it: the widest mask is tried first, and a narrower one only if the kernel refuses the wide
    one, which leaves the old mask in place. A kernel without USO (before 6.2) still gets TSO. The backend without vnet
    headers clears the mask: otherwise one left by a former user of a persistent device would deliver superpackets.
A7  Last, O_NONBLOCK is set. It belongs to the open file description, so every other holder of the fd sees it too.
"""

import abc
import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tio import tuntap
from tio.checksum import Buffer
from tio.endpoint import Endpoint
from tio.errors import (
    AddRefused,
    Closed,
    CloseFailed,
    ConcurrentRead,
    DeviceError,
    FrameError,
    Geometry,
    HeaderError,
    PacketError,
)
from tio.ip import MAX_PACKET, version_of
from tio.queue import Container, GSOWriter, Queue
from tio.superpacket import Superpacket

__all__ = ["BaseContainer", "BaseQueue", "Interface", "RejectCallback"]

RejectCallback = Callable[[bytes, FrameError], None]
"""Called with a frame that `read` dropped, vnet header included where there is one, and the reason.

An exception that it raises propagates out of `read`.
"""


@dataclass(frozen=True, slots=True)
class Interface:
    """What `add` found out about an fd; a wire has no `name`."""

    name: str | None
    multi_queue: bool


class Lending:
    """A buffer whose contents are lent out (W1)."""

    def __init__(self, size: int) -> None:
        self.buffer = bytearray(size)
        self._lent: list[memoryview] = []

    def lend(self, packets: list[Buffer]) -> list[memoryview]:
        """Return read-only views of `packets`, to be released by `reclaim`."""
        for packet in packets:
            with memoryview(packet) as view:
                self._lent.append(view.toreadonly())
        return list(self._lent)

    def reclaim(self) -> None:
        """Release every view, and leave the buffer to any slices of them that are still in use."""
        for view in self._lent:
            with contextlib.suppress(BufferError):  # the view itself has been exported
                view.release()
        self._lent.clear()
        try:  # a bytearray with exports cannot change its size
            self.buffer.append(0)
            del self.buffer[-1]
        except BufferError:
            self.buffer = bytearray(len(self.buffer))


class BaseQueue(Queue, GSOWriter):
    """A queue on an `Endpoint`; the backends define what a frame is.

    Attributes:
        interface: the device, as `add` found it.
        rejected: frames that `read` dropped, counted by rule.
    """

    def __init__(self, fd: int, interface: Interface, on_reject: RejectCallback | None, *, buffer_size: int) -> None:
        """Adopt a non-blocking fd; raises `OSError` and leaves the fd alone if no eventfd can be made."""
        self.interface = interface
        self.rejected: dict[str, int] = {}
        self._on_reject = on_reject
        self._lending = Lending(buffer_size)
        self._reading = threading.Lock()
        self._endpoint = Endpoint(fd)  # last: no later failure would have to close its eventfd

    def read(self) -> list[memoryview]:
        """See `Queue.read`."""
        if not self._reading.acquire(blocking=False):
            if self.fd is None:  # `close` holds the lock too, while it releases what was lent
                raise Closed("the queue was closed")
            raise ConcurrentRead("another read is under way on this queue")
        try:
            self._lending.reclaim()
            while True:
                packets = self._receive()
                if packets:
                    return self._lending.lend(packets)
        finally:
            self._reading.release()

    def write(self, packet: Buffer) -> int:
        """See `Queue.write`."""
        if not len(packet):
            return 0
        version_of(packet)
        if len(packet) > MAX_PACKET:
            raise PacketError("W9", "ip", 0, len(packet), "a packet has at most 65535 bytes")
        self._send(packet, Geometry(payload=len(packet)))
        return len(packet)

    def write_segments(self, superpacket: Superpacket) -> None:
        """See `GSOWriter.write_segments`."""
        for packet in superpacket.packets():
            self.write(packet)

    def close(self) -> None:
        """See `Queue.close`."""
        try:
            self._endpoint.close()
        except OSError as error:
            raise DeviceError("close", error.errno or 0) from error
        finally:
            # A waiting reader has left by this point. One that is still segmenting may finish: its views are
            # released by its next `read`, which raises `Closed`.
            if self._reading.acquire(blocking=False):
                self._lending.reclaim()
                self._reading.release()

    def _receive(self) -> list[Buffer]:
        """Read one frame and return its packets; none if it was rejected (W8)."""
        buffer = self._lending.buffer
        try:
            size = self._endpoint.readv(buffer)
        except DeviceError as error:
            if error.errno != errno.EINVAL:
                raise
            # virtio_net_hdr_from_skb: this read dropped a packet of a kind that the header cannot express.
            because = "the kernel dropped a packet that a vnet header cannot express"
            self._reject(b"", HeaderError("R4", "vnet.gso_type", 1, None, because))
            return []
        frame = memoryview(buffer)[:size]
        try:
            if size > len(buffer):
                raise PacketError("R6", "ip", 0, f"over {MAX_PACKET}", "a packet has at most 65535 bytes")
            return self._packets(frame)
        except FrameError as error:
            self._reject(bytes(frame), error)
            return []

    def _reject(self, frame: bytes, error: FrameError) -> None:
        """Count a rejected frame, and pass it to `on_reject`."""
        self.rejected[error.rule] = self.rejected.get(error.rule, 0) + 1
        if self._on_reject is not None:
            # Otherwise an error that is kept would, through its traceback, keep the read buffer alive.
            self._on_reject(frame, error.with_traceback(None))

    @property
    def fd(self) -> int | None:
        """The fd, until it is closed."""
        return self._endpoint.fd

    @abc.abstractmethod
    def _packets(self, frame: memoryview) -> list[Buffer]:
        """Return the packets of a frame. Raises `FrameError`."""

    @abc.abstractmethod
    def _send(self, packet: Buffer, geometry: Geometry) -> None:
        """Write one packet as a frame."""


class BaseContainer(Container):
    """The bookkeeping of a container; the backends define how an fd becomes a queue."""

    vnet_header: bool

    def __init__(self, *, on_reject: RejectCallback | None = None) -> None:
        """Make an empty container. `on_reject(frame, error)` is called by `read` for each frame that it drops."""
        self._on_reject = on_reject
        self._queues: list[BaseQueue] = []
        self._lock = threading.RLock()  # a signal handler may close while its thread is in `add`
        self._closed = False

    def add(self, fd: int) -> None:
        """See `Container.add` and A1 to A7."""
        with self._lock:
            if self._closed:
                raise Closed("A1: the container was closed")
            try:
                flags = fcntl.fcntl(fd, fcntl.F_GETFL)
            except (OSError, ValueError, OverflowError) as error:
                raise AddRefused("A2", f"fd {fd} is not open: {error}") from error
            if fd in (queue.fd for queue in self._queues):
                raise AddRefused("A2", f"fd {fd} was added before")
            make_queue = self._prepare(fd, self._examine(fd))
            fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
            try:
                queue = make_queue()
            except BaseException as error:
                fcntl.fcntl(fd, fcntl.F_SETFL, flags)
                if isinstance(error, OSError):
                    raise AddRefused("A7", f"no eventfd for fd {fd}: {error}") from error
                raise
            self._queues.append(queue)
            self._close_if_closed(queue)

    def _close_if_closed(self, queue: BaseQueue) -> None:
        """Close a queue that was added while a signal handler closed the container, as a later `close` would."""
        if self._closed:
            queue.close()

    def queues(self) -> tuple[BaseQueue, ...]:
        """See `Container.queues`."""
        return tuple(self._queues)

    def close(self) -> None:
        """See `Container.close`."""
        with self._lock:
            self._closed = True
        failures: list[Exception] = []
        for queue in self._queues:
            try:
                queue.close()
            except Exception as error:  # noqa: BLE001  (an error of one queue must not keep the others open)
                failures.append(error)
        if failures:
            raise CloseFailed(f"{len(failures)} of {len(self._queues)} queues") from ExceptionGroup("close", failures)

    def _examine(self, fd: int) -> Interface:
        """Check A3 and A4."""
        try:
            name, device_flags = tuntap.get_interface(fd)
        except OSError as error:
            if error.errno == errno.ENOTTY:
                return Interface(name=None, multi_queue=False)
            raise AddRefused("A3", f"TUNGETIFF: {error.strerror}: attach the fd to a device first") from error
        if device_flags & tuntap.Iff.TAP:
            raise AddRefused("A3", f"{name} is a TAP: its frames are Ethernet")
        if bool(device_flags & tuntap.Iff.VNET_HDR) != self.vnet_header:
            have = "has" if not self.vnet_header else "has no"
            raise AddRefused("A4", f"{name} {have} IFF_VNET_HDR, which {type(self).__name__} does not expect")
        return Interface(name=name, multi_queue=bool(device_flags & tuntap.Iff.MULTI_QUEUE))

    @abc.abstractmethod
    def _prepare(self, fd: int, interface: Interface) -> Callable[[], BaseQueue]:
        """Check A5, apply A6, and return a function that makes the queue. Raises `AddRefused`."""
