"""Flow dissection, as far as a vnet header needs it (`skb_flow_dissect_flow_keys_basic`): what a packet says it is.

A fragment is dissected up to its fragment header, be it the first one or a later one.
"""

from typing import NamedTuple

__all__ = ["Flow", "dissect", "dissect_ipv6"]

_WALKED = (0, 43, 60)  # hop-by-hop options, routing, destination options
_FRAGMENT = 44
_MAX_HEADERS = 15  # MAX_FLOW_DISSECT_HDRS


class Flow(NamedTuple):
    """The IP version, the protocol behind the IP headers, and where that begins."""

    version: int
    protocol: int
    offset: int


def dissect(data: bytes) -> Flow | None:
    """Return what a packet is; None where its headers do not say it."""
    version = data[0] >> 4 if data else 0
    if version == 4:
        return _ipv4(data)
    return dissect_ipv6(data) if version == 6 else None


def _ipv4(data: bytes) -> Flow | None:
    offset = (data[0] & 15) * 4
    if len(data) < 20 or offset < 20:
        return None
    return Flow(4, data[9], offset)


def dissect_ipv6(data: bytes) -> Flow | None:
    """Return what a packet is that is taken for IPv6, whatever its version says."""
    if len(data) < 40:
        return None
    protocol, offset = data[6], 40
    for _ in range(_MAX_HEADERS):
        if protocol == _FRAGMENT:
            return Flow(6, data[offset], offset + 8) if offset + 8 <= len(data) else None
        if protocol not in _WALKED:
            return Flow(6, protocol, offset)
        if offset + 2 > len(data):
            return None
        protocol, offset = data[offset], offset + 8 * (data[offset + 1] + 1)
    return None
