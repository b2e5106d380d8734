"""Coverage-guided targets: one module each, whose docstring begins with the invariant and whose `check` tests it.

`check(data)` takes any bytes and returns, or raises: anything it raises is a finding. It needs no atheris and reads
packets by itself (`reading`). It is imported on demand: the code under test must be instrumented first.

| module | what |
|---|---|
| `driver` | one target under atheris, in a child process (`child`) |
| `runs` | one target for some seconds, or all of them |
| `crashes` | minimises an input that breaks an invariant, and keeps it |
| `seeds`, `dictionaries` | what targets begin with, made from the corpus: `corpora/seeds` |
| `command` | what `tunproof fuzz TARGET` and `make fuzz` call |
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Final

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """A target by name.

    `module`      where its `check` is
    `packages`    what atheris instruments: their branches count as coverage
    `max_length`  of an input, in bytes
    """

    name: str
    module: str
    packages: tuple[str, ...] = ("tio",)
    max_length: int = 2048

    def load(self) -> ModuleType:
        """Import the module."""
        return importlib.import_module(self.module)

    @property
    def check(self) -> Callable[[bytes], None]:
        """The function that tests the invariant on some bytes."""
        function: Callable[[bytes], None] = self.load().check
        return function

    @property
    def invariant(self) -> str:
        """What must hold: the first line of the module's docstring."""
        return (self.load().__doc__ or "").partition("\n")[0]


def _target(name: str, *packages: str, max_length: int = 2048) -> Target:
    return Target(name, f"{__name__}.{name}", packages or ("tio",), max_length)


TARGETS: Final = {
    target.name: target
    for target in (
        _target("header", max_length=64),
        _target("checksum"),
        _target("complete_checksum"),
        _target("segment"),
        _target("coalesce"),
        _target("predict"),
        _target("corpus", "tunproof", max_length=4096),
        _target("replies", "tunproof", max_length=4096),
    )
}
"""All targets, by name."""
