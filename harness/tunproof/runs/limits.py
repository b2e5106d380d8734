"""Limits that a subject claims, put to the test: what lies just within one must work, or the claim is not kept.

The inputs are TCP over IPv4, and the reference says what must come out of them.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from tio import ByteOrder, GsoType, VnetFlag, VnetHeader, segment
from tio.checksum import pseudo_header_sum
from tio.ip import MAX_PACKET, parse_ip
from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import (
    BatchInput,
    Case,
    GsoInput,
    Joined,
    Packets,
    ReadCase,
    ReadInput,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    WriteInput,
    Written,
)
from tunproof.corpus.claims import MostOf
from tunproof.corpus.model import Basis, digest_of

__all__ = ["at_the_limits"]

_IP = bytes.fromhex("4500000012344000400600 00c0000201c6336402")  # from 192.0.2.1 to 198.51.100.2 (RFC 5737)
_TCP = bytes.fromhex("9c4001bb010203040a0b0c0d501001f600000000")
_HEADERS = len(_IP) + len(_TCP)
_SMALL = 8  # bytes of payload of each of many packets: some kernels cut TCP no smaller
_CSUM_OFFSET = 16


def at_the_limits(limits: MostOf) -> Iterator[Case]:
    """Yield a case for each operation that a limit concerns, with an input of exactly that size.

    A limit beyond what a packet of 65535 bytes can reach says nothing, and has none.
    """
    if limits.segments is not None and _HEADERS + limits.segments * _SMALL <= MAX_PACKET:
        yield _read(f"segments-{limits.segments}", limits.segments * _SMALL, _SMALL)
    if limits.packets is not None and _HEADERS + limits.packets * _SMALL <= MAX_PACKET:
        yield _write_batch(f"packets-{limits.packets}", limits.packets)
    if limits.fragments is not None and _HEADERS + limits.fragments * _SMALL <= MAX_PACKET:
        yield _write_gso(f"fragments-{limits.fragments}", limits.fragments)
    if limits.bytes is not None and _HEADERS < limits.bytes <= MAX_PACKET:
        yield _read(f"bytes-{limits.bytes}", limits.bytes - _HEADERS, MAX_PACKET)
        yield _write(f"bytes-{limits.bytes}", limits.bytes - _HEADERS)


def _read(name: str, payload: int, size: int) -> ReadCase:
    """Return a superpacket to be cut, or a single packet where `size` is no less than the payload."""
    frame = _frame(payload, size)
    given, expect = ReadInput(frame=frame), Packets(packets=_cut(frame))
    return ReadCase(input=given, expect=expect, **_stated("read", name, given, expect))


def _write(name: str, payload: int) -> WriteCase:
    """Return a packet to be written."""
    (packet,) = _cut(_frame(payload, MAX_PACKET))
    given, expect = WriteInput(packet=packet), Written(header=bytes(HEADER_SIZE), segments=(packet,))
    return WriteCase(input=given, expect=expect, **_stated("write", name, given, expect))


def _write_gso(name: str, fragments: int) -> WriteGsoCase:
    """Return the arguments of a `write_gso`."""
    frame = _frame(fragments * _SMALL, _SMALL)
    header, packet = frame[:HEADER_SIZE], frame[HEADER_SIZE:]
    given = GsoInput(
        hdr=packet[: len(_IP)],
        transport_hdr=packet[len(_IP) : _HEADERS],
        pays=tuple(packet[start:end] for start, end in pairwise(range(_HEADERS, len(packet) + 1, _SMALL))),
    )
    expect = Written(header=header, segments=_cut(frame))
    return WriteGsoCase(input=given, expect=expect, **_stated("write_gso", name, given, expect))


def _write_batch(name: str, packets: int) -> WriteBatchCase:
    """Return packets of one flow."""
    frame = _frame(packets * _SMALL, _SMALL)
    given, everything = BatchInput(packets=_cut(frame)), tuple(range(packets))
    order = (everything,) if packets > 1 else ()
    expect = Joined(order=order, ideal=(everything,), example=(frame,))
    return WriteBatchCase(input=given, expect=expect, **_stated("write_batch", name, given, expect))


def _frame(payload: int, size: int) -> bytes:
    """Return a frame with a partial checksum and that much payload, to be cut into segments of `size` bytes."""
    ip, is_cut = parse_ip(_IP), payload > size
    length = len(_TCP) + payload
    partial = pseudo_header_sum(ip.addresses, ip.protocol, length)
    vnet = VnetHeader(
        flags=VnetFlag.NEEDS_CSUM,
        gso_type=GsoType.TCPV4 if is_cut else GsoType.NONE,
        hdr_len=_HEADERS if is_cut else 0,
        gso_size=size if is_cut else 0,
        csum_start=len(_IP),
        csum_offset=_CSUM_OFFSET,
    )
    transport = _TCP[:_CSUM_OFFSET] + partial.to_bytes(2, "big") + _TCP[_CSUM_OFFSET + 2 :]
    data = bytes(byte % 251 for byte in range(payload))  # a prime: no two segments are alike
    return vnet.emit(byte_order=ByteOrder.LITTLE) + ip.resized(len(_IP) + length, 0) + transport + data


def _cut(frame: bytes) -> tuple[bytes, ...]:
    return tuple(segment(frame, byte_order=ByteOrder.LITTLE))


def _stated(op: str, name: str, given: msgspec.Struct, expect: msgspec.Struct) -> dict[str, Any]:
    """Return what every case states."""
    return {
        "id": f"{op}/claimed/{name}",
        "digest": digest_of(given, expect),
        "about": "What lies just within a limit that is claimed works.",
        "flags": ("ClaimNotKept",),
        "level": "must",
        "importance": "high",
        "reach": "kernel",
        "basis": (Basis(kind="contract", ref="the claims of the subject"),),
    }
