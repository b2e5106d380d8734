"""From a difference between kernel and model to a finding."""

import dataclasses
import errno
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from tio.linux import Delivered, Outcome, Refused, Traits, Way
from tio.tuntap import Offload
from tunproof import findings
from tunproof.errors import UsageError
from tunproof.findings import Finding
from tunproof.judge import first_difference
from tunproof.kernel import describe_outcome

__all__ = ["Difference", "frame_from", "keep", "rule_of", "way_from"]


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
        if isinstance(self.predicted, Delivered) and isinstance(self.got, Delivered):
            different = first_difference(self.predicted.packets, self.got.packets)
            if different is not None:
                where = f"packet {different.packet}, {different.field} at byte {different.offset}"
                return f"{where}: the model says {different.expected}, the kernel {different.got}"
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
    try:
        told = msgspec.convert(finding.way, _Told)
    except msgspec.ValidationError as error:
        raise UsageError(f"the finding's way makes no sense: {error}") from error
    values = msgspec.structs.asdict(told)
    return Way(**values | {"reader": None if told.reader is None else Offload(told.reader)})


def frame_from(finding: Finding) -> bytes:
    """Return the frame of a finding. Raises `UsageError` where it has none."""
    try:
        return bytes.fromhex(finding.input["frame"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("the finding's input has no frame in hex") from error


_Size = Annotated[int, msgspec.Meta(ge=10, le=4096)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    """A way as JSON has it."""

    header_size: _Size = 10
    forwarded: bool = False
    mtu: Annotated[int, msgspec.Meta(ge=68, le=65535)] = 1500
    reader: _Number | None = None
    reader_header_size: _Size = 10
    reader_fill: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    gso_max_segs: _Number = 65535
    attached: bool = True
    up: bool = True
    readable: _Number | None = None


def _told(outcome: Outcome | str) -> dict[str, Any]:
    if isinstance(outcome, str):
        return {"outcome": "unknown", "detail": outcome}
    if isinstance(outcome, Refused):
        return {"outcome": "refused", "errno": errno.errorcode.get(outcome.errno, str(outcome.errno))}
    if isinstance(outcome, Delivered):
        return {"outcome": "delivered", "packets": [packet.hex() for packet in outcome.packets]}
    return {"outcome": "lost"}
