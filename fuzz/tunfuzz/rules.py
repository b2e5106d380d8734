"""The rules V2 to V11 for a frame that is written to a TUN, written down a second time.

`tio.virtio` numbers them, `tio` makes headers that keep them. This is the other opinion: it reads the bytes by itself,
and nothing of `tio` is used here, not even the checksum or the tables of `tio.wire`.
"""

import struct

__all__ = ["violations"]

_TYPES = {1: (4, 6), 4: (6, 6), 5: (None, 17)}  # gso_type: IP version (either, for UDP), protocol
_WALKED = {0, 43, 60}


def violations(frame: bytes) -> list[str]:
    """Return the rules that a frame (10 bytes of vnet header in host order, a whole TCP or UDP packet) breaks."""
    flags, kind, hdr_len, gso_size, csum_start, csum_offset = struct.unpack_from("=BBHHHH", frame)
    packet = frame[10:]
    version, protocol, start = _walk(packet)
    payload_start = start + (8 if protocol == 17 else (packet[start + 12] >> 4) * 4)
    payload = len(packet) - payload_start
    base = kind & 0x7F
    field = {6: 16, 17: 6}[protocol]
    partial = int.from_bytes(packet[start + field : start + field + 2], "big")
    wanted = _sum(packet[12:20] if version == 4 else packet[8:40]) + protocol + len(packet) - start
    superpacket = base != 0
    tests = {
        "V2": superpacket or gso_size == 0,
        "V3": not superpacket or _TYPES.get(base) in {(version, protocol), (None, protocol)},
        "V4": not superpacket or flags & 1,
        "V5": not superpacket or 1 <= gso_size < min(payload, 0xFFFF),
        "V6": not flags & 1 or (csum_start, csum_offset) == (start, field),
        "V7": not flags & 1 or partial == _fold(wanted),
        "V8": not superpacket or payload_start <= hdr_len <= len(packet),
        "V9": not kind & 0x80 or (base in {1, 4} and protocol == 6 and packet[start + 13] & 0x80),
        "V10": base != 5 or payload <= 128 * gso_size,
        "V11": len(packet) <= 0xFFFF and _ip_is_right(packet, version) and _udp_is_right(packet[start:], protocol),
    }
    return [rule for rule, kept in tests.items() if not kept]


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
    """Return the words of `data` added up, as RFC 1071 says it: no folding yet."""
    return sum(struct.unpack(f">{len(data) // 2}H", data))


def _fold(total: int) -> int:
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total
