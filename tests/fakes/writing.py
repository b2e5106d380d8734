"""Wrong writers of single packets and of superpackets."""

import errno

from fakes.arithmetic import MOST, NEEDS_CSUM, NONE, UDP, UDP_L4, VNET, Shape, Vnet, csum_offset, turn_down
from fakes.base import Fake, fakes_in
from fakes.own_writer import OwnWriter, Pieces

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_LINUX = "https://git.kernel.org/torvalds/c/"


class EmptyFragmentCrashes(OwnWriter, Fake):
    """Takes the address of the first byte of every fragment, also of one that has none."""

    flag = "EmptyFragment"
    modelled_on = _NEBULA

    def check_empty_fragments(self, pieces: Pieces) -> None:
        for pay in pieces.pays:
            pay[0]


class EmptyFirstFragment(OwnWriter, Fake):
    """Skips empty fragments when it writes, and takes gso_size from the first one all the same."""

    flag = "EmptyFragment"
    modelled_on = _NEBULA

    def check_empty_fragments(self, pieces: Pieces) -> None:
        """They are skipped."""

    def check_equal(self, pieces: Pieces) -> None:
        """Only those that are written count."""
        written = [pay for pay in pieces.pays if pay] or [b""]
        first = pieces.pays[0]
        pieces.pays = written
        super().check_equal(pieces)
        pieces.pays = [first, *written[1:]]

    def check_counts(self, pieces: Pieces, shape: Shape) -> None:
        """As many as there are."""


class EmptyHeaderIsSuccess(OwnWriter, Fake):
    """Reports success where a header is missing, and writes nothing."""

    flag = "EmptyHeader"
    modelled_on = _NEBULA

    def send_pieces(self, pieces: Pieces) -> list[bytes]:
        if not pieces.hdr or not pieces.transport:
            return []
        return super().send_pieces(pieces)


class ShortTransportHeader(OwnWriter, Fake):
    """Does not look whether the transport header is all there: the checksum is stored into the payload."""

    flag = "HeaderLength"
    modelled_on = _NEBULA

    def check_headers(self, pieces: Pieces) -> Shape:
        shape = self.shape(pieces.whole)
        self.check_fragment(pieces, shape)
        return Shape(shape.version, shape.protocol, len(pieces.hdr), len(pieces.headers))

    def check_lengths(self, pieces: Pieces, shape: Shape) -> None:
        if len(pieces.transport) > csum_offset(shape.protocol) + 1:
            super().check_lengths(pieces, shape)

    def check_sums(self, pieces: Pieces, shape: Shape) -> None:
        if len(pieces.transport) > csum_offset(shape.protocol) + 1:
            super().check_sums(pieces, shape)


class LengthWraps(OwnWriter, Fake):
    """Adds the lengths up in 16 bits."""

    flag = "LengthOverflow"
    modelled_on = _NEBULA

    def check_total(self, pieces: Pieces) -> None:
        """It fits."""

    def check_lengths(self, pieces: Pieces, shape: Shape) -> None:
        if len(pieces.whole) <= MOST:
            super().check_lengths(pieces, shape)

    def check_sums(self, pieces: Pieces, shape: Shape) -> None:
        if len(pieces.whole) <= MOST:
            super().check_sums(pieces, shape)


class UnequalFragmentsTaken(OwnWriter, Fake):
    """Believes that all fragments have the size of the first."""

    flag = "UnequalFragments"
    modelled_on = _NEBULA

    def check_equal(self, pieces: Pieces) -> None:
        """The contract says so."""


class UnknownVersionAsJumbo(OwnWriter, Fake):
    """Writes one jumbo packet where the IP version is unknown."""

    flag = "UnknownVersion"
    modelled_on = _NEBULA

    def send_pieces(self, pieces: Pieces) -> list[bytes]:
        if pieces.hdr and pieces.hdr[0] >> 4 not in {4, 6}:
            return [VNET.pack(NEEDS_CSUM, NONE, 0, 0, len(pieces.hdr), 16) + pieces.whole]
        return super().send_pieces(pieces)


class UnfinishedHeadersTaken(OwnWriter, Fake):
    """Believes that the caller finished the IPv4 header checksum and the partial."""

    flag = "HeaderNotFinal"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/9dce8c86"

    def check_sums(self, pieces: Pieces, shape: Shape) -> None:
        """The contract says so."""


class PartialModulo(OwnWriter, Fake):
    """Computes the partial modulo 0xFFFF, and refuses 0xFFFF, which is what a sum of that folds to."""

    flag = "MinusZero"
    modelled_on = "https://github.com/firezone/firezone/commit/b5c7b674"

    def pseudo(self, packet: bytes, shape: Shape, length: int) -> int:
        return super().pseudo(packet, shape, length) % MOST


class LengthsNotCompared(OwnWriter, Fake):
    """Does not compare the length fields of the headers with the pieces."""

    flag = "LengthMismatch"
    modelled_on = "https://github.com/microsoft/openvmm/pull/3729"

    def check_lengths(self, pieces: Pieces, shape: Shape) -> None:
        """The contract says so."""


class LeftOverGsoSize(OwnWriter, Fake):
    """Sends a single fragment with type NONE and the gso_size that it would have."""

    flag = "SingleFragment"
    modelled_on = "https://github.com/tailscale/tailscale/issues/13041"

    def header(self, pieces: Pieces, shape: Shape) -> Vnet:
        header = super().header(pieces, shape)
        return header._replace(gso_size=len(pieces.pays[0]))


class SuperpacketOfOne(OwnWriter, Fake):
    """Sends a single fragment as a superpacket of one segment, which some kernels refuse."""

    flag = "SingleFragment"
    modelled_on = "https://github.com/firezone/firezone/pull/8932"

    def is_single(self, pieces: Pieces) -> bool:
        return False


class HdrLenPastTheEnd(OwnWriter, Fake):
    """Says in hdr_len how long headers, data and vnet header are."""

    flag = "Basic"
    modelled_on = "https://github.com/oasis-tcs/virtio-spec/issues/57"
    floor = 0.4
    pervading = "every superpacket that is written has a hdr_len"

    def hdr_len(self, pieces: Pieces) -> int:
        return min(VNET.size + len(pieces.whole), MOST)


class SmallRemainderRefused(OwnWriter, Fake):
    """Refuses what Linux 6.6.44 refused: superpackets whose last piece is small, headers counted with it."""

    flag = "LegalRemainder"
    modelled_on = _LINUX + "e269d79c7d35"
    floor = 0.6
    pervading = "small segments of equal size are the usual ones in the corpus"

    def check_counts(self, pieces: Pieces, shape: Shape) -> None:
        super().check_counts(pieces, shape)
        needed = shape.transport_at + (20 if shape.protocol != UDP else 8)
        rest = len(pieces.whole) % len(pieces.pays[0])
        if len(pieces.pays) > 1 and 0 < rest <= needed:
            turn_down("bad gso")


class IovecTooLong(OwnWriter, Fake):
    """Hands writev more entries than it takes, and has EINVAL come out of a half-changed state."""

    flag = "IovecLimit"
    modelled_on = _NEBULA
    most_fragments = MOST

    def together(self, header: bytes, pieces: Pieces) -> bytes:
        if len(pieces.pays) + 3 > 1024:
            raise OSError(errno.EINVAL, "writev")
        return super().together(header, pieces)


class IovecCutShort(OwnWriter, Fake):
    """Has an array of 256 entries and writes only what fits."""

    flag = "IovecLimit"
    modelled_on = _NEBULA

    def together(self, header: bytes, pieces: Pieces) -> bytes:
        return header + pieces.headers + b"".join(pieces.pays[:253])


class AnyNumberOfFragments(OwnWriter, Fake):
    """Puts any number of datagrams into one superpacket."""

    flag = "TooManyUdpSegments"
    modelled_on = "https://github.com/esnet/iperf/pull/2033"
    most_datagrams = MOST


class FragmentTaken(OwnWriter, Fake):
    """Tests the reserved bit for "more fragments", so the first fragment of a packet becomes a superpacket."""

    flag = "Fragmented"
    modelled_on = "https://github.com/WireGuard/wireguard-go/commit/052af4a8"

    def check_fragment(self, pieces: Pieces, shape: Shape) -> None:
        if shape.version == 4 and pieces.hdr[6] & 0x80:
            turn_down("fragment")


class TinyFragmentsTaken(OwnWriter, Fake):
    """Writes superpackets with segments of less than eight bytes, which kernels cut at eight or crash over."""

    flag = "TinyFragments"
    modelled_on = _LINUX + "c27c449d455a"
    least_size = 1


class UdpTypeByVersion(OwnWriter, Fake):
    """Chooses the type by the IP version alone: UDP goes out as TCPV4 or TCPV6."""

    flag = "Basic"
    modelled_on = _NEBULA

    def gso_type(self, pieces: Pieces, shape: Shape) -> int:
        kind = super().gso_type(pieces, shape)
        return {4: 1, 6: 4}[shape.version] if kind == UDP_L4 else kind


class TypeOfTheCallBefore(OwnWriter, Fake):
    """Reuses the vnet header of the call before and sets only what a superpacket needs."""

    flag = "StateBetweenCalls"
    modelled_on = "https://github.com/WireGuard/wireguard-go/pull/145"

    def __init__(self) -> None:
        self.kept = Vnet(0, 0, 0, 0, 0, 0)

    def header(self, pieces: Pieces, shape: Shape) -> Vnet:
        header = super().header(pieces, shape)
        if header.gso_type == NONE:
            header = self.kept._replace(flags=NEEDS_CSUM, csum_start=header.csum_start, csum_offset=header.csum_offset)
        self.kept = header
        return header


class EmptyPacketCrashes(OwnWriter, Fake):
    """Looks at the first byte of a packet before it looks whether there is one."""

    flag = "EmptyWrite"
    modelled_on = _NEBULA

    def is_nothing(self, packet: bytes) -> bool:
        self.first_byte = packet[0]
        return False


class EmptyPacketGoesOut(OwnWriter, Fake):
    """Writes a vnet header without a packet behind it."""

    flag = "EmptyWrite"
    modelled_on = "https://github.com/amnezia-vpn/amneziawg-go/issues/141"

    def send(self, packet: bytes) -> list[bytes]:
        return super().send(packet) or [bytes(VNET.size)]


class NoVnetHeaderForOthers(OwnWriter, Fake):
    """Puts the vnet header before TCP only: the path for all else never heard of it."""

    flag = "VnetHeaderMissing"
    modelled_on = "https://github.com/SagerNet/sing-tun/commit/90ea7a0b"
    floor = 0.6
    pervading = "most packets that are written as they are are not TCP"

    def frame(self, packet: bytes) -> bytes:
        tcp = packet[9:10] == b"\x06" if packet[0] >> 4 == 4 else packet[6:7] == b"\x06"
        return super().frame(packet) if tcp else packet


class HeadroomNotCleared(OwnWriter, Fake):
    """Takes what stands before the packet in its buffer for a vnet header."""

    flag = "StaleVnetHeader"
    modelled_on = "https://github.com/tailscale/tailscale/issues/19820"

    def clear_header(self, packet: bytes) -> None:
        """It is zero when the buffer is new."""


class LengthOfTheLongest(OwnWriter, Fake):
    """Writes as much of its buffer as the longest packet so far had."""

    flag = "WrittenAsItIs"
    modelled_on = "https://github.com/tun-rs/tun-rs/commit/56921af1"

    longest = 0

    def frame_length(self, packet: bytes) -> int:
        self.longest = max(self.longest, super().frame_length(packet))
        return self.longest


class SaysThatTheChecksumIsGood(OwnWriter, Fake):
    """Sets DATA_VALID on plain packets, in the belief that the stack then trusts their checksums."""

    flag = "DataValid"
    modelled_on = _NEBULA
    level = "should"

    def frame(self, packet: bytes) -> bytes:
        return VNET.pack(2, NONE, 0, 0, 0, 0) + super().frame(packet)[VNET.size :]


class CwrWithoutEcn(OwnWriter, Fake):
    """Never sets the ECN qualifier: hardware that cuts the superpacket repeats CWR on every segment."""

    flag = "EcnQualifier"
    modelled_on = _NEBULA
    level = "should"

    def gso_type(self, pieces: Pieces, shape: Shape) -> int:
        return super().gso_type(pieces, shape) & 0x7F


class NeedsCsumOnPlainPackets(OwnWriter, Fake):
    """Asks the kernel to complete the checksum of every packet, also of those that are complete."""

    flag = "WrittenAsItIs"
    modelled_on = "https://github.com/LekKit/RVVM/issues/84"
    floor = 0.6
    pervading = "most packets that are written as they are are TCP or UDP"

    def frame(self, packet: bytes) -> bytes:
        try:
            shape = self.shape(packet)
        except Exception:  # noqa: BLE001 (what it cannot read it leaves alone)
            return super().frame(packet)
        header = VNET.pack(NEEDS_CSUM, NONE, 0, 0, shape.transport_at, csum_offset(shape.protocol))
        return header + super().frame(packet)[VNET.size :]


WRITERS = fakes_in(globals())
