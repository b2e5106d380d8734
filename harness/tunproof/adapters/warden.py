"""The process between the runner and an adapter: nothing of the adapter outlives the run, or eats the machine.

It is started by file name, imports nothing of tunproof, and sees to it

1. that the adapter and all its descendants are gone when the adapter ends, and when the runner does, however it does:
   their end of the control socket closes with them. It is the reaper of orphans (PR_SET_CHILD_SUBREAPER), so a child
   that made a session of its own is found as well;
2. that they use no more memory than they may. What counts is what they touched and share with nobody (resident less
   shared, /proc/PID/statm), because RLIMIT_AS counts what Go and the sanitizers merely reserve;
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
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_MEASURE_MS = 50
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LIBC = ctypes.CDLL(None)


def main() -> None:
    """Run the command of the arguments to its end, or to the runner's."""
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
    """Turn into the adapter: a process group of its own, which dies with the warden."""
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
    """Close every other fd, so that the ends that the adapter has are the only ones."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (the numbers are wanted)
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _watch(child: int, control: int, limit: int) -> str:
    """Return how the adapter ended; what ends is also the runner's patience, in which case nobody reads the answer."""
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
        used = sum(_touched(pid) for pid in _descendants(os.getpid()))
        if used > limit:
            return f"oom {used}"


def _end_all() -> None:
    """Kill every descendant, and wait until there is none: whoever loses its parent becomes a child of the warden."""
    while True:
        for pid in list(_descendants(os.getpid())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _touched(pid: int) -> int:
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE


if __name__ == "__main__":
    main()
