"""The steps of a lifecycle, and the answers to each.

A script creates fds, hands them to a container, and operates on its queues. Fds have names; a queue has the name of the
fd that it was created from. A `wire` is a SOCK_SEQPACKET socket pair: one end is the fd, and the runner holds the other
end, where it feeds frames in and takes out what was written. A `tun` is a device in a private namespace, where the
runner sends and receives with a packet socket.

Creating fds, feeding, hanging up, taking, links and offloads are the runner's part: `open-wire open-tun open-other
let-go feed hang-up take link offloads`. All other steps are the subject's. No step may take longer than two seconds.
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
    """Create a wire, with room for 8 frames of 100 bytes but not for 64. Answers done.

    `least` is the lowest number that the fd may have.
    """

    fd: Name
    least: int = 0


class OpenTun(_Step, frozen=True, kw_only=True, tag="open-tun"):
    """Open /dev/net/tun and attach it to a device, created if necessary, with these flags. Answers done.

    `header_size` is set with TUNSETVNETHDRSZ; `offloads` sets TSO with TUNSETOFFLOAD, as a previous user may have done,
    and `uso` sets TSO and as much of USO as the kernel supports.
    The device stays when its last fd is closed (TUNSETPERSIST). The link is down until `link` brings it up.
    """

    fd: Name
    device: Name
    flags: tuple[TunFlag, ...]
    header_size: int | None = None
    offloads: bool = False
    uso: bool = False


class OpenOther(_Step, frozen=True, kw_only=True, tag="open-other"):
    """Take something that is not a queue: a TUN fd without a device, or an fd that has been closed. Answers done."""

    fd: Name
    what: Literal["unattached-tun", "closed"]


class Add(_Step, frozen=True, kw_only=True, tag="add"):
    """Hand an fd to the container. Answers done, refused or closed; a refused fd stays open and the caller's."""

    fd: Name


class LetGo(_Step, frozen=True, kw_only=True, tag="let-go"):
    """Close an fd that should still be the caller's. Answers done, or closed if it is not, or is not open."""

    fd: Name


class Queues(_Step, frozen=True, kw_only=True, tag="queues"):
    """Count the queues that the container lists. Answers count."""


class Feed(_Step, frozen=True, kw_only=True, tag="feed"):
    """Send a frame for the queue to read. Answers done.

    A device gets a vnet header and a packet whatever the backend, through a packet socket: the kernel delivers what the
    device's offloads allow. If the kernel does not support such superpackets, the script is unsupported.
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
    """Start a read in another thread while there is nothing to read. Answers waiting, once the read blocks."""

    fd: Name


class FinishRead(_Step, frozen=True, kw_only=True, tag="finish-read"):
    """Give the result of the read that was started. Answers packets or closed."""

    fd: Name


class Look(_Step, frozen=True, kw_only=True, tag="look"):
    """Look at a packet of an earlier read; `reads_ago` 0 is the latest. Answers packets (just one) or released."""

    fd: Name
    packet: int
    reads_ago: int = 0


class Grow(_Step, frozen=True, kw_only=True, tag="grow"):
    """Append bytes in place to a packet of the latest read, if the language allows it. Answers done or refused."""

    fd: Name
    packet: int
    data: Hex


class WriteStep(_Step, frozen=True, kw_only=True, tag="write"):
    """Write a packet. Answers done, refused, closed or down."""

    fd: Name
    packet: Hex


class WriteGsoStep(_Step, frozen=True, kw_only=True, tag="write-gso"):
    """Write a superpacket. Answers done, refused, closed or down."""

    fd: Name
    hdr: Hex
    transport_hdr: Hex
    pays: tuple[Hex, ...]


class StartWrite(_Step, frozen=True, kw_only=True, tag="start-write"):
    """Write a packet `count` times, more often than the wire has room for, in another thread. Answers waiting."""

    fd: Name
    packet: Hex
    count: int


class FinishWrite(_Step, frozen=True, kw_only=True, tag="finish-write"):
    """Make room on the wire, and give the result of the oldest write that was blocked. Answers done or closed."""

    fd: Name


class Take(_Step, frozen=True, kw_only=True, tag="take"):
    """Take what was written since the last `take`, at the far end of a wire or behind a device. Answers frames."""

    fd: Name


class CloseQueue(_Step, frozen=True, kw_only=True, tag="close-queue"):
    """Close one queue. Answers done."""

    fd: Name


class Close(_Step, frozen=True, kw_only=True, tag="close"):
    """Close the container. Answers done."""


class Renew(_Step, frozen=True, kw_only=True, tag="renew"):
    """Create a new container in place of the closed one. Answers done."""


class Descriptors(_Step, frozen=True, kw_only=True, tag="descriptors"):
    """Count how many more fds the subject has than before the first step. Answers count.

    Fds that the script created and no container took are not counted, nor are any of the runner's.
    """


class Link(_Step, frozen=True, kw_only=True, tag="link"):
    """Bring a device up or down, or delete it. Answers done."""

    device: Name
    state: Literal["up", "down", "gone"]


class Offloads(_Step, frozen=True, kw_only=True, tag="offloads"):
    """List the device's segmentation offloads, as set with TUNSETOFFLOAD and named by ethtool. Answers names.

    With `changed`, only those that were switched on or off since the last time.
    """

    device: Name
    changed: bool = False


class _Answer(Strict, frozen=True, kw_only=True, tag_field="is"):
    """The result of a step."""


class Done(_Answer, frozen=True, kw_only=True, tag="done"):
    """The step succeeded."""


class RefusedStep(_Answer, frozen=True, kw_only=True, tag="refused"):
    """The step was refused, and changed nothing."""


class Closed(_Answer, frozen=True, kw_only=True, tag="closed"):
    """The queue, the container or the device is closed: no later call can succeed."""


class Down(_Answer, frozen=True, kw_only=True, tag="down"):
    """The link is down: later calls may succeed."""


class Waiting(_Answer, frozen=True, kw_only=True, tag="waiting"):
    """The call has not returned."""


class Released(_Answer, frozen=True, kw_only=True, tag="released"):
    """The packet is no longer lent; looking at it is an error."""


class ReadPackets(_Answer, frozen=True, kw_only=True, tag="packets"):
    """These packets, byte for byte."""

    packets: tuple[Hex, ...]


class Frames(_Answer, frozen=True, kw_only=True, tag="frames"):
    """These packets were written, each after a vnet header that follows V1 to V14, or without one (backend plain)."""

    packets: tuple[Hex, ...]


class Count(_Answer, frozen=True, kw_only=True, tag="count"):
    """This many."""

    count: int


class Names(_Answer, frozen=True, kw_only=True, tag="names"):
    """These names, sorted."""

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
    """Steps that one container goes through, in order. `backend` says whether its fds have vnet headers."""

    backend: Literal["offload", "plain"] = "offload"
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]


class Answers(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="answers"):
    """For each step, the correct answers, of which a subject gives one."""

    answers: tuple[Annotated[tuple[Answer, ...], msgspec.Meta(min_length=1)], ...]
