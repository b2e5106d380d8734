"""IPv6 hop-by-hop options, which every router reads: `ipv6_parse_hopopts`, `ip6_parse_tlv` (net/ipv6/exthdrs.c)."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tio.linux.ip_input import forwarded
from tio.linux.outcome import NotModelled
from tio.linux.rules import fact, loss
from tio.linux.skb import Skb
from tio.wire import IPv6Layout

__all__ = ["HopLoss", "hop_header_end", "length_by_hop_options"]

_PAD1, _PADN = 0, 1
_ROUTER_ALERT = 0x05
_CALIPSO = 0x07
_IOAM = 0x31
_JUMBO = 0xC2
_MOST_OPTIONS = 8  # max_hbh_opts_number
_MOST_PADDING = 7
_MOST_PAYLOAD = 65535
_IPV6 = IPv6Layout.size
_NEXT_HEADER, _PAYLOAD_LENGTH = IPv6Layout.NEXT_HEADER.offset, IPv6Layout.PAYLOAD_LENGTH.span


class HopOption(NamedTuple):
    """An option that begins at byte `at` of the packet and states a length of `size` bytes.

    `left` bytes of the header begin there; `padding` consecutive bytes of padding reach up to its end; `number` counts
    the options other than padding, this one included.
    """

    kind: int
    at: int
    size: int
    left: int
    padding: int
    number: int


def hop_header_end(skb: Skb) -> int:
    """Return where the hop-by-hop header ends, which is complete; 40 if there is none."""
    return _IPV6 + 8 * (skb.data[_IPV6 + 1] + 1) if skb.data[_NEXT_HEADER] == 0 else _IPV6


HopLoss = Callable[[Skb, HopOption], bool]


def _options(data: bytes, at: int, end: int) -> Iterator[HopOption]:
    padding = number = 0
    while at < end:
        kind, left = data[at], end - at
        size = 1 if kind == _PAD1 else data[at + 1] + 2 if left > 1 else 2
        if kind in (_PAD1, _PADN):
            padding += size
        else:
            padding, number = 0, number + 1
        yield HopOption(kind, at, size, left, padding, number)
        at += size


@loss("ip6_parse_tlv", on=forwarded)
def hop_option_beyond_the_header(_: Skb, option: HopOption) -> bool:
    """An option reaches beyond the hop-by-hop header."""
    return option.size > option.left


@loss("ip6_parse_tlv", on=forwarded)
def hop_padding_too_long(_: Skb, option: HopOption) -> bool:
    """More than 7 consecutive bytes of padding."""
    return option.padding > _MOST_PADDING


@loss("ip6_parse_tlv", on=forwarded)
def hop_padding_not_zero(skb: Skb, option: HopOption) -> bool:
    """PadN with anything but zeros in it."""
    return option.kind == _PADN and any(skb.data[option.at + 2 : option.at + option.size])


@loss("ip6_parse_tlv", on=forwarded)
def hop_options_too_many(_: Skb, option: HopOption) -> bool:
    """More than 8 options other than padding (max_hbh_opts_number)."""
    return option.number > _MOST_OPTIONS


@loss("ip6_tlvopt_unknown", on=forwarded)
def hop_option_unknown(_: Skb, option: HopOption) -> bool:
    """An unknown option whose two highest bits do not say that it may be skipped."""
    return option.kind >= 0x40 and option.kind != _JUMBO


@loss("ipv6_hop_ra", on=forwarded)
def hop_router_alert_length(_: Skb, option: HopOption) -> bool:
    """A router alert whose value is not 2 bytes long."""
    return option.kind == _ROUTER_ALERT and option.size != 4


def _jumbo(skb: Skb, option: HopOption) -> int:
    return int.from_bytes(skb.data[option.at + 2 : option.at + 6], "big")


@loss("ipv6_hop_jumbo", on=forwarded)
def hop_jumbo_refused(skb: Skb, option: HopOption) -> bool:
    """A jumbo payload length that is misplaced, not over 65535, beyond the packet, or next to a payload length."""
    if option.kind != _JUMBO:
        return False
    if option.size != 6 or option.at % 4 != 2 or skb.data[_PAYLOAD_LENGTH] != b"\0\0":
        return True
    stated = _jumbo(skb, option)
    return stated <= _MOST_PAYLOAD or stated > len(skb.data) - _IPV6


@fact("ipv6_hop_jumbo", on=forwarded)
def jumbo_length(skb: Skb, option: HopOption) -> int:
    """A jumbo payload length says where the packet ends, as the payload length does otherwise."""
    return _IPV6 + _jumbo(skb, option)


def _check_is_modelled(option: HopOption) -> None:
    if option.kind == _CALIPSO:
        raise NotModelled("CALIPSO option: depends on how the kernel was built")
    if option.kind == _IOAM and option.at % 4:
        raise NotModelled("misaligned IOAM option: lost if the kernel knows IOAM")


def length_by_hop_options(skb: Skb, losses: Sequence[tuple[str, HopLoss]], trail: list[str]) -> int | None:
    """Return a packet's length by its hop-by-hop options; None if they lose it. Raises `NotModelled`."""
    length = len(skb.data)
    for option in _options(skb.data, _IPV6 + 2, hop_header_end(skb)):
        for name, loses in losses:
            if loses(skb, option):
                trail.append(name)
                return None
        _check_is_modelled(option)
        if option.kind == _JUMBO:
            trail.append("jumbo_length")
            length = jumbo_length(skb, option)
    return length
