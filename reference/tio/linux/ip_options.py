"""IPv4 options on a router: `ip_options_compile` and `ip_forward_options` (net/ipv4/ip_options.c).

The router of a lab has no address, so it writes 0.0.0.0 into an option where its address belongs.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tio.linux.headers import seal_ipv4
from tio.linux.ip_input import forwarded
from tio.linux.outcome import NotModelled
from tio.linux.rules import fact, loss
from tio.linux.skb import Skb
from tio.wire import IPv4Layout

__all__ = ["OptionLoss", "has_options", "process_options"]

_END, _NOP = 0, 1
_RECORD_ROUTE = 7
_TIMESTAMP = 68
_CIPSO = 134
_SOURCE_ROUTES = (131, 137)
_ROUTER_ALERT = 148

_TIME_ONLY, _TIME_AND_ADDRESS, _TIME_IF_ADDRESS = 0, 1, 3
_TIMES = (_TIME_ONLY, _TIME_AND_ADDRESS, _TIME_IF_ADDRESS)
_NO_ADDRESS = bytes(4)
_IPV4 = IPv4Layout.size


class Option(NamedTuple):
    """An option that begins at byte `at` and states a length of `size` bytes; `left` bytes of header begin there too.

    `pointer` is its third byte, which says where the next entry goes, counting from 1; `again` says that such an option
    came before.
    """

    kind: int
    at: int
    size: int
    left: int
    pointer: int
    again: bool


OptionLoss = Callable[[bytes | bytearray, Option], bool]


def has_options(skb: Skb) -> bool:
    """Return whether the IPv4 header has options that have an effect."""
    return skb.l4 > _IPV4 and bool(skb.data[_IPV4 : skb.l4].strip(b"\x01"))


def _options(data: bytes | bytearray, end: int) -> Iterator[Option]:
    at, seen = _IPV4, set()
    while at < end and data[at] != _END:
        if data[at] == _NOP:
            at += 1
            continue
        kind, left = data[at], end - at
        size, pointer = (*data[at + 1 : min(at + 3, end)], 0, 0)[:2]
        yield Option(kind, at, size, left, pointer, kind in seen)
        seen.add(kind)
        at += max(size, 1)


@loss("ip_options_compile", on=forwarded)
def option_beyond_the_header(_: bytes | bytearray, option: Option) -> bool:
    """An option has no length, or one under 2, or one beyond the header."""
    return not 2 <= option.size <= option.left


@loss("ip_options_compile, ip_rcv_options", on=forwarded)
def source_route(_: bytes | bytearray, option: Option) -> bool:
    """A source route: wrong ones are rejected, correct ones not accepted (accept_source_route)."""
    return option.kind in _SOURCE_ROUTES


def _has_no_room(option: Option, entry: int) -> bool:
    """Whether the option is not full, and yet has no room for an entry of that many bytes."""
    return option.pointer <= option.size < option.pointer + entry - 1


@loss("ip_options_compile", on=forwarded)
def record_route_malformed(_: bytes | bytearray, option: Option) -> bool:
    """A second record route, or one whose pointer is wrong."""
    if option.kind != _RECORD_ROUTE:
        return False
    return option.again or option.size < 3 or option.pointer < 4 or _has_no_room(option, 4)


@loss("ip_options_compile", on=forwarded)
def timestamp_malformed(data: bytes | bytearray, option: Option) -> bool:
    """A second timestamp option, one whose pointer is wrong, or a full one that cannot count any further."""
    if option.kind != _TIMESTAMP:
        return False
    if option.again or option.size < 4 or option.pointer < 5:
        return True
    missed, form = data[option.at + 3] >> 4, data[option.at + 3] & 15
    if option.pointer > option.size:
        return missed == 15 and form != _TIME_IF_ADDRESS
    return _has_no_room(option, 8 if form in (_TIME_AND_ADDRESS, _TIME_IF_ADDRESS) else 4)


@loss("ip_options_compile", on=forwarded)
def router_alert_too_short(_: bytes | bytearray, option: Option) -> bool:
    """A router alert of less than 4 bytes."""
    return option.kind == _ROUTER_ALERT and option.size < 4


@fact("ip_options_compile, ip_forward_options", on=forwarded)
def recorded_route(data: bytearray, option: Option) -> bool:
    """The router enters itself into a record route with room: as 0.0.0.0, since it has no address."""
    if option.kind != _RECORD_ROUTE or option.pointer > option.size:
        return False
    entry = option.at + option.pointer - 1
    data[entry : entry + 4] = _NO_ADDRESS
    data[option.at + 2] = option.pointer + 4 & 0xFF
    return True


@fact("ip_options_compile", on=forwarded)
def missed_timestamp(data: bytearray, option: Option) -> bool:
    """A full timestamp option counts the routers that found no room, unless it names those that are to write."""
    if option.kind != _TIMESTAMP or option.pointer <= option.size or data[option.at + 3] & 15 == _TIME_IF_ADDRESS:
        return False
    data[option.at + 3] = data[option.at + 3] + 0x10 & 0xFF
    return True


@fact("ip_options_compile", on=forwarded)
def cleared_after_the_end(data: bytearray, end: int, header_end: int) -> bool:
    """What follows the end-of-options octet in the header is zeroed."""
    rest = bytes(header_end - end)
    if data[end:header_end] == rest:
        return False
    data[end:header_end] = rest
    return True


def _check_is_modelled(data: bytearray, option: Option) -> None:
    if option.kind == _CIPSO:
        raise NotModelled("CIPSO option: depends on how the kernel was built")
    if option.kind == _TIMESTAMP and option.pointer <= option.size and data[option.at + 3] & 15 in _TIMES:
        raise NotModelled("timestamp option with room: the router writes the time")


def process_options(skb: Skb, losses: Sequence[tuple[str, OptionLoss]], trail: list[str]) -> bool:
    """Apply a packet's options; return whether it survived them.

    Raises `NotModelled` for options that make a router write the time, and for CIPSO.
    """
    data, end, met = bytearray(skb.data), _IPV4, len(trail)
    for option in _options(data, skb.l4):
        for name, loses in losses:
            if loses(data, option):
                trail.append(name)
                return False
        _check_is_modelled(data, option)
        if recorded_route(data, option):
            trail.append("recorded_route")
        if missed_timestamp(data, option):
            trail.append("missed_timestamp")
        end = option.at + option.size
    while end < skb.l4 and data[end] == _NOP:
        end += 1
    if cleared_after_the_end(data, end, skb.l4):
        trail.append("cleared_after_the_end")
    if len(trail) > met:
        seal_ipv4(data, skb.l4)
        skb.data = bytes(data)
    return True
