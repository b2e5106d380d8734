"""Masks: what is not compared, because neither seed nor frame determines it. Each has a name, and its uses are counted.

A mask hides differences, so there are as few as possible.
"""

from collections.abc import Sequence

from tio.linux import Delivered, KernelOutcome
from tio.wire import IPv6Layout

__all__ = ["FRAGMENT_ID", "NOT_MODELLED", "hidden_by"]

FRAGMENT_ID = "ipv6 fragment id"
"""The kernel chooses the identification of an IPv6 fragment header (`ipv6_proxy_select_ident`)."""

NOT_MODELLED = "not modelled"
"""The model makes no prediction (`tio.linux.NotModelled`); followed by the reason."""

_FRAGMENT = 44
_EXTENSIONS = (0, 43, 60)


_MAKES_UP_AN_ID = "unfragmentable_part"


def hidden_by(predicted: KernelOutcome, got: KernelOutcome, *, trail: Sequence[str], header_size: int) -> str | None:
    """Return the mask under which two different outcomes are equal; None if there is none.

    `trail` has the rules that the model applied, `header_size` is that of the reader.
    """
    if _MAKES_UP_AN_ID not in trail or not isinstance(predicted, Delivered) or not isinstance(got, Delivered):
        return None
    same = _without_ids(predicted.packets, header_size) == _without_ids(got.packets, header_size)
    return FRAGMENT_ID if same else None


def _without_ids(packets: Sequence[bytes], header_size: int) -> list[bytes]:
    return [_without_id(packet, header_size) for packet in packets]


def _without_id(packet: bytes, start: int) -> bytes:
    """Return a packet with zeros for the identification of its first IPv6 fragment header, if it has one.

    The model took it for IPv6; its version may say otherwise.
    """
    if len(packet) < start + IPv6Layout.size:
        return packet
    number, at = packet[start + IPv6Layout.NEXT_HEADER.offset], start + IPv6Layout.size
    while number in _EXTENSIONS and at + 2 <= len(packet):
        number, at = packet[at], at + 8 * (packet[at + 1] + 1)
    if number != _FRAGMENT:
        return packet
    return packet[: at + 4] + bytes(4) + packet[at + 8 :]
