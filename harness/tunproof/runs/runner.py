"""A run: every case is run, judged, compared with the baseline and recorded, before the next ones start.

What one verdict cannot know is added here:

1. A case that requires what the subject does not claim is unsupported, and is not sent. If the subject claims it but
   replies unsupported, the case fails.
2. A failed case is run again, alone, and so is a sample of the passed ones; if the second verdict differs, the case is
   flaky.
3. A refusal counts only if the valid sibling of the case passed; otherwise it is blocked. So siblings run first.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tunproof.corpus.cases import Case, MustRefuse, MustReject, Nothing
from tunproof.corpus.claims import outside
from tunproof.corpus.codec import shown
from tunproof.corpus.load import Corpus
from tunproof.corpus.stats import only as narrowed
from tunproof.judge.decide import decide
from tunproof.judge.outcome import Answered, Broken, Outcome, Outside, Transmitted, TurnedDown, Unable
from tunproof.judge.verdict import NOT_RUN, Kind, Verdict
from tunproof.runs.baseline import Baseline
from tunproof.runs.causes import causes_of
from tunproof.runs.limits import at_the_limits
from tunproof.runs.results import FORMAT, Got, Problem, Record, Result, Results, Run
from tunproof.runs.taker import Taker
from tunproof.subjects.connection import Connection, Observation
from tunproof.version import __version__

__all__ = [
    "OneByOne",
    "Plan",
    "corpus_digest",
    "heading",
    "perform",
    "planned",
    "today",
    "troubles_of",
    "why_nothing_ran",
]

_AT_A_TIME = 128  # cases between two looks at the progress
_MOST = 1 << 16  # characters of what a subject says
_SAMPLE = 16  # one passed case in so many runs again
_REPEATED = frozenset({Kind.FAIL, Kind.ERROR})

_SETTLED = NOT_RUN | {Kind.PASS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run consists of.

    Attributes:
        cases: what is run, in any order.
        siblings: valid cases that are not selected, and run because faults among `cases` name them.
        select: the glob that selected them.
        only: what narrowed the selection, by the names of the options (`corpus.stats.only`).
        baseline: what is known to fail.
        known: the file that says so.
        exact: no freedoms: for the reference.
        strict: advice counts as a failure.
        most_failures: after so many failures the run stops.
        repeat: how often every case runs; with 1, only failed cases and a sample run again.
    """

    cases: Sequence[Case]
    siblings: Sequence[Case] = ()
    select: str = "*"
    only: Mapping[str, str] = field(default_factory=dict)
    baseline: Baseline = field(default_factory=Baseline)
    known: str | None = None
    exact: bool = False
    strict: bool = False
    most_failures: int | None = None
    repeat: int = 1


def planned(
    corpus: Corpus,
    select: str,
    *,
    only: Mapping[str, str] = MappingProxyType({}),
    known: str | None = None,
    **conditions: Any,
) -> Plan:
    """Return the plan for the cases that a glob selects and `only` narrows, and a file of known failures.

    `conditions` are further attributes of the plan. Raises `UsageError`.
    """
    cases = narrowed(corpus.select(select), **only)
    named = {case.sibling for case in cases if case.sibling is not None}
    return Plan(
        cases=cases,
        siblings=[corpus.cases[name] for name in sorted(named - {case.id for case in cases})],
        select=select,
        only=only,
        baseline=Baseline() if known is None else Baseline.load(Path(known)),
        known=known,
        **conditions,
    )


def why_nothing_ran(results: Iterable[Result]) -> str:
    """Return the reasons if not a single case ran, else an empty string."""
    found = list(results)
    if any(result.verdict not in NOT_RUN for result in found):
        return ""
    return "; ".join(sorted({result.difference for result in found}))


def heading(connection: Connection, corpus: Corpus, plan: Plan, command: Sequence[str]) -> Run:
    """Return the first record of a run. `command` is the command line that repeats it, less selection and reports."""
    return Run(
        subject=connection.name,
        implementation=connection.implementation,
        command=tuple(command),
        mode=connection.mode,
        cases=len(plan.cases),
        select=plan.select,
        only=dict(plan.only),
        kernel=os.uname().release,
        claims=connection.claims,
        strict=plan.strict,
        baseline=plan.known,
        exact=plan.exact,
        **today(corpus),
    )


def today(corpus: Corpus) -> dict[str, Any]:
    """Return what the first record of any run has: format, corpus, version and time."""
    return {
        "format": FORMAT,
        "corpus": corpus_digest(corpus),
        "tunproof": __version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def corpus_digest(corpus: Corpus) -> str:
    """Return a fingerprint of a corpus: SHA-256 over ids and digests."""
    known = "".join(f"{case.id} {case.digest}\n" for case in corpus.cases.values())
    return "sha256:" + hashlib.sha256(known.encode()).hexdigest()


def perform(
    plan: Plan,
    connection: Connection,
    results: Results,
    *,
    record: Callable[[Iterable[Record]], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Run every case that `results` does not have yet, and end the results. `record` gets each record at once.

    Raises `EnvironmentProblem` if the subject is lost; what was recorded stays.
    """
    started = time.perf_counter()
    judge, taker = (
        _Judge(plan, connection, results),
        Taker({case.id for case in plan.cases}, plan.most_failures, results, record),
    )
    cases = [case for case in _siblings_first((*plan.cases, *plan.siblings)) if case.id not in results.results]
    ordinary, hostile = judge.parted(cases)
    for _ in _worked(ordinary, judge, connection, taker):
        progress(len(results.results), len(plan.cases))
    connection.finish()
    taker.take(troubles_of(connection))
    if hostile and not taker.is_full:
        _withstand(hostile, judge, connection, taker)
        progress(len(results.results), len(plan.cases))
    results.causes = causes_of(results.results.values(), {case.id: case for case in plan.cases})
    results.end = results.ended(time.perf_counter() - started, connection.restarts, stopped=taker.is_full)
    record([*results.causes, results.end])


def _worked(cases: Sequence[Case], judge: "_Judge", connection: Connection, taker: Taker) -> Iterator[None]:
    """Run cases, and then the limits that are claimed, until there is no room for failures; yield after each chunk."""
    for chunk in _chunks(cases):
        taker.take(judge.judge(chunk))
        taker.take(troubles_of(connection))
        yield
        if taker.is_full:
            return
    taker.take(judge.unkept())


def _withstand(hostile: Sequence[Case], judge: "_Judge", connection: Connection, taker: Taker) -> None:
    """Run frames that no kernel hands over, in a process of their own: what they leave behind blames no other case."""
    connection.begin_again()
    for chunk in _chunks(hostile):
        taker.take(judge.judge(chunk))
    connection.troubles()  # they are a matter of hardening, too, and fail no run


def _chunks(cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
    return (cases[start : start + _AT_A_TIME] for start in range(0, len(cases), _AT_A_TIME))


def troubles_of(connection: Connection) -> list[Problem]:
    """Return what went wrong outside any single case, as records."""
    return [Problem(id=connection.name, what="trouble", text=text) for text in connection.troubles()]


def _siblings_first(cases: Sequence[Case]) -> Iterator[Case]:
    """Yield the cases so that a valid sibling comes before the faults that name it."""
    waiting = {case.id: case for case in cases}
    for case in cases:
        for one in _behind_siblings(case, waiting):
            if waiting.pop(one.id, None) is not None:
                yield one


def _behind_siblings(case: Case, waiting: Mapping[str, Case]) -> list[Case]:
    """Return the case, and before it those that it depends on and that are still waiting."""
    chain = [case]
    while (sibling := chain[-1].sibling) is not None and sibling in waiting and waiting[sibling] not in chain:
        chain.append(waiting[sibling])
    return chain[::-1]


class OneByOne:
    """A run in which the caller, such as pytest, chooses the next case.

    The results go into `results`, and those already there are not run again: if a subject is given up in the middle of
    a case, another `OneByOne` continues with the next one.
    """

    def __init__(self, plan: Plan, connection: Connection, results: Results) -> None:
        self._judge = _Judge(plan, connection, results)
        self._results = results
        self._waiting = {case.id: case for case in plan.cases if case.id not in results.results}

    def result(self, case: Case) -> Result:
        """Return the result of a case of the plan. Raises `EnvironmentProblem` if the subject is lost."""
        if case.id in self._waiting:
            for one in _behind_siblings(case, self._waiting):
                del self._waiting[one.id]
                (result,) = self._judge.judge([one])
                self._results.add(result)
        return self._results.results[case.id]


class _Judge:
    """Verdicts for a subject, in a run."""

    def __init__(self, plan: Plan, connection: Connection, results: Results) -> None:
        self._plan = plan
        self._connection = connection
        self._beside = {case.id for case in plan.siblings}
        self._kinds = {case_id: result.verdict for case_id, result in results.results.items()}

    def hardens(self, case: Case) -> bool:
        """Whether no kernel hands over the input of a case, to a subject that reads what its kernel hands over."""
        return case.reach == "hostile" and self._connection.claims.trust == "kernel"

    def parted(self, cases: Sequence[Case]) -> tuple[list[Case], list[Case]]:
        """Return the cases that come first, and those that only harden and come last."""
        ordinary = [case for case in cases if not self.hardens(case)]
        return ordinary, [case for case in cases if self.hardens(case)]

    def judge(self, cases: Sequence[Case]) -> list[Result]:
        """Return the results of some cases. Their siblings are among them, or were judged before."""
        unsent = {case.id: outcome for case in cases if (outcome := self._unsent(case)) is not None}
        sent = iter(self._connection.observe([case for case in cases if case.id not in unsent]))
        judged: dict[str, tuple[Verdict, Observation]] = {}
        for case in cases:
            outcome = unsent.get(case.id)
            one = next(sent) if outcome is None else Observation(case, outcome)
            judged[case.id] = (self._decide(one, claimed=outcome is None), one)
        self._repeat(judged)
        return [self._result(verdict, one) for verdict, one in judged.values()]

    def unkept(self) -> list[Problem]:
        """Return the limits that are claimed and not kept: what lies just within one does not work."""
        operations = {case.id.partition("/")[0] for case in self._plan.cases}
        probes = at_the_limits(self._connection.claims.limits)
        inside = [one for one in probes if one.id.partition("/")[0] in operations and self._unsent(one) is None]
        verdicts = [(one.case, self._decide(one, claimed=True)) for one in self._connection.observe(inside)]
        return [
            Problem(id=case.id, what="claim", text=f"this limit is claimed, and not kept: {verdict.difference}")
            for case, verdict in verdicts
            if verdict.kind not in {*_SETTLED, Kind.BLOCKED}
        ]

    def _unsent(self, case: Case) -> Outcome | None:
        """Return why a case is not sent, if it is not: the subject cannot do it, or was not written for it."""
        op, connection = case.id.partition("/")[0], self._connection
        if connection.ops is not None and op not in connection.ops:
            return Unable(f"the subject does not claim the operation {op}")
        if connection.capabilities is not None and (missing := set(case.requires) - connection.capabilities):
            return Unable(f"the subject does not claim {', '.join(sorted(missing))}")
        reason = outside(case, connection.claims)
        return Outside(reason) if reason else None

    def _decide(self, observed: Observation, *, claimed: bool) -> Verdict:
        verdict = decide(observed.case, observed.outcome, exact=self._plan.exact)
        if verdict.kind is Kind.PASS and self._connection.claims.rejects_empty and _accepts_empty(observed):
            return Verdict(Kind.FAIL, "claims to reject empty packets (rejectsEmpty), but accepted one")
        if verdict.kind is Kind.UNSUPPORTED and claimed and self._connection.capabilities is not None:
            what = ", ".join(observed.case.requires) or observed.case.id.partition("/")[0]
            return Verdict(Kind.FAIL, f"claims {what}, but calls this case unsupported: {verdict.difference}")
        return verdict

    def _repeat(self, judged: dict[str, tuple[Verdict, Observation]]) -> None:
        """Replace each verdict that does not hold a second time by "flaky"."""
        for one in self._once_more(judged):
            verdict, first = judged[one.case.id]
            if verdict.kind is not Kind.FLAKY:
                same = one.outcome == first.outcome
                second = verdict if same else self._decide(one, claimed=True)
                judged[one.case.id] = _agreed(verdict, first, second, one)

    def _once_more(self, judged: Mapping[str, tuple[Verdict, Observation]]) -> list[Observation]:
        """Run the failed cases again, one by one, and all of the passed ones or a sample."""
        wrong = [one.case for verdict, one in judged.values() if verdict.kind in _REPEATED]
        right = [one.case for verdict, one in judged.values() if verdict.kind is Kind.PASS]
        again = [self._connection.observe([case])[0] for case in wrong]
        if self._plan.repeat == 1:
            return again + self._connection.observe([case for case in right if _is_sample(case)])
        for _ in range(self._plan.repeat - 1):
            again += self._connection.observe(right)
        return again

    def _result(self, verdict: Verdict, observed: Observation) -> Result:
        case = observed.case
        verdict = self._blocked(case, verdict)
        self._kinds[case.id] = verdict.kind
        kind, unexpected, known, note = self._plan.baseline.judge(case.id, verdict.kind)
        wrong = verdict.kind is not Kind.PASS
        if kind is Kind.BLOCKED:
            unexpected = unexpected or self._blocked_out_of_sight(observed)
        elif unexpected and known is None:
            kind, unexpected = self._weighed(case, kind)
        return Result(
            id=case.id,
            digest=case.digest,
            verdict=kind,
            unexpected=unexpected,
            difference="\n".join(filter(None, (_shortened(verdict.difference), note))),
            got=_got(case, observed.outcome) if wrong else None,
            trace=_shortened(observed.outcome.trace) if isinstance(observed.outcome, Broken) else "",
            stderr=observed.stderr if wrong else "",
            advice=verdict.advice,
            policies=tuple(sorted(verdict.policies)),
            quality=None if verdict.quality is None else round(verdict.quality, 3),
            mismatches=verdict.mismatches,
            mismatched=verdict.mismatched,
            groups=verdict.groups if wrong else (),
            signature=verdict.signature,
            known=known,
        )

    def _blocked_out_of_sight(self, observed: Observation) -> bool:
        """Whether a blocked case must be told: it was left out, or the results do not show what blocks it."""
        left_out = isinstance(observed.outcome, Broken) and observed.outcome.how == "blocked"
        return (left_out or observed.case.sibling in self._beside) and not self.hardens(observed.case)

    def _weighed(self, case: Case, kind: Kind) -> tuple[Kind, bool]:
        """Return what a failure amounts to, given how binding the case is, and whether it makes the run fail."""
        if self._plan.exact:
            return kind, True
        if self.hardens(case):
            return Kind.HARDENING, False
        if kind is Kind.FAIL and case.level == "should" and not self._plan.strict:
            return Kind.ADVISED, False
        if kind is Kind.FAIL and case.level == "may":
            return Kind.POLICY, False
        return kind, True

    def _blocked(self, case: Case, verdict: Verdict) -> Verdict:
        if (
            verdict.kind is not Kind.PASS
            or not isinstance(case.expect, MustReject | MustRefuse)
            or case.sibling is None
        ):
            return verdict
        kind = self._kinds.get(case.sibling, Kind.PASS)
        if kind in _SETTLED or kind is Kind.XPASS:
            return verdict
        difference = f"rejected, which proves nothing: its valid sibling {case.sibling} is {kind}"
        return Verdict(Kind.BLOCKED, difference)


def _accepts_empty(observed: Observation) -> bool:
    return isinstance(observed.case.expect, Nothing) and not isinstance(observed.outcome, TurnedDown)


def _agreed(verdict: Verdict, first: Observation, second: Verdict, again: Observation) -> tuple[Verdict, Observation]:
    """Return what two verdicts on one case amount to."""
    if second.kind is not verdict.kind:
        what = f"{verdict.kind} in the first run, {second.kind} in the second"
        wrong = second if verdict.kind is Kind.PASS else verdict
        difference = f"{what}: {second.difference or verdict.difference}"
        flaky = replace(wrong, kind=Kind.FLAKY, difference=difference, advice=(), policies=frozenset(), quality=None)
        return flaky, again if verdict.kind is Kind.PASS else first
    if verdict.kind is Kind.PASS:
        return verdict, first
    return second, again  # run alone: what is on stderr is about this case


def _shortened(text: str) -> str:
    """Return the beginning of a text from the subject, whose length is not limited."""
    return text if len(text) <= _MOST else f"{text[:_MOST]} [{len(text) - _MOST} characters more]"


def _is_sample(case: Case) -> bool:
    """Whether a passed case runs again: the same ones in every run."""
    return int(case.digest[-2:], 16) % _SAMPLE == 0


def _got(case: Case, outcome: Outcome) -> Got | None:
    """Return what came out, as results have it."""
    what: str = "packets" if case.id.startswith("read/") or isinstance(outcome, Transmitted) else "frames"
    match outcome:
        case Transmitted(packets=packets) | TurnedDown(frames=packets):
            return Got(what=what, packets=tuple(packets)) if packets else None  # type: ignore[arg-type]
        case Answered(value=list() as packets) if all(isinstance(packet, bytes) for packet in packets):
            return Got(what=what, packets=tuple(packets))  # type: ignore[arg-type]
        case Answered(value=value):
            return Got(what="value", value=shown(value))
    return None
