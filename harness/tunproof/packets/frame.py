"""Frames that were written: whether they keep the header rules, and which packets they stand for.

A packet *travels alone* if its vnet header has no type and no checksum to complete. Its contents are then the
responsibility of its original sender: nothing segments it or looks inside, so V1 (a whole IP packet) and V11 (right
lengths) do not bind a program that passes it on.
"""

import tio
from tio.virtio import HEADER_SIZE, VnetFlag
from tio.wire import VnetLayout

__all__ = ["rules_broken", "segments_of", "travels_alone"]

_FLAGS, _GSO_TYPE = VnetLayout.FLAGS.offset, VnetLayout.GSO_TYPE.offset
_NEEDS_CSUM = int(VnetFlag.NEEDS_CSUM)


def travels_alone(frame: bytes) -> bool:
    """Whether a frame carries one packet that is handed on as it is."""
    return len(frame) > HEADER_SIZE and not frame[_FLAGS] & _NEEDS_CSUM and not frame[_GSO_TYPE]


def rules_broken(frame: bytes) -> list[tio.Violation]:
    """Return the header rules that a frame breaks, musts and shoulds."""
    waived = {"V1", "V11"} if travels_alone(frame) else set()
    found = tio.violations(frame, byte_order=tio.ByteOrder.LITTLE)
    return [violation for violation in found if violation.rule not in waived]


def segments_of(frame: bytes) -> list[bytes]:
    """Return the packets that a frame stands for. Raises `tio.FrameError`."""
    if travels_alone(frame):
        return [frame[HEADER_SIZE:]]
    return tio.segment(frame, byte_order=tio.ByteOrder.LITTLE)
