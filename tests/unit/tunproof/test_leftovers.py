"""After which errors an adapter is started afresh: those of which nobody knows that they leave nothing behind."""

from tunproof.judge.outcome import Answered, Broken, Outcome
from tunproof.subjects.adapters.leftovers import Leftovers

RIGHT: list[Outcome] = [Answered(number) for number in range(30)]
OTHERS: list[Outcome] = [*RIGHT[:5], Answered(99)]


def seen(errors: list[str], stained: list[Outcome], fresh: list[Outcome]) -> Leftovers:
    leftovers = Leftovers()
    leftovers.expect(errors, stained)
    leftovers.compare(fresh)
    return leftovers


def test_nothing_is_known_at_first_and_no_error_leaves_nothing() -> None:
    assert not Leftovers().none_from(["index 7 out of range"])
    assert Leftovers().none_from([])


def test_errors_after_which_all_is_the_same_leave_nothing_behind_whatever_their_numbers() -> None:
    leftovers = seen(["index 7 out of range"], RIGHT, RIGHT)
    assert leftovers.none_from(["index 12 out of range", "index 0x7f out of range"])
    assert not leftovers.none_from(["index 12 out of range", "nil map"])


def test_a_few_cases_prove_nothing() -> None:
    assert not seen(["boom"], RIGHT[:8], RIGHT[:8]).none_from(["boom"])
    assert not seen(["boom"], RIGHT, RIGHT[:8]).none_from(["boom"]), "as far as it went"


def test_a_single_difference_is_never_forgotten() -> None:
    leftovers = seen(["boom"], OTHERS, RIGHT)
    for _ in range(9):
        leftovers.expect(["boom"], RIGHT)
        leftovers.compare(RIGHT)
    assert not leftovers.none_from(["boom"])


def test_what_is_compared_is_what_was_expected_last_and_once() -> None:
    leftovers = seen(["boom"], RIGHT, RIGHT)
    leftovers.compare(OTHERS)
    assert leftovers.none_from(["boom"])
    leftovers.expect(["boom"], RIGHT)
    leftovers.expect((), ())
    leftovers.compare(OTHERS)
    assert leftovers.none_from(["boom"])


def test_traces_and_numbers_of_errors_do_not_count() -> None:
    stained: list[Outcome] = [Broken("error", "at 0xc000", "trace one")] * 30
    fresh: list[Outcome] = [Broken("error", "at 0xd000", "trace two")] * 30
    assert seen(["boom"], stained, fresh).none_from(["boom"])


def test_where_nothing_was_ever_left_behind_less_is_enough_for_other_kinds() -> None:
    leftovers = seen(["one"], RIGHT, RIGHT)
    for _ in range(2):
        leftovers.expect(["two"], RIGHT)
        leftovers.compare(RIGHT)
    leftovers.expect(["three"], RIGHT[:1])
    leftovers.compare(RIGHT)
    assert leftovers.none_from(["three"])
    leftovers.expect(["four"], OTHERS)
    leftovers.compare(RIGHT)
    assert not leftovers.none_from(["three"])
    assert leftovers.none_from(["one"])
