"""The differential for a kernel in a guest: the model and all that is compared are here, only frames travel."""

import shlex
from collections.abc import Callable

from tio.linux import Delivered, Traits, Way
from tunfuzz.differential.cases import BLOCK
from tunfuzz.differential.kernel import Differential, Predicted, Run
from tunfuzz.shard import Shard, Tally
from tunproof.matrix.examine import Frames, FramesReport
from tunproof.matrix.machine import GuestGone
from tunproof.matrix.remote import RemoteKernel

__all__ = ["examine"]


def examine(kernel: RemoteKernel, traits: Traits, wanted: Frames, progress: Callable[[int, int], None]) -> FramesReport:
    """Put frames to a guest's kernel and to the model with its traits; differences are kept in a folder.

    Raises `EnvironmentProblem` where a finding cannot be written. A guest that goes away ends it early, and is told.
    """
    shard = Shard(seed=wanted.seed, first=0, count=wanted.frames)
    run = _RemoteRun(Differential(traits, kernel.kernel.release), kernel, shard, wanted.out)
    try:
        for number in range(-(-wanted.frames // BLOCK)):
            run.block(number)
            progress(min((number + 1) * BLOCK, wanted.frames), wanted.frames)
    except GuestGone as gone:
        return _report(run.tally(0), str(gone))
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
    """The same, with some frames in one message."""

    kernel: RemoteKernel

    def put(self, some: list[Predicted], way: Way) -> None:
        """Put some cases to the kernel, all at once."""
        asked = [(frame, _hint(prediction)) for _, frame, prediction, _ in some]
        for one, got in zip(some, self.kernel.ask(way, asked), strict=True):
            if isinstance(got, str):
                self.differs(one, way, got)
            else:
                self.agrees(one, way, got)

    def again(self, case: int) -> str:
        """Return the command that boots the kernel and asks it all cases up to this one."""
        kernel = self.kernel.kernel
        chosen = ["--kernels", kernel.release]
        if not kernel.package:
            chosen = ["--kernel", str(kernel.image), *(["--modules", str(kernel.modules)] if kernel.modules else [])]
        return shlex.join(
            ["tunproof", "matrix", "run", *chosen, "--seed", str(self._shard.seed), "--frames", str(case + 1)]
        )


def _hint(prediction: object) -> int:
    return len(prediction.packets) if isinstance(prediction, Delivered) else 0
