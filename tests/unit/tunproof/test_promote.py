"""Author code made from findings: it loads, and gives exactly the bytes that were found."""

import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from scapy.layers.inet import TCP, UDP, IPOption_NOP
from typer.testing import CliRunner, Result

from tunproof.authoring import build
from tunproof.authoring.draft import Draft
from tunproof.authoring.promote import promote, write_new
from tunproof.cli.corpus import corpus_app
from tunproof.corpus.cases import GsoInput, ReadInput
from tunproof.corpus.codec import builtins_of, encode
from tunproof.corpus.load import CORPORA, Corpus, load
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.packets.builder import GsoPieces, frame, ip4, ip6, patched, payload, pieces, superpacket, whole
from tunproof.runs.findings import Finding, keep

TCP4 = superpacket(ip4() / TCP(flags="PA"), payload(20), gso_size=8)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


def found(**changes: object) -> Finding:
    usual = {
        "kind": "kernel",
        "title": "csum_start in the IP header is refused",
        "rule": "2.4 csum_start floor",
        "operation": "read",
        "input": {"frame": TCP4.hex()},
        "expected": {"outcome": "lost"},
        "got": {"outcome": "refused", "errno": "EINVAL"},
        "repro": f"tunproof fuzz kernel --frame {TCP4.hex()}",
        "kernel": "6.18.44",
    }
    return Finding(**(usual | changes))  # type: ignore[arg-type]


def loaded(code: str) -> Draft:
    """The one draft of an authors module."""
    module: dict[str, object] = {}
    exec(code, module)  # noqa: S102 (it is what is tested)
    (topic,) = module["TOPICS"]  # type: ignore[misc]
    (draft,) = topic.drafts
    return draft


def gso_input(made: GsoPieces, *before: GsoPieces) -> dict[str, object]:
    pays = [pay.hex() for pay in made.pays]
    given: dict[str, object] = {"hdr": made.hdr.hex(), "transport_hdr": made.transport_hdr.hex(), "pays": pays}
    return given | ({"before": [gso_input(earlier) for earlier in before]} if before else {})


def test_a_canonical_superpacket_is_said_as_an_author_would(corpus: Corpus) -> None:
    code = promote(found(), corpus).code
    assert 'return superpacket(ip4() / TCP(flags="PA"), payload(20), gso_size=8)\n' in code
    assert "from scapy.layers.inet import TCP\n" in code


@pytest.mark.parametrize(
    ("built", "text"),
    [
        (patched(TCP4, 6, b"\x03\0"), "csum_start=3"),
        (patched(TCP4, 20, b"\xab\xcd"), "chksum=0xABCD"),
        (patched(TCP4, 13, b"\x09"), "len=9"),
        (superpacket(ip4(options=[IPOption_NOP()]) / TCP(), payload(20, seed=9), gso_size=8), "[IPOption_NOP()]"),
        (frame(whole(ip6() / UDP(), b"\x07" * 9)), 'b"\\x07" * 9'),
    ],
)
def test_what_is_odd_about_a_frame_is_said_by_the_name_of_its_field(built: bytes, text: str, corpus: Corpus) -> None:
    code = promote(found(input={"frame": built.hex()}), corpus).code
    assert text in code
    assert loaded(code).built == built


def test_random_damage_to_every_kind_of_frame_is_said_byte_for_byte(corpus: Corpus) -> None:
    numbers = random.Random(20)
    frames = [case.input.frame for case in corpus.cases.values() if isinstance(case.input, ReadInput)]
    for built in numbers.sample([one for one in frames if 10 < len(one) < 4000], 80):
        damaged = bytearray(built)
        for _ in range(numbers.randint(0, 3)):
            damaged[numbers.randrange(min(len(damaged), 70))] = numbers.randrange(256)
        code = promote(found(input={"frame": damaged.hex()}), corpus).code
        assert loaded(code).built == bytes(damaged), code


def test_arguments_of_write_gso_are_said_byte_for_byte(corpus: Corpus) -> None:
    inputs = [case.input for case in corpus.cases.values() if isinstance(case.input, GsoInput)]
    for given in random.Random(20).sample(inputs, 30):
        code = promote(found(operation="write_gso", input=builtins_of(given)), corpus).code
        built = loaded(code).built
        if isinstance(built, GsoInput):
            assert built == given
        else:
            got = (built.hdr, built.transport_hdr, list(built.pays))  # type: ignore[union-attr]
            assert got == (given.hdr, given.transport_hdr, list(given.pays))


def test_what_scapy_cannot_say_is_hex_with_the_bytes_named(corpus: Corpus) -> None:
    broken_options = patched(whole(ip4() / TCP(dataofs=6), b"\x08\x0a\x00\x01" + payload(4)), 20, b"\x00")
    for built, remark in (
        (b"\x01\x02", "shorter than a vnet header"),
        (frame(b"\x55" + bytes(30)), "cannot express any of it"),
        (frame(broken_options), "scapy cannot express bytes"),
    ):
        code = promote(found(input={"frame": built.hex()}), corpus).code
        assert remark in code
        assert "bytes.fromhex(" in code
        assert loaded(code).built == built


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("write", {"packet": TCP4[10:].hex(), "poison": "aa", "before": ["00"]}),
        ("checksum", {"data": "0102" * 100, "initial": 7}),
        ("header", {"direction": "parse", "bytes": "00" * 12, "size": 12, "byte_order": "big"}),
        ("read", {"frame": TCP4.hex(), "before": [TCP4.hex(), "00" * 200]}),
        ("write_gso", gso_input(pieces(ip4() / UDP(), [payload(8)]), pieces(ip6() / TCP(), [payload(8)]))),
    ],
)
def test_every_operation_is_said_as_it_was_found(operation: str, given: dict[str, object], corpus: Corpus) -> None:
    built = loaded(promote(found(kind="adapter", operation=operation, input=given), corpus).code).built
    assert msgspec.json.decode(encode(built)) == given


def test_the_fields_of_a_header_are_said_as_they_were_found(corpus: Corpus) -> None:
    names = ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset")
    given = {"direction": "emit", "fields": dict.fromkeys(names, 0) | {"gso_type": 5}, "size": 12}
    built = loaded(promote(found(kind="adapter", operation="header", input=given), corpus).code).built
    assert msgspec.json.decode(encode(built)) == given


def test_the_id_is_free_and_says_what_is_special(corpus: Corpus) -> None:
    first = promote(found(), corpus)
    assert first.id == "read/found/tcp4-2-4-csum-start-floor" == loaded(first.code).id
    fuller = Corpus([])
    fuller.cases = corpus.cases | {first.id: next(iter(corpus.cases.values()))}
    second = promote(found(), fuller)
    assert second.id == f"{first.id}-2" == loaded(second.code).id
    assert "paste the function into its module" in second.code


def test_what_is_known_is_stated_and_what_is_not_is_left_to_do(corpus: Corpus) -> None:
    udp = superpacket(ip6() / UDP(), payload(20), gso_size=8)
    draft = loaded(
        promote(found(input={"frame": udp.hex()}, got={"outcome": "lost"}, flags=("OddLength",)), corpus).code
    )
    assert draft.requires == ("gso.udp6",)
    assert draft.flags == ("OddLength",)
    assert draft.differs is not None  # the reference segments it
    assert dict(draft.kernels[0].when) == {"uso": True}
    refused = promote(found(input={"frame": patched(TCP4, 4, b"\0\0").hex()}, flags=("NoSuchFlag",)), corpus)
    assert loaded(refused.code).sibling == "read/vnet-faults/valid-tcp4"
    assert loaded(refused.code).differs is None
    assert any("flag" in question for question in refused.open_questions)
    assert all(f"to do: {question}"[:60] in refused.code for question in refused.open_questions)


def test_a_target_s_frame_becomes_a_read(corpus: Corpus) -> None:
    assert loaded(promote(found(kind="target", operation=""), corpus).code).op == "read"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "target", "operation": "", "input": {"data": "00"}}, "not a frame"),
        ({"operation": "lifecycle", "input": {"steps": []}}, "lifecycle are not promoted"),
        ({"operation": "write_batch", "input": {"packets": []}}, "write_batch are not promoted"),
        ({"operation": "juggle"}, "operation 'juggle'"),
        ({"way": {"forwarded": True}}, "another: forwarded True"),
        ({"input": {"frame": "0g"}}, "does not fit read"),
        ({"input": {}}, "frame"),
    ],
)
def test_what_cannot_be_a_case_is_refused_with_the_reason(
    changes: dict[str, object], reason: str, corpus: Corpus
) -> None:
    with pytest.raises(UsageError, match=reason):
        promote(found(**changes), corpus)


def test_words_of_a_finding_stay_words(corpus: Corpus) -> None:
    hostile = 'a"""\nraise SystemExit(\'no\')\n"""\\ \x1b[31m' + "long " * 200
    finding = found(
        title=hostile, rule=hostile, repro=f"a\nraise SystemExit {hostile}", subject=hostile, kernel=hostile
    )
    code = promote(finding, corpus).code
    assert loaded(code).built == TCP4
    assert "\x1b" not in code


def test_the_code_is_as_ruff_wants_it(corpus: Corpus, tmp_path: Path) -> None:
    project = Path(__file__).parents[3] / "pyproject.toml"
    awkward = patched(
        superpacket(ip4(options=[IPOption_NOP()]) / TCP(), payload(900, seed=3)[::-1], gso_size=8), 6, b"\3"
    )
    for number, built in enumerate((TCP4, awkward)):
        (tmp_path / f"read_{number}.py").write_text(promote(found(input={"frame": built.hex()}), corpus).code)
    for command in (["check", "--ignore", "INP001"], ["format", "--check"]):
        arguments = [sys.executable, "-m", "ruff", *command, "--config", str(project), str(tmp_path)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    write_new(tmp_path / "new.py", "x = 1\n")
    for target, error in (
        (tmp_path / "new.py", UsageError),
        (tmp_path / "nowhere" / "new.py", UsageError),
        (Path("/proc/version_of_mine"), (UsageError, EnvironmentProblem)),
    ):
        with pytest.raises(error, match=target.parent.name):  # type: ignore[call-overload]
            write_new(target, "x = 2\n")
    assert (tmp_path / "new.py").read_text() == "x = 1\n"


def promoted(*arguments: object) -> Result:
    return CliRunner().invoke(corpus_app, ["promote", *map(str, arguments)])


def test_the_command_prints_the_code_or_writes_it(tmp_path: Path) -> None:
    folder = keep(tmp_path, found())
    printed = promoted(folder)
    assert printed.exit_code == 0
    assert loaded(printed.stdout).built == TCP4
    assert promoted(folder / "finding.json", "--out", tmp_path / "new.py").exit_code == 0
    assert (tmp_path / "new.py").read_text() == printed.stdout
    assert isinstance(promoted(folder, "--out", tmp_path / "new.py").exception, UsageError)
    assert isinstance(promoted(tmp_path / "nowhere").exception, UsageError)


def test_it_is_for_a_checkout_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = keep(tmp_path, found())
    monkeypatch.setattr(build, "CORPORA", CORPORA.resolve())  # no symlink: as in a wheel
    result = promoted(folder)
    assert isinstance(result.exception, UsageError)
    assert "in a checkout" in str(result.exception)
