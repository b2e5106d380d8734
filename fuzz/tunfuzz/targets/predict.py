"""The model of Linux predicts an outcome for any frame, the same each time, and bounded; it raises nothing.

An input is a byte that chooses the kernel, one that chooses the path, and the frame. `NotModelled`, the model's refusal
to predict, is an answer too.
"""

import errno
from functools import cache

from tio.linux import (
    ABOUT,
    FORWARD,
    REDIRECT,
    Delivered,
    Lost,
    Model,
    NotModelled,
    Refused,
    Trait,
    Way,
    readback,
    traits_of,
)
from tio.tuntap import Offload

__all__ = ["check"]

_ALL_OFFLOADS = Offload.CSUM | Offload.TSO4 | Offload.TSO6 | Offload.TSO_ECN | Offload.USO4 | Offload.USO6
_KERNELS = (
    *(traits_of(release) for release in ("5.10", "5.15", "6.1", "6.6", "6.6.44", "6.12", "6.17.5", "6.18", "7.3")),
    frozenset(ABOUT),
    frozenset[Trait](),
)
_WAYS = (
    REDIRECT,
    FORWARD,
    Way(header_size=12),
    Way(header_size=24),
    Way(header_size=24, reader=_ALL_OFFLOADS | Offload.UDP_TUNNEL | Offload.UDP_TUNNEL_CSUM, reader_header_size=24),
    Way(forwarded=True, mtu=576),
    Way(forwarded=True, reader=_ALL_OFFLOADS),
    readback(_ALL_OFFLOADS),
    readback(Offload.NONE),
    readback(Offload.CSUM | Offload.TSO4),
    readback(Offload.CSUM | Offload.USO4 | Offload.USO6),
)


def check(data: bytes) -> None:
    """Test the invariant."""
    if len(data) < 2:
        return
    kernel, way, frame = data[0] % len(_KERNELS), data[1] % len(_WAYS), data[2:]
    outcome = _predicted(kernel, way, frame)
    assert _predicted(kernel, way, frame) == outcome, "the second answer differs from the first"
    match outcome:
        case Refused(number):
            assert number in errno.errorcode, f"{number} is not an errno"
        case Delivered(packets):
            _check_bounded(packets, frame)
        case Lost() | str():
            pass
        case _:
            raise AssertionError(f"{outcome!r} is not an outcome")


def _predicted(kernel: int, way: int, frame: bytes) -> object:
    try:
        return _model(kernel, way).predict(frame)
    except NotModelled as reason:
        return str(reason)


def _check_bounded(packets: tuple[bytes, ...], frame: bytes) -> None:
    """Test that the output is at most one packet per payload byte, with headers that were all in the input."""
    assert packets, "nothing was delivered, which must be Lost"
    assert len(packets) <= len(frame), f"{len(packets)} packets of {len(frame)} bytes"
    longest = max(len(packet) for packet in packets)
    assert longest <= len(frame) + 24, (
        f"a packet of {longest} bytes of a frame of {len(frame)}"
    )  # a reader's vnet header


@cache
def _model(kernel: int, way: int) -> Model:
    return Model(_KERNELS[kernel], _WAYS[way])
