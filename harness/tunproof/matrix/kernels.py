"""Kernels that can be booted: those in the cache, and those that a user built.

A kernel in the cache has its own folder, `RELEASE_PACKAGEVERSION`, with `vmlinuz`, `lib/modules/RELEASE` and
`kernel.json`. The folder gets its name once everything in it has reached the disk, so a folder with that name is
complete.
"""

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tunproof.errors import UsageError
from tunproof.matrix.order import order

__all__ = ["NOTE", "Kernel", "Note", "banner", "cache_folder", "in_cache", "own", "read_kernel"]

NOTE = "kernel.json"
"""The file that describes a folder of the cache."""

_BANNER_MOST = 512  # bytes; release, builder, compiler and date take about 200
_MAGIC = slice(0x202, 0x206)  # of the boot protocol's header
_POINTER = 0x20E  # to the banner, 16 bits little-endian, counted from 0x200
_POINTER_FROM = 0x200


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel and where its files are. `release` is what `uname -r` prints, `version` the upstream one, "6.12.95"."""

    release: str
    version: str
    package: str
    """Name and version of the Debian package, "linux-image-6.12.95+deb13-cloud-amd64 6.12.95-1"; "" without one."""
    image: Path
    """A bzImage."""
    modules: Path | None
    """The folder with `kernel/`, such as lib/modules/RELEASE; its files may be compressed, as `.ko.xz` or `.ko.zst`."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of `kernel.json`. Paths are relative to its folder."""

    release: str
    version: str
    package: str
    image: str
    modules: str
    bytes: int
    """Size of the downloaded packages."""


def cache_folder() -> Path:
    """Return where kernels are kept: `$TUNPROOF_CACHE`, or `tunproof/kernels` in the user's cache folder."""
    if folder := os.environ.get("TUNPROOF_CACHE"):
        return Path(folder).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # the XDG specification: ignore a relative path
        base = Path.home() / ".cache"
    return base / "tunproof" / "kernels"


def in_cache(folder: Path) -> list[Kernel]:
    """Return the kernels of a cache, oldest version first. Incomplete and foreign folders are left out."""
    found = [kernel for note in folder.glob(f"[!.]*/{NOTE}") if (kernel := read_kernel(note.parent)) is not None]
    return sorted(found, key=lambda kernel: (order(kernel.version), order(kernel.package.rpartition(" ")[2])))


def read_kernel(folder: Path) -> Kernel | None:
    """Return the kernel in one folder of a cache, or None if its files do not match its note."""
    try:
        note = msgspec.json.decode((folder / NOTE).read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        return None
    image, modules = folder / note.image, folder / note.modules
    if not image.is_file() or not modules.is_dir():
        return None
    return Kernel(release=note.release, version=note.version, package=note.package, image=image, modules=modules)


def own(image: Path, modules: Path | None) -> Kernel:
    """Return a kernel that a user built, from its bzImage and the folder of its modules.

    Raises `UsageError` if the files are something else.
    """
    text = banner(image)
    release = text.partition(" ")[0]
    if modules is not None and not (modules / "kernel").is_dir():
        raise UsageError(f"--modules {modules}: it has no folder kernel/, unlike lib/modules/RELEASE")
    # A distribution numbers its releases differently; the banner ends with the package's version.
    packaged = re.search(r" Debian (\d+(?:\.\d+)+)\S*", text)
    upstream = packaged or re.match(r"(\d+(?:\.\d+)+)", release)
    if upstream is None:
        raise UsageError(f"--kernel {image}: its release {release!r} does not begin with a version")
    return Kernel(
        release=release,
        version=upstream[1],
        package="",
        image=image.absolute(),
        modules=None if modules is None else modules.absolute(),
    )


def banner(image: Path) -> str:
    """Return the version string of a bzImage: "6.12.95 (who@where) #1 SMP …". Raises `UsageError` if it is not one."""
    try:
        with image.open("rb") as file:
            head = file.read(0x210)
            if head[_MAGIC] != b"HdrS":
                raise UsageError(f"{image} is not a bzImage of a Linux kernel: it has no boot protocol header")
            file.seek(struct.unpack_from("<H", head, _POINTER)[0] + _POINTER_FROM)
            text = file.read(_BANNER_MOST).partition(b"\0")[0]
    except (OSError, struct.error) as error:
        raise UsageError(f"{image} cannot be read as a kernel: {error}") from error
    return text.decode("ascii", "replace")
