"""A baseline for the fuzzer: what is known is counted and not reported, what is not met is told."""

from pathlib import Path

import pytest

from fakes import FAKES
from tunfuzz.peer.known import Entry, Known, dump
from tunfuzz.peer.request import Request, Summary
from tunfuzz.peer.run import run
from tunproof.corpus.load import load
from tunproof.errors import UsageError
from tunproof.subjects.connect import Connector

CORPUS = load()
WRONG = next(fake for fake in FAKES if fake.name == "VnetSize/always-ten-bytes")


def fuzzed(out: Path, *entries: Entry) -> Summary:
    connector = Connector(words=(f"python:{WRONG.__module__}:{WRONG.__name__}",))
    request = Request(connector=connector, seed=2, cases=640, out=out, select="header", known=Known(entries))
    return run(request, CORPUS)


def entry(rule: str, operation: str = "header") -> Entry:
    return Entry(operation=operation, rule=rule, reason="it is a fake")


def test_what_is_known_is_not_reported_again_and_fails_nothing(tmp_path: Path) -> None:
    found = fuzzed(tmp_path / "first")
    rules = {kept.rule for kept in found.findings}
    assert found.exit_code == 1
    assert len(rules) > 1
    again = fuzzed(tmp_path / "again", *map(entry, rules))
    assert (again.findings, again.exit_code, again.stale) == ([], 0, [])
    assert set(again.known) == {f"header, {rule}" for rule in rules}
    assert not (tmp_path / "again").exists() or not list((tmp_path / "again").iterdir())


def test_what_is_not_known_still_fails(tmp_path: Path) -> None:
    rules = {kept.rule for kept in fuzzed(tmp_path / "first").findings}
    summary = fuzzed(tmp_path / "again", entry("vnet.*"))
    assert {kept.rule for kept in summary.findings} == {rule for rule in rules if not rule.startswith("vnet.")} != set()
    assert summary.exit_code == 1


def test_what_is_not_met_is_told_and_fails_nothing(tmp_path: Path) -> None:
    summary = fuzzed(tmp_path, entry("*"), entry("R99"), entry("R99", "read"))
    assert summary.stale == ["header, R99"], "no read was run, so nothing is known of that one"
    assert summary.exit_code == 0
    assert summary.as_json()["stale"] == ["header, R99"]


def test_what_is_written_is_read_again_with_the_reasons_there_were(tmp_path: Path) -> None:
    summary = fuzzed(tmp_path / "found", old := entry("vnet.*"), entry("R99"))
    known = Known((old, entry("R99")))
    known.met("header", "vnet.flags")
    file = tmp_path / "known.toml"
    file.write_text(dump('a "fake"', summary.findings, known))
    read = Known.load(file).entries
    assert read[0] == old
    assert entry("R99") not in read
    assert {one.rule for one in read[1:]} == {kept.rule for kept in summary.findings}
    assert all(one.reason.startswith("REPLACE THIS") for one in read[1:])
    assert fuzzed(tmp_path / "again", *read).exit_code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[known]]\nrule = "R1"\nreason = "r"', "entry 1: .*operation"),
        ('[[known]]\noperation = "read"\nrule = "R1"\nreason = "r"\ncolour = "red"', "entry 1: .*colour"),
        ('[[known]]\noperation = "raed"\nrule = "R1"\nreason = "r"', "'raed' is not an operation"),
        ('[[known]]\noperation = "read"\nrule = "R1"\nreason = " "', "is empty"),
        ("[[known]", "not valid TOML"),
    ],
)
def test_a_file_that_says_something_else_is_refused(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=words):
        Known.load(file)
