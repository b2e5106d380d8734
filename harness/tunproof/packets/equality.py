"""When two packets are the same, although their bytes are not.

Two freedoms, and no others: a TCP checksum of 0x0000 and one of 0xFFFF are the same number, and the IPv4 identification
of an atomic packet (DF set, no fragment) means nothing (RFC 6864, section 4.1).
"""

from collections.abc import Sequence

from tio.errors import PacketError
from tio.ip import IPv4, parse_ip
from tio.wire import IPv4Layout, TcpLayout

__all__ = ["RESTAMPS", "has_other_identification", "normalized", "same_packets"]

RESTAMPS = "gives atomic IPv4 packets other identifications"
"""The policy of who uses the second freedom."""

_TCP = 6
_IDENTIFICATION, _CHECKSUM = IPv4Layout.IDENTIFICATION.span, IPv4Layout.CHECKSUM.span
_FRAGMENT, _DF = IPv4Layout.FRAGMENT.span, IPv4Layout.DF.mask
_TCP_CHECKSUM = TcpLayout.CHECKSUM.offset


def same_packets(expected: Sequence[bytes], got: Sequence[bytes], *, exact: bool = False) -> bool:
    """Whether two lists hold the same packets in the same order; `exact` knows no freedoms."""
    if list(expected) == list(got):
        return True
    if exact or len(expected) != len(got):
        return False
    return all(
        right == found or normalized(right) == normalized(found) for right, found in zip(expected, got, strict=True)
    )


def has_other_identification(expected: bytes, got: bytes) -> bool:
    """Whether two packets that are the same but for the freedoms differ in their IPv4 identification."""
    return bool(expected) and expected[0] >> 4 == 4 and expected[_IDENTIFICATION] != got[_IDENTIFICATION]


def normalized(packet: bytes) -> bytes:
    """Return a packet in which what is free has a fixed value; one that cannot be read comes back as it is."""
    try:
        ip = parse_ip(packet)
    except PacketError:
        return packet
    result = bytearray(packet)
    if isinstance(ip, IPv4) and _is_atomic(ip, packet) and packet[_CHECKSUM] != b"\xff\xff":
        # The header checksum covers the identification: what it would be with the fixed one tells right from wrong.
        # No header sums up to one of 0xFFFF: that is another spelling of zero, and not among the freedoms.
        old = int.from_bytes(packet[_IDENTIFICATION], "big") + int.from_bytes(packet[_CHECKSUM], "big")
        result[_IDENTIFICATION] = b"\0\0"
        result[_CHECKSUM] = (old % 0xFFFF).to_bytes(2, "big")
    field = ip.header_length + _TCP_CHECKSUM
    if ip.protocol == _TCP and not ip.is_fragment and packet[field : field + 2] == b"\xff\xff":
        result[field : field + 2] = b"\0\0"
    return bytes(result)


def _is_atomic(ip: IPv4, packet: bytes) -> bool:
    return bool(int.from_bytes(packet[_FRAGMENT], "big") & _DF) and not ip.is_fragment
