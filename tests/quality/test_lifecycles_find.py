"""Do random lifecycles detect wrong containers and queues? Each fake has one documented bug."""

import contextlib

import pytest
from hypothesis import HealthCheck, Phase, find, settings

from fakes.base import Fake
from fakes.lifecycles import LIFECYCLES, RoomInTheNextPacket, SelectForAThousand
from tunfuzz import Lifecycle, invariants, lifecycles

# These need a fd over 1023, and a packet that is appended to in place.
_OUT_OF_REACH = {SelectForAThousand, RoomInTheNextPacket}


@pytest.mark.parametrize(
    "fake", [each for each in LIFECYCLES if each not in _OUT_OF_REACH], ids=lambda fake: fake.__name__
)
def test_a_wrong_implementation_is_found(fake: type[Fake]) -> None:
    def is_wrong(lifecycle: Lifecycle) -> bool:
        with contextlib.suppress(AssertionError, RuntimeError, OSError):  # some fakes crash, like their models
            invariants.check_answers(lifecycle, fake().lifecycle(lifecycle.script))
            return False
        return True

    found = find(
        lifecycles(),
        is_wrong,
        settings=settings(
            max_examples=2000,
            phases=(Phase.generate,),
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    invariants.check_lifecycle(found)  # which the reference gets right
