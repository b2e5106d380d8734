"""Doctor on the machine it runs on."""

import pytest

from tunproof import lab
from tunproof.cli import doctor
from tunproof.cli.doctor import Status
from tunproof.errors import EnvironmentProblem

pytestmark = pytest.mark.lab


def test_what_lab_tests_need_is_found() -> None:
    try:
        lab.ensure()
    except EnvironmentProblem as problem:
        pytest.skip(str(problem))
    checks = doctor.examine()
    assert len({check.name for check in checks}) == len(checks)
    assert [check for check in checks if bool(check.cure) is (check.status is Status.OK)] == []
    assert [check for check in checks if check.status is Status.MISSING] == []
