"""Were the frames of a batch transparent? Cut, they must give every packet back once, in order, and legal headers.

`joined` in `corpus.cases` states the constraints; this module tests them, one finding a broken one. Policies (joining
packets with a wrong checksum, or without one) are named and not failed; merge quality is a number.
"""

import itertools
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import tio
from tio.ip import parse_ip
from tio.transport import parse_layers
from tunproof.corpus.cases import Joined
from tunproof.freedoms import normalized
from tunproof.judge import first_difference

__all__ = ["BatchReport", "inspect_batch"]

REPAIRS = "repairs wrong checksums"
SUMS = "joins datagrams without a checksum"


@dataclass(slots=True)
class BatchReport:
    """What was found out about the frames of a batch.

    Attributes:
        failures: each broken constraint, in words.
        advice: the same for constraints that only should hold.
        policies: what the subject does that it may do or not.
        groups: for each frame the packets that it stands for, by index.
        quality: how much of the ideal joining was reached: 1 is all of it, 0 none, None where there is nothing to join.
    """

    failures: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    policies: set[str] = field(default_factory=set)
    groups: list[tuple[int, ...]] = field(default_factory=list)
    quality: float | None = None


def inspect_batch(packets: Sequence[bytes], frames: Sequence[bytes], expect: Joined) -> BatchReport:
    """Return what is to be said of the frames that a subject wrote for these packets."""
    report = BatchReport()
    waiting = _Waiting(packets, expect)
    for number, frame in enumerate(frames):
        cut = _cut(frame, number, report)
        found = tuple(_match(packet, number, waiting, report) for packet in cut)
        report.groups.append(tuple(index for index in found if index is not None))
    for index in waiting.left():
        report.failures.append(f"packet {index} ({len(packets[index])} bytes) never came out")
    _check_order(report, expect)
    _check_apart(report, expect)
    report.quality = _quality(report.groups, expect)
    return report


def _cut(frame: bytes, number: int, report: BatchReport) -> list[bytes]:
    """Return the packets that a frame stands for, and note what is wrong with its header."""
    for violation in tio.violations(frame, byte_order=tio.ByteOrder.LITTLE):
        # What a packet says of itself is the sender's affair where the packet travels alone.
        if violation.rule in {"V1", "V11"} and not any(frame[:10]) and len(frame) > 10:
            continue
        (report.failures if violation.is_must else report.advice).append(f"frame {number}: {violation}")
    try:
        return tio.segment(frame, byte_order=tio.ByteOrder.LITTLE)
    except tio.FrameError as error:
        if not any(frame[:10]):
            return [frame[10:]]
        report.failures.append(f"frame {number} cannot be cut: {error}")
        return []


class _Waiting:
    """The packets that have not come out yet, found by their bytes."""

    def __init__(self, packets: Sequence[bytes], expect: Joined) -> None:
        self._packets = packets
        self._policy = dict.fromkeys(expect.repairable, REPAIRS) | dict.fromkeys(expect.unsummed, SUMS)
        self._exact: dict[bytes, deque[int]] = defaultdict(deque)
        self._summed: dict[bytes, deque[int]] = defaultdict(deque)
        silent = set(expect.silent)
        for index, packet in enumerate(packets):
            if index in silent:
                continue
            self._exact[normalized(packet)].append(index)
            if index in self._policy:
                self._summed[normalized(_with_right_checksum(packet))].append(index)

    def take(self, packet: bytes) -> tuple[int | None, str | None]:
        """Return the index of the packet that this is, and the policy by which it is that one."""
        key = normalized(packet)
        if self._exact[key]:
            return self._exact[key].popleft(), None
        if self._summed[key]:
            index = self._summed[key].popleft()
            self._exact[normalized(self._packets[index])].remove(index)
            return index, self._policy[index]
        return None, None

    def left(self) -> list[int]:
        """Return the indices of the packets that have not come out."""
        return sorted(index for indices in self._exact.values() for index in indices)

    def nearest(self) -> bytes | None:
        """Return the first packet that has not come out."""
        return next((self._packets[index] for index in self.left()), None)


def _match(packet: bytes, number: int, waiting: _Waiting, report: BatchReport) -> int | None:
    index, policy = waiting.take(packet)
    if policy is not None:
        report.policies.add(policy)
    if index is None:
        nearest = waiting.nearest()
        difference = f"\n{first_difference([nearest], [packet])}" if nearest is not None else ""
        report.failures.append(f"frame {number} stands for a packet that nobody put in{difference}")
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
            report.failures.append(f"packets {one} and {other} must not stand in one superpacket")


def _quality(groups: Sequence[Sequence[int]], expect: Joined) -> float | None:
    """Return which part of the writes that joining could save was saved."""
    packets = sum(map(len, expect.ideal))
    could = packets - len(expect.ideal)
    if not could:
        return None
    return min(max(packets - len(groups), 0) / could, 1.0)


def _with_right_checksum(packet: bytes) -> bytes:
    """Return a TCP or UDP packet with the checksum that it should have."""
    ip = parse_ip(packet)
    layers = parse_layers(ip, packet)
    field_at = layers.transport_offset + layers.transport.checksum_offset
    partial = layers.partial(len(packet) - layers.transport_offset)
    prepared = packet[:field_at] + partial.to_bytes(2, "big") + packet[field_at + 2 :]
    return tio.complete_checksum(prepared, layers.transport_offset, layers.transport.checksum_offset)
