"""The fds of a lifecycle script on the subject's side, by the names that the script gives them."""

import contextlib
import fcntl
import os
import resource
from typing import TypeVar

from tunproof.corpus.script import Answer, Closed, Done, LetGo
from tunproof.subjects.subject import InapplicableError

__all__ = ["NearSide", "named"]

_OUT_OF_THE_WAY = 600  # a number that no other fd gets by chance

T = TypeVar("T")


class NearSide:
    """Fds that a container may adopt. A name that no step made raises `ValueError`.

    An fd is the caller's from `keep` until `taken` says that a container has it. `close` always closes whatever is
    still the caller's.

    Attributes:
        numbers: every fd that ever existed, by name.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self._held: dict[str, int] = {}
        self._limit: tuple[int, int] | None = None

    def keep(self, name: str, fd: int, *, least: int = 0) -> None:
        """Own an fd from now on, under a number not below `least`.

        Raises `InapplicableError` if this process may not have such a number.
        """
        self._held[name] = self.numbers[name] = fd
        if least > fd:
            self._held[name] = self.numbers[name] = self._moved(fd, least)

    def keep_closed(self, name: str) -> None:
        """Give the name to a number that is not open."""
        self.numbers[name] = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
        os.close(self.numbers[name])

    def let_go(self, step: LetGo) -> Answer:
        """Close an fd that is the caller's; `Closed` if a container took it, or it was closed before."""
        fd = named(step.fd, self.numbers)
        if self._held.pop(step.fd, None) is None:
            return Closed()
        try:
            os.close(fd)
        except OSError:
            return Closed()
        return Done()

    def taken(self, name: str) -> None:
        """Record that a container has the fd now."""
        self._held.pop(name, None)

    def held(self) -> int:
        """Return how many fds are the caller's."""
        return len(self._held)

    def drain(self, name: str) -> None:
        """Make room for writers of the fd, if this process can."""

    def close(self) -> None:
        """Close what is the caller's. Closing twice is harmless."""
        for fd in self._held.values():
            with contextlib.suppress(OSError):
                os.close(fd)
        self._held.clear()
        if self._limit is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._limit)

    def _moved(self, fd: int, least: int) -> int:
        """Return the file under another number, of at least `least`."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if least >= soft:
            if least >= hard != resource.RLIM_INFINITY:
                raise InapplicableError(f"this process may have at most {hard} fds")
            self._limit = self._limit or (soft, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (least + _OUT_OF_THE_WAY, hard))
        moved: int = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, least)
        os.close(fd)
        return moved


def named(name: str, things: dict[str, T]) -> T:
    """Return the thing of that name. Raises `ValueError`."""
    if name not in things:
        raise ValueError(f"no step made {name!r}, or it is gone")
    return things[name]
