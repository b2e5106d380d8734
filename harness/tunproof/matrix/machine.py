"""One guest in QEMU: started, talked to over a virtio port, and gone when it is closed.

No disk, no network, no display. What the kernel says on its console is read and kept up to a limit, so that a guest
that floods it fills nobody's disk.
"""

import os
import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import Final, Self, TypeVar

from tunproof.errors import EnvironmentProblem
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.wire import PORT, Answer, Hello, Request, Wire

__all__ = ["QEMU", "GuestGone", "Machine", "ensure"]

QEMU: Final = "qemu-system-x86_64"

_MEMORY = 1024  # MiB
_CONSOLE_MOST = 1 << 20  # bytes of console that are kept: what comes after is counted
_COMMAND_LINE = "console=ttyS0 panic=-1 rdinit=/init random.trust_cpu=on mitigations=off loglevel=6"
_END_PATIENCE = 5.0  # seconds
_TELLING = ("Kernel panic", "BUG:", "Oops", "general protection", "Error:", "error:")

M = TypeVar("M", Hello, Answer)


class GuestGone(Exception):
    """A guest ended, hung or said something that makes no sense; the message says which."""


def ensure() -> None:
    """Make sure that guests can be started. Raises `EnvironmentProblem`."""
    if shutil.which(QEMU) is None:
        raise EnvironmentProblem(
            f"{QEMU} is missing, in which the kernels would run",
            cure="apt-get install qemu-system-x86 (Fedora: dnf install qemu-system-x86-core)",
        )


class Machine:
    """A running guest. Not for several threads; but `kill` may be called by any, and ends a wait for an answer."""

    def __init__(self, kernel: Kernel, initramfs: Path, *, accelerator: str = "tcg") -> None:
        self.kernel = kernel
        self._console = bytearray()
        self._flood = 0
        ours, theirs = socket.socketpair()
        self._port = ours
        self._wire = Wire(ours.fileno())
        try:
            self._process = subprocess.Popen(
                [*_dies_with_us(), *_command(kernel, initramfs, accelerator, theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
            )
        except OSError as error:
            ours.close()
            raise EnvironmentProblem(
                f"{QEMU} cannot be started: {error.strerror}", cure="free some memory, or ask for less --jobs"
            ) from error
        finally:
            theirs.close()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def console(self) -> str:
        """What the guest said on its console so far, QEMU's own complaints with it."""
        end = f"\n[{self._flood} more bytes are left out]\n" if self._flood else ""
        return self._console.decode(errors="replace").replace("\r", "") + end

    @property
    def is_running(self) -> bool:
        """Whether QEMU has not ended."""
        return self._process.poll() is None

    def hello(self, patience: float) -> Hello:
        """Wait until the guest is there. Raises `GuestGone`."""
        self._be_patient(patience)
        return self._receive(Hello, f"it did not come up within {patience:g} s")

    def ask(self, request: Request, patience: float) -> Answer:
        """Return the answer to a request. Raises `GuestGone`."""
        self._be_patient(patience)
        try:
            self._wire.send(request)
        except OSError as error:
            raise GuestGone(f"it takes no request: {error.strerror}") from error
        answer = self._receive(Answer, f"it did not answer within {patience:g} s")
        if len(answer.outcomes) != len(request.frames):
            raise GuestGone(f"it answered {len(answer.outcomes)} of {len(request.frames)} frames")
        return answer

    def kill(self) -> None:
        """End the guest, which wakes whoever waits for its answer."""
        self._process.kill()

    def close(self) -> None:
        """End the guest, and wait until it is gone. Closing twice is harmless."""
        self.kill()
        self._process.wait()
        self._listener.join(_END_PATIENCE)
        self._port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _be_patient(self, seconds: float) -> None:
        """Have reads and writes of the port fail with EAGAIN after so long (`socket(7)`)."""
        timeval = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)

    def _receive(self, kind: type[M], late: str) -> M:
        try:
            message = self._wire.receive(kind)
        except BlockingIOError as error:
            raise GuestGone(late) from error
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
            raise GuestGone(f"it said something that makes no sense: {error}") from error
        if message is None:
            self._process.wait(_END_PATIENCE)
            raise GuestGone(f"it ended: {self._last_words()}")
        return message

    def _last_words(self) -> str:
        """Return the line of the console that tells most: where a panic is announced, or the last one."""
        lines = [line.strip() for line in self.console.splitlines() if line.strip()]
        telling = [line for line in lines if any(word in line for word in _TELLING)]
        return (telling or lines or ["it said nothing"])[0 if telling else -1]

    def _listen(self) -> None:
        """Keep what is said on the console, up to a limit."""
        assert self._process.stdout is not None  # noqa: S101 (for the type checker)
        with self._process.stdout as console:
            while some := os.read(console.fileno(), 1 << 16):
                room = max(_CONSOLE_MOST - len(self._console), 0)
                self._console += some[:room]
                self._flood += max(len(some) - room, 0)


def _command(kernel: Kernel, initramfs: Path, accelerator: str, port: int) -> list[str]:
    return [
        QEMU,
        *("-nodefaults", "-no-user-config", "-no-reboot"),
        *("-display", "none", "-monitor", "none", "-nic", "none", "-serial", "stdio"),
        *("-machine", f"pc,accel={accelerator}", "-cpu", "max", "-smp", "1", "-m", str(_MEMORY)),
        *("-device", "virtio-serial-pci", "-chardev", f"socket,id=port,fd={port}"),
        *("-device", f"virtserialport,chardev=port,name={PORT}"),
        *("-kernel", str(kernel.image), "-initrd", str(initramfs), "-append", _COMMAND_LINE),
    ]


def _dies_with_us() -> list[str]:
    """Return what to put before a command that is to die when this process is killed (`prctl(2)`, PR_SET_PDEATHSIG)."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
