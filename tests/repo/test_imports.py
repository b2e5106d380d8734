"""Imports point one way: tio knows nobody, tunproof knows tio, tunfuzz knows both."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"tio": "reference/tio", "tunproof": "harness/tunproof", "tunfuzz": "fuzz/tunfuzz"}
ALLOWED = {"tio": {"tio"}, "tunproof": {"tio", "tunproof"}, "tunfuzz": {"tio", "tunproof", "tunfuzz"}}
HOT = ["harness/tunproof/kernel.py", "harness/tunproof/lab/exchange.py", "harness/tunproof/reference.py"]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may_know(package: str) -> None:
    for path in (ROOT / PACKAGES[package]).rglob("*.py"):
        assert not {name for name in imported(path) if name in PACKAGES} - ALLOWED[package], path


def test_the_reference_needs_the_standard_library_only() -> None:
    for path in (ROOT / PACKAGES["tio"]).rglob("*.py"):
        assert set(imported(path)) <= {"tio", *sys.stdlib_module_names}, path


@pytest.mark.parametrize("module", HOT)
def test_scapy_stays_out_of_hot_loops(module: str) -> None:
    assert "scapy" not in set(imported(ROOT / module))
