"""The four labs: TUNs in an anonymous network namespace, wired so that the kernel's own work can be seen.

    redirect   writer "in"  --tc ingress, mirred-->  "out" reader, no vnet header: the kernel must cut in between
    readback   the same, "out" with a vnet header and offloads: the superpacket and the kernel's header come out
    forward    writer "in"  --IP forwarding-->  "out" reader: the IP input path checks, trims and takes one off the TTL
    socket     "tun" and the kernel's own TCP and UDP: real sockets on one side, the program on the other

Each function returns a lab that stands. A lab owns its namespace and its fds until `close()`, is a context manager,
and closing twice is harmless. Nothing else exists: no thread, no process, no name; a lab that was killed is gone.

What holds in all of them:

1. All fds are non-blocking and close-on-exec.
2. Delivery from `in` to `out` happens inside the `write` (`tun_get_user`, `netif_receive_skb`, `__dev_queue_xmit`,
   `tun_net_xmit`): when it returns, everything that will come stands in the ring of `out`.
3. No packet comes out that nobody put in: `links` says how the kernel is kept from talking.
4. The ring of a device that is read has `TX_QUEUE_LENGTH` entries, or as many as the kernel allows.

What `forward` takes: any source and destination that IP lets a router forward at all. Loopback and private IPv4
addresses pass (reverse-path filter off, `route_localnet`); nothing is delivered locally, because the namespace has no
address. What stays lost, by code and not by sysctl: IPv4 0.0.0.0, multicast and 255.255.255.255
(`ip_route_input_slow`), IPv6 multicast, loopback and link-local (`ip6_forward`, `ip6_rcv_core`), a TTL of
1, and what is over the MTU of `out` with DF or IPv6. ICMP errors about those find no route (`links.route_from_link`).
"""

import socket as sockets
from dataclasses import dataclass
from typing import Self

from tio.tuntap import Offload
from tio.virtio import HEADER_SIZE
from tunproof.lab import links
from tunproof.lab.device import Counters
from tunproof.lab.ground import Ground, building

__all__ = [
    "FAR",
    "IN",
    "NEAR",
    "OUT",
    "TUN",
    "TX_QUEUE_LENGTH",
    "Addresses",
    "Pair",
    "SocketLab",
    "forward",
    "readback",
    "redirect",
    "socket",
]

IN = "in"
OUT = "out"
TUN = "tun"

TX_QUEUE_LENGTH = 1 << 17
"""Entries of a TUN's ring. A superpacket of 65535 bytes is at most 65495 segments of one byte, and forwarding may cut
each in two; the default of 500 loses all beyond the first 490 without a word. It costs 1 MiB of pointers a device."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one end, each with its prefix length ("10.77.0.1/24"); None leaves a family out."""

    ipv4: str | None
    ipv6: str | None


NEAR = Addresses("10.77.0.1/24", "fd77::1/64")
"""One end of a tunnel, and what `socket` has unless told otherwise."""

FAR = Addresses("10.77.0.2/24", "fd77::2/64")
"""The other end, in the same networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two TUNs: write a frame to `writer`, read what became of it from `reader`. The fds stay the lab's.

    The rest is what `Exchange` needs to know about the way between the two: `header_size` bytes of vnet header before
    what is written and `reader_header_size` before what is read (0: none), `hops` taken off the TTL, `queue_length`
    entries in the reader's ring. `classifier` is what tc used ("u32", "matchall", None without tc).
    """

    writer: int
    reader: int
    header_size: int
    reader_header_size: int
    hops: int
    queue_length: int
    classifier: str | None
    ground: Ground

    def counters(self, device: str) -> Counters:
        """Return what `IN` or `OUT` counted so far; `device.py` says how to read it."""
        return self.ground.counters(device)

    def close(self) -> None:
        """Close both TUNs and let go of the namespace."""
        self.ground.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def redirect(*, header_size: int = HEADER_SIZE, queue_length: int = TX_QUEUE_LENGTH) -> Pair:
    """Return a lab whose reader takes no offload: what comes out is the kernel's own cut, with no IP layer between."""
    return _mirror(None, header_size, queue_length)


def readback(
    offload: Offload,
    *,
    header_size: int = HEADER_SIZE,
    reader_header_size: int = HEADER_SIZE,
    queue_length: int = TX_QUEUE_LENGTH,
) -> Pair:
    """Return a lab whose reader takes `offload`: superpackets come out whole, with the kernel's vnet header.

    Before Linux 6.15 the kernel leaves unwritten what follows the first 10 bytes of a longer header.
    """
    return _mirror(offload, header_size, queue_length, reader_header_size)


def _mirror(
    offload: Offload | None, header_size: int, queue_length: int, reader_header_size: int = HEADER_SIZE
) -> Pair:
    with building() as ground:
        writer, reader = _open_both(ground, offload, header_size, reader_header_size)
        classifier, queue_length = ground.run(_wire_mirror, queue_length)
        return Pair(
            writer=writer,
            reader=reader,
            header_size=header_size,
            reader_header_size=0 if offload is None else reader_header_size,
            hops=0,
            queue_length=queue_length,
            classifier=classifier,
            ground=ground,
        )


def forward(
    *,
    offload: Offload | None = None,
    mtu: int | None = None,
    header_size: int = HEADER_SIZE,
    queue_length: int = TX_QUEUE_LENGTH,
) -> Pair:
    """Return a lab whose TUNs are joined by IP forwarding. `mtu` is that of `out`; below 1280 it has IPv4 only.

    `offload` None: the reader has no vnet header and takes no offload.
    """
    with building() as ground:
        writer, reader = _open_both(ground, offload, header_size)
        queue_length = ground.run(_wire_forward, queue_length, mtu)
        return Pair(
            writer=writer,
            reader=reader,
            header_size=header_size,
            reader_header_size=0 if offload is None else HEADER_SIZE,
            hops=1,
            queue_length=queue_length,
            classifier=None,
            ground=ground,
        )


def _open_both(
    ground: Ground, offload: Offload | None, header_size: int, reader_header_size: int = HEADER_SIZE
) -> tuple[int, int]:
    writer = ground.open_queue(IN, offload=Offload.NONE, header_size=header_size)
    return writer, ground.open_queue(OUT, offload=offload, header_size=reader_header_size)


def _wire_mirror(queue_length: int) -> tuple[str, int]:
    """Return the classifier, and the entries of the ring."""
    with links.netlink() as ip:
        links.bring_up(ip, IN)
        queue_length = links.bring_up(ip, OUT, queue_length=queue_length)
        return links.redirect_all(ip, IN, OUT), queue_length


def _wire_forward(queue_length: int, mtu: int | None) -> int:
    """Return the entries of the ring."""
    ipv6 = links.has_ipv6() and (mtu is None or mtu >= links.IPV6_LEAST_MTU)
    with links.netlink() as ip:
        links.bring_up(ip, IN)
        queue_length = links.bring_up(ip, OUT, queue_length=queue_length, mtu=mtu)
        links.route_from_link(ip, IN, OUT, family=sockets.AF_INET)
        if ipv6:
            links.route_from_link(ip, IN, OUT, family=sockets.AF_INET6)
    links.accept_any_ipv4(IN)
    links.enable_forwarding(ipv6=ipv6)
    return queue_length


class SocketLab:
    """One TUN with addresses in a namespace, and the kernel's own sockets behind it.

    `tun` is the program's end. It stays the lab's, which closes it, until `take` hands it over.
    """

    __slots__ = ("_ground", "_offload", "_queues", "_tun", "addresses")

    def __init__(self, ground: Ground, tun: int, addresses: Addresses, *, queues: tuple[Offload | None, bool]) -> None:
        self._ground = ground
        self._tun: int | None = tun
        self._offload, self._queues = queues
        self.addresses = addresses

    @property
    def tun(self) -> int:
        """The program's end of the TUN, non-blocking. Raises `ValueError` after `take`."""
        if self._tun is None:
            raise ValueError("the TUN was taken: its new owner has the fd")
        return self._tun

    def take(self) -> int:
        """Return the program's end and give it away: the caller closes it, and the lab no longer does."""
        fd = self._ground.release(self.tun)
        self._tun = None
        return fd

    def open_queue(self) -> int:
        """Return one more queue of the same device, which the caller closes. The lab must be `multi_queue`."""
        return self._ground.release(self._ground.open_queue(TUN, offload=self._offload, multi_queue=self._queues))

    def socket(self, family: int, kind: int) -> sockets.socket:
        """Return a real socket of the kernel inside the namespace, which the caller closes."""
        return self._ground.run(sockets.socket, family, kind)

    def counters(self) -> Counters:
        """Return what the TUN counted so far."""
        return self._ground.counters(TUN)

    def segmentation_features(self) -> frozenset[str]:
        """Return which segmentation offloads of the TUN are on, by their ethtool names."""
        return self._ground.segmentation_features(TUN)

    def close(self) -> None:
        """Close the TUN unless it was taken, and let go of the namespace. Sockets and taken fds keep it alive."""
        self._ground.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def socket(
    *,
    offload: Offload | None = None,
    addresses: Addresses = NEAR,
    mtu: int | None = None,
    multi_queue: bool = False,
) -> SocketLab:
    """Return a lab whose other end is the kernel's TCP and UDP. `offload` None: the TUN has no vnet header at all.

    Two of them, one `NEAR` and one `FAR`, are the two ends of a tunnel.
    """
    with building() as ground:
        tun = ground.open_queue(TUN, offload=offload, multi_queue=multi_queue)
        ground.run(_wire_socket, addresses, mtu)
        return SocketLab(ground, tun, addresses, queues=(offload, multi_queue))


def _wire_socket(addresses: Addresses, mtu: int | None) -> None:
    with links.netlink() as ip:
        links.bring_up(ip, links.LOOPBACK)
        links.bring_up(ip, TUN, queue_length=TX_QUEUE_LENGTH, mtu=mtu)
        for address in (addresses.ipv4, addresses.ipv6):
            if address is not None:
                links.add_address(ip, TUN, address)
