"""Does the first cause of a planted bug name that bug? A name that is wrong is worse than none."""

import pytest

from fakes import FAKES
from fakes.base import Fake
from tunproof.corpus.load import load
from tunproof.runs import runner
from tunproof.runs.results import Cause, Results
from tunproof.subjects.connection import Direct

CORPUS = load()


def first_cause(kind: type[Fake]) -> Cause:
    plan = runner.Plan(cases=list(CORPUS.cases.values()))
    with Direct(kind()) as connection:
        results = Results(runner.heading(connection, CORPUS, plan, ()))
        runner.perform(plan, connection, results)
    return results.causes[0]


@pytest.fixture(scope="module")
def named() -> list[tuple[str, str | None, str]]:
    return [(kind.name, first_cause(kind).flag, kind.flag) for kind in FAKES]


def test_every_fake_has_a_cause(named: list[tuple[str, str | None, str]]) -> None:
    assert len(named) == len(FAKES)


def test_a_name_is_seldom_wrong(named: list[tuple[str, str | None, str]]) -> None:
    wrong = [one for one in named if one[1] not in {None, one[2]}]
    assert len(wrong) <= 0.1 * len(named), wrong


def test_half_of_them_are_named(named: list[tuple[str, str | None, str]]) -> None:
    right = [one for one in named if one[1] == one[2]]
    assert len(right) >= 0.5 * len(named)
