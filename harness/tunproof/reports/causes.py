"""The causes of a run for people: in groups, and each in a line.

Terminal, page and summary show the same groups in the same order: what fails the run comes first, then what is worth
knowing. A thousand failures of one kind take one line.
"""

from collections.abc import Iterator, Sequence

from tunproof.judge.verdict import Kind, Relation
from tunproof.runs.results import Cause, Result, Results

__all__ = ["grouped", "line", "unexplained", "words"]

_WORDS: dict[Relation, str] = {
    "field-wrong": "{field} is wrong",
    "cut-otherwise": "{field} is cut into other packets",
    "lost": "{field} is lost",
    "extra": "{field} comes out that nobody put in",
    "reordered": "{field} changes its place",
    "joined-although-different": "packets are joined although {field} differs",
    "header-rule-broken": "the vnet header breaks rule {field}",
    "refused-although-valid": "{field} is rejected, and is valid",
    "accepted-although-faulty": "a fault in {field} is not rejected",
    "answered-otherwise": "step {field} answers otherwise",
    "raised": "an exception or a panic",
    "crashed": "a crash",
    "hung": "a hang",
    "ran-out-of-memory": "the memory limit is exceeded",
    "answered-outside-the-protocol": "a reply that is no valid protocol",
}
_NO_FIELD = {"field-wrong": "the result", "joined-although-different": "something else", "answered-otherwise": "a"}

_GROUPS: tuple[tuple[str, Kind | None], ...] = (
    ("what fails the run", None),
    ("advice (level should; --strict makes it count)", Kind.ADVISED),
    ("hardening (no kernel hands over such frames, and trust is kernel)", Kind.HARDENING),
    ("policies (either way is right)", Kind.POLICY),
    ("known failures (the baseline expects them)", Kind.XFAIL),
)


def grouped(results: Results) -> Iterator[tuple[str, list[Cause]]]:
    """Yield the heading of each group that has causes, and its causes, the weightiest first."""
    for heading, kind in _GROUPS:
        causes = [one for one in results.causes if _belongs(one, kind)]
        if causes:
            yield heading, causes


def unexplained(results: Results) -> list[Result]:
    """Return the unexpected results that belong to no cause, such as passes of what the baseline expects to fail."""
    explained = {case_id for cause in results.causes for case_id in cause.cases}
    return [one for one in results.results.values() if one.unexpected and one.id not in explained]


def words(cause: Cause) -> str:
    """Return what is wrong, in a few words that begin with the operation."""
    relation = cause.signature.relation
    field = cause.signature.field or _NO_FIELD.get(relation, "a packet")
    return f"{cause.operation}: {_WORDS[relation].format(field=field)}"


def line(cause: Cause) -> Sequence[str]:
    """Return level, reach, number of cases, words, and class of bugs (or that none of the known ones fits)."""
    return cause.level, cause.reach, str(len(cause.cases)), words(cause), cause.flag or "none of the known classes"


def _belongs(cause: Cause, kind: Kind | None) -> bool:
    if kind is None:
        return cause.unexpected
    return not cause.unexpected and cause.verdict is kind
