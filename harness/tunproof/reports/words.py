"""The words of a case in the report of a run: what was sent, and what must come out in that run."""

from tunproof.corpus import wording
from tunproof.corpus.cases import Case, Fault
from tunproof.corpus.model import KernelSame
from tunproof.reports.operations import presentation_of
from tunproof.runs.results import Run

__all__ = ["must_come_out", "rule_of", "sent"]


def sent(case: Case) -> tuple[str, ...]:
    """Return what was sent, decoded, in one to six lines."""
    return presentation_of(case).sent()


def must_come_out(case: Case, run: Run) -> str:
    """Return what must come out of this run, in a few words: of a kernel, what kernels with its traits do."""
    answer = case.answer_of(frozenset(run.traits)) if run.mode == "kernel" else None
    if answer is None or isinstance(answer, KernelSame):
        return presentation_of(case).expected()
    return f"this kernel {wording.what_it_does(answer)}"


def rule_of(case: Case) -> Fault | None:
    """Return what is wrong with the input, or None if nothing is."""
    return presentation_of(case).rule()
