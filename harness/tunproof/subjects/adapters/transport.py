"""How frames reach the implementation behind an adapter. Here in messages; `wire` and `device` are the other kinds.

A transport starts the adapter, runs cases, and knows what their replies mean there. A start that fails leaves nothing
behind.
With every transport `checksum` and `header` run in messages, and lifecycles bring their own fds.
"""

import abc
import socket
import subprocess
from collections.abc import Callable, Sequence

from tunproof.corpus.cases import Case, LifecycleCase
from tunproof.corpus.codec import encode
from tunproof.corpus.script import PATIENCE
from tunproof.judge.outcome import Answered, Broken, Inapplicable, Outcome, TurnedDown, Unable
from tunproof.protocol.messages import Attach, Reply
from tunproof.subjects.adapters.client import Client, EncodedRun
from tunproof.subjects.adapters.dialogue import Dialogue, outcome_of, reads_on
from tunproof.subjects.adapters.process import BrokenError, Limits, Process, Watch
from tunproof.subjects.subject import InapplicableError, TurnedDownError, UnsupportedError

__all__ = ["MemoryTransport", "Transport"]

_BLINK = 0.001  # seconds between two reads of a wire that must be drained
_IN_MESSAGES = ("checksum", "header")  # operations that need no fd, whatever the mode


class Transport(abc.ABC):
    """How frames get to an implementation. `start` comes first; it is called again after `stop`.

    Attributes:
        mode: its name.
        client: the conversation, from `start` on.
        refreshed: how often the adapter was restarted without having broken.
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
        """End the adapter and its children. Stopping twice is harmless."""
        if self._process is not None:
            self._process.close()
        if self._descriptors is not None:
            self._descriptors.close()
        self._process = self._descriptors = None

    def refresh(self) -> None:
        """Restart: something may be on its way to the old adapter that must not reach the next case."""
        self.refreshed += 1
        self.renew()

    def renew(self) -> None:
        """Restart, and keep what was written to stderr."""
        self._said += self.client.stderr()
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop, and release what was kept between starts."""
        self.stop()

    def stderr(self) -> str:
        """Return what was written to stderr since the last call."""
        said, self._said = self._said + self.client.stderr(), ""
        return said

    def leftover(self) -> str:
        """Return a description of unrequested output; empty if there was none."""
        return ""

    def batches(self, case: Case) -> bool:
        """Whether a case may share a message with others."""
        return case.id.partition("/")[0] in _IN_MESSAGES

    def run(self, dialogue: Dialogue) -> Outcome:
        """Run a case. Raises `BrokenError`."""
        if dialogue.judged.op in _IN_MESSAGES:
            return self.run_in_messages(dialogue)
        self.check_nothing_left()
        return self._put(dialogue)

    @abc.abstractmethod
    def _put(self, dialogue: Dialogue) -> Outcome:
        """Run a case about frames. Raises `BrokenError`."""

    def check_nothing_left(self) -> None:
        """Raise `BrokenError` if there was unrequested output (`leftover`)."""
        leftover = self.leftover()
        if leftover:
            raise BrokenError("protocol-error", leftover)

    def run_in_messages(self, dialogue: Dialogue) -> Outcome:
        """Run a case that needs no fd. Raises `BrokenError`."""
        return self.replied(dialogue, [self.client.run(run) for run in dialogue.runs])

    def replied(self, dialogue: Dialogue, replies: Sequence[Reply]) -> Outcome:
        """Return the outcome of a case whose runs got these replies."""
        outcome = self._outcome(dialogue.judged.op, replies[len(dialogue.before)])
        return reads_on(outcome, replies[-1]) if dialogue.is_followed else outcome

    def play(self, case: LifecycleCase) -> Outcome:
        """Play a lifecycle. Raises `BrokenError`.

        After an incomplete script a new adapter is started: an fd may be on its way to the old one.
        """
        outcome = self._play(case)
        if not isinstance(outcome, Answered):
            self.refresh()
        return outcome

    def _play(self, case: LifecycleCase) -> Outcome:
        from tunproof.subjects.adapters.lifecycle import RemoteLifecycle, StepBrokenError  # noqa: PLC0415 (few need it)

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
        return self.client.run(EncodedRun(op, encode(given)), watch, patience=self.limits.answer + PATIENCE)

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


class MemoryTransport(Transport):
    """Frames and packets travel in the messages."""

    mode = "memory"

    def _start(self) -> None:
        self._begin(None)

    def batches(self, case: Case) -> bool:
        """See `Transport.batches`."""
        return not isinstance(case, LifecycleCase)

    def _put(self, dialogue: Dialogue) -> Outcome:
        return self.run_in_messages(dialogue)
