"""Reports are views: every one says what the stream says, and a subject's output is only ever text in them."""

import html
import json
import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from markdown_it import MarkdownIt

from common.made_streams import finished, result, run, stream, told
from fakes.own_values import OwnValues
from fakes.reading import CwrOnEverySegment
from fakes.writing import EmptyFragmentCrashes
from tunproof.corpus.cases import Case
from tunproof.corpus.expected import frames_of, packets_of
from tunproof.corpus.load import Corpus, load
from tunproof.corpus.model import KernelDelivers
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.judge.mismatch import frames_beside, packets_beside
from tunproof.judge.verdict import TOLERATED, Kind
from tunproof.packets.pcapng import Captured, capture
from tunproof.protocol.messages import Implementation
from tunproof.reports.evidence import evidence
from tunproof.reports.failure import Explanations, command_around, explain
from tunproof.reports.figures import labels, mean_quality, policies
from tunproof.reports.junit import junit
from tunproof.reports.markdown import markdown
from tunproof.reports.mismatches import fields
from tunproof.reports.operations import presentation_of
from tunproof.reports.page import page
from tunproof.reports.pagedata import page_data
from tunproof.reports.write import write_page, write_reports
from tunproof.runs import results as results_module
from tunproof.runs.results import Got, Known, Problem, Result, Results
from tunproof.text import legible, shortened

CWR = "read/tcp6/cwr-on-first-segment-only"
HOSTILE = "</script><script>alert(1)</script> `|*[x](javascript:1) <b>&amp; \0\x1b[31m\ud800 \u202e"


@cache
def corpus() -> Corpus:
    return load()


@cache
def cwr() -> Results:
    """A reader with a documented bug, on the cases of one topic."""
    return stream(CwrOnEverySegment(), corpus().select("read/tcp6/*"))


def some(pattern: str, count: int) -> Sequence[Case]:
    return corpus().select(pattern)[:count]


def of_each_kind(**more: object) -> Results:
    cases = some("read/*", len(Kind))
    return finished(
        result(case, kind, difference=f"{kind} it is", **more) for case, kind in zip(cases, Kind, strict=True)
    )


# Foreign text.


def test_what_cannot_be_shown_becomes_something_that_can() -> None:
    assert legible("a\0b\x1b[1m\x7f\x85\ud800\ufffe\u202ec\td\r\ne\rf") == "a␀b␛[1m␡\ufffd\ufffd\ufffd\ufffdc\td\ne␍f"


def test_shortened_text_says_how_much_is_missing() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcde", 3) == "abc\n… 2 more characters"
    assert shortened("abcde", 3, end=True) == "… 2 characters before this\ncde"


# One result.


def test_an_explanation_names_input_difference_reason_effect_and_command() -> None:
    explanation = explain(cwr().results[CWR], cwr().run, corpus())
    text = explanation.text
    case = corpus().cases[CWR]
    assert text.startswith(f"{CWR}  fail (unexpected)\n  {case.about}\n  level    must; reach kernel\n")
    assert "vnet header: flags NEEDS_CSUM, type TCPV6|ECN, hdr_len 60, gso_size 8, csum_start 40" in text
    assert "packet, 84 bytes: ipv6 tcp 40000 > 443, sequence 16909060, CWR|ACK" in text
    assert "expected 3 packets (68, 68, 68 bytes)" in text
    assert "packet 1, tcp.flags at byte 53: expected 0x10, got 0x90" in text
    assert "[90]" in text
    assert all(basis.ref in text for basis in case.basis)
    for name in case.flags:
        flag = corpus().flags[name]
        assert all(one in text for one in (flag.description, flag.effect, *flag.links))
    assert text.endswith(f"tunproof check --select {CWR} --mode memory -- './my adapter' --select x")


def test_a_refusal_that_did_not_come_is_explained_by_its_rule() -> None:
    case = next(case for case in some("write_gso/*", 300) if case.id.endswith("empty-fragment-alone"))
    crashed = stream(EmptyFragmentCrashes(), [case])
    explanation = explain(crashed.results[case.id], crashed.run, corpus())
    assert (explanation.verdict, explanation.rule[:3]) == ("error", "G4:")
    assert "IndexError" in explanation.difference
    assert explanation.trace.startswith("Traceback")
    assert explanation.trace.splitlines()[-1] in explanation.text


def test_every_case_says_in_one_to_six_lines_what_is_sent() -> None:
    for case in corpus().cases.values():
        lines = presentation_of(case).sent()
        assert 1 <= len(lines) <= 6, case.id
        assert not any("\n" in line for line in lines), case.id


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (("tunproof", "check", "--", "./a", "check"), "tunproof check --select read/a/b -- ./a check"),
        (("python", "-m", "tunproof", "kernel"), "python -m tunproof kernel --select read/a/b"),
        (
            ("tunproof", "check", "--mode", "wire", "reference"),
            "tunproof check --select read/a/b --mode wire reference",
        ),
        (("prove", "--", "it's"), """prove --select read/a/b -- 'it'"'"'s'"""),
    ],
)
def test_the_command_selects_the_case_in_front_of_the_adapter(command: tuple[str, ...], line: str) -> None:
    assert " ".join(filter(None, command_around(run(command=command), "read/a/b"))) == line


def test_an_id_with_wildcards_selects_only_itself() -> None:
    assert command_around(run(), "read/*/[x]")[1] == "--select 'read/[*]/[[]x]'"


def test_what_the_baseline_says_is_said() -> None:
    case = corpus().cases[CWR]
    known = result(case, Kind.XFAIL, known=Known(outcome="fail", reason="it is old", link="https://example.org/7"))
    assert (
        "known    the baseline expects fail: it is old (https://example.org/7)" in explain(known, run(), corpus()).text
    )


def test_another_version_of_a_case_is_not_taken_for_this_one() -> None:
    case = corpus().cases[CWR]
    other = msgspec.structs.replace(result(case), digest="sha256:" + "1" * 64)
    strange = msgspec.structs.replace(other, id="read/none/such")
    assert "another case of this id" in explain(other, run(), corpus()).about
    assert "no such case" in explain(strange, run(), corpus()).about
    assert explain(other, run(), corpus()).sent == ()
    assert "reach" not in explain(other, run(), corpus()).text


def test_a_kernel_is_held_against_what_kernels_like_it_do() -> None:
    case, answer = next(
        (case, answer)
        for case in corpus().select("read/*")
        for answer in case.kernel
        if isinstance(answer, KernelDelivers) and all(answer.when.values())
    )
    asked = run(mode="kernel", traits=tuple(answer.when))
    assert explain(result(case), asked, corpus()).expected.startswith("this kernel delivers")


# Expected beside got.


def test_the_fields_that_differ_are_named_with_what_they_say() -> None:
    first, second = cwr().results[CWR].mismatches
    assert (first.place, second.place) == ("tcp.flags at byte 53", "tcp.flags at byte 53")
    assert fields(first)[0] == ("tcp.flags", "ACK", "CWR|ACK")


def test_the_fields_of_a_vnet_header_are_named() -> None:
    case = next(case for case in corpus().select("write_gso/tcp4/*") if frames_of(case))
    (frame,) = frames_of(case)
    wrong = frame[:4] + b"\x07\0" + frame[6:30] + bytes([frame[30] ^ 1]) + frame[31:]
    (one,), _ = frames_beside([frame], [wrong])
    assert [name for name, _, _ in fields(one)][:1] == ["vnet.gso_size"]
    (short,), _ = frames_beside([frame], [frame[:5]])
    assert fields(short) == []


# Figures.


def test_runs_with_the_same_subject_are_told_apart_by_as_little_as_does_it() -> None:
    assert labels([run("a"), run("b")]) == ["a", "b"]
    assert labels([run("a", kernel="6.1"), run("a", kernel="6.2"), run("b")]) == ["a · 6.1", "a · 6.2", "b"]
    assert labels([run("a", mode="wire"), run("a")]) == ["a · wire", "a · memory"]
    assert labels([run("a"), run("a")]) == ["a · 1", "a · 2"]
    versions = [Implementation(name="a", version=version, language="C") for version in ("1", "2")]
    assert labels([run("a", implementation=one) for one in versions]) == ["a · 1", "a · 2"]


def test_policies_and_quality_are_counted() -> None:
    cases = some("write_batch/*", 3)
    made = finished(
        [
            result(cases[0], Kind.PASS, policies=("joins",), quality=0.5),
            result(cases[1], Kind.PASS, policies=("joins", "repairs"), quality=1.0),
            result(cases[2], Kind.PASS),
        ]
    )
    assert policies(made) == {"joins": 2, "repairs": 1}
    assert mean_quality(made) == (0.75, 2)
    assert mean_quality(finished([])) is None


# JUnit.

TAGS = {
    Kind.PASS: None,
    Kind.FAIL: "failure",
    Kind.XPASS: "failure",
    Kind.FLAKY: "failure",
    Kind.ERROR: "error",
    Kind.CRASH: "error",
    Kind.HANG: "error",
    Kind.OOM: "error",
    Kind.PROTOCOL_ERROR: "error",
    Kind.XFAIL: "skipped",
    Kind.ADVISED: "skipped",
    Kind.POLICY: "skipped",
    Kind.HARDENING: "skipped",
    Kind.OUTSIDE: "skipped",
    Kind.UNSUPPORTED: "skipped",
    Kind.NOT_APPLICABLE: "skipped",
    Kind.BLOCKED: "skipped",
}


def tags(made: Results) -> dict[str, str | None]:
    root = ET.fromstring(junit(*told(made)))  # noqa: S314 (ours)
    cases = {one.get("name"): one for one in root.iter("testcase")}
    assert len(cases) == int(root.get("tests"))
    return {name: next((child.tag for child in one), None) for name, one in cases.items()}


def test_every_verdict_has_its_place_in_junit() -> None:
    made = of_each_kind(unexpected=False)
    found = tags(made)
    assert {one.verdict: found[case_id] for case_id, one in made.results.items()} == TAGS


def test_nothing_unexpected_is_skipped_or_passed_in_junit() -> None:
    assert set(tags(of_each_kind(unexpected=True)).values()) == {"failure", "error"}


def test_junit_has_a_suite_for_each_topic_with_its_numbers_and_properties() -> None:
    made = cwr()
    root = ET.fromstring(junit(*told(made)))  # noqa: S314 (ours)
    (suite,) = root.findall("testsuite")
    assert suite.get("name") == "read/tcp6"
    assert int(suite.get("tests")) == len(made.results)
    assert int(suite.get("failures")) == int(root.get("failures")) == made.verdicts()["fail"] > 0
    assert {one.get("classname") for one in suite.iter("testcase")} == {"tunproof.read.tcp6"}
    said = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert said == {key: getattr(made.run, key) for key in ("kernel", "subject", "mode", "corpus")}
    failure = suite.find(f"testcase[@name='{CWR}']/failure")
    assert failure.get("type") == "fail"
    assert failure.get("message") == "fail: packet 1, tcp.flags at byte 53: expected 0x10, got 0x90"
    assert "--select" in failure.text


def test_a_problem_of_the_run_fails_in_junit() -> None:
    made = finished([result(corpus().cases[CWR], Kind.PASS)])
    made.add(Problem(id="read/*", what="stale", text="It matches nothing.\nRemove it."))
    assert tags(made) == {CWR: None, "read/*": "failure"}


def hostile() -> Results:
    """A run in which everything that a subject can say is an attack."""
    said = {"difference": HOSTILE, "trace": HOSTILE, "stderr": HOSTILE, "advice": (HOSTILE,), "policies": (HOSTILE,)}
    known = Known(outcome="fail", reason=HOSTILE, link=HOSTILE)
    nobody = Result(id=HOSTILE, digest="sha256:" + "0" * 64, verdict=Kind.FAIL, unexpected=True, **said)
    made = finished(
        [
            result(corpus().cases[CWR], known=known, got=Got(what="value", value=HOSTILE), **said),
            nobody,
            msgspec.structs.replace(nobody, id="../../etc/passwd", got=Got(what="packets", packets=(b"E",))),
        ],
        subject=HOSTILE,
        kernel=HOSTILE,
        command=("tunproof", "check", HOSTILE),
        implementation=Implementation(name=HOSTILE, version=HOSTILE, language=HOSTILE, source="javascript:alert(1)"),
    )
    made.add(Problem(id=HOSTILE, what=HOSTILE, text=HOSTILE))
    return made


def test_hostile_text_is_text_in_junit() -> None:
    root = ET.fromstring(junit(*told(hostile())))  # noqa: S314 (ours)
    assert not list(root.iter("script"))
    assert [one.get("name") for one in root.iter("testcase")][1] == legible(HOSTILE)


# Markdown.


def rendered(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


def test_the_summary_has_counts_policies_quality_and_what_is_unexpected() -> None:
    made = finished(
        [
            *cwr().results.values(),
            result(some("write_batch/*", 1)[0], Kind.PASS, quality=0.5, policies=("joins sums",)),
        ]
    )
    made.add(Problem(id="read/x", what="stale", text="It is gone."))
    text = markdown(*told(made))
    assert f"| fail | {made.verdicts()['fail']} |" in text
    assert "- policy, seen in 1 cases: joins sums" in text
    assert "mean merge quality: 50%" in text
    assert f"- {CWR}: **fail**: packet 1, tcp.flags" in text
    assert "- read/x: **stale**: It is gone." in text
    page_of_it = rendered(text)
    assert page_of_it.count("<details>") == page_of_it.count("</details>") == min(5, made.verdicts()["fail"])
    assert "<th>verdict</th>" in page_of_it


def test_the_summary_ends_somewhere_and_says_where() -> None:
    made = finished(result(case, difference="x" * 10_000) for case in some("read/*", 80))
    text = markdown(*told(made))
    assert text.count("**fail**") == 50
    assert "… and 30 more" in text
    assert text.count("<details>") == 5
    assert len(text) < 100_000


def test_a_run_as_expected_says_so() -> None:
    text = markdown(*told(finished([result(corpus().cases[CWR], Kind.PASS)])))
    assert "as expected: 1 of 1 cases passed" in text
    assert "Unexpected" not in text


def test_hostile_text_is_text_in_markdown() -> None:
    fenced = msgspec.structs.replace(result(corpus().cases[CWR]), difference="````\n</details><script>x</script>\n```")
    broken = msgspec.structs.replace(fenced, id="x\n````\n<script>x</script>")
    for made in (hostile(), finished([fenced]), finished([broken])):
        found = rendered(markdown(*told(made)))
        assert "<script" not in found
        assert "<b>" not in found
        assert "href" not in found
        assert found.count("<details>") == found.count("</details>") > 0


# Evidence.


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        found.append((kind, data[at + 8 : at + length - 4]))
        at += length
    return found


def test_evidence_has_what_was_sent_expected_and_got() -> None:
    captures = dict(evidence(cwr(), corpus()))
    assert len(captures) == cwr().verdicts()["fail"]
    found = blocks(captures["read__tcp6__cwr-on-first-segment-only.pcapng"])
    names = [body[12:20].rstrip(b"\0") for kind, body in found if kind == 1]
    assert [name.rstrip(b"\0") for name in names] == [b"sent", b"expected", b"got"]
    interfaces = [struct.unpack_from("<I", body)[0] for kind, body in found if kind == 6]
    assert interfaces == [0, 1, 1, 1, 2, 2, 2]
    assert b"packet 1: tcp.flags at byte 53" in found[-2][1]


def test_tshark_opens_evidence(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed: captures were walked over by this test only")
    made = dict(evidence(cwr(), corpus()))
    path = tmp_path / "a.pcapng"
    for content in [*made.values(), *dict(evidence(hostile(), corpus())).values()]:
        path.write_bytes(content)
        fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment", "-e", "tcp.flags"]
        done = subprocess.run(
            [tshark, "-r", str(path), *fields], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout
    path.write_bytes(made["read__tcp6__cwr-on-first-segment-only.pcapng"])
    done = subprocess.run([tshark, "-r", str(path), *fields], capture_output=True, text=True, timeout=60, check=True)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["sent", *["expected"] * 3, *["got"] * 3]
    assert all(CWR in line[1] for line in lines)
    assert [line[2] for line in lines[4:]] == ["0x0090"] * 3


def test_no_id_names_a_file_outside_and_no_two_ids_the_same() -> None:
    nobody = hostile().results["../../etc/passwd"]
    made = finished([msgspec.structs.replace(nobody, id=one) for one in ("../../x", "a:b", "a_b", "a?b", "n" * 400)])
    names = [name for name, _ in evidence(made, corpus())]
    assert len(set(names)) == len(made.results)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{1,220}", name) for name in names)


def test_only_what_was_asked_and_not_passed_leaves_evidence() -> None:
    made = of_each_kind()
    kept = {Kind.FAIL, Kind.XFAIL, Kind.FLAKY, *TOLERATED, *(kind for kind, tag in TAGS.items() if tag == "error")}
    assert len(dict(evidence(made, corpus()))) == len(kept)


def test_a_comment_that_no_option_can_hold_is_cut_off() -> None:
    data = capture(["x"], [Captured(packet=b"E", comment="€" * 30_000, goes_in=True)])
    kind, body = blocks(data)[-1]
    code, length = struct.unpack_from("<HH", body, 24)
    assert (kind, code) == (6, 1)
    assert body[28 : 28 + length].decode() == "€" * (0xFFFF // 3)


# The page, without a browser.


def data_of(content: bytes) -> dict[str, object]:
    (found,) = re.findall(rb'<script id="data" type="application/json">(.*?)</script>', content, re.DOTALL)
    return json.loads(found)


def test_the_page_needs_nothing_else_and_forbids_itself_the_rest() -> None:
    text = page(told(cwr())).decode()
    assert "default-src 'none'" in html.unescape(text)
    assert not re.search(r"<(?:script|img|iframe)[^>]* src=|<link[^>]* href=\"(?!data:,)|url\(|@import", text)
    assert text.count("<script") == 2


def test_a_page_of_passes_stays_small() -> None:
    made = finished(result(case, Kind.PASS, quality=1.0) for case in corpus().cases.values())
    assert len(page(told(made, made, made))) < 2_000_000


def test_a_page_on_which_everything_is_wrong_stays_loadable() -> None:
    got = Got(what="packets", packets=(b"\x45" * 1500,) * 40)
    made = finished(result(case, difference="x" * 5000, got=got, stderr="y" * 9000) for case in corpus().cases.values())
    assert len(page(told(made))) < 20_000_000


def test_bytes_are_there_around_the_difference_only() -> None:
    case = next(case for case in corpus().select("read/*") if any(len(one) > 4000 for one in packets_of(case)))
    right = list(packets_of(case))
    right[0] = right[0][:1000] + bytes([right[0][1000] ^ 1]) + right[0][1001:]
    mismatches, mismatched = packets_beside(packets_of(case), right, exact=False)
    got = Got(what="packets", packets=tuple(right))
    made = finished([result(case, got=got, mismatches=mismatches, mismatched=mismatched)])
    (shown,) = page_data(told(made))["cases"]
    assert (shown["level"], shown["reach"]) == (case.level, case.reach)
    (pair,) = shown["of"]["0"]["pairs"]
    assert pair["start"] == 960
    assert pair["sizes"] == [len(right[0])] * 2
    assert [len(one) for one in pair["hex"]] == [192, 192]
    assert bytes.fromhex(pair["hex"][1]) == right[0][960:1056]


def test_several_streams_are_columns_and_a_case_that_one_did_not_run_is_none() -> None:
    two = finished([result(corpus().cases[CWR], Kind.PASS)], subject="other")
    found = page_data(told(cwr(), two))
    kinds = [kind for kind, _, _ in found["kinds"]]
    by_id = {one["id"]: one for one in found["cases"]}
    assert [kinds[at] for at in by_id[CWR]["v"]] == ["fail", "pass"]
    assert by_id[CWR]["u"] == [0]
    assert all(one["v"][1] is None for case_id, one in by_id.items() if case_id != CWR)
    assert list(by_id) == [case_id for case_id in corpus().cases if case_id in cwr().results]


def test_every_verdict_has_a_glyph_of_its_own() -> None:
    kinds = page_data(told(of_each_kind()))["kinds"]
    assert len({glyph for _, glyph, _ in kinds}) == len(Kind)


def test_hostile_text_ends_no_element_of_the_page() -> None:
    content = page(told(hostile()))
    assert content.count(b"<script") == 2
    assert content.count(b"</script") == 2
    assert b"alert(1)</script>" not in content
    assert b'href="javascript' not in content
    assert b"<b>&" not in content
    assert legible(HOSTILE) in {one["id"] for one in data_of(content)["cases"]}


def test_the_picture_of_a_cut_adds_up() -> None:
    made = finished(result(case, Kind.PASS) for case in corpus().cases.values())
    for one in page_data(told(made))["cases"]:
        cut = one.get("cut", {})
        if "segments" in cut and len(cut["segments"]) and cut["payload"] > 0 and one["id"].startswith("write_gso/"):
            assert sum(size * count for size, count in cut["segments"]) == cut["payload"], one["id"]


# Writing.


def test_all_reports_are_written_and_old_evidence_goes(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    written = write_reports(folder, Explanations(cwr(), corpus()))
    assert {path.name for path in folder.iterdir()} == {"index.html", "junit.xml", "summary.md", "evidence"}
    assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(list((folder / "evidence").iterdir())) == cwr().verdicts()["fail"]
    (folder / "results.jsonl").write_text("kept")
    one = msgspec.structs.replace(cwr().results[CWR])
    write_reports(folder, Explanations(finished([one]), corpus()))
    assert [path.name for path in (folder / "evidence").iterdir()] == ["read__tcp6__cwr-on-first-segment-only.pcapng"]
    write_reports(folder, Explanations(finished([result(corpus().cases[CWR], Kind.PASS)]), corpus()))
    assert {path.name for path in folder.iterdir()} == {"index.html", "junit.xml", "summary.md", "results.jsonl"}
    assert (folder / "results.jsonl").read_text() == "kept"


def test_a_page_of_several_runs_is_written_alone(tmp_path: Path) -> None:
    path = write_page(tmp_path / "new", [cwr(), finished([], subject="other")], corpus())
    assert list((tmp_path / "new").iterdir()) == [path]
    assert b"2 runs side by side" in path.read_bytes()
    with pytest.raises(UsageError, match="not a folder"):
        write_page(path, [cwr()], corpus())


def test_whatever_is_said_can_be_written(tmp_path: Path) -> None:
    for path in write_reports(tmp_path, Explanations(hostile(), corpus())):
        assert path.stat().st_size > 0


def test_a_report_that_cannot_be_written_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for place in (file, file / "below"):
        with pytest.raises(UsageError, match=re.escape(str(file))):
            write_reports(place, Explanations(cwr(), corpus()))

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device", str(path))

    write_reports(tmp_path / "there", Explanations(cwr(), corpus()))
    before = {path: path.read_bytes() for path in (tmp_path / "there").rglob("*") if path.is_file()}
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EnvironmentProblem, match="No space left"):
        write_reports(tmp_path / "there", Explanations(cwr(), corpus()))
    assert {path: path.read_bytes() for path in (tmp_path / "there").rglob("*") if path.is_file()} == before


def test_an_incomplete_stream_is_no_report(tmp_path: Path) -> None:
    with results_module.Writer(tmp_path / "results.jsonl") as writer:
        writer.write([cwr().run, *cwr().results.values()])
    with pytest.raises(UsageError, match="incomplete"):
        results_module.read(tmp_path)
    half = results_module.read(tmp_path, incomplete=True)
    assert "**incomplete**" in markdown(*told(half))
    assert b"it has not ended" in page(told(half))


@pytest.mark.parametrize("what", ["packets", "frames", "value"])
@pytest.mark.parametrize("mode", ["memory", "kernel"])
def test_no_bytes_that_came_out_break_a_report(what: str, mode: str) -> None:
    came = (
        b"",
        b"\x45",
        bytes(10),
        b"\x01" * 12,
        b"\xff" * 50,
        b"\x01\x05" + bytes(8) + b"\x60" + bytes(60),
        bytes.fromhex("01012800080014001000") + b"\x45" * 60,
    )
    got = Got(what=what, packets=() if what == "value" else came, value="zz" if what == "value" else "")
    cases = list(corpus().cases.values())[::3]
    made = finished((result(case, got=got, difference="wrong") for case in cases), mode=mode)
    assert page(told(made))
    assert junit(*told(made))
    assert list(evidence(made, corpus()))


def test_values_that_differ_are_shown_in_words() -> None:
    wrong = corpus().select("checksum/*")[0]
    made = finished([result(wrong, difference="expected 0x1, got 0x2", got=Got(what="value", value="2"))])
    assert explain(made.results[wrong.id], made.run, corpus()).got == "2"
    assert stream(OwnValues(), [wrong]).verdicts() == {"pass": 1}
