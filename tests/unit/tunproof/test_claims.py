"""Claims: what lies outside of them is not run, and what lies inside is judged by its level and reach."""

import msgspec
import pytest

from tunproof.corpus.cases import MustRefuse, Nothing, Packets, WriteCase
from tunproof.corpus.claims import EVERYTHING, OFFLOADS, ORDINARY, Claims, MostOf, in_pieces, outside
from tunproof.corpus.load import load
from tunproof.judge.verdict import Kind
from tunproof.runs import runner
from tunproof.runs.limits import at_the_limits
from tunproof.runs.results import Results
from tunproof.subjects.connection import Direct, judge
from tunproof.subjects.reference import Reference
from tunproof.subjects.subject import TurnedDownError

CORPUS = load()
PLAIN = "read/plain/udp4"
WITH_AN_EMPTY_ONE = next(
    case for case in CORPUS.select("write_batch/*") if case.expect.silent and len(case.input.packets) > 1
)
OF_LEVEL = {
    level: next(
        case
        for case in CORPUS.select("read/*")
        if case.level == level and case.reach == "kernel" and isinstance(case.expect, Packets)
    )
    for level in ("must", "should", "may")
}
HOSTILE = next(case for case in CORPUS.select("read/*") if case.reach == "hostile" and isinstance(case.expect, Packets))


class Own(Reference):
    """The reference, with claims of its own, whose reader gets nothing right."""

    name = "own"

    def __init__(self, claims: Claims, *, breaks: bool = False) -> None:
        super().__init__()
        self.claims = claims
        self.breaks = breaks

    def read(self, frame, before):
        if self.breaks:
            raise IndexError("out of range")
        return [frame[10:] + b"!"]


def run(subject, *cases, **conditions):
    results = Results(
        runner.heading(
            connection := Direct(subject), CORPUS, plan := runner.Plan(cases=cases, **conditions), ("tunproof", "check")
        )
    )
    with connection:
        runner.perform(plan, connection, results)
    return results


def kinds(results):
    return {case_id: result.verdict for case_id, result in results.results.items()}


def test_nothing_lies_outside_the_claims_of_the_reference() -> None:
    assert [case.id for case in CORPUS.cases.values() if outside(case, EVERYTHING)] == []


def test_an_ordinary_tunnel_is_asked_nearly_everything() -> None:
    reasons = {case.id: outside(case, ORDINARY) for case in CORPUS.cases.values()}
    left_out = [case_id for case_id, reason in reasons.items() if reason]
    assert len(left_out) < 0.1 * len(reasons)
    assert not outside(CORPUS.cases[PLAIN], Claims(offloads=()))


@pytest.mark.parametrize("offload", OFFLOADS)
def test_frames_come_only_to_those_who_ask_for_them(offload: str) -> None:
    others = tuple(name for name in OFFLOADS if name != offload)
    reasons = {outside(case, msgspec.structs.replace(EVERYTHING, offloads=others)) for case in CORPUS.cases.values()}
    assert reasons == {"", f"the offload {offload} is not claimed (offloads)"}


@pytest.mark.parametrize(
    ("limits", "topics"),
    [
        (MostOf(segments=3), {"read"}),
        (MostOf(fragments=3), {"write_gso"}),
        (MostOf(bytes=1400), {"read", "write", "write_gso", "write_batch"}),
        (MostOf(packets=1), set()),
    ],
)
def test_a_limit_leaves_out_what_exceeds_it(limits: MostOf, topics: set[str]) -> None:
    claims = msgspec.structs.replace(EVERYTHING, limits=limits)
    left_out = {case.id: reason for case in CORPUS.cases.values() if (reason := outside(case, claims))}
    assert {case_id.partition("/")[0] for case_id in left_out} == topics
    assert all("the limit claimed is" in reason for reason in left_out.values())


def test_what_the_caller_must_see_to_is_asked_of_those_who_check_it() -> None:
    refusals = [case for case in CORPUS.select("write_gso/*") if isinstance(case.expect, MustRefuse)]
    assert all("(validates)" in outside(case, ORDINARY) for case in refusals)
    assert not any(outside(case, Claims(validates=True)) for case in refusals)


def test_sizes_that_are_not_claimed_are_not_asked() -> None:
    asked = {case.input.size for case in CORPUS.select("header/*") if not outside(case, Claims(header_sizes=(10,)))}
    assert asked == {10}


def test_a_long_batch_is_written_in_pieces() -> None:
    packets = [bytes([number]) for number in range(7)]
    assert in_pieces(packets, MostOf(packets=3)) == [packets[:3], packets[3:6], packets[6:]]
    assert in_pieces(packets, MostOf()) == [packets]
    assert in_pieces([], MostOf(packets=3)) == [[]]


def test_pieces_reach_the_subject_and_are_judged_as_one_batch() -> None:
    longest: list[int] = []

    class Limited(Own):
        def write_batch(self, packets, before, poison):
            longest.append(max(map(len, (*before, packets))))
            return super().write_batch(packets, before, poison)

    cases = CORPUS.select("write_batch/*")
    results = run(Limited(Claims(limits=MostOf(packets=2), trust="anyone")), *cases)
    assert max(longest) == 2
    assert set(kinds(results).values()) == {Kind.PASS}


@pytest.mark.parametrize(
    ("case", "strict", "verdict", "unexpected"),
    [
        (OF_LEVEL["must"], False, Kind.FAIL, 1),
        (OF_LEVEL["should"], False, Kind.ADVISED, 0),
        (OF_LEVEL["should"], True, Kind.FAIL, 1),
        (OF_LEVEL["may"], False, Kind.POLICY, 0),
        (OF_LEVEL["may"], True, Kind.POLICY, 0),
        (HOSTILE, False, Kind.HARDENING, 0),
        (HOSTILE, True, Kind.HARDENING, 0),
    ],
    ids=lambda value: value.id if isinstance(value, msgspec.Struct) else str(value),
)
def test_level_and_reach_say_what_a_failure_amounts_to(case, strict, verdict, unexpected) -> None:
    results = run(Own(Claims()), case, strict=strict)
    assert kinds(results) == {case.id: verdict}
    assert results.end.unexpected == unexpected
    assert results.results[case.id].difference


def test_an_exception_is_never_advice_but_may_be_a_matter_of_hardening() -> None:
    results = run(Own(Claims(), breaks=True), OF_LEVEL["should"], OF_LEVEL["may"], HOSTILE)
    assert list(kinds(results).values()) == [Kind.ERROR, Kind.ERROR, Kind.HARDENING]


def test_who_reads_from_anyone_must_withstand_anyone() -> None:
    results = run(Own(Claims(trust="anyone")), HOSTILE)
    assert kinds(results) == {HOSTILE.id: Kind.FAIL}


def test_what_is_outside_is_not_sent_and_says_why() -> None:
    class Untouched(Own):
        def read(self, frame, before):
            raise AssertionError("this must not be sent")

    results = run(Untouched(Claims(limits=MostOf(segments=1))), CORPUS.cases["read/tcp4/two-segments"])
    (result,) = results.results.values()
    assert (result.verdict, result.unexpected) == (Kind.OUTSIDE, False)
    assert "the limit claimed is 1" in result.difference


# Empty packets.


class Strict(Own):
    """Makes an error of an empty packet, and writes the others of its batch, or none of them."""

    whole_batch = False

    def write(self, packet, before, poison):
        if not packet:
            raise TurnedDownError("empty")
        return super().write(packet, before, poison)

    def write_batch(self, packets, before, poison):
        frames = [] if self.whole_batch else super().write_batch(packets, before, poison)
        raise TurnedDownError("an empty packet", frames)


EMPTY = next(case for case in CORPUS.cases.values() if isinstance(case, WriteCase) and isinstance(case.expect, Nothing))


@pytest.mark.parametrize("claimed", [False, True])
def test_an_empty_packet_may_be_rejected(claimed: bool) -> None:
    results = run(Strict(Claims(rejects_empty=claimed)), EMPTY, WITH_AN_EMPTY_ONE)
    assert set(kinds(results).values()) == {Kind.PASS}
    assert results.results[EMPTY.id].policies == ("rejects empty packets",)


def test_an_empty_packet_must_not_take_its_batch_down() -> None:
    subject = Strict(Claims(rejects_empty=True))
    subject.whole_batch = True
    assert kinds(run(subject, WITH_AN_EMPTY_ONE)) == {WITH_AN_EMPTY_ONE.id: Kind.FAIL}


def test_a_claim_to_reject_empty_packets_is_held_against_its_maker() -> None:
    results = run(Own(Claims(rejects_empty=True)), EMPTY)
    assert kinds(results) == {EMPTY.id: Kind.FAIL}
    assert "rejectsEmpty" in results.results[EMPTY.id].difference


# Stopping early.


def test_a_run_stops_at_the_most_failures_and_keeps_those_before() -> None:
    cases = [case for case in CORPUS.select("read/tcp4/*") if isinstance(case.expect, Packets) and case.level == "must"]
    results = run(Own(Claims(trust="anyone")), *cases, most_failures=2)
    assert results.stopped
    assert (results.end.unexpected, results.end.cases) == (2, len(results.results))
    assert len(results.results) < len(cases)
    assert not run(Own(Claims(trust="anyone")), *cases).stopped


def test_a_selection_is_narrowed_by_what_cases_state() -> None:
    plan = runner.planned(CORPUS, "read/*", only={"level": "should", "reach": "kernel"})
    assert {(case.level, case.reach) for case in plan.cases} == {("should", "kernel")}
    assert plan.only == {"level": "should", "reach": "kernel"}


# Limits that are claimed are put to the test.

LIMITS = MostOf(segments=100, packets=60, fragments=253, bytes=9000)


def test_the_probes_are_cases_that_the_reference_passes() -> None:
    probes = list(at_the_limits(LIMITS))
    assert {one.id.partition("/")[0] for one in probes} == {"read", "write", "write_gso", "write_batch"}
    assert [outside(one, msgspec.structs.replace(EVERYTHING, limits=LIMITS)) for one in probes] == [""] * len(probes)
    with Reference() as reference:
        assert {judge(one, reference, exact=one.id.startswith("read")).kind for one in probes} == {Kind.PASS}


@pytest.mark.parametrize("limit", ["segments", "packets", "fragments", "bytes"])
def test_a_probe_lies_just_within_its_limit(limit: str) -> None:
    (probe, *_) = at_the_limits(MostOf(**{limit: 77}))
    less = msgspec.structs.replace(EVERYTHING, limits=MostOf(**{limit: 76}))
    assert outside(probe, less) or len(in_pieces(probe.input.packets, less.limits)) == 2


def test_a_limit_that_no_packet_can_reach_is_not_put_to_the_test() -> None:
    assert list(at_the_limits(MostOf(segments=60_000, packets=60_000, fragments=60_000, bytes=1 << 20))) == []


def test_a_limit_that_is_not_kept_is_a_problem_of_the_run() -> None:
    class Short(Reference):
        """Claims 128 segments, and cuts no more than 100."""

        name = "short"
        claims = Claims(limits=MostOf(segments=128))

        def read(self, frame, before):
            return super().read(frame, before)[:100]

    results = run(Short(), CORPUS.cases["read/tcp4/two-segments"])
    (problem,) = results.problems
    assert (problem.id, problem.what) == ("read/claimed/segments-128", "claim")
    assert results.end.unexpected == 1
    assert run(Short(), CORPUS.cases["write/protocols/udp4"]).problems == []
