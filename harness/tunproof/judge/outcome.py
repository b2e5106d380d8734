"""What a subject did with the input of a case. The judge (`decide`) turns it into a verdict.

    Answered      it returned something: a sum, fields, packets, frames, the answers of a lifecycle
    Transmitted   it wrote to a real TUN, and the kernel transmitted these packets
    TurnedDown    it rejected the input in an ordinary way
    Unable        it says that it cannot do this
    Broken        it returned nothing to judge: an exception, a crash, a hang, or a reply outside the protocol
    Inapplicable  the case cannot be run in this mode, or on this machine
    Outside       it was not run: it lies outside what the subject claims

An outcome does not say whether it is right.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from tunproof.corpus.cases import Fault

__all__ = [
    "Answered",
    "Broken",
    "HowBroken",
    "Inapplicable",
    "Outcome",
    "Outside",
    "Transmitted",
    "TurnedDown",
    "Unable",
]

HowBroken = Literal["error", "crash", "hang", "oom", "protocol-error", "flaky", "blocked"]


class Answered(msgspec.Struct, frozen=True):
    """A result, by operation.

    Attributes:
        value: `checksum`: int; `header`: `VnetFields` or bytes; `read`: packets; `write`, `write_gso`, `write_batch`:
            frames (both lists of bytes); `lifecycle`: a list of `Answer`.
    """

    value: Any


class Transmitted(msgspec.Struct, frozen=True):
    """The packets that the kernel made from the frames written to a TUN, in order."""

    packets: Sequence[bytes]


class TurnedDown(msgspec.Struct, frozen=True):
    """An ordinary rejection: the reason in words, what came out anyway, and the fault that the reference found."""

    reason: str
    frames: tuple[bytes, ...] = ()
    fault: Fault | None = None


class Unable(msgspec.Struct, frozen=True):
    """The subject says that it lacks something that the case needs, and what."""

    what: str


class Broken(msgspec.Struct, frozen=True):
    """Neither a result nor a rejection, or not a reliable one. `detail` is for people, `trace` the subject's own words.

    `flaky`: it broke once and not again; `blocked`: no restarts were left.
    """

    how: HowBroken
    detail: str
    trace: str = ""


class Inapplicable(msgspec.Struct, frozen=True):
    """The case cannot be run against this subject in this mode, or on this machine."""

    reason: str


class Outside(msgspec.Struct, frozen=True):
    """The case lies outside the subject's claims, such as a limit, and was not run."""

    reason: str


Outcome = Answered | Transmitted | TurnedDown | Unable | Broken | Inapplicable | Outside
