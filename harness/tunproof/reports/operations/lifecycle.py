"""How a case of `lifecycle` is presented."""

from collections.abc import Iterator

from tio.virtio import HEADER_SIZE
from tunproof.corpus import wording
from tunproof.corpus.cases import LifecycleCase
from tunproof.corpus.script import Feed, Step
from tunproof.packets.picture import vnet_words
from tunproof.reports.blocks import Block, Prose, Rows
from tunproof.reports.operations.base import Presentation
from tunproof.reports.operations.parts import MOST_LINES, counted, more_lines

__all__ = ["LifecyclePresentation"]


class LifecyclePresentation(Presentation[LifecycleCase]):
    """Steps, and the right answers to each."""

    def sent(self) -> tuple[str, ...]:
        """Return the first steps."""
        steps = self.case.input.steps
        lines = (f"step {number}: {wording.words(step)}" for number, step in enumerate(steps[:MOST_LINES]))
        return (*lines, *more_lines(len(steps) - MOST_LINES, "step"))

    def expected(self) -> str:
        """Return what holds of every script."""
        return "the right answer to every step"

    def steps(self) -> list[tuple[str, str]]:
        """Return every step and its right answers."""
        steps = zip(self.case.input.steps, self.case.expect.answers, strict=True)
        return [(wording.words(step), " or ".join(map(wording.words, answers))) for step, answers in steps]

    def input_blocks(self) -> Iterator[Block]:
        """Yield how many steps there are: what each does stands beside its answers."""
        given = self.case.input
        kind = "has" if given.backend == "offload" else "has no"
        yield Prose(f"{counted(len(given.steps), 'step')} of one container, which {kind} vnet headers")

    def outcome_blocks(self) -> Iterator[Block]:
        """Yield every step and its right answers, vnet headers included."""
        told = zip(self.case.input.steps, self.steps(), strict=True)
        rows = tuple(
            (str(number), does + self._header(step), answers) for number, (step, (does, answers)) in enumerate(told)
        )
        yield Rows(("step", "does", "right answers"), rows, numbers=("step",))

    def _header(self, step: Step) -> str:
        """Return the vnet header of a frame that is fed to the container, in parentheses after a blank."""
        framed = self.case.input.backend == "offload"
        if not framed or not isinstance(step, Feed) or len(step.frame) < 2 * HEADER_SIZE:
            return ""
        return f" ({vnet_words(step.frame)})"
