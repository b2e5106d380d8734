"""Kernels that hang, panic, die, or send nonsense are results like others, and leave nothing behind."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import Result
from typer.testing import CliRunner

from common import fake_qemu
from tio.linux import KernelOutcome, Trait, Way, traits_of
from tunproof.cli.commands import app
from tunproof.corpus.load import load
from tunproof.errors import EnvironmentProblem
from tunproof.judge.verdict import Kind
from tunproof.kernel.probes import Probed, probe
from tunproof.lab import Device
from tunproof.lab.modelled import ModelDevice
from tunproof.matrix import accelerator, conduct, guests, machine, remote
from tunproof.matrix.conduct import BOOTS, CONSOLE, FINDINGS, HANDED, RESULT, TRACEBACK, Conducted, KernelResult, Wanted
from tunproof.matrix.examine import Handed, handed_over
from tunproof.matrix.kernels import NOTE, Kernel, Note
from tunproof.matrix.remote import RemoteKernel
from tunproof.runs.results import STREAM, read

CORPUS = load()
SELECT = "read/tcp4/*"
CASES = CORPUS.select(SELECT)


class Counting(ModelDevice):
    """Counts what it is asked."""

    asked = 0

    def send(self, frame: bytes, way: Way) -> KernelOutcome:
        self.asked += 1
        return super().send(frame, way)


def requests_of_probes(version: str) -> int:
    """How many requests come before those about cases."""
    device = Counting(traits_of(version))
    probe(device)
    return device.asked


class NoRoot:
    """In place of the archive for guests, which a fake does not read."""

    def of(self, _: Kernel) -> tuple[bytes, bytes]:
        return b"", b""


@pytest.fixture(autouse=True)
def _fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the fake in QEMU's place; at the end nothing of a run may be left."""
    programs, temporary = tmp_path / "programs", tmp_path / "temporary"
    programs.mkdir()
    temporary.mkdir()
    (programs / machine.QEMU).write_text(f'#!/bin/sh\nexec {sys.executable} {fake_qemu.__file__} "$@"\n')
    (programs / machine.QEMU).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(guests, "Initramfs", NoRoot)
    monkeypatch.setattr(accelerator, "_KVM", "/nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    yield
    assert list(temporary.iterdir()) == []
    assert list(running(tmp_path)) == []


def running(folder: Path) -> Iterator[int]:
    """Yield the fakes of a test that have not ended."""
    for note in folder.glob("*.boot*"):
        pid = int(note.name.rpartition("-")[2])
        if Path(f"/proc/{pid}").exists():
            yield pid


def fake(folder: Path, version: str, *boots: str) -> Kernel:
    image = folder / f"vmlinuz-{version}"
    image.write_text(json.dumps({"version": version, "boots": boots or ["well"]}))
    return Kernel(release=version, version=version, package="", image=image, modules=None)


def wanted(folder: Path, *, frames: int = 0) -> Wanted:
    return Wanted(corpus=CORPUS, cases=CASES, select=SELECT, frames=frames, seed=5, out=folder / "out")


def asked(folder: Path, *kernels: Kernel, frames: int = 0) -> list[KernelResult]:
    conducted = conduct.conduct(kernels, wanted(folder, frames=frames))
    assert not conducted.interrupted
    for one in conducted.results:
        assert msgspec.json.decode((folder / "out" / one.release / RESULT).read_bytes(), type=KernelResult) == one
    return conducted.results


def test_a_kernel_is_asked_everything(tmp_path: Path) -> None:
    [one] = asked(tmp_path, fake(tmp_path, "6.18.15"), frames=600)
    assert (one.problem, one.boots, one.disagree, one.unknown) == ("", 1, [], {})
    assert one.cases == len(CASES)
    assert one.frames is not None
    assert (one.frames.differences, one.frames.ended) == (0, "")
    assert one.frames.frames > 550
    folder = tmp_path / "out" / "6.18.15"
    assert read(folder / STREAM).end is not None
    assert (folder / CONSOLE).read_text() == "Linux version 6.18.15\n"
    handed = {one.id: one.reached for one in msgspec.json.decode((folder / HANDED).read_bytes(), type=list[Handed])}
    assert {one.releases for reached in handed.values() for one in reached} == {("6.18.15",)}
    (below, routed) = handed["read/tcp4/two-segments"]
    assert (below.wiring, below.offloads, routed.wiring) == ("readback", ("CSUM", "TSO4"), "forward")
    assert "read/tcp4/hdr-len-zero" not in handed


def test_a_kernel_that_dies_while_a_reader_is_asked_is_incomplete(tmp_path: Path) -> None:
    [one] = asked(tmp_path, fake(tmp_path, "6.18.15", f"die {requests_of_probes('6.18.15') + 1}"), frames=300)
    assert "it ended" in one.problem
    assert "running the cases that a reader may get" in one.problem
    assert one.agree > 0, "what it answered before is kept"
    assert one.frames is None
    assert not (tmp_path / "out" / "6.18.15" / HANDED).exists()


def test_a_wiring_that_a_guest_cannot_make_is_a_problem_of_that_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RemoteKernel, "ask", lambda *_: ["no lab here"])
    device = RemoteKernel.__new__(RemoteKernel)
    monkeypatch.setattr(RemoteKernel, "kernel", fake(tmp_path, "6.18.15"))
    with pytest.raises(EnvironmentProblem, match="no lab here"):
        handed_over(device, traits_of("6.18.15"), CASES)


def test_a_kernel_that_crashes_early_is_booted_again_and_all_consoles_are_kept(tmp_path: Path) -> None:
    [one] = asked(tmp_path, fake(tmp_path, "6.1.192", "crash", "well"))
    assert (one.problem, one.boots) == ("", 2)
    folder = tmp_path / "out" / "6.1.192"
    assert fake_qemu.PANIC in (folder / CONSOLE).read_text()
    assert fake_qemu.PANIC not in (folder / f"boot-2-{CONSOLE}").read_text()


def test_a_kernel_that_never_comes_up_is_given_up(tmp_path: Path) -> None:
    [one] = asked(tmp_path, fake(tmp_path, "6.1.192", "crash"))
    assert one.boots == BOOTS
    assert one.problem == f"it was booted {BOOTS} times and never came up: it ended: {fake_qemu.PANIC}"


@pytest.mark.parametrize(
    ("trouble", "problem"),
    [
        ("die", f"it ended: {fake_qemu.PANIC}"),
        ("hang", "it did not answer within 1 s"),
        ("close", "it closed its port but did not end"),
        ("nonsense", "it sent something invalid"),
    ],
)
@pytest.mark.parametrize("at", [3, requests_of_probes("7.3.4") + 8])
def test_a_guest_that_comes_to_grief_is_a_result_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, problem: str, at: int
) -> None:
    monkeypatch.setattr(remote, "_PATIENCE", 1.0)
    monkeypatch.setattr(machine, "_END_PATIENCE", 0.5)
    bad, good = asked(tmp_path, fake(tmp_path, "7.3.4", f"{trouble} {at}"), fake(tmp_path, "5.10.262"), frames=2000)
    assert problem in bad.problem
    assert bad.boots == 1, "it came up: booting it again would hide what it does"
    assert (bad.cases > 0) == (at > 3)
    assert (bad.frames is not None) == (at > 3)
    if bad.frames is not None:
        assert 0 < bad.frames.frames < 1900, "what it answered before is kept"
        assert "running the random frames" in bad.problem
    assert good.problem == ""
    assert good.frames is not None
    assert good.frames.differences == 0


def test_a_kernel_that_does_something_else_is_told(tmp_path: Path) -> None:
    [one] = asked(tmp_path, fake(tmp_path, "6.18.15", f"wrong {requests_of_probes('6.18.15')}"), frames=300)
    assert one.disagree
    assert one.frames is not None
    assert one.frames.differences > 0
    found = tmp_path / "out" / "6.18.15" / FINDINGS
    assert sorted(path.name for path in found.iterdir()) == sorted(one.frames.findings)


def test_a_kernel_whose_traits_cannot_be_found_out_is_not_asked_random_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_forwarding(device: Device) -> Probed:
        return replace(probe(device), unknown={Trait.TOTLEN0: "no forwarding here"})

    monkeypatch.setattr(conduct, "probe", no_forwarding)
    [one] = asked(tmp_path, fake(tmp_path, "6.18.15"), frames=300)
    assert one.problem == "traits that could not be determined: totlen0: no forwarding here"
    assert one.cases == len(CASES)
    assert one.frames is None


def test_a_console_that_is_flooded_is_kept_to_a_limit(tmp_path: Path) -> None:
    [one] = asked(tmp_path, fake(tmp_path, "6.18.15", "flood"))
    assert one.problem == ""
    text = (tmp_path / "out" / "6.18.15" / CONSOLE).read_text()
    assert len(text) < (1 << 20) + (1 << 16) + 100
    assert "bytes omitted]" in text


def test_ctrl_c_ends_guests_and_keeps_what_was_finished(tmp_path: Path) -> None:
    kernels = [fake(tmp_path, "6.18.15"), fake(tmp_path, "7.3.4", "hang 5"), fake(tmp_path, "6.1.192")]
    main = threading.main_thread().ident
    assert main is not None
    threads = []

    def interrupt(_: KernelResult) -> None:
        threads.append(threading.Thread(target=lambda: (time.sleep(1), signal.pthread_kill(main, signal.SIGINT))))
        threads[-1].start()

    started = time.monotonic()
    conducted: Conducted = conduct.conduct(kernels, wanted(tmp_path), jobs=1, done=interrupt)
    for one in threads:
        one.join()
    assert conducted.interrupted
    assert time.monotonic() - started < 30
    assert [(one.release, one.problem) for one in conducted.results] == [
        ("6.18.15", ""),
        ("7.3.4", "the run was interrupted"),
        ("6.1.192", "the run was interrupted"),
    ]
    assert conducted.results[0].cases == len(CASES)


def test_a_kernel_whose_results_cannot_be_written_keeps_no_other_from_its_turn(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "6.18.15").write_text("a file where the folder should be")
    kernels = [fake(tmp_path, "6.18.15"), fake(tmp_path, "7.3.4")]
    bad, good = conduct.conduct(kernels, wanted(tmp_path), jobs=1).results
    assert "is not a folder" in bad.problem
    assert (good.problem, good.cases) == ("", len(CASES))


def test_a_bug_of_ours_is_a_problem_with_one_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def falls_over(device: RemoteKernel) -> Probed:
        if device.kernel.release == "6.18.15":
            raise IndexError("beyond the end")
        return probe(device)

    monkeypatch.setattr(conduct, "probe", falls_over)
    bad, good = asked(tmp_path, fake(tmp_path, "6.18.15"), fake(tmp_path, "7.3.4"))
    assert "IndexError('beyond the end')" in bad.problem
    assert "falls_over" in (tmp_path / "out" / "6.18.15" / TRACEBACK).read_text()
    assert good.problem == ""


def test_nothing_of_an_earlier_run_is_taken_for_this_one(tmp_path: Path) -> None:
    image = fake(tmp_path, "6.18.15", f"wrong {requests_of_probes('6.18.15')}", "crash")
    [before] = asked(tmp_path, image, frames=300)
    assert before.differences
    [after] = asked(tmp_path, image)
    assert "never came up" in after.problem
    names = {path.name for path in (tmp_path / "out" / "6.18.15").iterdir()}
    assert names == {RESULT, CONSOLE, f"boot-2-{CONSOLE}", f"boot-3-{CONSOLE}"}


def test_another_kernel_than_the_one_that_was_meant_is_not_asked(tmp_path: Path) -> None:
    image = fake(tmp_path, "6.18.15")
    image.image.write_text(json.dumps({"version": "6.18.15", "boots": ["well"], "says": "5.10.262"}))
    [one] = asked(tmp_path, image)
    assert "the kernel that came up is 5.10.262" in one.problem
    assert one.cases == 0


def test_a_case_of_many_frames_is_one_case(tmp_path: Path) -> None:
    cases = CORPUS.select("write_batch/limits/tcp4-260-flows")
    many = replace(wanted(tmp_path), cases=cases, select="write_batch/limits/tcp4-260-flows")
    image = fake(tmp_path, "6.18.15", f"wrong {requests_of_probes('6.18.15')}")
    [one] = conduct.conduct([image], many).results
    assert (one.asked, one.agree, one.disagree) == (1, 0, [cases[0].id])


def test_cases_before_the_end_of_a_kernel_count_and_those_after_it_do_not(tmp_path: Path) -> None:
    everything = replace(wanted(tmp_path), cases=list(CORPUS.cases.values()), select="*")
    image = fake(tmp_path, "6.18.15", f"die {requests_of_probes('6.18.15') + 2}")
    [one] = conduct.conduct([image], everything).results
    assert one.problem.startswith(f"it ended: {fake_qemu.PANIC} (running the cases from ")
    assert 256 <= one.agree <= 512
    assert one.disagree == []
    results = read(tmp_path / "out" / "6.18.15" / STREAM).results.values()
    assert sum(result.verdict is Kind.PASS for result in results) == one.agree
    assert any("not run: it ended" in result.difference for result in results)


def test_a_flooded_console_still_ends_with_the_last_words(tmp_path: Path) -> None:
    [one] = asked(tmp_path, fake(tmp_path, "6.18.15", "flood 3"))
    assert one.problem == f"it ended: {fake_qemu.PANIC}"
    assert (tmp_path / "out" / "6.18.15" / CONSOLE).read_text().endswith(f"{fake_qemu.PANIC}\n")


def test_a_root_that_cannot_be_written_is_said_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Iterator[bytes]:
        raise OSError(12, "Cannot allocate memory")
        yield b""

    monkeypatch.setattr(NoRoot, "of", full)
    [one] = asked(tmp_path, fake(tmp_path, "6.18.15"))
    assert "no memory for the root of a guest: Cannot allocate memory" in one.problem


def test_a_machine_without_qemu_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EnvironmentProblem, match="apt-get install qemu-system-x86"):
        machine.ensure()


# The command ---------------------------------------------------------------------------------------------------------


def cached(folder: Path, *kernels: Kernel) -> Path:
    """Make a cache of fakes."""
    cache = folder / "cache"
    for one in kernels:
        place = cache / one.release
        (place / "lib").mkdir(parents=True)
        (place / "vmlinuz").write_bytes(one.image.read_bytes())
        note = Note(release=one.release, version=one.version, package="p 1", image="vmlinuz", modules="lib", bytes=1)
        (place / NOTE).write_bytes(msgspec.json.encode(note))
    return cache


def ran(folder: Path, *kernels: Kernel, words: tuple[str, ...] = ()) -> Result:
    """Run the command on a cache of fakes."""
    cache, report = cached(folder, *kernels), folder / "report"
    asks = ("--select", SELECT, "--frames", "300", "--cache", str(cache), "--report", str(report))
    return CliRunner().invoke(app, ["matrix", "run", *asks, *words])


def test_the_command_says_what_differs_and_why(tmp_path: Path) -> None:
    result = ran(tmp_path, fake(tmp_path, "7.3.4"), fake(tmp_path, "6.12.95"))
    assert result.exit_code == 0, result.output
    assert "min_gso_8" in result.output
    assert "6.12.95: " in result.output
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"6.12.95", "7.3.4", "cases.html", "index.html", "kernels.md", "matrix.json"}


def test_the_command_says_it_to_machines(tmp_path: Path) -> None:
    result = ran(tmp_path, fake(tmp_path, "7.3.4"), fake(tmp_path, "6.12.95"), words=("--json",))
    said = json.loads(result.stdout)
    assert [one["release"] for one in said["kernels"]] == ["6.12.95", "7.3.4"]
    assert said["unexplained"] == 0
    assert said["incomplete"] == []
    assert all(row["because"] for row in said["differing"])


@pytest.mark.parametrize(("trouble", "code"), [("wrong", 1), ("die", 3)])
def test_what_is_unexplained_and_what_is_incomplete_are_different_exit_codes(
    tmp_path: Path, trouble: str, code: int
) -> None:
    at = requests_of_probes("6.18.15")
    result = ran(tmp_path, fake(tmp_path, "6.18.15", f"{trouble} {at}"), fake(tmp_path, "7.3.4"))
    assert result.exit_code == code, result.output
    assert ("incomplete: it ended: " in result.output) == (trouble == "die")


def test_only_the_newest_package_of_a_release_is_asked(tmp_path: Path) -> None:
    cache = cached(tmp_path, fake(tmp_path, "6.18.15"))
    (cache / "6.18.15").rename(cache / "older")
    cached(tmp_path, fake(tmp_path, "6.18.15"))
    asks = ("--select", SELECT, "--frames", "0", "--cache", str(cache), "--report", str(tmp_path / "report"), "--json")
    result = CliRunner().invoke(app, ["matrix", "run", *asks])
    assert len(json.loads(result.stdout)["kernels"]) == 1
