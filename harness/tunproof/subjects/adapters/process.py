"""One adapter process: lines in, lines out, within a deadline, with stderr kept and never interpreted.

Nothing here knows what the lines mean. Any failure is a `BrokenError` that says how: the adapter ended (crash), did not
answer in time (hang), used too much memory (oom), or sent something that is not a line (protocol-error).
"""

import contextlib
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.judge.outcome import HowBroken

__all__ = ["BrokenError", "Limits", "Process", "Watch"]

_WARDEN = str(Path(__file__).with_name("warden.py"))
_CHUNK = 1 << 16  # larger buffers come from mmap, and cost more than they save
_KEPT = 1 << 16  # bytes of stderr kept between two reads: the first half and the last
_PATIENCE = 2.0  # seconds for the warden to do its work


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of an adapter.

    Attributes:
        start: seconds until it has answered `hello`.
        answer: seconds for one answer; a batch has slightly more for each run in it, and a long message for its length.
        memory: bytes that it and its descendants may touch.
        line: bytes of one answer. The segments of the largest superpacket take about 6 MB of hex.
        restarts: how often it is restarted in one run because it broke.
        renewals: how often it is restarted besides, after an error reply: nothing that a panic leaves behind is to
            reach the next case. When they are used up, it is left running.
    """

    start: float = 30.0
    answer: float = 2.0
    memory: int = 1 << 30
    line: int = 64 << 20
    restarts: int = 100
    renewals: int = 100

    def __post_init__(self) -> None:
        for name in ("start", "answer"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"a deadline is a number of seconds above 0, not {getattr(self, name)}")


class BrokenError(Exception):
    """The conversation broke, and the adapter is no longer usable."""

    def __init__(self, how: HowBroken, detail: str) -> None:
        super().__init__(detail)
        self.how = how
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Watch:
    """What else happens while waiting for an answer.

    Attributes:
        act: called with the events that occurred.
        fd: polled, if there is one.
        events: which of its events are wanted now (`select.POLLIN`, `select.POLLOUT`); 0 to leave it alone.
        every: seconds after which `act` is called anyway.
    """

    act: Callable[[int], None]
    fd: int = -1
    events: Callable[[], int] = lambda: 0
    every: float | None = None


Spawn = Callable[..., "subprocess.Popen[bytes]"]


class Process:
    """A running adapter. Raises `EnvironmentProblem` if no process can be created at all."""

    def __init__(
        self, command: Sequence[str], limits: Limits, *, pass_fds: Sequence[int] = (), spawn: Spawn = subprocess.Popen
    ) -> None:
        self._limits = limits
        self._command = command
        self._control, theirs = socket.socketpair()
        guarded = [sys.executable, "-I", "-S", _WARDEN, str(theirs.fileno()), str(limits.memory)]
        try:
            self._warden = spawn(
                [*guarded, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(*pass_fds, theirs.fileno()),
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._control.close()
            raise EnvironmentProblem(
                f"no process can be created: {error}", cure="check `ulimit -u` and `ulimit -n`, or free some memory"
            ) from error
        finally:
            theirs.close()
        self._in, self._out, self._err = (
            pipe.fileno() for pipe in (self._warden.stdin, self._warden.stdout, self._warden.stderr) if pipe is not None
        )
        for fd in (self._in, self._out, self._err):
            os.set_blocking(fd, False)
        self._poll = select.poll()
        for fd in (self._out, self._err, self._control.fileno()):
            self._poll.register(fd, select.POLLIN)
        self._buffer = bytearray()
        self._stderr = bytearray()
        self._lost = 0
        self.exit_code: int | None = None

    @property
    def unrequested(self) -> bytes:
        """What it sent unrequested."""
        return bytes(self._buffer)

    def ask(self, line: bytes, patience: float, watch: Watch | None = None) -> bytes:
        """Send a line and return the next one, without its end. Raises `BrokenError`."""
        deadline = time.monotonic() + patience
        self._send(line, deadline, patience, watch)
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                answer = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return answer
            if len(self._buffer) > self._limits.line:
                raise BrokenError("protocol-error", f"an answer is longer than {self._limits.line} bytes")
            self._wait(deadline, watch, patience)

    def stderr(self) -> str:
        """Return what it wrote to stderr since the last call: the beginning and the end, if it is long."""
        with contextlib.suppress(BlockingIOError):
            while self._keep(os.read(self._err, _CHUNK)):
                pass
        text = bytes(self._stderr)
        if self._lost:
            half = _KEPT // 2
            text = text[:half] + f"\n[{self._lost} bytes omitted here]\n".encode() + text[half:]
        self._stderr.clear()
        self._lost = 0
        return text.decode(errors="replace")

    def bye(self, line: bytes) -> None:
        """Send the last line, and wait for a silent end with exit code 0. Raises `BrokenError`."""
        deadline = time.monotonic() + _PATIENCE
        self._send(line, deadline, _PATIENCE, None)
        if self._warden.stdin is not None:
            self._warden.stdin.close()
        try:
            while not self._buffer:
                self._wait(deadline, None, _PATIENCE)
        except BrokenError as error:
            if error.how == "hang":
                raise BrokenError("hang", f"did not end within {_PATIENCE:g} s of bye") from error
            if self.exit_code != 0:
                raise
        if self._buffer:
            raise BrokenError("protocol-error", f"sent something unrequested: {_shown(self._buffer)}")

    def close(self) -> None:
        """End it and its children, whatever state it is in. Closing twice is harmless."""
        self._control.close()
        try:
            self._warden.wait(_PATIENCE)
        except subprocess.TimeoutExpired:  # all it can be waiting for is a process that cannot be killed
            os.killpg(self._warden.pid, signal.SIGKILL)
            self._warden.wait()
        for pipe in (self._warden.stdin, self._warden.stdout, self._warden.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()

    def _send(self, line: bytes, deadline: float, patience: float, watch: Watch | None) -> None:
        rest = memoryview(line)
        while True:
            try:
                rest = rest[os.write(self._in, rest) :]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                raise self._how_it_ended() from None
            if not rest:
                return
            self._poll.register(self._in, select.POLLOUT)
            try:
                self._wait(deadline, watch, patience)
            finally:
                self._poll.unregister(self._in)
            if self._buffer:
                raise BrokenError("protocol-error", f"answered before the request was complete: {_shown(self._buffer)}")

    def _wait(self, deadline: float, watch: Watch | None, patience: float) -> None:
        """Wait until something happens, and read it."""
        left = max(deadline - time.monotonic(), 0)
        if watch is None:
            self._take_in(self._poll.poll(left * 1000), None)
        else:
            self._wait_watching(left, watch)
        if time.monotonic() >= deadline and b"\n" not in self._buffer:
            said = f", except half a line: {_shown(self._buffer)}" if self._buffer else ""
            raise BrokenError("protocol-error" if said else "hang", f"no answer within {patience:g} s{said}")

    def _wait_watching(self, left: float, watch: Watch) -> None:
        wanted = watch.events()
        if wanted:
            self._poll.register(watch.fd, wanted)
        try:
            self._take_in(self._poll.poll(min(left, watch.every or left) * 1000), watch)
        finally:
            if wanted:
                self._poll.unregister(watch.fd)
        if watch.every is not None:
            watch.act(0)

    def _take_in(self, ready: list[tuple[int, int]], watch: Watch | None) -> None:
        for fd, events in ready:
            if fd == self._out:
                self._take_out()
            elif fd == self._err:
                if not self._keep(os.read(self._err, _CHUNK)):
                    self._poll.unregister(self._err)
            elif fd == self._control.fileno():
                self._ended()
            elif watch is not None and fd == watch.fd:
                watch.act(events)

    def _take_out(self) -> None:
        data = os.read(self._out, _CHUNK)
        if not data:
            self._ended()
        self._buffer += data

    def _keep(self, data: bytes) -> int:
        self._stderr += data
        if len(self._stderr) > _KEPT:
            half = _KEPT // 2
            self._lost += len(self._stderr) - _KEPT
            del self._stderr[half : len(self._stderr) - half]
        return len(data)

    def _ended(self) -> None:
        """Raise an error that says how it ended, unless it had answered before."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._out, _CHUNK):
                self._buffer += data
        if b"\n" in self._buffer:  # the end can wait: it will be found again
            return
        raise self._how_it_ended()

    def _how_it_ended(self) -> BrokenError:
        self._control.settimeout(_PATIENCE)
        try:
            word, _, number = self._control.recv(64).decode().strip().partition(" ")
        except TimeoutError:
            return BrokenError("hang", "closed its standard output and keeps running")
        except OSError:
            word, number = "", ""
        match word:
            case "start":
                what = os.strerror(int(number))
                raise EnvironmentProblem(
                    f"the adapter cannot be started: {self._command[0]}: {what}",
                    cure="check the path behind `--`, and that the file exists and is executable",
                )
            case "oom":
                most = f"{self._limits.memory >> 20} MiB"
                return BrokenError("oom", f"used {int(number) >> 20} MiB of memory; the limit is {most}")
            case "signal":
                return BrokenError("crash", f"was killed by {_signal(int(number))}")
            case "exit":
                self.exit_code = int(number)
                if self._buffer and self.exit_code == 0:
                    return BrokenError("protocol-error", f"ended in the middle of a line: {_shown(self._buffer)}")
                return BrokenError("crash", f"ended with exit code {number} instead of answering")
        return BrokenError("crash", "ended in an unknown way")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"


def _shown(data: bytes | bytearray) -> str:
    text = bytes(data[:80]).decode(errors="replace")
    return repr(text) + (" …" if len(data) > 80 else "")
