"""What should come out of a case, as packets or as frames."""

from collections.abc import Sequence

from tunproof.corpus.cases import Case, ChecksumCase, Joined, Packets, WriteCase, WriteGsoCase, Written
from tunproof.corpus.model import KernelDelivers, KernelSame
from tunproof.packets.frame import segments_of
from tunproof.packets.summing import completed_frame

__all__ = ["delivered_by", "frames_of", "packets_of"]


def packets_of(case: Case) -> Sequence[bytes]:
    """Return the packets that must come out of a read, or of what is written; may be empty."""
    match case.expect:
        case Packets(packets=packets) | Written(segments=packets):
            return packets
        case Joined(example=example):
            return [packet for frame in example for packet in segments_of(frame)]
    return ()


def frames_of(case: Case) -> Sequence[bytes]:
    """Return the frames of one correct answer; empty if nothing is written."""
    if isinstance(case, WriteCase | WriteGsoCase) and isinstance(case.expect, Written):
        return [case.expect.header + case.input.whole]
    return case.expect.example if isinstance(case.expect, Joined) else ()


def delivered_by(case: Case, traits: frozenset[str]) -> Sequence[bytes]:
    """Return the packets that a kernel with these traits delivers; empty if it delivers nothing."""
    answer = case.answer_of(traits)
    if isinstance(answer, KernelDelivers):
        return answer.packets
    if not isinstance(answer, KernelSame):
        return ()
    if isinstance(case, ChecksumCase):
        return [completed_frame(case.input.data, case.input.initial)[1]]
    return packets_of(case)
