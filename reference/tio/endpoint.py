"""A non-blocking fd that several threads use and any of them may close.

Theory: `close` must wake every thread that waits in `poll`, and must not free the fd number while a system call is
about to use it (the number could belong to another file by then, which would get its bytes). So every operation is
counted in and out; `close` forbids new ones, wakes the waiting ones through an eventfd that is never drained, and the
fd is closed when no operation is left inside. `close` itself waits for that, unless it is called from inside an
operation of its own thread, as a signal handler may do; then the last operation closes the fd as it leaves.

The kernel's answers, and what they become:

| errno | meaning on a TUN or a wire | becomes |
|---|---|---|
| EAGAIN | nothing to read, or the queue is full | a wait in `poll` |
| EINTR | a signal | repeated (by Python, PEP 475) |
| EIO | the interface is down (`tun_get_user`) | `LinkDown` |
| EBADFD | the device is gone (`ip link del`) | `Closed` |
| EPIPE, ECONNRESET, ENOTCONN | the other end of a wire is gone | `Closed` on write |
| ECONNRESET | the same, reported once, before the frames that arrived earlier | another read |
| EINVAL, EMSGSIZE, ENOBUFS, ENOMEM | a frame was refused | `KernelRefused` on write |
| any other | | `DeviceError` |
"""

import contextlib
import errno
import fcntl
import os
import select
import sys
import termios
import threading
from collections.abc import Iterator, Sequence

from tio.checksum import Buffer
from tio.errors import Closed, DeviceError, Geometry, KernelRefused, LinkDown

__all__ = ["Endpoint"]

_GONE = {errno.EBADFD, errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN}
_REFUSED = {errno.EINVAL, errno.EMSGSIZE, errno.ENOBUFS, errno.ENOMEM}


class Endpoint:
    """The fd of one queue.

    I1  The fd is closed exactly once, and never while an operation is inside.
    I2  Once `close` has begun, no operation starts, and every waiting one raises `Closed`.
    """

    def __init__(self, fd: int) -> None:
        """Adopt `fd`, which must be non-blocking. Raises `OSError` (EMFILE) and then leaves the fd alone."""
        self._fd = fd
        self._spill = bytearray(1)  # shows that a frame was longer than the reader's buffer
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._changed = threading.Condition()
        self._inside: list[int] = []  # thread identifiers, one entry per operation
        self._closing = False
        self._close_on_leaving = False
        self._released = False

    @property
    def fd(self) -> int | None:
        """The fd, or None from the moment that `close` was called."""
        return None if self._closing else self._fd

    def readv(self, buffer: bytearray) -> int:
        """Wait for a frame, read it into `buffer` and return its length; a length that does not fit means truncation.

        Raises `Closed`, `DeviceError`.
        """
        with self._operation():
            while True:
                self._check_open()
                try:
                    return os.readv(self._fd, (buffer, self._spill)) or self._empty_read()
                except BlockingIOError:
                    self._wait(select.POLLIN)
                except ConnectionResetError:
                    continue
                except OSError as error:
                    raise _translate("read", error) from error

    def writev(self, pieces: Sequence[Buffer], geometry: Geometry) -> None:
        """Write one frame, waiting for room. Raises `Closed`, `KernelRefused`, `LinkDown`, `DeviceError`."""
        with self._operation():
            while True:
                self._check_open()
                try:
                    os.writev(self._fd, pieces)
                except BlockingIOError:
                    self._wait(select.POLLOUT)
                except OSError as error:
                    raise _translate("write", error, geometry) from error
                else:
                    return

    def close(self) -> None:
        """Close the fd as the theory above says. Raises `OSError` if `close(2)` fails."""
        with self._changed:
            if not self._closing:
                self._closing = True
                os.eventfd_write(self._wake, 1)
            if threading.get_ident() in self._inside:
                self._close_on_leaving = True
                return
            while self._inside:
                self._changed.wait()
            self._release()

    @contextlib.contextmanager
    def _operation(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            self._check_open()
            self._inside.append(me)
        try:
            yield
        finally:
            with self._changed:
                self._inside.remove(me)
                self._changed.notify_all()
                if self._close_on_leaving and not self._inside:
                    self._release()

    def _release(self) -> None:
        """Close what is held, once (I1); an interrupted `close` is completed by the next one."""
        if self._released:
            return
        self._released = True
        try:
            os.close(self._wake)
        finally:
            os.close(self._fd)

    def _check_open(self) -> None:
        if self._closing:
            raise Closed("the queue was closed")

    def _empty_read(self) -> int:
        """Tell an empty datagram from the end of a wire: both read as zero bytes, but nothing comes after the end."""
        poller = select.poll()
        poller.register(self._fd, select.POLLRDHUP)
        pending = int.from_bytes(fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)), sys.byteorder)
        if poller.poll(0) and not pending:
            raise Closed("the other end of the wire was closed")
        return 0

    def _wait(self, events: int) -> None:
        poller = select.poll()
        poller.register(self._fd, events)
        poller.register(self._wake, select.POLLIN)
        poller.poll()


def _translate(call: str, error: OSError, geometry: Geometry | None = None) -> Exception:
    """Return the exception that an errno becomes."""
    number = error.errno or 0
    if number in _GONE:
        return Closed(f"{call}: the device is gone ({os.strerror(number)})")
    if number == errno.EIO:
        return LinkDown(call, number)
    if number in _REFUSED and geometry is not None:
        return KernelRefused(call, number, geometry)
    return DeviceError(call, number)
