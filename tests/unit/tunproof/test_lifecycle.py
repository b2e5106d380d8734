"""Lifecycle scripts, played with the reference on wires: what the player answers, and what it leaves behind."""

import os
import resource
import threading
import time
from collections.abc import Iterator

import pytest

import tio
from common.support import open_fds
from tio.endpoint import Endpoint
from tunproof.corpus.script import (
    Add,
    Answer,
    Close,
    Closed,
    Count,
    Descriptors,
    Done,
    Feed,
    FinishRead,
    FinishWrite,
    Frames,
    HangUp,
    LetGo,
    Look,
    OpenOther,
    OpenTun,
    OpenWire,
    Read,
    ReadPackets,
    RefusedStep,
    Released,
    Script,
    StartRead,
    StartWrite,
    Step,
    Take,
    Waiting,
    WriteStep,
)
from tunproof.lab import privilege
from tunproof.subjects.lifecycle import player as lifecycle
from tunproof.subjects.lifecycle.nearside import NearSide
from tunproof.subjects.lifecycle.player import play
from tunproof.subjects.subject import UnsupportedError

PACKET = bytes.fromhex("45000014000000004011000000000000000000ff")
FRAME = bytes(10) + PACKET
OPENED = (OpenWire(fd="a"), Add(fd="a"))


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Every script, however it ends, leaves fds and threads as they were."""
    fds, threads = open_fds(), threading.active_count()
    yield
    deadline = time.monotonic() + 5  # a thread that has given its answer needs a moment to end
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.001)
    assert (open_fds(), threading.active_count()) == (fds, threads)


def answers(*steps: Step) -> list[Answer]:
    return play(Script(steps=steps))


def test_frames_have_the_vnet_header_that_was_written() -> None:
    write = WriteStep(fd="a", packet=PACKET)
    assert answers(*OPENED, write, Take(fd="a"), Take(fd="a"))[-2:] == [Frames(packets=(FRAME,)), Frames(packets=())]


def test_frames_of_the_plain_backend_are_packets() -> None:
    steps = (*OPENED, WriteStep(fd="a", packet=PACKET), Take(fd="a"), Feed(fd="a", frame=PACKET), Read(fd="a"))
    got = play(Script(backend="plain", steps=steps))
    assert (got[3], got[5]) == (Frames(packets=(PACKET,)), ReadPackets(packets=(PACKET,)))


@pytest.mark.parametrize(
    "step",
    [
        Add(fd="b"),
        Read(fd="b"),
        WriteStep(fd="b", packet=PACKET),
        StartRead(fd="b"),
        FinishRead(fd="a"),
        FinishWrite(fd="a"),
        Feed(fd="b", frame=FRAME),
        Take(fd="b"),
        HangUp(fd="b"),
        LetGo(fd="b"),
    ],
)
def test_a_step_about_something_that_no_step_made_is_an_error_that_names_it(step: Step) -> None:
    with pytest.raises(ValueError, match=r"step 2 \(.*no"):
        answers(*OPENED, step)


def test_a_read_of_a_fd_that_was_refused_is_an_error() -> None:
    with pytest.raises(ValueError, match="no container took 'x'"):
        answers(OpenOther(fd="x", what="closed"), Add(fd="x"), Read(fd="x"))


def test_a_read_that_never_comes_back_waits_and_is_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "PATIENCE", 0.05)
    assert answers(*OPENED, Read(fd="a"), Close()) == [Done(), Done(), Waiting()]


def test_a_close_that_wakes_nobody_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "PATIENCE", 0.1)
    monkeypatch.setattr(os, "eventfd_write", lambda *_: None)
    steps = (*OPENED, StartRead(fd="a"), Close(), FinishRead(fd="a"))
    assert answers(*steps)[2:] == [Waiting(), Waiting()]


def test_a_reader_that_spins_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "PATIENCE", 0.05)
    monkeypatch.setattr(Endpoint, "_wait", lambda *_: None)
    with pytest.raises(TimeoutError, match="spins"):
        answers(*OPENED, StartRead(fd="a"))


def test_what_still_waits_in_the_end_is_ended() -> None:
    write = StartWrite(fd="a", packet=PACKET, count=64)
    assert answers(*OPENED, StartRead(fd="a"), write, write)[2:] == [Waiting()] * 3


def test_a_read_that_need_not_wait_answers_at_once() -> None:
    got = answers(*OPENED, Feed(fd="a", frame=FRAME), StartRead(fd="a"), FinishRead(fd="a"))
    assert got[3:] == [ReadPackets(packets=(PACKET,))] * 2


def test_a_write_that_need_not_wait_answers_at_once() -> None:
    assert answers(*OPENED, StartWrite(fd="a", packet=PACKET, count=3))[2] == Done()


def test_what_a_waiting_writer_wrote_is_taken_once() -> None:
    steps = (*OPENED, StartWrite(fd="a", packet=PACKET, count=64), FinishWrite(fd="a"), Take(fd="a"), Take(fd="a"))
    assert answers(*steps)[2:] == [Waiting(), Done(), Frames(packets=(FRAME,) * 64), Frames(packets=())]


def test_without_word_from_the_kernel_a_thread_that_does_not_come_back_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(_: object) -> bytes:
        raise PermissionError

    monkeypatch.setattr(lifecycle.Path, "read_bytes", hidden)
    assert answers(*OPENED, StartRead(fd="a"))[2] == Waiting()


def test_looking_at_what_was_read_before() -> None:
    feeds = (Feed(fd="a", frame=FRAME), Feed(fd="a", frame=FRAME))
    got = answers(
        *OPENED, *feeds, Read(fd="a"), Look(fd="a", packet=0), Read(fd="a"), Look(fd="a", packet=0, reads_ago=1)
    )
    assert (got[5], got[7]) == (ReadPackets(packets=(PACKET,)), Released())


def test_looking_at_what_was_never_read() -> None:
    assert answers(*OPENED, Look(fd="a", packet=0))[2] == Released()


def test_descriptors_are_those_of_the_container_alone() -> None:
    got = answers(OpenWire(fd="b"), *OPENED, Descriptors(), Close(), Descriptors())
    assert (got[3], got[5]) == (Count(count=2), Count(count=0))  # the wire's end and an eventfd


def test_a_container_that_closes_what_it_refuses_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(_: object, fd: int) -> None:
        os.close(fd)
        raise tio.AddRefused("A3", "no reason")

    monkeypatch.setattr(tio.OffloadContainer, "add", add)
    got = answers(*OPENED, Descriptors(), LetGo(fd="a"))
    assert got[1:] == [RefusedStep(), Count(count=-1), Closed()]


def test_a_container_that_takes_what_it_should_refuse_is_found_out() -> None:
    assert answers(*OPENED, LetGo(fd="a"))[2] == Closed()


def test_a_large_number_leaves_the_limit_as_it_was() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    _, hard = before
    if hard <= 1024:
        pytest.skip(f"this process may have {hard} fds at most")
    steps = (OpenWire(fd="a", least=1024), Add(fd="a"), Feed(fd="a", frame=FRAME), Read(fd="a"))
    assert answers(*steps)[3] == ReadPackets(packets=(PACKET,))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_several_large_numbers_leave_the_limit_as_it_was() -> None:
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard <= 3000:
        pytest.skip(f"this process may have {hard} fds at most")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
    side = NearSide()
    try:
        for name, least in (("a", 1024), ("b", 2048)):
            side.keep(name, os.open(os.devnull, os.O_RDONLY), least=least)
        assert (side.numbers["a"] >= 1024, side.numbers["b"] >= 2048, side.held()) == (True, True, 2)
        side.close()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1000, hard)
    finally:
        side.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_a_number_that_no_process_may_have_is_unsupported() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there is no limit")
    with pytest.raises(UnsupportedError, match=f"at most {hard} fds"):
        answers(OpenWire(fd="a", least=hard))


def test_without_privileges_devices_are_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privilege, "device_obstacle", lambda: None)
    monkeypatch.setattr(privilege, "has_capabilities", lambda: False)
    with pytest.raises(UnsupportedError, match="doctor"):
        answers(*OPENED, OpenTun(fd="t", device="tun0", flags=("TUN",)))


def test_without_the_node_devices_are_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privilege, "device_obstacle", lambda: privilege.Obstacle("none", "modprobe tun"))
    with pytest.raises(UnsupportedError):
        answers(OpenOther(fd="t", what="unattached-tun"))


def test_an_error_that_nobody_expects_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> int:
        raise IndexError("a bug")

    monkeypatch.setattr(tio.OffloadQueue, "write", write)
    with pytest.raises(IndexError, match="a bug"):
        answers(*OPENED, WriteStep(fd="a", packet=PACKET))
