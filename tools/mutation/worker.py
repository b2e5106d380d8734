"""One process that runs the corpus against mutants: `worker.py CHECKOUT PARENT_PID`, started by `pool`.

It reads one JSON object per line (`module`, `source`) and answers with one (`outcome`, `seconds`); the first answer,
unrequested, is about the unmutated reference. Everything that no mutant can change is loaded once, here: third-party
and standard modules, and the decoded corpus. `tio` is not: each mutant is imported and judged in its own forked child.

Nothing is left behind: the child dies with this process and this process with its parent, even by SIGKILL, and it
removes its copies on the way out.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import py_compile
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

SURVIVED, KILLED, NO_IMPORT, BROKEN = range(4)  # exit codes of a child
NAMES = {SURVIVED: "survived", NO_IMPORT: "does not import", BROKEN: "broken"}
MEMORY = 2 << 30
BATCHES = 8


def load_cases() -> list[object]:
    """Return the cases, without importing what is mutated. This and `agrees` are all that is known of the harness.

    Those of lifecycles are left out: they are about fds, threads and devices, which `config` does not mutate, and cost
    a mutant as much time as all others together.
    """
    from tunproof.corpus.cases import LifecycleCase  # noqa: PLC0415  (it is on the path only by now)
    from tunproof.corpus.load import load  # noqa: PLC0415

    return [case for case in load().cases.values() if not isinstance(case, LifecycleCase)]


def agrees(cases: Sequence[object]) -> bool:
    """Whether the reference, as it can be imported now, gets every case right."""
    from tunproof.judge.verdict import Kind  # noqa: PLC0415
    from tunproof.subjects.connection import judge  # noqa: PLC0415
    from tunproof.subjects.reference import Reference  # noqa: PLC0415

    # In batches, each with some of every topic: one failure is enough, and most mutants show in the first batch.
    with Reference() as reference:
        order = (case for start in range(BATCHES) for case in cases[start::BATCHES])
        return all(judge(case, reference, exact=True).kind is Kind.PASS for case in order)


class Judge:
    """A private copy of reference and harness, and the children that run it."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self._tio = folder / "reference" / "tio"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(checkout / "reference" / "tio", self._tio, ignore=ignored)
        shutil.copytree(checkout / "harness" / "tunproof", folder / "harness" / "tunproof", ignore=ignored)
        for path in folder.rglob("*.py"):
            # By content: two mutants of one size in one second would look the same to the usual check.
            py_compile.compile(str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
        sys.path[:0] = [str(folder / "reference"), str(folder / "harness")]
        sys.dont_write_bytecode = True
        _import_foreign()
        self._cases = load_cases()
        if "tio" in sys.modules:
            raise SystemExit("the corpus cannot be loaded without importing what is mutated")
        gc.freeze()
        self._patience = 60.0
        outcome, seconds = self._run()
        self.baseline = outcome, seconds
        self._patience = 4 * seconds + 3

    def judge(self, module: str, source: str) -> tuple[str, float]:
        """Return what the corpus says to a module with this source instead of its own, and how long that took."""
        with _replaced(self._tio / f"{module}.py", source):
            return self._run()

    def _run(self) -> tuple[str, float]:
        started = time.monotonic()
        with _child(self._judge_here) as pid:
            watch = os.pidfd_open(pid)
            poll = select.poll()
            poll.register(watch, select.POLLIN)
            in_time = poll.poll(self._patience * 1000)
            os.close(watch)
            if not in_time:
                return "timeout", time.monotonic() - started
            end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # `_child` reaps it, so its number stays its own
            assert end is not None
        status = end.si_status if end.si_code == os.CLD_EXITED else KILLED
        return NAMES.get(status, "killed"), time.monotonic() - started

    def _judge_here(self) -> int:
        """Judge in this process, which is a child."""
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        quiet = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(quiet, fd)
        try:
            import tio  # noqa: PLC0415
        except BaseException:  # noqa: BLE001  (a mutant may raise anything)
            return NO_IMPORT
        if Path(str(tio.__file__)).parent != self._tio:
            return BROKEN
        return SURVIVED if agrees(self._cases) else KILLED


@contextlib.contextmanager
def _replaced(path: Path, source: str) -> Iterator[None]:
    original = path.read_bytes()
    path.write_text(source, encoding="utf-8")
    try:
        yield
    finally:
        path.write_bytes(original)


@contextlib.contextmanager
def _child(work: Callable[[], int]) -> Iterator[int]:
    """Run `work` in a child with a process group of its own, which is dead afterwards."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_child(work, parent)
    with contextlib.suppress(OSError):  # both sides do it, so neither has to wait for the other
        os.setpgid(pid, pid)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _be_child(work: Callable[[], int], parent: int) -> NoReturn:
    status = KILLED
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setpgid(0, 0)
        die_with(parent, signal.SIGKILL)
        status = work()
    finally:  # whatever was raised: never back into the code of the parent
        os._exit(status)


def die_with(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent dies."""
    pr_set_pdeathsig = 1
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, int(number)) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it died before it could be watched
        os.kill(os.getpid(), number)


def _import_foreign() -> None:
    """Import what the judge's modules import, but nothing of the checkout's own."""
    code = "import sys; sys.path[:0] = sys.argv[1:]; import tio, tunproof.subjects.reference; print(*sys.modules)"
    command = [sys.executable, "-P", "-c", code, *sys.path[:2]]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    if done.returncode:
        raise SystemExit("the unmutated reference, or the harness, cannot be imported")
    for name in done.stdout.split():
        if name != "__main__" and name.partition(".")[0] not in {"tio", "tunproof"}:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def _leave(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; cleaning up must not be interrupted
    sys.exit(1)


def main() -> None:
    """Judge what comes in until there is no more."""
    checkout, parent = Path(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGTERM, _leave)
    die_with(parent, signal.SIGTERM)
    with tempfile.TemporaryDirectory(prefix="tunproof-mutants-") as folder:
        judge = Judge(checkout, Path(folder).resolve())
        answer = judge.baseline
        while True:
            print(json.dumps(dict(zip(("outcome", "seconds"), answer, strict=True))), flush=True)
            line = sys.stdin.readline()
            if not line:
                return
            answer = judge.judge(**json.loads(line))


if __name__ == "__main__":
    main()
