"""From a difference between kernel and model to a finding."""

import dataclasses
import errno
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tio.linux import Delivered, KernelOutcome, Refused, Traits, Way
from tunproof.errors import UsageError
from tunproof.judge.kernel import describe
from tunproof.lab.way_json import ToldWay, way_of
from tunproof.packets.difference import first_difference
from tunproof.runs import findings
from tunproof.runs.findings import Finding

__all__ = ["Difference", "Met", "frame_from", "keep", "rule_of", "way_from"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A frame about which kernel and model differ. `got` is text if the kernel could not be used."""

    frame: bytes
    way: Way
    predicted: KernelOutcome
    trail: list[str]
    got: KernelOutcome | str
    details: str = ""

    @property
    def rule(self) -> str:
        """What is broken: the rule that the model applied, or the first field that differs."""
        return rule_of(self.predicted, self.trail, self.got)

    @property
    def title(self) -> str:
        """What differs, in one line."""
        if isinstance(self.predicted, Delivered) and isinstance(self.got, Delivered):
            different = first_difference(self.predicted.packets, self.got.packets)
            if different is not None:
                where = f"packet {different.packet}, {different.field} at byte {different.offset}"
                return f"{where}: the model says {different.expected}, the kernel {different.got}"
        got = self.got if isinstance(self.got, str) else describe(self.got)
        return f"{self.rule}: the model says {describe(self.predicted)}, the kernel {got}"


def rule_of(predicted: KernelOutcome, trail: list[str], got: KernelOutcome | str) -> str:
    """Return the name under which differences count as the same."""
    if isinstance(got, str):
        return "the kernel cannot be used"
    if not isinstance(predicted, Delivered):
        return trail[-1] if trail else "nothing"
    if isinstance(got, Refused):
        return f"unforeseen {errno.errorcode.get(got.errno, got.errno)}"
    if not isinstance(got, Delivered):
        return "unforeseen loss"
    different = first_difference(predicted.packets, got.packets)
    return f"field {different.field}" if different else "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """Where a difference occurred: on which kernel, with which traits, as which case of which seed.

    `again` is the command that repeats it; "" for the one that sends the frame to the running kernel.
    """

    kernel: str
    traits: Traits
    seed: int
    number: int
    again: str = ""


def keep(difference: Difference, out: Path, met: Met, *, instead_of: Path | None = None) -> Path:
    """Write a difference into `out` and return its folder. Raises `EnvironmentProblem`.

    `instead_of` is the folder of a larger frame that shows the same; it is removed.
    """
    finding = Finding(
        kind="kernel",
        title=difference.title,
        rule=difference.rule,
        operation="read",
        input={"frame": difference.frame.hex()},
        way=dataclasses.asdict(difference.way),
        expected=_told(difference.predicted),
        got=_told(difference.got),
        traits=tuple(sorted(met.traits)),
        kernel=met.kernel,
        subject="the kernel",
        seed=met.seed,
        case_number=met.number,
        repro="",
        details=difference.details,
    )
    repro = met.again or f"tunproof fuzz kernel --replay {shlex.quote(str(out / finding.folder))}"
    return findings.keep(out, msgspec.structs.replace(finding, repro=repro), instead_of=instead_of)


def way_from(finding: Finding) -> Way:
    """Return the path of a finding's frame. Raises `UsageError` if this version does not know it."""
    try:
        return way_of(msgspec.convert(finding.way, ToldWay))
    except msgspec.ValidationError as error:
        raise UsageError(f"the finding's way is invalid: {error}") from error


def frame_from(finding: Finding) -> bytes:
    """Return the frame of a finding. Raises `UsageError` if it has none."""
    try:
        return bytes.fromhex(finding.input["frame"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("the finding's input has no frame in hex") from error


def _told(outcome: KernelOutcome | str) -> dict[str, Any]:
    if isinstance(outcome, str):
        return {"outcome": "unknown", "detail": outcome}
    if isinstance(outcome, Refused):
        return {"outcome": "refused", "errno": errno.errorcode.get(outcome.errno, str(outcome.errno))}
    if isinstance(outcome, Delivered):
        return {"outcome": "delivered", "packets": [packet.hex() for packet in outcome.packets]}
    return {"outcome": "lost"}
