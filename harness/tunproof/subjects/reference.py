"""The reference as a subject.

It works on wires, so exact bytes are seen and no privileges are needed; only lifecycles on real devices need a lab.
"""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Self

import tio
from tio.ip import MAX_PACKET
from tio.virtio import HEADER_SIZE
from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.cases import Fault, GsoArguments, VnetFields
from tunproof.corpus.claims import EVERYTHING
from tunproof.corpus.script import Answer, Script
from tunproof.subjects.lifecycle.player import play
from tunproof.subjects.subject import Subject, TurnedDownError, UnsupportedError

__all__ = ["Reference", "ReferenceQueue"]

_LARGEST_FRAME = HEADER_SIZE + MAX_PACKET
# A whole IPv4 packet, of protocol 253 and without data.
_SENTINEL = bytes(HEADER_SIZE) + bytes.fromhex("45000014 00000000 40fd0000 c0000201 c6336401")
_LITTLE = tio.ByteOrder.LITTLE


class ReferenceQueue:
    """The reference's offload queue on an fd, which it owns; raises `tio.AddRefused` for an unsuitable fd."""

    def __init__(self, fd: int) -> None:
        self._rejected: list[tio.FrameError] = []
        self._container = tio.OffloadContainer(on_reject=lambda _, error: self._rejected.append(error))
        self._container.add(fd)
        (self.queue,) = self._container.queues()

    def read_some(self) -> list[bytes]:
        """Return the packets of one frame. Raises `TurnedDownError` with them if an earlier frame was rejected."""
        self._rejected.clear()
        packets = [bytes(view) for view in self.queue.read()]
        if self._rejected:
            raise _refusal(self._rejected[0], packets)
        return packets

    def written(self) -> list[bytes]:
        """Return the frames written since the last call, if this process can see them."""
        return []

    def close(self) -> None:
        """Close the fd."""
        self._container.close()


class Wire(ReferenceQueue):
    """A socket pair that stands in for a TUN, with both its ends."""

    def __init__(self) -> None:
        near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (near, self._far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _LARGEST_FRAME)
        self._far.setblocking(False)
        super().__init__(near.detach())

    def read(self, frame: bytes) -> list[bytes]:
        """Return the packets of a frame. A sentinel after it shows that the reader is alive and nothing else came.

        Raises `TurnedDownError`.
        """
        self._far.send(frame)
        self._far.send(_SENTINEL)
        try:
            packets = self.read_some()
        except TurnedDownError as refusal:
            if refusal.frames != (_SENTINEL[HEADER_SIZE:],):
                raise TurnedDownError("but the next packet is damaged", refusal.frames) from refusal
            raise TurnedDownError(refusal.reason, fault=refusal.fault) from refusal
        if self.read_some() != [_SENTINEL[HEADER_SIZE:]]:
            raise TurnedDownError("the packet after the frame is damaged", packets)
        return packets

    def written(self) -> list[bytes]:
        """See `ReferenceQueue.written`."""
        frames = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frames.append(self._far.recv(_LARGEST_FRAME + 1))
        return frames

    def close(self) -> None:
        """Close both ends."""
        super().close()
        self._far.close()


class Reference(Subject):
    """`tio`, every operation, on its own wire unless it is given a line."""

    name = "reference"
    capabilities = frozenset(CAPABILITIES)
    claims = EVERYTHING

    def __init__(self, line: ReferenceQueue | None = None) -> None:
        self._line = Wire() if line is None else line

    def checksum(self, data: bytes, initial: int) -> int:
        """See `Subject.checksum`."""
        return tio.checksum(data, initial)

    def parse_header(self, data: bytes, size: int, byte_order: str) -> VnetFields:
        """See `Subject.parse_header`."""
        with _turned_down(self._line):
            header = tio.VnetHeader.parse(data, **_size(size), byte_order=byte_order)
        return VnetFields(
            flags=header.flags,
            gso_type=header.gso_type,
            hdr_len=header.hdr_len,
            gso_size=header.gso_size,
            csum_start=header.csum_start,
            csum_offset=header.csum_offset,
            num_buffers=header.num_buffers if size >= 12 else None,
            rest=header.rest if size >= 24 else None,
        )

    def emit_header(self, fields: VnetFields, size: int, byte_order: str) -> bytes:
        """See `Subject.emit_header`."""
        header = tio.VnetHeader(
            flags=fields.flags,
            gso_type=fields.gso_type,
            hdr_len=fields.hdr_len,
            gso_size=fields.gso_size,
            csum_start=fields.csum_start,
            csum_offset=fields.csum_offset,
        )
        if fields.num_buffers is not None:
            header = header.with_(num_buffers=fields.num_buffers)
        if fields.rest is not None:
            header = header._replace(rest=fields.rest)
        with _turned_down(self._line):
            return header.emit(**_size(size), byte_order=byte_order)

    def read(self, frame: bytes, before: Sequence[bytes]) -> list[bytes]:
        """See `Subject.read`. It can send a frame only on its own wire; elsewhere `ReferenceQueue.read_some` reads."""
        if not isinstance(self._line, Wire):
            raise UnsupportedError("read: no frame can be sent here")
        for earlier in before:
            with contextlib.suppress(TurnedDownError):
                self._line.read(earlier)
        return self._line.read(frame)

    def write(self, packet: bytes, before: Sequence[bytes], poison: int | None) -> list[bytes]:
        """See `Subject.write`. The reference writes from the caller's buffer, so there is nothing to poison."""
        for earlier in before:
            with contextlib.suppress(tio.FrameError):
                self._line.queue.write(earlier)
        self._line.written()
        with _turned_down(self._line):
            size = self._line.queue.write(packet)
        if size != len(packet):
            raise AssertionError(f"write returned {size} for {len(packet)} bytes")
        return self._line.written()

    def write_gso(self, arguments: GsoArguments, before: Sequence[GsoArguments]) -> list[bytes]:
        """See `Subject.write_gso`."""
        for earlier in before:
            with contextlib.suppress(tio.FrameError):
                self._write_gso(earlier)
        self._line.written()
        with _turned_down(self._line):
            self._write_gso(arguments)
        return self._line.written()

    def write_batch(
        self, packets: Sequence[bytes], before: Sequence[Sequence[bytes]], poison: int | None
    ) -> list[bytes]:
        """See `Subject.write_batch`."""
        for earlier in before:
            self._write_batch(earlier)
        return self._write_batch(packets)

    def lifecycle(self, script: Script) -> list[Answer]:
        """See `Subject.lifecycle`."""
        return play(script)

    def close(self) -> None:
        """See `Subject.close`."""
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_gso(self, arguments: GsoArguments) -> None:
        if not self._line.queue.gso_supported():
            raise AssertionError("the backend with offload reports that it has none")
        pays = arguments.pays
        self._line.queue.write_gso(arguments.hdr, arguments.transport_hdr, pays)

    def _write_batch(self, packets: Sequence[bytes]) -> list[bytes]:
        frames = []
        for item in tio.coalesce(packets):
            if isinstance(item, tio.Superpacket):
                self._line.queue.write_gso(item.hdr, item.transport_hdr, item.pays)
            else:
                with contextlib.suppress(tio.PacketError):  # anything but an IP packet is refused, and not written
                    self._line.queue.write(item.packet)
            written = self._line.written()  # a wire holds only a few of the largest frames
            if written and written != [item.frame()]:
                raise AssertionError("frame() is not what is written")
            frames += written
        return frames


def _size(size: int) -> dict[str, int]:
    """Return the argument for a size, unless it is the default."""
    return {} if size == HEADER_SIZE else {"size": size}


@contextlib.contextmanager
def _turned_down(line: ReferenceQueue) -> Iterator[None]:
    """Turn the reference's refusal into a subject's, with what was written nonetheless."""
    try:
        yield
    except tio.FrameError as error:
        raise _refusal(error, line.written()) from error


def _refusal(error: tio.FrameError, frames: Sequence[bytes] = ()) -> TurnedDownError:
    fault = Fault(rule=error.rule, field=error.field, offset=error.offset, found=str(error.found))
    return TurnedDownError(str(error), frames, fault)
