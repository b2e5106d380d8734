"""An archive of kernels that fits into a folder, and an apt-get and a dpkg-deb that know it.

The fake apt-get logs each of its calls to `calls`. Files that a test puts into the folder control it: `update` is the
output of `apt-get update`, `refuse` that of `apt-get download` before it fails, and `hang` makes it wait forever.
"""

import hashlib
import io
import struct
import sys
import tarfile
from pathlib import Path

import pytest

__all__ = ["FakeArchive", "bzimage"]

_APT = """#!{python}
import os, pathlib, shutil, sys, time
here = pathlib.Path({here!r})
words = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
ours = "-c" in words
if "indextargets" in words:
    if ours:
        for path in sorted((here / "lists").iterdir()):
            print(f"{{path.name}}|{{path}}")
    else:
        print((here / "machine").read_text(), end="")
elif "update" in words:
    said = (here / "update").read_text()
    print("dlstatus:1:50.0:Retrieving file 1 of 2")
    print(said, end="")
    sys.exit(100 if "E: " in said else 0)
elif "download" in words:
    for word in words[words.index("download") + 1 :]:
        name = word.replace("=", "_") + "_amd64.deb"
        if (here / "hang").exists():
            pathlib.Path(name).write_bytes(b"half")
            (here / "hanging").write_text(str(os.getpid()))
            time.sleep(60)
        if (here / "refuse").exists():
            print((here / "refuse").read_text())
            sys.exit(100)
        if not (here / "pool" / name).exists():
            print(f"E: Failed to fetch http://a/{{name}}  404  Not Found [IP: 192.0.2.1 80]")
            sys.exit(100)
        # As the real one: a file of the right size is taken for right.
        there = pathlib.Path(name)
        if not there.exists() or there.stat().st_size != (here / "pool" / name).stat().st_size:
            shutil.copy(here / "pool" / name, name)
"""
_DPKG = """#!{python}
import pathlib, sys, tarfile
here = pathlib.Path({here!r})
if (here / "unpack").exists():
    pathlib.Path(sys.argv[3]).mkdir()
    pathlib.Path(sys.argv[3], "half").write_bytes(b"x")
    print((here / "unpack").read_text())
    sys.exit(2)
with tarfile.open(sys.argv[2]) as tar:
    tar.extractall(sys.argv[3])
"""


def bzimage(banner: str, *, magic: bytes = b"HdrS") -> bytes:
    """Return the head of a kernel that says who it is."""
    data = bytearray(0x400)
    data[0x202:0x206] = magic
    struct.pack_into("<H", data, 0x20E, 0x100)  # counted from 0x200
    text = banner.encode() + b"\0"
    data[0x300 : 0x300 + len(text)] = text
    return bytes(data)


class FakeArchive:
    """The folder, and what a test does to it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.keys = folder / "keyrings"
        for name in ("bin", "lists", "pool", "keyrings"):
            (folder / name).mkdir(parents=True)
        (self.keys / "debian-archive-keyring.gpg").write_bytes(b"")
        (folder / "calls").write_text("")
        (folder / "machine").write_text("")
        (folder / "update").write_text("")
        for name, text in (("apt-get", _APT), ("dpkg-deb", _DPKG)):
            program = folder / "bin" / name
            program.write_text(text.format(python=sys.executable, here=str(folder)))
            program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder / "bin"))
        monkeypatch.setattr("tunproof.matrix.suites._KEYRINGS", self.keys)

    def say(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def calls(self, word: str) -> list[str]:
        return [line for line in (self.folder / "calls").read_text().splitlines() if word in line.split()]

    def add(self, suite: str, name: str, version: str, files: dict[str, bytes], *, depends: str = "kmod") -> Path:
        """Put a package into the pool and into the list of a suite."""
        path = self.folder / "pool" / f"{name}_{version}_amd64.deb"
        with tarfile.open(path, "w") as tar:
            for inside, data in files.items():
                info = tarfile.TarInfo(inside)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        data = path.read_bytes()
        with (self.folder / "lists" / suite).open("a") as file:
            file.write(
                f"Package: {name}\nSource: linux\nVersion: {version}\nArchitecture: amd64\nDepends: {depends}\n"
                f"Description: Linux\n of some kind\nFilename: pool/{path.name}\nSize: {len(data)}\n"
                f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
            )
        return path

    def add_whole(self, suite: str, release: str, version: str, *, says: str = "") -> Path:
        """Add a kernel of the oldest shape: one package."""
        return self.add(
            suite,
            f"linux-image-{release}",
            version,
            {
                f"boot/vmlinuz-{release}": bzimage(f"{says or release} (d@d) #1 SMP Debian {version} (2026-01-01)"),
                f"lib/modules/{release}/kernel/drivers/net/tun.ko": b"tun",
                f"usr/share/doc/linux-image-{release}/copyright": b"GPL",
            },
        )

    def add_split(self, suite: str, release: str, version: str) -> None:
        """Add a kernel of the newest shape: an empty package that needs three others."""
        modules = f"usr/lib/modules/{release}"
        needs = ", ".join(f"linux-{part}-{release} (= {version})" for part in ("base", "binary", "modules"))
        self.add(suite, f"linux-image-{release}", version, {}, depends=f"dracut | linux-initramfs-tool, {needs}")
        self.add(suite, f"linux-base-{release}", version, {f"{modules}/modules.builtin": b"x"})
        self.add(suite, f"linux-binary-{release}", version, {f"{modules}/vmlinuz": bzimage(f"{release} (d@d) #1")})
        self.add(suite, f"linux-modules-{release}", version, {f"{modules}/kernel/drivers/net/tun.ko.xz": b"tun"})
