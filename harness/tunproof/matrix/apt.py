"""A sandbox for apt: its folders are ours, its proxy, access and method settings are the machine's.

apt reads the machine's configuration first and our file after it, so only what that file says is different. Nothing of
the machine is written: lists, packages, locks and caches have folders below ours, and apt's hooks are cleared.
"""

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tunproof.errors import EnvironmentProblem

__all__ = ["FULL", "DiskFull", "GoneFromArchive", "Progress", "Ran", "Sandbox", "is_full", "problem", "program", "run"]

FULL = "No space left on device"
"""What every program prints on a full disk."""

Progress = Callable[[float], None]
"""Called with the progress, in percent."""

_CONFIGURATION = """\
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::Contents-deb;
#clear Acquire::IndexTargets::deb::CNF;
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Default-Release "";
// If root runs this, apt's own user may not enter a cache folder below /root.
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
APT::Get::AllowUnauthenticated "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::PDiffs "false";
Acquire::Retries "2";
Dir::State "{folder}/state/";
Dir::State::lists "{folder}/state/lists/";
Dir::State::status "{folder}/state/status";
Dir::State::extended_states "{folder}/state/extended_states";
Dir::Cache "{folder}/cache/";
Dir::Cache::archives "{folder}/cache/archives/";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "";
Dir::Log "{folder}/log/";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
"""
_FOLDERS = ("state/lists/partial", "cache/archives/partial", "log")
_STOP = 10  # seconds that apt has to end when told to
_STALL = 180.0  # seconds without output; apt itself gives up on an unresponsive server after 30, three times
_STALL_FULL = 15.0  # the same on a full disk, where apt may wait forever
_LITTLE = 32 << 20  # bytes; apt gives up on a file before the last block is used


class DiskFull(EnvironmentProblem):
    """No space is left."""


class GoneFromArchive(EnvironmentProblem):
    """The archive no longer has the file: the lists are out of date, or no server has it."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A failure that shows in what a program `said`: what it means, and the cure.

    In the meaning, {folder} stands for the folder that was written to, and {said} for the words that show it.
    """

    said: re.Pattern[str]
    means: str
    cure: str
    error: type[EnvironmentProblem] = EnvironmentProblem


_KNOWN = (
    _Known(
        re.compile(re.escape(FULL)),
        "no space is left below {folder}",
        "free some (lists take 250 MB, a kernel 40 to 250 MB), or use another folder: --cache DIR",
        DiskFull,
    ),
    _Known(
        re.compile(r"\b404\b|Unable to locate package|Version '.*' for '.*' was not found"),
        "gone from the archive",
        "--refresh, then an available one; or --kernel PATH --modules DIR with your own files",
        GoneFromArchive,
    ),
    _Known(
        re.compile(r"Hash Sum mismatch|unexpected size"),
        "the download is not what the archive signed, so it was discarded",
        "try again in a few minutes with --refresh: mirrors change while they are read",
    ),
    _Known(
        re.compile(
            r"(?:Temporary failure resolving|Could not resolve|Could not connect|Unable to connect|Cannot initiate the "
            r"connection|Connection (?:timed out|failed|refused)|Network is unreachable|Proxy).*"
        ),
        "the archive cannot be reached ({said})",
        "try again with a network; a proxy is set where apt looks for it, such as http_proxy or Acquire::http::Proxy",
    ),
    _Known(re.compile(r"Permission denied"), "{folder} cannot be written", "use another folder: --cache DIR"),
)
"""Known failures; the first that matches is what happened."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and all its output."""

    code: int
    text: str


class Sandbox:
    """An apt of our own in `folder`. Raises `EnvironmentProblem` if there is no apt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.apt = program("apt-get")

    def prepare(self, sources: str) -> None:
        """Make the folders and write the configuration. `sources` are lines as in sources.list."""
        if re.search(r'["\n]', str(self.folder)):
            raise EnvironmentProblem(f"apt cannot work in {str(self.folder)!r}", cure="--cache DIR, without quotes")
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("apt.conf", _CONFIGURATION.format(folder=self.folder)),
            ("sources.list", sources),
            ("state/status", ""),  # nothing is installed: the machine's packages do not matter
        ):
            (self.folder / name).write_text(text)

    def run(self, *arguments: str, cwd: Path | None = None, progress: Progress | None = None) -> Ran:
        """Run apt-get with our configuration."""
        options = ["-c", str(self.folder / "apt.conf"), "-o", "APT::Status-Fd=1"]
        return run([self.apt, *options, *arguments], cwd=cwd or self.folder, progress=progress)


def program(name: str) -> str:
    """Return the path of apt-get or dpkg-deb. Raises `EnvironmentProblem` if the machine does not have it."""
    found = shutil.which(name)
    if found is None:
        raise EnvironmentProblem(
            f"{name} is missing: Debian's kernels are fetched with Debian's own tools",
            cure="on Debian and Ubuntu `apt-get install apt dpkg`; elsewhere fetch in a Debian container and copy its "
            "cache folder (TUNPROOF_CACHE), or name your own kernel: --kernel PATH --modules DIR",
        )
    return found


def run(command: list[str], *, cwd: Path | None = None, progress: Progress | None = None) -> Ran:
    """Run a program to its end, or end it with us. It gets no input, and prints English."""
    lines: list[str] = []
    # Never the user's language: `problem` and `suites` parse apt's output.
    environment = {**os.environ, "LC_ALL": "C", "LANGUAGE": ""}
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            with _Watch(process, cwd) as news:
                for line in process.stdout or ():
                    news(line)
                    if not line.startswith("dlstatus:"):
                        lines.append(line)
                    elif progress is not None:
                        progress(float(line.split(":")[2]))
                process.wait()
        except BaseException:  # also Ctrl-C: apt must not keep writing while we clean up
            process.terminate()
            try:
                process.wait(_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return Ran(process.returncode, "".join([*lines, *news.verdict]))


class _Watch:
    """Ends a program that has printed nothing new for long; repeated lines are not new."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path | None) -> None:
        self.verdict: list[str] = []
        self._process = process
        self._folder = folder
        self._said = ""
        self._since = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def __call__(self, line: str) -> None:
        """Take note of a line."""
        if line != self._said:
            self._said, self._since = line, time.monotonic()

    def _look(self) -> None:
        while not self._over.wait(min(1.0, _STALL_FULL)):
            silent = time.monotonic() - self._since
            full = self._folder is not None and shutil.disk_usage(self._folder).free < _LITTLE
            if silent > (_STALL_FULL if full else _STALL):
                self.verdict.append(f"\nE: {FULL if full else f'no progress for {silent:.0f} s'}\n")
                self._process.terminate()
                return


def is_full(text: str) -> bool:
    """Return whether a program said that the disk is full."""
    return FULL in text


def problem(what: str, text: str, folder: Path) -> EnvironmentProblem:
    """Return what a failed apt or dpkg means, with the cure. `text` is what it said, `folder` where it wrote to."""
    for known in _KNOWN:
        if found := known.said.search(text):
            means = known.means.format(folder=folder, said=found[0].strip())
            return known.error(f"{what}: {means}", cure=known.cure)
    said = [line for line in text.splitlines() if line.startswith(("E:", "dpkg-deb: error"))] or text.splitlines()
    return EnvironmentProblem(
        f"{what}: {said[0].removeprefix('E: ').strip() if said else 'it printed nothing'}",
        cure="see apt's message; try again, with --refresh if the archive has changed",
    )
