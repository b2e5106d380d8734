"""A target under atheris: one child process, libFuzzer's status, and the input that broke the invariant.

Nothing touches the disk: seeds and dictionary are read where they are, new inputs stay in the child's memory (unless a
folder is named to grow them in), and a crashing input comes back in a memory file. So there is nothing to clean up,
however it ends; the child dies with this process.
"""

import importlib.util
import os
import re
import resource
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from tunfuzz.targets import Target
from tunproof.corpus.load import CORPORA
from tunproof.errors import EnvironmentProblem

__all__ = [
    "CHILD",
    "DEFAULT",
    "Crash",
    "Fuzzer",
    "How",
    "Limits",
    "Stats",
    "child_command",
    "dictionary_of",
    "seeds_of",
]

CHILD = Path(__file__).with_name("child.py")
_SEEDS = "seeds"
_TAIL = 60  # lines of the child's output that are kept
_STATUS = re.compile(r"#(\d+)\s+[A-Za-z]+\s+(?:cov: (\d+) )?.*exec/s: (\d+)")
_FINAL = re.compile(r"stat::(number_of_executed_units|average_exec_per_sec):\s+(\d+)")
_ERROR = re.compile(r"ERROR: (?:libFuzzer|AddressSanitizer): (.*)")
_EXCEPTION = re.compile(r"=== Uncaught Python exception: ===")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one input: `seconds` (whole) until it counts as a hang, `memory` of the process in MiB."""

    seconds: int = 10
    memory: int = 1024


DEFAULT = Limits()


class How(StrEnum):
    """How an input breaks a target."""

    BROKEN = "broken"
    HANG = "hang"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Crash:
    """An input that breaks a target: how, in words, and the end of libFuzzer's output."""

    data: bytes
    how: How
    error: str
    log: str


@dataclass(slots=True)
class Stats:
    """How much was done: `coverage` counts the branches that were taken."""

    executions: int = 0
    per_s: int = 0
    coverage: int = 0


class Fuzzer:
    """One run of libFuzzer. Call `read` while it returns true; then `crash` is set, or there was none.

    `seed` 0 is chosen by libFuzzer. `grow` is a folder whose inputs are used too and that receives new ones.
    Raises `EnvironmentProblem` if atheris is missing or the target does not start.
    """

    def __init__(
        self, target: Target, *, seconds: int, seed: int = 0, grow: Path | None = None, limits: Limits = DEFAULT
    ) -> None:
        if importlib.util.find_spec("atheris") is None:
            raise EnvironmentProblem(
                "atheris, which runs coverage-guided targets, is not installed; replaying a file needs none",
                cure="pip install 'tunproof[fuzz]' (there are packages for Linux on x86-64)",
            )
        self.target = target
        self.stats = Stats()
        self.crash: Crash | None = None
        self._errors: list[str] = []
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._started = time.monotonic()
        self._partial = b""
        self._artifact = os.memfd_create("artifact")
        flags = _flags(target, seconds=seconds, seed=seed, grow=grow, limits=limits)
        try:
            self._child = subprocess.Popen(  # noqa: S603 (an argument list, no shell)
                child_command("fuzz", target, *flags, f"-exact_artifact_path=/proc/self/fd/{self._artifact}"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # atheris prints there what was raised
                stderr=subprocess.STDOUT,
                pass_fds=(self._artifact,),
                start_new_session=True,  # Ctrl-C is ours to handle
                bufsize=0,
            )
        except BaseException:
            os.close(self._artifact)
            raise

    @property
    def process_id(self) -> int:
        """The child."""
        return self._child.pid

    @property
    def seconds(self) -> float:
        """How long it has been running, or ran until it ended."""
        return time.monotonic() - self._started

    def fileno(self) -> int:
        """Return the file to wait for."""
        assert self._child.stdout is not None
        return self._child.stdout.fileno()

    def read(self) -> bool:
        """Process libFuzzer's next output; false once it has ended. Raises `EnvironmentProblem`."""
        data = os.read(self.fileno(), 1 << 16)
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))
        if not data:
            self._ended()
        return bool(data)

    def close(self) -> None:
        """End the child, and release everything. Closing twice is harmless."""
        self._child.kill()
        self._child.wait()
        if self._child.stdout is not None and not self._child.stdout.closed:
            self._child.stdout.close()
            os.close(self._artifact)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, line: str) -> None:
        if self._errors and _EXCEPTION.search(self._errors[-1]):
            self._errors[-1] = line
        elif _ERROR.search(line) or _EXCEPTION.search(line):
            self._errors.append(line)
        if status := _STATUS.match(line):
            executions, coverage, per_s = status.groups()
            self.stats = Stats(int(executions), int(per_s), int(coverage or self.stats.coverage))
        elif final := _FINAL.match(line):
            name = "executions" if final[1] == "number_of_executed_units" else "per_s"
            setattr(self.stats, name, int(final[2]))
        elif not line.startswith("INFO: Instrumenting"):
            self._tail.append(line)

    def _ended(self) -> None:
        code = self._child.wait()
        if code == 0:
            return
        log = "\n".join(self._tail)
        if not self._errors:
            raise EnvironmentProblem(
                f"the target {self.target.name} ended with exit code {code} and found nothing:\n{log}",
                cure="fix what the last lines report",
            )
        data = os.pread(self._artifact, os.fstat(self._artifact).st_size, 0)
        self.crash = Crash(data, _how(self._errors), self._errors[0], log)


def child_command(mode: str, target: Target, *flags: str) -> list[str]:
    """Return the command of a child of this process."""
    # -P: the modules beside it are named like the functions that they test, and must not shadow anything.
    start = [sys.executable, "-P", str(CHILD), mode]
    return [*start, target.module, ",".join(target.packages), str(os.getpid()), *flags]


def seeds_of(target: Target) -> list[Path]:
    """Return the inputs to begin with; none in an installed wheel, which has no seeds."""
    return sorted(path for path in (CORPORA / _SEEDS / target.name).glob("*") if path.suffix != ".dict")


def dictionary_of(target: Target) -> Path | None:
    """Return the dictionary, in libFuzzer's format."""
    path = CORPORA / _SEEDS / target.name / f"{target.name}.dict"
    return path if path.exists() else None


def _peak_of_ours() -> int:
    """Return this process's peak memory in MiB: `execve` passes it on, and libFuzzer counts it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _flags(target: Target, *, seconds: int, seed: int, grow: Path | None, limits: Limits) -> list[str]:
    flags = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={target.max_length}",
        f"-timeout={limits.seconds}",
        f"-rss_limit_mb={limits.memory + _peak_of_ours()}",
        "-print_final_stats=1",
    ]
    if seeds := seeds_of(target):
        flags.append(f"-seed_inputs={','.join(map(str, seeds))}")
    if dictionary := dictionary_of(target):
        flags.append(f"-dict={dictionary}")
    return flags if grow is None else [*flags, str(grow)]


def _how(errors: list[str]) -> How:
    if any("timeout" in error for error in errors):
        return How.HANG
    if any("out-of-memory" in error for error in errors):
        return How.MEMORY
    return How.BROKEN
