"""How frames reach the implementation behind an adapter: in messages, over a wire, through a real TUN.

A way starts the adapter, puts questions, and knows what a question is worth there. A start that fails leaves nothing
behind. Whatever the way, `checksum` and `header` are asked in messages, and lifecycles bring their own fds.
"""

import abc
import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import termios
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

import tio
from tunproof import lab
from tunproof.adapters.client import Asked, Client
from tunproof.adapters.process import BrokenError, Limits, Process, Watch
from tunproof.adapters.questions import FRAME_IS_THERE, SENTINEL_FRAME, Question, outcome_of, reads_on
from tunproof.corpus.cases import Case, LifecycleCase, Packets, ReadCase, WriteBatchCase
from tunproof.corpus.model import KernelSame, from_hex
from tunproof.errors import EnvironmentProblem
from tunproof.frames import cut
from tunproof.lifecycle import PATIENCE
from tunproof.outcome import Answered, Broken, Cut, Inapplicable, Outcome, TurnedDown, Unable
from tunproof.probes import probe
from tunproof.protocol import Attach, ErrorReply, OkReply, Reply, UnsupportedReply
from tunproof.remote_lifecycle import RemoteLifecycle, StepBrokenError
from tunproof.subject import InapplicableError, TurnedDownError, UnsupportedError

__all__ = ["DeviceWay", "MemoryWay", "Way", "WireWay", "way_of"]

_LARGEST = 10 + 65535
_BLINK = 0.001  # seconds between two looks at a wire that must be drained
_MOST_LEFT = 4  # reads after an error, until an adapter is given up
_IN_MESSAGES = ("checksum", "header")

DeviceMode = Literal["device-fd", "device-create", "device-attach"]


class Way(abc.ABC):
    """A way to an implementation. `start` comes first; it is called again after `stop`.

    Attributes:
        mode: its name.
        client: the conversation, from `start` on.
        refreshed: how often the adapter was started anew without having broken.
    """

    mode: str

    def __init__(self, command: Sequence[str], limits: Limits) -> None:
        self.command = command
        self.limits = limits
        self.client: Client = None  # type: ignore[assignment]
        self._process: Process | None = None
        self._descriptors: socket.socket | None = None
        self._said = ""
        self.refreshed = 0

    def start(self) -> None:
        """Start the adapter and say hello. Raises `EnvironmentProblem`."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    @abc.abstractmethod
    def _start(self) -> None:
        """Make what the adapter needs, and start it."""

    def stop(self) -> None:
        """End the adapter and everything that it started. Stopping twice is harmless."""
        if self._process is not None:
            self._process.close()
        if self._descriptors is not None:
            self._descriptors.close()
        self._process = self._descriptors = None

    def refresh(self) -> None:
        """Start anew: something may be on its way to the old adapter that the next question must not meet."""
        self._said += self.client.stderr()
        self.refreshed += 1
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop, and give back what was kept between starts."""
        self.stop()

    def stderr(self) -> str:
        """Return what was written to stderr since the last call."""
        said, self._said = self._said + self.client.stderr(), ""
        return said

    def leftover(self) -> str:
        """Return what came that no question was about, in words; nothing if nothing did."""
        return ""

    def batches(self, case: Case) -> bool:
        """Whether a case may be asked together with others."""
        return case.id.partition("/")[0] in _IN_MESSAGES

    @abc.abstractmethod
    def ask(self, question: Question) -> Outcome:
        """Put a question. Raises `BrokenError`."""

    def asked_in_messages(self, question: Question) -> Outcome:
        """Put a question that needs no fd. Raises `BrokenError`."""
        return self.replied(question, [self.client.run(run) for run in question.runs])

    def replied(self, question: Question, replies: Sequence[Reply]) -> Outcome:
        """Return the outcome of a question whose runs got these replies."""
        outcome = self._outcome(question.asked.op, replies[len(question.before)])
        return reads_on(outcome, replies[-1]) if question.is_followed else outcome

    def play(self, case: LifecycleCase) -> Outcome:
        """Play a lifecycle. Raises `BrokenError`.

        After a script that was not played to its end a new adapter is started: a fd may be on its way to the old one.
        """
        outcome = self._play(case)
        if not isinstance(outcome, Answered):
            self.refresh()
        return outcome

    def _play(self, case: LifecycleCase) -> Outcome:
        try:
            return Answered(RemoteLifecycle().play(case.input, self._step, self._pass_on))
        except TurnedDownError as error:
            return TurnedDown(error.reason, error.frames)
        except InapplicableError as error:
            return Inapplicable(str(error))
        except UnsupportedError as error:
            return Unable(str(error))
        except StepBrokenError as error:
            return Broken("error", error.detail, error.trace)
        except ValueError as error:
            return Broken("protocol-error", str(error))

    def _step(self, op: str, given: dict[str, object], while_waiting: Callable[[], None] | None) -> Reply:
        watch = None if while_waiting is None else Watch(act=lambda _: while_waiting(), every=_BLINK)
        return self.client.run(Asked(op, msgspec.json.encode(given)), watch, patience=self.limits.answer + PATIENCE)

    def _pass_on(self, fd: int) -> None:
        if self._descriptors is None:
            raise ValueError("not started")
        try:
            socket.send_fds(self._descriptors, [b"f"], [fd])
        except OSError:
            raise BrokenError("crash", "closed the socket for fds before it took that of its lifecycle") from None

    def _outcome(self, op: str, reply: Reply) -> Outcome:
        return outcome_of(op, reply, silent=self.client.hello.reject_style == "silent")

    def _begin(
        self,
        attach: Attach | None,
        fds: Sequence[int] = (),
        spawn: Callable[..., "subprocess.Popen[bytes]"] = subprocess.Popen,
    ) -> None:
        """Start the process, with `fds` and a socket for more."""
        self._descriptors, theirs = socket.socketpair()
        with theirs:
            pass_fds = (*fds, theirs.fileno())
            self._process = Process(self.command, self.limits, pass_fds=pass_fds, spawn=spawn)
            number = theirs.fileno()
        self.client = Client(self._process, self.limits, attach=attach, descriptors=number)


class MemoryWay(Way):
    """Frames and packets travel in the messages."""

    mode = "memory"

    def _start(self) -> None:
        self._begin(None)

    def batches(self, case: Case) -> bool:
        """See `Way.batches`."""
        return not isinstance(case, LifecycleCase)

    def ask(self, question: Question) -> Outcome:
        """See `Way.ask`."""
        return self.asked_in_messages(question)


class WireWay(Way):
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
        """See `Way.stop`."""
        super().stop()
        if hasattr(self, "_wire"):
            self._wire.close()

    def leftover(self) -> str:
        """See `Way.leftover`."""
        frames = self._wire.take()
        return f"wrote {len(frames)} frames that nobody asked for" if frames else ""

    def ask(self, question: Question) -> Outcome:
        """See `Way.ask`."""
        case = question.case
        if question.asked.op in _IN_MESSAGES:
            return self.asked_in_messages(question)
        _check_nothing(self.leftover())
        if isinstance(case, ReadCase):
            return self._read(case)
        for run in question.before:
            self.client.run(run, self._wire.watch)
        self._wire.take()
        reply = self.client.run(question.asked, self._wire.watch)
        frames = self._wire.take()
        self._wire.check_open()
        return _written(question.asked.op, reply, frames)

    def _read(self, case: ReadCase) -> Outcome:
        frames = from_hex((*case.input.before, case.input.frame))
        if not all(frames):
            return Inapplicable("on a wire an empty frame and the end of the file look the same")
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
        """Have what is left read, after an error that came before the sentinel did."""
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
        """Whether frames are on their way that nobody has read (SIOCOUTQ)."""
        (queued,) = struct.unpack("i", fcntl.ioctl(self._far, termios.TIOCOUTQ, bytes(4)))
        return bool(self._waiting or queued)

    def is_closed(self) -> bool:
        """Whether the other end is closed."""
        self._act(0)
        return self._hung_up

    def check_open(self) -> None:
        """Raise `BrokenError` where the other end is closed: nothing that was said of it counts."""
        if self.is_closed():
            raise BrokenError("crash", "closed its TUN")

    def take(self) -> list[bytes]:
        """Return the frames that were written since the last time."""
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


class DeviceWay(Way):
    """A real TUN: the kernel hands over what is read, and cuts what is written. Its namespace is new at every start."""

    def __init__(self, command: Sequence[str], limits: Limits, mode: DeviceMode) -> None:
        super().__init__(command, limits)
        self.mode: DeviceMode = mode
        self._traits = probe()
        self._delivery = _Delivery()
        self._lab: lab.ProgramLab | None = None

    def _start(self) -> None:
        self._lab = lab.ProgramLab()
        spawn = self._spawn
        if self.mode == "device-fd":
            fd = self._lab.make()
            self._begin(Attach(mode=self.mode, fd=fd), [fd], spawn)
            self._lab.let_go(fd)
        else:
            if self.mode == "device-attach":
                self._lab.leave()
            self._begin(Attach(mode=self.mode, name=self._lab.name), spawn=spawn)
        try:
            self._lab.connect()
        except OSError as error:
            raise EnvironmentProblem(
                f"the adapter answered hello, but made no device {self._lab.name!r}: {error}",
                cure="in mode device-create the TUN must be there when hello is answered",
            ) from error

    def stop(self) -> None:
        """See `Way.stop`."""
        super().stop()
        if self._lab is not None:
            self._lab.close()
            self._lab = None

    def close(self) -> None:
        """See `Way.close`."""
        super().close()
        self._delivery.close()

    def leftover(self) -> str:
        """See `Way.leftover`."""
        packets = self._device.cut()
        return f"wrote {len(packets)} packets that nobody asked for" if packets else ""

    def ask(self, question: Question) -> Outcome:
        """See `Way.ask`."""
        case = question.case
        if question.asked.op in _IN_MESSAGES:
            return self.asked_in_messages(question)
        if isinstance(case, ReadCase):
            return self._read(case)
        answer = case.answer_of(self._traits)
        if answer is not None and not isinstance(answer, KernelSame):
            return Inapplicable("this kernel does something else with such a frame, whoever writes it")
        _check_nothing(self.leftover())
        for run in question.before:
            self.client.run(run)
        self._device.cut()
        return _cut(self.client.run(question.asked), self._device.cut(), batch=isinstance(case, WriteBatchCase))

    def _read(self, case: ReadCase) -> Outcome:
        obstacle = self._delivery.obstacle(case)
        if obstacle is not None:
            return Inapplicable(obstacle)
        _check_nothing(self.leftover())
        for frame in from_hex((*case.input.before, case.input.frame)):
            with contextlib.suppress(OSError):  # what comes before need not be anything that a kernel sends
                self._device.send(frame)
            try:
                self._device.send(SENTINEL_FRAME)
            except OSError as error:  # ENODEV, ENETDOWN, or ENOBUFS where nobody reads any more
                raise BrokenError("crash", f"its TUN takes no packets any more: {error.strerror}") from error
            reply = self.client.run(FRAME_IS_THERE)
            if isinstance(reply, ErrorReply | UnsupportedReply):  # it need not have come to the sentinel
                self.refresh()
        return self._outcome("read", reply)

    @property
    def _device(self) -> lab.ProgramLab:
        if self._lab is None:
            raise ValueError("not started")
        return self._lab

    def _spawn(self, *arguments: object, **options: object) -> "subprocess.Popen[bytes]":
        return self._device.run(lambda: subprocess.Popen(*arguments, **options))  # type: ignore[call-overload]


class _Delivery:
    """Which frames a kernel hands to the readers of a TUN at all, found out with a TUN of our own."""

    def __init__(self) -> None:
        self._lab = lab.ProgramLab()
        try:
            self._fd = self._lab.make()
            self._lab.connect()
        except BaseException:
            self._lab.close()
            raise

    def obstacle(self, case: ReadCase) -> str | None:
        """Return why a case cannot be read from a device, or None."""
        if not isinstance(case.expect, Packets):
            return "no kernel hands over a frame that is to be turned down"
        frame = bytes.fromhex(case.input.frame)
        try:
            self._lab.send(frame)
        except OSError as error:
            return f"this kernel does not send such a frame: {errno.errorcode.get(error.errno or 0, error.errno)}"
        packets = []
        with contextlib.suppress(BlockingIOError, tio.FrameError):
            while True:
                packets += cut(os.read(self._fd, 1 << 17))
        if tuple(packet.hex() for packet in packets) != case.expect.packets:
            return "this kernel makes something else of such a frame before anybody reads it"
        return None

    def close(self) -> None:
        """Close the TUN."""
        self._lab.close()


def _check_nothing(leftover: str) -> None:
    if leftover:
        raise BrokenError("protocol-error", leftover)


def _written(op: str, reply: Reply, frames: list[bytes]) -> Outcome:
    """Return the outcome of a write whose frames were seen on the wire."""
    outcome = outcome_of(op, reply, silent=False) if not isinstance(reply, OkReply) else Answered(frames)
    return TurnedDown(outcome.reason, tuple(frames)) if isinstance(outcome, TurnedDown) else outcome


def _cut(reply: Reply, packets: list[bytes], *, batch: bool) -> Outcome:
    """Return the outcome of a write of which the kernel made these packets."""
    if isinstance(reply, OkReply):
        return Cut(packets)
    outcome = outcome_of("write", reply, silent=False)
    if isinstance(outcome, TurnedDown):
        return Cut(packets) if batch and packets else TurnedDown(outcome.reason, tuple(packets))
    return outcome


def way_of(mode: str, command: Sequence[str], limits: Limits) -> Way:
    """Return the way of a mode."""
    match mode:
        case "memory":
            return MemoryWay(command, limits)
        case "wire":
            return WireWay(command, limits)
        case "device-fd" | "device-create" | "device-attach":
            return DeviceWay(command, limits, mode)
    raise ValueError(f"there is no mode {mode!r}")
