"""The steps of a lifecycle, and what each may answer.

A script makes fds, hands them to a container, and does things to its queues. Fds have names; a queue is named by the fd
it was made of. A `wire` is a SOCK_SEQPACKET socket pair: one end is the fd, the other end is held by whoever runs the
script, who feeds frames into it and takes out what was written. A `tun` is a device in a namespace of its own; whoever
runs the script sends and receives on it with a packet socket.

Making fds, feeding, hanging up, taking, links and offloads are the runner's part: `open-wire open-tun open-other let-go
feed hang-up take link offloads`. All other steps are the subject's. No step may take longer than two seconds.
"""

from typing import Annotated, Literal

import msgspec

from tunproof.corpus.codec import Hex
from tunproof.corpus.model import Strict

__all__ = [
    "PATIENCE",
    "Add",
    "Answer",
    "Answers",
    "Close",
    "CloseQueue",
    "Closed",
    "Count",
    "Descriptors",
    "Done",
    "Down",
    "Feed",
    "FinishRead",
    "FinishWrite",
    "Frames",
    "Grow",
    "HangUp",
    "LetGo",
    "Link",
    "Look",
    "Names",
    "Offloads",
    "OpenOther",
    "OpenTun",
    "OpenWire",
    "Queues",
    "Read",
    "ReadPackets",
    "RefusedStep",
    "Released",
    "Renew",
    "Script",
    "StartRead",
    "StartWrite",
    "Step",
    "Take",
    "TunFlag",
    "Waiting",
    "WriteGsoStep",
    "WriteStep",
]

PATIENCE = 2.0
"""Seconds that one step may take."""

Name = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9]*$")]
TunFlag = Literal["TUN", "TAP", "NO_PI", "VNET_HDR", "MULTI_QUEUE"]


class _Step(Strict, frozen=True, kw_only=True, tag_field="do"):
    """One step."""


class OpenWire(_Step, frozen=True, kw_only=True, tag="open-wire"):
    """Make a wire, which has room for 8 frames of 100 bytes and not for 64. Answers done.

    `least` is a number that the fd must not be below.
    """

    fd: Name
    least: int = 0


class OpenTun(_Step, frozen=True, kw_only=True, tag="open-tun"):
    """Open /dev/net/tun and attach it to a device, made if need be, with these flags. Answers done.

    `header_size` is set with TUNSETVNETHDRSZ; `offloads` sets TSO with TUNSETOFFLOAD, as a former user may have done,
    and `uso` TSO and as much of USO as the kernel has.
    The device stays when its last fd is closed (TUNSETPERSIST). The link is down until `link` brings it up.
    """

    fd: Name
    device: Name
    flags: tuple[TunFlag, ...]
    header_size: int | None = None
    offloads: bool = False
    uso: bool = False


class OpenOther(_Step, frozen=True, kw_only=True, tag="open-other"):
    """Take something that is no queue: a TUN fd without a device, a fd that is closed again. Answers done."""

    fd: Name
    what: Literal["unattached-tun", "closed"]


class Add(_Step, frozen=True, kw_only=True, tag="add"):
    """Hand a fd to the container. Answers done, refused or closed; a fd that is refused stays the caller's, open."""

    fd: Name


class LetGo(_Step, frozen=True, kw_only=True, tag="let-go"):
    """Close a fd that should be the caller's still. Answers done, or closed if it is not, or not open any more."""

    fd: Name


class Queues(_Step, frozen=True, kw_only=True, tag="queues"):
    """Answers how many queues the container lists."""


class Feed(_Step, frozen=True, kw_only=True, tag="feed"):
    """Send a frame to the queue, which will read it. Answers done.

    A device is sent a vnet header and a packet whatever the backend, through a packet socket: the kernel hands over
    what the device's offloads allow. Where the kernel knows no such superpackets the script is unsupported.
    """

    fd: Name
    frame: Hex


class HangUp(_Step, frozen=True, kw_only=True, tag="hang-up"):
    """Close the far end of a wire. Answers done."""

    fd: Name


class Read(_Step, frozen=True, kw_only=True, tag="read"):
    """Read from the queue. Answers packets or closed."""

    fd: Name


class StartRead(_Step, frozen=True, kw_only=True, tag="start-read"):
    """Begin a read in another thread while there is nothing to read. Answers waiting, once it waits."""

    fd: Name


class FinishRead(_Step, frozen=True, kw_only=True, tag="finish-read"):
    """Answers what the read that was begun came to: packets or closed."""

    fd: Name


class Look(_Step, frozen=True, kw_only=True, tag="look"):
    """Look at a packet of an earlier read: `reads_ago` 0 is the latest. Answers packets (one), or released."""

    fd: Name
    packet: int
    reads_ago: int = 0


class Grow(_Step, frozen=True, kw_only=True, tag="grow"):
    """Append bytes to a packet of the latest read in place, as far as the language has it. Answers done or refused."""

    fd: Name
    packet: int
    data: Hex


class WriteStep(_Step, frozen=True, kw_only=True, tag="write"):
    """Write a packet. Answers done, refused, closed, or down."""

    fd: Name
    packet: Hex


class WriteGsoStep(_Step, frozen=True, kw_only=True, tag="write-gso"):
    """Write a superpacket. Answers done, refused, closed, or down."""

    fd: Name
    hdr: Hex
    transport_hdr: Hex
    pays: tuple[Hex, ...]


class StartWrite(_Step, frozen=True, kw_only=True, tag="start-write"):
    """Write a packet so many times, more often than the wire has room for, in another thread. Answers waiting."""

    fd: Name
    packet: Hex
    count: int


class FinishWrite(_Step, frozen=True, kw_only=True, tag="finish-write"):
    """Make room on the wire, and answer what the oldest write that waited came to: done or closed."""

    fd: Name


class Take(_Step, frozen=True, kw_only=True, tag="take"):
    """Take what was written since the last `take`, from a wire's far end or behind a device. Answers frames."""

    fd: Name


class CloseQueue(_Step, frozen=True, kw_only=True, tag="close-queue"):
    """Close one queue. Answers done."""

    fd: Name


class Close(_Step, frozen=True, kw_only=True, tag="close"):
    """Close the container. Answers done."""


class Renew(_Step, frozen=True, kw_only=True, tag="renew"):
    """Make a new container in place of the one that was closed. Answers done."""


class Descriptors(_Step, frozen=True, kw_only=True, tag="descriptors"):
    """Answers how many more fds the subject has than before the first step.

    Those that the script made and that no container took are left out, and all of the runner's.
    """


class Link(_Step, frozen=True, kw_only=True, tag="link"):
    """Bring a device up or down, or delete it. Answers done."""

    device: Name
    state: Literal["up", "down", "gone"]


class Offloads(_Step, frozen=True, kw_only=True, tag="offloads"):
    """Answers which offloads the device has, as ethtool names them: those for segmentation, which TUNSETOFFLOAD sets.

    With `changed` only those that came or went since the last time.
    """

    device: Name
    changed: bool = False


class _Answer(Strict, frozen=True, kw_only=True, tag_field="is"):
    """What a step came to."""


class Done(_Answer, frozen=True, kw_only=True, tag="done"):
    """It was done."""


class RefusedStep(_Answer, frozen=True, kw_only=True, tag="refused"):
    """It was refused, and changed nothing."""


class Closed(_Answer, frozen=True, kw_only=True, tag="closed"):
    """The queue, the container or the device is closed: no later call can succeed."""


class Down(_Answer, frozen=True, kw_only=True, tag="down"):
    """The link is down: later calls may succeed."""


class Waiting(_Answer, frozen=True, kw_only=True, tag="waiting"):
    """It waits."""


class Released(_Answer, frozen=True, kw_only=True, tag="released"):
    """The packet is no longer lent, and looking at it is an error."""


class ReadPackets(_Answer, frozen=True, kw_only=True, tag="packets"):
    """These packets, byte for byte."""

    packets: tuple[Hex, ...]


class Frames(_Answer, frozen=True, kw_only=True, tag="frames"):
    """These packets were written, each behind a vnet header that keeps V1 to V14, or behind none (backend plain)."""

    packets: tuple[Hex, ...]


class Count(_Answer, frozen=True, kw_only=True, tag="count"):
    """So many."""

    count: int


class Names(_Answer, frozen=True, kw_only=True, tag="names"):
    """These, sorted."""

    names: tuple[str, ...]


Step = (
    OpenWire
    | OpenTun
    | OpenOther
    | LetGo
    | Add
    | Queues
    | Feed
    | HangUp
    | Read
    | StartRead
    | FinishRead
    | Look
    | Grow
    | WriteStep
    | WriteGsoStep
    | StartWrite
    | FinishWrite
    | Take
    | CloseQueue
    | Close
    | Renew
    | Descriptors
    | Link
    | Offloads
)
Answer = Done | RefusedStep | Closed | Down | Waiting | Released | ReadPackets | Frames | Count | Names


class Script(Strict, frozen=True, kw_only=True):
    """Steps that one container goes through, one after another. `backend` says whether its fds have vnet headers."""

    backend: Literal["offload", "plain"] = "offload"
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]


class Answers(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="answers"):
    """For each step the answers that are right, of which a subject gives one."""

    answers: tuple[Annotated[tuple[Answer, ...], msgspec.Meta(min_length=1)], ...]
