"""Everything the reference raises, one root.

| error | raised by | meaning |
|---|---|---|
| `FrameError` | pure functions and writers | bytes that break a numbered rule; nothing was written |
| ↳ `HeaderError` | | a field of the vnet header |
| ↳ `PacketError` | | a field of the IP, TCP or UDP header |
| ↳ `GeometryError` | `write_gso`, `Superpacket` | the pieces of a superpacket do not fit together |
| `QueueError` | `Queue`, `Container` | the fd or the device, not the bytes |
| ↳ `Closed` | | closed by us, or the device is gone: no later call can succeed |
| ↳ `LinkDown` | | the interface is down: the packet is lost, later calls may succeed |
| ↳ `ConcurrentRead` | `read` | a second reader; the first one is not disturbed |
| ↳ `KernelRefused` | `write`, `write_gso` | the kernel turned a frame down; nothing was consumed |
| ↳ `Unsupported` | `write_gso` | this backend, or this kernel, has no such offload |
| ↳ `AddRefused` | `Container.add` | the fd was not taken and is still the caller's |
| ↳ `CloseFailed` | `Container.close` | all queues are closed, but some complained (an `ExceptionGroup` inside) |
| ↳ `DeviceError` | any call on the fd | an errno that nobody expects |
"""

import os
from dataclasses import dataclass

__all__ = [
    "AddRefused",
    "CloseFailed",
    "Closed",
    "ConcurrentRead",
    "DeviceError",
    "FrameError",
    "GeometryError",
    "HeaderError",
    "KernelRefused",
    "LinkDown",
    "PacketError",
    "QueueError",
    "TioError",
    "Unsupported",
]


class TioError(Exception):
    """Root of all errors of the reference."""


class FrameError(TioError):
    """Bytes that break a rule.

    Attributes:
        rule: the number of the rule, as the module that states it counts: R1.. (`segment`), G1.. (`geometry`),
            P1.. (`ip`, `tcp`, `udp`), H1.. (`virtio`), W1.. (`queue`).
        field: the field at fault, such as "vnet.gso_size" or "ipv4.total_length".
        offset: where the field begins, in bytes: from the vnet header for "vnet." fields, from the packet for others.
        found: the value that stands there.
        because: the rule in words, for this case.
    """

    def __init__(self, rule: str, field: str, offset: int, found: object, because: str) -> None:
        super().__init__(rule, field, offset, found, because)  # what pickle makes it again from
        self.rule = rule
        self.field = field
        self.offset = offset
        self.found = found
        self.because = because

    def __str__(self) -> str:
        """Return the error in one line."""
        return f"{self.rule}: {self.field} at byte {self.offset} is {self.found!r}: {self.because}"


class HeaderError(FrameError):
    """A field of the vnet header is wrong, by itself or for the packet behind it."""


class PacketError(FrameError):
    """A field of an IP, TCP or UDP header is wrong, or the header is not all there."""


class GeometryError(FrameError):
    """The header, transport header and fragments of a superpacket do not fit together."""


class QueueError(TioError):
    """The fd or the device behind a queue cannot do what was asked."""


class Closed(QueueError):
    """The queue or its container was closed, or the device vanished: no later call can succeed."""


class ConcurrentRead(QueueError):
    """A second `read` was started while one was under way."""


class Unsupported(QueueError):
    """This backend, or the kernel behind it, has no such offload. Ask `gso_supported()` or `uso_supported()` first."""


class AddRefused(QueueError):
    """The container did not take the fd, which stays open and the caller's. `rule` is A1.. of `container`."""

    def __init__(self, rule: str, because: str) -> None:
        super().__init__(rule, because)
        self.rule = rule
        self.because = because

    def __str__(self) -> str:
        """Return the error in one line."""
        return f"{self.rule}: {self.because}"


class CloseFailed(QueueError):
    """Some queues could not be closed without an error; `__cause__` is the `ExceptionGroup` of what they raised."""


class DeviceError(QueueError):
    """A system call on the fd failed. `errno` is the kernel's answer, `call` what was asked."""

    def __init__(self, call: str, errno: int) -> None:
        super().__init__(call, errno)
        self.call = call
        self.errno = errno

    def __str__(self) -> str:
        """Return the error in one line."""
        return f"{self.call}: {os.strerror(self.errno)} (errno {self.errno})"


class LinkDown(DeviceError):
    """The interface is down (EIO, `tun_get_user`). A soft error: bring it up and go on."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The shape of a frame that was refused: all sizes in bytes, `segments` counted; by default a plain packet's."""

    payload: int
    header: int = 0
    gso_size: int = 0
    segments: int = 1


class KernelRefused(DeviceError):
    """The kernel turned a legal frame down (EINVAL, EMSGSIZE, ENOBUFS, ENOMEM). Nothing was consumed.

    For a superpacket send the same data singly, with `write_segments`: some kernels refuse legal superpackets
    (Linux 6.6.44: e269d79c7d35, mended by 89add40066f9).
    """

    def __init__(self, call: str, errno: int, geometry: Geometry) -> None:
        super().__init__(call, errno)
        self.geometry = geometry
        self.args = (call, errno, geometry)

    def __str__(self) -> str:
        """Return the error in one line."""
        return f"{super().__str__()}: {self.geometry}"
