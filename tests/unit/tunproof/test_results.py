"""`runs.results`: the stream of results, written line by line and read whole."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from tunproof.errors import UsageError
from tunproof.judge.mismatch import mismatch
from tunproof.judge.verdict import Kind
from tunproof.runs.results import (
    FORMAT,
    STREAM,
    End,
    Got,
    Known,
    Problem,
    Result,
    Results,
    Run,
    Writer,
    keep,
    read,
    schema,
)

DIGEST = "sha256:" + "0" * 64
RUN = Run(
    format=FORMAT,
    subject="mine",
    command=("tunproof", "check", "mine"),
    mode="memory",
    corpus=DIGEST,
    cases=2,
    kernel="6.12.0",
    tunproof="0.1.0",
    started="2026-01-01T00:00:00+00:00",
)
PASS = Result(id="read/a/b", digest=DIGEST, verdict=Kind.PASS)
FAIL = Result(
    id="read/a/c",
    digest=DIGEST,
    verdict=Kind.FAIL,
    unexpected=True,
    difference="packet 0",
    got=Got(what="packets", packets=(b"\x45\0", b"\xff")),
    mismatches=(mismatch("packet 0", b"\x45\1", b"\x45\0"), mismatch("packet 1", None, b"\xff")),
    mismatched=2,
    groups=((0, 1), ()),
    policies=("a policy",),
    known=Known(outcome="crash", reason="it is known"),
)
STALE = Problem(id="read/gone/*", what="stale", text="matches nothing")


def whole() -> Results:
    results = Results(RUN)
    for record in (PASS, FAIL, STALE):
        results.add(record)
    results.end = results.ended(1.23456, restarts=1)
    return results


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (path / STREAM).read_text().splitlines()]


def test_the_end_counts_everything() -> None:
    end = whole().end
    assert end == End(cases=2, verdicts={"pass": 1, "fail": 1}, unexpected=2, restarts=1, seconds=1.235)


def test_a_stream_is_read_as_it_was_written(tmp_path: Path) -> None:
    keep(tmp_path / "new", whole())
    found = read(tmp_path / "new")
    assert (found.run, found.end) == (RUN, whole().end)
    assert list(found.results.values()) == [PASS, FAIL]
    assert found.problems == [STALE]
    assert found == read(tmp_path / "new" / STREAM)


def test_bytes_are_hex_in_the_stream_and_defaults_are_left_out(tmp_path: Path) -> None:
    keep(tmp_path, whole())
    run, _, passed, failed, _ = lines(tmp_path)
    assert passed == {"record": "result", "id": "read/a/b", "digest": DIGEST, "verdict": "pass"}
    assert failed["got"] == {"what": "packets", "packets": ["4500", "ff"]}
    assert failed["mismatches"] == [
        {"what": "packet 0", "place": "bytes at byte 1", "at": 1, "expected": "4501", "got": "4500"},
        {"what": "packet 1", "place": "not expected", "got": "ff"},
    ]
    assert failed["groups"] == [[0, 1], []]
    assert "exact" not in run


def test_every_line_fits_the_schema(tmp_path: Path) -> None:
    keep(tmp_path, whole())
    validator = jsonschema.Draft202012Validator(schema())
    assert all(validator.is_valid(line) for line in lines(tmp_path))
    assert not validator.is_valid({**lines(tmp_path)[3], "got": {"what": "packets", "packets": ["4G"]}})


def test_half_a_line_is_cut_off_when_a_run_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / STREAM
    with Writer(path) as writer:
        writer.write([RUN, PASS])
    with path.open("ab") as stream:
        stream.write(b'{"record":"result","id":"re')
    with Writer(path, keep=True) as writer:
        writer.write([FAIL])
    assert list(read(tmp_path, incomplete=True).results) == [PASS.id, FAIL.id]


def test_two_runs_do_not_write_to_one_stream(tmp_path: Path) -> None:
    with Writer(tmp_path / STREAM), pytest.raises(BlockingIOError):
        Writer(tmp_path / STREAM)


@pytest.mark.parametrize(
    ("records", "complaint"),
    [
        ([], "it is empty"),
        ([PASS], "begins with `run`"),
        ([RUN, RUN], "a second run"),
        ([RUN, PASS], "is incomplete"),
        ([RUN, PASS, End(cases=2, verdicts={}, unexpected=0, seconds=1)], "is incomplete"),
        ([RUN, End(cases=0, verdicts={}, unexpected=0, seconds=1), PASS], "something after the end"),
    ],
)
def test_a_stream_that_is_not_whole_is_refused(tmp_path: Path, records: list[msgspec.Struct], complaint: str) -> None:
    with Writer(tmp_path / STREAM) as writer:
        writer.write(records)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=complaint):
        read(tmp_path)


@pytest.mark.parametrize(
    "line", ["{}", "nonsense", '{"record":"result","id":"a","digest":"b","verdict":"pass","more":1}']
)
def test_a_line_that_is_no_record_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    keep(tmp_path, whole())
    with (tmp_path / STREAM).open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(UsageError, match=f"{STREAM}:6: "):
        read(tmp_path)


def test_a_stream_that_cannot_be_read_is_a_wrong_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "missing.jsonl")


def test_an_older_stream_without_mismatches_is_still_read(tmp_path: Path) -> None:
    keep(tmp_path, whole())
    old = [
        {key: value for key, value in line.items() if key not in {"mismatches", "mismatched", "groups"}}
        for line in lines(tmp_path)
    ]
    (tmp_path / STREAM).write_text("".join(json.dumps(line) + "\n" for line in old))
    assert read(tmp_path).results[FAIL.id].mismatches == ()
