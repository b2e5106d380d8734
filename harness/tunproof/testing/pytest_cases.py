"""Cases as pytest tests: one item per case, in the order of the corpus, with the id `tunproof::` plus the case's id.

    pass                            passed
    xfail                           xfailed, with the reason of the baseline; failed under --runxfail
    advised, policy, hardening      skipped, with what is wrong as the reason
    unsupported, not-applicable, outside
                                    skipped, unless the baseline expects otherwise
    blocked                         skipped; failed if the subject was lost
    everything else, xpass too      failed, with the explanation of the reports in place of a traceback
    a problem of the baseline       its own failed item

The verdicts are the runner's. The adapter starts with the first case and ends after the last one, and in between it
runs case by case, so that -x stops at once, and pytest-timeout stops the right test. What goes wrong only when cases
come in batches is left to `tunproof check`.

A subject that cannot be used ends the session: 3 if adapter or machine are broken, 4 if the options are wrong.
"""

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import pytest

from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus, load
from tunproof.errors import TunproofError, UsageError
from tunproof.judge.verdict import NOT_RUN, TOLERATED, Kind
from tunproof.reports.failure import explain, headline
from tunproof.runs import runner
from tunproof.runs.results import Problem, Result, Results, Run
from tunproof.runs.runner import OneByOne, Plan, planned, why_nothing_ran
from tunproof.subjects.connect import Connector, connector_of, mode_of
from tunproof.subjects.connection import Connection
from tunproof.text import legible

__all__ = ["CaseItem", "Plugin"]

_ROOT = "tunproof"
_SKIPPED = NOT_RUN | TOLERATED | {Kind.BLOCKED}


class Plugin:
    """The hooks of a session with a subject."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._conversation: _Conversation | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the cases, before other plugins deselect or reorder."""
        try:
            self._conversation = self._prepared()
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error
        except TunproofError as error:
            _leave(error)
        items += session.genitems(_Cases.from_parent(session, name=_ROOT, conversation=self._conversation))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Fix the plan, and acquire what the lab needs before there are threads."""
        if self._conversation is None or session.config.option.collectonly:
            return
        chosen = [item.case for item in session.items if isinstance(item, CaseItem)]
        try:
            self._conversation.begin(chosen)
        except TunproofError as error:
            _leave(error)

    def pytest_keyboard_interrupt(self) -> None:
        """End the adapter at once."""
        if self._conversation is not None:
            self._conversation.abandon()

    def _prepared(self) -> "_Conversation":
        """Return what the options request. Raises `UsageError`, `EnvironmentProblem`, `CorpusError`."""
        option = self._config.getoption
        mode = option("tunproof_mode")
        connector = replace(
            connector_of(_words(option("tunproof_adapter")), behind_dashes=False),
            mode=mode_of(mode),
        )
        corpus = load()
        known = option("tunproof_baseline")
        narrowing = {name: option(f"tunproof_{name}") for name in ("op", "flag", "level", "reach")}
        plan = planned(
            corpus,
            option("tunproof_select"),
            only={name: value for name, value in narrowing.items() if value is not None},
            known=known,
            exact=connector.exact,
            strict=option("tunproof_strict"),
        )
        return _Conversation(connector, corpus, plan)


class _Conversation:
    """A subject that runs one case after another.

    Attributes:
        corpus: where the cases come from.
        plan: the cases to run.
        problems: the problems of the baseline.
    """

    def __init__(self, connector: Connector, corpus: Corpus, plan: Plan) -> None:
        self.corpus = corpus
        self.plan = plan
        digests = {case.id: case.digest for case in corpus.cases.values()}
        self.problems = plan.baseline.check(digests, {case.id for case in plan.cases}, os.uname().release)
        self._connector = connector
        self._results: Results | None = None
        self._connection: Connection | None = None
        self._cases: OneByOne | None = None

    def begin(self, cases: Sequence[Case]) -> None:
        """Limit the plan to these cases. Raises `EnvironmentProblem`."""
        self.plan = replace(self.plan, cases=cases)
        if cases and (self._connector.mode or "").startswith("device"):
            from tunproof import lab  # noqa: PLC0415 (a quarter of a second, for these modes only)

            lab.ensure()

    def result(self, case: Case) -> tuple[Result, Run]:
        """Run a case. Any interruption ends the conversation; the next case begins another one."""
        try:
            results, cases = self._opened()
            return cases.result(case), results.run
        except BaseException:
            self.abandon()
            raise

    def finish(self) -> str:
        """End the conversation. Return what was wrong with it as a whole, in words. Raises `EnvironmentProblem`."""
        if self._connection is None or self._results is None:
            return ""
        try:
            self._connection.finish()
            words = "\n".join(self._connection.troubles())
        finally:
            self.abandon()
        found = self._results.results.values()
        if len(found) == len(self.plan.cases) and (reasons := why_nothing_ran(found)):
            words = words or f"no case could be run against the subject: {reasons}"
        return words

    def abandon(self) -> None:
        """End the subject, in any state."""
        connection, self._connection, self._cases = self._connection, None, None
        if connection is not None:
            connection.close()

    def _opened(self) -> tuple[Results, OneByOne]:
        if self._connection is None:
            self._connection = self._connector.open(self.corpus)
        if self._results is None:
            self._results = Results(runner.heading(self._connection, self.corpus, self.plan, self._connector.command))
        if self._cases is None:
            self._cases = OneByOne(self.plan, self._connection, self._results)
        return self._results, self._cases


class _Cases(pytest.Collector):
    """The cases, and the problems of the baseline."""

    def __init__(self, *, conversation: _Conversation, **kwargs: Any) -> None:
        super().__init__(nodeid=_ROOT, **kwargs)
        self._conversation = conversation

    def collect(self) -> Iterator[pytest.Item]:
        """Yield them in the order of the corpus, after the problems."""
        for problem in self._conversation.problems:
            yield _ProblemItem.from_parent(self, name=legible(f"baseline/{problem.what}/{problem.id}"), problem=problem)
        for case in self._conversation.plan.cases:
            yield CaseItem.from_parent(self, name=case.id, case=case, conversation=self._conversation)

    def teardown(self) -> None:
        """End the adapter after the last case. Problems at its end are errors of that case."""
        try:
            words = self._conversation.finish()
        except TunproofError as error:
            _leave(error)
        if words:
            pytest.fail(legible(words), pytrace=False)


class _Item(pytest.Item):
    """A test without a function: its failures have no traceback."""

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return its location, which is nowhere, and its name in headlines."""
        return self.path, None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """Return what is shown: an object like pytest's own."""
        if isinstance(excinfo.value, _NotPassedError):
            return _Shown(excinfo.value.text, _Crash(self.nodeid, excinfo.value.headline))
        return super().repr_failure(excinfo, *args, **kwargs)


class CaseItem(_Item):
    """A test that runs a case against the subject.

    Attributes:
        case: the case.
    """

    def __init__(self, *, case: Case, conversation: _Conversation, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self._conversation = conversation

    def runtest(self) -> None:
        """Run the case, and report the result to pytest."""
        try:
            result, run = self._conversation.result(self.case)
        except TunproofError as error:
            _leave(error)
        self.user_properties.append(("verdict", result.verdict.value))
        if result.verdict is Kind.PASS:
            return
        explanation = explain(result, run, self._conversation.corpus)
        if result.verdict is Kind.XFAIL:
            pytest.xfail(explanation.known)  # does nothing under --runxfail
        elif result.verdict in _SKIPPED and not result.unexpected:
            pytest.skip(f"{result.verdict}: {headline(explanation)}")
        raise _NotPassedError(explanation.text, f"{result.verdict}: {headline(explanation)}")


class _ProblemItem(_Item):
    """A test that fails because of the baseline."""

    def __init__(self, *, problem: Problem, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._problem = problem

    def runtest(self) -> None:
        """Fail."""
        text = legible(self._problem.text)
        raise _NotPassedError(text, text.partition("\n")[0])


class _NotPassedError(Exception):
    """A verdict that pytest shows as a failure."""

    def __init__(self, text: str, headline: str) -> None:
        super().__init__(text)
        self.text = text
        self.headline = headline


@dataclass(frozen=True, slots=True)
class _Crash:
    """What the summary, --tb=line and JUnit take from a failure."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Shown:
    """What pytest shows of a failure."""

    text: str
    reprcrash: _Crash

    def __str__(self) -> str:
        return self.text

    def toterminal(self, writer: Any) -> None:
        """Write it to a terminal."""
        for line in self.text.splitlines():
            writer.line(line)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"--tunproof-adapter is not a command line: {error}: {line}") from error


def _leave(error: TunproofError) -> NoReturn:
    """End the session: there is no usable subject."""
    code = pytest.ExitCode.USAGE_ERROR if isinstance(error, UsageError) else error.exit_code
    pytest.exit(legible(f"tunproof: {error}"), returncode=code)
