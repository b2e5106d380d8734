"""Arguments why a survivor is equivalent: kept by hand, matched by the change and not by line number."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

__all__ = ["EQUIVALENT", "Argument", "Key", "load_arguments", "match"]

EQUIVALENT = Path(__file__).parent / "equivalent.toml"


@dataclass(frozen=True, slots=True)
class Key:
    """What names a mutant as long as its line stays as it is."""

    module: str
    function: str
    operator: str
    line: str
    mutated: str


@dataclass(frozen=True, slots=True)
class Argument:
    """Why the mutant (or all of them, if a line stands in a function twice) cannot be told from the original."""

    key: Key
    why: str


def load_arguments(path: Path = EQUIVALENT) -> list[Argument]:
    """Return the arguments. Raises `ValueError` where an entry lacks a key, has one too many, or says nothing."""
    names = [field.name for field in fields(Key)]
    arguments = []
    for number, entry in enumerate(tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", []), 1):
        said = {name for name, value in entry.items() if isinstance(value, str) and value.strip()}
        if not said == set(entry) == {*names, "why"}:
            raise ValueError(f"{path.name}, entry {number}: needs {', '.join(names)} and why, no others, none empty")
        arguments.append(Argument(Key(**{name: entry[name] for name in names}), entry["why"].strip()))
    return arguments


def match(arguments: list[Argument], survivors: list[Key], modules: set[str]) -> tuple[dict[Key, str], list[Argument]]:
    """Return why survivors are equivalent, and the stale arguments, which fit none. Only `modules` have been run."""
    alive = set(survivors)
    mine = [argument for argument in arguments if argument.key.module in modules]
    reasons = {argument.key: argument.why for argument in mine if argument.key in alive}
    return reasons, [argument for argument in mine if argument.key not in alive]
