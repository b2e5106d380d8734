"""Wrong writers of batches."""

from collections.abc import Sequence

from fakes.arithmetic import (
    FIN,
    MOST,
    PSH,
    TCP,
    UDP,
    VNET,
    Shape,
    put,
    word,
)
from fakes.base import Fake, fakes_in
from fakes.own_batcher import Flow, OwnBatcher, Slot

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_WIREGUARD = "https://github.com/WireGuard/wireguard-go/commit/"


class ShortTailBringsPsh(OwnBatcher, Fake):
    """Has one mark for "PSH seen" and "closed", so that a short tail makes PSH appear."""

    flag = "PshInvented"
    modelled_on = _NEBULA

    def join(self, slot: Slot, packet: bytes, shape: Shape) -> None:
        super().join(slot, packet, shape)
        if shape.protocol == TCP and slot.closed:
            slot.buffer[VNET.size + shape.transport_at + 13] |= PSH


class FragmentsLeaveLast(OwnBatcher, Fake):
    """Writes what it cannot join after everything else."""

    flag = "FlowOvertaken"
    modelled_on = _NEBULA

    def in_order(self, slots: list[Slot]) -> list[Slot]:
        return sorted(slots, key=lambda slot: slot.shape is None)


class SortedBySequence(OwnBatcher, Fake):
    """Sorts by sequence number: a retransmission overtakes the original, which is then thrown away as too old."""

    flag = "RetransmissionSorted"
    modelled_on = _NEBULA

    def in_order(self, slots: list[Slot]) -> list[Slot]:
        return sorted(slots, key=self.sequence)

    def sequence(self, slot: Slot) -> int:
        if slot.shape is None or slot.shape.protocol != TCP:
            return 0
        at = slot.shape.transport_at + 4
        return int.from_bytes(slot.headers[at : at + 4], "big")


class ReservedBitForMoreFragments(OwnBatcher, Fake):
    """Tests the reserved bit for "more fragments", so first fragments are joined."""

    flag = "FragmentJoined"
    modelled_on = _WIREGUARD + "052af4a8"

    def is_fragment(self, packet: bytes) -> bool:
        return bool(packet[6] & 0x80 or word(packet, 6) & 0x1FFF)

    def same_fragment_bits(self, first: bytes, packet: bytes) -> bool:
        return first[6] >> 6 == packet[6] >> 6


class IPv4OffsetsForIPv6(OwnBatcher, Fake):
    """Compares the bytes of IPv6 headers that would be ToS, DF and TTL of IPv4."""

    flag = "Ipv6FieldOffsets"
    modelled_on = _WIREGUARD + "052af4a8"

    def same_ipv6(self, first: bytes, packet: bytes, shape: Shape) -> bool:
        return self.same_tos(first, packet) and first[6] == packet[6] and self.same_extensions(first, packet, shape)


class IPv4OptionsThrownAway(OwnBatcher, Fake):
    """Does not look at IPv4 options: those of all packets but the first are lost."""

    flag = "Ipv4OptionsLost"
    modelled_on = _WIREGUARD + "aad7fca9"

    def has_options(self, packet: bytes) -> bool:
        return False


class StaleHeaderOnBadChecksum(OwnBatcher, Fake):
    """Takes a packet with a wrong checksum out of its table, and does not write the vnet header before it."""

    flag = "StaleVnetHeader"
    modelled_on = "https://github.com/tailscale/tailscale/issues/19820"

    def plain(self, slot: Slot) -> bytes:
        return bytes(slot.buffer) if slot.shape is None else super().plain(slot)


class HeadroomCountedTwice(OwnBatcher, Fake):
    """Adds the headroom to the offset of the addresses once more: the pseudo-header is summed from other bytes."""

    flag = "PartialOfJoined"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/9dce8c86"
    floor = 0.05
    pervading = "nearly every batch has something to join"

    def partial(self, packet: bytes, shape: Shape, length: int) -> int:
        at, size = (22, 8) if shape.version == 4 else (18, 32)
        return self.total(packet[at : at + size], shape.protocol + length)


class ValidityInverted(OwnBatcher, Fake):
    """Lost the "not": only packets with a wrong checksum are joined, and get a right one."""

    flag = "ChecksumVerdictInverted"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/2f4e9eb0"

    def checksum_allows_joining(self, packet: bytes, shape: Shape) -> bool:
        return not super().checksum_allows_joining(packet, shape)


class GrowsPast64KiB(OwnBatcher, Fake):
    """Joins packets as long as they come."""

    flag = "BatchTooLarge"
    modelled_on = "https://github.com/firezone/firezone/commit/4b4e8fdd"
    most_bytes = 1 << 20

    def resize(self, packet: bytearray, version: int) -> None:
        extra = packet[MOST:]
        del packet[MOST:]
        super().resize(packet, version)
        packet += extra

    def frame(self, slot: Slot) -> bytes:
        if slot.shape is not None and len(slot.buffer) > VNET.size + MOST:
            return self.too_long(slot, slot.shape)
        return super().frame(slot)

    def too_long(self, slot: Slot, shape: Shape) -> bytes:
        """Return the frame with lengths that wrapped."""
        short = Slot(slot.buffer[: VNET.size + MOST], shape, slot.sizes)
        return super().frame(short) + bytes(slot.buffer[VNET.size + MOST :])


class DatagramsPast64KiB(GrowsPast64KiB):
    """Stops TCP at 65535 bytes and joins datagrams as long as they come."""

    modelled_on = "https://github.com/firezone/firezone/commit/54b1ca50"

    def fits(self, slot: Slot, packet: bytes, shape: Shape) -> bool:
        self.most_bytes = 1 << 20 if shape.protocol == UDP else MOST
        return super().fits(slot, packet, shape)


class SentinelBehindEqualDatagrams(OwnBatcher, Fake):
    """Appends a datagram of one byte to datagrams of equal size, for kernels that cut these wrong."""

    flag = "ExtraBytes"
    modelled_on = "https://github.com/tailscale/tailscale/issues/20994"
    floor = 0.6
    pervading = "many batches have datagrams of equal size"

    def frame(self, slot: Slot) -> bytes:
        if slot.shape is not None and slot.shape.protocol == UDP and slot.sizes[1:] and len(set(slot.sizes)) == 1:
            slot.buffer += b"\0"
            slot.sizes.append(1)
        return super().frame(slot)


class MoreDatagramsThanAreCut(OwnBatcher, Fake):
    """Joins more datagrams than the kernel cuts."""

    flag = "TooManyUdpSegments"
    modelled_on = "https://github.com/quic-go/quic-go/issues/3911"
    most_datagrams = MOST


class NoChecksumOverIPv6(OwnBatcher, Fake):
    """Joins datagrams without a checksum, also over IPv6, where they are illegal."""

    flag = "NoUdpChecksum"
    modelled_on = "https://github.com/tailscale/wireguard-go/pull/70"

    def checksum_allows_joining(self, packet: bytes, shape: Shape) -> bool:
        none = shape.protocol == UDP and word(packet, shape.field_at) == 0
        return none or self.checksum_is_right(packet, shape)


class EmptyPacketsGoOut(OwnBatcher, Fake):
    """Writes a vnet header for every empty packet."""

    flag = "EmptyPayload"
    modelled_on = "https://github.com/amnezia-vpn/amneziawg-go/issues/141"

    def is_dropped(self, packet: bytes) -> bool:
        return bool(packet) and super().is_dropped(packet)


class EmptyPacketCrashes(OwnBatcher, Fake):
    """Looks at the version of a packet of no bytes."""

    flag = "EmptyPayload"
    modelled_on = _NEBULA

    def is_dropped(self, packet: bytes) -> bool:
        return packet[0] >> 4 not in {4, 6}


class EmptyDatagramJoined(OwnBatcher, Fake):
    """Joins datagrams without data, for which a superpacket has no room: they are lost."""

    flag = "EmptyPayload"
    modelled_on = _NEBULA

    def has_payload(self, packet: bytes, shape: Shape) -> bool:
        return shape.protocol == UDP or super().has_payload(packet, shape)


class TtlIgnored(OwnBatcher, Fake):
    """Joins packets of different TTL."""

    flag = "FieldNotCompared"
    modelled_on = _WIREGUARD + "052af4a8"

    def same_ttl(self, first: bytes, packet: bytes) -> bool:
        return True


class TosIgnored(OwnBatcher, Fake):
    """Joins packets of different DSCP or ECN: congestion marks are lost."""

    flag = "FieldNotCompared"
    modelled_on = _WIREGUARD + "052af4a8"

    def same_tos(self, first: bytes, packet: bytes) -> bool:
        return True


class IdentificationIgnored(OwnBatcher, Fake):
    """Joins packets whose identifications do not count up, though fragments may be made of them."""

    flag = "IdNotRestored"
    modelled_on = _NEBULA

    def identification_continues(self, first: bytes, packet: bytes, index: int) -> bool:
        return True


class AcknowledgmentIgnored(OwnBatcher, Fake):
    """Joins packets that acknowledge different data: all but the first acknowledgment are lost."""

    flag = "FieldNotCompared"
    modelled_on = "https://github.com/google/gvisor/issues/11198"

    def same_acknowledgment(self, one: bytes, other: bytes) -> bool:
        return True


class OptionsIgnored(OwnBatcher, Fake):
    """Joins packets of different timestamps."""

    flag = "TcpOptionsNotCompared"
    modelled_on = _NEBULA

    def same_options(self, one: bytes, other: bytes) -> bool:
        return True


class WindowIgnored(OwnBatcher, Fake):
    """Joins packets of different windows: an update is lost."""

    flag = "FieldNotCompared"
    modelled_on = "https://github.com/google/gvisor/issues/11198"

    def same_window(self, one: bytes, other: bytes) -> bool:
        return True


class GoesOnAfterFin(OwnBatcher, Fake):
    """Joins packets behind one with FIN or PSH, which moves to the end."""

    flag = "FlagMoved"
    modelled_on = _NEBULA

    def ends(self, packet: bytes, shape: Shape) -> bool:
        return False


class CwrSwallowed(OwnBatcher, Fake):
    """Does not look at CWR of later packets, and loses it."""

    flag = "FlagMoved"
    modelled_on = _NEBULA

    def same_flags(self, one: bytes, other: bytes) -> bool:
        return not (one[13] ^ other[13]) & ~(0x80 | FIN | PSH)


class PureAckSwallowed(OwnBatcher, Fake):
    """Joins a pure ACK to the data before it: no bytes, so nothing is left of it."""

    flag = "PureAckOrder"
    modelled_on = _NEBULA

    def has_payload(self, packet: bytes, shape: Shape) -> bool:
        return shape.protocol == TCP or super().has_payload(packet, shape)


class GapNotSeen(OwnBatcher, Fake):
    """Joins packets of one flow whatever their sequence numbers say."""

    flag = "SequenceNotContinued"
    modelled_on = "https://github.com/genodelabs/genode/issues/4821"

    def sequence_continues(self, one: bytes, other: bytes, offset: int) -> bool:
        return True


class SequenceDoesNotWrap(OwnBatcher, Fake):
    """Computes where the next packet begins without a modulus, and joins what seems to lie behind it."""

    flag = "SequenceNotContinued"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/0d4fedc8"

    def sequence_continues(self, one: bytes, other: bytes, offset: int) -> bool:
        low = (int.from_bytes(one[6:8], "big") + offset) & MOST
        return low == int.from_bytes(other[6:8], "big")


class PortsIgnored(OwnBatcher, Fake):
    """Tells flows apart by their addresses only."""

    flag = "FlowsMixed"
    modelled_on = "https://github.com/tailscale/tailscale/pull/13138"

    def flow(self, packet: bytes, shape: Shape) -> Flow:
        return bytes([shape.protocol]) + self.addresses(packet, shape.version)


class TailInTheMiddle(OwnBatcher, Fake):
    """Goes on behind a packet that is shorter than the first."""

    flag = "UnequalSizesJoined"
    modelled_on = _NEBULA

    def size_fits(self, slot: Slot, size: int) -> bool:
        return size <= slot.sizes[0]

    def join(self, slot: Slot, packet: bytes, shape: Shape) -> None:
        super().join(slot, packet, shape)
        slot.closed = self.ends(packet, shape)


class LongerThanTheFirst(OwnBatcher, Fake):
    """Joins a packet that is longer than the first."""

    flag = "UnequalSizesJoined"
    modelled_on = _NEBULA

    def size_fits(self, slot: Slot, size: int) -> bool:
        return slot.sizes[-1] == slot.sizes[0]


class StateOfTheBatchBefore(OwnBatcher, Fake):
    """Keeps its table over batches: packets are appended to a buffer that was written long ago, and lost."""

    flag = "BatchStateLeaks"
    modelled_on = _NEBULA

    def __init__(self) -> None:
        self.kept: dict[Flow, Slot] = {}

    def batch(self, packets: Sequence[bytes]) -> list[bytes]:
        self.slots = []
        self.table = self.kept
        for packet in packets:
            self.arrive(packet)
        return [self.frame(slot) for slot in self.slots]


class HeaderSumLeftStale(OwnBatcher, Fake):
    """Changes the length of the IPv4 header of a superpacket and leaves its checksum."""

    flag = "PacketsJoined"
    modelled_on = _NEBULA
    floor = 0.4
    pervading = "half of all batches are IPv4"

    def resize(self, packet: bytearray, version: int) -> None:
        old = packet[10:12]
        super().resize(packet, version)
        if version == 4:
            packet[10:12] = old


class PayloadLengthLeftZero(OwnBatcher, Fake):
    """Leaves the length of a superpacket 0, for the device to fill in."""

    flag = "PacketsJoined"
    modelled_on = "https://github.com/microsoft/openvmm/pull/3729"
    floor = 0.4
    pervading = "half of all batches are IPv6"

    def resize(self, packet: bytearray, version: int) -> None:
        super().resize(packet, version)
        if version == 6:
            put(packet, 4, 0)


class IndexOfOneByte(OwnBatcher, Fake):
    """Counts its buffers in eight bits: behind the 256th, packets are joined to buffers of other flows."""

    flag = "NarrowCounters"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/0d4fedc8"

    def in_order(self, slots: list[Slot]) -> list[Slot]:
        return [slots[index & 0xFF] for index in range(len(slots))]


class OtherPathWithoutVnetHeader(OwnBatcher, Fake):
    """Writes what it never joins by another path, which knows nothing of vnet headers."""

    flag = "VnetHeaderMissing"
    modelled_on = "https://github.com/SagerNet/sing-tun/commit/90ea7a0b"
    floor = 0.5
    pervading = "in many batches there is a packet that cannot be joined"

    def plain(self, slot: Slot) -> bytes:
        return super().plain(slot) if slot.shape else bytes(slot.packet)


class AppendedToTheLatest(OwnBatcher, Fake):
    """Appends to the buffer that was made last, for whichever flow that was."""

    flag = "InterleavedNotJoined"
    modelled_on = "https://github.com/tailscale/tailscale/pull/13172"

    def join(self, slot: Slot, packet: bytes, shape: Shape) -> None:
        latest = self.slots[-1]
        super().join(slot if latest.shape is None else latest, packet, shape)


BATCHERS = fakes_in(globals())
