"""Causes: failures that one defect explains are one entry, found from what happened."""

import json
import subprocess
import sys

import msgspec
import pytest

from tunproof.corpus.cases import MustReject, Packets, Written
from tunproof.corpus.claims import EVERYTHING
from tunproof.corpus.load import load
from tunproof.judge.decide import decide
from tunproof.judge.outcome import Answered, Broken, TurnedDown, Unable
from tunproof.judge.verdict import Kind, Signature
from tunproof.reports.causes import grouped, line, unexplained, words
from tunproof.reports.comparison import as_values, lines
from tunproof.runs import runner
from tunproof.runs.compare import compared
from tunproof.runs.results import Results, keep, read
from tunproof.subjects.connection import Direct
from tunproof.subjects.reference import Reference

CORPUS = load()
CUT = CORPUS.cases["read/tcp4/two-segments"]
BATCH = CORPUS.cases["write_batch/pairs-tcp4/window"]
FAULT = next(case for case in CORPUS.select("read/*") if isinstance(case.expect, MustReject))
ONE = next(case for case in CORPUS.select("write/*") if isinstance(case.expect, Written))
ZERO = CORPUS.cases["read/csum/udp4-sum-that-folds-to-zero"]


def patched(packet: bytes, at: int, value: bytes) -> bytes:
    return packet[:at] + value + packet[at + len(value) :]


def signature(case, outcome):
    found = decide(case, outcome).signature
    return None if found is None else (found.relation, found.field)


FIRST, SECOND = CUT.expect.packets
OTHER_ZERO = patched(ZERO.expect.packets[0], 26, b"\0\0")


@pytest.mark.parametrize(
    ("case", "outcome", "expected"),
    [
        (CUT, Answered([FIRST, SECOND]), None),
        (CUT, Unable("read"), None),
        (CUT, Answered([FIRST, patched(SECOND, 33, b"\x11")]), ("field-wrong", "tcp.flags (FIN, PSH)")),
        (CUT, Answered([SECOND, FIRST]), ("reordered", "TCP superpacket")),
        (CUT, Answered([FIRST]), ("cut-otherwise", "TCP superpacket")),
        (CUT, Answered([]), ("lost", "TCP superpacket")),
        (CUT, TurnedDown("no"), ("refused-although-valid", "TCP superpacket")),
        (CUT, Broken("error", "index out of range"), ("raised", "")),
        (CUT, Broken("hang", "no reply"), ("hung", "")),
        (FAULT, Answered([FIRST]), ("accepted-although-faulty", FAULT.expect.fault.field)),
        (
            ZERO,
            Answered([patched(ZERO.expect.packets[0], 26, b"\0\0")]),
            ("field-wrong", "udp.checksum (0x0000 for 0xFFFF)"),
        ),
        (ONE, Answered([]), ("lost", "TCP packet")),
        (BATCH, Answered(list(BATCH.expect.example)), None),
        (BATCH, Answered([]), ("lost", "")),
        (BATCH, Answered([bytes(10) + packet for packet in BATCH.input.packets[::-1]]), ("reordered", "TCP")),
    ],
)
def test_a_signature_says_what_happened(case, outcome, expected) -> None:
    assert signature(case, outcome) == expected


def test_the_field_of_a_forbidden_join_is_the_one_that_differs() -> None:
    whole = next(iter(CORPUS.cases["write_batch/pairs-tcp4/same"].expect.example))
    assert signature(BATCH, Answered([whole])) == ("joined-although-different", "tcp.window")


class Wrong(Reference):
    """Sets a flag on every packet that is read, and rejects all that is to be written."""

    name = "wrong"
    claims = EVERYTHING

    def read(self, frame, before):
        return [
            patched(packet, 33, b"\x3f") if packet[9:10] == b"\x06" else packet
            for packet in super().read(frame, before)
        ]


def run(cases) -> Results:
    connection, plan = Direct(Wrong()), runner.Plan(cases=cases)
    results = Results(runner.heading(connection, CORPUS, plan, ("tunproof", "check")))
    with connection:
        runner.perform(plan, connection, results)
    return results


@pytest.fixture(scope="module")
def results() -> Results:
    return run([case for case in CORPUS.select("read/tcp4/*") if isinstance(case.expect, Packets)])


def test_failures_of_one_kind_are_one_cause(results: Results) -> None:
    failed = [one for one in results.results.values() if one.unexpected]
    first = results.causes[0]
    assert first.signature == Signature(relation="field-wrong", field="tcp.flags")
    assert len(first.cases) == sum(one.signature == first.signature for one in failed) > 20
    assert (first.level, first.reach, first.operation) == ("must", "kernel", "read")
    assert first.smallest in first.cases
    assert {case_id for cause in results.causes if cause.unexpected for case_id in cause.cases} == {
        one.id for one in failed
    }


def test_what_fails_the_run_comes_first(results: Results) -> None:
    unexpected = [cause.unexpected for cause in results.causes]
    assert unexpected == sorted(unexpected, reverse=True)
    headings = [heading for heading, _ in grouped(results)]
    assert headings[0] == "what fails the run"


def test_a_cause_is_a_line(results: Results) -> None:
    first = results.causes[0]
    assert words(first) == "read: tcp.flags is wrong"
    assert line(first)[:3] == ("must", "kernel", str(len(first.cases)))


def test_causes_stand_in_the_stream_before_its_end(tmp_path, results: Results) -> None:
    keep(tmp_path, results)
    again = read(tmp_path)
    assert again.causes == results.causes
    assert (tmp_path / "results.jsonl").read_text().splitlines()[-2].startswith('{"record":"cause"')


def test_an_unexpected_pass_belongs_to_no_cause(results: Results) -> None:
    assert unexplained(results) == []
    strange = msgspec.structs.replace(next(iter(results.results.values())), verdict=Kind.XPASS, unexpected=True)
    lone = Results(results.run, results={strange.id: strange})
    assert unexplained(lone) == [strange]


# Two runs compared.


def with_causes(*causes) -> Results:
    return Results(run([]).run, causes=list(causes))


def test_a_run_is_no_worse_than_itself(results: Results) -> None:
    found = compared(results, results)
    assert (found.new, found.gone, found.changed, found.is_worse) == ((), (), (), False)
    assert list(lines(found)) == ["no cause is new, gone or changed", "not worse"]


def test_causes_are_new_gone_or_changed(results: Results) -> None:
    first = results.causes[0]
    fewer = msgspec.structs.replace(first, cases=first.cases[:3])
    milder = msgspec.structs.replace(first, unexpected=False, verdict=Kind.ADVISED)
    other = msgspec.structs.replace(first, signature=Signature(relation="lost"))
    for then, now, what, worse in (
        ([], [first], "new", True),
        ([], [milder], "new", False),
        ([first], [], "gone", False),
        ([fewer], [first], "worse", True),
        ([first], [fewer], "changed", False),
        ([milder], [first], "worse", True),
        ([first, other], [other], "gone", False),
    ):
        found = compared(with_causes(*then), with_causes(*now))
        (difference, verdict) = lines(found)
        assert difference.startswith(what), difference
        assert (found.is_worse, verdict.startswith("worse"), as_values(found)["worse"]) == (worse, worse, worse)


def test_the_command_compares_and_its_exit_code_says_which_is_worse(tmp_path, results: Results) -> None:
    keep(tmp_path / "worse", results)
    keep(tmp_path / "better", Results(results.run, end=Results(results.run).ended(0.0)))
    command = [sys.executable, "-m", "tunproof", "report", "--against"]
    for then, now, code in (("better", "worse", 1), ("worse", "better", 0), ("worse", "worse", 0)):
        done = subprocess.run(
            [*command, then, now, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, json.loads(done.stdout)["worse"]) == (code, bool(code)), done.stderr
    done = subprocess.run([*command[:-1], "worse"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--against OLD" in done.stderr
