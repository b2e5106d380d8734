"""Which kernel package a name means, and which packages contain its files.

Debian's kernel packages have had three layouts: all in one; a second package with what is neither kernel nor module
(6.18); an empty image package that depends on binary, modules and the rest (6.19 and later). Following the dependencies
that carry the release in their name covers all of them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tunproof.errors import UsageError
from tunproof.matrix.archive import Package
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.order import order

__all__ = [
    "DEFAULT_SERIES",
    "Wish",
    "choose",
    "choose_kept",
    "lacking",
    "offered",
    "parts",
    "release_of",
    "upstream_of",
    "wish",
]

DEFAULT_SERIES = ("5.10", "6.1", "6.12", "6.16", "6.17", "6.18", "7.2", "7.3")

_IMAGE = re.compile(r"linux-image-(?P<release>\d+\.\d\S*?-amd64)(?P<unsigned>-unsigned)?")
_KINDS: tuple[tuple[Literal["series", "version", "package", "release"], str], ...] = (
    ("series", r"\d+\.\d+"),
    ("version", r"\d+\.\d+(?:\.\d+)+"),
    ("package", r"linux-image-[a-z0-9.+~-]+"),
    ("release", r"\d+(?:\.\d+)+[+~-][a-zA-Z0-9.+~-]+"),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user named: a series "6.12", a version "6.12.43", a package, a release, or a package's version."""

    text: str
    kind: Literal["series", "version", "package", "release"]


def wish(text: str) -> Wish:
    """Parse what a user typed. Raises `UsageError` if it is none of the four."""
    for kind, pattern in _KINDS:
        if re.fullmatch(pattern, text):
            return Wish(text, kind)
    raise UsageError(
        f"{text!r} does not name a kernel: give a series (6.12), a version (6.12.43), a release "
        "(6.12.43+deb13-cloud-amd64) or a package (linux-image-cloud-amd64)"
    )


def choose(asked: Wish, packages: Iterable[Package]) -> Package | None:
    """Return the image package that is meant, or None if it is not offered.

    Of several, a cloud kernel is preferred to the general one, since it is small; then the newest; then a signed one. A
    realtime kernel, or an unsigned one that has a signed sibling, is chosen only by name. One that the
    archive has only in part is never preferred to a complete one.
    """
    known = list(packages)
    if asked.kind == "package":
        return _named(asked.text, known)
    fitting = [image for image in known if _is_image(image) and _is_meant(asked, release_of(image), image.version)]
    whole = [image for image in fitting if not lacking(image, known)]
    return max(whole or fitting, key=_rank, default=None)


def choose_kept(asked: Wish, kernels: Sequence[Kernel]) -> Kernel | None:
    """Return the cached kernel that is meant: the same rules, for those that were fetched."""
    fitting = [kernel for kernel in kernels if _is_kept_for(asked, kernel)]
    return max(fitting, key=_rank_of_kept, default=None)


def offered(asked: Wish, packages: Iterable[Package]) -> str:
    """Say what is available instead: the versions of the same series, or all series."""
    known = list(packages)
    versions = {upstream_of(image.version) for image in known if _is_image(image) and not lacking(image, known)}
    if series := re.search(r"\d+\.\d+", asked.text):
        near = sorted((one for one in versions if _series(one) == series[0]), key=order)
        if near:
            return f"of {series[0]} there are {', '.join(near)}"
    return f"there are the series {', '.join(sorted({_series(one) for one in versions}, key=order)) or 'none'}"


def parts(image: Package, packages: Iterable[Package]) -> tuple[Package, ...]:
    """Return the packages that contain a kernel's files, the image package first: its own, of its own version."""
    release = release_of(image)
    known = {one.name: one for one in packages if one.version == image.version}
    found = {image.name: image}
    queue = [image]
    while queue:
        for need in queue.pop().needs:
            part = _part(need, release, known)
            if part is not None and part.name not in found:
                found[part.name] = part
                queue.append(part)
    return tuple(found.values())


def _part(need: Sequence[str], release: str, known: Mapping[str, Package]) -> Package | None:
    """Return the package that serves a need of this release.

    An alternative is taken where the first choice is not offered, as is a binary that is not signed.
    """
    choices = [name for name in need if name.endswith(release)]
    choices += [name.replace("linux-binary-", "linux-binary-unsigned-", 1) for name in choices]
    return next((known[name] for name in choices if name in known), None)


def lacking(image: Package, packages: Iterable[Package]) -> list[str]:
    """Return the packages that a kernel needs and that are not offered, though the image package is.

    Debian removes at once what a source no longer builds, and the signed packages made from it much later.
    """
    have = {part.name.replace("-unsigned-", "-") for part in parts(image, packages)}
    vital = re.compile(rf"linux-(?:binary|modules)-{re.escape(release_of(image))}")
    return [need[0] for need in image.needs if vital.fullmatch(need[0]) and not have.intersection(need)]


def release_of(image: Package) -> str:
    """Return what `uname -r` will say on the kernel of an image package."""
    match = _IMAGE.fullmatch(image.name)
    if match is None:
        raise ValueError(f"{image.name} is not an image package")
    return match["release"]


def upstream_of(version: str) -> str:
    """Return the kernel version in a package version: "6.12.43" from "6.12.43-1~bpo12+1"."""
    upstream = version.rpartition("-")[0] or version
    return upstream.rpartition(":")[2].replace("~", "-")


def _is_image(package: Package) -> bool:
    """Whether it contains a kernel: a metapackage such as linux-image-6.12-amd64 does not."""
    return _IMAGE.fullmatch(package.name) is not None and not _stands_for(package)


def _stands_for(package: Package) -> str | None:
    """Return the image package that a package without files refers to."""
    return next((need[0] for need in package.needs if re.match(r"linux-image-\d", need[0])), None)


def _named(name: str, known: Sequence[Package]) -> Package | None:
    """Return the newest image package of a name, or the one for which a package of that name stands."""
    named = [package for package in known if package.name == name]
    return _behind(max(named, key=lambda one: order(one.version)), known) if named else None


def _behind(package: Package, known: Sequence[Package]) -> Package | None:
    """Follow a metapackage for the newest kernel to that kernel's package."""
    target = _stands_for(package)
    if target is None:
        return package if _is_image(package) else None
    found = [one for one in known if one.name == target and _is_image(one)]
    return max(found, key=lambda one: (one.version == package.version, order(one.version)), default=None)


def _is_meant(asked: Wish, release: str, version: str) -> bool:
    """Whether a series, version or release means this kernel; only its release means a realtime kernel."""
    return _fits(asked, release, version) and (asked.kind == "release" or _flavour(release) != "rt")


def _is_kept_for(asked: Wish, kernel: Kernel) -> bool:
    name, _, version = kernel.package.partition(" ")
    if asked.kind == "package":
        # What stands behind a name without a version changes with time, and only the archive knows it.
        return name == asked.text
    return _is_meant(asked, kernel.release, version)


def _fits(asked: Wish, release: str, version: str) -> bool:
    upstream = upstream_of(version)
    if asked.kind == "series":
        return _series(upstream) == asked.text
    if asked.kind == "version":
        return upstream == asked.text
    return asked.text in {release, version}


def _series(upstream: str) -> str:
    return ".".join(re.findall(r"\d+", upstream)[:2])


def _flavour(release: str) -> str:
    match = re.search(r"-(cloud|rt)-amd64$", release)
    return match[1] if match else ""


def _rank(image: Package) -> tuple[bool, tuple[object, ...], bool]:
    return _flavour(release_of(image)) == "cloud", order(image.version), not image.name.endswith("-unsigned")


def _rank_of_kept(kernel: Kernel) -> tuple[bool, tuple[object, ...]]:
    return _flavour(kernel.release) == "cloud", order(kernel.package.partition(" ")[2])
