"""What every lab test needs: a machine that allows a lab. Otherwise it is skipped, and the reason is printed."""

import pytest

from tunproof import lab
from tunproof.errors import EnvironmentProblem


@pytest.fixture(autouse=True, scope="package")
def _machine() -> None:
    try:
        lab.ensure()
    except EnvironmentProblem as problem:
        pytest.skip(str(problem))
