"""What inputs are made from: the golden cases' inputs, and examples of the strategies, drawn once.

Hypothesis takes milliseconds for an example, so some are drawn with their own seed and then changed many times.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Self

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from hypothesis.strategies import SearchStrategy

from tunfuzz.peer.cases import Input
from tunfuzz.strategies.anything import frames, packets
from tunfuzz.strategies.arguments import gso_arguments
from tunfuzz.strategies.traffic import batches
from tunfuzz.values import GsoArguments
from tunproof.corpus.cases import BatchInput, GsoInput, ReadInput, WriteInput
from tunproof.corpus.load import Corpus

__all__ = ["Pool", "examples", "golden", "gso_input"]

_DRAWN = {"read": 60, "write": 50, "write_gso": 90, "write_batch": 120}
_BACKEND = "tunfuzz"
_BULKY = 2000  # bytes
_BULKY_SHARE = 0.03  # of what is picked: such inputs take as long as fifty others


def gso_input(one: GsoArguments) -> GsoInput:
    """Return arguments of `write_gso` in the form of a case."""
    return GsoInput(hdr=one.hdr, transport_hdr=one.transport_hdr, pays=tuple(one.pays))


_STRATEGIES: dict[str, tuple[SearchStrategy[Any], Callable[[Any], Input]]] = {
    "read": (frames(), lambda frame: ReadInput(frame=frame)),
    "write": (packets(), lambda packet: WriteInput(packet=packet)),
    "write_gso": (gso_arguments(), gso_input),
    "write_batch": (batches(), lambda packets: BatchInput(packets=tuple(packets))),
}


class _SameEverywhere(HypothesisProvider):
    """Draws the same for the same seed. Hypothesis' own provider prefers constants from loaded modules."""

    def _maybe_draw_constant(self, *_: Any, **__: Any) -> None:
        return None


AVAILABLE_PROVIDERS[_BACKEND] = _SameEverywhere


@dataclass(frozen=True, slots=True)
class Pool:
    """Inputs to pick from, and bulky ones, which are picked rarely."""

    small: Sequence[Input]
    bulky: Sequence[Input]

    @classmethod
    def of(cls, inputs: Iterable[Input]) -> Self:
        """Sort inputs into the two."""
        found = list(inputs)
        return cls([one for one in found if _extent(one) < _BULKY], [one for one in found if _extent(one) >= _BULKY])

    def pick(self, random: Random) -> Input:
        """Return one of the inputs."""
        return random.choice(self.bulky if self.bulky and random.random() < _BULKY_SHARE else self.small)


def golden(corpus: Corpus, operation: str) -> Pool:
    """Return the inputs of the golden cases of an operation."""
    return Pool.of(case.input for case in corpus.cases.values() if case.id.startswith(f"{operation}/"))  # type: ignore[misc]


@functools.lru_cache(maxsize=16)
def examples(operation: str, number: int) -> Pool:
    """Return examples of the operation's strategy: the same ones for the same number."""
    strategy, made = _STRATEGIES[operation]
    drawn: list[Input] = []

    @seed(number)
    @settings(
        max_examples=_DRAWN[operation],
        backend=_BACKEND,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value: Any) -> None:
        drawn.append(made(value))

    draw()
    return Pool.of(drawn)


def _extent(given: Any) -> int:
    """Return how many bytes an input has, roughly."""
    match given:
        case ReadInput(frame=data) | WriteInput(packet=data):
            return len(data)
        case GsoInput(pays=parts) | BatchInput(packets=parts):
            return sum(map(len, parts))
    return 0
