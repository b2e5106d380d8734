"""Does the corpus detect wrong implementations? Each fake has one documented bug, and a flag that explains it.

Two things must hold for each: a case that carries its flag catches it, and most other cases pass, so that the diagnosis
points at the bug. The correct implementation that the fakes are made from passes everything; it shares no code with the
reference.

Fakes that hang are not here: a judge in the same process cannot end them.
"""

import functools
from collections import defaultdict
from dataclasses import dataclass

import pytest

from fakes import FAKES, OWN
from fakes.base import Fake
from tunproof.corpus.cases import Case
from tunproof.corpus.codec import encode
from tunproof.corpus.load import Corpus, load
from tunproof.judge.verdict import Kind, Verdict
from tunproof.subjects.connection import judge
from tunproof.subjects.subject import Subject, UnsupportedError

_CAUGHT = {Kind.FAIL, Kind.ERROR}
# A fake runs the cases with its flag and a sample of all others: every third for operations that have many cases,
# and none of the bulky ones (bytes of JSON).
_STRIDE = {"read": 3, "write_gso": 3, "write_batch": 3}
_BULKY = 8000

_METHODS = {
    "checksum": ("checksum",),
    "header": ("parse_header", "emit_header"),
    "read": ("read",),
    "write": ("write",),
    "write_gso": ("write_gso",),
    "write_batch": ("write_batch",),
    "lifecycle": ("lifecycle",),
}


@dataclass(frozen=True)
class Outcome:
    """What the corpus says of a subject: every case that it was asked and supports, and the verdict."""

    verdicts: tuple[tuple[Case, Verdict], ...]

    def caught_by(self, flag: str, level: str) -> list[str]:
        """Return the cases of a flag and level that were not passed."""
        asked = ((case, verdict) for case, verdict in self.verdicts if flag in case.flags and case.level == level)
        return [case.id for case, verdict in asked if verdict.kind in _CAUGHT]

    @property
    def passed(self) -> float:
        """The part of the sample that was passed."""
        kinds = [verdict.kind for case, verdict in self.verdicts if case.id in sample()]
        return kinds.count(Kind.PASS) / len(kinds)


@functools.cache
def corpus() -> Corpus:
    return load()


@functools.cache
def sample() -> frozenset[str]:
    by_operation = defaultdict(list)
    for case in corpus().cases.values():
        if len(encode(case.input)) < _BULKY:
            by_operation[_operation(case)].append(case.id)
    return frozenset(name for operation, names in by_operation.items() for name in names[:: _STRIDE.get(operation, 1)])


@functools.cache
def outcome(kind: type[Subject]) -> Outcome:
    flag = getattr(kind, "flag", None)
    asked = (case for case in corpus().cases.values() if flag is None or flag in case.flags or case.id in sample())
    verdicts = ((case, _ask(kind, case)) for case in asked if _supports(kind, case))
    return Outcome(tuple((case, verdict) for case, verdict in verdicts if verdict.kind is not Kind.UNSUPPORTED))


def _ask(kind: type[Subject], case: Case) -> Verdict:
    """Put one case to a fresh subject: what an earlier case left behind is no part of any case."""
    subject = kind()
    try:
        return judge(case, subject)
    finally:
        subject.close()


def _supports(kind: type[Subject], case: Case) -> bool:
    return any(getattr(kind, method) is not getattr(Subject, method) for method in _METHODS[_operation(case)])


def _operation(case: Case) -> str:
    return case.id.partition("/")[0]


FAKE = pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.name)


@FAKE
def test_a_case_with_its_flag_catches_it(fake: type[Fake]) -> None:
    assert fake.flag in corpus().flags
    assert outcome(fake).caught_by(fake.flag, fake.level)


@FAKE
def test_most_other_cases_pass_it(fake: type[Fake]) -> None:
    assert fake.floor == Fake.floor or fake.pervading, "a lower floor needs a reason"
    assert outcome(fake).passed >= fake.floor


@FAKE
def test_it_says_what_is_wrong_and_where_that_happened(fake: type[Fake]) -> None:
    assert fake.__doc__
    assert "\n" not in fake.__doc__
    assert fake.modelled_on.startswith("https://")


@pytest.mark.parametrize("own", OWN, ids=lambda own: own.name)
def test_the_right_implementation_that_they_are_made_of_passes_everything(own: type[Subject]) -> None:
    wrong = {case.id: verdict for case, verdict in outcome(own).verdicts if verdict.kind is not Kind.PASS}
    assert wrong == {}
    assert outcome(own).verdicts


def test_they_are_many_and_different() -> None:
    assert len(FAKES) >= 30
    assert len({fake.name for fake in FAKES}) == len(FAKES)
    assert len({fake.flag for fake in FAKES}) >= 25


def test_no_two_do_the_same() -> None:
    """Of two fakes that fail the same cases in the same way one would be enough."""
    seen: dict[object, str] = {}
    for fake in FAKES:
        what = frozenset((case.id, verdict.difference) for case, verdict in outcome(fake).verdicts)
        assert seen.setdefault(what, fake.name) == fake.name


def test_a_crash_is_no_refusal() -> None:
    class Crashes(Subject):
        """Crashes over everything, refusals included."""

        name = "crashes"

        def read(self, frame: bytes, before: object) -> list[bytes]:
            raise IndexError

    refusals = [case for case in corpus().cases.values() if case.id.startswith("read/vnet-faults/")]
    assert {judge(case, Crashes()).kind for case in refusals} == {Kind.ERROR}


def test_what_is_not_there_is_unsupported() -> None:
    class Nothing(Subject):
        """Has no operation."""

        name = "nothing"

    with pytest.raises(UnsupportedError):
        Nothing().checksum(b"", 0)
    assert {judge(case, Nothing()).kind for case in corpus().cases.values()} == {Kind.UNSUPPORTED}
