"""Kernels, one after another or several at a time: each is booted and examined, and its results go to disk at once.

A guest that hangs, panics or dies is a result, and the others continue. Some kernels crash early in boot under
emulation, at random, before any request: those are booted again, a few times, and the number of boots is reported.
"""

import hashlib
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tunproof.corpus.cases import Case
from tunproof.corpus.codec import encode
from tunproof.corpus.load import Corpus
from tunproof.errors import EnvironmentProblem, TunproofError
from tunproof.judge.verdict import Kind
from tunproof.kernel.probes import Probed, probe
from tunproof.matrix.accelerator import accelerator_for
from tunproof.matrix.examine import Frames, FramesReport, Tick, differential, handed_over, verify
from tunproof.matrix.guests import Guests
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.machine import GuestGone, Machine
from tunproof.matrix.remote import RemoteKernel
from tunproof.reports.failure import Explanations
from tunproof.reports.write import EVIDENCE, JUNIT, PAGE, SUMMARY, write_file, write_reports, writing
from tunproof.runs.kernel import heading
from tunproof.runs.results import STREAM, keep

__all__ = [
    "BOOTS",
    "CONSOLE",
    "FINDINGS",
    "HANDED",
    "RESULT",
    "TRACEBACK",
    "Conducted",
    "KernelResult",
    "Wanted",
    "answers_digest",
    "conduct",
]

BOOTS = 3
"""How often a kernel is booted at most."""

CONSOLE = "console.log"
FINDINGS = "findings"
HANDED = "handed.json"
RESULT = "kernel.json"
TRACEBACK = "traceback.txt"
_FILES = (RESULT, HANDED, CONSOLE, TRACEBACK, STREAM, PAGE, JUNIT, SUMMARY)
_INTERRUPTED = "the run was interrupted"
_BOOT_PATIENCE = 120.0  # seconds from QEMU's start to the guest's first message


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What each kernel runs: `cases` of the `corpus` (`select` names them), and a number of random `frames`."""

    corpus: Corpus
    cases: Sequence[Case]
    select: str
    frames: int
    seed: int
    out: Path


def answers_digest(cases: Iterable[Case]) -> str:
    """Return the identity of a set of cases: SHA-256 over ids, digests, and what they say about kernels."""
    known = [(case.id, case.digest, case.kernel) for case in cases]
    return "sha256:" + hashlib.sha256(encode(known)).hexdigest()


class KernelResult(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one kernel. `problem` is "" if everything requested was completed.

    `cases` were selected, and `answers` is their digest; those that `agree` and `disagree` were run on it.
    """

    release: str
    version: str
    package: str
    boots: int
    seconds: float
    problem: str = ""
    traits: list[str] = []
    unknown: dict[str, str] = {}
    cases: int = 0
    answers: str = ""
    agree: int = 0
    disagree: list[str] = []
    frames: FramesReport | None = None

    @property
    def asked(self) -> int:
        """How many cases were run: those that do not apply to this kernel, or to any, are left out."""
        return self.agree + len(self.disagree)

    @property
    def differences(self) -> int:
        """How many cases and random frames it handled otherwise than its traits say."""
        return len(self.disagree) + (self.frames.differences if self.frames else 0)


Progress = Callable[[str, str], None]
"""Called with a kernel's release and what it is doing."""


@dataclass(frozen=True, slots=True)
class Conducted:
    """The result of each kernel, and whether the run was interrupted: then some results say so, and are incomplete."""

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
    """Examine kernels, `jobs` at a time, and return their results, in the same order.

    Each result is in `wanted.out`, in a folder by release, before `done` is called with it. Ctrl-C ends all guests.
    If something goes wrong with one kernel, the others continue.
    """
    guests = Guests()
    results: dict[str, KernelResult] = {}
    interrupted = False
    asked = [_Examination(kernel, wanted, guests, progress) for kernel in kernels]
    with ThreadPoolExecutor(jobs) as pool:
        try:
            progress("", "checks whether KVM works")
            accelerator = accelerator_for(kernels, guests)
            progress("", "")
            started = {pool.submit(one.result, accelerator): one for one in asked}
            for future in as_completed(started):
                result = _result_of(future, started[future])
                results[result.release] = result
                done(result)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            guests.stop()
    return Conducted([results.get(one.release) or one.interrupted() for one in asked], interrupted)


def _result_of(future: Future[KernelResult], one: "_Examination") -> KernelResult:
    """Return a result; for a kernel whose folder cannot be written, it exists only here."""
    try:
        return future.result()
    except TunproofError as problem:
        return one.failed(str(problem))


class _Examination:
    """One kernel, and what is known of it so far."""

    def __init__(self, kernel: Kernel, wanted: Wanted, guests: Guests, progress: Progress) -> None:
        self._kernel = kernel
        self._wanted = wanted
        self._guests = guests
        self._out = wanted.out / kernel.release
        self._progress = progress
        self._known = KernelResult(
            release=kernel.release, version=kernel.version, package=kernel.package, boots=0, seconds=0.0
        )

    @property
    def release(self) -> str:
        """The kernel's release."""
        return self._kernel.release

    def result(self, accelerator: str) -> KernelResult:
        """Boot the kernel, run everything, and write the results. Raises `EnvironmentProblem`, `UsageError`.

        A bug in tunproof counts as a problem with this kernel, and the others run all the same.
        """
        started = time.monotonic()
        with writing(self._out):
            self._clear()
            try:
                self._boot(accelerator)
            except (GuestGone, TunproofError) as problem:
                self._learn(problem=str(problem))
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001
                write_file(self._out / TRACEBACK, traceback.format_exc().encode())
                self._learn(problem=f"a bug of tunproof, please report its {TRACEBACK}: {error!r}")
            if self._guests.stopped and self._known.problem:
                self._learn(problem=_INTERRUPTED)
            self._learn(seconds=round(time.monotonic() - started, 1))
            self._write()
        return self._known

    def interrupted(self) -> KernelResult:
        """Return the result of a kernel that was not fully examined, perhaps because its turn did not come."""
        if not self._known.seconds:
            with writing(self._out):
                self._clear()
                self._learn(problem=_INTERRUPTED)
                self._write()
        return self._known

    def failed(self, problem: str) -> KernelResult:
        """Return the result of a kernel whose results could not be processed."""
        self._learn(problem=problem)
        return self._known

    def _boot(self, accelerator: str) -> None:
        """Boot until the kernel comes up, and examine it."""
        while True:
            boot = self._known.boots + 1
            self._learn(boots=boot)
            self._say(f"boots ({boot} of {BOOTS})" if boot > 1 else "boots")
            with self._machine(accelerator) as machine:
                try:
                    says = machine.hello(_BOOT_PATIENCE)
                except GuestGone as gone:
                    early = str(gone)
                else:
                    self._ask(RemoteKernel(machine), says)
                    return
            if boot == BOOTS or self._guests.stopped:
                raise GuestGone(f"it was booted {boot} times and never came up: {early}")

    @contextmanager
    def _machine(self, accelerator: str) -> Iterator[Machine]:
        with self._guests.started(self._kernel, accelerator) as machine:
            try:
                yield machine
            finally:
                boot = self._known.boots
                name = CONSOLE if boot == 1 else f"boot-{boot}-{CONSOLE}"
                write_file(self._out / name, machine.console.encode())

    def _ask(self, kernel: RemoteKernel, says: str) -> None:
        if says != self.release:
            raise EnvironmentProblem(f"the kernel that came up is {says}", cure="check which image that is")
        self._say("probes")
        probed = probe(kernel)
        self._learn(traits=sorted(probed.traits), unknown=dict(probed.unknown))
        self._ask_cases(kernel, probed)
        if self._known.problem:
            return
        self._ask_reader(kernel, probed)
        if probed.unknown:
            reasons = "; ".join(f"{trait}: {reason}" for trait, reason in probed.unknown.items())
            self._learn(problem=f"traits that could not be determined: {reasons}")
        elif self._wanted.frames:
            self._ask_frames(kernel, probed)
        elif not self._known.asked:
            self._learn(problem="no case applies to it")

    def _ask_cases(self, kernel: RemoteKernel, probed: Probed) -> None:
        wanted = self._wanted
        run = heading(self.release, probed, wanted.cases, wanted.corpus, wanted.select)
        results, ended = verify(kernel, run, wanted.cases, self._tick("cases"))
        keep(self._out, results)
        write_reports(self._out, Explanations(results, wanted.corpus))
        self._learn(
            cases=len(wanted.cases),
            answers=answers_digest(wanted.cases),
            agree=results.verdicts().get(Kind.PASS, 0),
            disagree=[one.id for one in results.results.values() if one.unexpected],
            problem=ended,
        )

    def _ask_reader(self, kernel: RemoteKernel, probed: Probed) -> None:
        """Write down which cases this kernel hands to a reader."""
        self._say("reader")
        handed = handed_over(kernel, probed.traits, self._wanted.cases)
        write_file(self._out / HANDED, msgspec.json.format(msgspec.json.encode(handed), indent=1) + b"\n")

    def _ask_frames(self, kernel: RemoteKernel, probed: Probed) -> None:
        wanted = Frames(frames=self._wanted.frames, seed=self._wanted.seed, out=self._out / FINDINGS)
        told = differential()(kernel, probed.traits, wanted, self._tick("frames"))
        self._learn(frames=told, problem=told.ended or ("" if told.frames else "no random frame was compared"))

    def _learn(self, **changes: Any) -> None:
        self._known = msgspec.structs.replace(self._known, **changes)

    def _write(self) -> None:
        write_file(self._out / RESULT, msgspec.json.format(msgspec.json.encode(self._known), indent=2) + b"\n")

    def _clear(self) -> None:
        """Remove what an earlier run left of this kernel, lest it be taken for this one's result."""
        for name in (FINDINGS, EVIDENCE):
            shutil.rmtree(self._out / name, ignore_errors=True)
        for path in (*(self._out / name for name in _FILES), *self._out.glob(f"boot-*-{CONSOLE}")):
            path.unlink(missing_ok=True)

    def _tick(self, what: str) -> Tick:
        return lambda done, total: self._say(f"{what}: {done} of {total}")

    def _say(self, what: str) -> None:
        self._progress(self._kernel.release, what)
