"""Containers and queues of the second implementation, on wires.

A queue waits in poll(2) for its fd and for an eventfd that `close` writes to. `close` waits until no call is inside,
and only then closes both. Scripts that need a device are unsupported: this container does not query its fds.
"""

import contextlib
import errno
import fcntl
import os
import select
import threading
from collections.abc import Iterator

from fakes.arithmetic import MOST, VNET, turn_down
from fakes.own_reader import OwnReader
from fakes.own_writer import OwnWriter
from tunproof.corpus.cases import GsoArguments
from tunproof.subjects.subject import TurnedDownError


class GoneError(Exception):
    """The queue or the container is closed."""


class OwnQueue:
    """One fd, one reader, many writers."""

    def __init__(self, fd: int, *, headers: bool) -> None:
        self.fd = fd
        self.headers = headers
        self.reader = OwnReader()
        self.writer = OwnWriter()
        self.lent: list[memoryview] = []
        self.scratch = bytearray(2 * MOST)  # for those who lend parts of one buffer
        self.is_closed = False
        self.inside = 0
        self.waits = 0
        self.changed = threading.Condition()
        self.reading = threading.Lock()
        self.wake = os.eventfd(0, os.EFD_CLOEXEC)

    # Reading.

    def read(self) -> list[memoryview]:
        """Return the packets of the next frame that can be read, lent until the next call."""
        if not self.reading.acquire(blocking=False):
            turn_down("one reader")
        try:
            with self.operation():
                self.give_back()
                self.lent = self.lend(self.next_packets())
                return self.lent
        finally:
            self.reading.release()

    def next_packets(self) -> list[bytes]:
        """Return the packets of the next frame that can be read."""
        while True:
            frame = self.next_frame()
            try:
                return self.packets_of(frame)
            except TurnedDownError:
                self.skipped(frame)

    def skipped(self, frame: bytes) -> None:
        """Go on behind a frame that cannot be read."""

    def packets_of(self, frame: bytes) -> list[bytes]:
        """Return the packets of a frame."""
        if self.headers:
            return self.reader.take(frame)
        self.reader.version(frame)
        return [frame]

    def next_frame(self) -> bytes:
        """Wait for a frame."""
        while True:
            try:
                frame = os.read(self.fd, VNET.size + MOST + 1)
            except BlockingIOError:
                self.wait(select.POLLIN)
                continue
            except ConnectionResetError:  # said once; what was sent before is still there
                continue
            if not frame and self.is_hung_up():
                raise GoneError
            return frame

    def is_hung_up(self) -> bool:
        """Whether the other end is gone; an empty datagram looks the same to read(2)."""
        poll = select.poll()
        poll.register(self.fd, select.POLLRDHUP)
        return bool(poll.poll(0))

    def lend(self, packets: list[bytes]) -> list[memoryview]:
        """Return what the caller may look at until the next read."""
        return [memoryview(packet) for packet in packets]

    def give_back(self) -> None:
        """End what was lent."""
        for view in self.lent:
            view.release()
        self.lent = []

    def grow(self, index: int, data: bytes) -> None:
        """Append to a packet that was lent, in place: it has no room."""
        turn_down("a view has a fixed size")

    # Writing.

    def write(self, packet: bytes) -> None:
        """Write one packet."""
        frames = self.writer.write(packet, (), None)
        with self.operation():
            for frame in frames:
                self.send(frame if self.headers else frame[VNET.size :])

    def write_gso(self, arguments: GsoArguments) -> None:
        """Write a superpacket."""
        if not self.headers:
            turn_down("no superpackets without vnet headers")
        frames = self.writer.write_gso(arguments, ())
        with self.operation():
            for frame in frames:
                self.send(frame)

    def send(self, frame: bytes) -> None:
        """Write one frame, waiting for room."""
        while True:
            try:
                os.write(self.fd, frame)
            except BlockingIOError:
                self.wait(select.POLLOUT)
            except OSError as error:
                if error.errno in {errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN}:
                    raise GoneError from error
                raise
            else:
                return

    # Waiting and closing.

    def wait(self, events: int) -> None:
        """Wait until the fd is ready, or the queue is closed."""
        with self.changed:
            self.waits += 1
            self.changed.notify_all()
        self.sleep(events)
        self.check_open()

    def sleep(self, events: int) -> None:
        """Return when the fd is ready, or somebody closed the queue."""
        poll = select.poll()
        poll.register(self.fd, events)
        poll.register(self.wake, select.POLLIN)
        poll.poll()

    def check_open(self) -> None:
        """Nothing is done with a queue that is closed."""
        if self.is_closed:
            raise GoneError

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        """Count whoever is inside."""
        with self.changed:
            self.check_open()
            self.inside += 1
        try:
            yield
        finally:
            with self.changed:
                self.inside -= 1
                self.changed.notify_all()

    def close(self) -> None:
        """Wake all, wait until they are gone, and close the fds."""
        with self.changed:
            if self.is_closed:
                return
            self.is_closed = True
            os.eventfd_write(self.wake, 1)
            self.changed.wait_for(lambda: not self.inside)
        self.give_back()
        self.release()

    def release(self) -> None:
        """Close both fds."""
        os.close(self.fd)
        os.close(self.wake)


class OwnContainer:
    """Queues that are closed together."""

    def __init__(self, queue_type: type[OwnQueue], *, headers: bool) -> None:
        self.queue_type = queue_type
        self.headers = headers
        self.list: list[OwnQueue] = []
        self.is_closed = False

    def add(self, fd: int) -> None:
        """Take a fd."""
        self.check_open()
        try:
            flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        except OSError as error:
            raise TurnedDownError("not open") from error
        if any(queue.fd == fd for queue in self.list if not queue.is_closed):
            turn_down("added before")
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        self.list.append(self.queue_type(fd, headers=self.headers))

    def check_open(self) -> None:
        """Nothing is added to a container that is closed."""
        if self.is_closed:
            raise GoneError

    def queues(self) -> list[OwnQueue]:
        """Return all queues."""
        return self.list

    def close(self) -> None:
        """Close every queue."""
        self.is_closed = True
        for queue in self.list:
            queue.close()
