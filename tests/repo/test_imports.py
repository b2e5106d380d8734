"""Imports point one way: from tunfuzz to tunproof to tio, never back; inside tunproof they point down."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"tio": "reference/tio", "tunproof": "harness/tunproof", "tunfuzz": "fuzz/tunfuzz"}
ALLOWED = {"tio": {"tio"}, "tunproof": {"tio", "tunproof"}, "tunfuzz": {"tio", "tunproof", "tunfuzz"}}
HOT = ["kernel/replay.py", "lab/exchange.py", "subjects/reference.py"]

HARNESS = ROOT / PACKAGES["tunproof"]
RANKS = (
    {"errors", "version", "streams", "text"},
    {"packets"},
    {"corpus"},
    {"lab"},
    {"judge", "protocol"},
    {"kernel"},
    {"subjects"},
    {"runs"},
    {"reports", "authoring"},
    {"matrix", "testing"},
    {"cli"},
)
"""Rooms from the bottom to the top. A room imports from those below it and from itself, its neighbours not."""

SHIMS = {"conformance", "pytest_plugin", "reference_adapter", "subject"}
"""Old names at the root, which others import."""

FACE = {"__init__", "__main__"}
"""The package's face, which knows every room."""

RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every module that is imported, wherever in the file, and every name that may be one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(ast.parse(path.read_text()))}


def upward(room: str, source: str) -> list[str]:
    """Return the imports of a module in `room` that do not point down."""
    wrong = []
    for name in imported(ast.parse(source)):
        package, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if package != "tunproof" or other == room:
            continue
        if other in SHIMS or (other in RANK and RANK[other] >= RANK[room]):
            wrong.append(name)
    return sorted(set(wrong))


def rooms() -> dict[str, list[Path]]:
    """Return the modules of each room; a module at the root is a room of its own."""
    found: dict[str, list[Path]] = {}
    for path in HARNESS.rglob("*.py"):
        if "corpora" not in path.parts:
            found.setdefault(path.relative_to(HARNESS).with_suffix("").parts[0], []).append(path)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may_know(package: str) -> None:
    for path in (ROOT / PACKAGES[package]).rglob("*.py"):
        assert not {name for name in packages(path) if name in PACKAGES} - ALLOWED[package], path


def test_the_reference_needs_the_standard_library_only() -> None:
    for path in (ROOT / PACKAGES["tio"]).rglob("*.py"):
        assert packages(path) <= {"tio", *sys.stdlib_module_names}, path


def test_the_architecture_has_these_ranks() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", text, flags=re.MULTILINE)
    assert [int(rank) for rank, _ in rows] == list(range(len(RANKS)))
    assert tuple(set(re.findall("`([a-z]+)`", rooms)) for _, rooms in rows) == RANKS


def test_every_module_of_the_harness_has_a_room() -> None:
    assert set(rooms()) == set(RANK) | SHIMS | FACE


@pytest.mark.parametrize("room", sorted(set(RANK) - RANKS[0]))
def test_the_head_of_a_room_names_its_modules(room: str) -> None:
    head = ast.get_docstring(ast.parse((HARNESS / room / "__init__.py").read_text())) or ""
    modules = {path.stem for path in (HARNESS / room).glob("*.py")} - FACE
    assert {name for name in modules if not re.search(rf"\b{name}\b", head)} == set()


@pytest.mark.parametrize("room", RANK)
def test_rooms_import_from_below_only(room: str) -> None:
    for path in rooms()[room]:
        assert not upward(room, path.read_text()), path


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("corpus", "from tunproof.judge.decide import decide"),
        ("judge", "from tunproof.protocol import messages"),
        ("runs", "def late() -> None:\n    from tunproof.reports.write import write_reports"),
        ("packets", "from tunproof import lab"),
        ("lab", "import tunproof.kernel.probes"),
        ("cli", "from tunproof.subject import Subject"),
        ("version", "from tunproof.errors import UsageError"),
    ],
)
def test_an_import_that_runs_up_is_found(room: str, source: str) -> None:
    assert upward(room, source)


@pytest.mark.parametrize("path", [*rooms()["reports"], HARNESS / "cli/terminal.py"], ids=lambda path: path.stem)
def test_the_judge_speaks_once_and_reports_know_its_types_only(path: Path) -> None:
    known = {name for name in imported(ast.parse(path.read_text())) if name.startswith("tunproof.judge")}
    assert {name for name in known if not name.startswith("tunproof.judge.verdict")} <= {"tunproof.judge"}, path


def test_shims_say_until_when() -> None:
    for name in SHIMS:
        assert "until tunproof" in (HARNESS / f"{name}.py").read_text().partition("\n")[0]


def test_the_corpus_is_loaded_without_the_reference_that_it_judges() -> None:
    code = "import sys, tunproof.corpus.load; print(*(name for name in sys.modules if name.partition('.')[0] == 'tio'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("module", HOT)
def test_scapy_stays_out_of_hot_loops(module: str) -> None:
    assert "scapy" not in packages(HARNESS / module)
