"""Write one frame and read everything the kernel made of it: the synchronous core of every kernel test.

How an outcome is decided, without a timer:

1. Delivery happens inside the `write` (`wiring`, rule 2), so after it an empty ring means that nothing more comes.
2. If exactly as many packets came as the caller expected and the ring is empty, that is the outcome: the fast path. It
   costs one write, one read per packet and one `poll` that does not wait.
3. Otherwise a *sentinel* follows: a plain packet of a kind that nothing else sends, with a unique number. It takes the
   same path and the ring keeps order, so what came before it belongs to the frame, and if nothing did, the frame is
   lost. Again nothing waits unless the sentinel itself is missing.
4. A ring that may have been full proves nothing: that, a missing sentinel, a link that is down and packets from a
   refused frame are problems of the environment and never an outcome.

An exchange is for one thread, and nothing else may read or write the lab's fds meanwhile.
"""

import errno
import itertools
import os
import select
from collections.abc import Callable, Iterator

from tio.checksum import checksum, finish
from tio.linux import Delivered, KernelOutcome, Lost, Refused
from tio.wire import IPv4Layout
from tunproof.errors import EnvironmentProblem
from tunproof.lab.wiring import IN, OUT, Pair

__all__ = ["SENTINEL_PATIENCE", "Exchange"]

SENTINEL_PATIENCE = 2.0
"""Seconds to wait for a sentinel, which comes at once or not at all."""

_GROWTH = 64
"""How much longer than the frame its output can be at most: a vnet header, or an IPv6 fragment header."""

_RING_SLACK = 64
"""A ring of n entries can be full with a few less than n: the reader returns them in batches (`ptr_ring`)."""

_ENVIRONMENT = {
    errno.EIO: "the link is down",
    errno.EBADFD: "the TUN has lost its device",
    errno.EBADF: "the lab is closed",
    errno.EAGAIN: "the kernel had no memory for it at the moment",
}
"""The errnos of a write for reasons outside the frame. Any other errno is the kernel's answer to the frame."""


_SENTINEL_TTL = 64


class Exchange:
    """One frame in, its outcome out, over a `redirect`, `readback` or `forward` lab, which it does not own.

    `reading` reads at most that many bytes from an fd, `writing` writes a frame to one.
    """

    __slots__ = ("_lab", "_poll", "_read", "_reader", "_reader_header", "_ring", "_sentinels", "_write", "_writer")

    def __init__(
        self,
        lab: Pair,
        *,
        reading: Callable[[int, int], bytes] = os.read,
        writing: Callable[[int, bytes], int] = os.write,
    ) -> None:
        poll = select.poll()
        poll.register(lab.reader, select.POLLIN)
        self._lab = lab
        self._poll = poll.poll
        self._read = reading
        self._reader = lab.reader
        self._reader_header = lab.reader_header_size
        self._ring = max(lab.queue_length - _RING_SLACK, 1)
        self._sentinels = _sentinels(lab)
        self._write = writing
        self._writer = lab.writer

    def send(self, frame: bytes, hint: int) -> KernelOutcome:
        """Write `frame` (vnet header and packet) and return its outcome.

        `hint` is how many packets are expected: a wrong one costs time and changes nothing, 0 means "none, or unknown".
        Raises `EnvironmentProblem` if the outcome cannot be known; the ring is empty again then.
        """
        size = len(frame)
        try:
            written = self._write(self._writer, frame)
        except OSError as error:
            return self._refused(error)
        if written != size:
            raise EnvironmentProblem(f"a write of {size} bytes took {written}", cure="a TUN takes all or nothing")
        packets = []
        # A buffer of the frame's length plus the growth is smaller than the maximum, and truncates no packet.
        size += _GROWTH
        read, reader = self._read, self._reader
        try:
            for _ in range(hint):
                packets.append(read(reader, size))  # noqa: PERF401 - what came before EAGAIN must not be lost
        except BlockingIOError:
            return self._decide(packets, size)
        if not 0 < hint < self._ring or self._poll(0):
            return self._decide(packets, size)
        return Delivered(tuple(packets))

    def settle(self) -> KernelOutcome:
        """Return what a lab delivers when nothing is sent: `Lost()`, if it works and is quiet."""
        return self._decide([], 1 << 16)

    def _decide(self, packets: list[bytes], size: int) -> KernelOutcome:
        """Read the rest, prove by a sentinel that it was all, and tell lost from delivered."""
        self._drain(packets, size)
        sentinel, arrival = next(self._sentinels)
        os.write(self._writer, sentinel)
        start = self._reader_header
        while (packet := self._await(size))[start:] != arrival:
            packets.append(packet)
        return Delivered(tuple(packets)) if packets else Lost()

    def _drain(self, packets: list[bytes], size: int) -> None:
        while self._poll(0):
            packets.append(self._read(self._reader, size))
        if len(packets) >= self._ring:
            dropped = self._lab.counters(OUT).tx_dropped
            raise EnvironmentProblem(
                f"{len(packets)} packets came out of one frame and filled the ring of {self._lab.queue_length} entries:"
                f" the kernel may have silently dropped more (tx_dropped is {dropped})",
                cure="make the lab with a larger queue_length",
            )

    def _await(self, size: int) -> bytes:
        if not self._poll(SENTINEL_PATIENCE * 1000):
            raise EnvironmentProblem(
                f"a plain packet did not come through the lab in {SENTINEL_PATIENCE:g} s:"
                f" {self._lab.counters(IN)}, {self._lab.counters(OUT)}",
                cure="make sure that nothing else reads this lab or filters in it; `tunproof doctor` tries each wiring",
            )
        return self._read(self._reader, size)

    def _refused(self, error: OSError) -> Refused:
        number = error.errno or 0
        if number in _ENVIRONMENT:
            raise EnvironmentProblem(f"the lab took no frame: {_ENVIRONMENT[number]}", cure="make a new lab") from error
        packets: list[bytes] = []
        self._drain(packets, 1 << 16)
        if packets:
            what = f"{len(packets)} packets came out although the write was refused: {error.strerror}"
            raise EnvironmentProblem(what, cure="make sure that nothing else writes to this lab")
        return Refused(number)


def _sentinels(lab: Pair) -> Iterator[tuple[bytes, bytes]]:
    """Yield frames that no test sends by accident, each with the packet that `lab` must deliver for it.

    The vnet header before that packet is not compared: kernels before 6.15 leave part of a longer one unwritten.

    IPv4, because every wiring has it; protocol 253 is for experiments (RFC 3692); never the same twice.
    """
    start = bytes(lab.header_size) + _sentinel_header(_SENTINEL_TTL)
    end = _sentinel_header(_SENTINEL_TTL - lab.hops)
    tag = os.urandom(8)
    for number in itertools.count():
        payload = tag + number.to_bytes(8, "big")
        yield start + payload, end + payload


def _sentinel_header(ttl: int) -> bytes:
    """Return an IPv4 header from 192.0.2.1 to 198.51.100.1 (RFC 5737: for documentation) for 16 bytes of payload."""
    header = bytearray.fromhex("45000024000000000000 0000 c0000201 c6336401")
    header[IPv4Layout.TTL.offset], header[IPv4Layout.PROTOCOL.offset] = ttl, 253
    header[IPv4Layout.CHECKSUM.span] = finish(checksum(header)).to_bytes(2, "big")
    return bytes(header)
