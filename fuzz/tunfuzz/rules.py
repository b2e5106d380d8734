"""The rules V2 to V11 for a frame that is written to a TUN, written down a second time.

`tio.virtio` numbers them, `tio` makes headers that satisfy them. This is a second opinion: it reads the bytes by
itself, and uses nothing from `tio`, not even the checksum or the tables of `tio.wire`.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["violations"]

_TYPES = {1: (4, 6), 4: (6, 6), 5: (None, 17)}  # gso_type: IP version (either, for UDP), protocol
_WALKED = {0, 43, 60}


class _Frame(NamedTuple):
    """A packet: its transport header's place, the checksum's in that, the payload's; then the vnet header's fields."""

    packet: bytes
    version: int
    protocol: int
    start: int
    field: int
    payload_start: int
    flags: int
    kind: int
    hdr_len: int
    gso_size: int
    csum_start: int
    csum_offset: int

    @property
    def base(self) -> int:
        """The type without the ECN bit."""
        return self.kind & 0x7F

    @property
    def payload(self) -> int:
        return len(self.packet) - self.payload_start


def violations(frame: bytes) -> list[str]:
    """Return the rules that a frame (10 bytes of vnet header in host order, a whole TCP or UDP packet) breaks."""
    one = _read(frame)
    return [rule for rule, concerns, is_kept in _RULES if concerns(one) and not is_kept(one)]


def _read(frame: bytes) -> _Frame:
    packet = frame[10:]
    version, protocol, start = _walk(packet)
    field = {6: 16, 17: 6}[protocol]
    payload_start = start + (8 if protocol == 17 else (packet[start + 12] >> 4) * 4)
    return _Frame(packet, version, protocol, start, field, payload_start, *struct.unpack_from("=BBHHHH", frame))


def _any(_: _Frame) -> bool:
    return True


def _single(one: _Frame) -> bool:
    return one.base == 0


def _superpacket(one: _Frame) -> bool:
    return one.base != 0


def _summed(one: _Frame) -> bool:
    return bool(one.flags & 1)


def _ecn(one: _Frame) -> bool:
    return bool(one.kind & 0x80)


def _uso(one: _Frame) -> bool:
    return one.base == 5


def _type_fits(one: _Frame) -> bool:
    return _TYPES.get(one.base) in {(one.version, one.protocol), (None, one.protocol)}


def _holds_partial(one: _Frame) -> bool:
    at = one.start + one.field
    addresses = one.packet[12:20] if one.version == 4 else one.packet[8:40]
    wanted = _sum(addresses) + one.protocol + len(one.packet) - one.start
    return int.from_bytes(one.packet[at : at + 2], "big") == _fold(wanted)


def _has_cwr(one: _Frame) -> bool:
    return one.base in {1, 4} and one.protocol == 6 and bool(one.packet[one.start + 13] & 0x80)


def _lengths_are_right(one: _Frame) -> bool:
    if len(one.packet) > 0xFFFF or not _ip_is_right(one.packet, one.version):
        return False
    return _udp_is_right(one.packet[one.start :], one.protocol)


_Test = Callable[[_Frame], bool]

_RULES: tuple[tuple[str, _Test, _Test], ...] = (
    ("V2", _single, lambda one: one.gso_size == 0),
    ("V3", _superpacket, _type_fits),
    ("V4", _superpacket, _summed),
    ("V5", _superpacket, lambda one: 1 <= one.gso_size < min(one.payload, 0xFFFF)),
    ("V6", _summed, lambda one: (one.csum_start, one.csum_offset) == (one.start, one.field)),
    ("V7", _summed, _holds_partial),
    ("V8", _superpacket, lambda one: one.payload_start <= one.hdr_len <= len(one.packet)),
    ("V9", _ecn, _has_cwr),
    ("V10", _uso, lambda one: one.payload <= 128 * one.gso_size),
    ("V11", _any, _lengths_are_right),
)
"""Each rule, the frames that it concerns, and what must hold for them."""


def _walk(packet: bytes) -> tuple[int, int, int]:
    """Return IP version, transport protocol, and where its header begins."""
    if packet[0] >> 4 == 4:
        return 4, packet[9], (packet[0] & 15) * 4
    number, at = packet[6], 40
    while number in _WALKED:
        number, at = packet[at], at + 8 * (packet[at + 1] + 1)
    return 6, number, at


def _ip_is_right(packet: bytes, version: int) -> bool:
    if version == 6:
        return int.from_bytes(packet[4:6], "big") + 40 == len(packet)
    header = packet[: (packet[0] & 15) * 4]
    return int.from_bytes(packet[2:4], "big") == len(packet) and _fold(_sum(header)) == 0xFFFF


def _udp_is_right(datagram: bytes, protocol: int) -> bool:
    return protocol != 17 or int.from_bytes(datagram[4:6], "big") == len(datagram)


def _sum(data: bytes) -> int:
    """Return the sum of the words of `data`, as in RFC 1071: not yet folded."""
    return sum(struct.unpack(f">{len(data) // 2}H", data))


def _fold(total: int) -> int:
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total
