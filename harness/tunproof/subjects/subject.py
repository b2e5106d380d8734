"""What cases are run against in this process: one method per operation, bytes in, bytes out.

A subject that lacks an operation, or a size or byte order of it, raises `UnsupportedError`. One that rejects its input,
as it would in production, raises `TurnedDownError`. Any other exception is a crash, which is never a correct rejection.
"""

import abc
from collections.abc import Sequence

from tunproof.corpus.cases import Fault, GsoArguments, VnetFields
from tunproof.corpus.claims import ORDINARY, Claims
from tunproof.corpus.script import Answer, Script

__all__ = ["InapplicableError", "Subject", "TurnedDownError", "UnsupportedError"]


class TurnedDownError(Exception):
    """The subject's ordinary refusal.

    Attributes:
        reason: for people.
        frames: what was written, or read, nonetheless.
        fault: what the reference found wrong; other subjects may omit it.
    """

    def __init__(self, reason: str, frames: Sequence[bytes] = (), fault: Fault | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.frames = tuple(frames)
        self.fault = fault


class UnsupportedError(Exception):
    """The subject cannot do this, and says so."""


class InapplicableError(UnsupportedError):
    """This machine does not allow it for any subject: not a statement about this one."""


class Subject(abc.ABC):
    """An implementation under test.

    Attributes:
        name: its name in reports.
        capabilities: what it claims, from the closed list in `corpus.capabilities`: a subject that claims something but
            calls it unsupported fails. None: it says so case by case.
        claims: the conditions that it was written for (`corpus.claims`): those of an ordinary tunnel unless it says
            otherwise.
    """

    name: str
    capabilities: frozenset[str] | None = None
    claims: Claims = ORDINARY

    def checksum(self, data: bytes, initial: int) -> int:
        """Return the folded sum of `data`, starting from `initial`, not inverted."""
        raise UnsupportedError("checksum")

    def parse_header(self, data: bytes, size: int, byte_order: str) -> VnetFields:
        """Return the fields of the vnet header of `size` bytes at the start of `data`."""
        raise UnsupportedError("header: parse")

    def emit_header(self, fields: VnetFields, size: int, byte_order: str) -> bytes:
        """Return the vnet header of `size` bytes with these fields."""
        raise UnsupportedError("header: emit")

    def read(self, frame: bytes, before: Sequence[bytes]) -> list[bytes]:
        """Return the packets that a reader makes of `frame`, after it has read the frames in `before`."""
        raise UnsupportedError("read")

    def write(self, packet: bytes, before: Sequence[bytes], poison: int | None) -> list[bytes]:
        """Return the frames that a writer makes of one packet, after it has written the packets in `before`."""
        raise UnsupportedError("write")

    def write_gso(self, arguments: GsoArguments, before: Sequence[GsoArguments]) -> list[bytes]:
        """Return the frames that a writer makes of one `write_gso`, after those in `before`."""
        raise UnsupportedError("write_gso")

    def write_batch(
        self, packets: Sequence[bytes], before: Sequence[Sequence[bytes]], poison: int | None
    ) -> list[bytes]:
        """Return the frames that a writer makes of a batch, after the batches in `before`."""
        raise UnsupportedError("write_batch")

    def lifecycle(self, script: Script) -> list[Answer]:
        """Return each step's answer; `Frames` hold whole frames here, vnet header included."""
        raise UnsupportedError("lifecycle")

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Release what the subject holds. Closing twice is harmless."""
