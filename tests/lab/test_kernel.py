"""`tunproof kernel`: the corpus through the running kernel."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from scapy.utils import checksum as scapy_checksum

from tio.linux import ABOUT, Delivered, Refused, Trait
from tunproof import lab
from tunproof.corpus.cases import ChecksumCase, Packets, ReadCase, WriteBatchCase
from tunproof.corpus.load import load
from tunproof.corpus.model import KernelLoses, KernelRefuses
from tunproof.judge.kernel import decide
from tunproof.judge.verdict import Kind
from tunproof.kernel.describe import regressions, tell
from tunproof.kernel.probes import PROBES, UNSEEN, Probed, running_kernel, running_traits
from tunproof.kernel.replay import Disagreement, prepare, replay
from tunproof.lab import Exchange
from tunproof.runs.kernel import heading, run_kernel, verify
from tunproof.runs.results import read

pytestmark = pytest.mark.lab

RUN = [sys.executable, "-m", "tunproof"]


def test_the_running_kernel_agrees_with_every_case() -> None:
    corpus = load()
    results, probed = verify(corpus)
    assert [(one.id, one.difference) for one in results.results.values() if one.unexpected] == []
    assert set(results.verdicts()) == {Kind.PASS, Kind.NOT_APPLICABLE}
    assert list(results.results) == list(corpus.cases)
    assert (results.run.kernel, results.run.exact) == (os.uname().release, True)
    assert set(results.run.traits) == probed.traits


def test_the_json_has_the_promised_keys_and_exit_code_0() -> None:
    done = subprocess.run([*RUN, "kernel", "--json"], capture_output=True, text=True, timeout=60, check=False)
    result = json.loads(done.stdout)
    assert done.returncode == 0
    keys = {"kernel", "cases", "agree", "disagree", "not_applicable", "seconds"}
    assert set(result) == keys | {"traits", "regressions", "unknown", "unseen"}
    assert result["disagree"] == []
    assert result["agree"] + result["not_applicable"] == result["cases"] >= 80
    assert set(result["traits"]) == running_traits()
    assert set(result["unseen"]) == set(UNSEEN)
    for regression in result["regressions"]:
        assert set(regression) == {"name", "means", "effect", "commit", "fixed"}
        assert regression["name"] in result["traits"]


def planted(case_id: str, **changes: object) -> ReadCase:
    case = load().cases[case_id]
    assert isinstance(case, ReadCase)
    return msgspec.structs.replace(case, **changes)


def explained(case: ReadCase) -> str:
    questions, _ = prepare([case], running_traits())
    with lab.redirect() as pair:
        (disagreement,) = replay(Exchange(pair), questions)
    return decide(disagreement.expected, disagreement.got).difference


def test_a_wrong_byte_is_found_and_named() -> None:
    case = load().cases["read/tcp4/two-segments"]
    assert isinstance(case.expect, Packets)
    first, second = case.expect.packets
    wrong = second[:24] + b"\xde\xad\xbe\xef" + second[28:]
    text = explained(planted(case.id, expect=Packets(packets=(first, wrong))))
    assert text.startswith("packet 1, tcp.sequence at byte 24: expected 3735928559, got 16909068")
    assert "[de][ad][be][ef]" in text


def test_a_missing_and_an_extra_segment_are_found() -> None:
    case = load().cases["read/tcp6/two-segments"]
    assert isinstance(case.expect, Packets)
    first, second = case.expect.packets
    assert "number of packets" in explained(planted(case.id, expect=Packets(packets=(first,))))
    assert "number of packets" in explained(planted(case.id, expect=Packets(packets=(first, second, second))))


def test_other_outcomes_are_told_apart() -> None:
    refused = explained(planted("read/tcp4/two-segments", kernel=(KernelRefuses(errno="EINVAL"),)))
    assert refused == "expected write refused with EINVAL, got 2 packets (48, 48 bytes)"
    lost = explained(planted("read/vnet-faults/gso-size-zero-tcp4", kernel=(KernelLoses(),)))
    assert lost == "expected accepted and lost, got write refused with EINVAL"


def test_a_wrong_answer_does_not_taint_the_next_case() -> None:
    case = load().cases["read/tcp4/two-segments"]
    assert isinstance(case.expect, Packets)
    wrong = planted(case.id, expect=Packets(packets=case.expect.packets[:1]))
    questions, _ = prepare([wrong, case, wrong, case], running_traits())
    with lab.redirect() as pair:
        assert [item.case.expect for item in replay(Exchange(pair), questions)] == [wrong.expect, wrong.expect]


def test_the_trait_decides_what_a_kernel_must_answer() -> None:
    case = load().cases["read/udp4/two-datagrams"]
    (with_uso,), _ = prepare([case], frozenset({"uso"}))
    (without,), _ = prepare([case], frozenset())
    assert isinstance(with_uso.expected, Delivered)
    assert len(with_uso.expected.packets) == with_uso.hint == 2
    assert without.expected == Refused(errno.EINVAL)


def test_a_batch_is_put_to_a_kernel_frame_by_frame() -> None:
    case = next(
        case for case in load().cases.values() if isinstance(case, WriteBatchCase) and len(case.expect.ideal) > 1
    )
    questions, _ = prepare([case], running_traits())
    assert [question.frame for question in questions] == list(case.expect.example)


def test_a_checksum_is_put_to_a_kernel_as_a_packet_to_complete() -> None:
    """By scapy: the kernel stores the complement of the sum in front of the data."""
    case = next(case for case in load().cases.values() if isinstance(case, ChecksumCase) and len(case.input.data) > 40)
    (question,), _ = prepare([case], frozenset())
    data = case.input.initial.to_bytes(2, "big") + case.input.data
    assert question.frame[30:] == data
    assert isinstance(question.expected, Delivered)
    stored = int.from_bytes(question.expected.packets[0][20:22], "big")
    assert stored == (scapy_checksum(data) or 0xFFFF)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_nothing_behind(ending: signal.Signals, tmp_path: Path) -> None:
    """No process, no thread, no file; its namespace goes with its fds (`test_lab_namespace` counts those)."""
    with subprocess.Popen([*RUN, "bench"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        deadline = time.monotonic() + 30
        while not tun_fds(running.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert tun_fds(running.pid)
        running.send_signal(ending)
        _, complaint = running.communicate(timeout=30)
    assert running.returncode == (130 if ending is signal.SIGINT else -signal.SIGKILL)
    assert complaint == (b"tunproof: interrupted; no process is left behind\n" if ending is signal.SIGINT else b"")
    assert list(tmp_path.iterdir()) == []
    assert children_of(running.pid) == []


def tun_fds(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target == "/dev/net/tun":
            found.append(link.name)
    return found


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found.append(int(stat.parent.name))
    return found


def test_a_selection_with_nothing_to_ask_is_a_usage_error() -> None:
    done = subprocess.run(
        [*RUN, "kernel", "--select", "write_gso/refusals/empty-*"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "nothing reaches a kernel" in done.stderr


def test_all_traits_of_the_running_kernel_are_known() -> None:
    running_kernel.cache_clear()
    probed = running_kernel()
    assert probed.unknown == {}
    assert probed.traits <= set(PROBES)


def test_a_kernel_that_has_lost_nothing_is_told_with_its_traits_and_regressions() -> None:
    """A regression alone is no disagreement: the exit code is 0."""
    command = [*RUN, "kernel", "--select", "read/tcp4/*"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    shown = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    probed = running_kernel()
    ordinary = [trait for trait in PROBES if trait in probed.traits and not ABOUT[trait].regression]
    assert shown["has"] == f"has      {', '.join(ordinary)}"
    assert os.uname().release.partition("-")[0] in shown["release"]
    for trait in regressions(probed):
        assert tell(trait) in done.stdout


CURRENT = {"uso", "uso_128", "csum_start_floor", "tso_csum_checked", "nocsum_min_len", "long_frames"}


def test_the_running_kernel_has_the_traits_of_a_current_one() -> None:
    """What came after 6.12 is in some kernels and not in others; what came before is in all."""
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 12):
        assert running_traits() >= CURRENT


def test_the_reports_of_a_kernel_stand_beside_those_of_an_implementation(tmp_path: Path) -> None:
    for words in (["kernel", "--report", "kernel"], ["check", "--report", "reference", "reference"]):
        subprocess.run([*RUN, *words, "--select", "read/tcp4/*"], cwd=tmp_path, check=True, capture_output=True)
    stream = read(tmp_path / "kernel")
    assert stream.end is not None
    assert (stream.run.mode, stream.end.unexpected) == ("kernel", 0)
    assert set(stream.run.traits) == running_traits()
    command = [*RUN, "report", "kernel", "reference", "--out", "both"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    page = (tmp_path / "both" / "index.html").read_text()
    assert f"Linux {os.uname().release}" in page
    assert "reference" in page


def test_a_kernel_that_is_wrong_fails_in_its_stream() -> None:
    (case,) = load().select("read/tcp4/two-segments")
    got = Delivered((b"E" * 40,))
    wrong = Disagreement(case, Delivered(case.expect.packets), got)
    run = heading("6.1", Probed(frozenset({Trait.USO}), {}), [case], load(), case.id)
    results = run_kernel(run, [case], lambda _: [wrong], lambda *_: None)
    (result,) = results.results.values()
    assert (result.verdict, result.unexpected, result.got.packets) == (Kind.FAIL, True, got.packets)
    assert (result.mismatches[0].expected, result.mismatches[0].got) == (case.expect.packets[0], got.packets[0])
    assert result.mismatched == 2
    assert results.end.unexpected == 1
