"""Replacing a folder by another in one step, so that a mixture of both is never visible."""

import ctypes
import errno
import os
from pathlib import Path

__all__ = ["ASIDE", "exchange"]

ASIDE = ".old"
"""The suffix of a folder that is briefly set aside, if two steps are needed."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_LIBC = ctypes.CDLL(None, use_errno=True)


def exchange(one: Path, other: Path) -> None:
    """Exchange two folders of one file system (`renameat2`, Linux 3.15). Raises `OSError`.

    A file system that cannot do it in one step (such as NFS) gets two: a kill between them leaves `other` missing, and
    its contents beside it under the name of `one` with `ASIDE`.
    """
    if not _LIBC.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        return
    number = ctypes.get_errno()
    if number not in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
        raise OSError(number, os.strerror(number), str(one), None, str(other))
    aside = one.with_name(one.name + ASIDE)
    other.rename(aside)
    one.rename(other)
    aside.rename(one)
