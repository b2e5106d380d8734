"""`runs.runner`: what the verdict alone cannot say: claims, cases run again, blocked refusals, order."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from tunproof.corpus.cases import Case, MustReject, Packets, ReadCase
from tunproof.corpus.expected import packets_of
from tunproof.corpus.load import load
from tunproof.errors import UsageError
from tunproof.judge.outcome import Answered, Broken, Outcome, TurnedDown, Unable
from tunproof.judge.verdict import Kind
from tunproof.runs.baseline import Baseline
from tunproof.runs.results import End, Record, Result, Results, Run
from tunproof.runs.runner import OneByOne, Plan, heading, perform, planned, why_nothing_ran
from tunproof.subjects.connection import Connection, Observation

CORPUS = load()
READS = [case for case in CORPUS.select("read/tcp4/*") if isinstance(case.expect, Packets)][:6]
FAULT = next(
    case
    for case in CORPUS.cases.values()
    if isinstance(case, ReadCase) and isinstance(case.expect, MustReject) and case.reach == "kernel"
)
HOSTILE = next(case for case in CORPUS.select("read/*") if case.reach == "hostile" and isinstance(case.expect, Packets))
assert FAULT.sibling is not None
SIBLING = CORPUS.cases[FAULT.sibling]


class Told(Connection):
    """Does as it is told, and remembers what it was given: a list for each call."""

    name = "told"
    mode = "direct"

    def __init__(self, does: Callable[[Case, int], Outcome], *, capabilities: frozenset[str] | None = None) -> None:
        self.capabilities = capabilities
        self.calls: list[list[str]] = []
        self._does = does

    def observe(self, cases: Sequence[Case]) -> list[Observation]:
        self.calls += [[case.id for case in cases]] * bool(cases)
        return [Observation(case, self._does(case, self.times(case.id)), stderr="said") for case in cases]

    def times(self, case_id: str) -> int:
        """Return how often a case was run, this time included."""
        return sum(call.count(case_id) for call in self.calls)


def right(case: Case, _: int = 1) -> Outcome:
    return TurnedDown("no") if isinstance(case.expect, MustReject) else Answered(list(packets_of(case)))


def wrong(_: Case, __: int = 1) -> Outcome:
    return Answered([b"E" * 20])


def ran(plan: Plan, connection: Connection) -> tuple[Results, list[Record]]:
    results = Results(heading(connection, CORPUS, plan, ("tunproof", "check", "told")))
    records: list[Record] = []
    perform(plan, connection, results, record=records.extend)
    return results, records


def kinds(results: Results) -> dict[str, Kind]:
    return {case_id: one.verdict for case_id, one in results.results.items()}


def test_every_case_has_a_result_that_was_recorded_before_the_end() -> None:
    results, records = ran(Plan(cases=READS), Told(right))
    assert set(kinds(results).values()) == {Kind.PASS}
    assert [type(one) for one in records] == [Result] * len(READS) + [End]
    assert [one.id for one in records if isinstance(one, Result)] == [case.id for case in READS]
    assert results.end is not None
    assert (results.end.cases, results.end.unexpected) == (len(READS), 0)


def test_the_heading_says_whether_the_run_is_exact() -> None:
    for exact in (False, True):
        run = heading(Told(right), CORPUS, Plan(cases=READS, exact=exact), ())
        assert isinstance(run, Run)
        assert run.exact is exact


def test_a_failure_is_run_again_alone_and_holds_what_differs() -> None:
    connection = Told(lambda case, _: wrong(case) if case is READS[1] else right(case))
    results, _ = ran(Plan(cases=READS), connection)
    one = results.results[READS[1].id]
    assert (one.verdict, one.unexpected, one.stderr) == (Kind.FAIL, True, "said")
    assert one.got is not None
    assert one.got.packets == (b"E" * 20,)
    assert one.mismatches[0].expected == packets_of(READS[1])[0]
    assert one.mismatched == len(packets_of(READS[1]))
    assert [READS[1].id] in connection.calls


def test_a_pass_keeps_nothing_of_what_was_said() -> None:
    (one, *_), _ = ran(Plan(cases=READS), Told(right))[0].results.values(), None
    assert (one.got, one.stderr, one.mismatches, one.groups) == (None, "", (), ())


@pytest.mark.parametrize("fails_at", [1, 2])
def test_another_verdict_the_second_time_is_flaky(fails_at: int) -> None:
    connection = Told(lambda case, times: wrong(case) if times == fails_at else right(case))
    results, _ = ran(Plan(cases=READS, repeat=2), connection)
    assert set(kinds(results).values()) == {Kind.FLAKY}
    one = results.results[READS[0].id]
    assert ("fail in the" in one.difference, bool(one.mismatches)) == (True, True)


def test_repeat_runs_what_passed_so_often() -> None:
    connection = Told(right)
    ran(Plan(cases=READS, repeat=4), connection)
    assert {connection.times(case.id) for case in READS} == {4}


def test_a_case_that_requires_what_is_not_claimed_is_not_sent() -> None:
    connection = Told(right, capabilities=frozenset())
    results, _ = ran(Plan(cases=READS), connection)
    needy = {case.id for case in READS if case.requires}
    assert needy
    assert {case_id for case_id, kind in kinds(results).items() if kind is Kind.UNSUPPORTED} == needy
    assert not needy & {case_id for call in connection.calls for case_id in call}


def test_a_claim_that_is_not_kept_fails() -> None:
    everything = frozenset(name for case in READS for name in case.requires)
    results, _ = ran(Plan(cases=READS), Told(lambda *_: Unable("read"), capabilities=everything))
    assert set(kinds(results).values()) == {Kind.FAIL}
    assert all(one.difference.startswith("claims ") for one in results.results.values())


def test_a_refusal_proves_nothing_where_the_sibling_fails() -> None:
    connection = Told(lambda case, _: right(case) if case is FAULT else wrong(case))
    results, _ = ran(Plan(cases=[FAULT], siblings=[SIBLING]), connection)
    assert kinds(results) == {FAULT.id: Kind.BLOCKED}
    assert results.results[FAULT.id].unexpected, "the sibling stands nowhere in these results"


def test_siblings_run_first_and_count_only_where_they_are_selected() -> None:
    connection = Told(right)
    results, records = ran(Plan(cases=[FAULT], siblings=[SIBLING]), connection)
    assert connection.calls[0] == [SIBLING.id, FAULT.id]
    assert kinds(results) == {FAULT.id: Kind.PASS}
    assert [one.id for one in records if isinstance(one, Result)] == [FAULT.id]


def test_a_plan_names_the_siblings_of_what_is_selected() -> None:
    plan = planned(CORPUS, FAULT.id)
    assert ([case.id for case in plan.cases], [case.id for case in plan.siblings]) == ([FAULT.id], [SIBLING.id])
    with pytest.raises(UsageError, match="no case matches"):
        planned(CORPUS, "read/nothing/*")


def test_what_has_a_result_is_not_run_again() -> None:
    connection = Told(right)
    plan = Plan(cases=READS)
    results = Results(heading(connection, CORPUS, plan, ()))
    results.add(Result(id=READS[0].id, digest=READS[0].digest, verdict=Kind.PASS))
    perform(plan, connection, results)
    assert connection.times(READS[0].id) == 0
    assert len(results.results) == len(READS)


def test_trouble_is_a_problem_and_makes_the_run_fail() -> None:
    class Troubled(Told):
        coughs = ["it coughed"]  # noqa: RUF012

        def troubles(self) -> list[str]:
            coughs, self.coughs = self.coughs, []
            return coughs

    results, records = ran(Plan(cases=READS[:1]), Troubled(right))
    assert [problem.text for problem in results.problems][:1] == ["it coughed"]
    assert results.end is not None
    assert results.end.unexpected == len(results.problems)
    assert isinstance(records[-1], End)


def test_somebody_else_may_say_which_case_is_next() -> None:
    connection = Told(right)
    plan = Plan(cases=[FAULT, SIBLING, *READS])
    results = Results(heading(connection, CORPUS, plan, ()))
    cases = OneByOne(plan, connection, results)
    assert cases.result(FAULT).verdict is Kind.PASS
    assert connection.calls[:2] == [[SIBLING.id], [FAULT.id]]
    cases.result(SIBLING)
    assert connection.times(SIBLING.id) == 1


def reasons(outcomes: Iterable[Outcome]) -> str:
    them = list(outcomes)
    connection = Told(lambda case, _: them[READS.index(case)])
    return why_nothing_ran(ran(Plan(cases=READS[: len(them)]), connection)[0].results.values())


def test_the_reasons_are_given_where_no_case_could_be_run() -> None:
    assert reasons([Unable("read"), Unable("all of it")]) == "all of it; read"
    assert reasons([Unable("read"), Broken("crash", "gone")]) == ""


def test_a_known_failure_is_expected(tmp_path: Path) -> None:
    text = f'[[known]]\ncase = "{READS[0].id}"\noutcome = "fail"\nreason = "it is known"\n'
    (tmp_path / "known.toml").write_text(text)
    plan = Plan(cases=READS[:1], baseline=Baseline.load(tmp_path / "known.toml"))
    assert plan.baseline.check({READS[0].id: READS[0].digest}, {READS[0].id}, "6.12.0") == []
    results, _ = ran(plan, Told(wrong))
    (one,) = results.results.values()
    assert (one.verdict, one.unexpected) == (Kind.XFAIL, False)
    assert one.known is not None
