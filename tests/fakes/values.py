"""Wrong checksums and wrong vnet headers."""

import struct

import msgspec

from fakes.arithmetic import MOST
from fakes.base import Fake, fakes_in
from fakes.own_values import OwnValues
from tunproof.corpus.cases import VnetFields

_WIREGUARD = "https://github.com/WireGuard/wireguard-go/commit/"


class LastCarryLost(OwnValues, Fake):
    """Adds the carries in once, and not the carry that this makes."""

    flag = "SumCarry"
    modelled_on = _WIREGUARD + "9793666c"

    def fold(self, number: int) -> int:
        return (number & MOST) + (number >> 16) & MOST


class OddByteInTheLowHalf(OwnValues, Fake):
    """Puts a last odd byte into the low half of its word."""

    flag = "OddLength"
    modelled_on = _WIREGUARD + "8ccfeec"

    def odd_byte(self, byte: int) -> int:
        return byte


class TailOfTheBlockLost(OwnValues, Fake):
    """Adds blocks of 64 bytes and forgets the rest of long data."""

    flag = "SumInBlocks"
    modelled_on = _WIREGUARD + "895d6c2"

    def checksum(self, data: bytes, initial: int) -> int:
        return super().checksum(data[: len(data) // 64 * 64] if len(data) > 64 else data, initial)


class MinusZero(OwnValues, Fake):
    """Takes the remainder modulo 0xFFFF: a sum of 0xFFFF becomes 0x0000."""

    flag = "SumZero"
    modelled_on = "https://github.com/firezone/firezone/pull/14110"

    def fold(self, number: int) -> int:
        return number % MOST


class InitialForgotten(OwnValues, Fake):
    """Begins at zero, whatever sum it is to go on from."""

    flag = "SumGoesOn"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/9dce8c86"

    def checksum(self, data: bytes, initial: int) -> int:
        return super().checksum(data, 0)


class NetworkOrder(OwnValues, Fake):
    """Reads and writes the vnet header in network order, as if it were a protocol header."""

    flag = "VnetByteOrder"
    modelled_on = "https://github.com/google/gvisor/blob/master/pkg/tcpip/header/virtionet.go"

    def layout(self, size: int, byte_order: str) -> str:
        return super().layout(size, "big")


class AlwaysTenBytes(OwnValues, Fake):
    """Knows headers of ten bytes only: on a device that a former user left at twelve everything is shifted by two."""

    flag = "VnetSize"
    modelled_on = "https://github.com/microsoft/openvmm/pull/2996"

    def emit_header(self, fields: VnetFields, size: int, byte_order: str) -> bytes:
        return super().emit_header(fields, size, byte_order)[:10]

    def parse_header(self, data: bytes, size: int, byte_order: str) -> VnetFields:
        return super().parse_header(data, 10, byte_order)


class LowBitsOfEverything(OwnValues, Fake):
    """Cuts a number that does not fit to its low bits."""

    flag = "NarrowingCast"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/0d4fedc8"

    def narrow(self, value: int, width: int) -> int:
        return value & (1 << 8 * width) - 1


class GsoSizeBeforeHdrLen(OwnValues, Fake):
    """Swaps hdr_len and gso_size."""

    flag = "VnetLayout"
    modelled_on = "https://github.com/expressvpn/lightway/pull/413"

    def parse_header(self, data: bytes, size: int, byte_order: str) -> VnetFields:
        swapped = data[:2] + data[4:6] + data[2:4] + data[6:] if len(data) >= size else data
        return super().parse_header(swapped, size, byte_order)


class EcnBitLost(OwnValues, Fake):
    """Keeps the types that it knows and drops all other bits of the byte."""

    flag = "VnetUnknownBits"
    modelled_on = "https://github.com/slackhq/nebula/pull/1704"

    def parse_header(self, data: bytes, size: int, byte_order: str) -> VnetFields:
        fields = super().parse_header(data, size, byte_order)
        return msgspec.structs.replace(fields, gso_type=fields.gso_type & 0x07)


class WordsInHostOrder(OwnValues, Fake):
    """Adds words up in the machine's order and does not swap the sum."""

    flag = "SumByteOrder"
    modelled_on = _WIREGUARD + "305a817"
    floor = 0.3
    pervading = "nearly every sum is another one when its bytes are swapped"

    def total(self, data: bytes | bytearray, initial: int = 0) -> int:
        (swapped,) = struct.unpack("<H", super().total(data, 0).to_bytes(2, "big"))
        return self.fold(swapped + initial)


VALUES = fakes_in(globals())
