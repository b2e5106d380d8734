"""What differs: packets or frames that came out, each paired with the one that should have."""

import itertools
from collections.abc import Iterator, Sequence

from tio.virtio import HEADER_SIZE
from tunproof.judge.verdict import MOST_MISMATCHES, Mismatch
from tunproof.packets.difference import alike
from tunproof.packets.equality import same_packets
from tunproof.packets.fields import field_at, vnet_field_at

__all__ = ["Found", "beside", "frames_beside", "mismatch", "packets_beside"]

Found = tuple[tuple[Mismatch, ...], int]
"""The first mismatches, and how many there are."""

Pairs = Iterator[tuple[str, bytes | None, bytes | None]]


def packets_beside(right: Sequence[bytes], got: Sequence[bytes], *, exact: bool) -> Found:
    """Return the packets that differ; `exact` allows none of the freedoms of `equality`."""
    return beside(
        (f"packet {at}", one, other)
        for at, (one, other) in enumerate(itertools.zip_longest(right, got))
        if one is None or other is None or not same_packets([one], [other], exact=exact)
    )


def frames_beside(right: Sequence[bytes], got: Sequence[bytes]) -> Found:
    """Return the frames that differ in any byte: a right answer may differ as well, but a wrong one differs here."""
    pairs = enumerate(itertools.zip_longest(right, got))
    return beside(((f"frame {at}", one, other) for at, (one, other) in pairs if one != other), framed=True)


def beside(pairs: Pairs, *, framed: bool = False) -> Found:
    """Return mismatches for pairs that are known to differ: what they are, expected, got."""
    first = list(itertools.islice(pairs, MOST_MISMATCHES))
    more = sum(1 for _ in pairs)
    return tuple(mismatch(what, right, got, framed=framed) for what, right, got in first), len(first) + more


def mismatch(what: str, expected: bytes | None, got: bytes | None, *, framed: bool = False) -> Mismatch:
    """Return a mismatch, with the first difference found and named."""
    at, place = _place(expected, got, HEADER_SIZE if framed else 0)
    return Mismatch(what=what, place=place, at=at, framed=framed, expected=expected, got=got)


def _place(expected: bytes | None, got: bytes | None, head: int) -> tuple[int, str]:
    if expected is None:
        return 0, "not expected"
    if got is None:
        return 0, "it never came out"
    at = alike(expected, got)
    if at < head:
        return at, f"vnet.{vnet_field_at(at)} at byte {at} of the vnet header"
    longer = max(expected, got, key=len) if at >= len(expected) else expected
    return at, f"{field_at(longer[head:], at - head).name} at byte {at - head}"
