"""Writing in the second implementation: one packet, or the pieces of a superpacket, after a vnet header."""

import contextlib
from collections.abc import Sequence

from fakes.arithmetic import (
    CWR,
    ECN,
    MOST,
    NEEDS_CSUM,
    NONE,
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
    turn_down,
    word,
)
from tunproof.corpus.cases import GsoArguments
from tunproof.subjects.subject import Subject, TurnedDownError


class Pieces:
    """The arguments of one `write_gso`."""

    def __init__(self, arguments: GsoArguments) -> None:
        self.hdr = arguments.hdr
        self.transport = arguments.transport_hdr
        self.pays = list(arguments.pays)
        self.headers = self.hdr + self.transport
        self.whole = self.headers + b"".join(self.pays)


class OwnWriter(Arithmetic, Subject):
    """A writer that checks everything first; what it writes it puts together in a buffer of its own."""

    name = "own writer"
    most_fragments = 1024 - 3
    most_datagrams = 128
    least_size = 8

    def write(self, packet: bytes, before: Sequence[bytes], poison: int | None) -> list[bytes]:
        """See `Subject.write`."""
        self.scratch = bytearray((poison or 0).to_bytes(1, "big") * (VNET.size + MOST))
        for earlier in before:
            with contextlib.suppress(TurnedDownError):
                self.send(earlier)
        return self.send(packet)

    def send(self, packet: bytes) -> list[bytes]:
        """Return the frames for one packet."""
        if self.is_nothing(packet):
            return []
        self.version(packet)
        if len(packet) > MOST:
            turn_down("too long")
        return [self.frame(packet)]

    def is_nothing(self, packet: bytes) -> bool:
        """Whether there is nothing to write."""
        return not packet

    def frame(self, packet: bytes) -> bytes:
        """Return a packet behind a vnet header that asks for nothing."""
        self.scratch[VNET.size : VNET.size + len(packet)] = packet
        self.clear_header(packet)
        return bytes(self.scratch[: self.frame_length(packet)])

    def clear_header(self, packet: bytes) -> None:
        """Write the vnet header of a packet that asks for nothing."""
        self.scratch[: VNET.size] = bytes(VNET.size)

    def frame_length(self, packet: bytes) -> int:
        """Return how much of the buffer is written."""
        return VNET.size + len(packet)

    def write_gso(self, arguments: GsoArguments, before: Sequence[GsoArguments]) -> list[bytes]:
        """See `Subject.write_gso`."""
        for earlier in before:
            with contextlib.suppress(TurnedDownError):
                self.send_pieces(Pieces(earlier))
        return self.send_pieces(Pieces(arguments))

    def send_pieces(self, pieces: Pieces) -> list[bytes]:
        """Return the frames for one superpacket."""
        self.check_presence(pieces)
        self.check_empty_fragments(pieces)
        self.check_equal(pieces)
        shape = self.check_headers(pieces)
        self.check_total(pieces)
        self.check_lengths(pieces, shape)
        self.check_sums(pieces, shape)
        self.check_counts(pieces, shape)
        header = VNET.pack(*self.header(pieces, shape))
        return [self.together(header, pieces)]

    def together(self, header: bytes, pieces: Pieces) -> bytes:
        """Return what writev puts on the wire."""
        return header + pieces.whole

    # What is refused.

    def check_presence(self, pieces: Pieces) -> None:
        """There are headers and payload."""
        if not (pieces.hdr and pieces.transport and pieces.pays):
            turn_down("a header or all payload is missing")

    def check_empty_fragments(self, pieces: Pieces) -> None:
        """All fragments have bytes."""
        if b"" in pieces.pays:
            turn_down("empty fragment")

    def check_equal(self, pieces: Pieces) -> None:
        """All but the last have the size of the first, which the last does not exceed."""
        *others, last = map(len, pieces.pays)
        if any(size != len(pieces.pays[0]) for size in others) or last > len(pieces.pays[0]):
            turn_down("fragments of different sizes")

    def check_headers(self, pieces: Pieces) -> Shape:
        """The headers are as long as they say, and of no fragment."""
        shape = self.shape(pieces.headers)
        self.check_fragment(pieces, shape)
        self.check_header_lengths(pieces, shape)
        return shape

    def check_fragment(self, pieces: Pieces, shape: Shape) -> None:
        """A fragment is no superpacket."""
        if shape.version == 4 and word(pieces.hdr, 6) & 0x3FFF:
            turn_down("fragment")

    def check_header_lengths(self, pieces: Pieces, shape: Shape) -> None:
        """Each header is exactly what it was handed over as."""
        if (shape.transport_at, shape.payload_at) != (len(pieces.hdr), len(pieces.headers)):
            turn_down("header lengths")

    def check_total(self, pieces: Pieces) -> None:
        """16 bits hold the length."""
        if len(pieces.whole) > MOST:
            turn_down("too long")

    def check_lengths(self, pieces: Pieces, shape: Shape) -> None:
        """The headers say how long the whole is."""
        if self.stated_length(pieces.hdr, shape.version) != len(pieces.whole):
            turn_down("wrong IP length")
        if shape.protocol == UDP and word(pieces.transport, 4) != len(pieces.whole) - shape.transport_at:
            turn_down("wrong UDP length")

    def check_sums(self, pieces: Pieces, shape: Shape) -> None:
        """The caller finished both sums."""
        if shape.version == 4 and not self.ipv4_sum_is_right(pieces.hdr):
            turn_down("IPv4 header checksum")
        partial = self.pseudo(pieces.headers, shape, len(pieces.whole) - shape.transport_at)
        if word(pieces.headers, shape.field_at) != partial:
            turn_down("partial")

    def check_counts(self, pieces: Pieces, shape: Shape) -> None:
        """The kernel and writev take so many."""
        count = len(pieces.pays)
        if count > 1 and len(pieces.pays[0]) < self.least_size:
            turn_down("tiny fragments")
        if shape.protocol == UDP and count > self.most_datagrams:
            turn_down("too many datagrams")
        if count > self.most_fragments:
            turn_down("too many fragments")

    # The header.

    def header(self, pieces: Pieces, shape: Shape) -> Vnet:
        """Return the vnet header."""
        if self.is_single(pieces):
            return Vnet(NEEDS_CSUM, NONE, 0, 0, shape.transport_at, csum_offset(shape.protocol))
        return Vnet(
            NEEDS_CSUM,
            self.gso_type(pieces, shape),
            self.hdr_len(pieces),
            self.gso_size(pieces),
            shape.transport_at,
            csum_offset(shape.protocol),
        )

    def is_single(self, pieces: Pieces) -> bool:
        """Whether this is no superpacket."""
        return len(pieces.pays) == 1

    def gso_type(self, pieces: Pieces, shape: Shape) -> int:
        """Return the type."""
        if shape.protocol == UDP:
            return UDP_L4
        kind = TCPV4 if shape.version == 4 else TCPV6
        return kind | ECN if shape.protocol == TCP and pieces.transport[13] & CWR else kind

    def hdr_len(self, pieces: Pieces) -> int:
        """Return the bytes of all headers."""
        return len(pieces.headers)

    def gso_size(self, pieces: Pieces) -> int:
        """Return the payload bytes of a segment."""
        return len(pieces.pays[0])
