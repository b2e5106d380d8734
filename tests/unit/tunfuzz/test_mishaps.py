"""Bugs of tunproof itself while it fuzzes: they cost an input or a name, never a finding or the summary."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes import FAKES
from tunfuzz.peer import inputs, met, run, smaller
from tunfuzz.peer.request import Request, Summary
from tunproof.corpus.load import load
from tunproof.errors import EnvironmentProblem
from tunproof.runs import findings
from tunproof.subjects.connect import Connector
from tunproof.subjects.connection import Direct

CORPUS = load()
WRONG = next(fake for fake in FAKES if fake.name == "SumCarry/last-carry-lost")


def fuzzed(out: Path, *, cases: int = 640) -> Summary:
    connector = Connector(words=(f"python:{WRONG.__module__}:{WRONG.__name__}",))
    return run.run(Request(connector=connector, seed=2, cases=cases, out=out, select="checksum"), CORPUS)


def once(error: Exception, call: Callable[..., object]) -> Callable[..., object]:
    """Return `call`, which raises `error` the first time."""
    waiting = [error]

    def first_not(*given: object, **named: object) -> object:
        if waiting:
            raise waiting.pop()
        return call(*given, **named)

    return first_not


@pytest.mark.parametrize(
    ("module", "name", "doing"),
    [
        (inputs, "_checksum", "making an input"),
        (run, "case_of", "asking the reference"),
        (run, "judged", "judging"),
        (met, "case_of", "making a finding smaller"),
        (met, "minimise", "making a finding smaller"),
        (met, "Resemblance.of", "naming a finding"),
    ],
)
def test_a_bug_of_tunproof_is_told_and_costs_no_finding(
    module: object, name: str, doing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, _, attribute = name.rpartition(".")
    place = getattr(module, owner) if owner else module
    monkeypatch.setattr(place, attribute, once(ZeroDivisionError("ours"), getattr(place, attribute)))
    summary = fuzzed(tmp_path)
    (mishap,) = summary.mishaps
    assert mishap.startswith("a bug in tunproof, please report it: while ")
    assert "ZeroDivisionError at test_mishaps.py" in mishap
    assert doing in mishap or "trying a smaller input" in mishap
    (kept,) = summary.findings
    assert findings.in_folder(tmp_path) == [Path(kept.folder)]
    assert summary.cases >= 600
    assert summary.exit_code == 1


def test_a_finding_that_cannot_be_made_smaller_stays_as_it_was_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(met, "minimise", always)
    (kept,) = fuzzed(tmp_path).findings
    assert "It is as it was met" in findings.load(Path(kept.folder)).details


def test_a_step_that_raises_ends_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other steps reach is kept."""

    def raises(_: object) -> Iterator[object]:
        raise ZeroDivisionError("ours")
        yield

    small = fuzzed(tmp_path / "right").findings[0]
    monkeypatch.setattr(smaller, "_STEPS", dict.fromkeys(smaller._STEPS, (raises,)))
    summary = fuzzed(tmp_path / "wrong")
    assert "while trying a smaller input: ZeroDivisionError" in summary.mishaps[0]
    sizes = [len(str(findings.load(Path(kept.folder)).input)) for kept in (small, summary.findings[0])]
    assert sizes[1] <= sizes[0] + 8


@pytest.mark.parametrize("error", [EnvironmentProblem("the adapter is lost", cure="none"), ZeroDivisionError("ours")])
def test_whatever_ends_a_run_there_is_a_summary(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe, asked = Direct.observe, []

    def lost(self: Direct, cases: list) -> list:  # type: ignore[type-arg]
        asked.append(len(cases))
        if sum(asked) > 400 and len(cases) > 1:
            raise error
        return observe(self, cases)

    monkeypatch.setattr(Direct, "observe", lost)
    summary = fuzzed(tmp_path, cases=5000)
    assert summary.broken_off is error
    assert summary.stopped
    assert 0 < summary.cases < 5000
    assert [Path(kept.folder) for kept in summary.findings] == findings.in_folder(tmp_path) != []
    assert summary.as_json()["stopped"] == summary.stopped


def test_what_is_wrong_with_tunproof_alone_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "judged", once(ZeroDivisionError("ours"), run.judged))
    request = Request(connector=Connector(words=("reference",)), seed=2, cases=64, out=tmp_path, select="checksum")
    summary = run.run(request, CORPUS)
    assert summary.findings == []
    assert summary.exit_code == 3
