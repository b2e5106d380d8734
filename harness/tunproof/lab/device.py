"""The TUNs of a lab: opened, counted and asked for their features. Everything here is called inside the namespace.

Counters (`tun_net_get_stats64`, plus the core's own drops) say at which stage a frame ended; `in` is written to:

| where it ended | `in` | `out` |
|---|---|---|
| refused before an skb existed (sizes, EFAULT) | | |
| refused at the header (`virtio_net_hdr_to_skb`) | rx_frame_errors | |
| refused: no memory, bad version nibble, link down | rx_dropped | |
| lost at segmentation (`validate_xmit_skb`) | rx_packets | tx_dropped |
| lost in a full ring (`tun_net_xmit`) | rx_packets | tx_dropped |
| lost in the IP layer (forward only) | rx_packets | |
| delivered | rx_packets | tx_packets, counted as it is *read* |
"""

import os
from contextlib import closing
from dataclasses import dataclass

from tio import tuntap
from tio.tuntap import Iff, Offload
from tio.virtio import HEADER_SIZE
from tunproof.errors import EnvironmentProblem

__all__ = ["Counters", "Meter", "open_queue", "segmentation_features"]

_SEGMENTATION = ("tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation")


@dataclass(frozen=True, slots=True)
class Counters:
    """What one device counted since it was made. `rx` is what was written to its fd, `tx` what went towards it."""

    rx_packets: int
    rx_dropped: int
    rx_frame_errors: int
    tx_packets: int
    tx_dropped: int


class Meter:
    """Reads the counters of a namespace's devices from anywhere: about 5 µs, no thread, no netlink.

    The fd on /proc/thread-self/net/dev keeps the namespace it was opened in; each `pread` at 0 counts anew.
    """

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        self._fd = os.open("/proc/thread-self/net/dev", os.O_RDONLY | os.O_CLOEXEC)

    def read(self, device: str) -> Counters:
        """Return the counters of `device`. Raises `KeyError` where the namespace has no such device."""
        for line in os.pread(self._fd, 1 << 16, 0).split(b"\n"):
            name, colon, numbers = line.partition(b":")
            if colon and name.strip() == device.encode():
                _, rx, _, dropped, _, frame, _, _, _, tx, _, tx_dropped, *_ = map(int, numbers.split())
                return Counters(rx, dropped, frame, tx, tx_dropped)
        raise KeyError(device)

    def close(self) -> None:
        """Close the fd. Closing twice is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def open_queue(
    name: str,
    *,
    offload: Offload | None,
    multi_queue: bool = False,
    header_size: int = HEADER_SIZE,
) -> int:
    """Open one queue of the TUN `name`, which is made if it is not there; return a non-blocking, close-on-exec fd.

    `offload` None means packets without a vnet header. The offload mask belongs to the device: the queue opened last
    decides. A second queue of a device needs `multi_queue` on both.
    """
    flags = Iff.TUN | Iff.NO_PI
    flags |= Iff.VNET_HDR if offload is not None else Iff(0)
    flags |= Iff.MULTI_QUEUE if multi_queue else Iff(0)
    try:
        fd = tuntap.open_tun(name, flags)
    except OSError as error:
        what = f"the TUN {name!r} could not be made on {tuntap.DEVICE}: {error.strerror}"
        raise EnvironmentProblem(what, cure="tunproof doctor names what is missing") from error
    try:
        os.set_blocking(fd, False)
        if offload is not None:
            _set_header(fd, offload, header_size)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _set_header(fd: int, offload: Offload, header_size: int) -> None:
    try:
        tuntap.set_offload(fd, offload)
        if header_size != HEADER_SIZE:  # with which `tun_set_iff` begins
            tuntap.set_vnet_header_size(fd, header_size)
    except OSError as error:
        what = f"this kernel takes no TUN with {offload!r} and a vnet header of {header_size} bytes: {error.strerror}"
        raise EnvironmentProblem(
            what, cure="leave USO out before Linux 6.2; a header has 10, 12 or 24 bytes"
        ) from error


def segmentation_features(name: str) -> frozenset[str]:
    """Return which of the kernel's three segmentation offloads are on for a device, by their ethtool names.

    `tx-tcp-segmentation`, `tx-tcp6-segmentation`, `tx-udp-segmentation`: with one of them on, the readers of the TUN
    get such superpackets whole.
    """
    from pyroute2.ethtool.ioctl import IoctlEthtool

    with closing(IoctlEthtool(name)) as ethtool:
        features = ethtool.get_features()
        return frozenset(feature for feature, active, *_ in features if active and feature in _SEGMENTATION)
