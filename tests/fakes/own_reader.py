"""Reading in the second implementation: one frame in a reused buffer, segmented into packets."""

import contextlib
from collections.abc import Sequence

from fakes.arithmetic import (
    CWR,
    ECN,
    FIN,
    MOST,
    NONE,
    PSH,
    TCP,
    TCPV4,
    TCPV6,
    UDP,
    UDP_L4,
    VNET,
    Arithmetic,
    Shape,
    Vnet,
    csum_offset,
    put,
    turn_down,
    word,
)
from tunproof.subjects.subject import Subject, TurnedDownError


class OwnReader(Arithmetic, Subject):
    """A reader as most tunnels have one: read into a buffer, look at the vnet header, cut."""

    name = "own reader"
    buffer_size = VNET.size + MOST
    types = {  # noqa: RUF012 (read only)
        TCPV4: (TCP, 4),
        TCPV4 | ECN: (TCP, 4),
        TCPV6: (TCP, 6),
        TCPV6 | ECN: (TCP, 6),
        UDP_L4: (UDP, None),
    }
    most_datagrams = 128

    def __init__(self) -> None:
        super().__init__()
        self.buffer = bytearray(self.buffer_size)

    def read(self, frame: bytes, before: Sequence[bytes]) -> list[bytes]:
        """See `Subject.read`."""
        for earlier in before:
            with contextlib.suppress(TurnedDownError):
                self.take(earlier)
        return self.take(frame)

    def take(self, frame: bytes) -> list[bytes]:
        """Return the packets of one frame."""
        size = self.receive(frame)
        if size < VNET.size:
            turn_down("no vnet header")
        vnet = Vnet(*VNET.unpack_from(self.buffer))
        return self.packets_of(vnet, self.packet(size))

    def receive(self, frame: bytes) -> int:
        """Put a frame into the buffer, as read(2) does, and return its size."""
        if len(frame) > len(self.buffer):
            turn_down("longer than any packet")
        self.buffer[: len(frame)] = frame
        return len(frame)

    def packet(self, size: int) -> bytes:
        """Return the packet in a buffer that holds a frame of so many bytes."""
        return bytes(self.buffer[VNET.size : size])

    def packets_of(self, vnet: Vnet, packet: bytes) -> list[bytes]:
        """Return the packets that a vnet header and a packet stand for."""
        version = self.version(packet)
        if not self.has_type(vnet):
            return [self.single(vnet, packet, version)]
        shape = self.check(vnet, packet, version)
        if not self.is_superpacket(vnet, packet, shape):
            return [self.single(vnet, packet, version)]
        return self.segments(vnet, packet, shape)

    def has_type(self, vnet: Vnet) -> bool:
        """Whether the header says that this may be a superpacket."""
        return vnet.gso_type != NONE

    def is_superpacket(self, vnet: Vnet, packet: bytes, shape: Shape) -> bool:
        """Whether there is anything to cut."""
        return len(packet) - shape.payload_at > vnet.gso_size

    # What is rejected.

    def check(self, vnet: Vnet, packet: bytes, version: int) -> Shape:
        """Return the shape of a packet that has a type."""
        protocol, type_version = self.kind(vnet)
        if type_version not in {None, version}:
            turn_down("the type is for the other IP version")
        self.check_size(vnet)
        shape = self.shape(packet)
        if shape.protocol != protocol:
            turn_down("the type is for another protocol")
        self.check_lengths(packet, shape)
        self.check_csum_fields(vnet, shape)
        if protocol == UDP:
            self.check_udp(vnet, len(packet) - shape.payload_at)
        return shape

    def kind(self, vnet: Vnet) -> tuple[int, int | None]:
        """Return protocol and IP version of the type."""
        if vnet.gso_type not in self.types:
            turn_down("unknown type")
        return self.types[vnet.gso_type]

    def check_size(self, vnet: Vnet) -> None:
        """Segments have bytes."""
        if vnet.gso_size == 0:
            turn_down("gso_size 0")

    def check_lengths(self, packet: bytes, shape: Shape) -> None:
        """The headers say how long the packet is."""
        if self.stated_length(packet, shape.version) != len(packet):
            turn_down("wrong IP length")
        if shape.protocol == UDP and word(packet, shape.transport_at + 4) != len(packet) - shape.transport_at:
            turn_down("wrong UDP length")

    def check_csum_fields(self, vnet: Vnet, shape: Shape) -> None:
        """The vnet header knows where the checksum stands."""
        right = (shape.transport_at, csum_offset(shape.protocol))
        if vnet.needs_csum and (vnet.csum_start, vnet.csum_offset) != right:
            turn_down("csum_start or csum_offset")

    def check_udp(self, vnet: Vnet, payload: int) -> None:
        """What Linux demands of a UDP superpacket."""
        if not vnet.needs_csum:
            turn_down("UDP_L4 without NEEDS_CSUM")
        if payload > vnet.gso_size * self.most_datagrams:
            turn_down("too many datagrams")

    # One packet.

    def single(self, vnet: Vnet, packet: bytes, version: int) -> bytes:
        """Return a packet that stands for itself."""
        if not vnet.needs_csum:
            return packet
        self.check_single(vnet, packet, version)
        return self.completed(packet, vnet.csum_start, vnet.csum_start + vnet.csum_offset)

    def check_single(self, vnet: Vnet, packet: bytes, version: int) -> None:
        """The checksum field lies in the packet and behind the IP header."""
        if vnet.csum_start < (20 if version == 4 else 40):
            turn_down("csum_start in the IP header")
        if vnet.csum_start + vnet.csum_offset + 2 > len(packet):
            turn_down("checksum field outside of the packet")

    def completed(self, packet: bytes, start: int, field: int) -> bytes:
        """Return a packet whose partial became a checksum."""
        done = bytearray(packet)
        put(done, field, self.never_zero(~self.total(packet[start:]) & 0xFFFF))
        return bytes(done)

    def never_zero(self, checksum: int) -> int:
        """Return what is sent of a computed checksum: 0 would mean that there is none."""
        return checksum or 0xFFFF

    # Several.

    def segments(self, vnet: Vnet, packet: bytes, shape: Shape) -> list[bytes]:
        """Cut a superpacket."""
        headers = packet[: self.header_length(vnet, shape)]
        payload = packet[len(headers) :]
        pays = [payload[at : at + vnet.gso_size] for at in range(0, len(payload), vnet.gso_size)]
        wrong = self.wrong_by(vnet, packet, shape)
        segments = []
        for index, pay in enumerate(pays):
            segment = bytearray(headers + pay)
            self.set_ip(segment, shape, index)
            if shape.protocol == TCP:
                self.set_tcp(segment, shape.transport_at, index * vnet.gso_size, last=index == len(pays) - 1)
            else:
                put(segment, shape.transport_at + 4, len(segment) - shape.transport_at)
            self.set_checksum(segment, shape, wrong)
            segments.append(bytes(segment))
        return segments

    def header_length(self, vnet: Vnet, shape: Shape) -> int:
        """Return how many bytes stand before the payload."""
        return shape.payload_at

    def set_ip(self, segment: bytearray, shape: Shape, index: int) -> None:
        """Length and identification."""
        if shape.version == 4:
            put(segment, 4, self.identification(word(segment, 4), index, shape.protocol))
        self.resize(segment, shape.version)

    def identification(self, first: int, index: int, protocol: int) -> int:
        """Return the IPv4 identification of a segment."""
        return (first + index) & 0xFFFF

    def set_tcp(self, segment: bytearray, at: int, offset: int, *, last: bool) -> None:
        """Sequence number and flags."""
        first = int.from_bytes(segment[at + 4 : at + 8], "big")
        segment[at + 4 : at + 8] = self.sequence(first, offset).to_bytes(4, "big")
        segment[at + 13] = self.flags(segment[at + 13], first=offset == 0, last=last)

    def sequence(self, first: int, offset: int) -> int:
        """Return the sequence number at an offset of the payload."""
        return (first + offset) & 0xFFFFFFFF

    def flags(self, flags: int, *, first: bool, last: bool) -> int:
        """Return the TCP flags of a segment."""
        if not first:
            flags &= ~CWR
        if not last:
            flags &= ~(FIN | PSH)
        return flags

    def wrong_by(self, vnet: Vnet, packet: bytes, shape: Shape) -> int:
        """Return by how much the partial is wrong: a damaged packet must stay damaged."""
        if not vnet.needs_csum:
            return 0
        right = self.pseudo(packet, shape, len(packet) - shape.transport_at)
        return self.fold(word(packet, shape.field_at) + (~right & 0xFFFF))

    def set_checksum(self, segment: bytearray, shape: Shape, wrong: int) -> None:
        """Compute the transport checksum of a segment."""
        at = shape.transport_at
        put(segment, shape.field_at, 0)
        partial = self.pseudo(bytes(segment), shape, len(segment) - at)
        checksum = ~self.total(segment[at:], partial + wrong) & 0xFFFF
        put(segment, shape.field_at, self.never_zero(checksum) if shape.protocol == UDP else checksum)
