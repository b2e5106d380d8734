"""`make peers`: what is pinned, what is skipped and why, and that neither a skip nor a broken adapter looks green."""

import fnmatch
import os
import tomllib
import zipfile
from pathlib import Path

import pytest

from peers.build import BuildFailed, Built, Skipped, build
from peers.ledger import Entry, complaints
from peers.recipe import PEERS, Peer, load, load_all
from peers.run import main
from tunproof.corpus.load import load as load_corpus
from tunproof.judge.verdict import Kind, Signature
from tunproof.protocol.messages import MODES, OPS
from tunproof.runs.results import Cause

CORPUS = load_corpus()
RECIPE = """
package = "{package}"
version = "{version}"
ecosystem = "{ecosystem}"
toolchain = "{toolchain}"
ops = ["checksum"]
modes = ["memory"]
source = "https://example.org/tun"
issues = "https://example.org/tun/issues"
"""
FAKE_GO = """#!/bin/sh
echo "$GOTOOLCHAIN $*" >> calls
case "$1" in
    env) echo go1.24.5 ;;
    list) {list} ;;
    build) {build} ;;
    version) printf "\\tdep\\t%s\\t%s\\n" example.org/tun v1.2.3 golang.org/x/sys v0.9.0 ;;
esac
"""
METADATA = "Metadata-Version: 2.1\nName: mine\nVersion: 1.2.3\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
ADAPTER = """
from kit import Rejected, checksum, serve

serve({"implementation": {"name": "mine", "version": "1", "language": "Python"}, "capabilities": [],
       "modes": ["memory"]}, {"checksum": checksum})
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder that is all of the PATH, but for the shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def fake_go(programs, *, list_="true", build_="true"):
    path = programs / "go"
    path.write_text(FAKE_GO.format(list=list_, build=build_))
    path.chmod(0o755)


def peer(tmp_path: Path, ecosystem: str = "go", toolchain: str = "1.23", name: str = "mine") -> Peer:
    folder = tmp_path / "peers" / name
    folder.mkdir(parents=True)
    package, version = ("mine", "1.2.3") if ecosystem == "pip" else ("example.org/tun", "v1.2.3")
    recipe = RECIPE.format(ecosystem=ecosystem, toolchain=toolchain, package=package, version=version)
    (folder / "peer.toml").write_text(recipe)
    (folder / "ledger.toml").write_text("")
    return load(folder)


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "cache" / "mine" / "calls").read_text().splitlines()


@pytest.mark.parametrize("real", load_all(), ids=lambda one: one.name)
def test_a_manifest_pins_what_the_recipe_says(real: Peer) -> None:
    before = {"go": " ", "cargo": '"=', "pip": "=="}[real.ecosystem]
    lines = real.manifest.read_text().splitlines()
    for package, version in {real.package: real.version, **real.pins}.items():
        (pinned,) = [line for line in lines if f"{package} " in line.replace("=", " ")]
        assert f"{before}{version}" in pinned.rstrip('"') + " "
    assert set(real.ops) <= set(OPS)
    assert set(real.modes) <= set(MODES)


@pytest.mark.parametrize("real", load_all(), ids=lambda one: one.name)
def test_a_ledger_judges_each_entry_and_gives_no_case_that_makes_a_peer_panic(real: Peer) -> None:
    ledger = tomllib.loads((real.folder / "ledger.toml").read_text())
    assert ledger["resolved"][real.package] == real.version
    assert real.pins.items() <= ledger["resolved"].items()
    for entry in ledger.get("entry", []):
        assert entry["judged"] in {"true", "documented", "hardening"}
        assert {"where", "why", "upstream"} <= entry.keys()
        assert (entry["judged"] != "true") or entry["causes"]
        assert ("cases" in entry) != ("kind" in entry)
        known = [fnmatch.filter(CORPUS.cases, glob) for glob in entry.get("cases", ())]
        assert all(known), entry["cases"]


def cause(field: str, *, unexpected: bool = True) -> Cause:
    return Cause(
        operation="read",
        signature=Signature(relation="field-wrong", field=field),
        verdict=Kind.FAIL if unexpected else Kind.ADVISED,
        unexpected=unexpected,
        level="must",
        reach="kernel",
        cases=("read/tcp4/two-segments",),
        smallest="read/tcp4/two-segments",
    )


LEDGER = [
    Entry(("read: field-wrong tcp.flags", "read: field-wrong tcp.window"), "true", "It copies them."),
    Entry(("read: field-wrong ipv4.ttl",), "documented", "It says so."),
]


def test_a_ledger_and_a_run_agree_where_all_that_fails_is_true_and_found() -> None:
    assert list(complaints(LEDGER, [cause("tcp.flags"), cause("ipv4.ttl", unexpected=False)])) == []
    assert list(complaints(LEDGER, [cause("tcp.window"), cause("tcp.flags")])) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "judged true and not found: It copies them."),
        (
            [cause("tcp.flags"), cause("ipv4.ttl")],
            "read: field-wrong ipv4.ttl: fails the run, but is judged documented",
        ),
        ([cause("tcp.flags"), cause("udp.length")], "read: field-wrong udp.length: not in the ledger (1 cases"),
    ],
)
def test_a_ledger_and_a_run_that_differ_are_told(found: list[Cause], said: str) -> None:
    (text,) = complaints(LEDGER, found)
    assert text.startswith(said)


def test_every_folder_has_a_recipe() -> None:
    folders = {path for path in PEERS.iterdir() if path.is_dir()}
    assert folders == {one.folder for one in load_all()}


def test_a_recipe_with_an_unknown_key_or_without_one_is_refused(tmp_path: Path) -> None:
    path = peer(tmp_path).folder / "peer.toml"
    good = path.read_text()
    for text, named in ((good + "colour = 1\n", "colour"), (good.replace("issues", "#"), "issues")):
        path.write_text(text)
        with pytest.raises(ValueError, match=named):
            load(path.parent)
    path.write_text(good.replace('"go"', '"gem"'))
    with pytest.raises(ValueError, match="gem"):
        load(path.parent)


def test_a_missing_toolchain_is_a_skip(tmp_path: Path, programs: Path) -> None:
    with pytest.raises(Skipped, match="no Go"):
        build(peer(tmp_path), tmp_path / "cache")
    with pytest.raises(Skipped, match="no Rust"):
        build(peer(tmp_path, "cargo", name="other"), tmp_path / "cache")
    assert not list(programs.glob("go"))


def test_an_old_rust_or_python_is_a_skip(tmp_path: Path, programs: Path) -> None:
    for name in ("cargo", "rustc"):
        (programs / name).write_text("#!/bin/sh\necho rustc 1.80.0\n")
        (programs / name).chmod(0o755)
    with pytest.raises(Skipped, match=r"needs Rust 1\.91, and this is rustc 1\.80\.0"):
        build(peer(tmp_path, "cargo", "1.91"), tmp_path / "cache")
    with pytest.raises(Skipped, match=r"needs Python 9\.1"):
        build(peer(tmp_path, "pip", "9.1", name="other"), tmp_path / "cache")


def test_a_program_that_is_there_in_name_only_is_a_skip(tmp_path: Path, programs: Path) -> None:
    (programs / "go").write_text("#!/bin/sh\necho there is no such version >&2; exit 1\n")
    (programs / "go").chmod(0o755)
    with pytest.raises(Skipped, match="there is no such version"):
        build(peer(tmp_path), tmp_path / "cache")


def test_packages_that_are_not_to_be_had_are_a_skip_with_the_reason(tmp_path: Path, programs: Path) -> None:
    fake_go(programs, list_="echo looking >&2; echo connection refused >&2; exit 1")
    with pytest.raises(Skipped, match="connection refused"):
        build(peer(tmp_path), tmp_path / "cache")


def test_what_does_not_compile_is_no_skip(tmp_path: Path, programs: Path) -> None:
    fake_go(programs, build_="echo undefined: Serve >&2; exit 1")
    with pytest.raises(BuildFailed, match="undefined: Serve"):
        build(peer(tmp_path), tmp_path / "cache")


def test_a_build_has_the_kit_without_its_example_and_says_what_resolved(tmp_path: Path, programs: Path) -> None:
    fake_go(programs)
    built = build(peer(tmp_path), tmp_path / "cache")
    folder = tmp_path / "cache" / "mine"
    assert built == Built((str(folder / "adapter"),), {"example.org/tun": "v1.2.3", "golang.org/x/sys": "v0.9.0"})
    text = (folder / "adapter.go").read_text()
    assert "func Serve(" in text
    assert "func main(" not in text
    os.utime(folder / "adapter.go", (1, 1))
    build(load(tmp_path / "peers" / "mine"), tmp_path / "cache")
    assert (folder / "adapter.go").stat().st_mtime == 1, "compilers would build it again"


@pytest.mark.parametrize(("toolchain", "asked"), [("1.24", ""), ("1.24.5", ""), ("1.27.3", "go1.27.3")])
def test_a_newer_go_is_asked_for_only_where_it_is_needed(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch, toolchain: str, asked: str
) -> None:
    monkeypatch.delenv("GOTOOLCHAIN", raising=False)
    fake_go(programs)
    build(peer(tmp_path, toolchain=toolchain), tmp_path / "cache")
    assert [line.partition(" ")[0] for line in calls(tmp_path) if "list" in line or "build" in line] == [asked] * 2


def python_peer(tmp_path: Path, adapter: str = ADAPTER, requirements: str | None = None) -> Peer:
    """A peer whose package is a wheel with nothing in it, so that no registry is asked."""
    made = peer(tmp_path, "pip", "3.11")
    wheel = tmp_path / "mine-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name, text in {"METADATA": METADATA, "WHEEL": WHEEL, "RECORD": ""}.items():
            file.writestr(f"mine-1.2.3.dist-info/{name}", text)
    (made.folder / "requirements.txt").write_text(f"{wheel}\n" if requirements is None else requirements)
    (made.folder / "adapter.py").write_text(adapter)
    return made


def run(tmp_path: Path, *words: str) -> int:
    return main([*words, "--reports", str(tmp_path / "reports")], peers=tmp_path / "peers", cache=tmp_path / "cache")


def test_a_peer_is_built_and_checked_and_failures_in_its_ledger_do_not_break_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = python_peer(tmp_path, ADAPTER.replace("checksum}", "lambda data, initial: checksum(data, 0)}"))
    assert run(tmp_path) == 1
    assert "ledger: checksum: field-wrong: not in the ledger (9 cases" in capsys.readouterr().err
    (mine.folder / "ledger.toml").write_text(
        '[[entry]]\ncauses = ["checksum: field-wrong"]\ncases = ["checksum/initial/*"]\njudged = "true"\n'
        'where = "mine.py:1"\nwhy = "It forgets the initial sum."\nupstream = ""\n'
    )
    assert run(tmp_path) == 0
    said = capsys.readouterr().out
    assert "ledger: every cause that fails is judged true; 1 are, and all were found" in said
    assert "mine 1.2.3: built in" in said
    assert "memory: 48 pass, 9 fail" in said
    assert (tmp_path / "reports" / "mine-memory" / "results.jsonl").exists()
    assert (tmp_path / "cache" / "mine" / "resolved.json").read_text().startswith("{")


def test_a_package_that_pip_cannot_get_is_a_skip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    python_peer(tmp_path, requirements="no-such-package-at-all==1\n")
    assert run(tmp_path) == 3, "all was skipped: that is not green"
    assert "mine: skipped: its packages are not to be had here" in capsys.readouterr().out


def test_another_version_than_the_pinned_one_is_no_skip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = python_peer(tmp_path).folder / "peer.toml"
    path.write_text(path.read_text().replace("1.2.3", "1.2.4"))
    assert run(tmp_path) == 1
    assert "mine is pinned at 1.2.4, and resolved to 1.2.3" in capsys.readouterr().err


def test_a_broken_adapter_is_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python_peer(tmp_path, "raise SystemExit('not today')")
    assert run(tmp_path) == 1
    assert "memory: no verdict" in capsys.readouterr().err


def test_device_modes_are_skipped_without_a_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = python_peer(tmp_path)
    path = made.folder / "peer.toml"
    path.write_text(path.read_text().replace('"memory"', '"device-create"'))
    monkeypatch.setattr("peers.run._no_lab", lambda: "no TUN here")
    assert run(tmp_path) == 3
    assert "device-create: skipped: no TUN here" in capsys.readouterr().out


def test_build_only_builds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python_peer(tmp_path)
    assert run(tmp_path, "--build", "mine") == 0
    command = capsys.readouterr().out.rsplit(": ", 1)[1].split()
    assert command[1] == str(tmp_path / "cache" / "mine" / "adapter.py")
    assert not (tmp_path / "reports").exists()


def test_an_unknown_peer_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python_peer(tmp_path)
    assert run(tmp_path, "yours") == 2
    assert "no yours; there are mine" in capsys.readouterr().err
