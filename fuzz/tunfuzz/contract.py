"""A simple model of the contract: one queue, what is on its wire, and what it lent.

The numbers are the rules behind each expectation: W1 to W9 of `tio.queue`, I1 and I2 of `tio.endpoint`. Nothing here
looks into a queue; it is the account that `tunfuzz.machine` keeps of one.
"""

import contextlib
import errno
import fcntl
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import tio
from tio.container import BaseQueue
from tunproof.subjects.lifecycle.calls import Call

__all__ = ["Lent", "Wire", "expect", "is_open", "must", "open_fds", "pick", "wire_pair"]

_LARGEST = 1 << 17
_KEPT = 20
_MOST_FRAMES = 6  # in either direction: they must fit on the wire
_ROOM = 8192  # bytes of SO_SNDBUF: for about 16 small frames, and not for 64


def must(holds: bool, rule: str) -> None:
    """Raise `AssertionError` with the rule that does not hold."""
    if not holds:
        raise AssertionError(rule)


def expect(error: type[tio.TioError], call: Callable[[], object], rule: str) -> tio.TioError:
    """Make a call that must raise `error`, and return what it raised. Raises `AssertionError` with the rule."""
    try:
        call()
    except error as raised:
        return raised
    except tio.TioError as raised:
        raise AssertionError(f"{rule}: raised {raised!r} instead of {error.__name__}") from raised
    raise AssertionError(f"{rule}: raised nothing instead of {error.__name__}")


def is_open(fd: int) -> bool:
    """Return whether the number is that of an open file."""
    try:
        fcntl.fcntl(fd, fcntl.F_GETFL)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return False
    return True


def open_fds() -> int:
    """Return how many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def wire_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a new wire: the one for a container, and the far one."""
    near, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
    peer.setblocking(False)
    return near, peer


@dataclass(slots=True)
class Lent:
    """Views that `read` lent, and what was made of them (W1)."""

    now: list[tuple[memoryview, bytes]] = field(default_factory=list)
    released: deque[memoryview] = field(default_factory=lambda: deque(maxlen=_KEPT))
    kept: deque[tuple[memoryview, bytes]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def end(self) -> None:
        """Record that the next `read` began, or `close` ended."""
        self.released.extend(view for view, _ in self.now)
        self.now.clear()

    def keep(self, which: int) -> None:
        """Make a slice of a lent view, which outlives it."""
        view, packet = self.now[which % len(self.now)]
        self.kept.append((view[1:], packet[1:]))

    def check(self) -> None:
        """Test that lent views show their packet, that released ones raise, and that slices keep their bytes."""
        must(all(view == packet and view.readonly for view, packet in self.now), "W1: a lent view shows other bytes")
        for view in self.released:
            with contextlib.suppress(ValueError):
                must(not bytes(view), "W1: a view can be used after the next read or close")
        must(all(view == packet for view, packet in self.kept), "W1: a slice that survives shows other bytes")


@dataclass(slots=True, eq=False)
class Wire:
    """A queue, the far end of its wire, and what is where by the contract.

    Attributes:
        peer: the far end, until it hung up.
        inbound: frames that were fed and not read, as the packets they stand for; none if unreadable (W8).
        outbound: frames that were written and not taken from the far end.
        rejected: how many frames the queue has dropped.
        reader: a read that waits.
        writer: a write that waits for room, and continues with all of `unwritten`.
        torn: `close` ended `writer`, so that only a beginning of `unwritten` went out.
    """

    queue: BaseQueue
    fd: int
    peer: socket.socket | None
    open: bool = True
    inbound: deque[tuple[bytes, ...]] = field(default_factory=deque)
    outbound: list[bytes] = field(default_factory=list)
    rejected: int = 0
    lent: Lent = field(default_factory=Lent)
    reader: Call[list[memoryview]] | None = None
    writer: Call[None] | None = None
    unwritten: list[bytes] = field(default_factory=list)
    torn: bool = False

    @property
    def works(self) -> bool:
        """Whether a write can succeed."""
        return self.open and self.peer is not None

    def can_be_fed(self) -> bool:
        """Whether a frame can be sent to the queue, and has room."""
        return self.works and len(self.inbound) < _MOST_FRAMES

    def has_room(self) -> bool:
        """Whether a write need not wait."""
        return self.writer is None and len(self.outbound) < _MOST_FRAMES

    def can_be_filled(self) -> bool:
        """Whether many writes can be started."""
        return self.works and self.writer is None

    def write_all(self, packets: list[bytes]) -> None:
        """Write packets one after another."""
        for packet in packets:
            self.queue.write(packet)

    def feed(self, frame: bytes, packets: tuple[bytes, ...]) -> None:
        """Send a frame that stands for these packets from the far end."""
        if self.peer is not None:
            self.peer.send(frame)
            self.inbound.append(packets)

    def hang_up(self) -> None:
        """Close the far end. Closing twice is harmless."""
        if self.peer is not None:
            self.peer.close()
            self.peer = None

    def next_packets(self) -> tuple[bytes, ...]:
        """Return what the next read gets, or () if it finds nothing; unreadable frames are skipped (W8)."""
        while self.inbound:
            packets = self.inbound.popleft()
            if packets:
                return packets
            self.rejected += 1
        return ()

    def check_read(self, views: list[memoryview], packets: tuple[bytes, ...]) -> None:
        """Test that a read gave these packets."""
        must(tuple(bytes(view) for view in views) == packets, f"read gave {[bytes(view).hex() for view in views]}")
        self.lent.now = list(zip(views, packets, strict=True))
        must(sum(self.queue.rejected.values()) == self.rejected, f"W8: {self.queue.rejected} is not {self.rejected}")

    def received(self) -> list[bytes]:
        """Return what has arrived at the far end, without waiting."""
        frames: list[bytes] = []
        while self.peer is not None:
            try:
                frame = self.peer.recv(_LARGEST)
            except BlockingIOError:
                break
            except ConnectionResetError:  # reported once: the queue was closed before it read everything
                continue
            if not frame:
                break
            frames.append(frame)
        return frames

    def check_taken(self, frames: list[bytes]) -> None:
        """Test that these are all frames that were written: none missing, partial (W4), duplicated, or out of order."""
        certain, last = len(self.outbound), self.unwritten if self.torn else []
        wanted = self.outbound + last[: len(frames) - certain]
        must(frames == wanted, f"W4: at the far end are {[frame.hex() for frame in frames]}")
        self.outbound, self.unwritten, self.torn = [], [], False

    def ended(self) -> None:
        """Test what must be true of a queue once its `close` returned (I1, I2, W1, W7)."""
        self.open = False
        must(self.queue.fd is None and not is_open(self.fd), "I1: the fd is open after close")
        self.wake("W7: close must end the wait with Closed")
        self.lent.end()
        self.lent.check()

    def wake(self, rule: str) -> None:
        """Test that every waiting call gets `Closed` now."""
        if self.reader is not None:
            expect(tio.Closed, self.reader.result, rule)
            self.reader = None
        if self.writer is not None:
            expect(tio.Closed, self.writer.result, rule)
            self.writer, self.torn = None, True


def pick(wires: list[Wire], which: int, fits: Callable[[Wire], bool]) -> Wire:
    """Return one of the wires that fit; there is at least one."""
    fitting = [wire for wire in wires if fits(wire)]
    return fitting[which % len(fitting)]
