"""Does the peer differential find wrong implementations, and accept correct ones?

The correct ones are the reference and the second implementation, which shares no code with it. Each wrong one has one
documented bug: it must be found, minimised, and named with the flag that explains it, or with none.
"""

import functools
import subprocess
import sys
from pathlib import Path

import pytest

from fakes import FAKES, OWN
from fakes.base import Fake
from tunfuzz.peer.batching import constraints
from tunfuzz.peer.cases import OPERATIONS, case_of
from tunfuzz.peer.inputs import Inputs
from tunfuzz.peer.judging import judged
from tunfuzz.peer.latitude import waived
from tunfuzz.peer.met import look
from tunfuzz.peer.mishaps import Mishaps
from tunfuzz.peer.report import input_from
from tunfuzz.peer.request import Request, Summary
from tunfuzz.peer.run import run
from tunproof.authoring.oracle import batched
from tunproof.corpus.cases import BatchInput, ReadInput, WriteBatchCase
from tunproof.corpus.load import Corpus, load
from tunproof.judge.outcome import Answered, TurnedDown
from tunproof.runs import findings
from tunproof.subjects.connect import Connector
from tunproof.subjects.connection import Direct, Observation
from tunproof.subjects.reference import Reference
from tunproof.subjects.subject import Subject

_SEED = 2
_SMALL = {"write_batch": 200}  # bytes of input that may be left; two packets, or three
_SMALLEST = 160


@functools.cache
def corpus() -> Corpus:
    return load()


def fuzzed(kind: type[Subject], out: Path, *, cases: int, select: str | None = None, seed: int = _SEED) -> Summary:
    connector = Connector(words=(f"python:{kind.__module__}:{kind.__name__}",))
    return run(Request(connector=connector, seed=seed, cases=cases, out=out, select=select), corpus())


# Correct ones ------------------------------------------------------------------------------------------------------


def test_the_reference_differs_from_itself_in_nothing(tmp_path: Path) -> None:
    request = Request(connector=Connector(words=("reference",)), seed=_SEED, cases=1500, out=tmp_path)
    summary = run(request, corpus())
    assert summary.findings == []
    assert summary.waived == {}
    assert summary.exit_code == 0
    assert set(summary.operations) == set(OPERATIONS)
    for operation in ("read", "write_gso"):  # much is accepted, and much is refused
        assert 0.25 < summary.refused[operation] / summary.operations[operation] < 0.75


@pytest.mark.parametrize("own", OWN[:4], ids=lambda own: own.name)
def test_the_second_right_implementation_is_not_blamed(own: type[Subject], tmp_path: Path) -> None:
    summary = fuzzed(own, tmp_path, cases=1000)
    assert summary.findings == []
    assert summary.cases > 600
    assert not list(tmp_path.iterdir())


# Wrong ones --------------------------------------------------------------------------------------------------------

_WRONG = {
    "SumCarry/last-carry-lost": "checksum",
    "VnetSize/always-ten-bytes": "header",
    "NarrowingCast/low-bits-of-everything": "header",
    "CwrOnFirstOnly/cwr-on-every-segment": "read",
    "IdIncrement/one-id-for-all-datagrams": "read",
    "GsoSizeZero/size-zero-divides": "read",
    "SequenceWrap/sequence-stops-at-the-top": "read",
    "NeedsCsumMissing/stale-udp-checksum": "read",
    "UnknownNextHeader/authentication-skipped": "read",
    "HeaderChecksumZero/header-sum-updated-in-place": "read",
    "EmptyFragment/empty-fragment-crashes": "write_gso",
    "UnequalFragments/unequal-fragments-taken": "write_gso",
    "LegalRemainder/small-remainder-refused": "write_gso",
    "SingleFragment/superpacket-of-one": "write_gso",
    "StaleVnetHeader/headroom-not-cleared": "write",
    "RetransmissionSorted/sorted-by-sequence": "write_batch",
    "TcpOptionsNotCompared/options-ignored": "write_batch",
}
_NAMELESS = {
    "GsoSizeZero/size-zero-divides",
    "LegalRemainder/small-remainder-refused",
    "RetransmissionSorted/sorted-by-sequence",
}
"""What they fail fits two flags about as well: then none is named."""
_BY_NAME = {fake.name: fake for fake in FAKES}


@pytest.mark.parametrize("name", _WRONG)
def test_a_wrong_one_is_found_made_small_and_named(name: str, tmp_path: Path) -> None:
    fake: type[Fake] = _BY_NAME[name]
    summary = fuzzed(fake, tmp_path, cases=1500 if _WRONG[name] == "write_batch" else 5000, select=_WRONG[name])
    assert summary.exit_code == 1
    assert {kept.flag for kept in summary.findings} - {""} == ({fake.flag} if name not in _NAMELESS else set())
    assert len(summary.findings) <= 4, "one bug is told a few times at most"
    for kept in summary.findings:
        finding = findings.load(Path(kept.folder))
        given = input_from(finding)
        size = sum(map(len, _hex(finding.input))) // 2
        assert size <= _SMALL.get(kept.operation, _SMALLEST), f"{kept.title}: {size} bytes are left"
        with Reference() as reference:
            assert look(given, Direct(fake()), reference).rule == kept.rule


def _hex(value: object) -> list[str]:
    """Return all strings in a finding's input."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in _hex(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in _hex(each)]
    return [value] if isinstance(value, str) else []


def test_what_an_earlier_input_leaves_behind_is_found_with_the_input_that_leaves_it(tmp_path: Path) -> None:
    summary = fuzzed(_BY_NAME["StateBetweenCalls/type-of-the-call-before"], tmp_path, cases=600, select="write_gso")
    assert any(findings.load(Path(kept.folder)).input.get("before") for kept in summary.findings)


# Reproducing -------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_inputs_and_another_one_others() -> None:
    for operation in OPERATIONS:
        blocks = [
            next(Inputs(operation, seed, corpus(), Mishaps().attempt).blocks()) for seed in (_SEED, _SEED, _SEED + 1)
        ]
        assert blocks[0] == blocks[1]
        assert blocks[0] != blocks[2]


def test_the_same_seed_gives_the_same_findings(tmp_path: Path) -> None:
    fake = _BY_NAME["CwrOnFirstOnly/cwr-on-every-segment"]
    folders = []
    for name in ("one", "other"):
        fuzzed(fake, tmp_path / name, cases=600, select="read")
        folders.append(sorted(path.name for path in (tmp_path / name).iterdir()))
    assert folders[0] == folders[1] != []


def test_what_is_loaded_besides_changes_no_input() -> None:
    """Hypothesis puts numbers of loaded modules into what it draws."""
    script = (
        "import sys, hashlib; list(map(__import__, sys.argv[1:]));"
        "from tunfuzz.peer.pools import examples; print(hashlib.sha256(repr(examples('read', 1)).encode()).hexdigest())"
    )
    here = Path(__file__).parents[1]
    said = [
        subprocess.run([sys.executable, "-c", script, *more], cwd=here, capture_output=True, check=True).stdout
        for more in ((), ("fakes", "common.handmade", "tunproof.cli"))
    ]
    assert said[0] == said[1]


# Latitude ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case_id", "may_be_refused"),
    [
        ("read/vnet-hdr-len/tcp6-largest", True),
        ("read/tcp4/partial-one-too-large", True),
        ("read/kernel-small/tcp4-thirty-segments-of-one-byte", True),
        ("read/kernel-small/tcp4-options-trap-twelve-bytes-least", True),
        ("read/tcp4/ethernet-sized-short-tail", False),
        ("read/plain/udp4", False),
    ],
)
def test_a_refusal_is_right_where_kernels_refuse_or_lose_it(case_id: str, may_be_refused: bool) -> None:
    case = corpus().cases[case_id]
    assert bool(waived(case, TurnedDown("no"))) is may_be_refused


def test_other_checksums_are_right_behind_a_wrong_partial_and_nothing_else_is() -> None:
    case = corpus().cases["read/tcp4/partial-one-too-large"]
    right = case.expect.packets  # type: ignore[union-attr]
    assert waived(case, Answered([packet[:36] + b"\1\2" + packet[38:] for packet in right]))
    assert not waived(case, Answered([packet[:24] + b"\7\7" + packet[26:] for packet in right]))


def test_an_exception_is_never_right() -> None:
    class Breaks(Subject):
        """Raises over every frame."""

        name = "breaks"

        def read(self, frame: bytes, before: object) -> list[bytes]:
            raise IndexError("over the end")

    with Reference() as reference:
        one = look(
            ReadInput(frame=corpus().cases["read/vnet-hdr-len/tcp6-largest"].input.frame), Direct(Breaks()), reference
        )  # type: ignore[union-attr]
    assert one.rule == "error IndexError over the end"


def test_the_constraints_of_batches_are_those_that_scapy_reads_off_them() -> None:
    """Golden batches: what an author let scapy find out is what is found out here."""
    seen = 0
    for case in list(corpus().cases.values()):
        if not isinstance(case, WriteBatchCase) or len(case.input.packets) > 12:
            continue
        packets = case.input.packets
        mine, right = constraints(packets, case.expect.example), batched(packets)
        for name in ("silent", "optional", "repairable", "unsummed"):
            assert getattr(mine, name) == getattr(right, name), (case.id, name)
        assert sorted(mine.order) == sorted(right.order), case.id
        seen += 1
    assert seen > 300


def test_batches_that_are_joined_otherwise_are_no_difference() -> None:
    """Nothing joined is as right as everything joined."""
    with Reference() as reference:
        for case in corpus().select("write_batch/flows/*"):
            given = BatchInput(packets=case.input.packets)  # type: ignore[union-attr]
            alone = [bytes(10) + packet for packet in given.packets if packet]
            assert judged(Observation(case_of(given, reference), Answered(alone)), claims=True).rule == "", case.id
