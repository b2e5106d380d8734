"""What runs in a guest, as its first and only process: it makes labs, writes frames, and reports their outcomes.

    hello       its release, once
    request     a path, and frames with the number of packets that are expected; or a request for new labs
    answer      an outcome for each frame

The guest decides nothing: what to send, and whether an outcome is correct, is decided on the other side of the port,
where the processor is not emulated. When the port is closed, or anything here goes wrong, the machine is switched off;
the console has the reason.
"""

import ctypes
import os
import sys
import time
import traceback
from pathlib import Path

from tunproof.errors import EnvironmentProblem
from tunproof.lab import RunningKernel
from tunproof.lab.way_json import way_of
from tunproof.matrix.wire import PORT, Answer, Hello, Request, Told, Wire, told

__all__ = ["main"]

_MODULES = Path("/modules")
_PORTS = Path("/sys/class/virtio-ports")
_PATIENCE = 10.0  # seconds until the port exists
_RESTART = 0x01234567
_FINIT_MODULE = 313  # x86-64
_LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Serve until the port is closed, and switch off."""
    try:
        _mount()
        _load_modules()
        _serve(Wire(os.open(_port(), os.O_RDWR)))
    except BaseException:  # noqa: BLE001 (the first process must not end)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        _LIBC.reboot(ctypes.c_int(_RESTART))
        time.sleep(60)


def _serve(wire: Wire) -> None:
    wire.send(Hello(release=os.uname().release))
    with RunningKernel() as kernel:
        while (request := wire.receive(Request)) is not None:
            if request.fresh:
                kernel.close()
            wire.send(Answer(outcomes=_outcomes(kernel, request)))


def _outcomes(kernel: RunningKernel, request: Request) -> list[Told]:
    """Return the outcome of each frame; after one that could not be sent, the next gets new labs."""
    outcomes: list[Told] = []
    way = way_of(request.way)
    send = None
    for frame, hint in request.frames:
        try:
            send = send or kernel.sender(way)
            outcomes.append(told(send(frame, hint)))
        except (EnvironmentProblem, OSError) as problem:
            outcomes.append(problem.what if isinstance(problem, EnvironmentProblem) else str(problem))
            kernel.close()
            send = None
    return outcomes


def _mount() -> None:
    for kind, where in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")):  # noqa: S108
        Path(where).mkdir(exist_ok=True)
        _check(_LIBC.mount(kind.encode(), where.encode(), kind.encode(), 0, None), f"mount {where}")


def _load_modules() -> None:
    """Insert the modules, numbered in their order. One that this kernel refuses is reported, and missed later."""
    for path in sorted(_MODULES.iterdir()):
        fd = os.open(path, os.O_RDONLY)
        if _LIBC.syscall(_FINIT_MODULE, fd, b"", 0) < 0:
            print(f"{path.name}: {os.strerror(ctypes.get_errno())}", flush=True)
        os.close(fd)


def _port() -> str:
    """Return the device of our port, once it exists."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for folder in _PORTS.glob("*"):
            if (folder / "name").read_text().strip() == PORT:
                return f"/dev/{folder.name}"
        time.sleep(0.02)
    raise FileNotFoundError(f"no virtio port {PORT} after {_PATIENCE} s")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
