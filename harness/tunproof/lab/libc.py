"""The two system calls that Python 3.11 lacks: `os.unshare` and `os.setns` exist from 3.12 on."""

import ctypes
import os

__all__ = ["CLONE_NEWNET", "CLONE_NEWUSER", "setns", "unshare"]

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

_LIBC = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave namespaces for new ones: this thread (network) or this process (user). Raises `OSError`."""
    _check(_LIBC.unshare(flags))


def setns(fd: int, kind: int) -> None:
    """Move this thread into the namespace behind `fd`, which must be of `kind`. Raises `OSError`."""
    _check(_LIBC.setns(fd, kind))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
