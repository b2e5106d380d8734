"""Wrong containers and queues. Those whose bug is an endless wait are not here."""

import os
import select
import weakref

from fakes.arithmetic import VNET, Shape, Vnet, turn_down
from fakes.base import Fake, fakes_in
from fakes.own_container import GoneError, OwnContainer, OwnQueue
from fakes.own_player import OwnLifecycle
from fakes.own_writer import OwnWriter, Pieces
from tunproof.corpus.cases import GsoArguments
from tunproof.subjects.subject import TurnedDownError

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_WIREGUARD = "https://github.com/WireGuard/wireguard-go/commit/"


class ClosedTwiceCrashes(OwnLifecycle, Fake):
    """Crashes when it is closed a second time."""

    flag = "DoubleClose"
    modelled_on = _WIREGUARD + "0f4809f3"

    class Queue(OwnQueue):
        def close(self) -> None:
            if self.is_closed:
                raise RuntimeError("close of closed channel")
            super().close()


class SendOnClosedChannel(OwnLifecycle, Fake):
    """Crashes when a queue is used that was closed."""

    flag = "UseAfterClose"
    modelled_on = _WIREGUARD + "ec8f6f82"

    class Queue(OwnQueue):
        def check_open(self) -> None:
            if self.is_closed:
                raise RuntimeError("send on closed channel")


class WokenWithNothing(OwnLifecycle, Fake):
    """Wakes a reader on close, who returns as if it had read something."""

    flag = "CloseWakes"
    modelled_on = _NEBULA

    class Queue(OwnQueue):
        def next_packets(self) -> list[bytes]:
            try:
                return super().next_packets()
            except GoneError:
                return []


class EventfdLeaks(OwnLifecycle, Fake):
    """Closes the fd of a queue and forgets the eventfd that wakes it."""

    flag = "DescriptorLeak"
    modelled_on = _NEBULA
    floor = 0.6
    pervading = "many lifecycles count fds when all is closed"

    class Queue(OwnQueue):
        def release(self) -> None:
            os.close(self.fd)
            weakref.finalize(self, os.close, self.wake)  # when nothing counts any more


class TakesFdsAfterClose(OwnLifecycle, Fake):
    """Adds a fd to a container that was closed."""

    flag = "AddAfterClose"
    modelled_on = _NEBULA

    class Container(OwnContainer):
        def check_open(self) -> None:
            """There is always room for one more."""


class ClosesWhatItRefuses(OwnLifecycle, Fake):
    """Closes a fd that it does not take."""

    flag = "AddRefusedHalfway"
    modelled_on = _WIREGUARD + "eae5e0f3"

    class Container(OwnContainer):
        def add(self, fd: int) -> None:
            try:
                super().add(fd)
            except (TurnedDownError, GoneError):
                os.close(fd)
                raise


class OneScratchForAll(OwnLifecycle, Fake):
    """Lends views of a buffer that a write uses, too."""

    flag = "LentTooLong"
    modelled_on = _NEBULA

    class Queue(OwnQueue):
        def lend(self, packets: list[bytes]) -> list[memoryview]:
            return _views(self, packets)

        def send(self, frame: bytes) -> None:
            self.scratch[: len(frame)] = frame
            super().send(frame)


class RoomInTheNextPacket(OwnLifecycle, Fake):
    """Lends slices of one buffer that may grow: into the packet behind them."""

    flag = "LentOverrun"
    modelled_on = _NEBULA

    class Queue(OwnQueue):
        def lend(self, packets: list[bytes]) -> list[memoryview]:
            return _views(self, packets)

        def grow(self, index: int, data: bytes) -> None:
            end = sum(len(view) for view in self.lent[: index + 1])
            self.scratch[end : end + len(data)] = data


class LoopEndsAtABadFrame(OwnLifecycle, Fake):
    """Ends its loop when a frame cannot be read."""

    flag = "BadFrameStopsReader"
    modelled_on = _NEBULA

    class Queue(OwnQueue):
        def skipped(self, frame: bytes) -> None:
            raise GoneError


class SelectForAThousand(OwnLifecycle, Fake):
    """Waits with select(2), which takes fds up to 1023."""

    flag = "LargeDescriptor"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/62995b2c"

    class Queue(OwnQueue):
        def sleep(self, events: int) -> None:
            reading = [self.fd] if events & select.POLLIN else []
            writing = [self.fd] if events & select.POLLOUT else []
            select.select([self.wake, *reading], writing, [])


class HeaderOfTheSuperpacketBefore(OwnLifecycle, Fake):
    """Keeps the vnet header of a superpacket for the plain packets behind it."""

    flag = "WriterState"
    modelled_on = "https://github.com/WireGuard/wireguard-go/pull/145"

    class Queue(OwnQueue):
        def __init__(self, fd: int, *, headers: bool) -> None:
            super().__init__(fd, headers=headers)
            self.writer = _Keeping()


class SuperpacketsLeaveLate(OwnLifecycle, Fake):
    """Keeps a superpacket until something is written behind it, and writes that first."""

    flag = "WriteOrder"
    modelled_on = _NEBULA

    class Queue(OwnQueue):
        waiting: GsoArguments | None = None

        def write(self, packet: bytes) -> None:
            super().write(packet)
            if self.waiting is not None:
                super().write_gso(self.waiting)
                self.waiting = None

        def write_gso(self, arguments: GsoArguments) -> None:
            self.check_open()
            if not self.headers:
                turn_down("no superpackets without vnet headers")
            OwnWriter().write_gso(arguments, ())
            self.waiting = arguments


class AlwaysAVnetHeader(OwnLifecycle, Fake):
    """Writes vnet headers to fds that have none."""

    flag = "HeaderlessBackend"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/a75d6a49"

    class Queue(OwnQueue):
        def send(self, frame: bytes) -> None:
            super().send(frame if self.headers else bytes(VNET.size) + frame)


class _Keeping(OwnWriter):
    """A writer that has one vnet header for all."""

    kept = bytes(VNET.size)

    def header(self, pieces: Pieces, shape: Shape) -> Vnet:
        header = super().header(pieces, shape)
        self.kept = VNET.pack(*header)
        return header

    def clear_header(self, packet: bytes) -> None:
        self.scratch[: VNET.size] = self.kept


def _views(queue: OwnQueue, packets: list[bytes]) -> list[memoryview]:
    """Return views of the one buffer of a queue, into which packets are copied one behind another."""
    views, at = [], 0
    for packet in packets:
        queue.scratch[at : at + len(packet)] = packet
        views.append(memoryview(queue.scratch)[at : at + len(packet)])
        at += len(packet)
    return views


LIFECYCLES = fakes_in(globals())
