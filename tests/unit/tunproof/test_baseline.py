"""The baseline of known failures: what is rejected, what is in force, how it changes a verdict, and a new one."""

import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.judge.verdict import Kind
from tunproof.runs.baseline import FAILURES, PLACEHOLDER, Baseline, Entry, dump
from tunproof.runs.results import FORMAT, Known, Problem, Result, Results, Run

DIGESTS = {
    name: f"sha256:{number:064x}"
    for number, name in enumerate(["read/tcp4/largest", "read/tcp4/smallest", "read/udp4/odd", "write/tcp6/push"])
}
READ, SMALL, UDP, WRITE = DIGESTS
KERNEL = "6.6.44-generic"
OUTCOMES = ["fail", "error", "crash", "hang", "oom", "protocol-error", "flaky", "blocked", "unsupported"]
HAPPENED = [kind for kind in Kind if kind not in (Kind.XFAIL, Kind.XPASS)]

Load = Callable[[str], Baseline]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write_and_load(text: str) -> Baseline:
        path = tmp_path / "known.toml"
        path.write_text(text, "utf-8")
        return Baseline.load(path)

    return write_and_load


def known(case: str, outcome: str = "fail", **more: str) -> Entry:
    return Entry(case=case, outcome=outcome, reason="a reason", **more)


def checked(*entries: Entry, kernel: str = KERNEL) -> Baseline:
    baseline = Baseline(entries)
    assert baseline.check(DIGESTS, DIGESTS, kernel) == []
    return baseline


def problems(*entries: Entry, selected: tuple[str, ...] = tuple(DIGESTS), kernel: str = KERNEL) -> list[Problem]:
    return Baseline(entries).check(DIGESTS, selected, kernel)


# What a file says.


def test_a_file_is_read_with_all_its_keys(load: Load) -> None:
    digest = DIGESTS[READ]
    baseline = load(
        f"""# mine
        [[known]]
        case = "{READ}"
        outcome = "hang"
        reason = "è so"
        link = "https://example.org/1"
        digest = "{digest}"
        kernel = ">= 6.6.44, <6.6.45"
        [[known]]
        case = "read/*"
        outcome = "fail"
        reason = "who knows"
        """
    )
    range_ = ">= 6.6.44, <6.6.45"
    first = Entry(READ, "hang", "è so", link="https://example.org/1", digest=digest, kernel=range_)
    assert baseline.entries == (first, Entry("read/*", "fail", "who knows"))


def test_a_file_without_entries_knows_nothing(load: Load) -> None:
    assert load("# nothing yet\n").entries == ()


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_that_can_be_known_is_read(load: Load, outcome: str) -> None:
    assert load(f'[[known]]\ncase="a"\nreason="b"\noutcome="{outcome}"').entries == (Entry("a", outcome, "b"),)


GOOD = '[[known]]\ncase = "a/b/c"\noutcome = "fail"\nreason = "r"\n'


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ('[[known]]\ncase = "a\n', ("line 2", "cure")),
        ('[[known]]\n\ncase = ["a",', ("line 3", "cure")),
        ("x = " + "[" * 9999, ("not valid TOML",)),
        ('case = "a"\n' + GOOD, ("'case' is not a known key", "begins with [[known]]")),
        ("[[knwon]]\n", ("'knwon' is not a known key", "begins with [[known]]")),
        ('[known]\ncase = "a"\n', ("not a list", "[[known]]")),
        ("known = [1]\n", ("entry 1: known: 1 is not a table", "[[known]]")),
        (
            GOOD + GOOD + 'until = "1"',
            ("entry 2: until: is not a known key", "case, outcome, reason, link, digest, kernel"),
        ),
        (GOOD + "link = 5", ("entry 1: link: 5 is not a string", "https://")),
        (GOOD + "kernel = 6.6", ("entry 1: kernel: 6.6 is not a string", ">=6.6.44,<6.6.45")),
        (GOOD + "digest = []", ("entry 1: digest: [] is not a string",)),
        (GOOD + "[[known]]", ("entry 2: case: is missing", "a glob such as")),
        (GOOD.replace("reason", "link"), ("entry 1: reason: is missing", "why")),
        (GOOD.replace('"r"', '" "'), ("entry 1: reason: is empty",)),
        (GOOD.replace('"a/b/c"', '""'), ("entry 1: case: is empty",)),
        (GOOD.replace('"fail"', '"Fail"'), ("entry 1: outcome: 'Fail' is not an outcome", *OUTCOMES)),
        *((GOOD.replace("fail", word), ("outcome:",)) for word in ("pass", "xfail", "xpass", "not-applicable")),
        (GOOD + 'digest = "sha256:12"', ("entry 1: digest: 'sha256:12' is not a digest", "64")),
        (GOOD + f'digest = "{DIGESTS[READ]}\\n"', ("entry 1: digest:",)),
        *(
            (GOOD.replace("b", glob) + f'digest = "{DIGESTS[READ]}"', ("entry 1: digest:", "is a glob"))
            for glob in ("*", "?", "[b]")
        ),
        *(
            (GOOD + f'kernel = "{bad}"', (f"entry 1: kernel: {bad!r} is not a range", ">=6.6.44,<6.6.45"))
            for bad in ("6.6", ">=6.6,", "=>6.6", ">=6.", "~6.6", ">=6.6 <6.7", ">=6.6.44-generic", ">=" + "9" * 5000)
        ),
        *(
            (GOOD + f'kernel = "{bad}"', ("entry 1: kernel: no release can satisfy", bad))
            for bad in (">=6.7,<6.6", ">6.6,<6.6.0", "==6.6,==6.7", "<0.0")
        ),
    ],
)
def test_a_malformed_file_is_refused_with_file_entry_key_and_cure(
    load: Load, text: str, texts: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError) as refused:
        load(text)
    for part in ("known.toml", "cure: ", *texts):
        assert part in str(refused.value)


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    path.write_bytes(b"# one\n# two\n# \xe4\n")
    with pytest.raises(UsageError, match=r"known\.toml:3: not UTF-8"):
        Baseline.load(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml cannot be read: No such file"):
        Baseline.load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        Baseline.load(tmp_path)


# Which kernels it applies to.


@pytest.mark.parametrize(
    ("range_", "release", "holds"),
    [
        (">=6.6.44,<6.6.45", "6.6.44", True),
        (">=6.6.44,<6.6.45", "6.6.44-generic", True),
        (">=6.6.44,<6.6.45", "6.6.44.3-microsoft-standard", True),
        (">=6.6.44,<6.6.45", "6.6.45", False),
        (">=6.6.44,<6.6.45", "6.6.43", False),
        (">=6.6.44", "6.6.5", False),
        (">=6.6.44", "6.18.0", True),
        (">=6.6.44", "6.6.100+", True),
        (" > 6.6 , <= 6.8 ", "6.6.0", False),
        (">6.6,<=6.8", "6.6.1-rc2", True),
        (">6.6,<=6.8", "6.8.0-41-generic", True),
        (">6.6,<=6.8", "6.8.1", False),
        ("==6.6", "6.6.0", True),
        ("==6.6.0", "6.6-rc1", True),
        ("==6.6", "6.6.44", False),
        ("<7", "6.18", True),
        (">6.6,<6.6.1", "6.6.0.2", True),
        (">=0", "6", True),
    ],
)
def test_an_entry_holds_on_the_kernels_of_its_range(load: Load, range_: str, release: str, holds: bool) -> None:
    (entry,) = load(GOOD + f'kernel = "{range_}"').entries
    assert entry.holds_on(release) is holds


def test_an_entry_about_another_kernel_is_neither_in_force_nor_a_problem() -> None:
    others = [
        known(READ, "crash", kernel="<6"),
        known("no/such/case", kernel="<6"),
        known(SMALL, digest=DIGESTS[READ], kernel="<6"),
    ]
    baseline = checked(*others, known(READ, "hang"))
    assert baseline.judge(READ, Kind.HANG)[0] is Kind.XFAIL
    assert baseline.judge(READ, Kind.CRASH)[1]
    assert baseline.judge(SMALL, Kind.FAIL) == (Kind.FAIL, True, None, "")


def test_a_release_without_a_number_decides_no_range() -> None:
    assert problems(known(READ), kernel="custom") == []
    with pytest.raises(EnvironmentProblem, match="'custom', does not begin with a number"):
        problems(known(READ, kernel=">=6"), kernel="custom")


# What is wrong with it.


def test_an_entry_that_matches_no_case_is_stale_and_told_what_is_near() -> None:
    (by_id,) = problems(known(WRITE), known("read/tcp4/larges"), selected=(UDP,))
    assert (by_id.id, by_id.what) == ("read/tcp4/larges", "stale")
    assert "entry 2 matches no case" in by_id.text
    assert READ in by_id.text
    (by_glob,) = problems(known("raed/*"))
    assert (by_glob.id, by_glob.what) == ("raed/*", "stale")


def test_a_baseline_that_is_stale_throughout_does_not_keep_anybody_waiting() -> None:
    ids = {f"read/tcp4/a-case-with-a-long-name-{number}": DIGESTS[READ] for number in range(500)}
    baseline = Baseline(tuple(known(f"read/tcp6/a-case-with-a-long-name-{number}") for number in range(500)))
    begun = time.process_time()
    assert len(baseline.check(ids, ids, KERNEL)) == 500
    assert time.process_time() - begun < 20


def test_a_glob_is_no_matter_of_upper_and_lower_case() -> None:
    (problem,) = problems(known("READ/*"))
    assert problem.what == "stale"


def test_an_entry_whose_case_has_changed_is_stale_and_lapses() -> None:
    baseline = Baseline((known(READ, digest=DIGESTS[SMALL]), known(SMALL, digest=DIGESTS[SMALL])))
    (problem,) = baseline.check(DIGESTS, DIGESTS, KERNEL)
    assert (problem.id, problem.what) == (READ, "stale")
    assert "entry 1 has lapsed because the case has changed: review it" in problem.text
    assert baseline.judge(READ, Kind.FAIL) == (Kind.FAIL, True, None, "")
    assert baseline.judge(SMALL, Kind.FAIL)[0] is Kind.XFAIL


def test_entries_that_contradict_each_other_are_both_named() -> None:
    (problem,) = problems(known(WRITE), known("read/*", "crash"), known("*/tcp4/*", "fail"))
    assert (problem.id, problem.what) == ("read/*", "contradictory")
    for part in ("entry 2 (read/*) expects crash", "entry 3 (*/tcp4/*) expects fail", READ, "1 more"):
        assert part in problem.text


def test_entries_that_say_the_same_do_not_contradict_each_other() -> None:
    assert problems(known("read/*"), known(READ), known(READ, digest=DIGESTS[READ])) == []


def test_entries_about_cases_that_are_not_selected_are_no_problem() -> None:
    entries = (known(READ), known(READ, "crash"), known(SMALL, digest=DIGESTS[READ]), known("read/*", "crash"))
    assert problems(*entries, selected=(WRITE,)) == []
    assert len(problems(*entries, selected=(READ, SMALL))) == 3  # 1 and 2, 1 and 4, and 3 has lapsed


def test_a_second_check_forgets_the_first() -> None:
    baseline = Baseline((known(READ, kernel="<6"),))
    baseline.check(DIGESTS, DIGESTS, "5.15")
    assert baseline.judge(READ, Kind.FAIL)[0] is Kind.XFAIL
    baseline.check(DIGESTS, DIGESTS, "6.1")
    assert baseline.judge(READ, Kind.FAIL)[0] is Kind.FAIL


# How it changes a verdict.


@pytest.mark.parametrize("kind", HAPPENED)
def test_a_case_without_an_entry_is_unexpected_if_it_failed(kind: Kind) -> None:
    unexpected = kind.value in ("fail", "error", "crash", "hang", "oom", "protocol-error", "flaky")
    assert Baseline().judge(READ, kind) == (kind, unexpected, None, "")
    assert checked(known(SMALL)).judge(READ, kind) == (kind, unexpected, None, "")


@pytest.mark.parametrize("case", [READ, "read/*"])
@pytest.mark.parametrize("kind", HAPPENED)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_only_what_the_entry_says_is_known(case: str, outcome: str, kind: Kind) -> None:
    entry = known(case, outcome, link="https://example.org")
    verdict, unexpected, said, note = checked(entry).judge(READ, kind)
    assert said == Known(outcome=outcome, reason="a reason", link="https://example.org")
    if kind.value == outcome:
        assert (verdict, unexpected, note) == (Kind.XFAIL, False, "")
        return
    assert verdict is (Kind.XPASS if kind is Kind.PASS else kind)
    assert unexpected is (kind not in (Kind.NOT_APPLICABLE, Kind.BLOCKED))
    assert note.startswith(f"the baseline expects {outcome}, ")
    assert kind.value in note


def test_the_note_says_what_to_do() -> None:
    baseline = checked(known(READ), known("read/udp4/*"))
    assert baseline.judge(READ, Kind.CRASH)[3] == "the baseline expects fail, this is crash"
    assert baseline.judge(READ, Kind.PASS)[3].endswith("remove the entry")
    assert baseline.judge(UDP, Kind.PASS)[3].endswith("remove the entry, or narrow its glob, read/udp4/*")
    assert "no longer runs" in baseline.judge(READ, Kind.UNSUPPORTED)[3]


def test_an_id_goes_before_a_glob_and_the_first_before_the_second() -> None:
    baseline = Baseline((known("read/*", "crash"), known("*/tcp4/*", "oom"), known(READ, "hang")))
    assert len(baseline.check(DIGESTS, DIGESTS, KERNEL)) == 3
    assert baseline.judge(READ, Kind.HANG)[0] is Kind.XFAIL
    assert baseline.judge(SMALL, Kind.CRASH)[0] is Kind.XFAIL


def test_nothing_is_judged_before_it_is_known_what_is_in_force() -> None:
    with pytest.raises(RuntimeError, match="before `check`"):
        Baseline((known(READ),)).judge(READ, Kind.PASS)


@pytest.mark.parametrize("kind", [Kind.XFAIL, Kind.XPASS])
def test_nothing_is_judged_twice(kind: Kind) -> None:
    with pytest.raises(ValueError, match="already judged"):
        Baseline().judge(READ, kind)


_ENTRIES = st.builds(
    known,
    st.sampled_from([*DIGESTS, "*", "read/*", "*/tcp4/*", "no/such/case"]),
    st.sampled_from(OUTCOMES),
    kernel=st.sampled_from([None, ">=6", "<6"]),
)
_BASELINES = st.lists(_ENTRIES, max_size=6)


@given(_BASELINES, st.sampled_from(sorted(DIGESTS)), st.sampled_from(HAPPENED))
def test_a_judgement_is_consistent(entries: list[Entry], case_id: str, kind: Kind) -> None:
    baseline = Baseline(tuple(entries))
    baseline.check(DIGESTS, DIGESTS, KERNEL)
    verdict, unexpected, said, note = baseline.judge(case_id, kind)
    assert verdict in (kind, Kind.XFAIL, Kind.XPASS)
    assert (verdict is Kind.XFAIL) is (said is not None and said.outcome == kind.value)
    assert (verdict is Kind.XPASS) is (said is not None and kind is Kind.PASS)
    assert not (verdict in (Kind.PASS, Kind.XFAIL) and unexpected)
    assert unexpected or verdict not in FAILURES | {Kind.XPASS}
    assert bool(note) is (said is not None and verdict is not Kind.XFAIL)
    about = [entry for entry in entries if entry.kernel != "<6" and entry.among({case_id})]
    assert (said is not None) is bool(about)
    assert said is None or said.outcome in {entry.outcome for entry in about}


# A new one.


def results_of(*results: Result, subject: str = "mine", select: str = "*", kernel: str = KERNEL) -> Results:
    run = Run(
        format=FORMAT,
        subject=subject,
        command=("tunproof", "check"),
        mode="wire",
        corpus=DIGESTS[READ],
        cases=len(results),
        select=select,
        kernel=kernel,
        tunproof="0.1.0",
        started="2024-05-06T07:08:09Z",
    )
    return Results(run, {result.id: result for result in results})


def result(case_id: str, kind: Kind, known: Known | None = None) -> Result:
    return Result(id=case_id, digest=DIGESTS[case_id], verdict=kind, known=known)


def test_a_new_baseline_says_of_what_and_when_it_is(load: Load) -> None:
    text = dump(results_of(result(READ, Kind.PASS), subject="a\nb = 1", select="read/*"), None)
    assert load(text).entries == ()
    for part in ("# Known failures of a\\nb = 1: wire, kernel 6.6.44-generic.", "2024-05-06T07:08:09Z", "match read/*"):
        assert part in text


def test_a_new_baseline_has_what_failed_in_the_order_of_ids(load: Load) -> None:
    text = dump(results_of(result(WRITE, Kind.HANG), result(UDP, Kind.PASS), result(READ, Kind.FLAKY)), None)
    assert load(text).entries == tuple(
        Entry(case_id, outcome, PLACEHOLDER, digest=DIGESTS[case_id])
        for case_id, outcome in ((READ, "flaky"), (WRITE, "hang"))
    )


@pytest.mark.parametrize("kind", HAPPENED)
def test_a_new_baseline_has_an_entry_for_a_failure_and_nothing_else(load: Load, kind: Kind) -> None:
    assert len(load(dump(results_of(result(READ, kind)), None)).entries) == (kind in FAILURES)


def test_a_reason_stays_as_long_as_it_is_about_the_same(load: Load) -> None:
    old = Baseline(
        (
            Entry("read/tcp4/*", "fail", "by a glob", link="https://example.org/1"),
            Entry(UDP, "fail", "something else happened"),
            Entry(WRITE, "fail", "another case", digest=DIGESTS[READ]),
            Entry(WRITE, "fail", "another kernel", kernel="<6"),
            Entry(WRITE, "fail", "this kernel", kernel=">=6.6"),
            Entry(SMALL, "fail", "by its id"),
        )
    )
    ran = results_of(*(result(case_id, Kind.FAIL) for case_id in (READ, SMALL, WRITE)), result(UDP, Kind.CRASH))
    assert load(dump(ran, old)).entries == (
        Entry(READ, "fail", "by a glob", link="https://example.org/1", digest=DIGESTS[READ]),
        Entry(SMALL, "fail", "by its id", digest=DIGESTS[SMALL]),
        Entry(UDP, "crash", PLACEHOLDER, digest=DIGESTS[UDP]),
        Entry(WRITE, "fail", "this kernel", digest=DIGESTS[WRITE], kernel=">=6.6"),
    )


@given(st.text(min_size=1).filter(str.strip), st.text(min_size=1).filter(str.strip), st.text())
def test_whatever_people_write_comes_back(reason: str, link: str, subject: str) -> None:
    ran = results_of(result(READ, Kind.XFAIL, Known(outcome="fail", reason=reason, link=link)), subject=subject)
    (table,) = tomllib.loads(dump(ran, None))["known"]
    assert (table["reason"], table["link"]) == (reason, link)


@given(_BASELINES, st.dictionaries(st.sampled_from(sorted(DIGESTS)), st.sampled_from(HAPPENED)), st.booleans())
def test_by_a_new_baseline_the_same_results_are_as_expected(
    entries: list[Entry], happened: dict[str, Kind], with_old: bool
) -> None:
    old = Baseline(tuple(entries))
    old.check(DIGESTS, DIGESTS, KERNEL)
    ran = results_of()
    for case_id, kind in happened.items():
        verdict, unexpected, said, _ = old.judge(case_id, kind)
        ran.add(Result(id=case_id, digest=DIGESTS[case_id], verdict=verdict, unexpected=unexpected, known=said))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "known.toml")
        path.write_text(dump(ran, old if with_old else None), "utf-8")
        new = Baseline.load(path)
    assert new.check(DIGESTS, DIGESTS, KERNEL) == []
    for case_id, kind in happened.items():
        verdict, unexpected, said, _ = new.judge(case_id, kind)
        assert not unexpected
        if kind in FAILURES or ran.results[case_id].verdict is Kind.XFAIL:
            assert verdict is Kind.XFAIL
        else:
            assert (verdict, said) == (kind, None)
