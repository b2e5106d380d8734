"""Everything that the reference raises, under one root.

| error | raised by | meaning |
|---|---|---|
| `FrameError` | pure functions and writers | bytes that break a numbered rule; nothing was written |
| ↳ `HeaderError` | | a field of the vnet header |
| ↳ `PacketError` | | a field of the IP, TCP or UDP header |
| ↳ `GeometryError` | `write_gso`, `Superpacket` | the pieces of a superpacket do not fit together |
| `QueueError` | `Queue`, `Container` | the fd or the device, not the bytes |
| ↳ `Closed` | | closed by us, or the device is gone: no later call can succeed |
| ↳ `LinkDown` | | the interface is down: the packet is lost, later calls may succeed |
| ↳ `ConcurrentRead` | `read` | a second reader; the first one is unaffected |
| ↳ `KernelRefused` | `write`, `write_gso` | the kernel refused a frame; nothing was consumed |
| ↳ `Unsupported` | `write_gso` | this backend or this kernel lacks the offload |
| ↳ `AddRefused` | `Container.add` | the fd was not adopted and is still the caller's |
| ↳ `CloseFailed` | `Container.close` | all queues are closed, but some with errors (an `ExceptionGroup` inside) |
| ↳ `DeviceError` | any call on the fd | an unexpected errno |
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
        rule: the number of the rule in the module that states it: R1.. (`segment`), G1.. (`geometry`),
            P1.. (`ip`, `tcp`, `udp`), H1.. (`virtio`), W1.. (`queue`).
        field: the field at fault, such as "vnet.gso_size" or "ipv4.total_length".
        offset: where the field begins, in bytes: from the vnet header for "vnet." fields, from the packet for others.
        found: the field's value.
        because: the rule in words, for this case.
    """

    def __init__(self, rule: str, field: str, offset: int, found: object, because: str) -> None:
        super().__init__(rule, field, offset, found, because)  # what pickle rebuilds it from
        self.rule = rule
        self.field = field
        self.offset = offset
        self.found = found
        self.because = because

    def __str__(self) -> str:
        """Return the error in one line."""
        return f"{self.rule}: {self.field} at byte {self.offset} is {self.found!r}: {self.because}"


class HeaderError(FrameError):
    """A field of the vnet header is wrong, in itself or for the packet that follows."""


class PacketError(FrameError):
    """A field of an IP, TCP or UDP header is wrong, or the header is incomplete."""


class GeometryError(FrameError):
    """The header, transport header and fragments of a superpacket do not fit together."""


class QueueError(TioError):
    """The fd or the device behind a queue cannot do what was requested."""


class Closed(QueueError):
    """The queue or its container was closed, or the device vanished: no later call can succeed."""


class ConcurrentRead(QueueError):
    """A second `read` was started while one was under way."""


class Unsupported(QueueError):
    """This backend or its kernel lacks the offload. Check `gso_supported()` or `uso_supported()` first."""


class AddRefused(QueueError):
    """The container did not adopt the fd, which stays open and the caller's. `rule` is A1.. of `container`."""

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
    """A system call on the fd failed. `errno` is the kernel's answer, `call` what failed."""

    def __init__(self, call: str, errno: int) -> None:
        super().__init__(call, errno)
        self.call = call
        self.errno = errno

    def __str__(self) -> str:
        """Return the error in one line."""
        return f"{self.call}: {os.strerror(self.errno)} (errno {self.errno})"


class LinkDown(DeviceError):
    """The interface is down (EIO, `tun_get_user`). A soft error: bring it up and continue."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The shape of a refused frame: sizes in bytes, `segments` a count; the defaults describe a plain packet."""

    payload: int
    header: int = 0
    gso_size: int = 0
    segments: int = 1


class KernelRefused(DeviceError):
    """The kernel refused a legal frame (EINVAL, EMSGSIZE, ENOBUFS, ENOMEM). Nothing was consumed.

    For a superpacket, send the same data as single packets with `write_segments`: some kernels refuse legal
    superpackets (Linux 6.6.44: e269d79c7d35, fixed by 89add40066f9).
    """

    def __init__(self, call: str, errno: int, geometry: Geometry) -> None:
        super().__init__(call, errno)
        self.geometry = geometry
        self.args = (call, errno, geometry)

    def __str__(self) -> str:
        """Return the error in one line."""
        return f"{super().__str__()}: {self.geometry}"
