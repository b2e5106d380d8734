"""Any bytes become packets that stand for them exactly, or raise a `FrameError`; legal frames become packets.

An input is a frame: a vnet header of 10 bytes, little-endian, and a packet.
"""

import struct

from tio.errors import FrameError
from tio.segment import segment
from tunfuzz.rules import violations
from tunfuzz.targets.reading import Layout, layout_of, pseudo_sum, sum_words

__all__ = ["check"]

_HEADER = struct.Struct("<BBHHHH")
_HOST_ORDER = struct.Struct("=BBHHHH")
_NEEDS_CSUM = 1
_PROTOCOLS = {1: 6, 4: 6, 5: 17}  # of each type
_CWR, _FIN_PSH = 0x80, 0x09


def check(data: bytes) -> None:
    """Test the invariant."""
    try:
        packets = segment(data, byte_order="little")
    except FrameError as error:
        assert not _is_legal(data), f"a legal frame was rejected: {error}"
        return
    flags, kind, _, size, start, offset = _HEADER.unpack_from(data)
    whole = data[10:]
    layout = layout_of(whole) if kind else None
    if kind:
        assert layout is not None, "a superpacket with unreadable headers was segmented"
        assert size, "segments of no bytes"
    if layout is not None and len(whole) - layout.payload > size:
        _check_cut(packets, whole, layout, size=size, trusted=bool(flags & _NEEDS_CSUM))
        return
    assert len(packets) == 1, f"one packet became {len(packets)}"
    if flags & _NEEDS_CSUM:
        _check_completed(packets[0], whole, start, start + offset)
    else:
        assert packets[0] == whole, "a packet without NEEDS_CSUM was changed"


def _is_legal(data: bytes) -> bool:
    """Whether every implementation must accept a frame: a plain packet, or a superpacket that satisfies V."""
    if len(data) < 11:
        return False
    fields = _HEADER.unpack_from(data)
    flags, kind, packet = fields[0], fields[1], data[10:]
    if not kind and not flags & _NEEDS_CSUM:
        return packet[0] >> 4 in {4, 6} and len(packet) <= 0xFFFF
    layout = layout_of(packet)
    if layout is None or layout.is_fragment or _PROTOCOLS.get(kind & 0x7F) != layout.protocol:
        return False
    return not violations(_HOST_ORDER.pack(*fields) + packet)


def _check_completed(found: bytes, whole: bytes, start: int, field: int) -> None:
    """Test that nothing but the checksum field changed, and that it holds the sum of all from `start`."""
    assert field + 2 <= len(whole), "the checksum field lies outside the packet"
    wanted = 0xFFFF - sum_words(whole[start:]) or 0xFFFF
    assert found == whole[:field] + wanted.to_bytes(2, "big") + whole[field + 2 :], f"the checksum is not {wanted:#06x}"


def _check_cut(packets: list[bytes], whole: bytes, layout: Layout, *, size: int, trusted: bool) -> None:
    """Test the segments: payload, headers, sums. `trusted`: the superpacket's partial is taken as correct."""
    count = -(-(len(whole) - layout.payload) // size)
    assert len(packets) == count, f"{len(packets)} segments, not {count}"
    error = 0  # of the partial: what is wrong stays wrong by the same amount
    if trusted:
        error = int.from_bytes(whole[layout.checksum : layout.checksum + 2], "big") - pseudo_sum(whole, layout)
    for index, packet in enumerate(packets):
        payload = whole[layout.payload + index * size :][:size]
        assert packet[layout.payload :] == payload, f"segment {index} has another payload"
        _check_headers(packet, whole, layout, index=index, size=size)
        total = sum_words(packet[layout.transport :], pseudo_sum(packet, layout)) + error
        assert total % 0xFFFF == 0, f"segment {index} does not sum up"
        assert layout.protocol == 6 or any(packet[layout.checksum : layout.checksum + 2]), "UDP without a checksum"


def _check_headers(packet: bytes, whole: bytes, layout: Layout, *, index: int, size: int) -> None:
    """Test that the headers are those of the superpacket, except for the fields that segmentation changes."""
    wanted = bytearray(whole[: layout.payload])
    start, length = layout.transport, len(packet)
    at = index * size  # of this segment's payload in all of it
    last = layout.payload + at + size >= len(whole)
    if layout.version == 4:
        identification = int.from_bytes(whole[4:6], "big") + index
        struct.pack_into(">HH", wanted, 2, length, identification % 0x10000)
        wanted[10:12] = packet[10:12]
        assert sum_words(packet[:start]) == 0xFFFF, f"segment {index} has a wrong IPv4 header checksum"
    else:
        struct.pack_into(">H", wanted, 4, length - 40)
    if layout.protocol == 6:
        sequence = int.from_bytes(whole[start + 4 : start + 8], "big") + at
        struct.pack_into(">I", wanted, start + 4, sequence % 0x1_0000_0000)
        wanted[start + 13] &= 0xFF & ~(_CWR if index else 0) & ~(0 if last else _FIN_PSH)
    else:
        struct.pack_into(">H", wanted, start + 4, length - start)
    wanted[layout.checksum : layout.checksum + 2] = packet[layout.checksum : layout.checksum + 2]
    assert packet[: layout.payload] == wanted, f"segment {index}: {packet[: layout.payload].hex()}, not {wanted.hex()}"
