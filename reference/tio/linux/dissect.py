"""Flow dissection, as far as a vnet header needs it (`skb_flow_dissect_flow_keys_basic`): what a packet claims to be.

Packets tunnelled in IP or GRE are dissected too, as in the kernel. A fragment is dissected up to its fragment header,
whether it is the first one or a later one.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from tio.linux.outcome import NotModelled
from tio.wire import IPv4Layout, IPv6Layout

__all__ = ["Flow", "dissect", "dissect_ipv6"]

_MOST_AGAIN = 15  # MAX_FLOW_DISSECT_HDRS: headers after the first

_IPV4, _IPV6 = 0x0800, 0x86DD
_ETHERTYPES = {4: _IPV4, 6: _IPV6}
_ETHERNET = 0x6558  # ETH_P_TEB
_VLANS = (0x8100, 0x88A8)
_PPP = 0x880B
_PPP_PROTOCOLS = {0x0021: _IPV4, 0x0057: _IPV6}
_MPLS = (0x8847, 0x8848)
# FCoE, TIPC, ARP, RARP, PPPoE, batman-adv, PTP, PRP, HSR: some are dissected, by rules that change between releases.
_OTHERS = (0x8906, 0x88CA, 0x0806, 0x8035, 0x8864, 0x4305, 0x88F7, 0x88FB, 0x892F)

_WALKED = (0, 43, 60)  # hop-by-hop options, routing, destination options
_FRAGMENT = 44
_MORE_OR_OFFSET = IPv4Layout.MF.mask | IPv4Layout.FRAGMENT_OFFSET.mask
_TUNNELS = {4: _IPV4, 41: _IPV6}
_GRE = 47
_GRE_HEADER = struct.Struct(">HH")
_GRE_CSUM, _GRE_ROUTING, _GRE_KEY, _GRE_SEQUENCE, _GRE_ACK, _GRE_VERSION = 0x8000, 0x4000, 0x2000, 0x1000, 0x80, 0x07


class Flow(NamedTuple):
    """The innermost IP version, the protocol after that IP header, and where it begins."""

    version: int
    protocol: int
    offset: int


class _CutOffError(Exception):
    """A header ends beyond the packet, or is invalid."""


def dissect(data: bytes) -> Flow | None:
    """Return what a packet is; None if its headers do not say. Raises `NotModelled` for some GRE packets."""
    version = data[0] >> 4 if data else 0
    return _dissect(data, _ETHERTYPES[version]) if version in _ETHERTYPES else None


def dissect_ipv6(data: bytes) -> Flow | None:
    """Return the same for a packet that is taken for IPv6, whatever its version."""
    return _dissect(data, _IPV6)


def _dissect(data: bytes, ethertype: int) -> Flow | None:
    try:
        return _Walk(data, ethertype).flow()
    except _CutOffError:
        return None


class _Walk:
    """A walk over headers: each step reads those at `at`, by `ethertype` or by `protocol`, and names the next step."""

    __slots__ = ("_at", "_data", "_ethertype", "_protocol", "_version")

    def __init__(self, data: bytes, ethertype: int) -> None:
        self._data = data
        self._ethertype = ethertype
        self._version = self._protocol = self._at = 0

    def flow(self) -> Flow:
        """Walk as far as the kernel does."""
        step: _Step | None = self._network
        left = 1 + _MOST_AGAIN
        while step is not None and left:
            step = step()
            left -= 1
        return Flow(self._version, self._protocol, self._at)

    def _network(self) -> "_Step | None":
        if self._ethertype == _IPV4:
            return self._ipv4()
        if self._ethertype == _IPV6:
            return self._ipv6()
        if self._ethertype in _VLANS:
            self._ethertype = _word(self._take(4), 2)
            return self._network
        if self._ethertype in _MPLS:
            return None
        if self._ethertype in _OTHERS:
            raise NotModelled(f"GRE with a payload of type {self._ethertype:#06x}")
        raise _CutOffError

    def _ipv4(self) -> "_Step | None":
        header = self._take(IPv4Layout.size)
        options = (header[0] & IPv4Layout.IHL.mask) * 4 - IPv4Layout.size
        if options < 0:
            raise _CutOffError
        self._at += options
        self._version, self._protocol = 4, header[IPv4Layout.PROTOCOL.offset]
        return None if _word(header, IPv4Layout.FRAGMENT.offset) & _MORE_OR_OFFSET else self._above()

    def _ipv6(self) -> "_Step | None":
        self._version, self._protocol = 6, self._take(IPv6Layout.size)[IPv6Layout.NEXT_HEADER.offset]
        return self._above()

    def _above(self) -> "_Step | None":
        """Read what `protocol` names."""
        if self._protocol in _TUNNELS:
            self._ethertype = _TUNNELS[self._protocol]
            return self._network
        if self._protocol == _GRE:
            return self._gre()
        if self._ethertype != _IPV6:
            return None
        if self._protocol in _WALKED:
            self._protocol, units = self._take(2)
            self._at += 8 * units + 6
            return self._above
        if self._protocol == _FRAGMENT:
            self._protocol = self._take(8)[0]
        return None

    def _gre(self) -> "_Step | None":
        """Read a GRE header (RFC 2784 and 2890), or one of PPTP (RFC 2637). One with routing ends the walk."""
        start = self._at
        flags, ethertype = _GRE_HEADER.unpack(self._take(4))
        is_pptp = flags & _GRE_VERSION == 1 and flags & _GRE_KEY and ethertype == _PPP
        if flags & _GRE_ROUTING or (flags & _GRE_VERSION and not is_pptp):
            self._at = start
            return None
        # The key is read; checksum, sequence and acknowledgement are skipped, even if the packet ends before them.
        if flags & _GRE_CSUM:
            self._at += 4
        if flags & _GRE_KEY:
            self._take(4)
        if flags & _GRE_SEQUENCE:
            self._at += 4
        if is_pptp:
            if flags & _GRE_ACK:
                self._at += 4
            ethertype = _PPP_PROTOCOLS.get(_word(self._take(4), 2), _PPP)
        elif ethertype == _ETHERNET:
            ethertype = _word(self._take(14), 12)
        self._ethertype = ethertype
        return self._network

    def _take(self, size: int) -> bytes:
        header = self._data[self._at : self._at + size]
        if len(header) < size:
            raise _CutOffError
        self._at += size
        return header


_Step = Callable[[], "_Step | None"]


def _word(header: bytes, at: int) -> int:
    return int.from_bytes(header[at : at + 2], "big")
