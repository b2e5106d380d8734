"""A cpio archive of the "newc" kind, which a kernel unpacks as its first root (initramfs, `unpack_to_rootfs`).

Archives may be concatenated: the kernel unpacks one after the other.
"""

import stat
from pathlib import PurePosixPath

__all__ = ["Archive"]

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
_ALIGNMENT = 4


class Archive:
    """An archive in the making. Paths are absolute; the folders above a file are made with it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._names: set[str] = set()

    def folder(self, path: str) -> None:
        """Add a folder, and those above it."""
        for one in (*reversed(PurePosixPath(path).parents), PurePosixPath(path)):
            self._add(str(one), stat.S_IFDIR | 0o755)

    def file(self, path: str, content: bytes, *, executable: bool = False) -> None:
        """Add a file."""
        self._beneath(path)
        self._add(path, stat.S_IFREG | (0o755 if executable else 0o644), content)

    def device(self, path: str, major: int, minor: int) -> None:
        """Add a character device. No privilege is needed: it is only recorded."""
        self._beneath(path)
        self._add(path, stat.S_IFCHR | 0o600, device=(major, minor))

    def to_bytes(self) -> bytes:
        """Return the archive so far, with its end."""
        return b"".join((*self._parts, _entry(_TRAILER, 0, b"", (0, 0), 0)))

    def _beneath(self, path: str) -> None:
        self.folder(str(PurePosixPath(path).parent))

    def _add(self, path: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        if path in self._names or path == "/":
            return
        self._names.add(path)
        self._parts.append(_entry(path.removeprefix("/"), mode, content, device, len(self._names)))


def _entry(name: str, mode: int, content: bytes, device: tuple[int, int], number: int) -> bytes:
    encoded = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # inode, mode, uid, gid, links, mtime, size, device of the file system (2), device (2), length of the name, check
    fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, *device, len(encoded), 0)
    head = _MAGIC + b"".join(b"%08X" % field for field in fields) + encoded
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)
