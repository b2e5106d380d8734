"""Where implementations may legitimately differ: such inputs are at level `should` in the corpus, or kernels differ.

An input covered by a rule below still runs: a crash, a hang or an exception is never acceptable. Only what the judge
would call a failure is waived, and counted under the rule's name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tio import FrameError, HeaderError, PacketError, VnetHeader
from tio.ip import IPv4, IPv6, Protocol, parse_ip
from tio.segment import segment_packet
from tio.tcp import Tcp
from tio.transport import Layers
from tio.virtio import HEADER_SIZE
from tio.wire import IPv4Layout, IPv6Layout
from tunfuzz.peer.repair import layers_of
from tunproof.corpus.cases import Case, MustRefuse, MustReject, Packets, ReadCase
from tunproof.judge.outcome import Answered, Outcome, TurnedDown
from tunproof.packets.equality import same_packets

__all__ = ["waived"]

_ACC_ECN: Final = 0x10
_LEAST: Final = 8  # what some kernels raise a TCP gso_size to
_JUMBO: Final = b"\xc2\x04"
_ZEROS: Final = {"0x0000", "0xffff"}
_ODD: Final = frozenset({44, 51, 59})  # Fragment, AH, No Next Header


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the rules need of a frame that is read."""

    header: VnetHeader
    packet: bytes

    @property
    def is_single(self) -> bool:
        return self.header.gso_type == 0

    @property
    def payload(self) -> int:
        """Bytes after the headers; -1 if they cannot be read."""
        layers = layers_of(self.packet)
        return -1 if layers is None else len(self.packet) - layers.payload_offset


def waived(case: Case, outcome: Outcome) -> str:
    """Return the name of the rule that excuses an outcome that the judge fails; "" if none does."""
    if isinstance(case, ReadCase):
        return _read(case, outcome)
    if isinstance(case.expect, MustRefuse):
        return _write(case.expect.fault.rule, case.expect.fault.found, _version(case))
    return ""


def _version(case: Case) -> int:
    given = getattr(case.input, "hdr", b"")
    return given[0] >> 4 if given else 0


def _write(rule: str, found: str, version: int) -> str:
    """Return what excuses a write that the reference refuses."""
    if rule in {"P1", "W9"}:
        return "a packet that no kernel accepts may be refused by the kernel"
    if rule == "G9" and version == 6:
        return "an IPv6 payload length can make more than 65535 bytes"
    if (rule == "G11" and found == "ffff") or (rule == "G12" and found in _ZEROS):
        return "the other zero of a checksum adds up"
    return ""


def _read(case: ReadCase, outcome: Outcome) -> str:
    try:
        data = case.input.frame
        frame = _Frame(VnetHeader.parse(data, byte_order="little"), data[HEADER_SIZE:])
    except HeaderError:
        return ""
    if isinstance(case.expect, MustReject):
        return _not_rejected(frame, case.expect.fault.rule)
    for rule in _ANYTHING:
        if name := rule(frame):
            return name
    if isinstance(outcome, TurnedDown) and not outcome.frames:
        return next(filter(None, (rule(frame) for rule in _REFUSAL)), "")
    return _other_packets(case.expect, frame, outcome)


def _not_rejected(frame: _Frame, rule: str) -> str:
    """Return what excuses a reader that accepts what the reference rejects."""
    if rule == "R10":
        return "length fields of superpackets may be trusted, or ignored"
    if rule == "R6":
        return "no length field can express the packet's length"
    if rule == "R3" and frame.packet[0] >> 4 == 6 and frame.header.csum_start >= IPv4Layout.size:
        return "kernels allow csum_start inside an IPv6 header"
    if rule == "R4" and frame.header.gso_type & _ACC_ECN:
        return "the type bit that is proposed for Accurate ECN"
    return ""


# Packets that a frame gives: anything goes if its sender made no sense. ------------------------------------------


def _unreadable(frame: _Frame) -> str:
    """Detect a single packet whose headers are damaged."""
    if not frame.is_single:
        return ""
    try:
        parse_ip(frame.packet)
    except PacketError:
        return "a single packet whose headers are damaged"
    return ""


def _odd_single(frame: _Frame) -> str:
    """Detect a single packet with NEEDS_CSUM that no sender makes."""
    header, packet = frame.header, frame.packet
    if not frame.is_single or not header.needs_csum:
        return ""
    ip, layers = parse_ip(packet), layers_of(packet)
    if ip.protocol in {Protocol.TCP, Protocol.UDP} and not _sums_transport(header, ip, layers):
        return "NEEDS_CSUM on a TCP or UDP packet with csum_start and csum_offset elsewhere"
    if ip.is_fragment or ip.protocol in _ODD or header.csum_start < ip.header_length:
        return "NEEDS_CSUM on a packet that has no checksum to complete"
    if not _lengths_are_right(ip, layers, packet):
        return "NEEDS_CSUM on a packet whose length fields are wrong"
    return ""


def _sums_transport(header: VnetHeader, ip: IPv4 | IPv6, layers: Layers | None) -> bool:
    if layers is None:
        return False
    return (header.csum_start, header.csum_offset) == (ip.header_length, layers.transport.checksum_offset)


def _lengths_are_right(ip: IPv4 | IPv6, layers: Layers | None, packet: bytes) -> bool:
    stated = None if layers is None else layers.transport.stated_length
    return ip.stated_length == len(packet) and stated in {None, len(packet) - ip.header_length}


def _typed_fragment(frame: _Frame) -> str:
    return "" if frame.is_single or not parse_ip(frame.packet).is_fragment else "a superpacket that is a fragment"


_Rule = Callable[[_Frame], str]
_ANYTHING: tuple[_Rule, ...] = (_unreadable, _odd_single, _typed_fragment)


# Rejections of frames that the reference turns into packets. -----------------------------------------------------


def _hdr_len(frame: _Frame) -> str:
    return "hdr_len past the end" if frame.header.hdr_len > len(frame.packet) else ""


def _small(frame: _Frame) -> str:
    return "segments of less than 8 bytes" if not frame.is_single and frame.header.gso_size < _LEAST else ""


def _trap(frame: _Frame) -> str:
    """Kernels lose a payload that is longer than gso_size only if TCP options are counted with it."""
    layers = layers_of(frame.packet)
    if frame.is_single or layers is None or not isinstance(layers.transport, Tcp):
        return ""
    options = layers.transport.header_length - Tcp.min_length
    return "a payload that kernels lose" if frame.payload <= frame.header.gso_size < frame.payload + options else ""


def _nothing_to_cut(frame: _Frame) -> str:
    return "a superpacket without payload" if not frame.is_single and frame.payload == 0 else ""


def _wrong_partial(frame: _Frame) -> str:
    layers = layers_of(frame.packet)
    if not frame.header.needs_csum or layers is None:
        return ""
    partial = layers.partial(len(frame.packet) - layers.transport_offset)
    return "" if layers.transport.checksum == partial else "a wrong partial is carried, recomputed, or refused"


def _jumbo(frame: _Frame) -> str:
    is_jumbo = not frame.is_single and frame.packet[0] >> 4 == 6 and _JUMBO in frame.packet[IPv6Layout.size : 80]
    return "a jumbo payload option" if is_jumbo else ""


_REFUSAL: tuple[_Rule, ...] = (_hdr_len, _small, _trap, _nothing_to_cut, _wrong_partial, _jumbo)


# Other packets than those of the reference. ----------------------------------------------------------------------


def _other_packets(expect: Packets, frame: _Frame, outcome: Outcome) -> str:
    if not isinstance(outcome, Answered) or not isinstance(outcome.value, list):
        return ""
    right = list(expect.packets)
    if name := _wrong_partial(frame):
        return name if same_packets(*(list(map(_without_checksum, each)) for each in (right, outcome.value))) else ""
    if _small(frame) and _cut_at_eight(frame, outcome.value):
        return "segments of less than 8 bytes"
    return ""


def _without_checksum(packet: bytes) -> bytes:
    layers = layers_of(packet)
    if layers is None:
        return packet
    at = layers.transport_offset + layers.transport.checksum_offset
    return packet[:at] + b"\0\0" + packet[at + 2 :]


def _cut_at_eight(frame: _Frame, got: list[bytes]) -> bool:
    """Whether these are the segments of a kernel that raises gso_size."""
    try:
        return same_packets(segment_packet(frame.header.with_(gso_size=_LEAST), frame.packet), got)
    except FrameError:
        return False
