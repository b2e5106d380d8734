"""What is committed, and what is not."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = {
    ".ci", ".clusterfuzzlite", ".github", ".gitignore", ".pre-commit-config.yaml", "ARCHITECTURE.md", "CHANGELOG.md",
    "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md", "action.yml", "constraints.txt", "corpora",
    "fuzz", "harness", "newsfragments", "pyproject.toml", "reference", "tests",
}  # fmt: skip


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode not in {0, 1}:
        pytest.skip(f"not a git checkout: {done.stderr.strip()}")
    return done.stdout


def test_the_top_level_is_what_the_readme_says_and_little_else() -> None:
    assert {name.partition("/")[0] for name in git("ls-files").splitlines()} <= TOP


def test_no_registry_address_is_committed() -> None:
    assert git("grep", "-nIE", r"registry\+http|index-url|https?://[^ \"]*/simple/", "--", ".", ":!tests/repo") == ""


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
