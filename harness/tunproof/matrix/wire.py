"""What host and guest say to each other over a virtio port: messages in MessagePack, each behind its length.

The largest message is what became of 256 cases, or of 100 random frames: some megabytes.
"""

import os
from typing import Final, TypeVar

import msgspec

from tio.linux import Delivered, Lost, Outcome, Refused
from tunproof.lab.way_json import ToldWay

__all__ = ["PORT", "Answer", "Hello", "Request", "Told", "Wire", "outcome_of", "told"]

PORT: Final = "tunproof"
"""The port's name."""

_LENGTH = 4  # bytes, big-endian
_AT_ONCE = 1 << 20
_MOST = 1 << 28  # bytes of a message; a guest that says there are more talks nonsense

Told = int | list[bytes] | str | None
"""An outcome: an errno, packets, None for a frame that was lost; or why the kernel could not be asked."""


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """A guest is there."""

    release: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Put these frames to the kernel, each with the number of packets that are expected. `fresh`: in new labs."""

    way: ToldWay
    frames: list[tuple[bytes, int]]
    fresh: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each frame of a request."""

    outcomes: list[Told]


M = TypeVar("M", Hello, Request, Answer)


class Wire:
    """One end of the port: a file descriptor that blocks."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._encode = msgspec.msgpack.Encoder(enc_hook=bytes).encode  # frames of the corpus are a subclass

    def send(self, message: Hello | Request | Answer) -> None:
        """Send a message. Raises `OSError` where the other end is gone."""
        body = self._encode(message)
        left = memoryview(len(body).to_bytes(_LENGTH, "big") + body)
        while left:
            left = left[os.write(self._fd, left[:_AT_ONCE]) :]

    def receive(self, kind: type[M]) -> M | None:
        """Return the next message; None where the other end is closed. Raises `OSError`, `ValueError`."""
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


def told(outcome: Outcome) -> Told:
    """Return an outcome as it is sent."""
    match outcome:
        case Refused(errno=number):
            return number
        case Delivered(packets=packets):
            return list(packets)
    return None


def outcome_of(told: int | list[bytes] | None) -> Outcome:
    """Return the outcome that was told."""
    if told is None:
        return Lost()
    return Refused(told) if isinstance(told, int) else Delivered(tuple(told))
