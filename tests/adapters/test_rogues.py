"""Programs that misbehave: each gets the right verdict, the rest of the run continues, and no process is left."""

import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from common.support import processes_marked
from tunproof.corpus.claims import ORDINARY
from tunproof.corpus.load import load
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.judge.verdict import Kind
from tunproof.runs import check
from tunproof.runs.baseline import Baseline
from tunproof.subjects.adapters.client import AdapterBrokenError
from tunproof.subjects.adapters.process import Limits
from tunproof.subjects.connect import Connector

ROGUE = Path(__file__).with_name("rogue.py")
CORPUS = load()
VICTIM = CORPUS.cases["checksum/carries/high-bytes"]
CHECKSUMS = len(CORPUS.select("checksum/*"))


@pytest.fixture(autouse=True)
def nobody_is_left(monkeypatch):
    mark = uuid.uuid4().hex
    monkeypatch.setenv("TUNPROOF_TEST", mark)
    yield
    assert processes_marked(mark) == []


def run(way, *, select="checksum/*", repeat=1, batch=None, **limits):
    words = (sys.executable, str(ROGUE), way, VICTIM.input.data.hex())
    limits = Limits(**{"answer": 0.4, "start": 20.0, "memory": 256 << 20, **limits})
    connector = Connector(words=words, limits=limits, batch=batch)
    return check.check(check.Request(connector=connector, select=select, repeat=repeat), CORPUS)


def verdict_on_the_victim(results):
    """Return it, having seen that all else was passed."""
    others = Counter(result.verdict for case_id, result in results.results.items() if case_id != VICTIM.id)
    assert others == {Kind.PASS: CHECKSUMS - 1}
    assert results.end is not None
    return results.results[VICTIM.id]


@pytest.mark.parametrize("batch", [None, 1], ids=["batches", "lock-step"])
@pytest.mark.parametrize(
    ("way", "kind", "words"),
    [
        ("crash", Kind.CRASH, "SIGSEGV"),
        ("hang", Kind.HANG, "no answer within 0.4 s"),
        ("garbage", Kind.PROTOCOL_ERROR, "Traceback (most recent call last)"),
        ("half_a_line", Kind.PROTOCOL_ERROR, "half a line"),
        ("half_a_line_and_the_end", Kind.PROTOCOL_ERROR, "middle of a line"),
        ("exit_0", Kind.CRASH, "exit code 0 instead of answering"),
        ("exit_3", Kind.CRASH, "exit code 3 instead of answering"),
        ("close_stdout", Kind.HANG, "closed its standard output"),
        ("answer_unsupported", Kind.FAIL, "calls this case unsupported"),
        ("raise_error", Kind.ERROR, "no such luck"),
        ("wrong_answer", Kind.FAIL, "got 0x1234"),
    ],
)
def test_verdict(way, kind, words, batch):
    result = verdict_on_the_victim(run(way, batch=batch))
    assert result.verdict is kind
    assert result.unexpected
    assert words in result.difference


@pytest.mark.parametrize(
    ("way", "kind", "words"),
    [
        ("twice", Kind.PROTOCOL_ERROR, "id"),
        ("wrong_ids", Kind.PROTOCOL_ERROR, "id 12345"),
        ("late_crash", Kind.CRASH, "SIGSEGV"),
        ("unknown_key_in_reply", Kind.PROTOCOL_ERROR, "sume"),
    ],
)
def test_what_comes_late_is_blamed_on_the_case_before_it(way, kind, words):
    result = verdict_on_the_victim(run(way))
    assert result.verdict is kind
    assert words in result.difference


@pytest.mark.parametrize("batch", [None, 1], ids=["batches", "lock-step"])
@pytest.mark.parametrize("way", ["leak", "poisoned"])
def test_what_an_exception_leaves_behind_is_charged_to_nobody_else(way, batch):
    results = run(way, batch=batch)
    assert verdict_on_the_victim(results).verdict is Kind.ERROR
    assert results.end.restarts == 2, "after the error, and after that of the second run"
    assert results.problems == []


def test_there_are_few_fresh_starts_after_errors_that_leave_nothing_behind():
    results = run("raise_often")
    kinds = Counter(result.verdict for result in results.results.values())
    assert kinds[Kind.ERROR] > 10
    assert set(kinds) == {Kind.ERROR, Kind.PASS}
    assert results.end.restarts < kinds[Kind.ERROR] / 2


@pytest.mark.parametrize("batch", [2, 3, 5, 128])
def test_errors_that_leave_nothing_behind_are_suspected_of_nothing(batch):
    """Each case is compared with itself, also where a single one is left of a message."""
    words = (sys.executable, str(ROGUE), "raise_often", VICTIM.input.data.hex())
    with Connector(words=words, batch=batch).open(CORPUS) as connection:
        connection.observe(CORPUS.select("checksum/*"))
        assert connection._leftovers._alike.total() > 10
        assert connection._leftovers._harmful == set()


def test_without_fresh_starts_the_run_goes_on_to_its_end():
    """More errors than renewals: the verdicts are those of the adapter as it is left."""
    results = run("leak", renewals=0)
    assert results.results[VICTIM.id].verdict is Kind.FLAKY
    assert Counter(result.verdict for result in results.results.values())[Kind.FAIL] > 10
    poisoned = run("poisoned", renewals=0)
    assert poisoned.results[VICTIM.id].unexpected
    assert poisoned.end is not None


def test_fresh_starts_are_no_restarts_that_count(tmp_path):
    """Who raises often is not left out of the run."""
    results = run("raise_error", restarts=0)
    assert verdict_on_the_victim(results).verdict is Kind.ERROR


@pytest.mark.parametrize("way", ["eat_memory", "child_eats_memory"])
def test_memory_is_measured_with_all_descendants(way):
    result = verdict_on_the_victim(run(way, answer=20.0, memory=200 << 20))
    assert result.verdict is Kind.OOM
    assert "the limit is 200 MiB" in result.difference


@pytest.mark.parametrize("way", ["fork", "leave_a_child", "no_batches"])
def test_what_is_no_fault_is_passed(way):
    assert verdict_on_the_victim(run(way)).verdict is Kind.PASS


def test_an_endless_answer_is_cut_short():
    result = verdict_on_the_victim(run("endless_line", answer=20.0, line=4 << 20))
    assert result.verdict is Kind.PROTOCOL_ERROR
    assert "longer than 4194304 bytes" in result.difference


def test_a_flood_on_stderr_is_read_and_cut():
    result = verdict_on_the_victim(run("flood_stderr", answer=20.0))
    assert result.verdict is Kind.PASS


def test_what_is_on_stderr_is_kept_with_the_case():
    results = run("print_and_wrong")
    assert results.results[VICTIM.id].stderr == "here I am\n"
    assert all(not result.stderr for case_id, result in results.results.items() if case_id != VICTIM.id)


def test_who_answers_otherwise_the_second_time_is_flaky():
    result = verdict_on_the_victim(run("flip", repeat=2))
    assert result.verdict is Kind.FLAKY
    assert result.unexpected


def test_a_crash_that_comes_in_company_only_is_blamed_on_the_case_that_brings_it():
    result = verdict_on_the_victim(run("crash_in_a_batch"))
    assert result.verdict is Kind.CRASH
    assert "only after the" in result.difference


def test_a_crash_that_never_comes_again_is_trouble_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNPROOF_TEST_LOCK", str(tmp_path / "lock"))
    results = run("crash_once")
    (problem,) = results.problems
    assert problem.text.startswith("crash, once, between ")
    assert {result.verdict for result in results.results.values()} == {Kind.PASS}
    assert results.end.unexpected == 1


def test_who_talks_while_it_should_listen_is_cut_short():
    results = run("early_answer", batch=1)
    wrong = {one.id for one in results.unexpected()}
    assert wrong == {case.id for case in CORPUS.select("checksum/*") if len(case.input.data) > 4000}
    assert {one.verdict for one in results.unexpected()} == {Kind.PROTOCOL_ERROR}


def test_a_signal_without_a_name_is_a_crash():
    result = verdict_on_the_victim(run("real_time_signal"))
    assert (result.verdict, result.difference) == (Kind.CRASH, "was killed by signal 40")


def test_restarts_are_bounded_and_what_is_left_over_is_no_success():
    results = run("crash", restarts=0)
    kinds = Counter(result.verdict for result in results.results.values())
    assert kinds[Kind.BLOCKED] > 0
    assert all(result.unexpected for result in results.results.values() if result.verdict is Kind.BLOCKED)


@pytest.mark.parametrize("way", ["stays_after_bye", "exit_23_after_bye"])
def test_an_end_that_is_none_is_a_problem_of_the_run(way):
    results = run(way)
    (problem,) = results.problems
    assert problem.what == "trouble"
    assert results.end.unexpected == 1
    if way == "exit_23_after_bye":
        assert "exit code 23" in problem.text
        assert "LeakSanitizer" in problem.text


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("unknown_capability", "header.prase"),
        ("unknown_op", "checksums"),
        ("unknown_mode", "memories"),
        ("unknown_offload", "TS04"),
        ("other_protocol", "protocol 3"),
        ("garbage_at_hello", "Welcome to my VPN!"),
        ("exit_at_hello", "cannot open the configuration"),
        ("silent_start", "no answer within"),
        ("constant", "same answer to two inputs"),
        ("ok_to_everything", "an op that does not exist with 'ok'"),
        ("panics_at_once", "with 'error': unwrap on None\nat main.rs:7"),
        ("panics_at_once", "on stderr: called `Option::unwrap()` on a `None` value"),
        ("rejects_everything", "does not answer its simplest input (checksum/carries/rfc-1071-example): it rejects it"),
    ],
)
def test_a_broken_adapter_is_no_verdict(way, words):
    with pytest.raises(AdapterBrokenError) as raised:
        run(way, start=1.5 if way == "silent_start" else 20.0)
    assert words in str(raised.value)
    assert raised.value.exit_code == 3


def test_what_later_versions_may_say_in_hello_is_ignored():
    results = run("unknown_key")
    assert results.verdicts() == run("none").verdicts()
    assert results.run.claims == ORDINARY


def test_an_adapter_that_is_not_there_cannot_be_started(tmp_path):
    for words in (("/no/such/adapter",), (str(tmp_path),)):
        with pytest.raises(EnvironmentProblem, match="cannot be started"):
            check.check(check.Request(connector=Connector(words=words)), CORPUS)


def test_a_mode_that_the_adapter_lacks_is_refused():
    words = (sys.executable, str(ROGUE), "none", VICTIM.input.data.hex())
    with pytest.raises(UsageError, match="no mode 'wire'; it has memory"):
        check.check(check.Request(connector=Connector(words=words, mode="wire")), CORPUS)


def test_a_known_crash_is_expected(tmp_path):
    known = tmp_path / "known.toml"
    known.write_text(f'[[known]]\ncase = "{VICTIM.id}"\noutcome = "crash"\nreason = "it is a rogue"\n')
    words = (sys.executable, str(ROGUE), "crash", VICTIM.input.data.hex())
    request = check.Request(connector=Connector(words=words), select="checksum/*", baseline=known)
    results = check.check(request, CORPUS)
    assert results.results[VICTIM.id].verdict is Kind.XFAIL
    assert results.unexpected() == []
    assert Baseline.load(known)


def test_a_run_of_misbehaviour_ends_in_time():
    started = time.monotonic()
    run("hang")
    assert time.monotonic() - started < 10
