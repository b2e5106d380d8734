"""The golden corpus as files: its contents, and how bad edits are rejected."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

import tio
from tunproof.authoring.authors import drafts
from tunproof.corpus.cases import OPERATIONS, Case, MustRefuse, MustReject, Packets, ReadCase, WriteGsoCase, Written
from tunproof.corpus.load import CORPORA, load, load_file
from tunproof.corpus.traits import TRAITS
from tunproof.errors import CorpusError, UsageError
from tunproof.judge.verdict import Kind
from tunproof.kernel.replay import frames_of
from tunproof.subjects.connection import judge
from tunproof.subjects.reference import Reference

CORPUS = load()
CASES = list(CORPUS.cases.values())


def expected_packets(case: Case) -> list[bytes]:
    match case.expect:
        case Packets(packets=packets) | Written(segments=packets):
            return list(packets)
    return []


def test_every_operation_has_cases_and_reading_and_writing_have_both_ip_versions() -> None:
    assert {case.id.partition("/")[0] for case in CASES} == set(OPERATIONS)
    for op in (ReadCase, WriteGsoCase):
        versions = {packet[0] >> 4 for case in CASES if isinstance(case, op) for packet in expected_packets(case)}
        assert versions == {4, 6}


def test_every_fault_names_a_valid_sibling() -> None:
    for case in CASES:
        if isinstance(case.expect, MustReject | MustRefuse):
            assert case.sibling is not None, case.id
            assert not isinstance(CORPUS.cases[case.sibling].expect, MustReject | MustRefuse), case.id


def test_no_verdict_rests_on_the_reference_alone() -> None:
    """The kinds of basis are a closed set that the reference is not in (`model.Basis`); each case has one at least."""
    assert all(case.basis for case in CASES)


def test_kernel_answers_were_confirmed_on_a_kernel() -> None:
    for case in CASES:
        assert bool(case.confirmed) == bool(case.kernel), case.id


DECIDED_ELSEWHERE = {
    "bigtcp_csum",
    "csum_start_ceiling",
    "frag_csum_start",
    "gso_segs_counted",
    "hbh_jumbo_strip",
    "hdr_len_loose",
    "linear_capped",
    "paylen0",
    "totlen0",
    "udp_tunnel",
    "uso_strict",
    "vnet_pad",
}
"""They matter to frames, readers and routers of which the corpus has no cases."""


def test_every_trait_decides_a_case_or_is_known_not_to() -> None:
    assert {trait for case in CASES for trait in case.traits} == set(TRAITS) - DECIDED_ELSEWHERE


def test_every_flag_explains_itself_and_is_carried_by_a_case() -> None:
    carried = {flag for case in CASES for flag in case.flags}
    assert carried == set(CORPUS.flags)
    assert all(flag.description and flag.effect for flag in CORPUS.flags.values())


def test_the_reference_gives_every_expected_byte() -> None:
    with Reference() as reference:
        verdicts = {case.id: judge(case, reference, exact=True) for case in CASES}
    wrong = {case_id: verdict for case_id, verdict in verdicts.items() if verdict.kind is not Kind.PASS}
    assert [case_id for case_id, verdict in wrong.items() if verdict.kind is not Kind.NOT_APPLICABLE] == []


SOUND = {draft.id for draft in drafts() if draft.sound}  # others carry wrong lengths or checksums on purpose


@pytest.mark.parametrize("op", ["read", "write_gso"])
def test_scapy_finds_lengths_and_checksums_of_the_expected_packets_right(op: str) -> None:
    """But for the two spellings of zero in TCP."""
    looked_at = 0
    for case in CASES:
        if case.id.startswith(f"{op}/") and case.id in SOUND:
            for packet in expected_packets(case)[:20]:
                assert rebuilt_by_scapy(packet) in {packet, with_tcp_zero_spelled_otherwise(packet)}, case.id
                looked_at += 1
    assert looked_at > 500


def rebuilt_by_scapy(packet: bytes) -> bytes:
    layers = (IP if packet[0] >> 4 == 4 else IPv6)(packet)
    for layer, fields in ((IP, ("len", "chksum")), (IPv6, ("plen",)), (TCP, ("chksum",)), (UDP, ("len", "chksum"))):
        if layer in layers:
            for field in fields:
                layers[layer].delfieldval(field)
    data: bytes = raw(layers)
    return data


def with_tcp_zero_spelled_otherwise(packet: bytes) -> bytes:
    layers = (IP if packet[0] >> 4 == 4 else IPv6)(packet)
    if TCP not in layers:
        return packet
    at = len(packet) - len(raw(layers[TCP])) + 16
    swapped = {b"\0\0": b"\xff\xff", b"\xff\xff": b"\0\0"}.get(packet[at : at + 2], packet[at : at + 2])
    return packet[:at] + swapped + packet[at + 2 :]


def test_every_written_header_keeps_the_header_rules() -> None:
    for case in CASES:
        if isinstance(case, WriteGsoCase):
            for frame, _ in frames_of(case):
                assert tio.violations(frame, byte_order=tio.ByteOrder.LITTLE) == [], case.id


def test_a_selection_that_matches_nothing_is_a_usage_error() -> None:
    assert [case.id for case in CORPUS.select("read/tcp4/largest")] == ["read/tcp4/largest"]
    with pytest.raises(UsageError, match="no case matches 'read/tcp5"):
        CORPUS.select("read/tcp5/*")


FAULT = {"rule": "R1", "field": "vnet", "offset": 0, "found": "0"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A corpus of one small file, to be damaged."""
    (tmp_path / "golden" / "read").mkdir(parents=True)
    shutil.copy(CORPORA / "golden" / "read" / "csum.json", tmp_path / "golden" / "read" / "csum.json")
    return tmp_path


def edit(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = root / "golden" / "read" / "csum.json"
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def damage_frame(document: dict[str, Any]) -> None:
    document["cases"][2]["input"]["frame"] += "00"


def odd_hex(document: dict[str, Any]) -> None:
    document["cases"][2]["input"]["frame"] += "0"


def upper_case(document: dict[str, Any]) -> None:
    document["cases"][2]["input"]["frame"] += "AB"


def unknown_key(document: dict[str, Any]) -> None:
    document["cases"][2]["comment"] = "hello"


def newer_version(document: dict[str, Any]) -> None:
    document["format"] = "tunproof-corpus/2"


def unexplained_flag(document: dict[str, Any]) -> None:
    document["flags"] = {}


def duplicate_id(document: dict[str, Any]) -> None:
    document["cases"][3] = document["cases"][2]


def foreign_id(document: dict[str, Any]) -> None:
    document["topic"] = "other"


def bad_level(document: dict[str, Any]) -> None:
    document["cases"][2]["level"] = "maybe"


def bad_reach(document: dict[str, Any]) -> None:
    document["cases"][2]["reach"] = "anybody"


def reached_by_nobody(document: dict[str, Any]) -> None:
    document["cases"][2] |= {"reach": "kernel", "reached": []}


def reached_and_hostile(document: dict[str, Any]) -> None:
    document["cases"][2] |= {"reach": "hostile", "reached": [{"wiring": "readback", "releases": ["6.1.0"]}]}


def reached_by_no_release(document: dict[str, Any]) -> None:
    document["cases"][2] |= {"reach": "kernel", "reached": [{"wiring": "readback", "releases": []}]}


def recomputed(case: dict[str, Any]) -> None:
    """Give a case the digest of what now stands in it, as somebody would who edits with a tool."""
    content = [case["input"], {key: value for key, value in case["expect"].items() if key != "fault"}]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    case["digest"] = "sha256:" + hashlib.sha256(canonical).hexdigest()


def no_errno(document: dict[str, Any]) -> None:
    document["cases"][2]["kernel"] = [{"outcome": "refused", "errno": "EBOGUS"}]
    recomputed(document["cases"][2])


def same_as_nothing(document: dict[str, Any]) -> None:
    document["cases"][2]["expect"] = {"outcome": "rejected", "fault": FAULT}
    recomputed(document["cases"][2])


def not_asked(document: dict[str, Any]) -> None:
    del document["cases"][2]["kernel"]
    recomputed(document["cases"][2])


def ambiguous(document: dict[str, Any]) -> None:
    document["traits"] = {"uso": {"description": "…", "since": "6.2", "commit": "860b7f27b8f7"}}
    document["cases"][2]["kernel"] = [{"outcome": "same"}, {"outcome": "lost", "when": {"uso": True}}]
    recomputed(document["cases"][2])


def unexplained_trait(document: dict[str, Any]) -> None:
    ambiguous(document)
    document["traits"] = {}
    document["cases"][2]["kernel"][0]["when"] = {"uso": False}
    recomputed(document["cases"][2])


def orphan(document: dict[str, Any]) -> None:
    document["cases"][2]["sibling"] = "read/csum/nobody"


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (no_errno, "kernel", "'EBOGUS' is not an errno"),
        (same_as_nothing, "kernel", "without packets"),
        (ambiguous, "kernel", "2 answers apply to a kernel with uso yes"),
        (unexplained_trait, "kernel", "'uso' is not explained"),
        (not_asked, "kernel", "has no answers"),
        (orphan, "sibling", "does not exist"),
        (damage_frame, "digest", "the bytes give"),
        (odd_hex, "$.cases[2].input.frame", "regex"),
        (upper_case, "$.cases[2].input.frame", "regex"),
        (unknown_key, "$.cases[2]", "unknown field `comment`"),
        (newer_version, "format", "tunproof-corpus/2"),
        (unexplained_flag, "flags", "not explained"),
        (duplicate_id, "id", "is also in"),
        (foreign_id, "id", "does not begin with"),
        (bad_level, "$.cases[2].level", "maybe"),
        (bad_reach, "$.cases[2].reach", "anybody"),
        (reached_by_nobody, "reached", "no kernel was seen to hand it over"),
        (reached_and_hostile, "reached", "its reach is hostile"),
        (reached_by_no_release, "$.cases[2].reached[0].releases", "length >= 1"),
    ],
)
def test_a_damaged_file_is_refused_with_file_field_and_reason(
    copy: Path, change: Callable[[dict[str, Any]], None], field: str, reason: str
) -> None:
    edit(copy, change)
    with pytest.raises(CorpusError, match=reason) as caught:
        load(copy)
    assert caught.value.field == field
    assert caught.value.file == str(copy / "golden" / "read" / "csum.json")
    if change in {damage_frame, unknown_key, bad_level, duplicate_id}:
        assert caught.value.case == "read/csum/tcp4-without-payload"


def test_a_truncated_file_is_refused(copy: Path) -> None:
    path = copy / "golden" / "read" / "csum.json"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CorpusError, match="truncated"):
        load_file(path)


def test_an_empty_folder_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no cases"):
        load(tmp_path)


def test_the_same_id_in_two_files_is_refused(copy: Path) -> None:
    (copy / "again").mkdir()
    shutil.copy(copy / "golden" / "read" / "csum.json", copy / "golden" / "read" / "csum2.json")
    with pytest.raises(CorpusError, match=r"is also in .*csum\.json"):
        load(copy)
