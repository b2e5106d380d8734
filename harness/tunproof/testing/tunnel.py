"""The real thing: a tunnel between two kernels' TCP, with the reference in the middle, used the way a VPN would.

    sockets | TUN  --read, segment-->  packets  --carry-->  packets  --coalesce, write_gso-->  TUN | sockets
      near namespace                                                              far namespace

Both directions run at once, each in a thread. "Carrying" is a copy: what a VPN would encrypt, send and decrypt. A
superpacket that the kernel refuses is resent as single packets, so a broken kernel makes the tunnel slow but loses
nothing.
"""

import contextlib
import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import tio
from tio.container import BaseQueue
from tio.tuntap import Offload
from tunproof import lab
from tunproof.lab import FAR, NEAR, SocketLab
from tunproof.lab.closeable import Closeable

__all__ = ["Carried", "Flow", "Tunnel", "carry"]

PATIENCE = 60.0
"""Seconds that a TCP connection may stall before the transfer is given up."""

_CHUNK = 1 << 20


@dataclass(slots=True)
class Flow:
    """What one direction carried. `largest_*` count segments; `fallbacks` superpackets that a kernel refused."""

    packets: int = 0
    largest_read: int = 0
    largest_written: int = 0
    superpackets_read: int = 0
    superpackets_written: int = 0
    fallbacks: int = 0
    lost: int = 0
    failure: BaseException | None = field(default=None, repr=False)


class Tunnel(Closeable):
    """Two namespaces with a TUN each, and the reference between them. A context manager.

    `outward` is what went from near to far, `homeward` the other way. With `offload` the TUNs have vnet headers and the
    reference segments and coalesces; without, packets go one by one.
    """

    def __init__(self, *, offload: bool) -> None:
        """Set the tunnel up. Raises `EnvironmentProblem`."""
        self.outward = Flow()
        self.homeward = Flow()
        mask = Offload.NONE if offload else None
        with contextlib.ExitStack() as stack:
            self.near = stack.enter_context(lab.socket(offload=mask, addresses=NEAR))
            self.far = stack.enter_context(lab.socket(offload=mask, addresses=FAR))
            threads: list[threading.Thread] = []
            stack.callback(_join, threads)  # after closing the containers, which ends the threads
            near, far = (stack.enter_context(_queue(end, offload=offload)) for end in (self.near, self.far))
            for name, source, target in (("outward", near, far), ("homeward", far, near)):
                thread = threading.Thread(
                    target=_relay, args=(source, target, getattr(self, name)), name=f"tunnel {name}"
                )
                thread.start()
                threads.append(thread)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Stop both directions and take everything down. Raises the error of a direction that failed."""
        self._stack.close()
        failures = [flow.failure for flow in (self.outward, self.homeward) if flow.failure is not None]
        if failures:
            raise failures[0]


@contextlib.contextmanager
def _queue(end: SocketLab, *, offload: bool) -> Iterator[BaseQueue]:
    """Yield a queue of the reference on the program's end of a lab's TUN."""
    with tio.OffloadContainer() if offload else tio.PollContainer() as container:
        fd = end.take()
        try:
            container.add(fd)
        except BaseException:
            os.close(fd)
            raise
        yield container.queues()[0]


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def _relay(source: BaseQueue, target: BaseQueue, flow: Flow) -> None:
    """Carry packets until a queue is closed; keep any error for `Tunnel.close`."""
    try:
        while True:
            packets = [bytes(packet) for packet in source.read()]
            flow.packets += len(packets)
            flow.largest_read = max(flow.largest_read, len(packets))
            flow.superpackets_read += len(packets) > 1
            _deliver(target, packets, flow)
    except tio.Closed:
        pass
    except BaseException as error:  # noqa: BLE001 (an exception in a thread reaches no caller)
        flow.failure = error


def _deliver(target: BaseQueue, packets: Sequence[bytes], flow: Flow) -> None:
    if not target.gso_supported():
        for packet in packets:
            _write(target, packet, flow)
        return
    for item in tio.coalesce(packets):
        if isinstance(item, tio.Plain):
            _write(target, item.packet, flow)
            continue
        try:
            target.write_gso(item.hdr, item.transport_hdr, item.pays)
        except tio.KernelRefused:
            flow.fallbacks += 1
            for packet in item.packets():
                _write(target, packet, flow)
        except tio.LinkDown:
            flow.lost += len(item.pays)
        else:
            flow.superpackets_written += 1
            flow.largest_written = max(flow.largest_written, len(item.pays))


def _write(target: BaseQueue, packet: tio.Buffer, flow: Flow) -> None:
    try:
        target.write(packet)
    except (tio.KernelRefused, tio.LinkDown):  # like a router: what cannot be delivered is dropped and counted
        flow.lost += 1


@dataclass(frozen=True, slots=True)
class Carried:
    """A finished transfer: `size` bytes in `seconds`, and the SHA-256 of what was sent and of what arrived."""

    size: int
    seconds: float
    sent: str
    received: str

    @property
    def intact(self) -> bool:
        """Whether what arrived is what was sent."""
        return self.sent == self.received

    @property
    def mbit_s(self) -> float:
        """Payload throughput in Mbit/s, from the first byte sent until the last was received."""
        return self.size * 8 / self.seconds / 1e6


def carry(sender: SocketLab, receiver: SocketLab, data: bytes, *, family: int) -> Carried:
    """Send `data` over a real TCP connection of the kernel, and return what arrived.

    Raises `TimeoutError` if the connection stalls for `PATIENCE` seconds, `OSError` if it breaks.
    """
    address = receiver.addresses.ipv4 if family == socket.AF_INET else receiver.addresses.ipv6
    if address is None:
        raise ValueError("the receiver has no address of this family")
    with receiver.socket(family, socket.SOCK_STREAM) as listener, sender.socket(family, socket.SOCK_STREAM) as client:
        for end in (listener, client):
            end.settimeout(PATIENCE)
        listener.bind((address.partition("/")[0], 0))
        listener.listen(1)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        with server:
            server.settimeout(PATIENCE)
            started = time.perf_counter()
            feeder = threading.Thread(target=_feed, args=(client, data), name="tunnel sender")
            feeder.start()
            try:
                received = _drain(server)
            finally:
                client.close()
                feeder.join()
            seconds = time.perf_counter() - started
    return Carried(len(data), seconds, hashlib.sha256(data).hexdigest(), received)


def _feed(client: socket.socket, data: bytes) -> None:
    """Send everything; an error shows at the other end, as too few bytes."""
    try:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        client.close()


def _drain(server: socket.socket) -> str:
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    while size := server.recv_into(buffer):
        digest.update(memoryview(buffer)[:size])
    return digest.hexdigest()
