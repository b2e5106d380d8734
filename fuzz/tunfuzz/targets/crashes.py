"""From an input that breaks a target to a finding: minimised, explained, and on disk."""

import json
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from tunfuzz.targets import Target
from tunfuzz.targets.driver import Crash, How, child_command
from tunproof.errors import UsageError
from tunproof.runs import findings
from tunproof.runs.findings import Finding

__all__ = ["data_of", "keep", "minimised"]

_PATIENCE: Final = 20.0  # seconds to minimise an input


def minimised(target: Target, crash: Crash, patience: float = _PATIENCE) -> Crash:
    """Return the smallest input found that breaks the target at the same place with the same type of exception.

    A child tries, because the input may do anything. One that hangs or exhausts memory is returned unchanged.
    """
    if crash.how is not How.BROKEN:
        return crash
    command = child_command("minimise", target)
    try:
        said = subprocess.run(command, input=crash.data, capture_output=True, timeout=patience, check=False).stdout  # noqa: S603
    except subprocess.TimeoutExpired as expired:
        said = expired.stdout or b""
    steps = said[: said.rfind(b"\n") + 1].splitlines()  # the last one may be truncated
    if not steps:
        return crash
    smallest = json.loads(steps[-1])
    return Crash(bytes.fromhex(smallest["data"]), How.BROKEN, smallest["error"], smallest["trace"])


def keep(out: Path, target: Target, crash: Crash, *, seed: int) -> Path:
    """Put the finding into `out` and return its folder. Raises `EnvironmentProblem`."""
    finding = Finding(
        kind="target",
        title=f"{target.name}: {crash.error.partition(chr(10))[0]}",
        rule=f"{target.name} {crash.how.value}",
        input={"data": crash.data.hex()},
        expected={"outcome": "holds", "detail": target.invariant},
        got={"outcome": crash.how.value, "detail": crash.error},
        seed=seed or None,
        repro="",
        details=crash.log,
    )
    repro = f"tunproof fuzz {target.name} {out / finding.folder}"
    return findings.keep(out, msgspec.structs.replace(finding, repro=repro))


def data_of(path: Path) -> bytes:
    """Return the input in a file: that of a finding (its folder, or finding.json), or the bytes of any other file.

    Raises `UsageError`.
    """
    if path.is_dir() or path.name == findings.FINDING:
        given = findings.load(path).input
        try:
            return bytes.fromhex(given["data"])
        except (KeyError, TypeError, ValueError):
            raise UsageError(f"{path}: this finding has no input of a fuzz target") from None
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a file whose bytes are to be tried") from error
