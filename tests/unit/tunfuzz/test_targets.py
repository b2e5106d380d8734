"""The fuzz targets without atheris: they hold for their seeds, can fail, and replay a file."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tio import HeaderError
from tio.checksum import adjust, checksum, complete_checksum
from tio.linux import Delivered, Model
from tio.segment import segment
from tunfuzz import invariants
from tunfuzz.targets import TARGETS, crashes, seeds
from tunfuzz.targets.command import fuzz_target
from tunfuzz.targets.driver import Crash, Fuzzer, How, dictionary_of, seeds_of
from tunproof.errors import CorpusError, EnvironmentProblem, UsageError
from tunproof.protocol.messages import OkReply
from tunproof.subjects.adapters.process import BrokenError


@pytest.mark.parametrize("name", TARGETS)
def test_an_invariant_holds_for_the_seeds(name: str) -> None:
    paths = seeds_of(TARGETS[name])
    assert 10 <= len(paths) <= 40
    for path in paths:
        TARGETS[name].check(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_an_invariant_holds_for_hardly_any_bytes(name: str) -> None:
    for data in (b"", b"\0", b"\xff", bytes(60), b"\xff" * 60):
        TARGETS[name].check(data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_docstring_begins_with_the_invariant(name: str) -> None:
    assert TARGETS[name].invariant.endswith((".", ";"))
    assert len(TARGETS[name].invariant) > 40


def test_every_target_has_a_dictionary() -> None:
    assert all(dictionary_of(target) for target in TARGETS.values())


def test_the_seeds_follow_from_the_corpus() -> None:
    """`python -m tunfuzz.targets.seeds --write` makes them anew."""
    there = {
        str(path.relative_to(seeds.FOLDER)): path.read_bytes() for path in seeds.FOLDER.rglob("*") if path.is_file()
    }
    assert there == seeds.made()
    assert sum(map(len, there.values())) < 300_000


class WrongHeader(importlib.import_module("tio.virtio").VnetHeader):  # type: ignore[misc]
    def emit(self, *, size: int = 10, byte_order: str = "little") -> bytes:
        return bytes(super().emit(size=size, byte_order="little"))


def wrong_segment(frame: bytes, *, byte_order: str) -> list[bytes]:
    return [packet[:-1] + b"\0" for packet in segment(frame, byte_order=byte_order)]


def refused_segment(frame: bytes, *, byte_order: str) -> list[bytes]:
    segment(frame, byte_order=byte_order)
    raise HeaderError("R4", "vnet.gso_type", 1, 0, "for no reason")


def refused(*_: object, **__: object) -> None:
    raise RecursionError("maximum recursion depth exceeded")


BUGS: list[tuple[str, str, object]] = [
    ("header", "VnetHeader", WrongHeader),
    ("checksum", "checksum", lambda data, initial=0: checksum(data, initial) % 0xFFFF),
    ("checksum", "adjust", lambda partial, old, new: adjust(partial, new, old)),
    ("checksum", "pseudo_header_sum", lambda addresses, _, length: checksum(addresses, length)),
    ("checksum", "finish", lambda total, **_: ~total & 0xFFFF),
    ("complete_checksum", "complete_checksum", lambda packet, start, _: complete_checksum(packet, start, 0)),
    ("segment", "segment", wrong_segment),
    ("segment", "segment", refused_segment),
    ("corpus", "load_file", refused),
    ("replies", "outcome_of", refused),
]


@pytest.mark.parametrize(("name", "what", "bug"), BUGS)
def test_a_target_can_fail(name: str, what: str, bug: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TARGETS[name].load(), what, bug)
    assert failures(name)


def test_coalesce_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    right = invariants.tio.coalesce
    monkeypatch.setattr(invariants.tio, "coalesce", lambda packets: right(packets)[::-1])
    assert failures("coalesce")


@pytest.mark.parametrize("outcome", [Delivered(()), Delivered((bytes(5000),)), None])
def test_predict_can_fail(outcome: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "predict", lambda *_: outcome)
    assert failures("predict")


def test_predict_fails_for_a_model_that_changes_its_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(range(1, 100_000))
    monkeypatch.setattr(Model, "predict", lambda *_: Delivered((bytes(next(answers) % 2),)))
    assert failures("predict")


def failures(name: str) -> list[str]:
    """Return what the seeds of a target show."""
    found = []
    for path in seeds_of(TARGETS[name]):
        try:
            TARGETS[name].check(path.read_bytes())
        except (AssertionError, RecursionError) as error:
            found.append(str(error))
    return found


def test_typed_errors_are_no_findings_and_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, replies = TARGETS["corpus"].load(), TARGETS["replies"].load()
    monkeypatch.setattr(corpus, "load_file", raising(CorpusError("f", "-", "-", "r")))
    corpus.check(b"{}")
    monkeypatch.setattr(corpus, "load_file", raising(KeyError("x")))
    with pytest.raises(KeyError):
        corpus.check(b"{}")
    monkeypatch.setattr(replies.Client, "run", raising(BrokenError("hang", "says nothing")))
    with pytest.raises(AssertionError, match="hang"):
        replies.check(b"\1\0" + msgspec.json.encode(OkReply(id=1)))


def raising(error: Exception) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


def test_a_file_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_target("segment", seeds_of(TARGETS["segment"])[0]) == 0
    assert "holds" in capsys.readouterr().out


def test_a_file_that_breaks_the_invariant_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TARGETS["segment"].load(), "segment", raising(ZeroDivisionError("by accident")))
    assert fuzz_target("segment", seeds_of(TARGETS["segment"])[0]) == 1
    assert "ZeroDivisionError: by accident" in capsys.readouterr().out
    assert fuzz_target("segment", seeds_of(TARGETS["segment"])[0], as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "ZeroDivisionError: by accident"


def test_a_finding_is_replayed_from_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crash = Crash(b"\x40" + bytes(10), How.BROKEN, "AssertionError: it was so", "log")
    folder = crashes.keep(tmp_path, TARGETS["header"], crash, seed=7)
    assert crashes.data_of(folder) == crashes.data_of(folder / "finding.json") == crash.data
    assert f"tunproof fuzz header {folder}" in (folder / "repro.txt").read_text()
    assert fuzz_target("header", folder) == 0
    assert "11 bytes: holds" in capsys.readouterr().out


def test_wrong_use_says_what_is_right(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are header, checksum"):
        fuzz_target("heder")
    with pytest.raises(UsageError, match="No such file"):
        fuzz_target("header", tmp_path / "nothing")
    with pytest.raises(UsageError, match="not a folder"):
        fuzz_target("header", grow=tmp_path / "nothing")


def test_without_atheris_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'tunproof\[fuzz\]'"):
        Fuzzer(TARGETS["header"], seconds=1)
