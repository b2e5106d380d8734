"""The conversation with one adapter process: what is sent, and whether what comes back is a reply to it."""

from collections.abc import Sequence

import msgspec

from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.claims import OFFLOADS
from tunproof.corpus.codec import decoder, encode
from tunproof.errors import EnvironmentProblem
from tunproof.protocol import messages as protocol
from tunproof.protocol.messages import Attach, BatchReply, Bye, ErrorReply, Hello, HelloReply, Reply, Runner
from tunproof.subjects.adapters.process import BrokenError, Limits, Process, Watch
from tunproof.version import __version__

__all__ = ["AdapterBrokenError", "Client", "EncodedRun", "said_by"]

_PER_RUN = 0.01  # seconds more that a batch may take for each run in it
_USUAL = 1 << 16  # bytes of a message that are read in no time
_PER_BYTE = 2e-6  # seconds more that a message may take for each byte above that: 2 s for each MB
_SHOWN = 120  # bytes of a line that is not a reply

_HELLO = decoder(HelloReply)
_REPLY = decoder(Reply)
_REPLIES = decoder(BatchReply)

_BYE = encode(Bye()) + b"\n"
_NO_OP = "no-such-operation"


class AdapterBrokenError(EnvironmentProblem):
    """The adapter violates the protocol, so nothing can be said about the implementation behind it."""


class EncodedRun(msgspec.Struct, frozen=True):  # faster to create than a dataclass, and there are many
    """A run: the op, and its input as JSON."""

    op: str
    input: bytes

    def message(self, number: int) -> bytes:
        """Return the message, without the newline."""
        return b'{"cmd":"run","id":%d,"op":"%s","input":%s}' % (number, self.op.encode(), self.input)


class Client:
    """Says hello at once. Raises `AdapterBrokenError` if that fails.

    Attributes:
        hello: what the adapter claims.
        errors: the details of the replies that were errors: a panic or an exception may have left anything behind.
    """

    def __init__(
        self, process: Process, limits: Limits, *, attach: Attach | None = None, descriptors: int | None = None
    ) -> None:
        self._process = process
        self._limits = limits
        self._id = 0
        self.errors: list[str] = []
        self.hello = self._say_hello(attach, descriptors)

    def run(self, run: EncodedRun, watch: Watch | None = None, *, patience: float | None = None) -> Reply:
        """Return the reply to one run, within `patience` seconds. Raises `BrokenError`."""
        self._id += 1
        answer = self._ask(run.message(self._id) + b"\n", patience or self._limits.answer, watch)
        try:
            reply: Reply = _REPLY.decode(answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _no_reply(answer, error) from error
        self._check_id(reply.id, self._id)
        self._note(reply)
        return reply

    def batch(self, runs: Sequence[EncodedRun]) -> tuple[Reply, ...]:
        """Return the replies to several runs. Raises `BrokenError`."""
        first = self._id + 1
        self._id += len(runs)
        messages = b",".join(run.message(first + index) for index, run in enumerate(runs))
        patience = self._limits.answer + _PER_RUN * len(runs)
        answer = self._ask(b'{"cmd":"batch","runs":[%s]}\n' % messages, patience, None)
        try:
            replies: tuple[Reply, ...] = _REPLIES.decode(answer).results
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _no_reply(answer, error) from error
        if len(replies) != len(runs):
            raise BrokenError("protocol-error", f"answered {len(replies)} of {len(runs)} runs")
        for index, reply in enumerate(replies):
            self._check_id(reply.id, first + index)
            self._note(reply)
        return replies

    def settle(self) -> None:
        """Send an op that does not exist, to check that nothing else was sent and the adapter is alive.

        Raises `BrokenError`, and `AdapterBrokenError` if the answer is not "unsupported".
        """
        reply = self.run(EncodedRun(_NO_OP, b"{}"))
        if not isinstance(reply, protocol.UnsupportedReply):
            raise AdapterBrokenError(
                f"the adapter answers an op that does not exist with {said_by(reply)}",
                cure='answer every op that it does not know with "unsupported"',
            )

    def stderr(self) -> str:
        """Return what was written to stderr since the last call."""
        return self._process.stderr()

    def bye(self) -> None:
        """End the conversation. Raises `BrokenError` if the adapter does not end cleanly."""
        self._process.bye(_BYE)

    def _note(self, reply: Reply) -> None:
        if isinstance(reply, ErrorReply):
            self.errors.append(reply.detail)

    def _say_hello(self, attach: Attach | None, descriptors: int | None) -> HelloReply:
        runner = Runner(name="tunproof", version=__version__)
        message = Hello(protocol=protocol.SPOKEN, runner=runner, attach=attach, descriptors=descriptors)
        try:
            answer = self._ask(encode(message) + b"\n", self._limits.start, None)
            hello: HelloReply = _HELLO.decode(answer)
        except BrokenError as error:
            raise AdapterBrokenError(
                f"the adapter did not answer hello: it {error.detail}{self._last_words()}",
                cure='start it by hand and type {"cmd":"hello", ...}; harness/README.md shows a whole conversation',
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise AdapterBrokenError(
                f"the answer to hello is invalid: {error}: {_shown(answer)}{self._last_words()}",
                cure="`tunproof protocol --schema` has the form; messages for people belong on stderr",
            ) from error
        _check_claims(hello)
        return hello

    def _last_words(self) -> str:
        said = self._process.stderr().strip()
        return f"\n  on stderr: {said}" if said else ""

    def _ask(self, line: bytes, patience: float, watch: Watch | None) -> bytes:
        if self._process.unrequested:
            raise BrokenError("protocol-error", f"sent something unrequested: {_shown(self._process.unrequested)}")
        more = _PER_BYTE * max(len(line) - _USUAL, 0)
        return self._process.ask(line, patience + round(more, 1), watch)

    def _check_id(self, got: int, right: int) -> None:
        if got != right:
            raise BrokenError("protocol-error", f"the reply has id {got}, the run had {right}")


def said_by(reply: Reply) -> str:
    """Return a reply in words: its status, and what it says about it."""
    match reply:
        case protocol.RejectedReply(detail=detail) | protocol.UnsupportedReply(what=detail):
            said = detail
        case ErrorReply(detail=detail, trace=trace):
            said = "\n".join(filter(None, (detail, trace.strip())))
        case _:
            said = ""
    return f"{type(reply).__struct_config__.tag!r}" + (f": {said}" if said else "")


def _check_claims(hello: HelloReply) -> None:
    """Reject what is not in the closed lists: a misspelt claim would silently skip cases."""
    if hello.protocol not in protocol.SPOKEN:
        raise AdapterBrokenError(
            f"the adapter chose protocol {hello.protocol}",
            cure=f"choose one that was offered: {', '.join(map(str, protocol.SPOKEN))}",
        )
    for what, claimed, known in (
        ("op", hello.ops, protocol.OPS),
        ("capability", hello.capabilities, CAPABILITIES),
        ("mode", hello.modes, protocol.MODES),
        ("offload", hello.claims.offloads, OFFLOADS),
    ):
        for name in claimed:
            if name not in known:
                raise AdapterBrokenError(f"the adapter claims a {what} {name!r}", cure=f"use one of {', '.join(known)}")
    if not hello.ops or not hello.modes:
        raise AdapterBrokenError("the adapter claims no op, or no mode", cure="claim what it does: `ops`, `modes`")


def _no_reply(answer: bytes, error: Exception) -> BrokenError:
    return BrokenError("protocol-error", f"sent an invalid reply: {error}: {_shown(answer)}")


def _shown(data: bytes) -> str:
    return repr(data[:_SHOWN].decode(errors="replace")) + (" …" if len(data) > _SHOWN else "")
