"""The documents at the root that a newcomer looks for: short, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "newsfragments/README.md")
MOST_LINES = {"ARCHITECTURE.md": 350, "CONTRIBUTING.md": 90, "SECURITY.md": 50, "newsfragments/README.md": 50}


def anchors(text: str) -> set[str]:
    """Return the names by which GitHub links to the headings of a document."""
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    document = ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        found = document.parent / path if path else document
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text("utf-8")), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_short(name: str) -> None:
    assert len((ROOT / name).read_text("utf-8").splitlines()) <= MOST_LINES[name]


def test_the_readme_leads_to_them() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in DOCUMENTS[:3]:
        assert f"]({name})" in readme
