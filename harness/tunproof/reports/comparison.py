"""Two runs compared: in a line for each cause that is new, gone or changed, and as plain values."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tunproof.reports.causes import words
from tunproof.runs.compare import Comparison
from tunproof.runs.results import Cause

__all__ = ["as_values", "lines"]


def lines(found: Comparison) -> Iterator[str]:
    """Yield a line for each difference, and one at the end that says whether the newer run is worse."""
    for what, causes in (("new", found.new), ("gone", found.gone)):
        for cause in causes:
            yield f"{what:8} {words(cause)}: {_weights([cause])}"
    for change in found.changed:
        what = "worse" if change.is_worse else "changed"
        yield f"{what:8} {words(change.now[0])}: {_weights(change.then)}, now {_weights(change.now)}"
    if not (found.new or found.gone or found.changed):
        yield "no cause is new, gone or changed"
    yield "worse: something fails that did not fail before" if found.is_worse else "not worse"


def as_values(found: Comparison) -> dict[str, Any]:
    """Return the same as plain values."""
    return {
        "new": [msgspec.to_builtins(cause) for cause in found.new],
        "gone": [msgspec.to_builtins(cause) for cause in found.gone],
        "changed": [
            {"worse": change.is_worse, "then": _values(change.then), "now": _values(change.now)}
            for change in found.changed
        ],
        "worse": found.is_worse,
    }


def _values(causes: Iterable[Cause]) -> list[Any]:
    return [msgspec.to_builtins(cause) for cause in causes]


def _weights(causes: Iterable[Cause]) -> str:
    return " and ".join(f"{len(cause.cases)} {cause.verdict.value} ({cause.level})" for cause in causes)
