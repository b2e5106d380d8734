"""The kernel packages that Debian's suites offer, using apt's own lists and signature checks."""

import hashlib
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tunproof.errors import EnvironmentProblem
from tunproof.matrix.apt import FULL, Progress, Sandbox, is_full, problem
from tunproof.matrix.suites import Suite, bases, keyrings, machine_targets, sources, state, suites

__all__ = ["Archive", "Offer", "Package", "stanzas"]

_DAY = 24 * 3600
_ROOM = 300 << 20  # bytes for all lists and apt's index of them, with a margin
_ASK = 60  # seconds for a question to apt that needs no network
_HELPER = Path("/usr/lib/apt/apt-helper")


class Package(msgspec.Struct, frozen=True):
    """A package from a signed list. `needs` is what it depends on, with alternatives; `size` is in bytes."""

    name: str
    version: str
    size: int
    sha256: str
    needs: tuple[tuple[str, ...], ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def file(self) -> str:
        """Return the name that apt gives to its file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_amd64.deb"


class Offer(msgspec.Struct, frozen=True):
    """What all suites offer together, and the state of each suite."""

    packages: tuple[Package, ...]
    suites: tuple[Suite, ...]


class Archive:
    """Debian's archive as seen from a cache folder. Raises `EnvironmentProblem` if there is no apt."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.sandbox = Sandbox(cache / "apt")
        self.refreshed = False
        """Whether this object read the lists from the archive."""
        self.downloads = self.sandbox.folder / "downloads"
        self._kept = self.sandbox.folder / "offer.json"

    def offer(self, *, refresh: bool = False, progress: Progress | None = None) -> Offer:
        """Return what is available, from lists that are at most a day old."""
        kept = None if refresh else self._keep()
        return kept if kept is not None else self._refresh(progress)

    def download(self, packages: Sequence[Package], *, progress: Progress | None = None) -> list[Path]:
        """Return the packages' files, verified. An interrupted download resumes, so files stay until `tidy`.

        Raises `GoneFromArchive` if the lists name what the archive no longer has.
        """
        self.downloads.mkdir(parents=True, exist_ok=True)
        files = [self.downloads / package.file() for package in packages]
        names = [f"{package.name}={package.version}" for package in packages]
        for _ in range(2):
            ran = self.sandbox.run("download", *names, cwd=self.downloads, progress=progress)
            if ran.code or not all(file.is_file() for file in files):
                raise problem(str(packages[0]), ran.text, self.cache)
            if not _remove_wrong(zip(files, packages, strict=True)):
                return files
        raise problem(str(packages[0]), "Hash Sum mismatch", self.cache)

    def tidy(self) -> None:
        """Remove what was downloaded."""
        shutil.rmtree(self.downloads, ignore_errors=True)

    def _keep(self) -> Offer | None:
        try:
            if not 0 <= time.time() - self._kept.stat().st_mtime < _DAY:
                return None
            return msgspec.json.decode(self._kept.read_bytes(), type=Offer)
        except (OSError, msgspec.DecodeError):
            return None

    def _refresh(self, progress: Progress | None) -> Offer:
        self.sandbox.prepare(sources(bases(_ask(machine_targets())), keyrings()))
        if shutil.disk_usage(self.sandbox.folder).free < _ROOM and not self._kept.exists():
            raise problem("Debian's lists", FULL, self.cache)
        ran = self.sandbox.run("update", progress=progress)
        self.refreshed = True
        lists = dict(self._lists())
        found = tuple(state(name, listed=name in lists, said=ran.text) for name in suites())
        if not lists or is_full(ran.text):
            raise problem("Debian's lists", ran.text, self.cache)
        packages = {package: None for path in lists.values() for package in stanzas(_text(path))}
        offer = Offer(tuple(packages), found)
        whole = self._kept.with_suffix(".new")
        whole.write_bytes(msgspec.json.encode(offer))
        whole.replace(self._kept)
        return offer

    def _lists(self) -> Iterator[tuple[str, Path]]:
        """Return each suite that has a list, and the list. A suite has only one: that of `main`."""
        ran = self.sandbox.run("indextargets", "--format", "$(RELEASE)|$(FILENAME)", "Created-By: Packages")
        for line in ran.text.splitlines():
            name, bar, path = line.partition("|")
            if bar and Path(path).exists():
                yield name, Path(path)


def stanzas(text: bytes) -> Iterator[Package]:
    """Find the kernel packages in a list. Searching is much faster than parsing it all: lists are 60 MB long."""
    text = b"\n" + text
    at = 0
    while (at := text.find(b"\nPackage: linux-", at)) >= 0:
        end = text.find(b"\n\n", at)
        lines = text[at + 1 : end if end >= 0 else len(text)].decode("utf-8", "replace").split("\n")
        at += 1
        fields = dict(line.split(": ", 1) for line in lines if ": " in line and line[0] != " ")
        if _is_kernels(fields):
            needs = tuple(_needs(fields))
            yield Package(
                fields["Package"], fields["Version"], int(fields.get("Size", 0)), fields.get("SHA256", ""), needs
            )


def _is_kernels(fields: Mapping[str, str]) -> bool:
    """Whether a stanza is about an image, binary, modules or base package for amd64."""
    name = fields["Package"]
    wanted = name.startswith(("linux-image-", "linux-binary-", "linux-modules-", "linux-base-"))
    return wanted and name.endswith(("amd64", "amd64-unsigned")) and fields.get("Architecture") == "amd64"


def _needs(fields: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Yield each dependency of a stanza, its alternatives without versions."""
    depends = ", ".join(fields[key] for key in ("Pre-Depends", "Depends") if fields.get(key))
    for need in depends.split(", "):
        if need:
            yield tuple(word.split()[0] for word in need.split("|"))


def _remove_wrong(files: Iterable[tuple[Path, Package]]) -> bool:
    """Remove files that are not what the list says, and return whether there were any.

    apt verifies what it downloads, but takes a file that is there for right when its size is.
    """
    wrong = [file for file, package in files if _sha256(file) != package.sha256]
    for file in wrong:
        file.unlink()
    return bool(wrong)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ask(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_ASK, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        what = f"apt did not answer within {_ASK} s: {' '.join(command[:2])}"
        raise EnvironmentProblem(what, cure="check whether another apt blocks it") from error
    return done.stdout.decode(errors="replace")


def _text(path: Path) -> bytes:
    """Return a list's text. apt keeps lists compressed, in a format of its choice."""
    if "." not in path.name.rpartition("_")[2]:
        return path.read_bytes()
    command = [str(_HELPER), "cat-file", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_ASK, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentProblem(f"{path} cannot be read: {error}", cure="apt-get install --reinstall apt") from error
    return done.stdout
