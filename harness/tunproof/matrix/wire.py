"""The messages between host and guest over a virtio port: MessagePack, each after its length.

The largest message is the outcomes of 256 cases, or of 100 random frames: some megabytes.
"""

import os
from typing import Final, TypeVar

import msgspec

from tio.linux import Delivered, KernelOutcome, Lost, Refused
from tunproof.lab.way_json import ToldWay

__all__ = ["PORT", "Answer", "Hello", "Request", "Told", "Wire", "outcome_of", "told"]

PORT: Final = "tunproof"
"""The port's name."""

_LENGTH = 4  # bytes, big-endian
_AT_ONCE = 1 << 20
_MOST = 1 << 28  # bytes of a message; a guest that announces more is broken

Told = int | list[bytes] | str | None
"""An outcome: an errno, packets, None for a frame that was lost; or why the frame could not be sent."""


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """A guest is up."""

    release: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Send these frames to the kernel, each with the number of packets expected. `fresh`: in new labs."""

    way: ToldWay
    frames: list[tuple[bytes, int]]
    fresh: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of each frame of a request."""

    outcomes: list[Told]


M = TypeVar("M", Hello, Request, Answer)


class Wire:
    """One end of the port: a blocking file descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._encode = msgspec.msgpack.Encoder(enc_hook=bytes).encode  # frames of the corpus are a subclass

    def send(self, message: Hello | Request | Answer) -> None:
        """Send a message. Raises `OSError` if the other end is gone."""
        body = self._encode(message)
        left = memoryview(len(body).to_bytes(_LENGTH, "big") + body)
        while left:
            left = left[os.write(self._fd, left[:_AT_ONCE]) :]

    def receive(self, kind: type[M]) -> M | None:
        """Return the next message; None if the other end is closed. Raises `OSError`, `ValueError`."""
        head = self._read(_LENGTH)
        if head is None:
            return None
        if (length := int.from_bytes(head, "big")) > _MOST:
            raise ValueError(f"a message of {length} bytes")
        if (body := self._read(length)) is None:
            return None
        return msgspec.msgpack.decode(body, type=kind)

    def _read(self, size: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < size:
            some = os.read(self._fd, min(size - len(parts), _AT_ONCE))
            if not some:
                return None
            parts += some
        return bytes(parts)


def told(outcome: KernelOutcome) -> Told:
    """Return an outcome in the form that is sent."""
    match outcome:
        case Refused(errno=number):
            return number
        case Delivered(packets=packets):
            return list(packets)
    return None


def outcome_of(told: int | list[bytes] | None) -> KernelOutcome:
    """Return the outcome from its sent form."""
    if told is None:
        return Lost()
    return Refused(told) if isinstance(told, int) else Delivered(tuple(told))
