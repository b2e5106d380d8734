"""Mutation testing itself: what it leaves alone, which argument fits which survivor, and that a fault is detected."""

import importlib.util
import itertools
import os
import tomllib
from pathlib import Path

import pytest

from mutation.config import EXCLUDED, MODULES, OPERATORS, TOOL
from mutation.equivalent import EQUIVALENT, Argument, Key, load_arguments, match
from mutation.layout import Layout
from mutation.pool import CHECKOUT, Worker
from mutation.report import Result, Run

SOURCE = '''
from dataclasses import dataclass

Buffer = bytes | bytearray | memoryview
Maybe = dict[str, _Train | Plain] | None
LAST = FIN | PSH
FLAGS = int(TcpFlag.FIN | TcpFlag.PSH)


@dataclass(frozen=True)
class View:
    size: int | None = 1 + 2

    def read(self, data: int | None, *, more: bool = True) -> int | None:
        """Add 1 + 1."""
        é = "é"; return data * 3  # a character of two bytes before it
        raise ValueError(f"{self.size + 4}")
'''

SURVIVOR = Key("checksum", "finish", "NumberReplacer", "zero: int = 0", "zero: int = 1")


def position_of(text: str, part: str) -> tuple[int, int]:
    """Return where `part` stands in the line of SOURCE that has `text`."""
    (found,) = [(number, line) for number, line in enumerate(SOURCE.splitlines(), 1) if text in line]
    return found[0], found[1].index(text) + text.index(part)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("bytes | bytearray", "|"),
        ("_Train | Plain", "|"),
        ("frozen=True", "True"),
        ("size: int | None", "|"),
        ("data: int | None", "|"),
        ("-> int | None", "|"),
        ("self.size + 4", "+"),
    ],
)
def test_types_decorators_and_messages_are_left_alone(text: str, part: str) -> None:
    assert not Layout(SOURCE).is_behaviour(position_of(text, part))


@pytest.mark.parametrize(
    ("text", "part"),
    [("FIN | PSH", "|"), ("FIN | TcpFlag", "|"), ("1 + 2", "+"), ("data * 3", "*"), ("= True", "True")],
)
def test_values_are_not(text: str, part: str) -> None:
    assert Layout(SOURCE).is_behaviour(position_of(text, part))


def test_a_star_between_parameters_is_no_operator() -> None:
    layout = Layout(SOURCE)
    assert layout.is_binary_operator(position_of("data * 3", "*"))
    assert not layout.is_binary_operator(position_of(", *, more", "*"))


def test_a_position_is_named_by_the_definition_around_it() -> None:
    layout = Layout(SOURCE)
    assert layout.definition_at(position_of("data * 3", "*")) == "View.read"
    assert layout.definition_at(position_of("1 + 2", "+")) == "View"
    assert layout.definition_at(position_of("FIN | PSH", "|")) == "<module>"


def test_an_argument_belongs_to_what_is_changed_and_is_stale_without_it() -> None:
    other = Argument(Key("checksum", "adjust", "NumberReplacer", "old", "new"), "gone")
    unrequested = Argument(Key("tcp", "Tcp", "NumberReplacer", "old", "new"), "not run")
    reasons, stale = match([Argument(SURVIVOR, "nobody asks"), other, unrequested], [SURVIVOR], {"checksum"})
    assert reasons == {SURVIVOR: "nobody asks"}
    assert stale == [other]


def test_the_arguments_can_be_read_and_one_without_a_reason_cannot(tmp_path: Path) -> None:
    load_arguments(EQUIVALENT)
    fields = "\n".join(f'{name} = "x"' for name in Key.__slots__)
    path = tmp_path / "equivalent.toml"
    path.write_text(f'[[equivalent]]\n{fields}\nwhy = "y"\n')
    assert load_arguments(path) == [Argument(Key(*"xxxxx"), "y")]
    path.write_text(f'[[equivalent]]\n{fields}\nwhy = " "\n')
    with pytest.raises(ValueError, match="entry 1"):
        load_arguments(path)


@pytest.mark.parametrize(
    ("killed", "survivors", "arguments", "good"),
    [(95, 5, 0, True), (94, 6, 0, False), (97, 3, 3, True), (96, 4, 4, False)],
)
def test_a_run_needs_95_percent_killed_and_at_most_3_argued(
    killed: int, survivors: int, arguments: int, *, good: bool
) -> None:
    keys = [Key("checksum", "finish", "NumberReplacer", "line", str(number)) for number in range(survivors)]
    results = [Result(key, 1, "survived", 0.1) for key in keys]
    results += [Result(SURVIVOR, 1, outcome, 0.1) for outcome in itertools.islice(OUTCOMES, killed)]
    run = Run(results, [Argument(key, "why") for key in keys[:arguments]], ["checksum"])
    assert (run.complaints() == []) is good
    assert run.markdown().count("```diff") == survivors


OUTCOMES = itertools.cycle(("killed", "timeout", "does not import"))


def test_the_tool_is_pinned_in_one_extra() -> None:
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["mutants"] == [TOOL]


def test_a_planted_fault_is_killed_and_nothing_is_left_behind() -> None:
    path = CHECKOUT / "reference" / "tio" / "checksum.py"
    source = path.read_text()
    with Worker() as worker:
        assert worker.answer().outcome == "survived"
        group = worker.process_id
        outcomes = []
        for mutated in (
            source,
            source.replace("return ~total & 0xFFFF or zero", "return ~total & 0xFFFE or zero"),
            "+",
        ):
            worker.ask("checksum", mutated)
            outcomes.append(worker.answer().outcome)
    assert outcomes == ["survived", "killed", "does not import"]
    assert path.read_text() == source
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


@pytest.mark.skipif(
    importlib.util.find_spec("cosmic_ray") is None, reason="cosmic-ray is not installed: `make mutants` installs it"
)
def test_the_tool_finds_mutants_where_there_is_behaviour() -> None:
    from cosmic_ray.plugins import operator_names  # noqa: PLC0415

    from mutation.mutants import changed_lines, mutants_of  # noqa: PLC0415

    assert {f"core/{name}" for name in OPERATORS} <= set(operator_names())
    assert EXCLUDED
    path = CHECKOUT / "reference" / "tio" / "udp.py"
    mutants = mutants_of("udp", path, MODULES["udp"])
    assert len(mutants) > 5
    changes = [changed_lines(mutant.original, mutant.source()) for mutant in mutants]
    assert all(old != new for old, new in changes)
    assert not any("_BitOr_" in mutant.operator for mutant in mutants), "udp has `|` in annotations only"
    assert any(old.startswith("zero_checksum: Final = 0xFFFF") and "= 65534" in new for old, new in changes)
    assert mutants_of("udp", path, "NoSuchClass") == []
