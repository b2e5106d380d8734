"""What several tests need: packets that scapy built, sums added up word by word, threads that cannot hang.

Nothing here uses the code under test to decide what is correct.
"""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.packet import Packet, Raw

from tio.container import BaseContainer, RejectCallback
from tio.offload import OffloadContainer
from tio.poll import PollContainer

PATIENCE = 5.0  # seconds that anything may take before a test gives up on it

TIMESTAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (7, 9))]  # 12 bytes of TCP options


def ip4(**fields: object) -> Packet:
    return IP(**{"src": "192.0.2.1", "dst": "198.51.100.2", "id": 0x1234, **fields})


def ip6(**fields: object) -> Packet:
    return IPv6(**{"src": "2001:db8::1", "dst": "2001:db8::2", "fl": 0xBEEF, "tc": 2, **fields})


def tcp(**fields: object) -> Packet:
    return TCP(**{"sport": 443, "dport": 40000, "seq": 1000, "ack": 77, "flags": "A", "window": 512, **fields})


def udp(**fields: object) -> Packet:
    return UDP(**{"sport": 443, "dport": 40000, **fields})


EXTENSIONS = IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting(segleft=0, addresses=["2001:db8::9"]) / IPv6ExtHdrDestOpt()

# Every kind of header stack that can be segmented, without its payload.
STACKS: dict[str, Packet] = {
    "tcp4": ip4() / tcp(),
    "tcp4-df": ip4(flags="DF") / tcp(),
    "tcp4-ip-options": ip4(options=[IPOption_NOP()] * 8) / tcp(),
    "tcp4-tcp-options": ip4() / tcp(options=TIMESTAMPS),
    "tcp6": ip6() / tcp(),
    "tcp6-extensions": ip6() / EXTENSIONS / tcp(options=TIMESTAMPS),
    "udp4": ip4() / udp(),
    "udp6": ip6() / udp(),
    "udp6-extensions": ip6() / EXTENSIONS / udp(),
}


def is_tcp(stack: Packet) -> bool:
    return TCP in stack


def header_lengths(stack: Packet) -> tuple[int, int]:
    """Return the bytes before the transport header, and those of the transport header."""
    transport = len(raw(stack[TCP])) if is_tcp(stack) else 8
    return len(raw(stack)) - transport, transport


def csum_offset(stack: Packet) -> int:
    return 16 if is_tcp(stack) else 6


def gso_type(stack: Packet) -> int:
    if not is_tcp(stack):
        return 5
    return 1 if IP in stack else 4


def build(stack: Packet, payload: bytes = b"") -> bytes:
    """Return the complete packet, lengths and checksums by scapy."""
    return raw(stack / Raw(payload)) if payload else raw(stack)


def judged(packet: bytes) -> bytes:
    """Return the packet with all lengths and checksums made anew by scapy: the same bytes if they were right."""
    parsed = IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)
    for layer, fields in ((IP, ("len", "chksum")), (IPv6, ("plen",)), (TCP, ("chksum",)), (UDP, ("len", "chksum"))):
        if layer in parsed:
            for field in fields:
                delattr(parsed[layer], field)
    return raw(parsed)


def cut(stack: Packet, payload: bytes, size: int) -> list[bytes]:
    """Return the segments that a kernel makes of a superpacket, each one built by scapy from its fields."""
    starts = range(0, len(payload), size)
    segments = []
    for index, start in enumerate(starts):
        part = stack.copy()
        if IP in part:
            part[IP].id = (part[IP].id + index) & 0xFFFF
        if TCP in part:
            part[TCP].seq = (part[TCP].seq + start) & 0xFFFFFFFF
            flags = int(part[TCP].flags)
            flags &= ~0x80 if index else ~0
            flags &= ~0x09 if index < len(starts) - 1 else ~0
            part[TCP].flags = flags
        segments.append(build(part, payload[start : start + size]))
    return segments


def word_sum(data: bytes) -> int:
    """Return the one's-complement sum as the C code of RFC 1071, section 4.1 adds it up."""
    total = sum(high << 8 | low for high, low in zip(data[::2], data[1::2], strict=False))
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def partial_sum(stack: Packet, length: int) -> int:
    """Return the sum of the pseudo-header for a transport header and data of `length` bytes."""
    packet = raw(stack)
    addresses = packet[12:20] if IP in stack else packet[8:40]
    return word_sum(addresses + struct.pack(">HH", 6 if is_tcp(stack) else 17, length))


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


def word(value: int) -> bytes:
    return value.to_bytes(2, "big")


def with_partial(stack: Packet, payload: bytes, *, error: int = 0) -> bytes:
    """Return the packet with the pseudo-header partial (and `error` added to it) in its checksum field."""
    offset, transport = header_lengths(stack)
    partial = word_sum(word(partial_sum(stack, transport + len(payload))) + word(error))
    return patched(build(stack, payload), offset + csum_offset(stack), word(partial))


def zero_checksum_payload(stack: Packet, payload: bytes) -> bytes:
    """Return the payload with a last word that makes the packet's transport checksum zero."""
    offset, _ = header_lengths(stack)
    at = offset + csum_offset(stack)
    packet = build(stack, payload[:-2] + b"\0\0")
    return payload[:-2] + packet[at : at + 2]


@dataclass(frozen=True)
class Vnet:
    """A vnet header, packed by `struct` alone."""

    flags: int = 0
    gso_type: int = 0
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0

    def pack(self, order: str = "=") -> bytes:
        numbers = (self.flags, self.gso_type, self.hdr_len, self.gso_size, self.csum_start, self.csum_offset)
        return struct.pack(order + "BBHHHH", *numbers)

    @classmethod
    def unpack(cls, frame: bytes) -> "Vnet":
        return cls(*struct.unpack_from("=BBHHHH", frame))


def vnet_for(stack: Packet, size: int, **changes: int) -> bytes:
    """Return the vnet header of a superpacket with `size` bytes in each segment."""
    fields = {
        "flags": 1,
        "gso_type": gso_type(stack),
        "hdr_len": sum(header_lengths(stack)),
        "gso_size": size,
        "csum_start": header_lengths(stack)[0],
        "csum_offset": csum_offset(stack),
    }
    return Vnet(**{**fields, **changes}).pack()


def superframe(stack: Packet, payload: bytes, size: int, **changes: int) -> bytes:
    """Return the frame of a superpacket; `changes` go to its vnet header."""
    return vnet_for(stack, size, **changes) + with_partial(stack, payload)


def pieces(stack: Packet, payload: bytes, size: int) -> tuple[bytes, bytes, list[bytes]]:
    """Return the arguments of `write_gso`."""
    ip, transport = header_lengths(stack)
    packet = with_partial(stack, payload)
    parts = [payload[start : start + size] for start in range(0, len(payload), size)]
    return packet[:ip], packet[ip : ip + transport], parts


def text(length: int) -> bytes:
    """Return bytes of which no two neighbours look alike."""
    return bytes((7 * index + index // 251) & 0xFF for index in range(length))


def broken_rule(error: type[Exception], call: Callable[..., object], *args: object, **kwargs: object) -> str:
    """Return the number of the rule that a call is refused for."""
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    rule: str = caught.value.rule
    return rule


def open_fds() -> int:
    """Return how many files this process has open."""
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else pytest.skip("needs /proc")


class Background:
    """A call in a thread of its own, whose outcome is waited for no longer than `PATIENCE`."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._outcome: list[object] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome.append(self._call())
        except BaseException as error:  # noqa: BLE001  (raised again by `result`)
            self._error = error

    def result(self) -> object:
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            pytest.fail(f"still running after {PATIENCE} s")
        if self._error is not None:
            raise self._error
        return self._outcome[0]


def frames_in(receive: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield what can be received without waiting."""
    while True:
        try:
            frame = receive(1 << 17)
        except BlockingIOError:
            return
        if not frame:
            return
        yield frame


BACKENDS = {"poll": PollContainer, "offload": OffloadContainer}


class Wire:
    """A container with one queue, and the other end of its wire."""

    def __init__(self, make: type[BaseContainer], on_reject: RejectCallback | None = None) -> None:
        ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.peer.setblocking(False)
        self.container = make(on_reject=on_reject)
        self.fd = ours.detach()
        self.container.add(self.fd)
        (self.queue,) = self.container.queues()
        self.header = Vnet().pack() if make.vnet_header else b""

    def send(self, packet: bytes) -> None:
        """Let the queue read a plain packet."""
        self.peer.send(self.header + packet)

    def frames(self) -> list[bytes]:
        """Return what the queue wrote so far."""
        return list(frames_in(self.peer.recv))

    def packets(self) -> list[bytes]:
        """Return what the queue wrote so far, without the vnet headers."""
        return [frame[len(self.header) :] for frame in self.frames()]

    def close(self) -> None:
        self.container.close()
        self.peer.close()


class Waits:
    """Tells when an operation is about to wait in `poll`: the moment for another thread to act."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)

    def next(self) -> None:
        """Return as soon as an operation waits (again)."""
        if not self.begun.acquire(timeout=PATIENCE):
            pytest.fail("nobody waits")


def processes_marked(mark: str) -> list[int]:
    """Return the processes, but for this one, that inherited an environment variable with this value."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if mark.encode() in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found
