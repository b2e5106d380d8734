"""Wrong readers, continued: those that segment at the wrong places, or give segments the wrong headers."""

from fakes.arithmetic import FIN, MOST, PSH, TCP, UDP, Shape, Vnet, put, turn_down, word
from fakes.base import Fake, fakes_in
from fakes.own_reader import OwnReader

_LINUX = "https://git.kernel.org/torvalds/c/"
_GENODE = "https://github.com/genodelabs/genode/issues/4821"
_NARROW = "https://github.com/tun-rs/tun-rs/commit/0d4fedc8"


class PshOnEverySegment(OwnReader, Fake):
    """Copies PSH to every segment."""

    flag = "PshOnLastOnly"
    modelled_on = _GENODE

    def flags(self, flags: int, *, first: bool, last: bool) -> int:
        return super().flags(flags, first=first, last=last) | flags & PSH


class FinOnEverySegment(OwnReader, Fake):
    """Copies FIN to every segment: the first one ends the stream."""

    flag = "FinOnLastOnly"
    modelled_on = _GENODE

    def flags(self, flags: int, *, first: bool, last: bool) -> int:
        return super().flags(flags, first=first, last=last) | flags & FIN


class SequenceStopsAtTheTop(OwnReader, Fake):
    """Counts sequence numbers up to 2**32 - 1 and no further."""

    flag = "SequenceWrap"
    modelled_on = _NARROW

    def sequence(self, first: int, offset: int) -> int:
        return min(first + offset, 0xFFFFFFFF)


class SignedSize(OwnReader, Fake):
    """Keeps gso_size in a signed 16-bit number: from 32768 on nothing is cut, and nothing delivered."""

    flag = "WideGsoSize"
    modelled_on = _NARROW

    def packets_of(self, vnet: Vnet, packet: bytes) -> list[bytes]:
        packets = super().packets_of(vnet, packet)
        return [] if vnet.gso_type and vnet.gso_size > MOST // 2 else packets


class AtLeastEight(OwnReader, Fake):
    """Raises a gso_size of less than 8 to 8."""

    flag = "GsoSizeUnderEight"
    modelled_on = _LINUX + "c27c449d455a"

    def packets_of(self, vnet: Vnet, packet: bytes) -> list[bytes]:
        size = max(vnet.gso_size, 8) if vnet.gso_size else 0
        return super().packets_of(vnet._replace(gso_size=size), packet)


class EqualTailStatesTheWhole(OwnReader, Fake):
    """Leaves the UDP length of the whole in the last datagram if all are of the same size."""

    flag = "SegmentSize"
    modelled_on = _LINUX + "b10b446ce7ad"

    def segments(self, vnet: Vnet, packet: bytes, shape: Shape) -> list[bytes]:
        *others, last = super().segments(vnet, packet, shape)
        if shape.protocol == UDP and (len(packet) - shape.payload_at) % vnet.gso_size == 0:
            changed = bytearray(last)
            put(changed, shape.transport_at + 4, len(packet) - shape.transport_at)
            last = bytes(changed)
        return [*others, last]


class HeadersCountedAsPayload(OwnReader, Fake):
    """Compares the whole packet with gso_size where NEEDS_CSUM does not say where the headers end."""

    flag = "HeaderCountedAsPayload"
    modelled_on = _LINUX + "9181d6f8a2bb"

    def is_superpacket(self, vnet: Vnet, packet: bytes, shape: Shape) -> bool:
        if not super().is_superpacket(vnet, packet, shape) and not vnet.needs_csum and len(packet) > vnet.gso_size:
            turn_down("nothing to cut")
        return super().is_superpacket(vnet, packet, shape)


class CsumStartNotCompared(OwnReader, Fake):
    """Does not look at csum_start and csum_offset of a superpacket."""

    flag = "CsumStartAssumed"
    modelled_on = _LINUX + "89add40066f9"

    def check_csum_fields(self, vnet: Vnet, shape: Shape) -> None:
        """The transport header stands where it stands."""


class TunnelBitsIgnored(OwnReader, Fake):
    """Clears the bits of the tunnel types and cuts the outer packet."""

    flag = "TunnelType"
    modelled_on = _LINUX + "288f30435132"

    def kind(self, vnet: Vnet) -> tuple[int, int | None]:
        return super().kind(vnet._replace(gso_type=vnet.gso_type & ~0x60))


class AuthenticationSkipped(OwnReader, Fake):
    """Walks over an authentication header as if it were an extension header like others."""

    flag = "UnknownNextHeader"
    modelled_on = _LINUX + "864e3396976e"

    def ipv6_header(self, packet: bytes) -> tuple[int, int]:
        protocol, at = super().ipv6_header(packet)
        if protocol == 51 and len(packet) > at + 1:
            return packet[at], at + (packet[at + 1] + 2) * 4
        return protocol, at


class TcpOptionsZeroed(OwnReader, Fake):
    """Copies the fixed TCP header only; options of later segments are empty."""

    flag = "TcpOptions"
    modelled_on = "https://github.com/WireGuard/wireguard-go/commit/aad7fca9"

    def set_checksum(self, segment: bytearray, shape: Shape, wrong: int) -> None:
        if shape.protocol == TCP:
            at = shape.transport_at + 20
            segment[at : shape.payload_at] = bytes(shape.payload_at - at)
        super().set_checksum(segment, shape, wrong)


class HeaderSumUpdatedInPlace(OwnReader, Fake):
    """Updates the IPv4 header checksum by the older equation of RFC 1624, which makes 0xFFFF of zero."""

    flag = "HeaderChecksumZero"
    modelled_on = "https://github.com/firezone/firezone/pull/14110"

    def sum_ipv4_header(self, packet: bytearray) -> None:
        super().sum_ipv4_header(packet)
        put(packet, 10, word(packet, 10) or 0xFFFF)


class MinusZeroOfNothing(OwnReader, Fake):
    """Leaves 0x0000 where everything is zero: the sum of an empty echo gets a checksum that does not verify."""

    flag = "ZeroChecksum"
    level = "may"
    modelled_on = "https://github.com/firezone/firezone/commit/b5c7b674"

    def completed(self, packet: bytes, start: int, field: int) -> bytes:
        done = bytearray(packet)
        total = self.total(packet[start:])
        put(done, field, self.never_zero(~total & 0xFFFF) if total else 0)
        return bytes(done)


class EverythingCompleted(OwnReader, Fake):
    """Completes the checksum of every packet, also where NEEDS_CSUM does not ask for it."""

    flag = "ChecksumUntouched"
    modelled_on = "https://github.com/firezone/firezone/commit/42319995"

    def single(self, vnet: Vnet, packet: bytes, version: int) -> bytes:
        return super().single(vnet._replace(flags=vnet.flags | 1), packet, version)


CUTTERS = fakes_in(globals())
