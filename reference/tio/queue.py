"""The contract: `Container`, `Queue` and `GSOWriter`, as abstract classes.

Rules for users of a queue, and for every backend:

W1  `read` lends. The memoryviews it returns are released by the next `read` or `close` of the same queue; using one
    then raises `ValueError` instead of showing another packet's bytes. Slices and casts of a view survive its release;
    the queue detects them and reads into another buffer, so they keep showing the packet they were made from.
W2  One reader. A second `read` while one is under way raises `ConcurrentRead` and leaves the first undisturbed.
W3  Many writers of `write`, one of `write_gso`. The contract's text says in one place that a queue is driven by one
    reader plus concurrent writers, in another that `write` is not safe for them. This project takes it to mean:
    `write` is one system call without shared scratch and may be called from several threads; `write_gso` has a single
    caller at a time.
W4  No write is partial. A refusal (`FrameError`, `KernelRefused`, `Unsupported`) means that not a byte went out.
W5  An empty packet is a successful no-op that never reaches the fd.
W6  The caller's buffers are never changed, and not read after the call returns.
W7  A write to a full queue waits. `close`, from any thread, ends the wait with `Closed`.
W8  A frame that cannot be read is dropped, counted by rule in `rejected`, and passed to `on_reject`; reading continues.
W9  `write` takes one IP packet: version nibble 4 or 6 (P1), at most 65535 bytes (W9). Its other contents are not
    checked.
"""

import abc
from collections.abc import Sequence
from typing import Self

from tio.checksum import Buffer
from tio.superpacket import Superpacket

__all__ = ["Container", "GSOWriter", "Queue"]


class Queue(abc.ABC):
    """One queue of a TUN: a single reader, concurrent writers. See the rules W1 to W9 of this module."""

    @abc.abstractmethod
    def read(self) -> list[memoryview]:
        """Wait for a frame and return the packets it stands for, at least one, lent until the next `read` or `close`.

        The views are read-only. Raises `Closed`, `ConcurrentRead`, `DeviceError`.
        """

    @abc.abstractmethod
    def write(self, packet: Buffer) -> int:
        """Write one packet and return its length in bytes; an empty one is a no-op and returns 0.

        Raises `PacketError` (P1, W9), `KernelRefused`, `LinkDown`, `Closed`, `DeviceError`.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Close the fd, once; wake the reader and writers, which get `Closed`. Closing again is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class GSOWriter(abc.ABC):
    """A queue that can emit superpackets.

    The contract has `GSOWriter` beside `Queue` and intends to merge the two; every queue of this package is both, and a
    backend without offload says so in `gso_supported`.
    """

    @abc.abstractmethod
    def write_gso(self, hdr: Buffer, transport_hdr: Buffer, pays: Sequence[Buffer]) -> None:
        """Emit one superpacket in one `writev`: vnet header, `hdr`, `transport_hdr`, `pays`, none of them copied.

        `hdr` is the finalized IP header (total length, IPv4 header checksum), `transport_hdr` the TCP or UDP header
        whose checksum field holds the pseudo-header partial. `pays` are the payloads of the segments: all of one size
        but the last, which may be shorter. A single one goes out as a plain packet with a partial checksum.

        Raises `GeometryError` (G1 to G15), `Unsupported`, `KernelRefused`, `LinkDown`, `Closed`, `DeviceError`.
        """

    @abc.abstractmethod
    def gso_supported(self) -> bool:
        """Whether `write_gso` accepts TCP. If it does not, send packets one by one and do not coalesce."""

    @abc.abstractmethod
    def uso_supported(self) -> bool:
        """Whether `write_gso` accepts UDP: Linux since 6.2 (`TUN_F_USO4`, `TUN_F_USO6`)."""

    @abc.abstractmethod
    def write_segments(self, superpacket: Superpacket) -> None:
        """Send the data of a superpacket as single packets: what to do after `write_gso` raises `KernelRefused`.

        Raises `GeometryError` with nothing written. If a `write` fails halfway, its error propagates and the segments
        before it have been sent: W4 applies to one call of `write`.
        """


class Container(abc.ABC):
    """The queues of one or more TUN devices, closed together."""

    @abc.abstractmethod
    def queues(self) -> Sequence[Queue]:
        """Return the queues in the order they were added. A queue that was closed individually stays listed."""

    @abc.abstractmethod
    def add(self, fd: int) -> None:
        """Adopt a TUN fd and make it a queue; rules A1 to A7 in `container`.

        The fd belongs to the container when this returns, and to the caller, open and unchanged, if it raises
        `AddRefused` or `Closed`.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Close every queue once, continuing past errors; wake all readers and writers. Closing again is harmless.

        Raises `CloseFailed` from an `ExceptionGroup` of all the errors.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
