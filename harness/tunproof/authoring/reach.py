"""Where an implementation can meet the input of a case: the rule, and how what kernels handed over is recorded.

| operation | reach | because |
|---|---|---|
| `read` | `kernel` | a kernel was seen to hand every frame of the case to a reader (`tunproof.kernel.handover`) |
| | `hostile` | none was: a guest, a ring or a corrupt sender can, but a TUN of a kernel that is trusted does not |
| `write`, `write_batch` | `peer` | the packets come out of a tunnel: its other end decides about every byte of them |
| `write_gso` | `caller` | the contract leaves geometry and headers to the code that calls |
| `checksum` | `peer` | what is summed is what a peer or a local program sent, and can be any bytes |
| `lifecycle` | `caller` | the steps are calls; the frames in them are only there to be counted |
| `header`, emit | `caller` | the fields are arguments |
| `header`, parse | `kernel` | all bits of flags and type are bits that kernels set |
| | `caller` | the size is one that no device has, and is an argument too |
| | `hostile` | the bytes are too few, or have a bit that no kernel sets |

The numbers in a header to parse are made up, so that no two bytes are equal: what is tested is where a field lies, and
that is the same in every header of a kernel. Only flags and type have values that kernels never give.

What is recorded stays: a build on another kernel adds that kernel, as it does to `confirmed`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import get_args

import msgspec

from tio.virtio import HEADER_SIZES, GsoType, VnetFlag
from tunproof.corpus.cases import (
    BatchInput,
    Case,
    ChecksumInput,
    Expectation,
    Fields,
    GsoInput,
    MustReject,
    ParseInput,
    ReadCase,
    ReadInput,
    WriteInput,
)
from tunproof.corpus.model import Level, Reach, Reached, Wiring

__all__ = ["merged", "reach_of", "version_of", "with_reach"]

_FLAGS = VnetFlag.NEEDS_CSUM | VnetFlag.DATA_VALID
_TYPES = {GsoType.NONE, GsoType.UDP_L4}.union(*({kind, kind | GsoType.ECN} for kind in (GsoType.TCPV4, GsoType.TCPV6)))
"""What `virtio_net_hdr_from_skb` puts into the first two bytes."""

_WIRINGS = get_args(Wiring)


def reach_of(given: msgspec.Struct, expect: Expectation, reached: Iterable[Reached] = ()) -> Reach:
    """Return where an implementation can meet this input; `reached` are the kernels that handed it over."""
    match given:
        case ReadInput():
            return "kernel" if tuple(reached) else "hostile"
        case WriteInput() | BatchInput() | ChecksumInput():
            return "peer"
        case GsoInput():
            return "caller"
        case ParseInput(size=size):
            return _parsed(expect) if size in HEADER_SIZES else "caller"
    return "caller"  # fields to emit, and scripts


def with_reach(case: Case, reached: Iterable[Reached]) -> Case:
    """Return a case of which these kernels handed over the frames."""
    if not isinstance(case, ReadCase):
        return case
    reached = tuple(reached)
    reach = reach_of(case.input, case.expect, reached)
    return msgspec.structs.replace(case, reach=reach, reached=reached, level=_level(case, reach))


def _level(case: ReadCase, reach: Reach) -> Level:
    """Return how binding a case is: that a frame which a kernel hands over is rejected is `should` at most.

    A kernel passes on a frame with a fault only as somebody wrote it, and what a reader makes of it hurts nobody but
    them. A reader that breaks on it fails whatever the level.
    """
    return "should" if reach == "kernel" and isinstance(case.expect, MustReject) else case.level


def merged(old: Iterable[Reached], new: Iterable[Reached]) -> tuple[Reached, ...]:
    """Return what was recorded and what is new in one order, whichever came first.

    What was recorded of a kernel on a wiring stays as it was: the machine that recorded it may differ from this one.
    """
    old = tuple(old)
    known = {(one.wiring, release) for one in old for release in one.releases}
    alike: defaultdict[Reached, set[str]] = defaultdict(set)
    for one in old:
        alike[_without_releases(one)].update(one.releases)
    for one in new:
        fresh = {release for release in one.releases if (one.wiring, release) not in known}
        if fresh:
            alike[_without_releases(one)].update(fresh)
    found = (msgspec.structs.replace(one, releases=tuple(sorted(names))) for one, names in alike.items())
    return tuple(sorted(found, key=_order))


def version_of(release: str) -> str:
    """Return the version that a running kernel's release begins with.

    The rest names a build, often one of its owner's own, and tells nobody else anything. The releases of guests are
    those of packages that everybody can fetch, so they stay whole.
    """
    found = re.match(r"\d+(\.\d+)*", release)
    return found[0] if found else release


def _parsed(expect: Expectation) -> Reach:
    if not isinstance(expect, Fields):
        return "hostile"
    fields = expect.fields
    return "kernel" if not fields.flags & ~_FLAGS and fields.gso_type in _TYPES else "hostile"


def _without_releases(one: Reached) -> Reached:
    return msgspec.structs.replace(one, releases=())


def _order(one: Reached) -> tuple[int, tuple[str, ...], int]:
    return _WIRINGS.index(one.wiring), one.offloads, one.hdr_len or 0
