"""News fragments: each has a known type and says something, and one about a verdict names its cases."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tunproof.corpus.cases import OPERATIONS

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]
TYPES = {one["directory"]: one["name"] for one in SETTINGS["type"]}
FOLDER = ROOT / SETTINGS["directory"]
FRAGMENTS = sorted(path for path in FOLDER.iterdir() if path.name != "README.md")
CASES = re.compile(rf"`(?:{'|'.join(OPERATIONS)})/\S+`")
MARKER = "<!-- towncrier release notes start -->\n"


def flaws(name: str, text: str) -> list[str]:
    """Return what is wrong with a fragment of this file name."""
    fits = re.fullmatch(r"(?:\d+|\+[a-z0-9-]+)\.([a-z]+)(?:\.\d+)?\.md", name)
    found = [] if fits else ["its name is not NUMBER.TYPE.md or +WORD.TYPE.md"]
    kind = fits[1] if fits else ""
    if fits and kind not in TYPES:
        found.append(f"there is no type {kind!r}")
    if not text.strip():
        found.append("it is empty")
    if kind == "verdict" and not CASES.search(text):
        found.append("it names no case")
    return found


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_one(path: Path) -> None:
    assert flaws(path.name, path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("+word.rumour.md", "Something changed."),
        ("word.misc.md", "Something changed."),
        ("+word.misc.txt", "Something changed."),
        ("12.feature.md", " \n"),
        ("+word.verdict.md", "Some case fails now."),
    ],
)
def test_a_flaw_is_found(name: str, text: str) -> None:
    assert len(flaws(name, text)) == 1


def test_a_verdict_names_a_case_or_a_glob_of_cases() -> None:
    for named in ("`read/tcp4/two-segments`", "`write_gso/*`"):
        assert flaws("12.verdict.md", f"{named} fails now.") == []


def test_the_types_are_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", (FOLDER / "README.md").read_text("utf-8"), flags=re.MULTILINE)
    assert explained == list(TYPES)


def test_the_changelog_has_a_place_for_them() -> None:
    text = (ROOT / SETTINGS["filename"]).read_text("utf-8")
    assert text.count(MARKER) == 1
    assert f"**{TYPES['verdict']}**" in text


def test_a_release_would_say_them() -> None:
    pytest.importorskip("towncrier", reason="towncrier is not installed")
    build = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "1.2.3", "--date", "2026-01-02"]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## 1.2.3 (2026-01-02)\n")
    kinds = {path.name.split(".")[1] for path in FRAGMENTS}
    assert re.findall("^### (.*)$", done.stdout, flags=re.MULTILINE) == [TYPES[kind] for kind in TYPES if kind in kinds]
