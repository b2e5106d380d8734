"""Cases as pytest tests, each in its own session, and the corpus in one call from Python."""

import contextlib
import os
import re
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from common.support import processes_marked
from tunproof.corpus.load import load
from tunproof.errors import UsageError
from tunproof.judge.verdict import Kind
from tunproof.protocol.kits import adapter as kit
from tunproof.runs.results import STREAM, read
from tunproof.subjects.reference import Reference
from tunproof.subjects.subject import Subject
from tunproof.testing import conformance
from tunproof.testing.conformance import ConformanceError, run_conformance

ROGUE = Path(__file__).with_name("rogue.py")
CORPUS = load()
VICTIM = CORPUS.cases["checksum/carries/high-bytes"]
CHECKSUMS = CORPUS.select("checksum/*")
CARRIES = CORPUS.select("checksum/carries/*")
KIT = f"{sys.executable} {kit.__file__}"
REFUSED = next(
    case
    for case in CORPUS.select("read/*")
    if case.sibling is not None and CORPUS.cases[case.sibling].reach == case.reach == "kernel"
)

SUBJECT = """
    import time
    from tunproof.subject import Subject, TurnedDownError

    class Sums(Subject):
        name = "sums"

        def checksum(self, data, initial):
            if data.hex() == {victim!r}:
                {deed}
            total = initial + sum(data[::2]) * 256 + sum(data[1::2])
            while total > 0xFFFF:
                total = (total & 0xFFFF) + (total >> 16)
            return total

        def read(self, frame, before):
            raise TurnedDownError("no")
"""


def rogue(way, victim=VICTIM):
    return f"{sys.executable} {ROGUE} {way} {victim.input.data.hex()}"


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Run pytest in a folder of its own, and see that it left nobody behind."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv("TUNPROOF_TEST", mark)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n")

    def run(*words, adapter=None, select="checksum/*", baseline=None):
        options = [] if adapter is None else ["--tunproof-adapter", adapter, "--tunproof-select", select]
        if baseline is not None:
            known = tmp_path / "known.toml"
            known.write_text(baseline)
            options += ["--tunproof-baseline", str(known)]
        line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *options, *words]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        return SimpleNamespace(code=done.returncode, text=done.stdout + done.stderr, counts=counted(done.stdout))

    yield run
    assert processes_marked(mark) == []


def counted(text):
    """Return the numbers of the last line."""
    last = text.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|xfailed|errors?)", last)}


def junit(tmp_path, tag):
    return ET.parse(tmp_path / "j.xml").iter(tag)  # noqa: S314 (pytest wrote it)


def make(tmp_path, deed, victim=VICTIM):
    """Write a subject, and return its name."""
    text = textwrap.dedent(SUBJECT).format(victim=victim.input.data.hex(), deed=deed)
    (tmp_path / "mine.py").write_text(text)
    return "python:mine:Sums"


def entry(case_id, outcome):
    return f'[[known]]\ncase = "{case_id}"\noutcome = "{outcome}"\nreason = "it is a rogue"\n'


def test_each_case_is_a_test(session, tmp_path):
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    done = session("-rs", "--junitxml=j.xml", adapter=KIT, select="[clw]*")
    asked = {"checksum", "lifecycle", "write", "write_gso", "write_batch"}
    left_out = [case for case in CORPUS.cases.values() if case.id.split("/")[0] in asked - {"checksum"}]
    assert done.code == 0, done.text
    assert done.counts == {"passed": len(CHECKSUMS) + 1, "skipped": len(left_out)}
    assert "unsupported: the subject does not claim the operation write_gso" in done.text
    tests = {(test.get("classname"), test.get("name")) for test in junit(tmp_path, "testcase")}
    assert ("tunproof", VICTIM.id) in tests
    assert ("test_own", "test_own") in tests


@pytest.mark.parametrize(
    ("way", "verdict", "words"),
    [("crash", "crash", "SIGSEGV"), ("hang", "hang", "no answer within 2 s"), ("wrong_answer", "fail", "got 0x1234")],
)
def test_a_failure_is_explained(session, tmp_path, way, verdict, words):
    done = session("--junitxml=j.xml", "-rf", "--timeout=60", adapter=rogue(way))
    assert done.code == 1
    assert done.counts == {"passed": len(CHECKSUMS) - 1, "failed": 1}
    assert f"FAILED tunproof::{VICTIM.id} - {verdict}: " in done.text
    assert words in done.text
    assert VICTIM.about in done.text
    assert f"tunproof check --select {VICTIM.id} -- {rogue(way)}" in done.text
    assert "Traceback" not in done.text
    assert "pytest_cases.py" not in done.text
    verdicts = {
        test.get("name"): [value.get("value") for value in test.iter("property") if value.get("name") == "verdict"]
        for test in junit(tmp_path, "testcase")
    }
    assert verdicts == {case.id: ["pass"] for case in CHECKSUMS} | {VICTIM.id: [verdict]}
    (failure,) = junit(tmp_path, "failure")
    assert words in failure.get("message")
    assert VICTIM.about in failure.text


def test_who_answers_otherwise_the_second_time_is_flaky(session):
    asked_twice = next(case for case in CHECKSUMS if int(case.digest[-2:], 16) % 16 == 0 and case.input.data)
    done = session("-rf", "-k", asked_twice.id, adapter=rogue("flip", asked_twice))
    assert done.code == 1
    assert f"tunproof::{asked_twice.id} - flaky: pass in the first run, fail in the second" in done.text


@pytest.mark.parametrize(
    ("way", "outcome", "became", "words"),
    [
        ("crash", "crash", "xfailed", "the baseline expects crash: it is a rogue"),
        ("crash", "fail", "failed", "the baseline expects fail, this is crash"),
        ("none", "crash", "failed", "this is pass: remove the entry"),
    ],
    ids=["xfail", "otherwise", "xpass"],
)
def test_a_baseline_is_strict(session, way, outcome, became, words):
    other = next(case for case in CARRIES if case is not VICTIM)
    wanted = f"{VICTIM.id} or {other.id}"
    done = session("-rxf", "-k", wanted, adapter=rogue(way), baseline=entry(VICTIM.id, outcome))
    assert done.code == (0 if became == "xfailed" else 1)
    assert done.counts == {"passed": 1, became: 1}
    assert words in done.text


def test_a_problem_of_the_baseline_is_a_failure(session):
    stale = entry("checksum/no/such-case", "fail")
    done = session("-rf", adapter=KIT, select="checksum/carries/*", baseline=stale)
    assert done.code == 1
    assert done.counts == {"passed": len(CARRIES), "failed": 1}
    assert "tunproof::baseline/stale/checksum/no/such-case - entry 1 matches no case" in done.text


def test_a_refusal_that_proves_nothing_is_skipped(session, tmp_path):
    wanted = f"{REFUSED.id} or {REFUSED.sibling}"
    done = session("-rsf", "-k", wanted, adapter=make(tmp_path, "pass"), select="read/*")
    assert f"{REFUSED.sibling} is fail" in done.text
    assert done.counts["skipped"] >= 1
    assert f"FAILED tunproof::{REFUSED.sibling} - fail: " in done.text


def test_a_sibling_that_is_deselected_is_not_asked(session, tmp_path):
    done = session("-k", REFUSED.id, adapter=make(tmp_path, "pass"), select="read/*")
    assert done.code == 0
    assert done.counts == {"passed": 1}


def test_what_nobody_is_left_to_ask_is_a_failure(session, tmp_path):
    (tmp_path / "conftest.py").write_text(
        "from dataclasses import replace\n"
        "from tunproof.subjects import connect\n"
        "from tunproof.subjects.adapters.process import Limits\n"
        "right = connect.connector_of\n"
        "connect.connector_of = lambda *args, **kw: replace(right(*args, **kw), limits=Limits(restarts=0))\n"
    )
    done = session("-rf", adapter=rogue("crash"))
    before = CHECKSUMS.index(VICTIM)
    assert done.code == 1
    assert done.counts == {"passed": before, "failed": len(CHECKSUMS) - before}
    assert f"FAILED tunproof::{CHECKSUMS[-1].id} - blocked: was not run" in done.text


def test_who_is_asked_nothing_is_no_success(session):
    done = session("-re", adapter=KIT, select="write/*")
    assert done.code == 1
    assert done.counts["error"] == 1
    assert "no case could be run against the subject: the subject does not claim the operation write" in done.text


def test_collecting_starts_nobody(session, tmp_path):
    started = f"{sys.executable} -c \"open('started', 'w')\""
    done = session("--collect-only", "-q", adapter=started, select="checksum/carries/*")
    assert done.code == 0
    assert done.text.splitlines()[: len(CARRIES)] == [f"tunproof::{case.id}" for case in CARRIES]
    assert not (tmp_path / "started").exists()
    assert session(adapter=started).code == 3
    assert (tmp_path / "started").exists()


def test_what_is_deselected_is_not_asked(session):
    done = session("--deselect", f"tunproof::{VICTIM.id}", "-k", "carries", adapter=rogue("crash"))
    assert done.code == 0, done.text
    assert done.counts == {"passed": len(CARRIES) - 1}


def test_stopping_at_the_first_failure(session):
    done = session("-x", adapter=rogue("crash"))
    assert done.code == 1
    assert done.counts == {"passed": CHECKSUMS.index(VICTIM), "failed": 1}


@pytest.mark.parametrize(
    ("adapter", "words", "code", "text"),
    [
        ("/no/such/adapter --here", (), 3, "cannot be started"),
        (rogue("garbage_at_hello"), (), 3, "Welcome to my VPN!"),
        (rogue("constant"), (), 3, "same answer to two inputs"),
        (KIT, ("--tunproof-mode", "telepathy"), 4, "no mode 'telepathy'"),
        (KIT, ("--tunproof-select", "no/such/case"), 4, "ERROR: no case matches 'no/such/case'"),
        (KIT, ("--tunproof-baseline", "no.toml"), 4, "ERROR: no.toml cannot be read"),
        ("python:no_such_module:make", (), 4, "No module named 'no_such_module'"),
        ("cmd 'half", (), 4, "ERROR: --tunproof-adapter is not a command line"),
        ("", (), 4, "name what to check"),
    ],
)
def test_nobody_to_ask(session, adapter, words, code, text):
    done = session(*words, adapter=adapter)
    assert done.code == code, done.text
    assert text in done.text
    assert "INTERNALERROR" not in done.text


def test_an_end_that_is_none_is_an_error(session):
    done = session("-re", "-k", VICTIM.id, adapter=rogue("exit_23_after_bye"))
    assert done.code == 1
    assert done.counts == {"passed": 1, "error": 1}
    assert "exit code 23" in done.text


def test_a_subject_in_this_process(session, tmp_path):
    done = session("-rf", adapter=make(tmp_path, "return 0x1234"))
    assert done.code == 1
    assert done.counts == {"passed": len(CHECKSUMS) - 1, "failed": 1}
    assert "fail: expected 0x7f80, got 0x1234" in done.text


@pytest.mark.parametrize("place", ["in this process", "behind the protocol"])
def test_a_timeout_of_pytest_leaves_the_other_cases_alone(session, tmp_path, place):
    subject = make(tmp_path, "time.sleep(1000)") if place == "in this process" else rogue("hang")
    done = session("-rf", "--timeout=1.5", adapter=subject)
    assert done.code == 1
    assert done.counts == {"passed": len(CHECKSUMS) - 1, "failed": 1}
    assert re.search(f"FAILED tunproof::{VICTIM.id} - .*Timeout", done.text)


def test_ctrl_c(session, tmp_path):
    (tmp_path / "conftest.py").write_text("import os\nos.environ['SESSION'] = str(os.getpid())\n")
    (tmp_path / "interrupting.py").write_text(
        "import os, runpy, sys, time\n"
        "from tunproof.protocol.kits import adapter\n"
        "right = adapter.checksum\n"
        "def checksum(data, initial):\n"
        f"    if data.hex() == {VICTIM.input.data.hex()!r}:\n"
        "        os.kill(int(os.environ['SESSION']), 2)\n"
        "        time.sleep(1000)\n"
        "    return right(data, initial)\n"
        "about = {'implementation': {'name': 'i', 'version': '1', 'language': 'Python'}, 'capabilities': [],"
        " 'modes': ['memory']}\n"
        "adapter.serve(about, {'checksum': checksum})\n"
    )
    done = session(adapter=f"{sys.executable} interrupting.py")
    assert done.code == 2, done.text
    assert "KeyboardInterrupt" in done.text
    assert done.counts == {"passed": CHECKSUMS.index(VICTIM)}


@pytest.mark.parametrize("words", [(), ("-p", "no:tunproof")], ids=["loaded", "switched-off"])
def test_nobody_is_bothered_without_an_adapter(session, tmp_path, words):
    (tmp_path / "test_own.py").write_text(
        "import sys\n"
        "def test_own():\n"
        "    mine = {name for name in sys.modules if name.split('.')[0] in ('tunproof', 'tio', 'msgspec', 'scapy')}\n"
        "    assert mine <= {'tunproof', 'tunproof.version', 'tunproof.testing', 'tunproof.testing.pytest_plugin'}\n"
    )
    done = session(*words)
    assert done.code == 0, done.text
    assert done.counts == {"passed": 1}


class Wrong(Subject):
    """Right but for its sums, which are all the same."""

    name = "wrong"

    def checksum(self, data, initial):
        return 0x7F80


def test_the_example_of_the_documentation_passes(session, tmp_path):
    example = re.search(r"\n\n((?: {4}.*\n|\n)+)", conformance.__doc__)[1]
    (tmp_path / "test_sums.py").write_text(textwrap.dedent(example))
    done = session()
    assert done.code == 0, done.text
    assert done.counts == {"passed": 1}


def test_what_is_not_as_expected_is_raised():
    with pytest.raises(ConformanceError) as raised:
        run_conformance(Wrong(), select="checksum/*")
    results = raised.value.results
    wrong = len(results.unexpected())
    text = str(raised.value)
    assert 20 < wrong < len(CHECKSUMS)
    assert results.results[VICTIM.id].verdict is Kind.PASS
    assert text.startswith(f"wrong: {wrong} results are not as expected\n\n")
    assert text.count("\n  repeat   run_conformance(..., select='checksum/") == 3
    assert f"and {wrong - 3} more: checksum/" in text
    assert text.endswith(f", and {wrong - 23} others")


def test_known_failures_are_no_error_and_reports_are_written(tmp_path):
    wrong = next(case for case in CARRIES if case.expect.sum != 0x7F80)
    known = tmp_path / "known.toml"
    known.write_text(entry(wrong.id, "fail"))
    results = run_conformance(Wrong(), select=wrong.id, baseline=known, report=tmp_path / "report")
    assert results.results[wrong.id].verdict is Kind.XFAIL
    assert read(tmp_path / "report" / STREAM) == results
    known.write_text(entry(wrong.id, "crash"))
    with pytest.raises(ConformanceError, match="the baseline expects crash, this is fail"):
        run_conformance(Wrong(), select=wrong.id, baseline=os.fspath(known))


def test_a_problem_of_the_baseline_is_raised(tmp_path):
    known = tmp_path / "known.toml"
    known.write_text(entry("no/such/case", "fail"))
    with pytest.raises(ConformanceError, match="wrong: 1 result is not as expected\n\nno/such/case  stale\n  entry 1"):
        run_conformance(Wrong(), select=VICTIM.id, baseline=known)


@pytest.mark.parametrize(
    ("select", "words"),
    [("no/such/*", "no case matches"), ("read/*", "no case that can be run against wrong: read")],
)
def test_a_selection_that_asks_nothing_is_refused(select, words):
    with pytest.raises(UsageError, match=words):
        run_conformance(Wrong(), select=select)


def test_a_refusal_without_a_reason_is_enough_unless_it_must_be_exact():
    class Curt(Reference):
        def read(self, frame, before):
            try:
                return super().read(frame, before)
            except Exception as error:
                error.fault = None
                raise

    topic = f"{REFUSED.id.rpartition('/')[0]}/*"
    with contextlib.closing(Curt()) as curt:
        assert run_conformance(curt, select=topic).results[REFUSED.id].verdict is Kind.PASS
        with pytest.raises(ConformanceError, match=re.escape(REFUSED.id)):
            run_conformance(curt, select=REFUSED.id, exact=True)
