"""The path of a frame: what lies between the fd that it is written to and the fd that it is read from.

    writer "in"  --tc redirect-->           "out" reader    `REDIRECT`, and with a vnet header `readback(...)`
    writer "in"  --IP input, forwarding-->  "out" reader    `FORWARD`

Both are TUNs with IFF_NO_PI, and the writer has a vnet header.
"""

from dataclasses import dataclass

from tio.tuntap import Offload
from tio.virtio import HEADER_SIZE

__all__ = ["FORWARD", "REDIRECT", "Way", "readback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The properties of a path.

    `header_size`         bytes of vnet header before what is written (TUNSETVNETHDRSZ)
    `forwarded`           an IP layer forwards it; else tc redirects it, and no IP layer sees it
    `mtu`                 of the outgoing link, in bytes; matters only if forwarded
    `reader`              the reader's TUNSETOFFLOAD mask; None: the reader has no vnet header and takes no offload
    `reader_header_size`  bytes of vnet header that the reader gets
    `reader_fill`         the byte that fills the reader's buffer before each read
    `gso_max_segs`        the most segments that the outgoing link takes as one superpacket
    `attached`            the writer's fd has a device
    `up`                  that device is up
    `readable`            how many bytes of the frame's memory can be read; None: all
    """

    header_size: int = HEADER_SIZE
    forwarded: bool = False
    mtu: int = 1500
    reader: Offload | None = None
    reader_header_size: int = HEADER_SIZE
    reader_fill: int = 0
    gso_max_segs: int = 65535
    attached: bool = True
    up: bool = True
    readable: int | None = None


REDIRECT = Way()
FORWARD = Way(forwarded=True)


def readback(offload: Offload) -> Way:
    """Return the path to a reader that takes `offload`."""
    return Way(reader=offload)
