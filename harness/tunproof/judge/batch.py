"""Were the frames of a batch transparent? Cut, they must give every packet back once, in order, and legal headers.

`joined` in `corpus.cases` states the constraints; this module tests them, one finding a broken one. Policies (joining
packets with a wrong checksum, or without one) are named and not failed; merge quality is a number.
"""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import tio
from tio.ip import parse_ip
from tio.tcp import Tcp
from tio.transport import parse_layers
from tio.wire import IPv4Layout, TcpLayout
from tunproof.corpus.cases import Joined
from tunproof.packets.difference import first_difference
from tunproof.packets.equality import RESTAMPS, has_other_identification, normalized
from tunproof.packets.frame import rules_broken, segments_of

__all__ = ["BatchReport", "inspect_batch", "inspect_cut_batch"]

REPAIRS = "repairs wrong checksums"
SUMS = "joins datagrams without a checksum"


@dataclass(slots=True)
class BatchReport:
    """What is known about the frames of a batch.

    Attributes:
        failures: each broken constraint, in words.
        advice: the same for constraints that only should hold.
        policies: what the subject does that it may do or not.
        groups: for each frame the packets that it stands for, by index.
        strange: the packets that came out but are not in the batch.
        missing: the packets that were put in and never came out, by index.
        rules: the header rules that are binding and were broken, each with its field.
        quality: how much of the ideal joining was reached: 1 is all of it, 0 none, None where there is nothing to join.
    """

    failures: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    policies: set[str] = field(default_factory=set)
    groups: list[tuple[int, ...]] = field(default_factory=list)
    strange: list[bytes] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    quality: float | None = None


def inspect_batch(packets: Sequence[bytes], frames: Sequence[bytes], expect: Joined) -> BatchReport:
    """Inspect the frames that a subject wrote for these packets."""
    report = BatchReport()
    waiting = _Waiting(packets, expect)
    for number, frame in enumerate(frames):
        packets_of_it = _cut(frame, number, report)
        joined = len(packets_of_it) > 1
        found = tuple(_match(packet, number, waiting, report, joined=joined) for packet in packets_of_it)
        report.groups.append(tuple(index for index in found if index is not None))
    _check_all_came(report, waiting)
    _check_order(report, expect)
    _check_apart(report, expect)
    report.quality = _quality(report.groups, expect)
    _check_verdict(report, packets, expect)
    return report


def inspect_cut_batch(packets: Sequence[bytes], came_out: Sequence[bytes], expect: Joined) -> BatchReport:
    """Inspect the packets that a kernel made from the frames that a subject wrote for `packets`.

    Which packets were joined cannot be seen any more: headers, forbidden merges and merge quality are not judged, and a
    repaired checksum counts as repaired by joining.
    """
    report = BatchReport()
    waiting = _Waiting(packets, expect)
    for number, packet in enumerate(came_out):
        index = _match(packet, number, waiting, report, joined=True, what="packet")
        report.groups.append(() if index is None else (index,))
    _check_all_came(report, waiting)
    _check_order(report, expect)
    return report


def _check_all_came(report: BatchReport, waiting: "_Waiting") -> None:
    report.missing = waiting.left()
    for index in report.missing:
        report.failures.append(f"packet {index} ({len(waiting.packet(index))} bytes) never came out")


def _cut(frame: bytes, number: int, report: BatchReport) -> list[bytes]:
    """Return the packets that a frame stands for, and note what is wrong with its header."""
    for violation in rules_broken(frame):
        (report.failures if violation.is_must else report.advice).append(f"frame {number}: {violation}")
        if violation.is_must:
            report.rules.append(f"{violation.rule} {violation.field}")
    try:
        return segments_of(frame)
    except tio.FrameError as error:
        report.failures.append(f"frame {number} cannot be cut: {error}")
        return []


class _Waiting:
    """The packets that have not come out yet, found by their bytes."""

    def __init__(self, packets: Sequence[bytes], expect: Joined) -> None:
        self._packets = packets
        self._optional = set(expect.optional)
        self._waiting = set(range(len(packets))) - set(expect.silent)
        self._spelled: dict[bytes, list[tuple[int, str | None]]] = defaultdict(list)
        policies = dict.fromkeys(expect.repairable, REPAIRS) | dict.fromkeys(expect.unsummed, SUMS)
        for index in sorted(self._waiting):
            self._spelled[normalized(packets[index])].append((index, None))
            if index in policies:
                self._spelled[normalized(_with_right_checksums(packets[index]))].append((index, policies[index]))

    def take(self, packet: bytes, *, joined: bool) -> tuple[int | None, str | None]:
        """Return the index of the packet that this is, and the policy by which it is that one.

        Of several packets that look the same it is the first that waits. Only joining excuses a repair: a damaged
        packet that travels alone must stay damaged.
        """
        for index, policy in self._spelled.get(normalized(packet), ()):
            if index in self._waiting and (joined or policy is None):
                self._waiting.remove(index)
                return index, policy
        return None, None

    def left(self) -> list[int]:
        """Return the indices of the packets that have not come out and should have."""
        return sorted(self._waiting - self._optional)

    def packet(self, index: int) -> bytes:
        """Return a packet as it was in the batch."""
        return self._packets[index]

    def nearest(self) -> bytes | None:
        """Return the first packet that has not come out."""
        return next((self._packets[index] for index in sorted(self._waiting)), None)


def _match(  # noqa: PLR0913 (two of them only say how)
    packet: bytes, number: int, waiting: _Waiting, report: BatchReport, *, joined: bool, what: str = "frame"
) -> int | None:
    index, policy = waiting.take(packet, joined=joined)
    if policy is not None:
        report.policies.add(policy)
    if index is not None and has_other_identification(waiting.packet(index), packet):
        report.policies.add(RESTAMPS)
    if index is None:
        report.strange.append(packet)
        nearest = waiting.nearest()
        difference = f"\n{first_difference([nearest], [packet])}" if nearest is not None else ""
        report.failures.append(f"{what} {number} stands for a packet that was not in the batch{difference}")
    return index


def _check_order(report: BatchReport, expect: Joined) -> None:
    came_out = {index: place for place, index in enumerate(index for group in report.groups for index in group)}
    for flows, findings in ((expect.order, report.failures), (expect.order_should, report.advice)):
        for flow in flows:
            present = [index for index in flow if index in came_out]
            for earlier, later in itertools.pairwise(present):
                if came_out[earlier] > came_out[later]:
                    findings.append(f"packet {later} overtook packet {earlier} of its flow")


def _check_apart(report: BatchReport, expect: Joined) -> None:
    for one, other in expect.apart:
        if any(one in group and other in group for group in report.groups):
            report.failures.append(f"packets {one} and {other} must not share a superpacket")


def _check_verdict(report: BatchReport, packets: Sequence[bytes], expect: Joined) -> None:
    """Fail a subject that joins only packets with a wrong transport checksum: its test is the wrong way round.

    There are many reasons not to join packets, so the right ones that it left alone must look like the wrong ones that
    it joined.
    """
    joined = [group for group in report.groups if len(group) > 1]
    members = {index for group in joined for index in group}
    if REPAIRS not in report.policies or not members.issubset(expect.repairable):
        return
    if not all(_is_sum_wrong(packets[index]) for index in members):
        return
    wrong = {_shape(packets[group[0]]) for group in joined}
    left = [group for group in expect.ideal if len(group) > 1 and not any(set(group) & set(one) for one in joined)]
    if any(_shape(packets[group[0]]) in wrong for group in left):
        report.failures.append("packets with a wrong checksum are joined, and those with a right one are not")


def _is_sum_wrong(packet: bytes) -> bool:
    """Whether the transport checksum of a whole packet is wrong; what is wrong in its IPv4 header is another matter."""
    field = _checksum_field(packet)
    return packet[field] != _with_right_checksums(packet)[field]


def _checksum_field(packet: bytes) -> slice:
    layers = parse_layers(parse_ip(packet), packet)
    at = layers.transport_offset + layers.transport.checksum_offset
    return slice(at, at + 2)


def _shape(packet: bytes) -> tuple[int, bytes]:
    """Return the length of a whole packet, and its headers without checksums and what counts from packet to packet."""
    layers = parse_layers(parse_ip(packet), packet)
    header = bytearray(packet[: layers.payload_offset])
    blank = [_checksum_field(packet)]
    if packet[0] >> 4 == 4:
        blank += [IPv4Layout.IDENTIFICATION.span, IPv4Layout.CHECKSUM.span]
    if isinstance(layers.transport, Tcp):
        at = layers.transport_offset
        blank.append(slice(at + TcpLayout.SEQUENCE.offset, at + TcpLayout.SEQUENCE.end))
    for span in blank:
        header[span] = bytes(span.stop - span.start)
    return len(packet), bytes(header)


def _quality(groups: Sequence[Sequence[int]], expect: Joined) -> float | None:
    """Return the fraction of the writes that joining could save and did."""
    counted = {index for group in expect.ideal for index in group}
    could = len(counted) - len(expect.ideal)
    if not could:
        return None
    writes = sum(1 for group in groups if counted & set(group))
    return min(max(len(counted) - writes, 0) / could, 1.0)


def _with_right_checksums(packet: bytes) -> bytes:
    """Return a whole TCP or UDP packet with the checksums that it should have."""
    ip = parse_ip(packet)
    layers = parse_layers(ip, packet)
    field_at = layers.transport_offset + layers.transport.checksum_offset
    partial = layers.partial(len(packet) - layers.transport_offset)
    prepared = ip.resized(len(packet), 0) + packet[ip.header_length : field_at] + partial.to_bytes(2, "big")
    prepared += packet[field_at + 2 :]
    return tio.complete_checksum(prepared, layers.transport_offset, layers.transport.checksum_offset)
