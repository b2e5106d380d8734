"""Doctor never raises and never leaves a finding without a cure; the obstacles it names are found by pure functions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tunproof.cli import doctor
from tunproof.cli.doctor import Check, Status
from tunproof.errors import EnvironmentProblem
from tunproof.lab import privilege
from tunproof.lab.privilege import Obstacle


def raiser(error: Exception) -> Callable[..., doctor.Finding]:
    def find(*_: object) -> doctor.Finding:
        raise error

    return find


def good() -> doctor.Finding:
    return Status.OK, "fine", ""


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace what needs a machine by findings that only note that they were asked for."""
    asked: list[str] = []

    def ask(name: str) -> Callable[[], doctor.Finding]:
        def find() -> doctor.Finding:
            asked.append(name)
            return good()

        return find

    monkeypatch.setattr(doctor, "_GROUND", (("Python", good), ("privileges", good)))
    monkeypatch.setattr(doctor, "_BUILT", tuple((name, ask(name)) for name, _ in doctor._BUILT))
    return asked


def by_name(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_everything_is_tried_once_where_the_ground_is_firm(built: list[str]) -> None:
    checks = doctor.examine()
    assert built == [name for name, _ in doctor._BUILT]
    assert {check.status for check in checks if check.name in built} == {Status.OK}


def test_without_privileges_nothing_is_tried_and_the_cure_is_repeated(
    built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = EnvironmentProblem("no user namespaces", cure="sysctl -w x=1")
    monkeypatch.setattr(doctor, "_GROUND", (("Python", good), ("privileges", raiser(problem))))
    checks = by_name(doctor.examine())
    assert built == []
    assert checks["privileges"] == Check(
        name="privileges", status=Status.MISSING, detail="no user namespaces", cure="sysctl -w x=1"
    )
    wiring = checks["wiring forward"]
    assert (wiring.status, wiring.detail, wiring.cure) == (Status.MISSING, "not tried: privileges", "sysctl -w x=1")


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), OSError(5, "odd"), KeyError("x")])
def test_what_was_not_foreseen_is_a_finding_too(
    built: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(doctor, "_BUILT", (("wiring redirect", raiser(error)),))
    check = by_name(doctor.examine())["wiring redirect"]
    assert check.status is Status.MISSING
    assert type(error).__name__ in check.detail
    assert check.cure


def test_an_optional_tool_is_worth_a_warning_at_most(built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    tool = by_name(doctor.examine())["tshark"]
    assert (tool.status, tool.cure) == (Status.WARN, "apt-get install tshark")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert by_name(doctor.examine())["tshark"].status is Status.OK


def test_without_uso_the_rest_is_still_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoUso:
        def open_queue(self, *_: object, **__: object) -> int:
            raise EnvironmentProblem("this kernel takes no USO", cure="leave it out")

        def close(self) -> None: ...

    monkeypatch.setattr(doctor, "Ground", NoUso)
    check = doctor._check("offload USO", doctor._uso)
    assert check.status is Status.WARN
    assert "6.2" in check.cure


# The obstacles


def sysctls(root: Path, **values: int) -> Path:
    for name, value in values.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{value}\n")
    return root


def test_sysctls_that_are_not_there_or_that_allow_are_no_obstacle(tmp_path: Path) -> None:
    assert list(privilege.sysctl_obstacles(tmp_path)) == []
    sysctls(tmp_path, kernel__unprivileged_userns_clone=1, user__max_user_namespaces=1, user__max_net_namespaces=7)
    assert list(privilege.sysctl_obstacles(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("kernel__unprivileged_userns_clone", 0, "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "kernel__apparmor_restrict_unprivileged_userns",
            1,
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("user__max_user_namespaces", 0, "sysctl -w user.max_user_namespaces=10000"),
        ("user__max_net_namespaces", 0, "sysctl -w user.max_net_namespaces=10000"),
    ],
)
def test_a_sysctl_that_forbids_is_named_with_its_cure(tmp_path: Path, name: str, value: int, cure: str) -> None:
    (obstacle,) = privilege.sysctl_obstacles(sysctls(tmp_path, **{name: value}))
    assert obstacle == Obstacle(f"sysctl {name.replace('__', '.')} is {value}", cure)


def test_a_missing_node_is_named_with_its_cure(tmp_path: Path) -> None:
    obstacle = privilege.device_obstacle(str(tmp_path / "tun"))
    assert obstacle is not None
    assert "does not exist" in obstacle.what
    assert "modprobe tun" in obstacle.cure
    assert f"mknod {tmp_path}/tun c 10 200" in obstacle.cure


def test_a_node_that_opens_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "tun").touch()
    assert privilege.device_obstacle(str(tmp_path / "tun")) is None


@pytest.mark.parametrize(("effective", "expected"), [("000001ffffffffff", True), ("0000000000001000", False)])
def test_both_capabilities_are_needed(tmp_path: Path, effective: str, expected: bool) -> None:
    (tmp_path / "status").write_text(f"Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t{effective}\n")
    assert privilege.has_capabilities(tmp_path / "status") is expected
