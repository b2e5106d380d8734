"""One kernel after the other, or two at a time: each booted, asked, and gone; what came of it is on disk at once.

A guest that hangs, panics or dies is a result, and the others go on. Some kernels crash early in boot under emulation,
at random, before anything was asked: those are booted again, a few times, and it is told how often.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus
from tunproof.errors import TunproofError
from tunproof.kernel import KernelReport
from tunproof.kernel_results import keep
from tunproof.matrix.accelerator import accelerator_for
from tunproof.matrix.examine import Frames, FramesReport, Tick, differential, verify
from tunproof.matrix.guests import Guests
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.machine import GuestGone, Machine
from tunproof.matrix.remote import RemoteKernel
from tunproof.probes import Probed, probe
from tunproof.reports.write import write_file, writing

__all__ = ["BOOTS", "CONSOLE", "FINDINGS", "RESULT", "Conducted", "KernelResult", "Wanted", "conduct"]

BOOTS = 3
"""How often a kernel is booted at most."""

CONSOLE = "console.log"
FINDINGS = "findings"
RESULT = "kernel.json"
_INTERRUPTED = "the run was interrupted"
_BOOT_PATIENCE = 120.0  # seconds from QEMU's start to the guest's first word


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of each kernel: `cases` of the `corpus` (`select` names them), and so many random `frames`."""

    corpus: Corpus
    cases: Sequence[Case]
    select: str
    frames: int
    seed: int
    out: Path


class KernelResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one kernel. `problem` is "" where all that was wanted was asked, and answered."""

    release: str
    version: str
    package: str
    boots: int
    seconds: float
    problem: str = ""
    traits: list[str] = []
    unknown: dict[str, str] = {}
    cases: int = 0
    agree: int = 0
    disagree: list[str] = []
    frames: FramesReport | None = None

    @property
    def asked(self) -> int:
        """How many cases it was asked: those of other kernels, and of none, are left out."""
        return self.agree + len(self.disagree)

    @property
    def differences(self) -> int:
        """How many cases and random frames it answered otherwise than its traits say."""
        return len(self.disagree) + (self.frames.differences if self.frames else 0)


Progress = Callable[[str, str], None]
"""Called with a kernel's release and what it is doing."""


@dataclass(frozen=True, slots=True)
class Conducted:
    """The result of each kernel, and whether the run was interrupted: some say so then, and were not asked all."""

    results: list[KernelResult]
    interrupted: bool


def conduct(
    kernels: Sequence[Kernel],
    wanted: Wanted,
    *,
    jobs: int = 2,
    progress: Progress = lambda *_: None,
    done: Callable[[KernelResult], None] = lambda _: None,
) -> Conducted:
    """Ask kernels, `jobs` at a time, and return what came of them, in their order.

    Each result is in `wanted.out`, in a folder by release, before `done` is called with it. Ctrl-C ends all guests.
    Raises `EnvironmentProblem` where guests cannot be made, or results not be written.
    """
    with tempfile.TemporaryDirectory(prefix="tunproof-matrix-") as folder:
        guests = Guests(Path(folder))
        progress("", "looks whether KVM works")
        accelerator = accelerator_for(kernels[0], guests)
        asked = [_Examination(kernel, wanted, guests, accelerator, progress) for kernel in kernels]
        interrupted = False
        with ThreadPoolExecutor(jobs) as pool:
            started = {pool.submit(one.result): one for one in asked}
            try:
                for future in as_completed(started):
                    done(future.result())
            except KeyboardInterrupt:
                interrupted = True
            finally:
                for future in started:
                    future.cancel()
                guests.stop()
        results = [one.not_asked() if future.cancelled() else future.result() for future, one in started.items()]
    return Conducted(results, interrupted)


class _Examination:
    """One kernel."""

    def __init__(self, kernel: Kernel, wanted: Wanted, guests: Guests, accelerator: str, progress: Progress) -> None:
        self._kernel = kernel
        self._wanted = wanted
        self._guests = guests
        self._accelerator = accelerator
        self._out = wanted.out / kernel.release
        self._progress = progress

    def result(self) -> KernelResult:
        """Boot the kernel, ask it everything, and write down what it said."""
        started = time.monotonic()
        with writing(self._out):
            try:
                result = self._booted(1)
            except (GuestGone, TunproofError) as problem:
                result = self._note(0, str(problem))
            if self._guests.stopped and result.problem:
                result = msgspec.structs.replace(result, problem=_INTERRUPTED)
            result = msgspec.structs.replace(result, seconds=round(time.monotonic() - started, 1))
            write_file(self._out / RESULT, msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
        return result

    def not_asked(self) -> KernelResult:
        """Return the result of a kernel whose turn did not come."""
        return self._note(0, _INTERRUPTED)

    def _booted(self, boot: int) -> KernelResult:
        self._say(f"boots ({boot} of {BOOTS})" if boot > 1 else "boots")
        with self._machine(boot) as machine:
            try:
                machine.hello(_BOOT_PATIENCE)
            except GuestGone as gone:
                early = str(gone)
            else:
                return self._examined(RemoteKernel(machine), boot)
        if boot < BOOTS and not self._guests.stopped:
            return self._booted(boot + 1)
        return self._note(boot, problem=f"it was booted {boot} times and never came up: {early}")

    @contextmanager
    def _machine(self, boot: int) -> Iterator[Machine]:
        with self._guests.started(self._kernel, self._accelerator) as machine:
            try:
                yield machine
            finally:
                name = CONSOLE if boot == 1 else f"boot-{boot}-{CONSOLE}"
                write_file(self._out / name, machine.console.encode())

    def _examined(self, kernel: RemoteKernel, boot: int) -> KernelResult:
        note = self._note(boot)
        try:
            self._say("probes")
            probed = probe(kernel)
            note = msgspec.structs.replace(note, traits=sorted(probed.traits), unknown=dict(probed.unknown))
            report = verify(kernel, probed, self._wanted.cases, self._tick("cases"))
            self._keep(report)
            note = msgspec.structs.replace(
                note, cases=report.cases, agree=report.agree, disagree=[one.case.id for one in report.disagreements]
            )
            return self._with_frames(kernel, probed, note)
        except (GuestGone, TunproofError) as problem:
            return msgspec.structs.replace(note, problem=str(problem))

    def _with_frames(self, kernel: RemoteKernel, probed: Probed, note: KernelResult) -> KernelResult:
        if probed.unknown:
            reasons = "; ".join(f"{trait}: {reason}" for trait, reason in probed.unknown.items())
            return msgspec.structs.replace(note, problem=f"traits that cannot be found out: {reasons}")
        if not self._wanted.frames:
            return note
        frames = Frames(frames=self._wanted.frames, seed=self._wanted.seed, out=self._out / FINDINGS)
        told = differential()(kernel, probed.traits, frames, self._tick("frames"))
        return msgspec.structs.replace(note, frames=told, problem=told.ended)

    def _keep(self, report: KernelReport) -> None:
        keep(self._out, report, self._wanted.cases, self._wanted.corpus, select=self._wanted.select)

    def _note(self, boot: int, problem: str = "") -> KernelResult:
        kernel = self._kernel
        return KernelResult(
            release=kernel.release,
            version=kernel.version,
            package=kernel.package,
            boots=boot,
            seconds=0.0,
            problem=problem,
        )

    def _tick(self, what: str) -> Tick:
        return lambda done, total: self._say(f"{what}: {done} of {total}")

    def _say(self, what: str) -> None:
        self._progress(self._kernel.release, what)
