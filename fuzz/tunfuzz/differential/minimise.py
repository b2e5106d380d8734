"""Making a frame smaller while it still fails: without halves and bytes, with zeros, with smaller values.

Greedy and deterministic: the same frame gives the same result. Attempts are bounded, so a slow test ends too.
"""

from collections.abc import Callable

__all__ = ["minimise"]

Still = Callable[[bytes], bool]

_MOST_TESTS = 4000
_SMALL = 512  # bytes, up to which every byte is simplified


def minimise(frame: bytes, still: Still) -> bytes:
    """Return the smallest frame found for which `still` holds; it holds for `frame`."""
    bounded = _Bounded(still)
    before = None
    while before != frame:
        before = frame
        frame = _plainer(_shorter(frame, bounded), bounded)
    return frame


class _Bounded:
    """A test that rejects everything once its budget is used up."""

    def __init__(self, still: Still) -> None:
        self._still = still
        self._left = _MOST_TESTS

    def __call__(self, frame: bytes) -> bool:
        self._left -= 1
        return self._left >= 0 and self._still(frame)


def _shorter(frame: bytes, still: Still) -> bytes:
    """Remove what can be removed: large pieces first, from the end."""
    size = len(frame) // 2
    while size:
        start = len(frame) - size
        while start >= 0:
            candidate = frame[:start] + frame[start + size :]
            if still(candidate):
                frame = candidate
            start -= size
        size //= 2
    return frame


def _plainer(frame: bytes, still: Still) -> bytes:
    """Make bytes zero, or else halve them."""
    if len(frame) > _SMALL:
        return frame
    for index in range(len(frame) - 1, -1, -1):
        for value in sorted({0, frame[index] >> 1} - {frame[index]}):
            candidate = frame[:index] + bytes((value,)) + frame[index + 1 :]
            if still(candidate):
                frame = candidate
                break
    return frame
