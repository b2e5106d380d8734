"""What a lifecycle script plays with: wires, TUN devices and other fds. The runner's steps, for any subject.

`Scenery` is for a subject in this process. One in another process gets the fds that `FarSide` makes, and keeps them
in a `NearSide` of its own.

Devices live in a network namespace of their own, made for the first of them. What a queue there reads is sent, and what
it writes received, by a packet socket with vnet headers (PACKET_VNET_HDR): the kernel hands superpackets over whole or
cut, as the device's offloads say, and shows those that were written as they were.
"""

import errno
import os
import socket
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tio import tuntap
from tio.tuntap import Iff, Offload
from tio.virtio import HEADER_SIZE, GsoType
from tio.wire import VnetLayout
from tunproof import lab
from tunproof.corpus.script import (
    Answer,
    Done,
    Feed,
    Frames,
    HangUp,
    LetGo,
    Link,
    Names,
    Offloads,
    OpenOther,
    OpenTun,
    OpenWire,
    Script,
    Take,
)
from tunproof.lab import device, links, packets, privilege
from tunproof.subjects.lifecycle.nearside import NearSide, named
from tunproof.subjects.subject import InapplicableError

__all__ = ["FarSide", "Scenery"]

_LARGEST = 1 << 17
_ROOM = 8192  # for 8 frames of 100 bytes and not for 64: the kernel doubles it, and counts some 800 bytes a frame


class FarSide:
    """What is behind the fds of one script, and stays with whoever runs it: far ends of wires, and devices.

    Names that no step made raise `ValueError`.

    Attributes:
        steps: what does each step that is about this side alone.
    """

    def __init__(self, script: Script) -> None:
        self.steps: dict[type, Callable[[Any], Answer]] = {
            Feed: self.feed,
            HangUp: self.hang_up,
            Take: self.take,
            Link: self.link,
            Offloads: self.offloads,
        }
        self._header = script.backend == "offload"
        self._watched = {step.fd for step in script.steps if isinstance(step, Feed | Take)}
        self._far: dict[str, socket.socket] = {}
        self._device_of: dict[str, str] = {}
        self._devices: _Devices | None = None
        self._drained: dict[str, list[bytes]] = defaultdict(list)
        self._offloads: dict[str, frozenset[str]] = {}

    def open_wire(self, step: OpenWire) -> int:
        """Make a wire, and return its near end, which is for a container."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._far[step.fd] = far
        far.setblocking(False)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
        return near.detach()

    def open_tun(self, step: OpenTun) -> int:
        """Return a fd that is attached to a device. Raises `InapplicableError` where there can be no TUN."""
        if self._devices is None:
            obstacle = privilege.device_obstacle()
            if obstacle is not None or not privilege.has_capabilities():
                raise InapplicableError("this process may make no TUN devices; `tunproof doctor` says why")
            self._devices = _Devices()
        fd = self._devices.open(step)
        self._device_of[step.fd] = step.device
        return fd

    def open_unattached(self) -> int:
        """Return a TUN fd without a device. Raises `InapplicableError` where there is none."""
        if privilege.device_obstacle() is not None:
            raise InapplicableError(f"this process may not open {tuntap.DEVICE}")
        return os.open(tuntap.DEVICE, os.O_RDWR | os.O_CLOEXEC)

    def feed(self, step: Feed) -> Answer:
        """Send a frame to whoever reads the fd."""
        frame = bytes.fromhex(step.frame)
        if step.fd in self._device_of and self._devices is not None:
            self._devices.send(self._device_of[step.fd], frame)
        else:
            named(step.fd, self._far).send(frame)
        return Done()

    def hang_up(self, step: HangUp) -> Answer:
        """Close the far end of a wire."""
        named(step.fd, self._far).close()
        del self._far[step.fd]
        return Done()

    def drain(self, name: str) -> None:
        """Make room on a wire; what was there is kept for `take`."""
        if name in self._far:
            self._drained[name] += _received(self._far[name])

    def take(self, step: Take) -> Answer:
        """Return the frames that were written to a fd since the last time."""
        if step.fd in self._device_of and self._devices is not None:
            frames = self._devices.received(self._device_of[step.fd])
            return _frames(frames if self._header else [frame[HEADER_SIZE:] for frame in frames])
        named(step.fd, self._far)
        self.drain(step.fd)
        return _frames(self._drained.pop(step.fd))

    def link(self, step: Link) -> Answer:
        """Bring a device up or down, or delete it."""
        watched = any(self._device_of.get(fd) == step.device for fd in self._watched)
        self._devices_of_script().link(step.device, step.state, watched=watched)
        return Done()

    def offloads(self, step: Offloads) -> Answer:
        """Return the segmentation offloads of a device."""
        now = self._devices_of_script().offloads(step.device)
        before, self._offloads[step.device] = self._offloads.get(step.device, frozenset()), now
        return Names(names=tuple(sorted(now ^ before if step.changed else now)))

    def held(self) -> int:
        """Return how many fds are open in here."""
        return len(self._far) + (self._devices.held() if self._devices is not None else 0)

    def close(self) -> None:
        """Close everything. Closing twice is harmless."""
        while self._far:
            self._far.popitem()[1].close()
        if self._devices is not None:
            self._devices.close()

    def _devices_of_script(self) -> "_Devices":
        if self._devices is None:
            raise ValueError("no step opened a TUN before this one")
        return self._devices


class Scenery(NearSide):
    """Both sides in one process.

    Attributes:
        steps: what does each step that makes or closes a fd, or is about the far side.
    """

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._far_side = FarSide(script)
        self.steps: dict[type, Callable[[Any], Answer]] = self._far_side.steps | {
            OpenWire: self._open_wire,
            OpenTun: self._open_tun,
            OpenOther: self._open_other,
            LetGo: self.let_go,
        }

    def held(self) -> int:
        """Return how many fds are open in here."""
        return super().held() + self._far_side.held()

    def drain(self, name: str) -> None:
        """Make room on a wire; what was there is kept for `take`."""
        self._far_side.drain(name)

    def close(self) -> None:
        """Close everything. Closing twice is harmless."""
        super().close()
        self._far_side.close()

    def _open_wire(self, step: OpenWire) -> Answer:
        self.keep(step.fd, self._far_side.open_wire(step), least=step.least)
        return Done()

    def _open_tun(self, step: OpenTun) -> Answer:
        self.keep(step.fd, self._far_side.open_tun(step))
        return Done()

    def _open_other(self, step: OpenOther) -> Answer:
        if step.what == "closed":
            self.keep_closed(step.fd)
        else:
            self.keep(step.fd, self._far_side.open_unattached())
        return Done()


class _Devices:
    """A namespace and its TUN devices, by name."""

    def __init__(self) -> None:
        self._namespace = lab.Namespace()
        self._sockets: dict[str, socket.socket] = {}

    def open(self, step: OpenTun) -> int:
        """Return a fd on the device, which is made if need be."""
        flags = Iff(0)
        for name in step.flags:
            flags |= Iff[name]
        fd = self._namespace.run(tuntap.open_tun, step.device, flags)
        try:
            tuntap.set_persistent(fd)
            if step.header_size is not None:
                tuntap.set_vnet_header_size(fd, step.header_size)
            if step.uso:
                _ask_for_everything(fd)
            elif step.offloads:
                tuntap.set_offload(fd, Offload.TSO)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def link(self, name: str, state: str, *, watched: bool) -> None:
        """Change a link; one that is watched gets its packet socket when it first comes up."""
        self._namespace.run(_change_link, name, state)
        if state == "up" and watched and name not in self._sockets:
            self._sockets[name] = self._namespace.run(packets.packet_socket, name, receives=True)
        elif name in self._sockets:
            self._sockets[name].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # ENETDOWN, said once to the next call

    def offloads(self, name: str) -> frozenset[str]:
        """Return the segmentation offloads that are on."""
        return self._namespace.run(device.segmentation_features, name)

    def send(self, name: str, frame: bytes) -> None:
        """Send a packet out of the device, which is what its readers get.

        Raises `InapplicableError` for a UDP superpacket where the kernel knows none.
        """
        try:
            packets.send(self._sockets[name], name, frame)
        except OSError as error:
            if error.errno == errno.EINVAL and frame[VnetLayout.GSO_TYPE.offset] == GsoType.UDP_L4:
                raise InapplicableError("this kernel has no UDP superpackets") from error
            raise

    def received(self, name: str) -> list[bytes]:
        """Return what came in from the device since the last time, with vnet headers."""
        return _received(self._sockets[name])

    def held(self) -> int:
        """Return how many fds are open in here."""
        return 1 + len(self._sockets)

    def close(self) -> None:
        """Close all. The devices go with their namespace, later: to delete one takes the kernel some 10 ms."""
        while self._sockets:
            self._sockets.popitem()[1].close()
        self._namespace.close()


def _ask_for_everything(fd: int) -> None:
    """Set all offloads that the kernel has: one before 6.2 refuses USO, and the rest with it."""
    try:
        tuntap.set_offload(fd, Offload.TSO | Offload.USO)
    except OSError:
        tuntap.set_offload(fd, Offload.TSO)


def _change_link(name: str, state: str) -> None:
    with links.netlink() as ip:
        if state == "up":
            links.bring_up(ip, name)
        elif state == "down":
            ip.link("set", index=socket.if_nametoindex(name), state="down")
        else:
            ip.link("del", index=socket.if_nametoindex(name))


def _received(end: socket.socket) -> list[bytes]:
    """Return what can be received without waiting, but for what a packet socket itself sent."""
    frames: list[bytes] = []
    while True:
        try:
            frame, address = end.recvfrom(_LARGEST)
        except BlockingIOError:
            return frames
        except ConnectionResetError:  # said once: the other end was closed with unread frames
            continue
        if end.family == socket.AF_UNIX and not frame:  # the near end was closed
            return frames
        if end.family == socket.AF_UNIX or address[2] != socket.PACKET_OUTGOING:
            frames.append(frame)


def _frames(frames: list[bytes]) -> Frames:
    return Frames(packets=tuple(frame.hex() for frame in frames))
