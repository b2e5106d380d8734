"""What GitHub runs: pinned actions, few permissions, and every Python that the package claims."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github").rglob("*.yml"))
PINNED = re.compile(r"[\w.-]+(?:/[\w.-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
IGNORED = re.compile(r"# zizmor: ignore\[[\w,-]+\](?P<reason>.*)")


def used(text: str) -> list[str]:
    """Return what stands behind each `uses:`, with its comment."""
    return re.findall(r"^[ -]*uses: *(.*?) *$", text, flags=re.MULTILINE)


def unpinned(text: str) -> list[str]:
    """Return the actions of others that are not pinned by commit, or do not say which release that is."""
    return [name for name in used(text) if not name.startswith("./") and not PINNED.fullmatch(name)]


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda path: path.name)
def test_actions_of_others_are_pinned_by_commit(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(used(text)) == text.count("uses:")
    assert unpinned(text) == []


@pytest.mark.parametrize(
    "name",
    [
        "actions/checkout@v6",
        "actions/checkout@d23441a48e516b6c34aea4fa41551a30e30af803",
        "actions/checkout@d23441a48e516b6c34aea4fa41551a30e30af803 # the newest",
        "actions/checkout@d23441a # v6.1.0",
        "docker://alpine:3",
    ],
)
def test_an_action_that_is_not_pinned_is_found(name: str) -> None:
    assert unpinned(f"steps:\n  - uses: {name}\n") == [name]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_no_more_than_its_jobs_say(path: Path) -> None:
    workflow: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"].values()) <= {"read"}
        checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda path: path.name)
def test_a_finding_that_is_ignored_has_a_reason(path: Path) -> None:
    for reason in IGNORED.findall(path.read_text("utf-8")):
        assert len(reason.split()) > 2


def test_every_python_that_is_claimed_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    claimed = [line.rpartition(" ")[2] for line in project["classifiers"] if re.search(r":: 3\.\d+$", line)]
    jobs = yaml.safe_load((ROOT / ".github/workflows/tunproof.yml").read_text("utf-8"))["jobs"]
    assert jobs["python"]["strategy"]["matrix"]["python"] == claimed
    assert project["requires-python"] == f">={claimed[0]}"


def test_hooks_run_what_make_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [one["repo"] for one in hooks] == ["local"], "a hook from elsewhere would have another version"
    entries = [hook["entry"].removeprefix(".venv/bin/") for hook in hooks[0]["hooks"]]
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    linted = re.findall(r"\$\(BIN\)/(.*)", recipe)
    assert [entry.split(" --force-exclude")[0] for entry in entries] == [
        line.removesuffix(" .").removesuffix(" --check") for line in linted
    ]
