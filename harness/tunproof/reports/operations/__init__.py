"""One object per operation that knows how its cases are presented, on the terminal as on the page.

    base       the interface that every operation implements
    checksum … lifecycle
               the seven operations; `writing` has what `write` and `write_gso` share
    parts      lines and blocks that several operations use
    cutting    a packet and what it is cut into

Callers get the object from `presentation_of` and never look at the type of a case.
"""

from typing import Any

from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    HeaderCase,
    LifecycleCase,
    ReadCase,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
)
from tunproof.reports.operations.base import Presentation, VnetTable
from tunproof.reports.operations.checksum import ChecksumPresentation
from tunproof.reports.operations.header import HeaderPresentation
from tunproof.reports.operations.lifecycle import LifecyclePresentation
from tunproof.reports.operations.read import ReadPresentation
from tunproof.reports.operations.write import WritePresentation
from tunproof.reports.operations.write_batch import WriteBatchPresentation
from tunproof.reports.operations.write_gso import WriteGsoPresentation

__all__ = ["Presentation", "VnetTable", "presentation_of"]

_PRESENTATIONS: dict[type, type[Presentation[Any]]] = {
    ChecksumCase: ChecksumPresentation,
    HeaderCase: HeaderPresentation,
    ReadCase: ReadPresentation,
    WriteCase: WritePresentation,
    WriteGsoCase: WriteGsoPresentation,
    WriteBatchCase: WriteBatchPresentation,
    LifecycleCase: LifecyclePresentation,
}


def presentation_of(case: Case) -> Presentation[Any]:
    """Return how a case is presented. Raises `TypeError` for an operation that has no presentation yet."""
    found = _PRESENTATIONS.get(type(case))
    if found is None:
        raise TypeError(f"{type(case).__name__} has no presentation: add one to {__name__}")
    return found(case)
