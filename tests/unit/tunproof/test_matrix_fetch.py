"""Kernels enter the cache whole or not at all, through an apt that is given only its own folders."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.fake_archive import FakeArchive
from tunproof.errors import EnvironmentProblem
from tunproof.matrix.fetch import Fetched, fetch
from tunproof.matrix.kernels import NOTE, in_cache
from tunproof.matrix.suites import Bases, bases, sources, state, suites

OLD, NEW = "6.12.95+deb13-cloud-amd64", "7.3.4+deb13-cloud-amd64"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeArchive:
    archive = FakeArchive(tmp_path / "archive", monkeypatch)
    archive.add_whole("trixie", OLD, "6.12.95-1")
    archive.add_split("trixie-backports", NEW, "7.3.4-1~bpo13+1")
    return archive


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """A cache; whatever a test did, nothing half-made is left in it."""
    cache = tmp_path / "cache"
    yield cache
    assert not list(cache.glob(".making-*"))
    assert all((folder / NOTE).exists() for folder in cache.glob("[!.a]*"))


def one(cache: Path, word: str, *, refresh: bool = False) -> Fetched:
    ((result,), _) = fetch([word], cache, refresh=refresh)
    return result


def test_a_kernel_in_one_package_is_unpacked_and_only_what_is_needed_is_kept(archive: FakeArchive, cache: Path) -> None:
    kernel = one(cache, "6.12").kernel
    assert kernel is not None
    assert (kernel.release, kernel.version, kernel.package) == (OLD, "6.12.95", f"linux-image-{OLD} 6.12.95-1")
    folder = cache / f"{OLD}_6.12.95-1"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "kernel.json",
        "vmlinuz",
        f"lib/modules/{OLD}/kernel/drivers/net/tun.ko",
    }
    assert in_cache(cache) == [kernel]


def test_a_kernel_in_four_packages_is_put_together(archive: FakeArchive, cache: Path) -> None:
    kernel = one(cache, "7.3").kernel
    assert kernel is not None
    assert kernel.modules is not None
    assert kernel.image.parent == cache / f"{NEW}_7.3.4-1~bpo13+1"
    assert (kernel.modules / "kernel/drivers/net/tun.ko.xz").read_bytes() == b"tun"
    assert (kernel.modules / "modules.builtin").exists()
    assert not (kernel.modules / "vmlinuz").exists()


def test_what_is_there_costs_nothing(archive: FakeArchive, cache: Path) -> None:
    results, _ = fetch(["7.3", "6.12", "7.3"], cache)
    assert [result.new for result in results] == [True, True]
    assert not (cache / "apt/downloads").exists()
    archive.say("calls", "")
    results, asked = fetch(["7.3", "6.12", "6.12.95", f"linux-image-{OLD}", NEW], cache)
    assert [result.new for result in results] == [False] * 5
    assert asked == ()
    assert (archive.folder / "calls").read_text() == ""
    assert [kernel.version for kernel in in_cache(cache)] == ["6.12.95", "7.3.4"]


def test_lists_are_read_once_a_day_and_when_asked(archive: FakeArchive, cache: Path) -> None:
    one(cache, "6.12")
    one(cache, "7.3")
    assert len(archive.calls("update")) == 1
    yesterday = time.time() - 25 * 3600
    os.utime(cache / "apt/offer.json", (yesterday, yesterday))
    one(cache, "6.99")
    assert len(archive.calls("update")) == 2
    assert "--refresh" in one(cache, "6.98").cure  # today's lists are not reread needlessly
    assert len(archive.calls("update")) == 2
    archive.add_whole("trixie-security", "6.12.96+deb13-cloud-amd64", "6.12.96-1")
    assert one(cache, "6.12").kernel == in_cache(cache)[0]
    newer = one(cache, "6.12", refresh=True)
    assert newer.new
    assert newer.kernel is not None
    assert newer.kernel.version == "6.12.96"
    assert not one(cache, "6.12", refresh=True).new
    assert len(archive.calls("download")) == 3


def test_the_machine_s_apt_is_not_touched(archive: FakeArchive, cache: Path) -> None:
    archive.say("machine", "bookworm|main|http://mirror.example/debian/|Debian\n")
    one(cache, "6.12")
    asked, *ours = (archive.folder / "calls").read_text().splitlines()
    assert asked.startswith("indextargets ")  # the one query of the machine's own configuration
    assert all(call.startswith(f"-c {cache}/apt/apt.conf ") for call in ours)
    assert {call.split()[4] for call in ours} == {"update", "indextargets", "download"}
    configuration = dict(
        line.rstrip(";").split(" ", 1) for line in (cache / "apt/apt.conf").read_text().splitlines() if line[0] in "ADF"
    )
    for key in ("State", "State::lists", "State::status", "Cache", "Cache::archives", "Log", "Etc::sourcelist"):
        assert configuration[f"Dir::{key}"].startswith(f'"{cache}/apt/')
    for key in ("sourceparts", "preferences", "preferencesparts", "trusted", "trustedparts"):
        assert configuration[f"Dir::Etc::{key}"] == '"/dev/null"'
    assert configuration["APT::Get::AllowUnauthenticated"] == '"false"'
    lines = (cache / "apt/sources.list").read_text().splitlines()
    assert len(lines) == len(suites())
    assert all(f"signed-by={archive.keys}/debian-archive-keyring.gpg" in line for line in lines)
    assert "trusted=" not in "".join(lines)
    assert {line.split()[-3] for line in lines if "-security" not in line} == {"http://mirror.example/debian"}


def test_only_the_archived_suite_may_be_older_than_it_says() -> None:
    lines = sources(Bases(), [Path("/keys")]).splitlines()
    assert {line.split()[5] for line in lines if "check-valid-until=no" in line} == {
        "bullseye", "bullseye-security", "bullseye-backports"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("", Bases()),
        ("nonsense\na|b\n", Bases()),
        (
            "trixie|main|https://a.example/debian/|\ntrixie-security|main|https://b.example/debian-security/|\n",
            Bases("https://a.example/debian", "https://b.example/debian-security"),
        ),
        ("bookworm|stable|https://docker.example/linux/debian/|Docker\n", Bases()),
        ("noble|main|http://ubuntu.example/ubuntu/|Ubuntu\n", Bases()),
        ("trixie|main|cdrom:[Debian]/|Debian\n", Bases()),
        (
            "trixie|main|https://x.example/tool/debian/|\nstable|main|https://y.example/debian/|\n",
            Bases("https://y.example/debian"),
        ),
        ("sid|main|https://x.example/debian/|\nsid|main|mirror+file:/m|Debian\n", Bases("mirror+file:/m")),
    ],
)
def test_the_machine_s_mirror_is_used_and_nobody_else_s(targets: str, expected: Bases) -> None:
    assert bases(targets) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", "empty"),
        ("E: The repository 'http://a/debian sid Release' does not have a Release file.", "missing"),
        ("E: The repository 'http://a/debian sid-x Release' does not have a Release file.", "empty"),
        pytest.param(
            "W: GPG error: http://a/debian sid InRelease: The public key is not available: NO_PUBKEY 0E98404D386FA1D9\n"
            "E: The repository 'http://a/debian sid InRelease' is not signed.",
            "unverified",
        ),
        ("E: Release file for http://a/debian/dists/sid/InRelease is expired (invalid since 3d).", "unverified"),
        ("W: Failed to fetch http://a/debian/dists/sid/InRelease  Could not resolve 'a'", "unreachable"),
    ],
)
def test_why_a_suite_is_not_there(said: str, expected: str) -> None:
    suite = state("sid", listed=False, said=said)
    assert suite.state == expected
    assert bool(suite.cure()) == (expected in {"unverified", "unreachable"})
    assert state("sid", listed=True, said=said).state == "there"


def test_a_suite_that_is_gone_keeps_no_other_from_coming(archive: FakeArchive, cache: Path) -> None:
    archive.say(
        "update", "E: The repository 'http://a/debian bullseye-backports Release' does not have a Release file.\n"
    )
    (result,), asked = fetch(["6.12"], cache)
    assert result.kernel is not None
    states = {suite.name: suite.state for suite in asked}
    assert (states["bullseye-backports"], states["trixie"], states["sid"]) == ("missing", "there", "empty")


def test_a_suite_that_cannot_be_verified_is_part_of_the_cure(archive: FakeArchive, cache: Path) -> None:
    archive.say("update", "E: The repository 'http://a/debian sid InRelease' is not signed.\n")
    (there, gone), _ = fetch(["6.12", "7.9"], cache)
    assert there.kernel is not None
    assert "gone from the archive; there are the series 6.12, 7.3" in gone.problem
    assert "sid" in gone.cure
    assert "debian-archive-keyring" in gone.cure


def test_a_package_that_was_replaced_is_looked_for_again_and_then_given_up(archive: FakeArchive, cache: Path) -> None:
    one(cache, "6.12")
    archive.add_whole("sid", "6.13.1-cloud-amd64", "6.13.1-1").unlink()
    result = one(cache, "6.13", refresh=True)
    assert "gone from the archive" in result.problem
    assert "--kernel" in result.cure
    updates = len(archive.calls("update"))
    (archive.folder / "lists/sid").unlink()
    archive.add_whole("sid", "6.13.2-cloud-amd64", "6.13.2-1")
    kernel = one(cache, "6.13").kernel  # by lists of today that still have the first one
    assert kernel is not None
    assert kernel.version == "6.13.2"
    assert len(archive.calls("update")) == updates + 1


@pytest.mark.parametrize(
    ("said", "problem", "cure"),
    [
        ("E: Failed to fetch x  Write error - write (28: No space left on device)", "no space", "--cache"),
        ("E: Failed to fetch x  Temporary failure resolving 'a'", "cannot be reached", "network"),
        ("E: Failed to fetch x  Hash Sum mismatch", "discarded", "again"),
        ("E: Something else", "Something else", "apt"),
    ],
)
def test_a_download_that_fails_is_named_with_its_cure(
    archive: FakeArchive, cache: Path, said: str, problem: str, cure: str
) -> None:
    one(cache, "7.3")
    archive.say("refuse", said)
    (there, failed), _ = fetch(["7.3", "6.12"], cache)
    assert there.kernel is not None
    assert failed.kernel is None
    assert problem in failed.problem
    assert cure in failed.cure


def test_lists_that_do_not_fit_are_no_lists(archive: FakeArchive, cache: Path) -> None:
    archive.say("update", "E: Write error - write (28: No space left on device)\n")
    assert "no space" in one(cache, "6.12").problem
    assert not (cache / "apt/offer.json").exists()


def test_without_a_network_all_are_missing_and_apt_is_asked_once(archive: FakeArchive, cache: Path) -> None:
    for suite in (archive.folder / "lists").iterdir():
        suite.unlink()
    archive.say("update", "W: Failed to fetch http://a/dists/sid/InRelease  Could not connect to a:80\n")
    results, _ = fetch(["6.12", "7.3"], cache)
    assert all("cannot be reached" in result.problem for result in results)
    assert len(archive.calls("update")) == 1


def test_an_unpacking_that_stops_midway_leaves_nothing(archive: FakeArchive, cache: Path) -> None:
    archive.say("unpack", "dpkg-deb: error: write: No space left on device")
    assert "no space" in one(cache, "7.3").problem
    assert in_cache(cache) == []
    assert not (cache / "apt/downloads").exists()  # the space is worth more than resuming
    (archive.folder / "unpack").unlink()
    assert one(cache, "7.3").kernel is not None


def test_what_was_killed_midway_is_not_taken_for_whole_and_goes(archive: FakeArchive, cache: Path) -> None:
    whole = one(cache, "6.12").kernel
    assert whole is not None
    left = cache / ".making-dead" / "kernel"
    left.parent.mkdir()
    whole.image.parent.rename(left)
    assert in_cache(cache) == []
    again = one(cache, "6.12")
    assert again.new
    assert not left.exists()


@pytest.mark.parametrize("gone", ["vmlinuz", "lib", NOTE])
def test_a_damaged_kernel_is_fetched_again(archive: FakeArchive, cache: Path, gone: str) -> None:
    kernel = one(cache, "6.12").kernel
    assert kernel is not None
    folder = kernel.image.parent
    (folder / gone).rename(cache.parent / "gone")
    assert in_cache(cache) == []
    assert one(cache, "6.12").kernel == kernel
    assert in_cache(cache) == [kernel]


def test_a_download_that_was_spoilt_is_never_unpacked(archive: FakeArchive, cache: Path) -> None:
    """apt takes a file of the right size for right: ours is looked at again."""
    deb = archive.folder / "pool" / f"linux-image-{OLD}_6.12.95-1_amd64.deb"
    downloads = cache / "apt/downloads"
    downloads.mkdir(parents=True)
    (downloads / deb.name).write_bytes(bytes(deb.stat().st_size))
    assert one(cache, "6.12").kernel is not None
    deb.write_bytes(bytes(deb.stat().st_size))
    archive.add_whole("sid", "6.13.1-cloud-amd64", "6.13.1-1").write_bytes(bytes(deb.stat().st_size))
    assert "discarded" in one(cache, "6.13", refresh=True).problem
    assert not list(downloads.glob("*"))


def test_a_kernel_that_is_another_one_is_refused(archive: FakeArchive, cache: Path) -> None:
    archive.add_whole("sid", "6.13.1-cloud-amd64", "6.13.1-1", says="6.13.0")
    assert "contains the kernel 6.13.0" in one(cache, "6.13").problem
    archive.add("sid", "linux-image-6.14.1-amd64", "6.14.1-1", {"boot/README": b"moved"})
    assert "unknown layout" in one(cache, "6.14", refresh=True).problem


def test_a_kernel_that_is_there_in_part_only_is_named_as_gone(archive: FakeArchive, cache: Path) -> None:
    needs = "linux-modules-6.19.14-cloud-amd64 (= 6.19.14-1)"
    archive.add("sid", "linux-image-6.19.14-cloud-amd64", "6.19.14-1", {}, depends=needs)
    problem = one(cache, "6.19").problem
    assert problem.startswith("6.19: linux-modules-6.19.14-cloud-amd64 is gone from the archive; there are the series")
    assert archive.calls("download") == []


@pytest.mark.parametrize(("free", "says"), [(1 << 20, "no space"), (1 << 40, "no progress for")])
def test_an_apt_that_waits_for_ever_is_ended(
    archive: FakeArchive, cache: Path, monkeypatch: pytest.MonkeyPatch, free: int, says: str
) -> None:
    """As apt's `update` does on a full disk."""
    one(cache, "7.3")
    monkeypatch.setattr("tunproof.matrix.apt._STALL", 2.0)
    monkeypatch.setattr("tunproof.matrix.apt._STALL_FULL", 2.0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 0, free))  # type: ignore[attr-defined]
    archive.say("hang", "")
    assert says in one(cache, "6.12").problem
    with pytest.raises(ProcessLookupError):
        os.kill(int((archive.folder / "hanging").read_text()), 0)


def test_without_room_for_lists_none_are_read(
    archive: FakeArchive, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 0, 1 << 20))  # type: ignore[attr-defined]
    assert "no space" in one(cache, "6.12").problem
    assert archive.calls("update") == []


def test_without_apt_what_is_there_is_there(archive: FakeArchive, cache: Path) -> None:
    one(cache, "6.12")
    (archive.folder / "bin/apt-get").unlink()
    (there, missing), _ = fetch(["6.12", "7.3"], cache)
    assert there.kernel is not None
    assert "apt-get is missing" in missing.problem
    assert "--kernel" in missing.cure


def test_without_debian_s_keys_nothing_is_fetched(archive: FakeArchive, cache: Path) -> None:
    (archive.keys / "debian-archive-keyring.gpg").unlink()
    result = one(cache, "6.12")
    assert "verification" in result.problem
    assert "debian-archive-keyring" in result.cure
    assert archive.calls("update") == []


def test_a_cache_that_cannot_be_made_is_a_problem_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match="--cache"):
        fetch(["6.12"], tmp_path / "file")


START = """
import sys
from pathlib import Path
from tunproof.matrix import suites
suites._KEYRINGS = Path(sys.argv.pop(1))
from tunproof.cli import main
main()
"""


def command(archive: FakeArchive, cache: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", START, str(archive.keys), "matrix", "fetch", "--cache", str(cache), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_apt_and_leaves_nothing_half_made(archive: FakeArchive, cache: Path) -> None:
    archive.say("hang", "")
    with command(archive, cache, "6.12") as process:
        deadline = time.monotonic() + 60
        while not (archive.folder / "hanging").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        other = command(archive, cache, "7.3")
        _, error = other.communicate(timeout=60)
        assert (other.returncode, "in use by another process" in error) == (3, True)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in error
    with pytest.raises(ProcessLookupError):
        os.kill(int((archive.folder / "hanging").read_text()), 0)
    assert in_cache(cache) == []
    (archive.folder / "hang").unlink()
    assert one(cache, "6.12").kernel is not None


def test_the_command_fetches_what_it_can_and_names_the_rest(archive: FakeArchive, cache: Path) -> None:
    with command(archive, cache, "6.12", "6.16", "7.3") as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    lines = output.splitlines()
    assert lines[0].startswith(f"6.12  linux-image-{OLD} 6.12.95-1  (")
    assert lines[1].startswith("missing: 6.16: gone from the archive; there are the series 6.12, 7.3")
    assert lines[2].startswith(f"7.3  linux-image-{NEW} 7.3.4-1~bpo13+1  (")
    assert lines[-1] == f"2 of 3 kernels are in {cache}"
    with command(archive, cache, "--json", "7.3", "6.16") as process:
        output, _ = process.communicate(timeout=60)
    answer = json.loads(output)
    assert process.returncode == 3
    assert [(kernel["wish"], kernel["release"], kernel["new"]) for kernel in answer["kernels"]] == [("7.3", NEW, False)]
    assert Path(answer["kernels"][0]["image"]).is_file()
    assert [missing["wish"] for missing in answer["missing"]] == ["6.16"]
    assert answer["suites"]["trixie"] == "there"


def test_the_command_ends_well_and_refuses_nonsense(archive: FakeArchive, cache: Path) -> None:
    with command(archive, cache, "6.12") as process:
        process.communicate(timeout=60)
    assert process.returncode == 0
    with command(archive, cache, "newest") as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "'newest' does not name a kernel" in error
