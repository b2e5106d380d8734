"""One guest in QEMU: started, driven over a virtio port, and ended when closed.

No disk, no network, no display. The kernel's console output is read and kept up to a limit, so a guest that floods it
fills no disk.
"""

import os
import platform
import shutil
import socket
import struct
import subprocess
import threading
from typing import Final, TypeVar

from tunproof.errors import EnvironmentProblem
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.wire import PORT, Answer, Hello, Request, Wire
from tunproof.text import legible, shortened

__all__ = ["QEMU", "GuestGone", "Machine", "ensure"]

QEMU: Final = "qemu-system-x86_64"

_MEMORY = 1024  # MiB
_HEAD_MOST, _TAIL_MOST = 1 << 20, 1 << 16  # bytes of console that are kept; the rest is counted
_LONGEST_WORDS = 200  # characters
_COMMAND_LINE = "console=ttyS0 panic=-1 rdinit=/init random.trust_cpu=on mitigations=off loglevel=6"
_END_PATIENCE = 5.0  # seconds
_TELLING = ("Kernel panic", "BUG:", "Oops", "general protection", "Error:", "error:")

M = TypeVar("M", Hello, Answer)


class GuestGone(Exception):
    """A guest ended, hung or sent something invalid; the message says which."""


def ensure() -> None:
    """Make sure that guests can be started. Raises `EnvironmentProblem`."""
    if platform.machine() != "x86_64":
        raise EnvironmentProblem(
            f"guests use this machine's Python, and are x86-64; this machine is {platform.machine()}",
            cure="run the matrix on an x86-64 machine",
        )
    if shutil.which(QEMU) is None:
        raise EnvironmentProblem(
            f"{QEMU} is missing, which runs the kernels",
            cure="apt-get install qemu-system-x86 (Fedora: dnf install qemu-system-x86-core)",
        )


class Machine:
    """A running guest. Not thread-safe, except that any thread may call `kill`, which ends a wait for an answer."""

    def __init__(self, kernel: Kernel, root: int, *, accelerator: str = "tcg") -> None:
        """Start a guest. `root` is a file descriptor of its initramfs."""
        self.kernel = kernel
        self._head = bytearray()
        self._tail = bytearray()
        self._flood = 0
        ours, theirs = socket.socketpair()
        self._port = ours
        self._wire = Wire(ours.fileno())
        try:
            self._process = subprocess.Popen(
                [*_dies_with_us(), *_command(kernel, root, accelerator, theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno(), root],
                process_group=0,  # Ctrl-C must reach only this process, which then ends the guests
            )
        except OSError as error:
            ours.close()
            raise EnvironmentProblem(
                f"{QEMU} cannot be started: {error.strerror}", cure="free some memory, or use fewer --jobs"
            ) from error
        finally:
            theirs.close()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def console(self) -> str:
        """What the guest has printed on its console so far, including QEMU's own messages."""
        left = f"\n[{self._flood} bytes omitted]\n".encode() if self._flood else b""
        return (self._head + left + self._tail).decode(errors="replace").replace("\r", "")

    @property
    def is_running(self) -> bool:
        """Whether QEMU has not ended."""
        return self._process.poll() is None

    def hello(self, patience: float) -> str:
        """Wait until the guest is up, and return its release. Raises `GuestGone`."""
        self._be_patient(patience)
        return self._receive(Hello, f"it did not come up within {patience:g} s").release

    def ask(self, request: Request, patience: float) -> Answer:
        """Return the answer to a request. Raises `GuestGone`."""
        self._be_patient(patience)
        try:
            self._wire.send(request)
        except OSError as error:
            raise GuestGone(f"it accepts no request: {error.strerror}") from error
        answer = self._receive(Answer, f"it did not answer within {patience:g} s")
        if len(answer.outcomes) != len(request.frames):
            raise GuestGone(f"it answered {len(answer.outcomes)} of {len(request.frames)} frames")
        return answer

    def kill(self) -> None:
        """End the guest, which wakes any thread that waits for its answer."""
        self._process.kill()

    def close(self) -> None:
        """End the guest, and wait until it is gone. Closing twice is harmless."""
        self.kill()
        self._process.wait()
        self._listener.join(_END_PATIENCE)
        self._port.close()

    def _be_patient(self, seconds: float) -> None:
        """Make reads and writes of the port fail with EAGAIN after this time (`socket(7)`)."""
        timeval = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)

    def _receive(self, kind: type[M], late: str) -> M:
        try:
            message = self._wire.receive(kind)
        except BlockingIOError as error:
            raise GuestGone(late) from error
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
            raise GuestGone(f"it sent something invalid: {error}") from error
        if message is None:
            raise GuestGone(self._how_it_ended())
        return message

    def _how_it_ended(self) -> str:
        try:
            self._process.wait(_END_PATIENCE)
        except subprocess.TimeoutExpired:
            return "it closed its port but did not end"
        self._listener.join(_END_PATIENCE)
        return f"it ended: {self._last_words()}"

    def _last_words(self) -> str:
        """Return the most telling line of the console: one that announces a panic, or else the last."""
        lines = [line.strip() for line in self.console.splitlines() if line.strip()]
        telling = (line for word in _TELLING for line in lines if word in line)
        return shortened(legible(next(telling, lines[-1] if lines else "it printed nothing")), _LONGEST_WORDS)

    def _listen(self) -> None:
        """Keep the console output: if it is too long, its beginning and its end."""
        assert self._process.stdout is not None  # noqa: S101 (for the type checker)
        with self._process.stdout as console:
            while some := os.read(console.fileno(), 1 << 16):
                room = max(_HEAD_MOST - len(self._head), 0)
                self._head += some[:room]
                self._tail += some[room:]
                self._flood += max(len(self._tail) - _TAIL_MOST, 0)
                del self._tail[:-_TAIL_MOST]


def _command(kernel: Kernel, root: int, accelerator: str, port: int) -> list[str]:
    return [
        QEMU,
        *("-nodefaults", "-no-user-config", "-no-reboot"),
        *("-display", "none", "-monitor", "none", "-nic", "none", "-serial", "stdio"),
        *("-machine", f"pc,accel={accelerator}", "-cpu", "max", "-smp", "1", "-m", str(_MEMORY)),
        *("-device", "virtio-serial-pci", "-chardev", f"socket,id=port,fd={port}"),
        *("-device", f"virtserialport,chardev=port,name={PORT}"),
        *("-kernel", str(kernel.image), "-initrd", f"/proc/self/fd/{root}", "-append", _COMMAND_LINE),
    ]


def _dies_with_us() -> list[str]:
    """Return the prefix for a command that is to die when this process is killed (`prctl(2)`, PR_SET_PDEATHSIG)."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
