"""Does a kernel hand these frames to a reader? The frames of `read` cases go through a lab, and what comes out decides.

A frame is handed over if some write makes a reader get exactly it, packet and vnet header, alone:

    readback   the frame itself is written; it passes below the IP layer
    forward    the frame with a TTL that is one higher is written; the IP layer takes it down

All frames of a case, those `before` it included, must come out on one wiring, for one reader. The reader asks for no
more offloads than they take: a reader that asks for more gets these frames, too.

**hdr_len** of a superpacket is what the kernel has in one piece (`skb_headlen`), so it depends on how the packet came
to be. What this lab writes is in one piece if it is short, so 40 becomes the whole length; of a long frame it is what
was written, but no less than all headers; and the kernel's own TCP leaves the payload apart, which gives the length of
the headers. So a frame is handed over if its hdr_len is any from the end of the headers to the end of the packet, and
what came is recorded. A single packet has hdr_len 0, always (`virtio_net_hdr_from_skb`).

The kernel's own sockets (the wiring `socket`) are not asked: each superpacket of the corpus that they could send comes
through `readback` already. A wiring that hands over more, such as one with GRO, is one more entry in `_WRITES`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tio.checksum import checksum, finish
from tio.linux import Delivered, KernelOutcome, Trait, Way
from tio.tuntap import Offload
from tio.virtio import HEADER_SIZE, ByteOrder, GsoType, VnetHeader
from tio.wire import IPv4Layout, IPv6Layout, TcpLayout, UdpLayout
from tunproof.corpus.cases import Case, ReadCase
from tunproof.corpus.codec import convert
from tunproof.corpus.model import OffloadName, Reached, Wiring
from tunproof.lab import Device

__all__ = ["Send", "handed_over", "sending_on"]

Send = Callable[[Way, Sequence[bytes]], Iterable[KernelOutcome]]
"""Send frames on a path, and return the outcome of each."""

_LARGEST_MTU = 65535  # bytes; with it a router fragments nothing
_WHOLE: dict[int, Offload] = {GsoType.TCPV4: Offload.TSO4, GsoType.TCPV6: Offload.TSO6, GsoType.UDP_L4: Offload.USO}


def handed_over(
    cases: Iterable[Case], traits: frozenset[str], send: Send, release: str
) -> dict[str, tuple[Reached, ...]]:
    """Return by case id how the kernel `release`, which has these traits, hands the frames of the case to a reader.

    A case of which it does not hand over every frame is left out. Raises what `send` does.
    """
    asked: defaultdict[Way, list[_Attempt]] = defaultdict(list)
    for attempt in _attempts(cases):
        # A kernel without USO refuses a reader that asks for it.
        if Trait.USO in traits or not attempt.offloads & Offload.USO:
            asked[attempt.way].append(attempt)
    found: defaultdict[str, list[Reached]] = defaultdict(list)
    for way, attempts in asked.items():
        outcomes = iter(send(way, [frame for attempt in attempts for frame in attempt.written]))
        for attempt in attempts:
            came = list(islice(outcomes, len(attempt.written)))
            if all(map(_is_handed, attempt.wanted, came)):
                found[attempt.case.id].append(attempt.reached(came[-1], release))
    return {case_id: tuple(reached) for case_id, reached in found.items()}


def sending_on(device: Device) -> Send:
    """Return how to send on a device that takes one frame at a time."""
    return lambda way, frames: [device.send(frame, way) for frame in frames]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What is written for a case on one wiring, so that a reader with these offloads gets the `wanted` frames."""

    case: ReadCase
    wiring: Wiring
    offloads: Offload
    wanted: tuple[bytes, ...]
    written: tuple[bytes, ...]

    @property
    def way(self) -> Way:
        return Way(reader=self.offloads, forwarded=self.wiring == "forward", mtu=_LARGEST_MTU)

    def reached(self, last: KernelOutcome, release: str) -> Reached:
        """Return the record of an attempt that succeeded; `last` is what came of the last frame."""
        assert isinstance(last, Delivered)  # noqa: S101 (for the type checker)
        theirs, ours = _header_of(last.packets[0]).hdr_len, _header_of(self.wanted[-1]).hdr_len
        return Reached(
            wiring=self.wiring,
            offloads=convert([one.name for one in self.offloads], tuple[OffloadName, ...]),
            hdr_len=None if theirs == ours else theirs,
            releases=(release,),
        )


def _attempts(cases: Iterable[Case]) -> Iterator[_Attempt]:
    for case in cases:
        if not isinstance(case, ReadCase):
            continue
        wanted = (*case.input.before, case.input.frame)
        if any(len(frame) < HEADER_SIZE for frame in wanted):
            continue  # no read of a TUN with a vnet header returns less
        offloads = Offload.NONE
        for frame in wanted:
            offloads |= _offloads_for(_header_of(frame))
        for wiring, write in _WRITES.items():
            written = tuple(write(frame) for frame in wanted)
            yield _Attempt(case, wiring, offloads, wanted, written)


def _header_of(frame: bytes) -> VnetHeader:
    return VnetHeader.parse(frame, byte_order=ByteOrder.LITTLE)


def _offloads_for(header: VnetHeader) -> Offload:
    """Return the fewest offloads for which a reader can get a packet with this vnet header."""
    whole = _WHOLE.get(header.base_type)
    if whole is None:
        return Offload.CSUM if header.needs_csum else Offload.NONE
    ecn = Offload.TSO_ECN if header.ecn and whole is not Offload.USO else Offload.NONE
    return Offload.CSUM | whole | ecn


# What to write -------------------------------------------------------------------------------------------------------


def _unchanged(frame: bytes) -> bytes:
    return frame


def _a_hop_earlier(frame: bytes) -> bytes:
    """Return the frame that becomes this one when a router takes one off its TTL; any, if it is no IP packet."""
    header, packet = frame[:HEADER_SIZE], bytearray(frame[HEADER_SIZE:])
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= IPv4Layout.size:
        packet[IPv4Layout.TTL.offset] = packet[IPv4Layout.TTL.offset] + 1 & 0xFF
        packet[IPv4Layout.CHECKSUM.span] = bytes(2)
        length = IPv4Layout.IHL.of(packet[0]) * 4
        packet[IPv4Layout.CHECKSUM.span] = finish(checksum(packet[:length])).to_bytes(2, "big")
    elif version == 6 and len(packet) >= IPv6Layout.size:
        packet[IPv6Layout.HOP_LIMIT.offset] = packet[IPv6Layout.HOP_LIMIT.offset] + 1 & 0xFF
    return header + packet


_WRITES: dict[Wiring, Callable[[bytes], bytes]] = {"readback": _unchanged, "forward": _a_hop_earlier}
"""The wirings that are asked, and the frame to write for the one that a reader is to get."""


# What came -----------------------------------------------------------------------------------------------------------


def _is_handed(wanted: bytes, outcome: KernelOutcome) -> bool:
    """Whether a reader got the frame that was wanted, alone, if need be with another hdr_len that kernels give, too."""
    if not isinstance(outcome, Delivered) or len(outcome.packets) != 1:
        return False
    (came,) = outcome.packets
    if came == wanted:
        return True
    ours, theirs = _header_of(wanted), _header_of(came)
    if came[HEADER_SIZE:] != wanted[HEADER_SIZE:] or ours.with_(hdr_len=theirs.hdr_len) != theirs:
        return False
    packet = wanted[HEADER_SIZE:]
    return ours.gso_type != GsoType.NONE and _end_of_headers(ours, packet) <= ours.hdr_len <= len(packet)


def _end_of_headers(header: VnetHeader, packet: bytes) -> int:
    """Return where the headers of a superpacket end: what a kernel has in one piece when it hands it over, or more."""
    if header.base_type == GsoType.UDP_L4:
        return header.csum_start + UdpLayout.size
    at = header.csum_start + TcpLayout.DATA_OFFSET_RESERVED.offset
    if at >= len(packet):
        return len(packet)
    return header.csum_start + TcpLayout.DATA_OFFSET.of(packet[at]) * 4
