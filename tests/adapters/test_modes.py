"""The reference behind the kit gets the same verdicts in every mode as in this process, and wrong ones stay wrong."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from tunproof import lab
from tunproof.corpus.cases import MustReject
from tunproof.corpus.load import load
from tunproof.judge.verdict import Kind
from tunproof.protocol.messages import MODES
from tunproof.runs import check
from tunproof.subjects.connect import Connector

CORPUS = load()
REFERENCE = (sys.executable, "-m", "tunproof.reference_adapter")
WRONG = Path(__file__).with_name("wrong_reference.py")
DEVICES = [mode for mode in MODES if mode.startswith("device")]
FLOORS = {"memory": 1904, "wire": 1890, **dict.fromkeys(DEVICES, 1600)}
REASONS = {
    "memory": (),
    "wire": ("an empty frame looks the same as end of file",),
    **dict.fromkeys(
        DEVICES, ("no kernel delivers", "this kernel does not send", "this kernel turns such", "any writer")
    ),
}


def run(words, mode, select="*"):
    return check.check(check.Request(connector=Connector(words=tuple(words), mode=mode), select=select), CORPUS)


@pytest.fixture(params=[pytest.param(mode, marks=pytest.mark.lab) if mode in DEVICES else mode for mode in MODES])
def mode(request):
    if request.param in DEVICES:
        lab.ensure()
    return request.param


@pytest.mark.lab
def test_verdicts_are_those_of_the_reference_in_this_process(mode):
    direct = check.check(check.Request(connector=Connector(words=("reference",))), CORPUS)
    results = run(REFERENCE, mode)
    kinds = Counter(result.verdict for result in results.results.values())
    assert kinds[Kind.PASS] >= FLOORS[mode]
    for case_id, result in results.results.items():
        if result.verdict is Kind.NOT_APPLICABLE:
            assert any(reason in result.difference for reason in REASONS[mode]), result.difference
        else:
            assert result.verdict is direct.results[case_id].verdict, case_id
    assert results.run.mode == mode
    assert results.end.restarts == 0


@pytest.mark.parametrize(
    ("bug", "select"),
    [
        ("read", "read/tcp4/*"),
        ("write", "write_gso/tcp4/*"),
        ("write", "write_batch/pairs-tcp4/*"),
        ("lose", "write_batch/pairs-udp4/*"),
    ],
)
def test_a_wrong_implementation_is_seen_in_every_mode(mode, bug, select):
    results = run((sys.executable, str(WRONG), bug), mode, select)
    assert {result.verdict for result in results.unexpected()} == {Kind.FAIL}


@pytest.mark.parametrize("mode", ["memory", "wire"])
def test_who_drops_silently_says_so(mode):
    told = run((sys.executable, str(WRONG), "silent-and-says-so"), mode, "read/vnet-faults/*")
    assert told.unexpected() == []
    assert told.verdicts()["pass"] > 30
    untold = run((sys.executable, str(WRONG), "silent"), mode, "read/vnet-faults/*")
    wrong = {one.id for one in untold.results.values() if one.verdict in {Kind.FAIL, Kind.ADVISED}}
    assert wrong == {
        case_id
        for case_id, result in told.results.items()
        if result.verdict is Kind.PASS and isinstance(CORPUS.cases[case_id].expect, MustReject)
    }
