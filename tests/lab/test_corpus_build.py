"""Making the corpus: what authors, kernel, reference and scapy agree on, and nothing else."""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import TCP

from tunproof import lab
from tunproof.authoring import build as building
from tunproof.authoring.authors import drafts
from tunproof.authoring.draft import RECORDED, Draft, KernelRule, by_trait, refused
from tunproof.authoring.record import DisagreementError, Recorder
from tunproof.corpus.load import CORPORA, load
from tunproof.corpus.model import KernelDelivers, KernelSame, Reached
from tunproof.errors import CorpusError
from tunproof.kernel.probes import running_traits
from tunproof.lab import Exchange
from tunproof.packets.builder import frame, ip4, ip6, packet_bytes, payload
from tunproof.subjects.reference import Reference

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, bytes]:
    root = tmp_path_factory.mktemp("corpora")
    shutil.copytree(CORPORA, root, dirs_exist_ok=True)
    return building.build(root, confirm=False)


def placed(built: dict[Path, bytes], root: Path) -> dict[Path, bytes]:
    """The same files below another folder."""
    old = next(path for path in built if path.parent.name == "schema").parent.parent
    return {root / path.relative_to(old): content for path, content in built.items()}


def test_what_is_committed_is_what_the_authors_say(built: dict[Path, bytes]) -> None:
    root = CORPORA.resolve()
    assert building.differing(placed(built, root), root) == []


def test_building_twice_gives_the_same_bytes(built: dict[Path, bytes]) -> None:
    root = next(iter(built)).parent.parent.parent
    assert building.build(root, confirm=False) == built


def test_kernels_of_guests_are_named_where_the_case_is_the_one_that_they_passed(tmp_path: Path) -> None:
    shutil.copytree(CORPORA, tmp_path, dirs_exist_ok=True)
    one, other = load(tmp_path).select("checksum/*")[:2]
    passed = {(one.id, one.digest): frozenset({"9.9.9"}), (other.id, "sha256:" + 64 * "0"): frozenset({"9.9.9"})}
    building.write(
        building.build(tmp_path, topics="checksum/*", confirm=False, elsewhere=building.Elsewhere(passed=passed)),
        tmp_path,
        "checksum/*",
    )
    built = load(tmp_path).cases
    assert built[one.id].confirmed == tuple(sorted({*one.confirmed, "9.9.9"}))
    assert built[other.id].confirmed == other.confirmed


def test_kernels_of_guests_are_named_where_they_handed_over_the_case_as_it_is(tmp_path: Path) -> None:
    shutil.copytree(CORPORA, tmp_path, dirs_exist_ok=True)
    one, other = load(tmp_path).select("read/vnet-types/unknown-*")[:1] + load(tmp_path).select("read/udp4/*")[:1]
    theirs = (Reached(wiring="forward", offloads=("CSUM",), releases=("9.9.9",)),)
    handed = {(one.id, one.digest): theirs, (other.id, "sha256:" + 64 * "0"): theirs}
    elsewhere = building.Elsewhere(handed=handed)
    for topics in ("read/vnet-types", "read/udp4"):
        files = building.build(tmp_path, topics=topics, confirm=False, elsewhere=elsewhere)
        building.write(files, tmp_path, topics)
    built = load(tmp_path).cases
    assert (one.reach, built[one.id].reach, built[one.id].reached) == ("hostile", "kernel", theirs)
    assert built[one.id].digest == one.digest
    assert built[other.id] == other


def test_what_kernels_handed_over_is_recorded_anew_only_for_another_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The running kernel, which is one that the corpus does not know, is named where nothing else is."""
    shutil.copytree(CORPORA, tmp_path, dirs_exist_ok=True)
    here = os.uname()
    strange = os.uname_result((here.sysname, here.nodename, "6.99.0-other", here.version, here.machine))
    monkeypatch.setattr(os, "uname", lambda: strange)
    same, new = draft("read/plain/tcp4"), draft("read/plain/tcp6")
    other = replace(new, built=frame(packet_bytes(ip6() / TCP(flags="A") / payload(5))))
    monkeypatch.setattr(building, "drafts", lambda: [replace(same, about="Other words."), other])
    before = load(tmp_path).cases
    building.write(building.build(tmp_path, confirm=False), tmp_path)
    built = load(tmp_path).cases
    assert built[same.id].reached == before[same.id].reached
    assert [one.releases for one in built[new.id].reached] == [("6.99.0",), ("6.99.0",)]


def test_files_are_put_in_place_and_surplus_ones_go(built: dict[Path, bytes], tmp_path: Path) -> None:
    files = placed(built, tmp_path)
    (tmp_path / "golden" / "read").mkdir(parents=True)
    (tmp_path / "golden" / "read" / "retired.json").write_text("{}")
    assert len(building.differing(files, tmp_path)) == len(files) + 1
    building.write(files, tmp_path)
    assert building.differing(files, tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["golden", "schema"]
    assert len(load(tmp_path).cases) == len(load().cases)


def test_a_folder_that_cannot_be_written_leaves_the_old_corpus_whole(
    built: dict[Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(CORPORA, tmp_path, dirs_exist_ok=True)
    before = {path: path.read_bytes() for path in tmp_path.glob("golden/*/*.json")}
    files = dict.fromkeys(placed(built, tmp_path), b"{}")
    real = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "tcp4.json":
            raise OSError(28, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        building.write(files, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.glob("golden/*/*.json")} == before
    assert not list(tmp_path.glob(".building-*"))


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with lab.redirect() as pair, Reference() as reference:
        exchange = Exchange(pair)
        yield Recorder(exchange, running_traits(), reference)


def draft(case_id: str) -> Draft:
    (found,) = (one for one in drafts() if one.id == case_id)
    return found


def test_a_difference_that_nobody_declared_stops_the_build(recorder: Recorder) -> None:
    undeclared = replace(draft("read/packet-faults/ipv4-total-length-one-more"), differs=None)
    with pytest.raises(DisagreementError, match=r"kernel and reference differ\n.*rejects the frame\n.*3 packets"):
        recorder.record(undeclared)


def test_a_declared_difference_that_is_none_stops_the_build(recorder: Recorder) -> None:
    with pytest.raises(DisagreementError, match="they agree"):
        recorder.record(replace(draft("read/tcp4/two-segments"), differs="no reason"))


def test_a_declared_difference_is_recorded_with_both_outcomes(recorder: Recorder) -> None:
    case = recorder.record(draft("read/packet-faults/ipv4-total-length-one-more"))
    (answer,) = case.kernel
    assert isinstance(answer, KernelDelivers)
    assert len(answer.packets) == 3
    assert answer.because
    assert recorder.record(draft("read/tcp4/two-segments")).kernel == (KernelSame(),)


def test_scapy_has_a_say(recorder: Recorder) -> None:
    wrong = frame(packet_bytes(ip4() / TCP(chksum=0x1234) / payload(9)))
    with pytest.raises(DisagreementError, match=r"scapy disagrees about packet 0\npacket 0, tcp.checksum"):
        recorder.record(replace(draft("read/plain/tcp4"), built=wrong, sound=True))


def test_what_an_author_says_of_the_running_kernel_is_checked(recorder: Recorder) -> None:
    wrong = by_trait("csum_start_floor", yes=refused("EINVAL"), no=refused("EINVAL"))
    with pytest.raises(DisagreementError, match=r"author: write refused with EINVAL\n  kernel: 2 packets"):
        recorder.record(replace(draft("read/tcp4/two-segments"), kernels=wrong))


def test_another_kernels_answer_must_be_said_or_recorded_there(recorder: Recorder) -> None:
    unsaid = replace(draft("read/tcp4/two-segments"), kernels=by_trait("uso", yes=RECORDED, no=RECORDED))
    with pytest.raises(DisagreementError, match="record it first on a kernel with uso missing"):
        recorder.record(unsaid)
    said = replace(unsaid, kernels=by_trait("uso", yes=RECORDED, no=refused("EPERM")))
    elsewhere = recorder.record(said)
    assert recorder.record(unsaid, elsewhere) == elsewhere


def test_a_fault_without_a_valid_sibling_stops_the_build(recorder: Recorder) -> None:
    with pytest.raises(DisagreementError, match="must name its valid sibling"):
        recorder.record(replace(draft("read/vnet-faults/unknown-type-2"), sibling=None))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sibling": "read/tcp4/nobody"}, "does not exist"),
        ({"flags": ("NoSuchFlag",)}, "is not explained"),
        ({"kernels": (KernelRule({"no_such_trait": True}, RECORDED),)}, "is not in traits.py"),
    ],
)
def test_what_authors_refer_to_must_exist(
    change: dict[str, object], reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = replace(draft("read/tcp4/two-segments"), **change)  # type: ignore[arg-type]
    monkeypatch.setattr(building, "drafts", lambda: [one])
    with pytest.raises(CorpusError, match=reason):
        building.build(tmp_path)


def test_an_id_that_is_used_twice_stops_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = draft("read/tcp4/two-segments")
    monkeypatch.setattr(building, "drafts", lambda: [one, one])
    with pytest.raises(CorpusError, match="used twice"):
        building.build(tmp_path)


def test_a_build_that_is_killed_leaves_the_corpus_as_it_was(
    built: dict[Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any moment before the one step: all is as it was, and what was staged is out of the way of `load`."""
    shutil.copytree(CORPORA, tmp_path, dirs_exist_ok=True)
    before = {path: path.read_bytes() for path in tmp_path.glob("golden/*/*.json")}
    files = dict.fromkeys(placed(built, tmp_path), b"{}")
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(building, "exchange", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        building.write(files, tmp_path)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert {path: path.read_bytes() for path in tmp_path.glob("golden/*/*.json")} == before
    assert len(load(tmp_path).cases) == len(load().cases)
    (left,) = tmp_path.glob(".building-*")
    os.utime(left, (0, 0))
    building.write(placed(built, tmp_path), tmp_path)
    assert not list(tmp_path.glob(".building-*")), "a later build sweeps what an earlier one could not"


def test_a_check_on_another_kernel_finds_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kernel confirms is added by a build, and is no difference to a check."""
    here = os.uname()
    other = os.uname_result((here.sysname, here.nodename, "6.99.0-other", here.version, here.machine))
    monkeypatch.setattr(os, "uname", lambda: other)
    root = CORPORA.resolve()
    topics = "read/udp[46]"
    assert building.differing(building.build(root, topics=topics, confirm=False), root, topics) == []
    assert len(building.differing(building.build(root, topics=topics), root, topics)) == 2
