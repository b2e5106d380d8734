"""The conversation with an adapter: JSON Lines, one message a line, each answered before the next is sent.

    runner                                              adapter
    {"cmd":"hello", ...}                        ->
                                                <-      {"protocol":1, "implementation":{...}, "ops":[...], ...}
    {"cmd":"run","id":1,"op":"read","input":{}} ->
                                                <-      {"id":1,"status":"ok","packets":["4500..."]}
    {"cmd":"batch","runs":[{...},{...}]}        ->
                                                <-      {"results":[{...},{...}]}
    {"cmd":"bye"}                               ->      (ends)

These types are the protocol: messages are decoded into them, unknown keys are refused, and the schemas and the guide's
tables are made of them. What must come out is never sent, nor is the name of a case. Bytes are lower-case hex.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec

from tunproof.corpus.cases import Index, VnetFields, Word
from tunproof.corpus.codec import Hex, HexByte, schema_components
from tunproof.corpus.schema import plain
from tunproof.corpus.script import Answer, Step

__all__ = [
    "BATCHED",
    "INPUTS",
    "MODES",
    "OPS",
    "RESULTS",
    "SENTINEL",
    "VERSION",
    "Attach",
    "Batch",
    "BatchReply",
    "Bye",
    "ErrorReply",
    "Hello",
    "HelloReply",
    "Implementation",
    "OkReply",
    "RejectedReply",
    "Reply",
    "Run",
    "UnsupportedReply",
    "schema_of_lines",
    "schemas",
]

VERSION = 1

MODES = {
    "memory": "frames and packets travel in the messages",
    "wire": "a SOCK_SEQPACKET socket stands in for the TUN; its number is in `hello`",
    "device-fd": "the fd of a real TUN; its number is in `hello`",
    "device-create": "the adapter makes the TUN, by the name in `hello`, in the namespace where it was started",
    "device-attach": "the TUN of the name in `hello` is there, persistent, and the adapter attaches to it",
}
"""How an adapter's implementation gets at frames. `checksum` and `header` are always asked in messages."""

OPS = {
    "checksum": "sum bytes",
    "header": "read and make vnet headers",
    "read": "make packets of a frame that was read",
    "write": "write one packet",
    "write_gso": "write one superpacket from its parts",
    "write_batch": "write packets, joined into superpackets where that is transparent",
    "lifecycle": "begin with a new container; the steps follow as runs of `step`",
}
"""What an adapter may claim to do. `step` comes with `lifecycle` and is not claimed by itself."""

BATCHED = 128
"""How many runs a batch has at most, unless the adapter asks for fewer (`maxBatch`)."""

SENTINEL = bytes.fromhex("45000014 00000000 40fd0000 c0000201 c6336401")
"""An IPv4 packet of protocol 253 (RFC 3692) without data, from 192.0.2.1 to 198.51.100.1. On a wire or a device it
follows every frame that is to be read: when it comes out, everything before it has."""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message, or a part of one, in which unknown keys are refused."""


# What the runner says.


class Runner(Message, frozen=True, kw_only=True):
    """Who asks."""

    name: str
    version: str


class Attach(Message, frozen=True, kw_only=True):
    """What stands in for the TUN, or is one.

    Attributes:
        mode: one of the adapter's `modes`, never `memory`.
        fd: the number of the fd that the adapter inherited (`wire`, `device-fd`). The adapter owns it.
        name: what the device is called (`device-create`, `device-attach`): IFF_TUN, IFF_NO_PI, IFF_VNET_HDR.
        sentinel: this packet follows each frame that is to be read.
    """

    mode: Literal["wire", "device-fd", "device-create", "device-attach"]
    fd: int | None = None
    name: str | None = None
    sentinel: Hex = SENTINEL


class Hello(Message, frozen=True, kw_only=True, tag_field="cmd", tag="hello"):
    """The first message.

    Attributes:
        protocol: versions that the runner speaks; the adapter chooses one.
        runner: who asks.
        attach: null in mode `memory`, and where an adapter is only asked what it is.
        descriptors: number of an inherited Unix socket over which fds come for lifecycle steps, one for each step
            that makes a fd (SCM_RIGHTS beside one byte); null where there are no lifecycles.
    """

    protocol: tuple[int, ...]
    runner: Runner
    attach: Attach | None
    descriptors: int | None


class ChecksumAsked(Message, frozen=True, kw_only=True):
    """Sum the bytes as big-endian 16-bit words (an odd last byte is the upper half of a word), going on from `initial`.

    The sum is folded to 16 bits and not inverted. 0x0000 and 0xFFFF are not the same here: zero only if all is zero.
    """

    data: Hex
    initial: Word


class HeaderAsked(Message, frozen=True, kw_only=True):
    """Read a vnet header (`parse`, with `bytes`), or make one (`emit`, with `fields`)."""

    direction: Literal["parse", "emit"]
    size: int
    byte_order: Literal["little", "big"]
    bytes: Hex | None
    fields: VnetFields | None


class ReadAsked(Message, frozen=True, kw_only=True):
    """Make packets of a frame: 10 bytes of little-endian vnet header, then an IP packet.

    In mode `memory` the frame is here. Otherwise it is null: the frame is waiting at the fd, with the sentinel behind
    it; read until the sentinel comes out, and give the packets before it.
    """

    frame: Hex | None


class WriteAsked(Message, frozen=True, kw_only=True):
    """Write one IP packet. `poison` is a byte to fill with whatever memory the writer owns around it, or null."""

    packet: Hex
    poison: HexByte | None


class WriteGsoAsked(Message, frozen=True, kw_only=True):
    """Write one superpacket: IP header, transport header, and the payloads of its segments."""

    hdr: Hex
    transport_hdr: Hex
    pays: tuple[Hex, ...]


class WriteBatchAsked(Message, frozen=True, kw_only=True):
    """Write packets in the order in which they came. `poison` as for `write`."""

    packets: tuple[Hex, ...]
    poison: HexByte | None


class LifecycleAsked(Message, frozen=True, kw_only=True):
    """Forget what earlier steps made, and begin with a new container. `plain` fds have no vnet header."""

    backend: Literal["offload", "plain"]


class StepAsked(Message, frozen=True, kw_only=True):
    """Do one step of a lifecycle. Of the steps that the runner does, an adapter is told those that make or close a fd.

    `open-wire`, `open-tun` and an `unattached-tun` come with a fd over the socket of `hello`: keep it under its name,
    at a number that is not below `least`. A fd called `closed` is any number that is not open. `let-go` closes a fd
    that no container took.
    """

    step: Step


INPUTS: dict[str, type[Message]] = {
    "checksum": ChecksumAsked,
    "header": HeaderAsked,
    "read": ReadAsked,
    "write": WriteAsked,
    "write_gso": WriteGsoAsked,
    "write_batch": WriteBatchAsked,
    "lifecycle": LifecycleAsked,
    "step": StepAsked,
}


class Run(Message, frozen=True, kw_only=True, tag_field="cmd", tag="run"):
    """Do one thing. An adapter keeps one instance of the implementation from `hello` to `bye`.

    `input` depends on `op`. An op that the adapter does not know is answered `unsupported`.
    """

    id: Index
    op: str
    input: dict[str, Any]


class Batch(Message, frozen=True, kw_only=True, tag_field="cmd", tag="batch"):
    """Several runs, answered in one line, in order. Only in mode `memory`, and for `checksum` and `header`."""

    runs: tuple[Run, ...]


class Bye(Message, frozen=True, kw_only=True, tag_field="cmd", tag="bye"):
    """The last message. No reply: the adapter ends with exit code 0. It ends as well when its input does."""


# What the adapter says.


class Implementation(Message, frozen=True, kw_only=True):
    """What is tested."""

    name: str
    version: str
    language: str
    source: str | None = None
    issues: str | None = None


class HelloReply(Message, frozen=True, kw_only=True):
    """What the adapter is, and what it claims.

    Attributes:
        protocol: the chosen version.
        implementation: what is tested; `source` and `issues` are links.
        ops: what it does at all.
        capabilities: what it can of that, from the closed list; a case that requires another is not sent.
        modes: how its implementation can be reached, the best first.
        reject_style: `rejectStyle`, how the implementation turns a frame down: by an `error`, or `silent`, so that
            nothing comes out.
        max_batch: `maxBatch`, the most runs in a batch; 1 means no batches.
    """

    protocol: int
    implementation: Implementation
    ops: tuple[str, ...]
    capabilities: tuple[str, ...]
    modes: tuple[str, ...]
    reject_style: Literal["error", "silent"] = msgspec.field(default="error", name="rejectStyle")
    max_batch: Annotated[int, msgspec.Meta(ge=1)] = msgspec.field(default=BATCHED, name="maxBatch")


class OkReply(Message, frozen=True, kw_only=True, tag_field="status", tag="ok", omit_defaults=True):
    """It was done. Which of the results is there depends on the op.

    Attributes:
        sum: of `checksum`.
        fields: of `header`, direction parse.
        bytes: of `header`, direction emit.
        packets: of `read`.
        frames: of the writes, in mode `memory`: what went to the TUN, vnet headers included.
        answer: of `step`.
    """

    id: Index
    sum: Word | None = None
    fields: VnetFields | None = None
    bytes: Hex | None = None
    packets: tuple[Hex, ...] | None = None
    frames: tuple[Hex, ...] | None = None
    answer: Answer | None = None


class RejectedReply(Message, frozen=True, kw_only=True, tag_field="status", tag="rejected", omit_defaults=True):
    """The implementation's ordinary refusal. `packets` or `frames` came out all the same."""

    id: Index
    detail: str
    packets: tuple[Hex, ...] = ()
    frames: tuple[Hex, ...] = ()


class UnsupportedReply(Message, frozen=True, kw_only=True, tag_field="status", tag="unsupported"):
    """The implementation lacks this."""

    id: Index
    what: str


class ErrorReply(Message, frozen=True, kw_only=True, tag_field="status", tag="error", omit_defaults=True):
    """A caught panic or exception, with its trace. Never a correct rejection."""

    id: Index
    detail: str
    trace: str = ""


Reply = OkReply | RejectedReply | UnsupportedReply | ErrorReply


class BatchReply(Message, frozen=True, kw_only=True):
    """The replies to a batch, one a run, in order."""

    results: tuple[Reply, ...]


RESULTS = {
    "checksum": ("sum",),
    "header": ("fields", "bytes"),
    "read": ("packets",),
    "write": ("frames",),
    "write_gso": ("frames",),
    "write_batch": ("frames",),
    "lifecycle": (),
    "step": ("answer",),
}
"""Which results an `ok` to each op has: one of these, or none (writes on a wire or a device)."""


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas of the messages: what the runner says, and what an adapter does."""
    title = f"tunproof protocol {VERSION}: what"
    return {
        "runner": schema_of_lines(f"{title} the runner says, a line", (Hello | Run | Batch | Bye,), INPUTS.values()),
        "adapter": schema_of_lines(f"{title} an adapter says, a line", (HelloReply, Reply, BatchReply)),
    }


def schema_of_lines(title: str, kinds: Sequence[Any], more: Iterable[Any] = ()) -> dict[str, Any]:
    """Return a schema of a line that is one of `kinds`, with definitions of `more`."""
    made, definitions = schema_components((*kinds, *more))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "anyOf": [plain(one) for one in made[: len(kinds)]],
        "$defs": {name: plain(definitions[name]) for name in sorted(definitions)},
    }
