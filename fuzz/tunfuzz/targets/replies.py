"""Any bytes that an adapter sends are a reply with an outcome, or an error that says the protocol is broken.

An input is a byte that chooses the request (hello, one run, two in a batch), one that chooses the op, and the line
that comes back.
"""

from typing import TYPE_CHECKING

from tunproof.protocol import messages as protocol
from tunproof.subjects.adapters.client import AdapterBrokenError, Client, EncodedRun
from tunproof.subjects.adapters.dialogue import outcome_of, reads_on
from tunproof.subjects.adapters.process import BrokenError, Limits, Process

if TYPE_CHECKING:
    from tunproof.subjects.adapters.process import Watch

__all__ = ["HELLO", "check"]

HELLO = (
    b'{"protocol":1,"implementation":{"name":"n","version":"1","language":"l"},"ops":["read"],'
    b'"capabilities":[],"modes":["memory"]}'
)
_LIMITS = Limits()
_OPS = (*protocol.OPS, "step")


class _Script(Process):
    """An adapter that replays given lines."""

    def __init__(self, *lines: bytes) -> None:
        self._lines = iter(lines)

    unrequested = b""

    def ask(self, line: bytes, patience: float, watch: "Watch | None" = None) -> bytes:
        assert line.endswith(b"\n")
        return next(self._lines)

    def stderr(self) -> str:
        return ""


def check(data: bytes) -> None:
    """Test the invariant."""
    if len(data) < 2:
        return
    # A line contains no newline: the process splits there.
    op, line = _OPS[data[1] % len(_OPS)], data[2:].partition(b"\n")[0]
    match data[0] % 3:
        case 0:
            _check_hello(line)
        case 1:
            _check_runs(line, op, batch=False)
        case 2:
            _check_runs(line, op, batch=True)


def _check_hello(line: bytes) -> None:
    try:
        hello = Client(_Script(line), _LIMITS).hello
    except AdapterBrokenError as error:
        assert error.cure, "an error must say what to do"
        return
    assert hello.protocol in protocol.SPOKEN
    assert set(hello.ops) <= set(protocol.OPS), f"claims {hello.ops}"
    assert set(hello.modes) <= set(protocol.MODES), f"claims {hello.modes}"
    assert hello.ops
    assert hello.modes
    assert hello.max_batch >= 1


def _check_runs(line: bytes, op: str, *, batch: bool) -> None:
    client = Client(_Script(HELLO, line), _LIMITS)
    asked = EncodedRun(op, b"{}")
    try:
        replies = client.batch([asked, asked]) if batch else (client.run(asked),)
    except BrokenError as error:
        assert error.how == "protocol-error", f"is called {error.how}"
        assert error.detail, "an error must say what is wrong"
        return
    assert [reply.id for reply in replies] == list(range(1, len(replies) + 1)), "a reply to something else was accepted"
    for reply in replies:
        for silent in (False, True):
            outcome = reads_on(outcome_of(op, reply, silent=silent), reply)
            assert repr(outcome), "an outcome that cannot be shown"
