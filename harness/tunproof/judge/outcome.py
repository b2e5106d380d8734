"""What a subject did with the input of a case. The judge (`verdict`) makes a verdict of it.

    Answered     it gave something: a sum, fields, packets, frames, the answers of a lifecycle
    Cut          it wrote to a real TUN, and this is what the kernel made of it
    TurnedDown   its ordinary refusal
    Unable       it says that it cannot do this
    Broken       it gave nothing that could be judged: an exception, a crash, a hang, no answer in the protocol's terms
    Inapplicable nobody could ask it here

An outcome never says whether it is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunproof.corpus.cases import Fault

__all__ = ["Answered", "Broken", "HowBroken", "Inapplicable", "Outcome", "Transmitted", "TurnedDown", "Unable"]

HowBroken = Literal["error", "crash", "hang", "oom", "protocol-error", "flaky", "blocked"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A result, by operation.

    Attributes:
        value: `checksum`: int; `header`: `VnetFields` or bytes; `read`: packets; `write`, `write_gso`, `write_batch`:
            frames (both lists of bytes); `lifecycle`: a list of `Answer`.
    """

    value: Any


@dataclass(frozen=True, slots=True)
class Transmitted:
    """The packets that the kernel made of the frames that were written to a TUN, in order."""

    packets: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class TurnedDown:
    """An ordinary refusal: why, in words; what came out all the same; what the reference found wrong."""

    reason: str
    frames: tuple[bytes, ...] = ()
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Unable:
    """The subject lacks what is asked for, and says what."""

    what: str


@dataclass(frozen=True, slots=True)
class Broken:
    """No result and no refusal, or none that can be relied on. `detail` is for people, `trace` the subject's own words.

    `flaky`: it broke once and not again; `blocked`: nobody was left to ask.
    """

    how: HowBroken
    detail: str
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Inapplicable:
    """The question could not be put: to this subject in this mode, or on this machine."""

    reason: str


Outcome = Answered | Transmitted | TurnedDown | Unable | Broken | Inapplicable
