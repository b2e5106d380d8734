"""The reference behind the Python kit: `python -m tunproof.reference_adapter`. All ops, all modes.

The kit holds the conversation (`kits/adapter.py`, the file that people copy). What is left is to reach the
implementation in each mode, and to express its refusals in the kit's terms.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

import tio
from tio.tuntap import Iff, open_tun
from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.cases import GsoArguments, VnetFields
from tunproof.corpus.claims import EVERYTHING
from tunproof.corpus.codec import builtins_of, convert
from tunproof.protocol.kits.adapter import Rejected, Unsupported, serve
from tunproof.protocol.messages import MODES
from tunproof.subjects.lifecycle.adapter import LifecycleAdapter
from tunproof.subjects.reference import Reference, ReferenceQueue
from tunproof.subjects.subject import TurnedDownError, UnsupportedError
from tunproof.version import __version__

__all__ = ["main"]

_ABOUT = {
    "implementation": {"name": "tio", "version": __version__, "language": "Python"},
    "capabilities": list(CAPABILITIES),
    "modes": list(MODES),
    "claims": msgspec.to_builtins(EVERYTHING),
}

T = TypeVar("T")


class _Adapter:
    """The functions that the kit calls. Mode `memory` has its own wire, the others have a line."""

    def __init__(self) -> None:
        self._queue: ReferenceQueue | None = None
        self._reference = Reference()

    def attach(self, _: str, fd: int | None, name: str | None) -> None:
        """Adopt the fd, or open the device. One container has it from now on."""
        self._queue = ReferenceQueue(open_tun(name or "", Iff.TUN | Iff.NO_PI | Iff.VNET_HDR) if fd is None else fd)
        self._reference.close()
        self._reference = Reference(self._queue)

    def parse_header(self, data: bytes, size: int, byte_order: str) -> dict[str, Any]:
        """Return the fields of a vnet header."""
        fields: dict[str, Any] = builtins_of(_called(self._reference.parse_header, data, size, byte_order))
        return fields

    def emit_header(self, fields: dict[str, Any], size: int, byte_order: str) -> bytes:
        """Return a vnet header."""
        return _called(self._reference.emit_header, convert(fields, VnetFields), size, byte_order)

    def read(self, frame: bytes) -> list[bytes]:
        """Return the packets of a frame, sent on the own wire."""
        return _called(self._reference.read, frame, ())

    def read_some(self) -> list[bytes]:
        """Return the packets of the next frame on the line."""
        if self._queue is None:
            raise Unsupported("nothing was attached")
        return _called(self._queue.read_some)

    def write(self, packet: bytes, poison: int | None) -> list[bytes] | None:
        """Write a packet."""
        return self._seen(_called(self._reference.write, packet, (), poison))

    def write_gso(self, hdr: bytes, transport_hdr: bytes, pays: Sequence[bytes]) -> list[bytes] | None:
        """Write a superpacket."""
        arguments = GsoArguments(hdr=hdr, transport_hdr=transport_hdr, pays=tuple(pays))
        return self._seen(_called(self._reference.write_gso, arguments, ()))

    def write_batch(self, packets: Sequence[bytes], poison: int | None) -> list[bytes] | None:
        """Write packets, coalesced where that is transparent."""
        return self._seen(_called(self._reference.write_batch, packets, (), poison))

    def _seen(self, frames: list[bytes]) -> list[bytes] | None:
        return frames if self._queue is None else None


def _called(call: Callable[..., T], *arguments: object) -> T:
    """Make a call; what it refuses, or cannot do, is expressed in the kit's terms."""
    try:
        return call(*arguments)
    except TurnedDownError as error:
        raise Rejected(error.reason, error.frames) from error
    except tio.KernelRefused as error:
        raise Rejected(str(error)) from error
    except (tio.Unsupported, UnsupportedError) as error:
        raise Unsupported(str(error)) from error


def main() -> None:
    """Serve until the runner says bye."""
    adapter = _Adapter()
    lives = LifecycleAdapter()
    functions = {
        "checksum": tio.checksum,
        "header": (adapter.parse_header, adapter.emit_header),
        "read": adapter.read,
        "write": adapter.write,
        "write_gso": adapter.write_gso,
        "write_batch": adapter.write_batch,
        "lifecycle": (lives.begin, lambda step: _called(lives.step, step)),
    }
    serve(_ABOUT, functions, attach=adapter.attach, read_some=adapter.read_some)


if __name__ == "__main__":
    main()
