"""From a recipe to a program, with the ordinary clients of Go, Cargo and pip, as this machine has them configured.

A build has two stages. The first brings the packages; where it fails, the peer is not to be had here, which says
nothing about it. The second compiles; where it fails, the adapter is broken.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from peers.recipe import Peer
from tunproof.protocol.kit import KITS, kit

__all__ = ["BuildFailed", "Built", "Skipped", "build"]


class Skipped(Exception):
    """The peer cannot be built on this machine. The text is the reason."""


class BuildFailed(Exception):
    """The packages are there, but the adapter does not compile, or they are others than those that are pinned."""


@dataclass(frozen=True, slots=True)
class Built:
    """An adapter that can be started: its command line, and the version of every package in it."""

    command: tuple[str, ...]
    resolved: dict[str, str]


def build(peer: Peer, cache: Path) -> Built:
    """Build a peer in `cache`/NAME, where a second build is quick. Raises `Skipped` and `BuildFailed`."""
    folder = cache / peer.name
    shutil.copytree(peer.folder, folder, dirs_exist_ok=True)  # with their times: compilers look at these
    built = _BUILDERS[peer.ecosystem](peer, folder)
    for package, version in {peer.package: peer.version, **peer.pins}.items():
        if built.resolved.get(package) != version:
            raise BuildFailed(f"{package} is pinned at {version}, and resolved to {built.resolved.get(package)}")
    return built


def _go(peer: Peer, folder: Path) -> Built:
    go = _program("go", "Go")
    _give_kit("go", folder / "adapter.go", end="// example begin")
    environment = {"CGO_ENABLED": "0"}
    if _older(_told((go, "env", "GOVERSION"), folder), peer.toolchain):
        environment["GOTOOLCHAIN"] = f"go{peer.toolchain}"  # which the go command gets like a module
    _bring((go, "list", "-mod=mod", "-deps", "./..."), folder, environment)
    _compile((go, "build", "-mod=mod", "-trimpath", "-o", "adapter", "."), folder, environment)
    modules = _told((go, "version", "-m", "adapter"), folder, environment)
    return Built((str(folder / "adapter"),), dict(re.findall(r"^\t(?:dep|=>)\t(\S+)\t(\S+)", modules, re.MULTILINE)))


def _cargo(peer: Peer, folder: Path) -> Built:
    cargo = _program("cargo", "Rust")
    if _older(rust := _told(("rustc", "--version"), folder), peer.toolchain):
        raise Skipped(f"it needs Rust {peer.toolchain}, and this is {rust}")
    _give_kit("rust", folder / "src" / "adapter.rs", end="// example begin")
    environment = {"PEER_VERSION": peer.version}
    host = _told(("rustc", "--print", "host-tuple"), folder)
    _bring((cargo, "fetch", "--target", host), folder, environment)
    _compile((cargo, "build", "--release", "--offline", "--quiet"), folder, environment)
    about = (cargo, "metadata", "--offline", "--format-version=1", "--filter-platform", host)
    metadata = json.loads(_told(about, folder, environment))
    resolved = {one["name"]: one["version"] for one in metadata["packages"] if one["source"]}
    return Built((str(folder / "target" / "release" / "adapter"),), resolved)


def _pip(peer: Peer, folder: Path) -> Built:
    running = sys.version.partition(" ")[0]
    if _older(running, peer.toolchain):
        raise Skipped(f"it needs Python {peer.toolchain}, and this is {running}")
    _give_kit("python", folder / "kit.py")
    venv.create(folder / "venv", symlinks=True)
    python = str(folder / "venv" / "bin" / "python")
    pip = (sys.executable, "-m", "pip", "--python", python)
    _bring((*pip, "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"), folder, {})
    installed = json.loads(_told((*pip, "list", "--format=json", "--disable-pip-version-check"), folder))
    return Built((python, str(folder / "adapter.py")), {one["name"]: one["version"] for one in installed})


_BUILDERS: dict[str, Callable[[Peer, Path], Built]] = {"go": _go, "cargo": _cargo, "pip": _pip}


def _program(name: str, language: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Skipped(f"this machine has no {language}: there is no {name!r} on the PATH")
    return found


def _give_kit(language: str, path: Path, *, end: str = "\0") -> None:
    """Write the kit of a language, without its example; a file that is right already keeps its time."""
    assert language in KITS
    text = kit(language).partition(end)[0]
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def _older(said: str, wanted: str) -> bool:
    """Whether the first version in what a toolchain said of itself is below the one wanted."""
    found = re.search(r"\d+(?:\.\d+)+", said)
    return found is not None and _numbers(found[0]) < _numbers(wanted)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _bring(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    done = _run(command, folder, environment)
    if done.returncode:
        raise Skipped(f"its packages are not to be had here: {_last_words(done.stderr)}")


def _compile(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    done = _run(command, folder, environment)
    if done.returncode:
        raise BuildFailed(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")


def _told(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Return what a toolchain says. Raises `Skipped` if it is there in name only."""
    try:
        done = _run(command, folder, environment or {})
    except OSError as error:
        raise Skipped(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        raise Skipped(f"{' '.join(command[:2])} does not work: {_last_words(done.stderr)}")
    return done.stdout.strip("\n")


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def _last_words(said: str) -> str:
    """Return the last two lines, without addresses: what is missing, and why."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return re.sub(r"https?://\S+", "the registry:", ": ".join(lines[-2:])) or "it does not say why"
