"""Kernel modules that the labs need, with their dependencies, in load order.

A package brings no `modules.dep`: that is made on installation. So each module is read: its `.modinfo` section names
those that it depends on.
"""

import gzip
import lzma
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

from tunproof.errors import EnvironmentProblem

__all__ = ["NEEDED", "load_order", "names_in"]

NEEDED = ("tun", "sch_ingress", "cls_u32", "act_mirred", "cls_matchall", "ipv6")
"""The modules that a lab needs, by name. One that is built into the kernel has no file, and none is required."""

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_ALIASES = re.compile(r"\.ko(\.(xz|zst|gz))?$")


def names_in(folder: Path) -> dict[str, Path]:
    """Return the file of each module below a folder."""
    found = (path for path in folder.rglob("*.ko*") if _ALIASES.search(path.name))
    return {_ALIASES.sub("", path.name).replace("-", "_"): path for path in found}


def load_order(folder: Path, needed: tuple[str, ...] = NEEDED) -> list[tuple[str, bytes]]:
    """Return names and contents (ELF, not compressed) of the modules that are files, each after its dependencies.

    Raises `EnvironmentProblem` if one cannot be read.
    """
    files = names_in(folder)
    order: dict[str, bytes] = {}
    for name in needed:
        _visit(name, files, order)
    return list(order.items())


def _visit(name: str, files: dict[str, Path], order: dict[str, bytes]) -> None:
    if name in order or name not in files:
        return
    content = _content(files[name])
    for other in _dependencies(content):
        _visit(other, files, order)
    order[name] = content


def _dependencies(content: bytes) -> Iterator[str]:
    found = _DEPENDS.search(content)
    if found and found[1]:
        yield from found[1].decode().replace("-", "_").split(",")


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        if path.suffix == ".xz":
            return lzma.decompress(raw)
        if path.suffix == ".gz":
            return gzip.decompress(raw)
        return _unpacked_zstd(raw) if path.suffix == ".zst" else raw
    except (OSError, EOFError, zlib.error, lzma.LZMAError, subprocess.CalledProcessError) as error:
        raise EnvironmentProblem(f"the module {path} cannot be read: {error}", cure="fetch the kernel again") from error


def _unpacked_zstd(raw: bytes) -> bytes:
    if (program := shutil.which("zstd")) is None:
        raise EnvironmentProblem("the modules are compressed with zstd", cure="apt-get install zstd")
    return subprocess.run([program, "-d", "-c"], input=raw, capture_output=True, check=True).stdout
