"""From a difference to a finding on disk, and from a finding back to its input."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tunfuzz.peer.cases import Input, input_of
from tunfuzz.peer.judging import Judged
from tunproof.corpus.codec import builtins_of
from tunproof.errors import UsageError
from tunproof.judge.outcome import Answered, Broken, Transmitted, TurnedDown
from tunproof.runs import findings
from tunproof.runs.findings import Finding

__all__ = ["Kept", "input_from", "keep", "unwritten"]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a summary says about a finding.

    Attributes:
        folder: where it is; "" if it could not be written.
        title: what differs, in one line.
        rule: what is broken.
        operation: of the corpus.
        flag: the class of bugs that it resembles; "" if none does.
        effect: what users see of such bugs.
        like: the golden case that fails alike.
        times: how often it occurred.
    """

    folder: str
    title: str
    rule: str
    operation: str
    flag: str = ""
    effect: str = ""
    like: str = ""
    times: int = 1


def unwritten(one: Judged) -> Kept:
    """Return what a summary says about a difference that is not on disk."""
    operation = one.case.id.partition("/")[0]
    return Kept(folder="", title=_title(operation, one), rule=one.rule, operation=operation)


def keep(  # noqa: PLR0913 (what is known of a finding)
    out: Path,
    one: Judged,
    *,
    subject: str,
    words: Sequence[str],
    seed: int,
    number: int,
    flag: str = "",
    details: str = "",
    instead_of: Path | None = None,
) -> Finding:
    """Put a difference into `out`, replacing what was known of it before. Raises `EnvironmentProblem`.

    `words` are the command-line words that name the subject, with its options.
    """
    operation = one.case.id.partition("/")[0]
    finding = Finding(
        kind="adapter",
        title=_title(operation, one),
        rule=one.rule,
        operation=operation,
        input=builtins_of(one.case.input),
        expected=builtins_of(one.case.expect),
        got=_got(one),
        flags=(flag,) if flag else (),
        subject=subject,
        seed=seed,
        case_number=number,
        repro="",
        details="\n\n".join(filter(None, (details, one.verdict.difference, _trace(one), one.observed.stderr.strip()))),
    )
    replay = ["tunproof", "fuzz", "adapter", "--replay", str(out / finding.folder), *words]
    finding = msgspec.structs.replace(finding, repro=shlex.join(replay))
    findings.keep(out, finding, instead_of=instead_of)
    return finding


def input_from(finding: Finding) -> Input:
    """Return the input of a finding. Raises `UsageError` if it is not about an adapter."""
    try:
        return input_of(finding.operation, finding.input)
    except (KeyError, msgspec.ValidationError) as error:
        raise UsageError(f"the finding holds no input of an adapter ({finding.operation!r}): {error}") from error


def _title(operation: str, one: Judged) -> str:
    said = one.verdict.difference.partition("\n")[0]
    return f"{operation}, {one.verdict.kind}: {said}"


def _got(one: Judged) -> dict[str, Any]:
    said = one.verdict.difference.partition("\n")[0]
    what = "packets" if one.case.id.startswith("read/") else "frames"
    match one.observed.outcome:
        case Answered(value=list() as packets) if all(isinstance(packet, bytes) for packet in packets):
            return {"outcome": "answered", what: list(map(bytes.hex, packets)), "detail": said}
        case Answered(value=value):
            return {"outcome": "answered", "detail": f"{said}: {value.hex() if isinstance(value, bytes) else value}"}
        case Transmitted(packets=packets):
            return {"outcome": "delivered", "packets": list(map(bytes.hex, packets)), "detail": said}
        case TurnedDown(reason=reason, frames=frames):
            return {"outcome": "rejected", what: list(map(bytes.hex, frames)), "detail": reason}
    return {"outcome": str(one.verdict.kind), "detail": said}


def _trace(one: Judged) -> str:
    return one.observed.outcome.trace if isinstance(one.observed.outcome, Broken) else ""
