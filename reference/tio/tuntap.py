"""The ioctls of `/dev/net/tun`, as named functions.

Source: `include/uapi/linux/if_tun.h`, `drivers/net/tun.c`; the numbers are the same on every architecture that uses the
generic `_IOC` layout (all but alpha, mips, powerpc and sparc).

Offloads (`TUN_F_*`) say what *the reader of the fd* can take: with none of them the kernel segments every superpacket
and completes every checksum before it delivers a packet. They are one mask for the whole device, shared by all
its queues, and they never limit what may be *written*: writing needs only `IFF_VNET_HDR`.
"""

import enum
import errno
import fcntl
import os
import struct
import sys

__all__ = [
    "DEVICE",
    "Iff",
    "Offload",
    "attach",
    "get_interface",
    "get_vnet_header_size",
    "is_big_endian",
    "open_tun",
    "set_offload",
    "set_persistent",
    "set_vnet_header_size",
]

DEVICE = "/dev/net/tun"

_TUNSETIFF = 0x400454CA
_TUNGETIFF = 0x800454D2
_TUNSETOFFLOAD = 0x400454D0
_TUNSETPERSIST = 0x400454CB
_TUNGETVNETHDRSZ = 0x800454D7
_TUNSETVNETHDRSZ = 0x400454D8
_TUNGETVNETLE = 0x800454DD
_TUNGETVNETBE = 0x800454DF

_IFREQ = struct.Struct("16sH22x")  # struct ifreq: ifr_name, ifr_flags
_IFNAMSIZ = 16
_INT = struct.Struct("i")


class Iff(enum.IntFlag):
    """Flags of `TUNSETIFF`."""

    TUN = 0x0001
    TAP = 0x0002
    NAPI = 0x0010
    MULTI_QUEUE = 0x0100
    PERSIST = 0x0800
    NO_PI = 0x1000
    VNET_HDR = 0x4000
    TUN_EXCL = 0x8000


class Offload(enum.IntFlag):
    """Bits of `TUNSETOFFLOAD`. Every other bit requires CSUM.

    USO4 and USO6 are set together, since Linux 6.2; UDP_TUNNEL with a TSO or USO bit, since 6.17.
    """

    NONE = 0
    CSUM = 0x01
    TSO4 = 0x02
    TSO6 = 0x04
    TSO_ECN = 0x08
    USO4 = 0x20
    USO6 = 0x40
    UDP_TUNNEL = 0x80
    UDP_TUNNEL_CSUM = 0x100

    TSO = CSUM | TSO4 | TSO6 | TSO_ECN
    USO = USO4 | USO6


def open_tun(name: str, flags: Iff) -> int:
    """Open `/dev/net/tun` and attach it to the device `name` ("" or "tun%d" lets the kernel choose a name).

    The fd is close-on-exec and blocking. Raises `OSError` with the kernel's errno: ENOENT (no such node), EACCES or
    EPERM (its mode, or no CAP_NET_ADMIN in this network namespace), EBUSY (held by another process), EINVAL.
    """
    fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        attach(fd, name, flags)
    except BaseException:
        os.close(fd)
        raise
    return fd


def attach(fd: int, name: str, flags: Iff) -> None:
    """Attach an open `/dev/net/tun` to the device `name`, of at most 15 bytes (`TUNSETIFF`). Raises `OSError`."""
    if len(name.encode()) >= _IFNAMSIZ:
        raise OSError(errno.EINVAL, f"a device name has at most {_IFNAMSIZ - 1} bytes", name)
    fcntl.ioctl(fd, _TUNSETIFF, _IFREQ.pack(name.encode(), flags & 0xFFFF))


def get_interface(fd: int) -> tuple[str, Iff]:
    """Return the name and flags of the device behind `fd` (`TUNGETIFF`).

    Raises `OSError`: ENOTTY if it is not a TUN, EBADFD if the TUN has no device.
    """
    name, flags = _IFREQ.unpack(fcntl.ioctl(fd, _TUNGETIFF, bytes(_IFREQ.size)))
    return name.rstrip(b"\0").decode(errors="replace"), Iff(flags)


def set_offload(fd: int, offload: Offload) -> None:
    """Set what the readers of the device can take. EINVAL (an unknown bit) leaves the previous mask in place."""
    fcntl.ioctl(fd, _TUNSETOFFLOAD, int(offload))


def set_persistent(fd: int) -> None:
    """Let the device behind `fd` outlive its last fd (`TUNSETPERSIST`)."""
    fcntl.ioctl(fd, _TUNSETPERSIST, 1)


def get_vnet_header_size(fd: int) -> int:
    """Return the size in bytes of the vnet header before each packet."""
    return _get_int(fd, _TUNGETVNETHDRSZ)


def set_vnet_header_size(fd: int, size: int) -> None:
    """Set the size in bytes of the vnet header before each packet: 10, 12 (`num_buffers`) or 24 (UDP tunnels)."""
    fcntl.ioctl(fd, _TUNSETVNETHDRSZ, _INT.pack(size))


def is_big_endian(fd: int) -> bool:
    """Return whether the device's vnet headers are big-endian.

    A device is little-endian if `TUNSETVNETLE` made it so, big-endian if `TUNSETVNETBE` did, else in host order
    (`tun_is_little_endian`). Kernels without `CONFIG_TUN_VNET_CROSS_LE` answer `TUNGETVNETBE` with EINVAL.
    """
    if _get_int(fd, _TUNGETVNETLE):
        return False
    try:
        return bool(_get_int(fd, _TUNGETVNETBE)) or sys.byteorder == "big"
    except OSError:
        return sys.byteorder == "big"


def _get_int(fd: int, request: int) -> int:
    value: int = _INT.unpack(fcntl.ioctl(fd, request, bytes(_INT.size)))[0]
    return value
