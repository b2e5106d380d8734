"""Comparing packets: equal or not, and if not, where the first difference is and what it means."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunproof.packets.fields import field_at

__all__ = ["Difference", "alike", "describe_packets", "first_difference", "hexdump"]

_AROUND = 16  # bytes of context before and after the difference, in whole lines


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where what came out is not what should have.

    Attributes:
        packet: index of the packet, counted from 0.
        field: the name of the field, or "number of packets".
        offset: where the field begins, in bytes from the packet's first.
        expected: what the field should say.
        got: what it says.
        dump: a hexdump of both packets around it.
    """

    packet: int
    field: str
    offset: int
    expected: str
    got: str
    dump: str

    def __str__(self) -> str:
        """Return the difference as text."""
        head = f"packet {self.packet}, {self.field} at byte {self.offset}: expected {self.expected}, got {self.got}"
        return f"{head}\n{self.dump}" if self.dump else head


def first_difference(expected: Sequence[bytes], got: Sequence[bytes]) -> Difference | None:
    """Return the first difference between two lists of packets, or None if they are equal byte for byte."""
    for index, (right, found) in enumerate(zip(expected, got, strict=False)):
        if right != found:
            return _packet_difference(index, right, found)
    if len(expected) == len(got):
        return None
    index = min(len(expected), len(got))
    return Difference(
        packet=index,
        field="number of packets",
        offset=0,
        expected=str(len(expected)),
        got=str(len(got)),
        dump=f"missing:\n{hexdump(expected[index][:64])}"
        if index < len(expected)
        else f"extra:\n{hexdump(got[index][:64])}",
    )


def alike(one: bytes, other: bytes) -> int:
    """Return at how many bytes from the first on the two are alike: the offset of the first difference."""
    shared = min(len(one), len(other))
    differing = int.from_bytes(one[:shared], "big") ^ int.from_bytes(other[:shared], "big")
    return shared - (differing.bit_length() + 7) // 8


def describe_packets(packets: Sequence[bytes]) -> str:
    """Return how many packets there are and how long they are, in one line."""
    sizes = [len(packet) for packet in packets]
    shown = ", ".join(map(str, sizes[:6])) + (", …" if len(sizes) > 6 else "")
    return f"{len(sizes)} packet{'s' * (len(sizes) != 1)} ({shown} bytes)"


def hexdump(data: bytes, *, start: int = 0, mark: range = range(0)) -> str:
    """Return lines of 16 bytes with their offsets; the bytes at the offsets in `mark` are in brackets."""
    lines = []
    for at in range(0, len(data), 16):
        cells = [
            f"[{byte:02x}]" if start + at + index in mark else f" {byte:02x} "
            for index, byte in enumerate(data[at : at + 16])
        ]
        lines.append(f"{start + at:6d} {''.join(cells)}".rstrip())
    return "\n".join(lines)


def _packet_difference(index: int, expected: bytes, got: bytes) -> Difference:
    at = alike(expected, got)
    field = field_at(expected if at < len(expected) else got, at)
    start = max(at - _AROUND, 0) // 16 * 16
    end = at + 2 * _AROUND
    mark = range(field.start, field.end) if field.end - field.start <= 16 else range(at, at + 1)
    dump = (
        f"expected, {len(expected)} bytes:\n{hexdump(expected[start:end], start=start, mark=mark)}\n"
        f"got, {len(got)} bytes:\n{hexdump(got[start:end], start=start, mark=mark)}"
    )
    if field.name in {"payload", "bytes"} or field.name.startswith("end"):
        return Difference(index, field.name, at, _byte(expected, at), _byte(got, at), dump)
    return Difference(index, field.name, field.start, field.value(expected), field.value(got), dump)


def _byte(packet: bytes, at: int) -> str:
    return f"0x{packet[at]:02x}" if at < len(packet) else f"end of packet (it has {len(packet)} bytes)"
