"""Kernels brought into the cache: verified by apt, unpacked to the side, and renamed once complete."""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.matrix.apt import FULL, DiskFull, GoneFromArchive, problem, program, run
from tunproof.matrix.archive import Archive, Offer, Package
from tunproof.matrix.choose import Wish, choose, choose_kept, lacking, offered, parts, release_of, upstream_of, wish
from tunproof.matrix.kernels import NOTE, Kernel, Note, banner, in_cache, read_kernel
from tunproof.matrix.suites import Suite

__all__ = ["Fetched", "Tell", "fetch"]

Tell = Callable[[int, str], None]
"""Called with the number of kernels done, and with what is going on."""

_ASIDE = ".making-"
"""Begins the name of an incomplete folder; only the holder of the lock has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The result of one wish: a kernel, or a problem with its cure."""

    wish: str
    kernel: Kernel | None = None
    new: bool = False
    """Whether it was downloaded just now."""
    bytes: int = 0
    """Of the packages that were downloaded just now."""
    seconds: float = 0.0
    problem: str = ""
    cure: str = ""


class _Fetcher:
    """One call of `fetch`: the archive is opened when the first kernel is not in the cache."""

    def __init__(self, cache: Path, *, refresh: bool, tell: Tell) -> None:
        self.cache = cache
        self.refresh = refresh
        self.tell = tell
        self.done = 0
        self._archive: Archive | None = None
        self._offer: Offer | None = None
        self._refused: EnvironmentProblem | None = None

    def get(self, asked: Wish) -> Fetched:
        begin = time.monotonic()
        try:
            kept = None if self.refresh else choose_kept(asked, in_cache(self.cache))
            if kept is not None:
                return Fetched(wish=asked.text, kernel=kept)
            kernel, size = self._bring(asked)
        except EnvironmentProblem as error:
            if isinstance(error, DiskFull):  # resuming later is worth less than the space
                self.tidy()
            return Fetched(wish=asked.text, problem=error.what, cure=error.cure, seconds=time.monotonic() - begin)
        return Fetched(wish=asked.text, kernel=kernel, new=size > 0, bytes=size, seconds=time.monotonic() - begin)

    def tidy(self) -> None:
        """Remove interrupted downloads that are no longer needed."""
        if self._archive is not None:
            self._archive.tidy()

    def suites(self) -> tuple[Suite, ...]:
        return self._offer.suites if self._offer is not None else ()

    def _bring(self, asked: Wish) -> tuple[Kernel, int]:
        """Return the kernel, and how many bytes were downloaded for it."""
        archive, offer = self._open()
        try:
            return self._unpacked(asked, archive, offer)
        except GoneFromArchive:
            if archive.refreshed:
                raise
        # Lists may be a day old, and security updates replace packages: look again before giving up.
        self._offer = archive.offer(refresh=True, progress=self._reader("lists"))
        return self._unpacked(asked, archive, self._offer)

    def _open(self) -> tuple[Archive, Offer]:
        if self._refused is not None:  # it would fail for the same reason, perhaps after minutes
            raise self._refused
        try:
            if self._archive is None or self._offer is None:
                self._archive = Archive(self.cache)
                self._offer = self._archive.offer(refresh=self.refresh, progress=self._reader("lists"))
        except EnvironmentProblem as error:
            self._refused = error
            raise
        return self._archive, self._offer

    def _unpacked(self, asked: Wish, archive: Archive, offer: Offer) -> tuple[Kernel, int]:
        image = choose(asked, offer.packages)
        if image is None:
            raise _gone(asked, offer, refreshed=archive.refreshed)
        target = self.cache / f"{release_of(image)}_{image.version}"
        kept = read_kernel(target)
        if kept is not None:
            return kept, 0
        if gone := lacking(image, offer.packages):
            raise _gone(asked, offer, refreshed=archive.refreshed, part=", ".join(gone))
        packages = parts(image, offer.packages)
        with _aside(self.cache) as aside:
            files = archive.download(packages, progress=self._reader(str(image)))
            self.tell(self.done, f"unpacking {image}")
            for file in files:
                _unpack(file, aside / "unpacked", self.cache)
            whole = aside / "kernel"
            _gather(aside / "unpacked", whole, image, sum(package.size for package in packages))
            _settle(whole, target)
        for file in files:
            file.unlink()
        kernel = read_kernel(target)
        if kernel is None:
            raise EnvironmentProblem(f"{target} cannot be read back", cure="remove the folder and try again")
        return kernel, sum(package.size for package in packages)

    def _reader(self, what: str) -> Callable[[float], None]:
        return lambda percent: self.tell(self.done, f"{what}: {percent:.0f} %")


def fetch(
    names: Sequence[str],
    cache: Path,
    *,
    refresh: bool = False,
    tell: Tell = lambda _done, _what: None,
    got: Callable[[Fetched], None] = lambda _fetched: None,
) -> tuple[list[Fetched], tuple[Suite, ...]]:
    """Bring kernels into the cache, each as series, version, release or package; `got` is called with each.

    A kernel that cannot be had does not keep the others from coming. What the cache has costs nothing, unless `refresh`
    requests the newest. Returns the result for each, and for the suites if the archive was consulted at all.

    Raises `UsageError` for a name that is not a kernel's, and `EnvironmentProblem` if the cache cannot be used at all.
    """
    wishes = [wish(name) for name in dict.fromkeys(names)]
    results = []
    with _locked(cache):
        fetcher = _Fetcher(cache, refresh=refresh, tell=tell)
        for asked in wishes:
            tell(fetcher.done, asked.text)
            results.append(fetcher.get(asked))
            fetcher.done += 1
            got(results[-1])
        tell(fetcher.done, "")
        if all(one.kernel is not None for one in results):
            fetcher.tidy()
    return results, fetcher.suites()


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Lock the cache for this process, and remove what a killed process left there."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = os.open(cache / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise EnvironmentProblem(f"the cache cannot be used: {error}", cure="use another: --cache DIR") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EnvironmentProblem(f"{cache} is in use by another process", cure="wait for it, or end it") from error
        for left in cache.glob(f"{_ASIDE}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(lock)


@contextmanager
def _aside(cache: Path) -> Iterator[Path]:
    """Make a folder beside the kernels, on the same file system, and always remove it."""
    folder = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=cache))
    try:
        yield folder
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise problem("unpacking", FULL, cache) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(file: Path, to: Path, cache: Path) -> None:
    ran = run([program("dpkg-deb"), "-x", str(file), str(to)])
    if ran.code:
        raise problem(f"unpacking {file.name}", ran.text, cache)


def _gather(unpacked: Path, whole: Path, image: Package, size: int) -> None:
    """Move what a kernel needs into the folder `whole`: the image, the modules, and the note about them.

    Old packages have boot/vmlinuz-RELEASE and lib/modules, new ones usr/lib/modules with the kernel inside.
    """
    release = release_of(image)
    kernel, modules = whole / "vmlinuz", whole / "lib" / "modules" / release
    _move_modules((unpacked / "lib/modules" / release, unpacked / "usr/lib/modules" / release), modules)
    _move_first((unpacked / f"boot/vmlinuz-{release}", modules / "vmlinuz"), kernel)
    if not kernel.is_file() or not (modules / "kernel").is_dir():
        lacks = "modules" if kernel.is_file() else "kernel"
        raise EnvironmentProblem(
            f"{image} has an unknown layout: it contains no {lacks}",
            cure="please report it; --kernel PATH --modules DIR takes files that you unpacked yourself",
        )
    _check_release(kernel, image)
    note = Note(
        release=release,
        version=upstream_of(image.version),
        package=str(image),
        image=kernel.relative_to(whole).as_posix(),
        modules=modules.relative_to(whole).as_posix(),
        bytes=size,
    )
    (whole / NOTE).write_bytes(msgspec.json.format(msgspec.json.encode(note)) + b"\n")


def _move_modules(folders: Iterable[Path], to: Path) -> None:
    to.mkdir(parents=True)
    for folder in folders:
        for entry in folder.iterdir() if folder.is_dir() else ():
            if not entry.is_symlink():  # `build` and `source` point to headers that are not here
                entry.rename(to / entry.name)


def _move_first(candidates: Iterable[Path], to: Path) -> None:
    """Move the first file that is there."""
    for candidate in candidates:
        if candidate.is_file():
            candidate.rename(to)
            return


def _check_release(kernel: Path, image: Package) -> None:
    """Raise `EnvironmentProblem` where a kernel says that it is another than its package does."""
    try:
        says = banner(kernel).partition(" ")[0]
    except UsageError as error:
        raise EnvironmentProblem(f"{image}: {error}", cure="please report it") from error
    if says != release_of(image):
        raise EnvironmentProblem(f"{image} contains the kernel {says}", cure="please report it")


def _settle(whole: Path, target: Path) -> None:
    """Give a folder its name, once all its contents have reached the disk."""
    os.sync()  # thousands of modules: one by one would take seconds
    if target.exists():  # it is damaged, or it would have been used
        shutil.rmtree(target)
    whole.rename(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _gone(asked: Wish, offer: Offer, *, refreshed: bool, part: str = "") -> EnvironmentProblem:
    """Say that the suites do not have what was requested, and what they have."""
    unread = {suite.cure(): [one.name for one in offer.suites if one.cure() == suite.cure()] for suite in offer.suites}
    hints = [f"{', '.join(names)} could not be read: {cure}" for cure, names in unread.items() if cure]
    if not refreshed:
        hints.append("--refresh looks again: the lists may be a day old")
    return EnvironmentProblem(
        f"{asked.text}: {part + ' is ' if part else ''}gone from the archive; {offered(asked, offer.packages)}",
        cure="; ".join([*hints, "use one that is available, or --kernel PATH --modules DIR with your own"]),
    )
