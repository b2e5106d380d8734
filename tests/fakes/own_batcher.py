"""Writing batches in the second implementation, in the shape of wireguard-go's and tun-rs's GRO.

Each packet has its own buffer with room for the vnet header before it. A table by flow says to which buffer
the next packet of the flow may be appended; buffers are written in the order of their first packets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fakes.arithmetic import (
    CWR,
    ECN,
    FIN,
    MOST,
    NEEDS_CSUM,
    NONE,
    PSH,
    RST,
    SYN,
    TCP,
    TCPV4,
    TCPV6,
    UDP,
    UDP_L4,
    URG,
    VNET,
    Arithmetic,
    Shape,
    csum_offset,
    put,
    word,
)
from tunproof.subjects.subject import Subject, TurnedDownError

Flow = bytes


@dataclass
class Slot:
    """A buffer: headroom, a packet, and the payloads of the packets that were joined to it."""

    buffer: bytearray
    shape: Shape | None = None
    sizes: list[int] = field(default_factory=list)
    closed: bool = False
    last: bytes = b""

    @property
    def packet(self) -> bytearray:
        """The packet in the buffer."""
        return self.buffer[VNET.size :]

    @property
    def headers(self) -> bytes:
        """The headers of the packet in the buffer."""
        return bytes(self.buffer[VNET.size : VNET.size + self.shape.payload_at]) if self.shape else b""


class OwnBatcher(Arithmetic, Subject):
    """A batch writer. Names of methods say what must be the same in two packets that are joined."""

    name = "own batcher"
    most_datagrams = 128
    most_segments = 1021
    most_bytes = MOST
    least_size = 8

    def write_batch(
        self, packets: Sequence[bytes], before: Sequence[Sequence[bytes]], poison: int | None
    ) -> list[bytes]:
        """See `Subject.write_batch`."""
        self.poison = poison or 0
        for batch in before:
            self.batch(batch)
        return self.batch(packets)

    def batch(self, packets: Sequence[bytes]) -> list[bytes]:
        """Return the frames of one batch."""
        self.slots: list[Slot] = []
        self.table: dict[Flow, Slot] = {}
        for packet in packets:
            self.arrive(packet)
        return [self.frame(slot) for slot in self.in_order(self.slots)]

    def arrive(self, packet: bytes) -> None:
        """Join a packet to the buffer of its flow, or give it a buffer."""
        if self.is_dropped(packet):
            return
        shape = self.candidate(packet)
        if shape is None:
            self.pass_by(packet)
            return
        flow = self.flow(packet, shape)
        slot = self.table.get(flow)
        if slot is not None and self.can_join(slot, packet, shape):
            self.join(slot, packet, shape)
            return
        slot = self.new_slot(packet, shape)
        slot.sizes.append(len(packet) - shape.payload_at)
        slot.closed = slot.sizes[0] < self.least_size or self.ends(packet, shape)
        self.table[flow] = slot

    def is_dropped(self, packet: bytes) -> bool:
        """Whether nothing is written of a packet: a TUN takes IP only, up to 65535 bytes."""
        return not packet or packet[0] >> 4 not in {4, 6} or len(packet) > MOST

    def pass_by(self, packet: bytes) -> None:
        """Write a packet that cannot be joined; what comes behind must not be joined to what came before it."""
        self.table.clear()
        self.new_slot(packet, None)

    def new_slot(self, packet: bytes, shape: Shape | None) -> Slot:
        """Return a new buffer with a packet."""
        slot = Slot(bytearray([self.poison]) * VNET.size + packet, shape, last=packet)
        self.slots.append(slot)
        return slot

    def in_order(self, slots: list[Slot]) -> list[Slot]:
        """Return the buffers in the order in which they are written."""
        return slots

    def flow(self, packet: bytes, shape: Shape) -> Flow:
        """Return what tells flows apart."""
        at = shape.transport_at
        return bytes([shape.protocol]) + self.addresses(packet, shape.version) + packet[at : at + 4]

    # Which packets can be joined to others at all.

    def candidate(self, packet: bytes) -> Shape | None:
        """Return the shape of a packet that can be joined, or None."""
        try:
            shape = self.shape(packet)
        except TurnedDownError:
            return None
        if shape.version == 4 and not self.is_plain_ipv4(packet):
            return None
        if not self.lengths_are_right(packet, shape) or not self.has_payload(packet, shape):
            return None
        if shape.protocol == TCP and not self.flags_can_be_joined(packet[shape.transport_at + 13]):
            return None
        return shape if self.checksum_allows_joining(packet, shape) else None

    def is_plain_ipv4(self, packet: bytes) -> bool:
        """Whether an IPv4 header has no options and a right checksum, and is of no fragment."""
        return not self.has_options(packet) and not self.is_fragment(packet) and self.ipv4_sum_is_right(packet)

    def has_options(self, packet: bytes) -> bool:
        """Whether there are IPv4 options."""
        return packet[0] & 15 != 5

    def is_fragment(self, packet: bytes) -> bool:
        """Whether more fragments follow or came before."""
        return bool(packet[6] & 0x20 or word(packet, 6) & 0x1FFF)

    def lengths_are_right(self, packet: bytes, shape: Shape) -> bool:
        """Whether the length fields say how long the packet is."""
        if self.stated_length(packet, shape.version) != len(packet):
            return False
        return shape.protocol == TCP or word(packet, shape.transport_at + 4) == len(packet) - shape.transport_at

    def has_payload(self, packet: bytes, shape: Shape) -> bool:
        """Whether there is anything to join."""
        return len(packet) > shape.payload_at

    def flags_can_be_joined(self, flags: int) -> bool:
        """Whether TCP flags let a packet be part of a superpacket."""
        return not flags & (SYN | RST | URG)

    def checksum_allows_joining(self, packet: bytes, shape: Shape) -> bool:
        """Whether there is a transport checksum, and it is right."""
        if shape.protocol == UDP and word(packet, shape.field_at) == 0:
            return False
        return self.checksum_is_right(packet, shape)

    def checksum_is_right(self, packet: bytes, shape: Shape) -> bool:
        """Whether the transport checksum is right."""
        at = shape.transport_at
        return self.total(packet[at:], self.pseudo(packet, shape, len(packet) - at)) == 0xFFFF

    # Which ones belong together.

    def can_join(self, slot: Slot, packet: bytes, shape: Shape) -> bool:
        """Whether cutting would give the packet back behind those that the buffer stands for."""
        first = slot.headers
        if slot.closed or shape.payload_at != len(first) or not self.fits(slot, packet, shape):
            return False
        if not self.same_network(first, packet, shape, len(slot.sizes)):
            return False
        return shape.protocol == UDP or self.same_tcp(slot, first, packet, shape)

    def fits(self, slot: Slot, packet: bytes, shape: Shape) -> bool:
        """Whether payload size, total size and number of segments allow another packet."""
        size = len(packet) - shape.payload_at
        if not self.size_fits(slot, size) or len(slot.buffer) - VNET.size + size > self.most_bytes:
            return False
        return len(slot.sizes) < (self.most_datagrams if shape.protocol == UDP else self.most_segments)

    def size_fits(self, slot: Slot, size: int) -> bool:
        """Whether a payload is as long as all others, or shorter and the last."""
        return slot.sizes[-1] == slot.sizes[0] >= size

    def same_network(self, first: bytes, packet: bytes, shape: Shape, index: int) -> bool:
        """Whether the IP headers agree."""
        if shape.version == 4:
            return (
                self.same_tos(first, packet)
                and self.same_ttl(first, packet)
                and self.same_fragment_bits(first, packet)
                and self.identification_continues(first, packet, index)
            )
        return self.same_ipv6(first, packet, shape)

    def same_tos(self, first: bytes, packet: bytes) -> bool:
        """DSCP and ECN."""
        return first[1] == packet[1]

    def same_ttl(self, first: bytes, packet: bytes) -> bool:
        """Time to live."""
        return first[8] == packet[8]

    def same_fragment_bits(self, first: bytes, packet: bytes) -> bool:
        """DF and the reserved bit."""
        return first[6] == packet[6]

    def identification_continues(self, first: bytes, packet: bytes, index: int) -> bool:
        """Identifications count up; with DF set they mean nothing."""
        return bool(packet[6] & 0x40) or word(packet, 4) == (word(first, 4) + index) & 0xFFFF

    def same_ipv6(self, first: bytes, packet: bytes, shape: Shape) -> bool:
        """Traffic class, flow label, hop limit, extension headers."""
        return first[:4] == packet[:4] and first[6:8] == packet[6:8] and self.same_extensions(first, packet, shape)

    def same_extensions(self, first: bytes, packet: bytes, shape: Shape) -> bool:
        """Extension headers."""
        return first[40 : shape.transport_at] == packet[40 : shape.transport_at]

    def same_tcp(self, slot: Slot, first: bytes, packet: bytes, shape: Shape) -> bool:
        """Whether the TCP headers agree."""
        at = shape.transport_at
        one, other = first[at : shape.payload_at], packet[at : shape.payload_at]
        return (
            self.sequence_continues(one, other, sum(slot.sizes))
            and self.same_acknowledgment(one, other)
            and self.same_flags(one, other)
            and self.same_window(one, other)
            and self.same_options(one, other)
        )

    def sequence_continues(self, one: bytes, other: bytes, offset: int) -> bool:
        """The packet begins where the last one ended."""
        first, second = int.from_bytes(one[4:8], "big"), int.from_bytes(other[4:8], "big")
        return second == (first + offset) & 0xFFFFFFFF

    def same_acknowledgment(self, one: bytes, other: bytes) -> bool:
        """Acknowledgment number."""
        return one[8:12] == other[8:12]

    def same_flags(self, one: bytes, other: bytes) -> bool:
        """All flags and reserved bits but CWR, which only the first may have, and FIN and PSH, which end."""
        if other[13] & CWR:
            return False
        return one[12] == other[12] and not (one[13] ^ other[13]) & ~(CWR | FIN | PSH)

    def same_window(self, one: bytes, other: bytes) -> bool:
        """Window and urgent pointer."""
        return one[14:16] == other[14:16] and one[18:20] == other[18:20]

    def same_options(self, one: bytes, other: bytes) -> bool:
        """TCP options, timestamps among them."""
        return one[20:] == other[20:]

    # Joining.

    def join(self, slot: Slot, packet: bytes, shape: Shape) -> None:
        """Append the payload of a packet."""
        payload = packet[shape.payload_at :]
        slot.buffer += payload
        slot.sizes.append(len(payload))
        slot.last = packet
        slot.closed = len(payload) < slot.sizes[0] or self.ends(packet, shape)
        if shape.protocol == TCP:
            at = VNET.size + shape.transport_at + 13
            slot.buffer[at] |= self.ending_flags(slot, packet[shape.transport_at + 13])

    def ends(self, packet: bytes, shape: Shape) -> bool:
        """Whether nothing may be joined behind a packet."""
        return shape.protocol == TCP and bool(packet[shape.transport_at + 13] & (FIN | PSH))

    def ending_flags(self, slot: Slot, flags: int) -> int:
        """Return the flags that a joined packet adds to the whole."""
        return flags & (FIN | PSH)

    def frame(self, slot: Slot) -> bytes:
        """Return what is written of a buffer."""
        shape = slot.shape
        if shape is None or len(slot.sizes) == 1:
            return self.plain(slot)
        packet = slot.packet
        self.resize(packet, shape.version)
        length = len(packet) - shape.transport_at
        if shape.protocol == UDP:
            put(packet, shape.transport_at + 4, length)
        put(packet, shape.field_at, self.partial(bytes(packet), shape, length))
        header = VNET.pack(
            NEEDS_CSUM,
            self.gso_type(packet, shape),
            shape.payload_at,
            slot.sizes[0],
            shape.transport_at,
            csum_offset(shape.protocol),
        )
        return header + packet

    def plain(self, slot: Slot) -> bytes:
        """Return what is written of a single packet."""
        slot.buffer[: VNET.size] = bytes(VNET.size)
        return bytes(slot.buffer)

    def partial(self, packet: bytes, shape: Shape, length: int) -> int:
        """Return the partial of a superpacket."""
        return self.pseudo(packet, shape, length)

    def gso_type(self, packet: bytearray, shape: Shape) -> int:
        """Return the type of a superpacket."""
        if shape.protocol == UDP:
            return UDP_L4
        kind = TCPV4 if shape.version == 4 else TCPV6
        return kind | (ECN if packet[shape.transport_at + 13] & CWR else NONE)
