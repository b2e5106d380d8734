"""Campaigns without processes: how they are split, what is kept, how they continue, and their exit codes."""

import errno
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tunfuzz.campaign import conduct
from tunfuzz.campaign.answers import Answer, Answered, GivenUp
from tunfuzz.campaign.command import campaign_command
from tunfuzz.campaign.request import SHARD, Campaign, Experiment, shards_of
from tunfuzz.campaign.state import STATE, Finished, Heading, Journal, read
from tunfuzz.campaign.summary import Summary
from tunfuzz.shard import Shard, Tally
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.runs.findings import FINDING

HEADING = Heading(seed=5, cases=25, shard=10, tunproof="1", corpus="c", kernel="k")
RULES = ("often", "seldom")


def tally(shard: Shard, _: object = None) -> Tally:
    return Tally(cases=shard.count, outcomes={"lost": shard.count}, rules={"often": 2})


def finished(first: int, clock: float = 1.0) -> Finished:
    shard = Shard(5, first, min(10, 25 - first))
    return Finished(shard=shard, tally=tally(shard), clock=clock)


def write(path: Path, *records: Heading | Finished) -> Path:
    with Journal(path, new=records):
        return path


class Inline:
    """Asks in this process; what it does with a shard can be changed."""

    def __init__(self) -> None:
        self.asked: list[Shard] = []
        self.answer: Callable[[Shard], Answer] = lambda shard: Answered(shard, tally(shard))

    def ask(self, shards: Iterable[Shard]) -> Generator[Answer, None, None]:
        for shard in shards:
            self.asked.append(shard)
            yield self.answer(shard)

    @contextmanager
    def connection(self, *_: object, **__: object) -> Iterator[object]:
        yield self.ask


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> Inline:
    made = Inline()
    monkeypatch.setattr(conduct, "_asker", made.connection)
    return made


def run(request: Campaign) -> Summary:
    return conduct.run(request, Experiment(runner=tally, rules=RULES, corpus="c"))


# Shards.


@pytest.mark.parametrize("shard", [1, 2, 7, 10, 1000])
@pytest.mark.parametrize("cases", [1, 9, 10, 11, 100])
def test_shards_have_every_case_once_and_in_order(cases: int, shard: int) -> None:
    shards = list(shards_of(seed=3, cases=cases, shard=shard))
    assert [number for each in shards for number in range(each.first, each.first + each.count)] == list(range(cases))
    assert {each.seed for each in shards} == {3}


def test_ten_million_cases_are_enough_shards_for_many_cores() -> None:
    assert len(list(shards_of(seed=0, cases=10_000_000, shard=SHARD))) == 50


# The state file.


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "new" / STATE, HEADING, finished(10, 1.0), finished(0, 2.5))
    state = read(path)
    assert state.heading == HEADING
    assert set(state.finished) == {Shard(5, 0, 10), Shard(5, 10, 10)}
    assert (state.missing, state.clock, state.tally().cases) == (5, 2.5, 20)


def test_half_a_line_is_no_line_and_is_cut_off(tmp_path: Path) -> None:
    path = write(tmp_path / STATE, HEADING, finished(0))
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"record":"shard","sha')
    assert list(read(path).finished) == [Shard(5, 0, 10)]
    with Journal(path) as journal:
        assert path.read_bytes() == whole
        journal.write(finished(10))
    assert len(read(path).finished) == 2


def test_a_shard_that_stands_there_twice_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path / STATE, HEADING, finished(0), finished(0))
    assert read(path).tally().cases == 10


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b"{", 2),
        (b"\xff", 2),
        (b'{"record":"other"}', 2),
        (msgspec.json.encode(Finished(shard=Shard(5, 1, 10), tally=Tally(), clock=0)), 2),
        (msgspec.json.encode(Finished(shard=Shard(6, 0, 10), tally=Tally(), clock=0)), 2),
        (msgspec.json.encode(HEADING), 2),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes, number: int) -> None:
    path = write(tmp_path / STATE, HEADING)
    with path.open("ab") as file:
        file.write(line + b"\n" + msgspec.json.encode(finished(0)) + b"\n")
    with pytest.raises(UsageError, match=rf"{STATE}:{number}: .*remove the line"):
        read(path)


@pytest.mark.parametrize("content", [b"", b'{"record"', msgspec.json.encode(finished(0)) + b"\n"])
def test_a_file_without_a_heading_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE).write_bytes(content)
    with pytest.raises(UsageError, match="no heading"):
        read(tmp_path / STATE)


def test_a_full_disk_leaves_the_finished_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / STATE, HEADING, finished(0))
    whole, real = path.read_bytes(), os.write

    def full(fd: int, data: bytes) -> int:
        if data.startswith(b"{"):
            return real(fd, data[:7])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Journal(path) as journal:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(EnvironmentProblem, match=r"No space left on device.*\n.*free some space"):
            journal.write(finished(10))
        monkeypatch.undo()
        assert path.read_bytes() == whole
        journal.write(finished(10))
    assert len(read(path).finished) == 2


def test_two_campaigns_do_not_write_to_one_file(tmp_path: Path) -> None:
    path = write(tmp_path / STATE, HEADING)
    with Journal(path), pytest.raises(UsageError, match="another campaign"):
        Journal(path)


def test_a_folder_that_cannot_be_made_is_an_environment_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match="--out"):
        write(tmp_path / "file" / STATE, HEADING)


# Beginning and continuing.


def test_a_campaign_is_on_disk_shard_by_shard(tmp_path: Path, inline: Inline) -> None:
    seen: list[int] = []

    def answer(shard: Shard) -> Answer:
        seen.append(len(read(tmp_path / STATE).finished))
        return Answered(shard, tally(shard))

    inline.answer = answer
    summary = run(Campaign(cases=25, seed=5, shard=10, out=tmp_path))
    assert seen == [0, 1, 2]
    assert (summary.tally.cases, summary.missing, summary.resume, summary.exit_code) == (25, 0, None, 0)


def test_going_on_asks_what_is_not_finished(tmp_path: Path, inline: Inline) -> None:
    inline.answer = lambda shard: GivenUp(shard, "it died") if shard.first == 10 else Answered(shard, tally(shard))
    first = run(Campaign(cases=25, seed=5, shard=10, out=tmp_path))
    assert (first.tally.cases, first.missing, first.exit_code) == (15, 10, 3)
    assert first.problems == ("cases 10 to 19: it died",)
    assert first.resume == f"tunproof campaign --resume {tmp_path / STATE}"
    inline.asked.clear()
    inline.answer = Inline().answer
    second = run(Campaign(resume=tmp_path / STATE))
    assert inline.asked == [Shard(5, 10, 10)]
    assert (second.tally.cases, second.missing, second.exit_code) == (25, 0, 0)
    assert second.tally.outcomes == {"lost": 25}
    inline.asked.clear()
    third = run(Campaign(resume=tmp_path))  # the folder will do as well
    assert inline.asked == []
    assert third == replace(second, seconds=third.seconds)


def test_the_clock_goes_on_where_it_stopped(tmp_path: Path, inline: Inline) -> None:
    run(Campaign(cases=20, seed=5, shard=10, out=tmp_path))
    heading, old, _ = (tmp_path / STATE).read_bytes().splitlines(keepends=True)
    record = msgspec.json.decode(old, type=Finished)
    later = msgspec.structs.replace(record, clock=1000.0)
    (tmp_path / STATE).write_bytes(heading + msgspec.json.encode(later) + b"\n")
    assert 1000 < run(Campaign(resume=tmp_path / STATE)).seconds < 1010


def test_a_campaign_that_is_there_is_not_overwritten(tmp_path: Path, inline: Inline) -> None:
    run(Campaign(cases=25, seed=5, shard=10, out=tmp_path))
    before = (tmp_path / STATE).read_bytes()
    with pytest.raises(UsageError, match=r"--resume .*--out"):
        run(Campaign(cases=25, seed=5, shard=10, out=tmp_path))
    assert (tmp_path / STATE).read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"seed": 6}, "seed is 5, and now it is 6"),
        ({"cases": 26}, "cases is 25, and now it is 26"),
        ({"out": Path("elsewhere")}, "--out"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "kernel is"),
    ],
)
def test_another_campaign_is_not_gone_on_with(
    tmp_path: Path, inline: Inline, changed: dict[str, object], says: str
) -> None:
    run(Campaign(cases=25, seed=5, shard=10, out=tmp_path))
    with pytest.raises(UsageError, match=says):
        run(Campaign(resume=tmp_path / STATE, **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tunproof", "corpus", "kernel"])
def test_other_conditions_are_another_campaign(tmp_path: Path, inline: Inline, name: str) -> None:
    run(Campaign(cases=25, seed=5, shard=10, out=tmp_path))
    state = read(tmp_path / STATE)
    (tmp_path / STATE).unlink()
    write(tmp_path / STATE, msgspec.structs.replace(state.heading, **{name: "other"}))
    with pytest.raises(UsageError, match=f"its {name} is 'other'"):
        run(Campaign(resume=tmp_path / STATE))


def test_what_is_asked_must_be_said(tmp_path: Path, inline: Inline) -> None:
    with pytest.raises(UsageError, match="--cases"):
        run(Campaign(out=tmp_path))
    with pytest.raises(UsageError, match=r"--workers.*--scheduler"):
        run(Campaign(cases=1, out=tmp_path, workers=1, scheduler="tcp://127.0.0.1:1"))
    assert not any(tmp_path.iterdir())


# What goes wrong.


def test_after_three_failures_and_no_success_no_more_is_asked(tmp_path: Path, inline: Inline) -> None:
    inline.answer = lambda shard: GivenUp(shard, "it died")
    summary = run(Campaign(cases=1000, shard=10, out=tmp_path))
    assert len(inline.asked) == 3
    assert (summary.missing, summary.exit_code) == (1000, 3)


@pytest.mark.parametrize(
    ("error", "code"), [(EnvironmentProblem("there is no lab", cure="get one"), 3), (KeyboardInterrupt(), 130)]
)
def test_what_is_done_is_summed_up_whatever_ends_it(
    tmp_path: Path, inline: Inline, error: BaseException, code: int
) -> None:
    def answer(shard: Shard) -> Answer:
        if shard.first == 10:
            raise error
        return Answered(shard, tally(shard))

    inline.answer = answer
    summary = run(Campaign(cases=25, seed=5, shard=10, out=tmp_path))
    assert (summary.tally.cases, summary.missing, summary.exit_code) == (10, 15, code)
    assert summary.resume is not None
    assert list(read(tmp_path / STATE).finished) == [Shard(5, 0, 10)]


def test_findings_of_shards_that_were_not_finished_are_named(tmp_path: Path, inline: Inline) -> None:
    def put(name: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / FINDING).touch()

    def answer(shard: Shard) -> Answer:
        put(f"new-{shard.first}")
        return GivenUp(shard, "it died")

    put("old")
    inline.answer = answer
    first = run(Campaign(cases=20, seed=5, shard=10, out=tmp_path))
    assert first.findings == (tmp_path / "new-0", tmp_path / "new-10")
    assert first.exit_code == 1
    inline.answer = Inline().answer
    assert run(Campaign(resume=tmp_path / STATE)).findings == first.findings


# The summary.


SUMMARY = Summary(
    seed=5,
    tally=Tally(cases=100, outcomes={"lost": 100}, rules={"often": 2}, masks={"mask": 1}, shapes={"raw": 100}),
    rules=RULES,
    seconds=4.0,
    missing=0,
    findings=(),
    problems=(),
    again=("tunproof", "campaign", "--resume", f"a folder/{STATE}"),
)


@pytest.mark.parametrize(
    ("differences", "findings", "missing", "interrupted", "code"),
    [
        (0, (), 0, False, 0),
        (0, (), 5, False, 3),
        (1, (), 0, False, 1),
        (0, (Path("one"),), 0, False, 1),
        (1, (), 5, False, 1),
        (1, (), 5, True, 130),
    ],
)
def test_the_exit_code_says_found_before_missing(
    differences: int, findings: tuple[Path, ...], missing: int, interrupted: bool, code: int
) -> None:
    summary = replace(
        SUMMARY, tally=Tally(differences=differences), findings=findings, missing=missing, interrupted=interrupted
    )
    assert summary.exit_code == code


def test_the_summary_for_machines() -> None:
    assert replace(SUMMARY, missing=7, findings=(Path("out/one"),), problems=("it died",)).as_json() == {
        "cases": 100,
        "seconds": 4.0,
        "per_s": 25.0,
        "differences": 0,
        "findings": ["out/one"],
        "outcomes": {"lost": 100},
        "shapes": {"raw": 100},
        "masks": {"mask": 1},
        "rules_exercised": 1,
        "rules_total": 2,
        "rules": {"often": 2, "seldom": 0},
        "never_exercised": ["seldom"],
        "missing": 7,
        "problems": ["it died"],
        "seed": 5,
        "resume": f"tunproof campaign --resume 'a folder/{STATE}'",
    }


def test_a_campaign_in_which_nothing_was_asked_has_no_rate() -> None:
    assert replace(SUMMARY, tally=Tally(), seconds=0.0).per_s == 0


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'tunproof\[cluster\]'"):
        run(Campaign(cases=1, out=tmp_path, scheduler="tcp://127.0.0.1:1"))
    assert not any(tmp_path.iterdir())


def test_the_command_prints_what_people_want_to_know(
    tmp_path: Path, inline: Inline, capsys: pytest.CaptureFixture[str]
) -> None:
    inline.answer = lambda shard: Answered(shard, msgspec.structs.replace(tally(shard), masks={"fragment id": 3}))
    command = campaign_command(lambda _: Experiment(runner=tally, rules=RULES))
    command(cases=25, seed=5, out=tmp_path)
    said = capsys.readouterr().out
    for text in ("25 cases from seed 5", "lost", "100.0%", "fragment id", "rules exercised: 1 of 2", "never: seldom"):
        assert text in said
    assert "missing" not in said
