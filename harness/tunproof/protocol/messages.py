"""Runner and adapter exchange JSON Lines: one message per line, each answered before the next is sent.

    runner                                              adapter
    {"cmd":"hello", ...}                        ->
                                                <-      {"protocol":2, "implementation":{...}, "ops":[...], ...}
    {"cmd":"run","id":1,"op":"read","input":{}} ->
                                                <-      {"id":1,"status":"ok","packets":["4500..."]}
    {"cmd":"batch","runs":[{...},{...}]}        ->
                                                <-      {"results":[{...},{...}]}
    {"cmd":"bye"}                               ->      (exits)

The message types are the protocol: messages are decoded into them, and the JSON Schemas and the protocol reference are
generated from them. Unknown keys are ignored in the reply to `hello`, and rejected in all other replies, where they can
only be mistakes. An adapter ignores the keys that it does not know. Neither the expected output nor the name of a case
is ever sent. Bytes are lower-case hex.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec

from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import Index, VnetFields, Word
from tunproof.corpus.claims import ORDINARY, Claims
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
    "SPOKEN",
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

VERSION = 2
"""The version of this protocol. Additions do not raise it, since both sides ignore what they do not know: an adapter
any field of a message, the runner any claim and any other field of the reply to `hello`."""

SPOKEN = (VERSION, 1)
"""The versions that the runner speaks. An adapter of version 1 makes no claims: it gets those of an ordinary tunnel."""

MODES = {
    "memory": "frames and packets travel in the messages",
    "wire": "a SOCK_SEQPACKET socket takes the place of the TUN; its fd number is in `hello`",
    "device-fd": "the adapter inherits the fd of a real TUN; its number is in `hello`",
    "device-create": "the adapter creates the TUN, with the name in `hello`, in the namespace that it was started in",
    "device-attach": "a persistent TUN with the name in `hello` already exists, and the adapter attaches to it",
}
"""How frames reach the implementation behind an adapter. `checksum` and `header` always travel in messages."""

OPS = {
    "checksum": "sum bytes",
    "header": "parse or build vnet headers",
    "read": "turn a frame that was read from the TUN into packets",
    "write": "write one packet",
    "write_gso": "write one superpacket from its parts",
    "write_batch": "write packets, joined into superpackets where that is transparent",
    "lifecycle": "start with a new container; the steps follow as runs of `step`",
}
"""The operations that an adapter may claim. `step` comes with `lifecycle` and is not claimed separately."""

BATCHED = 128
"""The most runs in a batch, unless the adapter asks for fewer (`maxBatch`)."""

SENTINEL = bytes.fromhex("45000014 00000000 40fd0000 c0000201 c6336401")
"""An IPv4 packet of protocol 253 (RFC 3692) without data, from 192.0.2.1 to 198.51.100.1. On a wire or a device it
follows every frame that is to be read: once it has come out, so has everything before it."""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message, or a part of one, in which unknown keys are rejected."""


class Introduction(msgspec.Struct, frozen=True, kw_only=True):
    """What an adapter says of itself: unknown keys are ignored, because later versions may have more."""


# Messages from the runner.


class Runner(Message, frozen=True, kw_only=True):
    """The program that drives the adapter."""

    name: str
    version: str


class Attach(Message, frozen=True, kw_only=True):
    """The TUN, or the socket in its place.

    Attributes:
        mode: one of the adapter's `modes`, never `memory`.
        fd: the number of the fd that the adapter inherits, and owns (`wire`, `device-fd`).
        name: the name of the device (`device-create`, `device-attach`). Its flags are IFF_TUN, IFF_NO_PI and
            IFF_VNET_HDR.
        sentinel: the packet that follows each frame that is to be read.
    """

    mode: Literal["wire", "device-fd", "device-create", "device-attach"]
    fd: int | None = None
    name: str | None = None
    sentinel: Hex = SENTINEL


class Hello(Message, frozen=True, kw_only=True, tag_field="cmd", tag="hello"):
    """The first message.

    Attributes:
        protocol: the versions that the runner speaks; the adapter chooses one.
        runner: the program that drives the adapter.
        attach: null in mode `memory`, and when the adapter is only asked to describe itself.
        descriptors: number of an inherited Unix socket that carries the fds for lifecycle steps, one for each step that
            creates an fd (SCM_RIGHTS with one byte); null where there are no lifecycles.
    """

    protocol: tuple[int, ...]
    runner: Runner
    attach: Attach | None
    descriptors: int | None


class ChecksumRequest(Message, frozen=True, kw_only=True):
    """Sum the bytes as big-endian 16-bit words (an odd last byte is the upper half of a word), starting from `initial`.

    The sum is folded to 16 bits and not inverted. 0x0000 and 0xFFFF are distinct: the sum is zero only if all input is.
    """

    data: Hex
    initial: Word


class HeaderRequest(Message, frozen=True, kw_only=True):
    """Parse a vnet header (`parse`, with `bytes`), or build one (`emit`, with `fields`)."""

    direction: Literal["parse", "emit"]
    size: int
    byte_order: Literal["little", "big"]
    bytes: Hex | None
    fields: VnetFields | None


class ReadRequest(Message, frozen=True, kw_only=True):
    """Turn a frame into packets. A frame is a little-endian vnet header, then an IP packet.

    In mode `memory` the frame is in the message. Otherwise it is null: the frame is waiting at the fd, followed by the
    sentinel. Read until the sentinel comes out, and reply with the packets before it. `header_size` is that of the vnet
    header, in bytes.
    """

    frame: Hex | None
    header_size: int = HEADER_SIZE


class WriteRequest(Message, frozen=True, kw_only=True):
    """Write one IP packet.

    `poison` is null or a byte. If it is a byte, first fill the memory that the writer owns around the packet with it.
    """

    packet: Hex
    poison: HexByte | None


class WriteGsoRequest(Message, frozen=True, kw_only=True):
    """Write one superpacket: IP header, transport header, and the payloads of its segments.

    `protocol` is what `hdr` says follows it (6 for TCP, 17 for UDP), for code that takes it as an argument; null if
    `hdr` cannot be read.
    """

    protocol: int | None
    hdr: Hex
    transport_hdr: Hex
    pays: tuple[Hex, ...]


class WriteBatchRequest(Message, frozen=True, kw_only=True):
    """Write packets in the order in which they arrived. `poison` is as in `write`."""

    packets: tuple[Hex, ...]
    poison: HexByte | None


class LifecycleRequest(Message, frozen=True, kw_only=True):
    """Discard what earlier steps created, and start with a new container. `plain` fds have no vnet header."""

    backend: Literal["offload", "plain"]


class StepRequest(Message, frozen=True, kw_only=True):
    """Perform one step of a lifecycle. Of the runner's own steps, an adapter gets those that create or close an fd.

    `open-wire`, `open-tun` and `unattached-tun` come with an fd over the socket in `hello`: keep it under its name, at
    a number not below `least`. An fd called `closed` is any number that is not open. `let-go` closes an fd that no
    container took.
    """

    step: Step


INPUTS: dict[str, type[Message]] = {
    "checksum": ChecksumRequest,
    "header": HeaderRequest,
    "read": ReadRequest,
    "write": WriteRequest,
    "write_gso": WriteGsoRequest,
    "write_batch": WriteBatchRequest,
    "lifecycle": LifecycleRequest,
    "step": StepRequest,
}


class Run(Message, frozen=True, kw_only=True, tag_field="cmd", tag="run"):
    """Perform one operation. An adapter keeps one instance of the implementation from `hello` to `bye`.

    `input` depends on `op`. The reply to an op that the adapter does not know is `unsupported`.
    """

    id: Index
    op: str
    input: dict[str, Any]


class Batch(Message, frozen=True, kw_only=True, tag_field="cmd", tag="batch"):
    """Several runs, answered in order, on one line. Only in mode `memory`; `checksum` and `header` in any mode."""

    runs: tuple[Run, ...]


class Bye(Message, frozen=True, kw_only=True, tag_field="cmd", tag="bye"):
    """The last message. There is no reply: the adapter exits with status 0. It also exits when its input ends."""


# Messages from the adapter.


class Implementation(Introduction, frozen=True, kw_only=True):
    """The implementation under test."""

    name: str
    version: str
    language: str
    source: str | None = None
    issues: str | None = None


class HelloReply(Introduction, frozen=True, kw_only=True):
    """What the adapter is, and what it claims.

    Attributes:
        protocol: the version that the adapter chose.
        implementation: the implementation under test; `source` and `issues` are links.
        ops: the operations that it supports.
        capabilities: what it supports, from the closed list; cases that require anything else are not sent.
        modes: how frames can reach the implementation, best first.
        reject_style: `rejectStyle`, how the implementation rejects a frame: with an `error`, or `silent`, in which case
            nothing comes out.
        max_batch: `maxBatch`, the most runs in a batch; 1 means no batches.
        claims: the conditions that the implementation was written for; cases outside them are not sent.
    """

    protocol: int
    implementation: Implementation
    ops: tuple[str, ...]
    capabilities: tuple[str, ...]
    modes: tuple[str, ...]
    reject_style: Literal["error", "silent"] = msgspec.field(default="error", name="rejectStyle")
    max_batch: Annotated[int, msgspec.Meta(ge=1)] = msgspec.field(default=BATCHED, name="maxBatch")
    claims: Claims = ORDINARY


class OkReply(Message, frozen=True, kw_only=True, tag_field="status", tag="ok", omit_defaults=True):
    """The run succeeded. Which result is present depends on the op.

    Attributes:
        sum: for `checksum`.
        fields: for `header`, direction `parse`.
        bytes: for `header`, direction `emit`.
        packets: for `read`.
        frames: for the writes, in mode `memory`: what went to the TUN, vnet headers included.
        answer: for `step`.
    """

    id: Index
    sum: Word | None = None
    fields: VnetFields | None = None
    bytes: Hex | None = None
    packets: tuple[Hex, ...] | None = None
    frames: tuple[Hex, ...] | None = None
    answer: Answer | None = None


class RejectedReply(Message, frozen=True, kw_only=True, tag_field="status", tag="rejected", omit_defaults=True):
    """The implementation returned an ordinary error. `packets` or `frames` are those that came out nevertheless."""

    id: Index
    detail: str
    packets: tuple[Hex, ...] = ()
    frames: tuple[Hex, ...] = ()


class UnsupportedReply(Message, frozen=True, kw_only=True, tag_field="status", tag="unsupported"):
    """The implementation does not support this."""

    id: Index
    what: str


class ErrorReply(Message, frozen=True, kw_only=True, tag_field="status", tag="error", omit_defaults=True):
    """A caught panic or exception, with its trace. It never counts as a rejection."""

    id: Index
    detail: str
    trace: str = ""


Reply = OkReply | RejectedReply | UnsupportedReply | ErrorReply


class BatchReply(Message, frozen=True, kw_only=True):
    """The replies to a batch, one per run, in order."""

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
"""The results that an `ok` can carry for each op: one of these, or none (writes on a wire or a device)."""


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas of the messages: those from the runner, and those from an adapter."""
    title = f"tunproof protocol {VERSION}: a line from"
    return {
        "runner": schema_of_lines(f"{title} the runner", (Hello | Run | Batch | Bye,), INPUTS.values()),
        "adapter": schema_of_lines(f"{title} an adapter", (HelloReply, Reply, BatchReply)),
    }


def schema_of_lines(title: str, kinds: Sequence[Any], more: Iterable[Any] = ()) -> dict[str, Any]:
    """Return the schema of a line that holds one of `kinds`, with definitions of `more`."""
    made, definitions = schema_components((*kinds, *more))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "anyOf": [plain(one) for one in made[: len(kinds)]],
        "$defs": {name: plain(definitions[name]) for name in sorted(definitions)},
    }
