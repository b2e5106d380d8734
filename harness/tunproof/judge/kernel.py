"""The judge of kernels: compares what one did with a frame with what a kernel with its traits does."""

from tio.linux import Delivered, KernelOutcome, Lost, Refused
from tunproof.corpus.wording import errno_name
from tunproof.judge.mismatch import packets_beside
from tunproof.judge.verdict import Kind, Verdict
from tunproof.packets.difference import describe_packets, first_difference

__all__ = ["decide", "describe"]


def decide(expected: KernelOutcome, got: KernelOutcome) -> Verdict:
    """Return the verdict on one frame. A kernel has none of the freedoms: it does the same every time."""
    if expected == got:
        return Verdict(Kind.PASS)
    if not isinstance(expected, Delivered) or not isinstance(got, Delivered):
        text = f"expected {describe(expected)}, got {describe(got)}"
    else:
        text = str(first_difference(expected.packets, got.packets))
    if not isinstance(got, Delivered):
        return Verdict(Kind.FAIL, text)
    right = expected.packets if isinstance(expected, Delivered) else ()
    mismatches, mismatched = packets_beside(right, got.packets, exact=True)
    return Verdict(Kind.FAIL, text, mismatches=mismatches, mismatched=mismatched)


def describe(outcome: KernelOutcome) -> str:
    """Return an outcome in a few words."""
    match outcome:
        case Refused(errno=number):
            return f"write refused with {errno_name(number)}"
        case Lost():
            return "accepted and lost"
        case Delivered(packets=packets):
            return describe_packets(packets)
