"""How the cases of an operation are presented: the interface that every operation implements."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from tunproof.corpus import wording
from tunproof.corpus.cases import Case, Fault, MustRefuse, MustReject, differs
from tunproof.corpus.model import KernelAnswer, KernelDelivers, KernelSame
from tunproof.reports.blocks import Block, Prose
from tunproof.reports.vnet import VnetRow

__all__ = ["Presentation", "VnetTable"]

CaseT = TypeVar("CaseT", bound=Case)


class VnetTable(NamedTuple):
    """A vnet header: what it is, as a heading, and its fields (none if it is cut off)."""

    whose: str
    rows: tuple[VnetRow, ...]


class Presentation(ABC, Generic[CaseT]):
    """How one case is presented. What two methods need is computed once, so keep the object as long as the case.

    Texts and blocks are drawn from the case alone: no kernel runs, and nothing is judged.
    """

    same: ClassVar[str] = "makes the same packets of it"
    """The words for a kernel that does what the case expects: a predicate with the kernel as its subject."""

    def __init__(self, case: CaseT) -> None:
        self.case = case

    @abstractmethod
    def sent(self) -> tuple[str, ...]:
        """Return the input, decoded, in one to six lines. Sizes are in bytes."""

    @abstractmethod
    def expected(self) -> str:
        """Return what must come out, in a few words."""

    def rule(self) -> Fault | None:
        """Return what is wrong with the input, or None if nothing is."""
        return self.case.expect.fault if isinstance(self.case.expect, MustReject | MustRefuse) else None

    def cut(self) -> dict[str, Any] | None:
        """Return the sizes, in bytes, of which the page draws its picture; None if there is nothing to draw.

        Of a packet that is cut: `headers`, `payload`, and `segments` as pairs of a payload's size and how many
        segments in a row have it. Of a batch: `packets`, and `joined`, the indices that each ideal frame joins.
        """
        return None

    def vnet(self) -> VnetTable | None:
        """Return the vnet header that matters most to the case; None for an operation without one."""
        return None

    def steps(self) -> list[tuple[str, str]] | None:
        """Return each step and its right answers, in words; None for an operation without steps."""
        return None

    @abstractmethod
    def input_blocks(self) -> Iterable[Block]:
        """Yield what goes in, in full."""

    @abstractmethod
    def outcome_blocks(self) -> Iterable[Block]:
        """Yield what must come out, in full."""

    def kernel_blocks(self) -> Iterator[Block]:
        """Yield what kernels do with the input, kind by kind."""
        if not self.case.kernel:
            yield Prose("not run: nothing reaches a kernel")
            return
        yield from self.kernel_input_blocks()
        for answer in self.case.kernel:
            yield from self._answer_blocks(answer)

    def kernel_input_blocks(self) -> Iterable[Block]:
        """Yield what a kernel is given, if that is not the input itself."""
        return ()

    def departure_blocks(self, delivered: Sequence[bytes]) -> Iterable[Block]:
        """Yield where the packets that a kernel delivers depart from those that must come out."""
        return ()

    def _answer_blocks(self, answer: KernelAnswer) -> Iterator[Block]:
        does = self.same if isinstance(answer, KernelSame) else wording.what_it_does(answer)
        yield Prose(f"{wording.which_kernels(answer)} {does}")
        if isinstance(answer, KernelDelivers):
            yield from self.departure_blocks(answer.packets)
        if answer.because and differs(self.case, answer):
            yield Prose(f"why the two may differ: {answer.because}", 4)
