"""Findings on disk: whole or not at all, once each, and never silently lost."""

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from scapy.layers.inet import TCP

from tunproof.corpus.cases import Case, Packets, ReadCase
from tunproof.corpus.codec import decoder
from tunproof.corpus.model import digest_of
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.packets.builder import ip4, payload, pieces, superpacket
from tunproof.runs import findings
from tunproof.runs.findings import Finding, in_folder, keep, load

FRAME = superpacket(ip4() / TCP(flags="PA"), payload(20), gso_size=8)
PACKET = FRAME[10:]
DELIVERED = {"outcome": "delivered", "packets": [PACKET.hex()]}
REFUSED = {"outcome": "refused", "errno": "EINVAL"}


def found(**changes: object) -> Finding:
    usual = {
        "kind": "kernel",
        "title": "csum_start in the IP header: the model refuses, the kernel delivers",
        "rule": "2.4 csum_start floor",
        "operation": "read",
        "input": {"frame": FRAME.hex()},
        "expected": REFUSED,
        "got": DELIVERED,
        "repro": f"tunproof fuzz kernel --frame {FRAME.hex()}",
        "kernel": "6.18.44",
    }
    return Finding(**(usual | changes))  # type: ignore[arg-type]


def test_a_finding_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    finding = found(seed=7, case_number=9, flags=("Basic",), traits=("uso",), way={"forwarded": False, "reader": None})
    folder = keep(tmp_path / "deep" / "out", finding)
    assert folder.name == f"kernel-2-4-csum-start-floor-{finding.digest[:8]}"
    assert load(folder) == load(folder / "finding.json") == finding
    assert in_folder(tmp_path / "deep" / "out") == [folder]


def test_the_same_is_kept_once_whatever_is_said_of_it(tmp_path: Path) -> None:
    first = keep(tmp_path, found())
    before = first.stat().st_ino
    assert keep(tmp_path, found(title="other words", got=REFUSED, seed=3, kernel="7.1")) == first
    assert first.stat().st_ino == before
    assert load(first).title == found().title
    others = [found(rule="x"), found(input={"frame": "00"}), found(way={"forwarded": True}), found(kind="target")]
    assert len({keep(tmp_path, other) for other in others} | {first}) == len(others) + 1


def test_what_is_known_better_takes_the_place_of_what_was_known(tmp_path: Path) -> None:
    other = keep(tmp_path, found(rule="another"))
    first = keep(tmp_path, found(details="as it was met"))
    same = keep(tmp_path, found(details="only now and then"), instead_of=first)
    assert same == first
    assert load(first).details == "only now and then"
    assert "only now and then" in (first / "repro.txt").read_text()
    smaller = keep(tmp_path, found(input={"frame": FRAME[:-1].hex()}), instead_of=first)
    assert sorted(tmp_path.iterdir()) == sorted([other, smaller])
    assert keep(tmp_path, found(input={"frame": FRAME[:-1].hex()}), instead_of=tmp_path / "gone") == smaller


def test_what_was_known_stays_where_the_better_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = keep(tmp_path, found())
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    fails_with(errno.ENOSPC, monkeypatch)
    for better in (found(details="the same, better said"), found(input={"frame": "00"})):
        with pytest.raises(EnvironmentProblem, match="No space left"):
            keep(tmp_path, better, instead_of=first)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before
    assert list(tmp_path.iterdir()) == [first]


def test_the_text_says_what_was_expected_what_was_got_and_how_to_repeat_it(tmp_path: Path) -> None:
    text = (keep(tmp_path, found(details="a trace\x1b[31m")) / "repro.txt").read_text()
    for line in ("expected  refused with EINVAL", "got       delivered 1 packet (60 bytes)", found().repro, "a trace"):
        assert line in text
    assert "\x1b" not in text


def test_the_case_is_one_of_the_corpus(tmp_path: Path) -> None:
    folder = keep(tmp_path, found(expected=DELIVERED, got={"outcome": "lost"}))
    case = decoder(Case).decode((folder / "case.json").read_bytes())
    assert isinstance(case, ReadCase)
    assert case.id == "read/found/2-4-csum-start-floor"
    assert case.expect == Packets(packets=(PACKET,))
    assert case.digest == digest_of(case.input, case.expect)


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": ""},
        {"way": {"forwarded": True}},
        {"way": {"header_size": 12}},
        {"way": {"reader": 1}},
    ],
)
def test_what_no_case_can_say_has_no_case(tmp_path: Path, changes: dict[str, object]) -> None:
    folder = keep(tmp_path, found(**changes))
    assert not (folder / "case.json").exists()
    assert (folder / "frames.pcapng").exists()


def captured(folder: Path) -> list[tuple[str, str, str]]:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "frame.len", "-e", "frame.comment"]
    command = [tshark, "-r", str(folder / "frames.pcapng"), *fields]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]  # type: ignore[misc]


def test_tshark_shows_what_was_sent_expected_and_got(tmp_path: Path) -> None:
    lines = captured(keep(tmp_path, found(expected={"outcome": "delivered", "packets": [PACKET.hex()[:80]]})))
    assert [line[:2] for line in lines] == [("sent", "60"), ("expected", "40"), ("got", "60")]
    assert "gso_size 8" in lines[0][2]


def test_tshark_shows_what_a_reader_with_a_vnet_header_got(tmp_path: Path) -> None:
    way = {"reader": 3, "reader_header_size": 12, "header_size": 10}
    got = {"outcome": "delivered", "packets": [(FRAME[:10] + bytes(2) + PACKET).hex()]}
    lines = captured(keep(tmp_path, found(way=way, got=got)))
    assert [line[:2] for line in lines] == [("sent", "60"), ("got", "60")]
    assert "gso_size 8" in lines[1][2]


def test_tshark_shows_a_write_gso_joined_and_frames_without_their_header(tmp_path: Path) -> None:
    made = pieces(ip4() / TCP(), [payload(8), payload(5)])
    given = {"hdr": made.hdr.hex(), "transport_hdr": made.transport_hdr.hex(), "pays": [pay.hex() for pay in made.pays]}
    got = {"outcome": "written", "frames": [FRAME.hex(), "not hex"]}
    lines = captured(keep(tmp_path, found(operation="write_gso", kind="adapter", input=given, got=got)))
    assert [line[:2] for line in lines] == [("sent", "53"), ("got", "60")]


def test_without_packets_there_is_no_capture(tmp_path: Path) -> None:
    folder = keep(tmp_path, found(operation="checksum", input={"data": "00"}, got=REFUSED))
    assert not (folder / "frames.pcapng").exists()


def fails_with(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(findings.os, "fsync", refuse)


def test_a_full_disk_loses_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(errno.ENOSPC, monkeypatch)
    with pytest.raises(EnvironmentProblem) as caught:
        keep(tmp_path, found())
    for text in (str(tmp_path), "No space left", "free some space", "--out", found().repro, FRAME.hex(), found().title):
        assert text in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_input_too_long_for_a_message_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(errno.EDQUOT, monkeypatch)
    with pytest.raises(EnvironmentProblem) as caught:
        keep(tmp_path, found(input={"frame": "ab" * 60000}, repro="again"))
    assert 2000 < len(str(caught.value)) < 2500


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    out = tmp_path / "file"
    out.write_text("mine")
    for path in (out, out / "below"):
        with pytest.raises(EnvironmentProblem, match="is a file") as caught:
            keep(path, found())
        assert str(path) in str(caught.value)
    assert out.read_text() == "mine"
    assert in_folder(out) == []


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(EnvironmentProblem, match=r"/proc/nowhere: .*(?s:.*)name a folder that you may write to"):
        keep(Path("/proc/nowhere"), found())


def killed_writer(out: Path) -> None:
    """Keep a finding, and be killed when the first file has been written."""
    findings.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[attr-defined]
    keep(out, found())


def test_a_killed_writer_leaves_nothing_that_looks_like_a_finding(tmp_path: Path) -> None:
    writer = multiprocessing.get_context("fork").Process(target=killed_writer, args=(tmp_path,))
    writer.start()
    writer.join(20)
    assert writer.exitcode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".tmp-")
    assert in_folder(tmp_path) == []
    folder = keep(tmp_path, found())
    assert sorted(tmp_path.iterdir()) == sorted([left, folder])  # it may still be in use
    os.utime(left, (0, 0))
    other = keep(tmp_path, found(rule="another"))
    assert sorted(tmp_path.iterdir()) == sorted([folder, other])


def many_times(out: Path) -> None:
    for number in range(20):
        keep(out, found(rule=f"rule {number}"))


def test_workers_that_find_the_same_do_not_disturb_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=many_times, args=(tmp_path,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(in_folder(tmp_path)) == len(list(tmp_path.iterdir())) == 20
    assert all(load(folder).operation == "read" for folder in in_folder(tmp_path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b'{"format": 1, "kind": "ker', "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"[]", "damaged"),
        (b'{"kind": "kernel"}', "title"),
    ],
)
def test_a_damaged_finding_is_refused_with_file_and_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "finding.json").write_bytes(content)
    with pytest.raises(UsageError, match=reason) as caught:
        load(tmp_path)
    assert str(tmp_path / "finding.json") in str(caught.value)


def test_unknown_kinds_keys_and_formats_are_refused(tmp_path: Path) -> None:
    plain = msgspec.to_builtins(found())
    for change, reason in (({"kind": "hunch"}, "kind"), ({"odd": 1}, "odd"), ({"format": 2}, "reads format 1")):
        (tmp_path / "finding.json").write_bytes(msgspec.json.encode(plain | change))
        with pytest.raises(UsageError, match=reason):
            load(tmp_path)


def test_a_finding_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere: No such file"):
        load(tmp_path / "nowhere")


def test_hot_loops_can_import_it_without_scapy() -> None:
    code = "import sys, tunproof.runs.findings; sys.exit('scapy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
