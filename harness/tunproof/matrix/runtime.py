"""The Python of this process, packaged for a guest: interpreter, shared libraries, standard library, and our packages.

Everything keeps its path, so the interpreter finds its library in the guest as it does here. Sources are left out: the
guest gets only byte code, compiled once here, since it would take an emulated processor a minute.
"""

import importlib.util
import marshal
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tunproof.errors import EnvironmentProblem
from tunproof.matrix.cpio import Archive

__all__ = ["PACKAGES", "add_python", "interpreter"]

PACKAGES = "/tunproof"
"""Where packages are in the guest."""

_OURS = ("tio", "tunproof")
_OTHERS = ("msgspec", "pyroute2")
_LEFT_OUT = {
    "__pycache__", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test",
    "tests", "tkinter", "turtledemo", "venv",
}  # fmt: skip
_OBJECTS_LEFT_OUT = re.compile(r"_tkinter|_curses|_test|_xx|xx|_gdbm|_dbm|readline|nis|_lzma|_bz2")
"""Shared objects that pull in large libraries, which nothing in a guest imports, or only optionally."""

_LIBRARY = re.compile(r"(/\S+) \(0x")


def interpreter() -> Path:
    """Return the file of the running interpreter, with virtual environments and links resolved."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def add_python(archive: Archive) -> None:
    """Add the interpreter and all that it imports in a guest. Raises `EnvironmentProblem`."""
    libraries: set[Path] = {interpreter()}
    archive.file(str(interpreter()), interpreter().read_bytes(), executable=True)
    for folder in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}:
        libraries |= _add_tree(archive, Path(folder), folder)
    for name in (*_OURS, *_OTHERS):
        libraries |= _add_tree(archive, _home_of(name), f"{PACKAGES}/{name}")
    for library in _needed_by(libraries):
        archive.file(str(library), library.read_bytes(), executable=True)


def _home_of(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise EnvironmentProblem(f"the guest needs the package {name}", cure="reinstall tunproof")
    return Path(found.submodule_search_locations[0])


def _add_tree(archive: Archive, folder: Path, place: str) -> set[Path]:
    """Add what can be imported from a folder, as if it lay at `place`; return the shared objects among it."""
    objects = set()
    for path in _importable(folder):
        inside = f"{place}/{path.relative_to(folder)}"
        if path.suffix == ".py":
            archive.file(f"{inside}c", _byte_code(path))
        else:
            archive.file(inside, path.read_bytes())
            objects.add(path)
    return objects


def _importable(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in _LEFT_OUT and not path.name.startswith("config-") and not path.is_symlink():
                yield from _importable(path)
        elif path.suffix == ".py" or (path.suffix == ".so" and not _OBJECTS_LEFT_OUT.match(path.name)):
            yield path


def _byte_code(source: Path) -> bytes:
    """Return the byte code of a module, as an earlier import left it, or compiled now (PEP 552 describes its head)."""
    cached = Path(importlib.util.cache_from_source(str(source)))
    status = source.stat()
    stamp = (int(status.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little") + (status.st_size & 0xFFFFFFFF).to_bytes(
        4, "little"
    )
    head = importlib.util.MAGIC_NUMBER + bytes(4) + stamp
    if cached.is_file() and (known := cached.read_bytes()).startswith(head):
        return known
    try:
        return head + marshal.dumps(compile(source.read_bytes(), str(source), "exec", dont_inherit=True))
    except SyntaxError:  # a template, or a file for another version
        return head + marshal.dumps(compile("", str(source), "exec"))


def _needed_by(files: set[Path]) -> set[Path]:
    """Return the shared libraries that these files need, the loader among them (`ldd`)."""
    try:
        done = subprocess.run(["ldd", *map(str, sorted(files))], capture_output=True, text=True, check=False)  # noqa: S607
    except FileNotFoundError as error:
        raise EnvironmentProblem("ldd is missing, which lists what Python needs", cure="install libc-bin") from error
    found = {Path(path) for path in _LIBRARY.findall(done.stdout)}
    if not found:
        raise EnvironmentProblem(
            f"ldd does not list the libraries that Python needs: {done.stderr.strip()}", cure="install libc-bin"
        )
    return found
