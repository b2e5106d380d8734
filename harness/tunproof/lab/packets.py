"""A packet socket with vnet headers (PACKET_VNET_HDR): the other side of a TUN.

What is sent goes out of the device, which is what its readers get: superpackets whole, as far as its offloads go. What
is received is what was written to it, superpackets as they were.
"""

import socket

from tio.virtio import HEADER_SIZE

__all__ = ["packet_socket", "send"]

_SOL_PACKET = 263
_PACKET_VNET_HDR = 15
_ETH_P_ALL = 3
_ETHERTYPES = {4: 0x0800, 6: 0x86DD}
_SEND_BUFFER = 1 << 19


def packet_socket(name: str, *, receives: bool) -> socket.socket:
    """Return a non-blocking socket on a device of this namespace. Raises `OSError`."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        made.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        made.setblocking(False)
        made.bind((name, _ETH_P_ALL if receives else 0))
    except BaseException:
        made.close()
        raise
    return made


def send(end: socket.socket, name: str, frame: bytes) -> None:
    """Send a frame, vnet header and packet, out of a device. Raises `OSError` where the kernel sends no such thing."""
    version = frame[HEADER_SIZE] >> 4 if len(frame) > HEADER_SIZE else 0
    end.sendto(frame, (name, _ETHERTYPES.get(version, 0)))
