"""The mutants of a module: found and made by cosmic-ray's operators."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from mutation.config import OPERATORS
from mutation.layout import Layout

__all__ = ["Mutant", "changed_lines", "mutants_of"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one module: the tool's operator, and how many of its positions come before."""

    module: str
    original: str
    function: str
    line: int
    operator: str
    occurrence: int

    def source(self) -> str:
        """Return the module's source with the change."""
        mutated = mutate_code(self.original, get_operator(f"core/{self.operator}")(), self.occurrence)
        assert isinstance(mutated, str), self
        return mutated


def mutants_of(module: str, path: Path, scope: str) -> list[Mutant]:
    """Return the mutants of a module, or of the class `scope` in it, in the order of lines."""
    source = path.read_text(encoding="utf-8")
    return sorted(_find(module, source, scope), key=lambda mutant: (mutant.line, mutant.operator, mutant.occurrence))


def _find(module: str, source: str, scope: str) -> Iterator[Mutant]:
    layout = Layout(source)
    nodes = list(ast_nodes(get_ast(source)))  # in the order in which `mutate_code` counts
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        positions = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, start in enumerate(positions):
            if not layout.is_behaviour(start):
                continue
            if name.startswith("ReplaceBinaryOperator") and not layout.is_binary_operator(start):
                continue
            function = layout.definition_at(start)
            if f"{function}.".startswith(f"{scope}." if scope else ""):
                yield Mutant(module, source, function, start[0], name, occurrence)


def changed_lines(original: str, mutated: str) -> tuple[str, str]:
    """Return the lines that differ, old and new, each joined to one and without the space around them."""
    diff = list(difflib.ndiff(original.splitlines(), mutated.splitlines()))
    old, new = (" ".join(line[2:].strip() for line in diff if line.startswith(mark)) for mark in ("- ", "+ "))
    return old, new
