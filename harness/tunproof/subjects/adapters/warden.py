"""The process between the runner and an adapter: no part of the adapter outlives the run or exhausts the machine.

It is started by file name, imports nothing from tunproof, and ensures

1. that the adapter and all its descendants are gone when the adapter ends, and when the runner does, however that
   happens: the runner's end of the control socket closes with it. It is the subreaper (PR_SET_CHILD_SUBREAPER), so it
   also finds a child that made its own session;
2. that they stay within the memory limit. What counts is touched memory that belongs to no file, with shared memory in
   proportion (Pss, /proc/PID/smaps_rollup): RLIMIT_AS counts what Go and the sanitizers merely reserve. That file is
   slow to read, so it is left alone as long as the sum of resident memory (statm) is within the limit;
3. that the runner knows how the adapter ended: one line on the control socket, `start ERRNO`, `exit CODE`,
   `signal NUMBER` or `oom BYTES`.

    python warden.py CONTROL-FD MEMORY-LIMIT COMMAND [ARGUMENT...]

Linux 5.3 or newer (pidfd_open).
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_MEASURE_MS = 50
_PATIENCE = 1.5  # seconds until a process that cannot be killed is abandoned
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LIBC = ctypes.CDLL(None)


def main() -> None:
    """Run the command in the arguments until it ends, or the runner does."""
    control, limit, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    os.set_inheritable(control, False)
    failure, child_failure = os.pipe()
    child = os.fork()
    if child == 0:
        _become(command, child_failure)
    os.close(child_failure)
    _keep_only(control, failure)
    refused = os.read(failure, 16)
    try:
        report = f"start {refused.decode()}" if refused else _watch(child, control, limit)
        with contextlib.suppress(OSError):  # the runner may be gone
            os.write(control, report.encode() + b"\n")
    finally:
        _end_all()


def _become(command: list[str], failure: int) -> NoReturn:
    """Become the adapter: its own process group, which dies with the warden."""
    try:
        os.setpgid(0, 0)
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and ignoring is inherited
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606 (no shell is wanted)
    except OSError as error:
        os.write(failure, str(error.errno).encode())
    finally:
        os._exit(127)


def _keep_only(*kept: int) -> None:
    """Close every other fd, so that the adapter holds the only copies of its ends."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (the numbers are wanted)
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _watch(child: int, control: int, limit: int) -> str:
    """Return how the adapter ended, or that the runner gave up, in which case the answer is not read."""
    pidfd = os.pidfd_open(child)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(control, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll(_MEASURE_MS)}
        if pidfd in ready:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            return f"exit {status}" if status >= 0 else f"signal {-status}"
        if control in ready:
            return "told to"
        descendants = _descendants()
        if sum(map(_resident, descendants)) > limit:
            used = sum(map(_touched, descendants))
            if used > limit:
                return f"oom {used}"


def _end_all() -> None:
    """Kill every descendant, and wait until there is none: orphans become children of the warden.

    A process that changed its user may not be killable; the warden does not wait for it.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for pid in _descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(_MEASURE_MS / 10_000)


def _descendants() -> list[int]:
    """Return the processes that descend from this one, nearer ones first."""
    found = [os.getpid()]
    for pid in found:  # grows meanwhile
        found += _children(pid)
    return found[1:]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _touched(pid: int) -> int:
    """Return its share of memory that belongs to no file, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    parts = {line.partition(":")[0]: line.split()[1] for line in lines[1:]}
    return sum(int(parts.get(name, 0)) for name in ("Pss_Anon", "Pss_Shmem")) * 1024


if __name__ == "__main__":
    main()
