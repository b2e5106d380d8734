"""The tools around the corpus: lint, schemas, exports, numbers."""

import errno
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from scapy.utils import RawPcapNgReader

from common.handmade import CASES, encoded, file_of, write_corpus
from tunproof.authoring import lint
from tunproof.authoring.flags import FLAGS
from tunproof.corpus import export, schema
from tunproof.corpus.cases import OPERATIONS, Case
from tunproof.corpus.load import CORPORA, Corpus, files_below, load, load_file
from tunproof.corpus.stats import count, only
from tunproof.errors import CorpusError, UsageError

Edit = Callable[[dict[str, Any]], None]

REAL = files_below(CORPORA)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpora")


def tunproof(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunproof", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def edit(root: Path, place: str, change: Edit) -> Path:
    """Change a file as somebody would who has a tool for digests."""
    path = root / "golden" / f"{place}.json"
    document = json.loads(path.read_bytes())
    change(document)
    for case in document["cases"]:
        content = [case["input"], {key: value for key, value in case["expect"].items() if key != "fault"}]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        case["digest"] = "sha256:" + hashlib.sha256(canonical).hexdigest()
    path.write_text(json.dumps(document))
    return path


def setting(number: int, **values: object) -> Edit:
    """Return an edit that gives fields of a case other values; None takes a field away."""

    def change(document: dict[str, Any]) -> None:
        for name, value in values.items():
            if value is None:
                document["cases"][number].pop(name, None)
            else:
                document["cases"][number][name] = value

    return change


def explaining(table: str, name: str, **values: object) -> Edit:
    """Return an edit of what a file says about a flag or a trait, which may be new."""

    def change(document: dict[str, Any]) -> None:
        known = {"description": "It is.", "effect": "It hurts."} if table == "flags" else {}
        document[table][name] = document[table].get(name, known) | values

    return change


def retopic(document: dict[str, Any]) -> None:
    document["topic"] = "cut"
    for case in document["cases"]:
        case["id"] = case["id"].replace("read/cuts/", "read/cut/")
        if "sibling" in case:
            case["sibling"] = case["sibling"].replace("read/cuts/", "read/cut/")


def invented_trait(document: dict[str, Any]) -> None:
    document["traits"]["magic"] = document["traits"].pop("uso")
    document["cases"][1]["kernel"] = [
        {"outcome": "same", "when": {"magic": True}},
        {"outcome": "refused", "errno": "EINVAL", "when": {"magic": False}},
    ]


def no_such_packet(document: dict[str, Any]) -> None:
    document["cases"][0]["expect"]["silent"] = [7]


def joined_apart(document: dict[str, Any]) -> None:
    document["cases"][0]["expect"]["ideal"] = [[0, 1, 2]]


def unopened(document: dict[str, Any]) -> None:
    document["cases"][0]["input"]["steps"][1]["fd"] = "b"


def wrong_operation(document: dict[str, Any]) -> None:
    other = json.loads(encoded(file_of("sums", CASES[:1])))["cases"][0]
    document["cases"][1] = other | {"id": "read/cuts/udp"}
    document["traits"] = {}


BY = {"wiring": "readback", "releases": ["6.1"]}
REFERENCE_ALONE = [{"kind": "observed", "ref": "seen to be what the reference does"}]
LOST = [{"outcome": "lost"}]


@pytest.mark.parametrize(
    ("place", "change", "field", "reason"),
    [
        ("read/cuts", setting(0, about="No sentence"), "about", "period"),
        ("read/cuts", setting(0, about="Broken\nin two."), "about", "line breaks"),
        ("read/cuts", setting(0, about="x" * 400 + "."), "about", "401 characters"),
        ("read/cuts", wrong_operation, "op", "'checksum'"),
        ("read/cuts", setting(2, sibling=None), "sibling", "missing"),
        ("read/cuts", setting(2, sibling="read/cuts/none"), "sibling", "does not exist"),
        ("read/cuts", setting(2, sibling="read/cuts/zero"), "sibling", "has a fault itself"),
        ("read/cuts", setting(2, sibling="write/plain/one"), "sibling", "another operation"),
        ("read/cuts", setting(0, basis=[{"kind": "rfc", "ref": " "}]), "basis", "empty"),
        ("read/cuts", setting(0, basis=REFERENCE_ALONE), "basis", "reference alone"),
        ("read/cuts", setting(0, requires=["gso.tcp5"]), "requires", "not a capability"),
        ("read/cuts", setting(0, requires=["gso.tcp4", "gso.tcp4"]), "requires", "twice"),
        ("read/cuts", setting(0, flags=["Wrong", "Wrong"]), "flags", "twice"),
        ("read/cuts", setting(0, confirmed=None), "confirmed", "is empty"),
        ("header/fields", setting(0, confirmed=["6.1"]), "confirmed", "no kernel runs the case"),
        ("read/cuts", setting(0, kernel=LOST), "kernel", "no `because`"),
        ("read/cuts", setting(0, kernel=[LOST[0] | {"because": ""}]), "kernel", "`because` is empty"),
        ("read/cuts", setting(2, kernel=[LOST[0] | {"because": "so"}]), "kernel", "difference that does not exist"),
        ("read/cuts", setting(2, kernel=[{"outcome": "delivered", "packets": []}]), "kernel", "no `because`"),
        ("write_batch/batches", no_such_packet, "expect", "no packet 7"),
        ("write_batch/batches", joined_apart, "expect.ideal", "joins packets 1 and 2"),
        ("lifecycle/life", unopened, "input.steps", "step 1 refers to 'b'"),
        ("read/cuts", retopic, "topic", "called cuts.json"),
        ("read/cuts", explaining("flags", "Unused"), "flags", "'Unused' is explained"),
        ("read/cuts", explaining("flags", "Wrong", description=""), "flags.Wrong.description", "is empty"),
        ("read/cuts", explaining("flags", "Wrong", effect="It hurts"), "flags.Wrong.effect", "period"),
        ("read/cuts", explaining("flags", "Wrong", links=["bugs.md"]), "flags.Wrong.links", "not a URL"),
        ("read/cuts", explaining("flags", "Wrong", effect="It differs."), "flags.Wrong", "differently in another file"),
        ("read/cuts", explaining("traits", "uso", since="1.0"), "traits.uso", "not explained as in"),
        ("read/cuts", setting(1, reach="caller"), "reach", "by the rule it is hostile"),
        ("write/plain", setting(0, reach="hostile"), "reach", "by the rule it is peer"),
        ("read/cuts", setting(0, reached=[BY, BY | {"hdr_len": 9}]), "reached", "a kernel twice for one wiring"),
        ("read/cuts", setting(0, reached=[BY | {"wiring": "forward"}, BY]), "reached", "not in the order"),
        ("read/cuts", invented_trait, "traits.magic", "not a trait"),
        ("read/cuts", setting(1, kernel=[{"outcome": "same"}]), "traits", "'uso' is explained"),
        ("read/cuts", setting(1, id="read/cuts/two"), "id", "is also in"),
        # What the loader rejects is a finding too.
        ("read/cuts", setting(0, input={"frame": "ABCD"}), "$.cases[0].input.frame", "regex"),
        ("read/cuts", setting(0, level="maybe"), "$.cases[0].level", "maybe"),
        ("read/cuts", setting(0, flags=["Unknown"]), "flags", "not explained"),
        ("read/cuts", lambda document: document.update(format="tunproof-corpus/2"), "format", "tunproof-corpus/2"),
    ],
)  # fmt: skip
def test_every_rule_finds_what_breaks_it(root: Path, place: str, change: Edit, field: str, reason: str) -> None:
    path = edit(root, place, change)
    findings = lint.lint(root)
    assert any(
        finding.field == field and reason in finding.reason and finding.file == str(path) for finding in findings
    ), findings
    assert {finding.file for finding in findings} <= {str(path), *(str(other) for other in files_below(root))}


def test_a_digest_that_does_not_match_is_a_finding(root: Path) -> None:
    path = root / "golden" / "read" / "cuts.json"
    path.write_text(re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", path.read_text(), count=1))
    (finding,) = lint.lint(root)
    assert (finding.field, finding.case) == ("digest", "read/cuts/two")


def test_what_is_right_has_no_findings(root: Path) -> None:
    assert lint.lint(root) == []


def test_an_unreadable_file_hides_no_finding_elsewhere_and_makes_none(root: Path) -> None:
    (root / "golden" / "read" / "cuts.json").write_bytes(b"{")
    edit(root, "write/plain", setting(0, about="No sentence"))
    assert [(finding.case, finding.field) for finding in lint.lint(root)] == [("-", "-"), ("write/plain/one", "about")]


@pytest.mark.parametrize(
    ("retired", "reason"),
    [
        ({"read/cuts/two": "was wrong"}, "used again"),
        ({"read/cuts/old": ""}, "neither why"),
        ({"read/cuts/old": "read/cuts/new"}, "successor 'read/cuts/new' does not exist"),
        ({"read/cuts/old": 7}, "text for each"),
    ],
)
def test_a_retired_id_stays_retired(root: Path, retired: dict[str, object], reason: str) -> None:
    (root / lint.RETIRED).write_text(json.dumps(retired))
    (finding,) = lint.lint(root)
    assert reason in finding.reason
    (root / lint.RETIRED).write_text('{"read/cuts/old": "read/cuts/two", "read/cuts/older": "it was the same idea"}')
    assert lint.lint(root) == []


def test_every_rule_says_what_it_is() -> None:
    rules = (*lint.CASE_RULES, *lint.FILE_RULES, *lint.CORPUS_RULES)
    assert all(rule.__doc__ for rule in rules)


def test_flags_of_the_checkout_are_used_and_said_alike(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """The rules for this checkout's own flags, with a corpus in its place."""
    link = root.parent / "link"
    link.symlink_to(root)
    monkeypatch.setattr(lint, "CORPORA", link)
    monkeypatch.setattr(lint, "FLAGS", {"Wrong": next(iter(FLAGS.values())), "Forgotten": next(iter(FLAGS.values()))})
    reasons = {(finding.case, finding.field, finding.reason) for finding in lint.lint(link)}
    assert ("-", "flags.Wrong", "is explained differently in the source (corpus/flags)") in reasons
    assert ("-", "Forgotten", "is explained, and no case has it") in reasons
    monkeypatch.setattr(lint, "FLAGS", {})
    assert "is not in the source (corpus/flags)" in {finding.reason for finding in lint.lint(link)}


def test_lint_exits_1_with_findings_0_without_and_2_or_3_where_there_is_no_corpus(root: Path) -> None:
    clean = tunproof("corpus", "lint", str(root))
    assert (clean.returncode, clean.stdout) == (0, "nothing is wrong\n")
    path = edit(root, "read/cuts", setting(0, about="No sentence"))
    done = tunproof("corpus", "lint", str(root))
    assert done.returncode == 1
    assert f"{path}: read/cuts/two: about: is not a sentence" in done.stdout
    found = json.loads(tunproof("corpus", "lint", "--json", str(root)).stdout)["findings"]
    assert [finding["case"] for finding in found] == ["read/cuts/two"]
    assert tunproof("corpus", "lint", str(root / "nothing")).returncode == 2
    assert tunproof("corpus", "lint", str(root / "golden" / "read")).returncode == 3


# Schemas.


def validator(op: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema.schema_of(op))


def test_committed_schemas_are_current() -> None:
    committed = {path.name: path.read_bytes() for path in (CORPORA / schema.FOLDER).iterdir()}
    assert committed == schema.schemas(), "`tunproof corpus build` writes them"


def test_there_is_a_schema_for_every_operation_and_it_is_one() -> None:
    assert {schema.file_name(op) for op in OPERATIONS} == set(schema.schemas())
    for op in OPERATIONS:
        made = schema.schema_of(op)
        jsonschema.Draft202012Validator.check_schema(made)
        assert made["$schema"].endswith("2020-12/schema")
        assert made["title"]
        assert made["description"]
        objects = [one for one in (made, *made["$defs"].values()) if one.get("type") == "object"]
        assert all(one["additionalProperties"] is False for one in objects)


@pytest.mark.parametrize("path", REAL, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_corpus_file_fits_its_schema(path: Path) -> None:
    validator(path.parent.name).validate(json.loads(path.read_bytes()))


def mutate(document: dict[str, Any], keys: tuple[str | int, ...], value: object) -> None:
    """Put a value in a place, or take away what is there if it is `...`."""
    place: Any = document
    for key in keys[:-1]:
        place = place[key]
    if value is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value


@pytest.mark.parametrize(
    ("place", "keys", "value"),
    [
        ("read/cuts", ("format",), "tunproof-corpus/2"),
        ("read/cuts", ("comment",), "hello"),
        ("read/cuts", ("cases",), ...),
        ("read/cuts", ("flags", "Wrong", "cure"), "none"),
        ("read/cuts", ("cases", 0, "comment"), "hello"),
        ("read/cuts", ("cases", 0, "op"), "reed"),
        ("read/cuts", ("cases", 0, "id"), "read/cuts/Two"),
        ("read/cuts", ("cases", 0, "id"), "read/two"),
        ("read/cuts", ("cases", 0, "digest"), "sha256:00"),
        ("read/cuts", ("cases", 0, "flags"), []),
        ("read/cuts", ("cases", 0, "basis"), []),
        ("read/cuts", ("cases", 0, "basis", 0, "kind"), "guess"),
        ("read/cuts", ("cases", 0, "level"), "maybe"),
        ("read/cuts", ("cases", 0, "importance"), None),
        ("read/cuts", ("cases", 0, "requires"), "gso.tcp4"),
        ("read/cuts", ("cases", 0, "about"), ...),
        ("read/cuts", ("cases", 0, "input", "frame"), "0"),
        ("read/cuts", ("cases", 0, "input", "frame"), "0G"),
        ("read/cuts", ("cases", 0, "input", "frame"), "AB"),
        ("read/cuts", ("cases", 0, "input", "packet"), "00"),
        ("read/cuts", ("cases", 0, "expect", "outcome"), "joined"),
        ("read/cuts", ("cases", 0, "expect", "packets", 0), 7),
        ("read/cuts", ("cases", 1, "kernel", 0, "when", "uso"), "yes"),
        ("read/cuts", ("cases", 1, "kernel", 0, "outcome"), "crashed"),
        ("read/cuts", ("cases", 1, "kernel", 1, "errno"), ...),
        ("checksum/sums", ("cases", 0, "expect", "sum"), 0x10000),
        ("checksum/sums", ("cases", 0, "expect", "sum"), -1),
        ("checksum/sums", ("cases", 0, "input", "initial"), "0"),
        ("header/fields", ("cases", 0, "input", "byte_order"), "middle"),
        ("header/fields", ("cases", 1, "input", "fields", "mtu"), 1500),
        ("header/fields", ("cases", 1, "input", "direction"), "both"),
        ("write/plain", ("cases", 0, "input", "poison"), "a5a5"),
        ("write_gso/joins", ("cases", 0, "input", "pays"), "00"),
        ("write_batch/batches", ("cases", 0, "expect", "apart"), [[0, 1, 2]]),
        ("write_batch/batches", ("cases", 0, "expect", "ideal"), [[-1]]),
        ("lifecycle/life", ("cases", 0, "input", "steps"), []),
        ("lifecycle/life", ("cases", 0, "input", "steps", 0, "do"), "jump"),
        ("lifecycle/life", ("cases", 0, "input", "steps", 0, "fd"), "A"),
        ("lifecycle/life", ("cases", 0, "expect", "answers", 0), []),
    ],
)  # fmt: skip
def test_what_the_loader_refuses_in_form_the_schema_refuses_too(
    root: Path, place: str, keys: tuple[str | int, ...], value: object
) -> None:
    path = root / "golden" / f"{place}.json"
    document = json.loads(path.read_bytes())
    checker = validator(path.parent.name)
    assert checker.is_valid(document)
    mutate(document, keys, value)
    assert not checker.is_valid(document)
    path.write_text(json.dumps(document))
    with pytest.raises(CorpusError):
        load_file(path)


def test_the_schema_command_prints_one_or_all_and_knows_no_others() -> None:
    one = tunproof("corpus", "schema", "read")
    assert json.loads(one.stdout) == schema.schema_of("read")
    assert set(json.loads(tunproof("corpus", "schema").stdout)) == set(OPERATIONS)
    wrong = tunproof("corpus", "schema", "reed")
    assert wrong.returncode == 2
    assert "write_batch" in wrong.stderr


# The capture.


def blocks(data: bytes) -> Iterator[tuple[int, bytes, dict[int, bytes]]]:
    """Walk over the blocks of a pcapng, and check what the format demands of each: type, body, options."""
    fixed = {0x0A0D0D0A: 16, 1: 8, 6: 20}
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        body = data[at + 8 : at + length - 4]
        captured = struct.unpack_from("<I", body, 12)[0] if kind == 6 else 0
        if kind == 6:
            assert struct.unpack_from("<I", body, 16) == (captured,)
        place = fixed[kind] + captured + -captured % 4
        options = {}
        while place < len(body):
            code, size = struct.unpack_from("<HH", body, place)
            assert code not in options
            options[code] = body[place + 4 : place + 4 + size]
            assert not any(body[place + 4 + size : place + 4 + size + -size % 4])
            place += 4 + size + -size % 4
        assert place == len(body)
        assert options.pop(0) == b""
        yield kind, body[fixed[kind] : fixed[kind] + captured], options
        at += length
    assert at == len(data)


def test_a_capture_has_a_comment_and_a_direction_for_every_packet(tmp_path: Path) -> None:
    target = tmp_path / "all.pcapng"
    assert export.export_pcapng(target, CASES) == sum(len(list(export.packets_of(case))) for case in CASES)
    (section, _, said), (interface, _, named), *packets = blocks(target.read_bytes())
    assert (section, interface) == (0x0A0D0D0A, 1)
    assert said[4].startswith(b"tunproof")
    assert named == {2: b"corpus"}
    shown = [(case, one) for case in CASES for one in export.packets_of(case)]
    for (case, one), (kind, data, options) in zip(shown, packets, strict=True):
        assert (kind, data) == (6, one.packet)
        assert options[1].decode() == f"{case.id}\n{one.what}\n{case.about}"
        assert options[2] == struct.pack("<I", 1 if one.goes_in else 2)


def test_scapy_reads_a_capture(tmp_path: Path) -> None:
    target = tmp_path / "all.pcapng"
    export.export_pcapng(target, CASES)
    shown = [one.packet for case in CASES for one in export.packets_of(case)]
    with RawPcapNgReader(str(target)) as reader:
        read = list(reader)
    assert [data for data, _ in read] == shown
    assert {metadata.linktype for _, metadata in read} == {101}
    assert read[0][1].comments[0].startswith(b"checksum/sums/three\nin, as sent to a kernel: flags NEEDS_CSUM")


def test_tshark_reads_a_capture_as_ip(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed: the capture was read by scapy and by a walker over its blocks only")
    target = tmp_path / "read.pcapng"
    export.export_pcapng(target, [case for case in CASES if case.id == "read/cuts/two"])
    fields = ("-T", "fields", "-E", "separator=|", "-e", "ip.src", "-e", "tcp.seq_raw", "-e", "frame.comment")
    done = subprocess.run([tshark, "-r", str(target), *fields], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert [line.split("|")[:2] for line in lines] == [["192.0.2.1", number] for number in ("7", "7", "15", "23")]
    assert "expected packet 3 of 3" in lines[3]


@pytest.mark.parametrize(
    ("case_id", "whats"),
    [
        ("read/cuts/zero", ["before 1 of 1: flags NEEDS_CSUM, type TCPV4", "in: flags NEEDS_CSUM"]),
        ("write/plain/one", ["in", "written after flags 0, type NONE"]),
        ("write/plain/empty", ["in"]),
        ("write_gso/joins/nothing", ["in, headers and 0 fragments joined"]),
        ("write_batch/batches/three", ["in 1 of 3", "in 2 of 3", "in 3 of 3", "frame 1 of 2", "frame 2 of 2"]),
        ("header/fields/parse", []),
        ("lifecycle/life/reads", ["step 2, in: flags NEEDS_CSUM", *["step 3, expected packet"] * 3]),
    ],
)
def test_packets_of_every_operation_say_what_they_are(case_id: str, whats: list[str]) -> None:
    shown = list(export.packets_of(next(case for case in CASES if case.id == case_id)))
    for one, what in zip(shown, whats, strict=True):
        assert one.what.startswith(what)


def test_a_capture_that_cannot_be_is_refused(tmp_path: Path) -> None:
    headers = [case for case in CASES if case.id.startswith("header/")]
    for target, cases, reason in (
        (tmp_path / "a.pcapng", headers, "none of the selected cases"),
        (tmp_path / "none" / "a.pcapng", CASES, "no folder"),
        (tmp_path, CASES, "is not a file"),
        (Path("/dev/null"), CASES, "is not a file"),
    ):
        with pytest.raises(UsageError, match=reason):
            export.export_pcapng(target, cases)
    assert list(tmp_path.iterdir()) == []


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, folder = tmp_path / "a.pcapng", tmp_path / "folder"
    corpus = Corpus([file_of("all", CASES)])
    root = write_corpus(tmp_path / "corpora")
    export.export_pcapng(target, CASES)
    export.export_folder(folder, CASES[:1], corpus, root)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        export.export_pcapng(target, CASES[:1])
    with pytest.raises(OSError, match="No space left"):
        export.export_folder(folder, CASES, corpus, root)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


# The folder.


def exported(root: Path, target: Path, pattern: str = "*") -> dict[str, Any]:
    corpus = load(root)
    export.export_folder(target, corpus.select(pattern), corpus, root)
    manifest: dict[str, Any] = json.loads((target / export.MANIFEST).read_bytes())
    return manifest


def test_a_folder_has_everything_that_a_loader_needs(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "vendored"
    manifest = exported(root, target)
    assert manifest["cases"] == {case.id: case.digest for case in CASES}
    there = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert there == {*manifest["files"], export.MANIFEST}
    assert {"README.md", "LICENSE", "schema/read.schema.json", "golden/read/cuts.json"} <= there
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((target / name).read_bytes()).hexdigest() == digest
    cuts = Path("golden", "read", "cuts.json")
    assert (target / cuts).read_bytes() == (root / cuts).read_bytes()
    assert lint.lint(target) == []


def test_a_selection_brings_siblings_and_what_explains_it_along(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "vendored"
    manifest = exported(root, target, "read/cuts/zero")
    assert list(manifest["cases"]) == ["read/cuts/two", "read/cuts/zero"]
    assert load_file(target / "golden" / "read" / "cuts.json").traits == {}
    assert [path.name for path in (target / "schema").iterdir()] == ["read.schema.json"]
    assert lint.lint(target) == []


def test_a_later_export_takes_the_place_of_an_earlier_one_and_of_nothing_else(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "vendored"
    target.mkdir()
    exported(root, target)
    exported(root, target, "write/*")
    assert not (target / "read").exists()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"also holds notes\.txt.*name another folder"):
        exported(root, target)
    (target / export.MANIFEST).unlink()
    with pytest.raises(UsageError, match="nor an earlier export: name another folder"):
        exported(root, target)
    assert (target / "notes.txt").read_text() == "mine"
    with pytest.raises(UsageError, match="is not a folder"):
        exported(root, target / "notes.txt")
    with pytest.raises(UsageError, match="there is no folder"):
        exported(root, tmp_path / "none" / "vendored")


def test_the_export_command_writes_both_and_wants_to_know_where(tmp_path: Path) -> None:
    case_id = next(iter(load().cases))
    capture, folder = tmp_path / "a.pcapng", tmp_path / "folder"
    done = tunproof("corpus", "export", "--pcapng", str(capture), "--dir", str(folder), "--select", "read/*")
    assert done.returncode == 0, done.stderr
    assert len(list(blocks(capture.read_bytes()))) > 2
    assert load(folder).cases
    assert tunproof("corpus", "export").returncode == 2
    assert tunproof("corpus", "export", "--dir", str(folder), "--select", "nothing/*").returncode == 2
    assert tunproof("corpus", "export", "--dir", str(tmp_path), "--select", case_id).returncode == 2


def test_running_into_a_limit_while_exporting_is_an_environment_problem(tmp_path: Path) -> None:
    script = f"ulimit -f 1; trap '' XFSZ; exec {sys.executable} -m tunproof corpus export --pcapng {tmp_path}/a.pcapng"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert "cure" in done.stderr
    assert list(tmp_path.iterdir()) == []


# Numbers and lists.


def test_the_numbers_add_up(root: Path) -> None:
    stats = count(root)
    assert stats.cases == len(CASES) == sum(topic.cases for topic in stats.topics)
    assert stats.bytes == sum(path.stat().st_size for path in files_below(root))
    assert stats.operations()["read"] == 4
    assert set(stats.operations()) == set(OPERATIONS)
    assert stats.flags == {"Wrong": len(CASES)}
    assert stats.traits == {"uso": 1}
    assert stats.kernel["not run"] == 6
    assert stats.outcomes["rejected"] == 2
    assert stats.confirmed == {"6.1.0": 8}
    assert stats.largest[0].bytes >= stats.largest[1].bytes
    assert json.loads(json.dumps(stats.as_json()))["levels"] == {"must": len(CASES)}
    assert stats.wirings == {"none": 3, "readback": 1}
    assert sum(stats.reach.values()) == len(CASES)
    assert stats.reach["hostile"] == 4, "three frames and a vnet header"


def test_a_list_is_narrowed_by_operation_flag_and_capability() -> None:
    def ids(**asked: str | None) -> list[str]:
        return [case.id for case in only(CASES, **asked)]

    assert ids(op="write") == ["write/plain/one", "write/plain/empty"]
    assert ids(requires="gso.udp4", op=None) == ["read/cuts/udp"]
    assert ids(reach="kernel", op="read") == ["read/cuts/two"]
    assert ids(reach="hostile", op="header") == ["header/fields/short"]
    assert len(ids(level="must")) == len(CASES)
    assert len(ids(flag="Wrong")) == len(CASES)
    with pytest.raises(UsageError, match="--flag Right"):
        ids(flag="Right")


def test_the_list_and_stats_commands(tmp_path: Path) -> None:
    case: Case = next(iter(load().cases.values()))
    op = case.id.partition("/")[0]
    done = tunproof("corpus", "list", "--json", "--op", op, "--flag", case.flags[0], "--select", f"{op}/*")
    listed = json.loads(done.stdout)["cases"]
    assert case.id in [one["id"] for one in listed]
    assert all(case.flags[0] in one["flags"] for one in listed)
    assert tunproof("corpus", "list", "--flag", "NobodyHasIt").returncode == 2
    reached = json.loads(tunproof("corpus", "list", "--json", "--reach", "kernel", "--level", "must").stdout)["cases"]
    assert {(one["reach"], one["level"]) for one in reached} == {("kernel", "must")}
    assert "--reach nobody" in tunproof("corpus", "list", "--reach", "nobody").stderr
    stats = json.loads(tunproof("corpus", "stats", "--json").stdout)
    assert stats["cases"] == sum(stats["operations"].values())
    text = tunproof("corpus", "stats")
    assert text.returncode == 0
    assert f"{stats['cases']} cases" in text.stdout
