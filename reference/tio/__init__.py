"""tio: reading and writing TCP and UDP superpackets on a Linux TUN, as an executable specification.

Deliberately clear rather than fast, with no dependency but the standard library. Where to read what:

- `queue`: the contract, W1 to W9; `container`: adopting an fd, A1 to A7;
- `virtio`: the vnet header, and V1 to V14, the rules for writing one; `vnet_rules` checks them;
- `segment`: segmenting a frame into packets, R1 to R13; `coalesce`: joining packets again, C1 to C10;
- `geometry`: the arguments of `write_gso`, G1 to G15;
- `wire`: the fields of all headers by name; `checksum`, `ip`, `tcp`, `udp`: the arithmetic and the headers, P1 to P6;
- `poll`, `offload`: the two backends; `endpoint`: waiting and closing; `tuntap`: ioctls; `errors`: what is raised.
"""

from tio.checksum import Buffer, adjust, checksum, complete_checksum, finish, pseudo_header_sum
from tio.coalesce import coalesce
from tio.container import Interface, RejectCallback
from tio.errors import (
    AddRefused,
    Closed,
    CloseFailed,
    ConcurrentRead,
    DeviceError,
    FrameError,
    Geometry,
    GeometryError,
    HeaderError,
    KernelRefused,
    LinkDown,
    PacketError,
    QueueError,
    TioError,
    Unsupported,
)
from tio.geometry import MAX_FRAGMENTS, check_geometry
from tio.offload import OffloadContainer, OffloadQueue
from tio.poll import PollContainer, PollQueue
from tio.queue import Container, GSOWriter, Queue
from tio.segment import MAX_UDP_SEGMENTS, segment
from tio.superpacket import Plain, Superpacket
from tio.virtio import ByteOrder, GsoType, VnetFlag, VnetHeader
from tio.vnet_rules import Violation, violations

__all__ = [
    "MAX_FRAGMENTS",
    "MAX_UDP_SEGMENTS",
    "AddRefused",
    "Buffer",
    "ByteOrder",
    "CloseFailed",
    "Closed",
    "ConcurrentRead",
    "Container",
    "DeviceError",
    "FrameError",
    "GSOWriter",
    "Geometry",
    "GeometryError",
    "GsoType",
    "HeaderError",
    "Interface",
    "KernelRefused",
    "LinkDown",
    "OffloadContainer",
    "OffloadQueue",
    "PacketError",
    "Plain",
    "PollContainer",
    "PollQueue",
    "Queue",
    "QueueError",
    "RejectCallback",
    "Superpacket",
    "TioError",
    "Unsupported",
    "Violation",
    "VnetFlag",
    "VnetHeader",
    "adjust",
    "check_geometry",
    "checksum",
    "coalesce",
    "complete_checksum",
    "finish",
    "pseudo_header_sum",
    "segment",
    "violations",
]
