"""From a difference between kernel and model to a finding."""

import dataclasses
import errno
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tio.linux import Delivered, Outcome, Refused, Traits, Way
from tio.tuntap import Offload
from tunproof import findings
from tunproof.errors import UsageError
from tunproof.findings import Finding
from tunproof.judge import first_difference
from tunproof.kernel import describe_outcome

__all__ = ["Difference", "keep", "rule_of", "way_from"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A frame of which kernel and model say different things. `got` is words where the kernel could not be asked."""

    frame: bytes
    way: Way
    predicted: Outcome
    trail: list[str]
    got: Outcome | str
    details: str = ""

    @property
    def rule(self) -> str:
        """What is broken: the rule that the model went by, or the first field that is different."""
        return rule_of(self.predicted, self.trail, self.got)

    @property
    def title(self) -> str:
        """What differs, in one line."""
        got = self.got if isinstance(self.got, str) else describe_outcome(self.got)
        return f"{self.rule}: the model says {describe_outcome(self.predicted)}, the kernel {got}"


def rule_of(predicted: Outcome, trail: list[str], got: Outcome | str) -> str:
    """Return the name under which differences are the same one."""
    if isinstance(got, str):
        return "the kernel cannot be asked"
    if not isinstance(predicted, Delivered):
        return trail[-1] if trail else "nothing"
    if isinstance(got, Refused):
        return f"unforeseen {errno.errorcode.get(got.errno, got.errno)}"
    if not isinstance(got, Delivered):
        return "unforeseen loss"
    different = first_difference(predicted.packets, got.packets)
    return f"field {different.field}" if different else "nothing"


def keep(difference: Difference, out: Path, *, traits: Traits, seed: int, number: int) -> Path:
    """Write a difference into `out` and return its folder. Raises `EnvironmentProblem`."""
    finding = Finding(
        kind="kernel",
        title=difference.title,
        rule=difference.rule,
        operation="read",
        input={"frame": difference.frame.hex()},
        way=dataclasses.asdict(difference.way),
        expected=_told(difference.predicted),
        got=_told(difference.got),
        traits=tuple(sorted(traits)),
        kernel=os.uname().release,
        subject="the kernel",
        seed=seed,
        case_number=number,
        repro="",
        details=difference.details,
    )
    repro = f"tunproof fuzz kernel --replay {shlex.quote(str(out / finding.folder))}"
    return findings.keep(out, msgspec.structs.replace(finding, repro=repro))


def way_from(finding: Finding) -> Way:
    """Return the way that a finding's frame took. Raises `UsageError` where it is none of this version's."""
    known = {field.name for field in dataclasses.fields(Way)}
    if not known >= set(finding.way):
        raise UsageError(f"the finding's way has unknown parts: {', '.join(sorted(set(finding.way) - known))}")
    reader = finding.way.get("reader")
    return Way(**finding.way | {"reader": None if reader is None else Offload(reader)})


def _told(outcome: Outcome | str) -> dict[str, Any]:
    if isinstance(outcome, str):
        return {"outcome": "unknown", "detail": outcome}
    if isinstance(outcome, Refused):
        return {"outcome": "refused", "errno": errno.errorcode.get(outcome.errno, str(outcome.errno))}
    if isinstance(outcome, Delivered):
        return {"outcome": "delivered", "packets": [packet.hex() for packet in outcome.packets]}
    return {"outcome": "lost"}
