"""What a kernel does with a frame: exactly one of three things.

Plain values that compare by content, so an expected outcome and an observed one are compared with `==`.
"""

from dataclasses import dataclass

__all__ = ["Delivered", "KernelOutcome", "Lost", "NotModelled", "Refused"]


@dataclass(frozen=True, slots=True)
class Refused:
    """The write failed with `errno`, and nothing was delivered."""

    errno: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The write succeeded, and the kernel dropped the frame."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The packets, in order: each as one read of the reader returns it, with its vnet header if it has one."""

    packets: tuple[bytes, ...]


KernelOutcome = Refused | Lost | Delivered


class NotModelled(Exception):
    """The model makes no prediction for a frame; the message says why."""
