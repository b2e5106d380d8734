"""What is committed, and what is not."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = {
    ".ci", ".clusterfuzzlite", ".github", ".gitignore", ".pre-commit-config.yaml", "ARCHITECTURE.md", "CHANGELOG.md",
    "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md", "action.yml", "constraints.txt", "corpora",
    "fuzz", "harness", "newsfragments", "pyproject.toml", "reference", "tests", "tools",
}  # fmt: skip
TESTS = ROOT / "tests"


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode not in {0, 1}:
        pytest.skip(f"not a git checkout: {done.stderr.strip()}")
    return done.stdout


def test_the_top_level_is_what_the_readme_says_and_little_else() -> None:
    assert {name.partition("/")[0] for name in git("ls-files").splitlines()} <= TOP


def test_no_registry_address_is_committed() -> None:
    assert git("grep", "-nIE", r"registry[+]http|index[-]url|https?://[^ \"]*/simple/", "--", ".", ":!tests/repo") == ""


def test_versions_are_pinned_by_name() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines
    assert all(line.partition("==")[2] for line in lines)


def test_modules_stay_small() -> None:
    """A module is one concern; over 450 lines it is probably two. Case authors and tests list, they do not argue."""
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("reference", "harness", "fuzz")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 450
    }
    assert long == {}


def named(readme: str) -> set[str]:
    """Return the folders and modules that a text names: words of code that end as those do."""
    return {word for code in re.findall(r"`([^`]+)`", readme) for word in code.split() if word.endswith(("/", ".py"))}


def test_what_the_readme_of_the_tests_names_exists() -> None:
    for name in named((TESTS / "README.md").read_text()):
        there = [path for path in (TESTS / name, ROOT / name) if path.exists()]
        assert there, name
        assert there[0].is_dir() == name.endswith("/"), name


def test_the_readme_of_the_tests_names_every_folder_and_helper() -> None:
    names = named((TESTS / "README.md").read_text())
    files = [Path(name) for name in git("ls-files", "tests").splitlines()]
    folders = {f"{path.parts[1]}/" for path in files if len(path.parts) > 2}
    units = {"/".join(path.parts[1:3]) + "/" for path in files if path.parts[1] == "unit"}
    helpers = {f"common/{path.name}" for path in files if path.parts[1] == "common" and path.name != "__init__.py"}
    assert folders | units | helpers <= names


def test_no_module_lies_loose_among_the_folders_of_tests() -> None:
    assert {path.name for path in TESTS.glob("*.py")} == {"conftest.py"}
    assert not list((TESTS / "unit").glob("*.py"))
