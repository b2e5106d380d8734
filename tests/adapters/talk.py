"""A conversation with an adapter by the simplest means: pipes, one JSON object per line, a deadline."""

import contextlib
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tunproof.corpus.cases import Case, ChecksumCase, EmitInput, HeaderCase, ReadCase, WriteBatchCase, WriteCase
from tunproof.corpus.codec import decoder, encode
from tunproof.judge.outcome import Answered, Broken, Outcome, TurnedDown, Unable
from tunproof.protocol.messages import SENTINEL, BatchReply, ErrorReply, HelloReply, OkReply, RejectedReply, Reply

PATIENCE = 10.0


class Talk:
    """One adapter process. What it writes to stderr goes to the file `log`."""

    def __init__(self, command: Sequence[str], log: Path, *, pass_fds: Sequence[int] = (), **more: Any) -> None:
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, pass_fds=pass_fds, **more
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin, self.process.stdout
        self._heard = b""
        self._id = 0

    def say(self, message: dict[str, Any]) -> None:
        self._in.write(encode(message) + b"\n")
        self._in.flush()

    def hear(self, while_waiting: Callable[[], None] | None = None) -> bytes:
        """Return the next line; `while_waiting` is called every millisecond."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._heard:
            assert time.monotonic() < deadline, "no answer"
            if while_waiting is not None:
                while_waiting()
            if select.select([self._out], [], [], 0.001)[0]:
                more = os.read(self._out.fileno(), 1 << 20)
                assert more, f"the adapter ended with {self.process.wait()}"
                self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def hello(self, attach: dict[str, Any] | None = None, descriptors: int | None = None) -> HelloReply:
        if attach is not None:
            attach = {"fd": None, "name": None, "sentinel": SENTINEL.hex(), **attach}
        runner = {"name": "test", "version": "0"}
        self.say({"cmd": "hello", "protocol": [1], "runner": runner, "attach": attach, "descriptors": descriptors})
        return decoder(HelloReply).decode(self.hear())

    def run(self, op: str, given: dict[str, Any], while_waiting: Callable[[], None] | None = None) -> Reply:
        self._id += 1
        self.say({"cmd": "run", "id": self._id, "op": op, "input": given})
        reply: Reply = decoder(Reply).decode(self.hear(while_waiting))
        assert reply.id == self._id
        return reply

    def batch(self, runs: Sequence[tuple[str, dict[str, Any]]]) -> tuple[Reply, ...]:
        messages = [{"cmd": "run", "id": 7 * i, "op": op, "input": given} for i, (op, given) in enumerate(runs)]
        self.say({"cmd": "batch", "runs": messages})
        results = decoder(BatchReply).decode(self.hear()).results
        assert [reply.id for reply in results] == [7 * i for i in range(len(runs))]
        return results

    def end(self) -> int:
        """Let its input end, and return its exit code."""
        self._in.close()
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self._out.close()


@contextlib.contextmanager
def talking(command: Sequence[str], log: Path, **more: Any) -> Iterator[Talk]:
    talk = Talk(command, log, **more)
    try:
        yield talk
    finally:
        talk.end()


@contextlib.contextmanager
def wire() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends with room for the largest frames; the second one does not wait."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        for end in (near, far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 65545)
        far.setblocking(False)
        yield near, far


def received(end: socket.socket) -> list[bytes]:
    frames = []
    with contextlib.suppress(BlockingIOError):
        while True:
            frames.append(end.recv(1 << 17))
    return frames


def runs_of(case: Case) -> list[dict[str, Any]]:
    """Return the inputs that a case puts, in mode `memory`: those before it, and its own last."""
    given: Any = case.input
    match case:
        case ChecksumCase():
            return [{"data": given.data, "initial": given.initial}]
        case HeaderCase():
            emit = isinstance(given, EmitInput)
            what = {"bytes": None, "fields": given.fields} if emit else {"bytes": given.bytes}
            common = {"direction": "emit" if emit else "parse", "size": given.size, "byte_order": given.byte_order}
            return [{"fields": None, **common, **what}]
        case ReadCase():
            return [{"frame": frame} for frame in (*given.before, given.frame)]
        case WriteCase():
            return [{"packet": packet, "poison": given.poison} for packet in (*given.before, given.packet)]
        case WriteBatchCase():
            return [{"packets": packets, "poison": given.poison} for packets in (*given.before, given.packets)]
    return [
        {"hdr": one.hdr, "transport_hdr": one.transport_hdr, "pays": one.pays} for one in (*given.before, given)
    ]  # write_gso


def outcome_of(reply: Reply, frames: Sequence[bytes] = ()) -> Outcome:
    """Return what a reply says; `frames` were seen on a wire."""
    match reply:
        case OkReply(sum=None, fields=None, bytes=None, packets=None, frames=None):
            return Answered(list(frames))
        case OkReply(packets=None, frames=None, sum=total, fields=fields, bytes=header):
            return Answered(header if header is not None else fields if fields is not None else total)
        case OkReply(packets=packets, frames=written):
            return Answered(list(packets if packets is not None else written or ()))
        case RejectedReply(detail=detail):
            return TurnedDown(detail, (*reply.packets, *reply.frames, *frames))
        case ErrorReply(detail=detail, trace=trace):
            return Broken("error", detail, trace)
    return Unable(reply.what)
