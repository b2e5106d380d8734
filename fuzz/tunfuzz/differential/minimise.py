"""Making a frame smaller while it still does what it was found for: without halves and bytes, with zeros, with less.

Greedy and deterministic: the same frame gives the same result. What is tried is bounded, so a slow test ends too.
"""

from collections.abc import Callable, Iterator

__all__ = ["minimise"]

_MOST_TESTS = 4000
_SMALL = 512  # bytes, up to which every byte is tried


def minimise(frame: bytes, still: Callable[[bytes], bool]) -> bytes:
    """Return the smallest frame that could be found for which `still` holds; it holds for `frame`."""
    tests = 0
    again = True
    while again:
        again = False
        for candidate in _smaller(frame):
            tests += 1
            if tests > _MOST_TESTS:
                return frame
            if still(candidate):
                frame, again = candidate, True
                break
    return frame


def _smaller(frame: bytes) -> Iterator[bytes]:
    """Yield frames that are shorter than `frame`, the shortest first, and then ones of its length that are plainer."""
    size = len(frame) // 2
    while size:
        for start in range(len(frame) - size, -1, -size):
            yield frame[:start] + frame[start + size :]
        size //= 2
    if len(frame) > _SMALL:
        return
    for index in range(len(frame) - 1, -1, -1):
        if frame[index]:
            yield frame[:index] + b"\0" + frame[index + 1 :]
    for index, value in enumerate(frame):
        if value > 1:
            yield frame[:index] + bytes((value >> 1,)) + frame[index + 1 :]
