"""Lifecycle scripts on real TUNs: what a packet socket feeds and takes, and that nothing is left behind."""

import errno
import socket
from collections.abc import Iterator

import msgspec
import pytest

from common.support import open_fds
from tio import offload, tuntap
from tio.tuntap import Offload
from tunproof.corpus.cases import Case
from tunproof.corpus.load import load
from tunproof.corpus.script import (
    Add,
    Answer,
    Down,
    Feed,
    Frames,
    Link,
    Names,
    Offloads,
    OpenTun,
    Read,
    ReadPackets,
    Script,
    StartRead,
    Step,
    Take,
    Waiting,
    WriteStep,
)
from tunproof.subjects.connection import judge
from tunproof.subjects.lifecycle.player import play
from tunproof.subjects.reference import Reference
from tunproof.subjects.subject import UnsupportedError

pytestmark = pytest.mark.lab

PACKET = bytes.fromhex("45000014000000004011000000000000000000ff")
FRAME = bytes(10) + PACKET
TUN = OpenTun(fd="a", device="tun0", flags=("TUN", "NO_PI", "VNET_HDR"))
UP, DOWN = Link(device="tun0", state="up"), Link(device="tun0", state="down")
_USO_LIVES = ("one-queue", "as-much-as-a-former-user")
LIVES = [case for case in load().cases.values() if case.id.startswith(("lifecycle/devices/", "lifecycle/links/"))]


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    before = open_fds()
    yield
    assert open_fds() == before


def answers(*steps: Step) -> list[Answer]:
    return play(Script(steps=steps))


@pytest.mark.parametrize("case", LIVES, ids=lambda case: case.id)
def test_the_reference_lives_as_the_corpus_says(case: object) -> None:
    with Reference() as subject:
        verdict = judge(case, subject, exact=True)  # type: ignore[arg-type]
    assert verdict.kind == "pass", verdict.difference


@pytest.fixture(scope="module")
def lives() -> dict[str, Case]:
    return {case.id: case for case in LIVES}


def test_a_container_that_asks_for_less_than_there_was_is_found_out(
    monkeypatch: pytest.MonkeyPatch, lives: dict[str, Case]
) -> None:
    def misread_version(fd: int, _: str) -> bool:
        tuntap.set_offload(fd, Offload.TSO)
        return False

    monkeypatch.setattr(offload, "_ask_for_offloads", misread_version)
    with Reference() as subject:
        verdicts = {name: judge(lives[f"lifecycle/devices/{name}"], subject).kind for name in _USO_LIVES}
    assert verdicts == {"one-queue": "pass", "as-much-as-a-former-user": "fail"}


def test_a_container_that_takes_every_header_for_ten_bytes_is_found_out(
    monkeypatch: pytest.MonkeyPatch, lives: dict[str, Case]
) -> None:
    monkeypatch.setattr(tuntap, "get_vnet_header_size", lambda _: 10)
    with Reference() as subject:
        assert judge(lives["lifecycle/devices/header-of-12-bytes"], subject).kind in {"fail", "error"}


def test_a_former_user_gets_what_the_kernel_has(monkeypatch: pytest.MonkeyPatch) -> None:
    former = msgspec.structs.replace(TUN, uso=True)
    asked: list[Offload] = []

    def without_uso(_: int, offloads: Offload) -> None:
        asked.append(offloads)
        if offloads & Offload.USO:
            raise OSError(errno.EINVAL, "no such offloads")

    monkeypatch.setattr(tuntap, "set_offload", without_uso)
    answers(former)
    assert asked == [Offload.TSO | Offload.USO, Offload.TSO]


@pytest.mark.parametrize(("gso_type", "error"), [("05", UnsupportedError), ("01", OSError)])
def test_a_kernel_that_takes_no_udp_superpackets_leaves_the_script_unsupported(
    gso_type: str, error: type[Exception]
) -> None:
    refused = bytes.fromhex(f"01{gso_type}{'00' * 8}") + PACKET  # with gso_size 0 every kernel refuses
    with pytest.raises(error):
        answers(TUN, Add(fd="a"), UP, Feed(fd="a", frame=refused))


def test_what_is_fed_is_read_and_what_is_written_is_taken_and_nothing_else() -> None:
    steps = (TUN, Add(fd="a"), UP, Feed(fd="a", frame=FRAME), WriteStep(fd="a", packet=PACKET), Take(fd="a"))
    got = answers(*steps, Read(fd="a"), Take(fd="a"), StartRead(fd="a"))
    assert got[5:] == [Frames(packets=(FRAME,)), ReadPackets(packets=(PACKET,)), Frames(packets=()), Waiting()]


def test_a_link_that_was_down_feeds_and_takes_again() -> None:
    write = WriteStep(fd="a", packet=PACKET)
    got = answers(TUN, Add(fd="a"), UP, DOWN, write, UP, write, Take(fd="a"), Feed(fd="a", frame=FRAME), Read(fd="a"))
    assert got[4] == Down()
    assert got[7:] == [Frames(packets=(FRAME,)), got[8], ReadPackets(packets=(PACKET,))]


def test_devices_of_one_name_in_two_scripts_are_two_devices() -> None:
    for _ in range(2):
        assert answers(TUN, Offloads(device="tun0"))[1] == Names(names=())


def test_no_device_is_seen_outside() -> None:
    before = socket.if_nameindex()
    answers(TUN, Add(fd="a"), UP)
    assert socket.if_nameindex() == before


def test_a_step_that_fails_leaves_nothing() -> None:
    with pytest.raises(ValueError, match="step 3"):
        answers(TUN, Add(fd="a"), UP, Read(fd="b"))


def test_links_need_a_device() -> None:
    with pytest.raises(ValueError, match="no step opened a TUN"):
        answers(UP)
