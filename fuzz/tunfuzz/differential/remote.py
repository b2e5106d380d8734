"""The differential for a kernel in a guest: the model and all comparisons are here, only frames travel."""

import shlex
from collections.abc import Callable

from tio.linux import Delivered, KernelOutcome, Traits, Way
from tunfuzz.differential.cases import BLOCK
from tunfuzz.differential.kernel import Differential, Predicted, Run
from tunfuzz.shard import Shard, Tally
from tunproof.errors import EnvironmentProblem
from tunproof.matrix.examine import Frames, FramesReport
from tunproof.matrix.machine import GuestGone
from tunproof.matrix.remote import RemoteKernel

__all__ = ["examine"]

_FEW = "read/tcp4/two-segments"
"""The number of cases that run before a finding when it is repeated."""


def examine(kernel: RemoteKernel, traits: Traits, wanted: Frames, progress: Callable[[int, int], None]) -> FramesReport:
    """Send frames to a guest's kernel and to the model with its traits; differences are kept in a folder.

    A guest that ends, or a finding that cannot be written, ends it early, and is reported.
    """
    shard = Shard(seed=wanted.seed, first=0, count=wanted.frames)
    run = _RemoteRun(Differential(traits, kernel.kernel.release), kernel, shard, wanted.out)
    try:
        for number in range(-(-wanted.frames // BLOCK)):
            run.block(number)
            progress(min((number + 1) * BLOCK, wanted.frames), wanted.frames)
    except (GuestGone, EnvironmentProblem) as problem:
        return _report(run.tally(0), str(problem))
    return _report(run.tally(0), "")


def _report(tally: Tally, ended: str) -> FramesReport:
    return FramesReport(
        frames=sum(tally.outcomes.values()),
        differences=tally.differences,
        findings=tally.findings,
        rules=len(tally.rules),
        outcomes=tally.outcomes,
        masks=tally.masks,
        ended=ended,
    )


class _RemoteRun(Run):
    """The same, with several frames per message."""

    kernel: RemoteKernel

    def put(self, some: list[Predicted], way: Way) -> None:
        """Send some cases to the kernel, all at once; after a kept difference, the rest again in new labs."""
        while some:
            asked = [(frame, _hint(prediction)) for _, frame, prediction, _ in some]
            try:
                answers = self.kernel.ask(way, asked)
            except GuestGone as gone:
                raise GuestGone(f"{gone} (running the random frames {some[0][0]} to {some[-1][0]})") from gone
            some = some[self._taken(some, answers, way) :]

    def _taken(self, some: list[Predicted], answers: list[KernelOutcome | str], way: Way) -> int:
        """Take answers until one requires new labs; return how many were taken."""
        for at, (one, got) in enumerate(zip(some, answers, strict=True)):
            if isinstance(got, str):
                self.differs(one, way, got)
            else:
                self.agrees(one, way, got)
            if self.kernel.is_fresh:
                return at + 1
        return len(some)

    def again(self, case: int) -> str:
        """Return the command that boots the kernel and runs all cases up to this one."""
        kernel = self.kernel.kernel
        modules = ["--modules", str(kernel.modules)] if kernel.modules else []
        frames = ["--seed", str(self._shard.seed), "--frames", str(case + 1)]
        first = ["tunproof", "matrix", "run", "--kernel", str(kernel.image), *modules, *frames]
        return shlex.join([*first, "--select", _FEW, "--report", "tunproof-again"])


def _hint(prediction: object) -> int:
    return len(prediction.packets) if isinstance(prediction, Delivered) else 0
