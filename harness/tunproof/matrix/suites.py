"""Debian's suites: their names, where this machine gets Debian from, and why one is unavailable."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from tunproof.errors import EnvironmentProblem
from tunproof.matrix.apt import program

__all__ = ["Bases", "State", "Suite", "bases", "keyrings", "machine_targets", "sources", "state", "suites"]

_RELEASES = ("bullseye", "bookworm", "trixie", "forky", "sid")
_ARCHIVED = frozenset({"bullseye"})
"""These are never signed again, so their signatures outlive their stated validity."""
_NAMES = frozenset({*_RELEASES, "stable", "oldstable", "oldoldstable", "testing", "unstable"})
_KEYRINGS = Path("/usr/share/keyrings")

_UNSIGNED = re.compile(r"NO_PUBKEY|EXPKEYSIG|REVKEYSIG|BADSIG|not signed|verif|Missing key|expired|not valid yet")
_ABSENT = re.compile(r"does not have a Release file|no longer has a Release file|\b404 +Not Found")

State = Literal["there", "empty", "missing", "unverified", "unreachable"]


class Suite(msgspec.Struct, frozen=True):
    """The state of a suite. `why` is apt's message if it is unavailable."""

    name: str
    state: State
    why: str = ""

    def cure(self) -> str:
        """Return what can be done about it, or "" if nothing needs to be."""
        if self.state == "unverified":
            return "the machine lacks the key: apt-get install --only-upgrade debian-archive-keyring"
        if self.state == "unreachable":
            return "try again with --refresh"
        return ""


@dataclass(frozen=True, slots=True)
class Bases:
    """Where Debian and its security updates come from, as addresses without a trailing slash."""

    main: str = "http://deb.debian.org/debian"
    security: str = "http://deb.debian.org/debian-security"


def suites() -> tuple[str, ...]:
    """Return the names of all suites that may have kernels, oldest first."""
    names = []
    for release in _RELEASES:
        names.append(release)
        if release != "sid":  # it gets everything first
            names += [f"{release}-security", f"{release}-backports"]
    return tuple(names)


def bases(targets: str) -> Bases:
    """Find the machine's own mirror in the output of `apt-get indextargets`, or use the public one.

    A line is "suite|component|address|origin". Another vendor's source may be named after a suite too, so the
    best address counts: one that is known to be Debian's, or else one whose path is Debian's.
    """
    best: dict[bool, tuple[int, str]] = {}
    for line in targets.splitlines():
        fields = line.split("|")
        if len(fields) != 4 or fields[1] != "main":
            continue
        release, _, address, origin = fields
        security = release.endswith(("-security", "/updates"))
        name = re.split(r"[-/]", release)[0]
        if name not in _NAMES or address.startswith("cdrom:"):
            continue
        address = address.rstrip("/")
        path = urlsplit(address).path
        usual = "/debian-security" if security else "/debian"
        score = 4 * (origin == "Debian") + 2 * (path == usual) + path.endswith(usual)
        if score > best.get(security, (0, ""))[0]:
            best[security] = score, address
    usual_bases = Bases()
    return Bases(best.get(False, (0, usual_bases.main))[1], best.get(True, (0, usual_bases.security))[1])


def keyrings(folder: Path | None = None) -> list[Path]:
    """Return the keyrings with Debian's keys. Raises `EnvironmentProblem` if there are none."""
    folder = folder or _KEYRINGS
    for suffix in ("gpg", "pgp"):
        if (whole := folder / f"debian-archive-keyring.{suffix}").exists():
            return [whole]
    raise EnvironmentProblem(
        f"there are no keys of Debian's archive in {folder}, and nothing is fetched without verification",
        cure="apt-get install debian-archive-keyring (Ubuntu has it too)",
    )


def sources(where: Bases, keys: list[Path]) -> str:
    """Return sources.list: one line per suite."""
    lines = []
    for name in suites():
        options = f"arch=amd64 signed-by={','.join(map(str, keys))}"
        if name.partition("-")[0] in _ARCHIVED:
            options += " check-valid-until=no"
        lines.append(f"deb [{options}] {where.security if name.endswith('-security') else where.main} {name} main\n")
    return "".join(lines)


def machine_targets() -> list[str]:
    """Return the command that asks apt for the machine's sources, in any files and formats."""
    layout = "$(RELEASE)|$(COMPONENT)|$(REPO_URI)|$(ORIGIN)"
    only = "APT::Get::IndexTargets::OnlyPresent=false"  # also those that were never downloaded
    return [program("apt-get"), "indextargets", "-o", only, "--format", layout, "Created-By: Packages"]


def state(name: str, *, listed: bool, said: str) -> Suite:
    """Return the state of a suite. `listed`: its list exists; `said` is the whole output of `apt-get update`."""
    if listed:
        return Suite(name, "there")
    about = re.compile(rf"(?: |/dists/){re.escape(name)}(?: (?:In)?Release|/)")
    lines = [line for line in said.splitlines() if line.startswith(("E: ", "W: ")) and about.search(line)]
    text = "\n".join(lines)
    if not lines:  # it was read and verified; it has no packages, as the security updates of testing often have none
        return Suite(name, "empty")
    why = lines[0][3:].strip()
    if _ABSENT.search(text):
        return Suite(name, "missing", why)
    return Suite(name, "unverified" if _UNSIGNED.search(text) else "unreachable", why)
