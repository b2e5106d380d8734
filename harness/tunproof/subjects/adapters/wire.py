"""A socket pair in the TUN's place: exact bytes are seen, hostile frames can be fed, and no privileges are needed.

It is not a TUN. Where that shows, a case is not applicable: an empty frame and the end of the file look the same. Only
a few of the largest frames fit in, so the runner drains it while it waits.
"""

import contextlib
import fcntl
import select
import socket
import struct
import termios
from collections import deque

from tio.ip import MAX_PACKET
from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import ReadCase
from tunproof.judge.outcome import Answered, Inapplicable, Outcome, TurnedDown
from tunproof.protocol.messages import Attach, ErrorReply, OkReply, Reply, UnsupportedReply
from tunproof.subjects.adapters.dialogue import FRAME_IS_THERE, SENTINEL_FRAME, Dialogue, outcome_of
from tunproof.subjects.adapters.process import BrokenError, Watch
from tunproof.subjects.adapters.transport import Transport

__all__ = ["WireTransport"]

_LARGEST = HEADER_SIZE + MAX_PACKET
_MOST_LEFT = 4  # reads after an error, until an adapter is given up


class WireTransport(Transport):
    """A socket pair in the TUN's place. Only a few of the largest frames fit in, so it is drained all the time."""

    mode = "wire"

    def _start(self) -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (near, far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _LARGEST)
        self._wire = _FarEnd(far)
        with near:
            self._begin(Attach(mode="wire", fd=near.fileno()), [near.fileno()])

    def stop(self) -> None:
        """See `Transport.stop`."""
        super().stop()
        if hasattr(self, "_wire"):
            self._wire.close()

    def leftover(self) -> str:
        """See `Transport.leftover`."""
        frames = self._wire.take()
        return f"wrote {len(frames)} unrequested frames" if frames else ""

    def _put(self, dialogue: Dialogue) -> Outcome:
        if isinstance(dialogue.case, ReadCase):
            return self._read(dialogue.case)
        for run in dialogue.before:
            self.client.run(run, self._wire.watch)
        self._wire.take()
        reply = self.client.run(dialogue.judged, self._wire.watch)
        frames = self._wire.take()
        self._wire.check_open()
        return _written(dialogue.judged.op, reply, frames)

    def _read(self, case: ReadCase) -> Outcome:
        frames = (*case.input.before, case.input.frame)
        if not all(frames):
            return Inapplicable("on a wire an empty frame looks the same as end of file")
        for frame in frames:
            self._wire.feed(frame, SENTINEL_FRAME)
            reply = self.client.run(FRAME_IS_THERE, self._wire.watch)
            if isinstance(reply, ErrorReply | UnsupportedReply):
                self._read_on()
                continue
            self._wire.check_open()
            if self._wire.unread():
                raise BrokenError("protocol-error", "answered before the sentinel was read")
        return self._outcome("read", reply)

    def _read_on(self) -> None:
        """Make the adapter read the rest, after an error that came before the sentinel."""
        for _ in range(_MOST_LEFT):
            if self._wire.is_closed() or not self._wire.unread():
                break
            self.client.run(FRAME_IS_THERE, self._wire.watch)
        if self._wire.is_closed() or self._wire.unread():
            self.refresh()


class _FarEnd:
    """The runner's end of a wire."""

    def __init__(self, far: socket.socket) -> None:
        self._far = far
        self._waiting: deque[bytes] = deque()
        self._frames: list[bytes] = []
        self._hung_up = False
        far.setblocking(False)
        self._hang_up = select.poll()
        self._hang_up.register(far, select.POLLRDHUP)
        self.watch = Watch(self._act, fd=far.fileno(), events=self._events)

    def feed(self, *frames: bytes) -> None:
        """Send frames, now or as soon as there is room."""
        self._waiting.extend(frames)
        self._act(0)

    def unread(self) -> bool:
        """Whether there are unread frames on their way (SIOCOUTQ)."""
        (queued,) = struct.unpack("i", fcntl.ioctl(self._far, termios.TIOCOUTQ, bytes(4)))
        return bool(self._waiting or queued)

    def is_closed(self) -> bool:
        """Whether the other end is closed."""
        self._act(0)
        return self._hung_up

    def check_open(self) -> None:
        """Raise `BrokenError` if the other end is closed: then its replies do not count."""
        if self.is_closed():
            raise BrokenError("crash", "closed its TUN")

    def take(self) -> list[bytes]:
        """Return the frames that were written since the last call."""
        self._act(0)
        taken, self._frames = self._frames, []
        return taken

    def close(self) -> None:
        """Close it. Closing twice is harmless."""
        self._far.close()

    def _events(self) -> int:
        if self._hung_up:
            return 0
        return select.POLLIN | (select.POLLOUT if self._waiting else 0)

    def _act(self, _: int) -> None:
        try:
            while self._waiting and not self._hung_up:
                self._far.send(self._waiting[0])
                self._waiting.popleft()
        except BlockingIOError:
            pass
        except OSError:  # EPIPE, ECONNRESET
            self._hung_up = True
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while not self._hung_up:
                frame = self._far.recv(_LARGEST + 1)
                self._hung_up = not frame and bool(self._hang_up.poll(0))
                if not self._hung_up:
                    self._frames.append(frame)


def _written(op: str, reply: Reply, frames: list[bytes]) -> Outcome:
    """Return the outcome of a write whose frames were seen on the wire."""
    outcome = outcome_of(op, reply, silent=False) if not isinstance(reply, OkReply) else Answered(frames)
    return TurnedDown(outcome.reason, tuple(frames)) if isinstance(outcome, TurnedDown) else outcome
