"""Rules: the sentences that the model of Linux consists of, each a small named function.

A rule is a *refusal* (the write fails with an errno), a *loss* (the packet is dropped silently), or a *fact* about the
output. Refusals and losses are predicates, and their tables are in the kernel's order: the first that holds decides.
`needs` and `without` name the trait that a kernel must have, or lack, for the rule to apply to it; `on` says on which
paths it can matter at all.

The names of the rules that a frame met are its *trail*. A fuzzer counts trails to know that it has been everywhere.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tio.linux.traits import Trait, Traits
from tio.linux.way import Way

__all__ = ["RULES", "Rule", "fact", "loss", "refusal", "rules_of"]

F = TypeVar("F", bound=Callable[..., Any])


def _always(_: Way) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `source` is the kernel's function; `errno` is set for refusals, and None for all others."""

    name: str
    module: str
    says: str
    source: str
    kind: str
    errno: int | None
    needs: Trait | None
    without: Trait | None
    on: Callable[[Way], bool]
    of: tuple[int, ...]

    @property
    def function(self) -> Callable[..., Any]:
        """The function, looked up on each access: a copy of the model may have replaced it."""
        found: Callable[..., Any] = getattr(sys.modules[self.module], self.name)
        return found

    def is_in(self, traits: Traits) -> bool:
        """Whether a kernel with these traits has the rule."""
        return (self.needs is None or self.needs in traits) and (self.without is None or self.without not in traits)


RULES: Final[dict[str, Rule]] = {}
"""All rules by name, in the order in which a frame meets them."""


def _register(  # noqa: PLR0913 (a rule's fields)
    kind: str,
    source: str,
    *,
    errno: int | None = None,
    needs: Trait | None = None,
    without: Trait | None = None,
    on: Callable[[Way], bool] = _always,
    of: tuple[int, ...] = (),
) -> Callable[[F], F]:
    def register(function: F) -> F:
        name = function.__name__
        if name in RULES:
            raise ValueError(f"two rules are called {name!r}")
        says = (function.__doc__ or "").strip().partition("\n")[0]
        RULES[name] = Rule(name, function.__module__, says, source, kind, errno, needs, without, on, of)
        return function

    return register


def refusal(  # noqa: PLR0913 (a rule's fields)
    errno: int,
    source: str,
    *,
    needs: Trait | None = None,
    without: Trait | None = None,
    on: Callable[[Way], bool] = _always,
    of: tuple[int, ...] = (),
) -> Callable[[F], F]:
    """Register a predicate over a write: if it holds, the write fails with `errno`. `of` as for a loss."""
    return _register("refusal", source, errno=errno, needs=needs, without=without, on=on, of=of)


def loss(
    source: str,
    *,
    needs: Trait | None = None,
    without: Trait | None = None,
    on: Callable[[Way], bool] = _always,
    of: tuple[int, ...] = (),
) -> Callable[[F], F]:
    """Register a predicate over a packet: if it holds, the packet is lost. `of` names the only types it applies to."""
    return _register("loss", source, needs=needs, without=without, on=on, of=of)


def fact(
    source: str, *, needs: Trait | None = None, without: Trait | None = None, on: Callable[[Way], bool] = _always
) -> Callable[[F], F]:
    """Register a function whose result shows in the output."""
    return _register("fact", source, needs=needs, without=without, on=on)


def rules_of(module: str, kind: str, *, traits: Traits, way: Way) -> Iterator[Rule]:
    """Yield the rules of one module that a kernel has on a path, in order."""
    for rule in RULES.values():
        if rule.module == module and rule.kind == kind and rule.is_in(traits) and rule.on(way):
            yield rule
