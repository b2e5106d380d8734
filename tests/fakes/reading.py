"""Wrong readers."""

import struct
from collections.abc import Sequence

from fakes.arithmetic import CWR, ECN, FIN, MOST, PSH, UDP_L4, VNET, Shape, Vnet, put, turn_down
from fakes.base import Fake, fakes_in
from fakes.own_reader import OwnReader
from tunproof.subjects.subject import TurnedDownError

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_LINUX = "https://git.kernel.org/torvalds/c/"


class HdrLenTrusted(OwnReader, Fake):
    """Takes hdr_len, a linear size of a kernel buffer, for the length of the headers."""

    flag = "HdrLenIsAHint"
    modelled_on = "https://github.com/expressvpn/lightway/pull/413"

    def header_length(self, vnet: Vnet, shape: Shape) -> int:
        return vnet.hdr_len


class NoRoomForTheVnetHeader(OwnReader, Fake):
    """Reads into a buffer of 65535 bytes: the last ten of the largest superpacket are lost without a word."""

    flag = "MaximumSize"
    modelled_on = _NEBULA
    buffer_size = MOST

    def receive(self, frame: bytes) -> int:
        return super().receive(frame[: len(self.buffer)])

    def check_lengths(self, packet: bytes, shape: Shape) -> None:
        """A packet that was cut short was believed."""


class StaleBytes(OwnReader, Fake):
    """Reads header fields from the buffer and not from the frame: a runt goes on with the bytes of the frame before."""

    flag = "StaleBytes"
    modelled_on = _NEBULA

    def packet(self, size: int) -> bytes:
        at = VNET.size
        if size > at and self.buffer[at] >> 4 == 6:
            size = max(size, at + 40 + int.from_bytes(self.buffer[at + 4 : at + 6], "big"))
        elif size > at:
            size = max(size, at + int.from_bytes(self.buffer[at + 2 : at + 4], "big"))
        return super().packet(size)


class RuntIndexesOutOfRange(OwnReader, Fake):
    """Looks at addresses before it knows that they are there."""

    flag = "Truncated"
    modelled_on = _NEBULA

    def packets_of(self, vnet: Vnet, packet: bytes) -> list[bytes]:
        struct.unpack_from("16s16s" if packet[0] >> 4 == 6 else "4s4s", packet, 8 if packet[0] >> 4 == 6 else 12)
        return super().packets_of(vnet, packet)


class SizeSaysSuperpacket(OwnReader, Fake):
    """Takes gso_size 0 for a plain packet, whatever the type: a jumbo with an unfinished checksum goes on."""

    flag = "GsoSizeZero"
    modelled_on = _NEBULA

    def has_type(self, vnet: Vnet) -> bool:
        return vnet.gso_size > 0

    def single(self, vnet: Vnet, packet: bytes, version: int) -> bytes:
        return packet if vnet.gso_type else super().single(vnet, packet, version)


class SizeZeroDivides(OwnReader, Fake):
    """Divides by gso_size to know how many segments there are."""

    flag = "GsoSizeZero"
    modelled_on = "https://github.com/firezone/firezone/commit/0a356ca3"

    def check_size(self, vnet: Vnet) -> None:
        """What a driver says is right."""

    def segments(self, vnet: Vnet, packet: bytes, shape: Shape) -> list[bytes]:
        count = -(-(len(packet) - shape.payload_at) // vnet.gso_size)
        return super().segments(vnet, packet, shape)[:count]


class OneIdForAllDatagrams(OwnReader, Fake):
    """Counts the IPv4 identification up for TCP only."""

    flag = "IdIncrement"
    modelled_on = _NEBULA

    def identification(self, first: int, index: int, protocol: int) -> int:
        return first if protocol == 17 else super().identification(first, index, protocol)


class IdOfFifteenBits(OwnReader, Fake):
    """Keeps the IPv4 identification in a signed 16-bit number, which ends at its largest value."""

    flag = "IdWrap"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/0d4fedc8"

    def identification(self, first: int, index: int, protocol: int) -> int:
        return (first & 0x8000) | ((first + index) & 0x7FFF)


class EcnTypesDropped(OwnReader, Fake):
    """Compares the whole byte with the types: one with the ECN qualifier is unknown, and dropped."""

    flag = "CwrOnFirstOnly"
    modelled_on = _NEBULA
    types = {kind: meaning for kind, meaning in OwnReader.types.items() if kind < 0x80}  # noqa: RUF012


class EcnEscapesTheVersionCheck(OwnReader, Fake):
    """Checks the IP version for the bare types only: with the ECN qualifier TCPV4 is cut out of IPv6."""

    flag = "EcnQualifier"
    modelled_on = _NEBULA
    types = {  # noqa: RUF012
        kind: (protocol, None if kind & ECN else version) for kind, (protocol, version) in OwnReader.types.items()
    }


class VersionOfTheTypeIgnored(OwnReader, Fake):
    """Takes the IP version from the packet, whatever the type says."""

    flag = "TypeMismatch"
    modelled_on = _LINUX + "44378d02c5aa"
    types = {kind: (protocol, None) for kind, (protocol, _) in OwnReader.types.items()}  # noqa: RUF012


class EcnOnUdpTaken(OwnReader, Fake):
    """Clears the ECN bit before it looks at the type, so UDP_L4 may have it too."""

    flag = "EcnQualifier"
    modelled_on = _NEBULA

    def kind(self, vnet: Vnet) -> tuple[int, int | None]:
        return super().kind(vnet._replace(gso_type=vnet.gso_type & 0x7F))


class UnknownTypeDeliveredWhole(OwnReader, Fake):
    """Passes what has a type that it does not know on as it is: one packet too large for any link."""

    flag = "UnknownType"
    modelled_on = _NEBULA

    def has_type(self, vnet: Vnet) -> bool:
        return vnet.gso_type in self.types


class CwrOnEverySegment(OwnReader, Fake):
    """Clears FIN and PSH, and forgets CWR."""

    flag = "CwrOnFirstOnly"
    modelled_on = _NEBULA

    def flags(self, flags: int, *, first: bool, last: bool) -> int:
        return super().flags(flags, first=True, last=last)


class CwrOnLastOnly(OwnReader, Fake):
    """Treats CWR like FIN and PSH: one mask for all that stands on one segment."""

    flag = "CwrOnFirstOnly"
    modelled_on = _NEBULA

    def flags(self, flags: int, *, first: bool, last: bool) -> int:
        return flags if last else flags & ~(CWR | FIN | PSH)


class SequenceStandsStill(OwnReader, Fake):
    """Gives every segment the sequence number of the first: all but one are taken for retransmissions."""

    flag = "Basic"
    modelled_on = "https://github.com/genodelabs/genode/issues/4821"
    floor = 0.5
    pervading = "every TCP superpacket has more than one segment"

    def sequence(self, first: int, offset: int) -> int:
        return first


class ZeroChecksumKept(OwnReader, Fake):
    """Stores a computed UDP checksum of 0x0000, which says that there is none."""

    flag = "ZeroChecksum"
    modelled_on = "https://github.com/slackhq/nebula/pull/1823"

    def never_zero(self, checksum: int) -> int:
        return checksum


class NeedsCsumTakenForGood(OwnReader, Fake):
    """Takes NEEDS_CSUM for "the checksum is good" and passes unfinished ones on."""

    flag = "ChecksumCompleted"
    modelled_on = "https://github.com/microsoft/openvmm/pull/3413"

    def single(self, vnet: Vnet, packet: bytes, version: int) -> bytes:
        return packet


class FlagsComparedWithOne(OwnReader, Fake):
    """Completes a checksum only where NEEDS_CSUM is the only flag."""

    flag = "FlagBitsIgnored"
    modelled_on = "https://github.com/microsoft/openvmm/pull/3413"

    def single(self, vnet: Vnet, packet: bytes, version: int) -> bytes:
        return super().single(vnet, packet, version) if vnet.flags == 1 else packet


class CsumStartTrusted(OwnReader, Fake):
    """Writes the checksum wherever csum_start says, and be it into the IP header."""

    flag = "BadCsumFields"
    level = "should"
    modelled_on = _LINUX + "49d14b54a527"

    def check_single(self, vnet: Vnet, packet: bytes, version: int) -> None:
        if vnet.csum_start + vnet.csum_offset + 2 > len(packet):
            turn_down("checksum field outside of the packet")


class CsumFieldWraps(OwnReader, Fake):
    """Adds csum_start and csum_offset in 16 bits: a sum that wraps looks as if it lay inside the packet."""

    flag = "CsumFieldsOverflow"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/0d4fedc8"

    def check_single(self, vnet: Vnet, packet: bytes, version: int) -> None:
        super().check_single(self.wrapped(vnet), packet, version)

    def completed(self, packet: bytes, start: int, field: int) -> bytes:
        return super().completed(packet, start, field & 0xFFFF)

    def wrapped(self, vnet: Vnet) -> Vnet:
        if vnet.csum_start + vnet.csum_offset <= MOST:
            return vnet
        return vnet._replace(csum_start=40, csum_offset=((vnet.csum_start + vnet.csum_offset) & MOST) - 40)


class OnlyTcpAndUdpCompleted(OwnReader, Fake):
    """Looks the checksum up by protocol: ICMPv6 leaves with a partial."""

    flag = "CsumFieldsTrusted"
    modelled_on = "https://github.com/firecracker-microvm/firecracker/issues/4659"

    def single(self, vnet: Vnet, packet: bytes, version: int) -> bytes:
        try:
            self.shape(packet)
        except TurnedDownError:
            return packet
        return super().single(vnet, packet, version)


class LeftOverSizeMatters(OwnReader, Fake):
    """Turns a packet without a type down because of a gso_size that somebody left there."""

    flag = "LeftOverFields"
    modelled_on = "https://github.com/tailscale/tailscale/issues/13041"

    def single(self, vnet: Vnet, packet: bytes, version: int) -> bytes:
        if vnet.gso_type == 0 and vnet.gso_size:
            turn_down("gso_size without a type")
        return super().single(vnet, packet, version)


class SingleSegmentRefused(OwnReader, Fake):
    """Turns a superpacket down whose payload fits one segment."""

    flag = "SmallSuperpacket"
    modelled_on = _LINUX + "7c6d2ecbda83"

    def is_superpacket(self, vnet: Vnet, packet: bytes, shape: Shape) -> bool:
        if not super().is_superpacket(vnet, packet, shape):
            turn_down("nothing to cut")
        return True


class StopsAtABadFrame(OwnReader, Fake):
    """Ends its loop when a frame cannot be read: nothing is delivered any more."""

    flag = "ReaderGoesOn"
    modelled_on = _NEBULA

    def read(self, frame: bytes, before: Sequence[bytes]) -> list[bytes]:
        for earlier in before:
            try:
                self.take(earlier)
            except TurnedDownError:
                return []
        return self.take(frame)


class RepairsPartials(OwnReader, Fake):
    """Computes every checksum anew instead of going on from the partial: damage becomes valid."""

    flag = "WrongPartialCarried"
    level = "may"
    modelled_on = "https://github.com/firezone/firezone/commit/42319995"

    def wrong_by(self, vnet: Vnet, packet: bytes, shape: Shape) -> int:
        return 0


class PartialTakenWithoutNeedsCsum(OwnReader, Fake):
    """Goes on from the checksum field although nobody said that a partial stands there."""

    flag = "ChecksumComputed"
    modelled_on = _LINUX + "6513eb3d3191"

    def wrong_by(self, vnet: Vnet, packet: bytes, shape: Shape) -> int:
        return super().wrong_by(vnet._replace(flags=vnet.flags | 1), packet, shape)


class HeaderSumLeftStale(OwnReader, Fake):
    """Changes the IPv4 header and leaves its checksum as it was."""

    flag = "Ipv4Header"
    modelled_on = _NEBULA
    floor = 0.5
    pervading = "every segment of every IPv4 superpacket has another length"

    def sum_ipv4_header(self, packet: bytearray) -> None:
        """It was right before."""


class PayloadLengthLeftZero(OwnReader, Fake):
    """Leaves the IPv6 payload length of a segment at 0, as some do in superpackets."""

    flag = "Ipv6Header"
    modelled_on = "https://github.com/microsoft/openvmm/pull/3729"
    floor = 0.5
    pervading = "every segment of every IPv6 superpacket has a length"

    def resize(self, packet: bytearray, version: int) -> None:
        super().resize(packet, version)
        if version == 6:
            put(packet, 4, 0)


class ExtensionsOfEightBytes(OwnReader, Fake):
    """Takes the length byte of an IPv6 extension header for words of eight bytes, the first one included."""

    flag = "ExtensionHeaders"
    modelled_on = _LINUX + "864e3396976e"

    def extension_length(self, packet: bytes, at: int) -> int:
        return max(packet[at + 1], 1) * 8


class SixtyFourDatagrams(OwnReader, Fake):
    """Knows the limit of UDP segments before Linux 6.9."""

    flag = "TooManyUdpSegments"
    modelled_on = "https://github.com/quic-go/quic-go/issues/3911"
    most_datagrams = 64


class AnyNumberOfDatagrams(OwnReader, Fake):
    """Has no limit of UDP segments."""

    flag = "TooManyUdpSegments"
    modelled_on = "https://github.com/esnet/iperf/pull/2033"
    most_datagrams = 65535


class StaleUdpChecksum(OwnReader, Fake):
    """Cuts a UDP superpacket without NEEDS_CSUM."""

    flag = "NeedsCsumMissing"
    modelled_on = _LINUX + "fc8b2a619469"

    def check_udp(self, vnet: Vnet, payload: int) -> None:
        super().check_udp(vnet._replace(flags=1), payload)


class RingOfSegments(OwnReader, Fake):
    """Has room for 128 segments in its output and drops the rest."""

    flag = "ManySegments"
    modelled_on = "https://github.com/tailscale/tailscale/pull/13283"

    def segments(self, vnet: Vnet, packet: bytes, shape: Shape) -> list[bytes]:
        return super().segments(vnet, packet, shape)[:128]


class OddSegmentsSummedWrong(OwnReader, Fake):
    """Puts a last odd byte into the low half of its word."""

    flag = "OddLength"
    modelled_on = "https://github.com/WireGuard/wireguard-go/commit/8ccfeec"

    def odd_byte(self, byte: int) -> int:
        return byte


class UfoCut(OwnReader, Fake):
    """Takes UDP fragmentation, type 3, for UDP_L4."""

    flag = "UdpFragmentation"
    modelled_on = _LINUX + "9840036786d9"
    types = OwnReader.types | {3: OwnReader.types[UDP_L4]}


READERS = fakes_in(globals())
