"""Lifecycles of any kind: two implementations that share no code both do what the contract says."""

from hypothesis import given

from fakes.own_player import OwnLifecycle
from tunfuzz import Lifecycle, invariants, lifecycles


@given(lifecycles())
def test_the_reference_gives_right_answers(lifecycle: Lifecycle) -> None:
    """Every step of every script: the reference's answer is one of those that the contract has."""
    invariants.check_lifecycle(lifecycle)


@given(lifecycles())
def test_the_second_implementation_gives_right_answers(lifecycle: Lifecycle) -> None:
    """The same scripts, the same answers, from code that shares nothing with the reference."""
    invariants.check_answers(lifecycle, OwnLifecycle().lifecycle(lifecycle.script))
