"""The public API is closed: `tunproof.__all__`, and nothing that the documents import beside it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tunproof

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", "harness/README.md", "ARCHITECTURE.md"]


@pytest.mark.parametrize("name", tunproof.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    found = getattr(tunproof, name)
    assert name == "__version__" or found.__doc__ or name == "Answer"  # a union has no docstring
    assert name in dir(tunproof)
    if name != "__version__":
        assert re.search(rf"\b{name}\b", tunproof.__doc__ or "")


def test_the_table_of_homes_and_the_list_are_the_same() -> None:
    assert set(tunproof._HOME) | {"__version__"} == set(tunproof.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'decide'"):
        _ = tunproof.decide  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, tunproof; print(*(name for name in sys.modules if name.startswith('tunproof')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"tunproof", "tunproof.version"}


def test_documents_import_public_names_only() -> None:
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        for module, names in re.findall(r"from (tunproof[\w.]*) import ([\w, ]+)", text):
            assert module == "tunproof", (document, module)
            assert set(names.replace(" ", "").split(",")) <= set(tunproof.__all__), document
