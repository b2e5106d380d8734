"""Profiles of hypothesis: TUNPROOF_HYPOTHESIS_PROFILE=ci (the default: the same examples each time) or =fuzz."""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

# No deadline: one example may cut 65535 bytes into thousands of segments. No database: a test says the same twice.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=250,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("fuzz", settings.get_profile("ci"), derandomize=False, max_examples=20_000)
settings.load_profile(os.environ.get("TUNPROOF_HYPOTHESIS_PROFILE", "ci"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let the garbage collector look less often, and never at what is loaded by now: it took half of all the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
