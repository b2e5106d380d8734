"""The reference as an adapter, driven by hand: in every mode it answers as in this process."""

import fcntl
import os
import resource
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.talk import Talk, outcome_of, received, runs_of, talking, wire
from tio import tuntap
from tio.tuntap import Iff
from tunproof import lab
from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.cases import OPERATIONS, Case, LifecycleCase, MustReject
from tunproof.corpus.load import load
from tunproof.corpus.script import (
    Add,
    Close,
    Done,
    Feed,
    FinishWrite,
    OpenOther,
    OpenWire,
    Read,
    Script,
    StartRead,
    StartWrite,
    Step,
    Waiting,
)
from tunproof.errors import EnvironmentProblem
from tunproof.judge.decide import decide
from tunproof.judge.outcome import Answered, Outcome, TurnedDown, Unable
from tunproof.lab import links
from tunproof.protocol.messages import MODES, OPS, SENTINEL, OkReply, RejectedReply, Reply, UnsupportedReply
from tunproof.subjects.adapters.lifecycle import RemoteLifecycle, StepBrokenError
from tunproof.subjects.connection import observe
from tunproof.subjects.reference import Reference
from tunproof.subjects.subject import TurnedDownError, UnsupportedError

COMMAND = [sys.executable, "-m", "tunproof.reference_adapter"]
CORPUS = load().cases.values()
LIVES = [case for case in CORPUS if isinstance(case, LifecycleCase)]
PACKET = bytes.fromhex("45000014000000004011000000000000000000ff")
SENTINEL_FRAME = bytes(10) + SENTINEL


def cases(op: str) -> list[Case]:
    return [case for case in CORPUS if case.id.startswith(f"{op}/")]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "stderr"


def test_it_claims_everything(log: Path) -> None:
    with talking(COMMAND, log) as talk:
        hello = talk.hello()
    assert hello.ops == tuple(OPS)
    assert set(hello.capabilities) == set(CAPABILITIES)
    assert hello.modes == tuple(MODES)
    assert log.read_text() == ""


# Mode memory.


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with talking(COMMAND, tmp_path_factory.mktemp("memory") / "stderr") as talk:
        talk.hello()
        yield talk


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op != "lifecycle"])
def test_in_messages_it_passes(op: str, memory: Talk) -> None:
    verdicts = {case.id: decide(case, outcome_of(_last(memory, op, runs_of(case)))) for case in cases(op)}
    assert {name: verdict.difference for name, verdict in verdicts.items() if verdict.kind != "pass"} == {}
    assert len(verdicts) > 50


def _last(talk: Talk, op: str, runs: list[dict[str, Any]]) -> Reply:
    return [talk.run(op, given) for given in runs][-1]


# Mode wire.


@pytest.mark.parametrize("op", ["read", "write", "write_gso", "write_batch"])
def test_on_a_wire_it_passes(op: str, log: Path) -> None:
    verdicts = {}
    with wire() as (near, far), talking(COMMAND, log, pass_fds=[near.fileno()]) as talk:
        talk.hello({"mode": "wire", "fd": near.fileno()})
        for case in cases(op):
            verdicts[case.id] = decide(case, [_on_wire(talk, far, op, given) for given in runs_of(case)][-1])
    assert {name: verdict.difference for name, verdict in verdicts.items() if verdict.kind != "pass"} == {}
    assert len(verdicts) > 50


def _on_wire(talk: Talk, far: socket.socket, op: str, given: dict[str, Any]) -> Outcome:
    if op == "read":
        far.send(given["frame"])
        far.send(SENTINEL_FRAME)
        return outcome_of(talk.run(op, {"frame": None}))
    frames: list[bytes] = []
    reply = talk.run(op, given, lambda: frames.extend(received(far)))
    return outcome_of(reply, [*frames, *received(far)])


def test_a_frame_that_is_turned_down_on_a_wire_is_rejected_alone(log: Path) -> None:
    bad = next(
        case for case in CORPUS if case.id.startswith("read/vnet-faults/") and isinstance(case.expect, MustReject)
    )
    with wire() as (near, far), talking(COMMAND, log, pass_fds=[near.fileno()]) as talk:
        talk.hello({"mode": "wire", "fd": near.fileno()})
        for _ in range(2):
            assert isinstance(_on_wire(talk, far, "read", {"frame": bad.input.frame}), TurnedDown)
            assert _on_wire(talk, far, "read", {"frame": bytes(10) + PACKET}) == Answered([PACKET])


# The modes with a device.


@pytest.fixture
def namespace() -> Iterator[lab.Namespace]:
    try:
        lab.ensure()
    except EnvironmentProblem as problem:
        pytest.skip(str(problem))
    with lab.Namespace() as made:
        yield made


def _tun() -> int:
    return tuntap.open_tun("tun9", Iff.TUN | Iff.NO_PI | Iff.VNET_HDR)


def _packet_socket() -> socket.socket:
    with links.netlink() as ip:
        links.bring_up(ip, "tun9")
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    made.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
    made.settimeout(5)
    made.bind(("tun9", 3))  # ETH_P_ALL
    return made


@pytest.mark.lab
@pytest.mark.parametrize("mode", ["device-fd", "device-create", "device-attach"])
def test_on_a_device_it_reads_and_writes(mode: str, namespace: lab.Namespace, log: Path) -> None:
    attach = {"mode": mode, "name": "tun9"}
    fds = []
    if mode != "device-create":
        fds.append(namespace.run(_tun))
    if mode == "device-attach":
        fcntl.ioctl(fds[0], 0x400454CB, 1)  # TUNSETPERSIST
        os.close(fds.pop())
    if mode == "device-fd":
        attach = {"mode": mode, "fd": fds[0]}
    talk = namespace.run(Talk, COMMAND, log, pass_fds=fds)
    for fd in fds:
        os.close(fd)
    try:
        talk.hello(attach)
        with namespace.run(_packet_socket) as end:
            assert talk.run("write", {"packet": PACKET.hex(), "poison": None}) == OkReply(id=1)
            assert end.recv(1 << 17) == bytes(10) + PACKET
            end.sendto(bytes(10) + PACKET, ("tun9", 0x0800))
            end.sendto(SENTINEL_FRAME, ("tun9", 0x0800))
            assert talk.run("read", {"frame": None}) == OkReply(id=2, packets=(PACKET,))
    finally:
        assert talk.end() == 0


# Lifecycles.


class Player:
    """Plays scripts with an adapter, and passes fds on over a socket."""

    def __init__(self, log: Path) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self.talk = Talk(COMMAND, log, pass_fds=[theirs.fileno()])
            self.talk.hello(descriptors=theirs.fileno())

    def play(self, script: Script) -> Outcome:
        try:
            return Answered(RemoteLifecycle().play(script, self.talk.run, self.send))
        except UnsupportedError as error:
            return Unable(str(error))

    def send(self, fd: int) -> None:
        socket.send_fds(self._socket, [b"."], [fd])

    def close(self) -> int:
        self._socket.close()
        return self.talk.end()


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    made = Player(tmp_path_factory.mktemp("player") / "stderr")
    yield made
    assert made.close() == 0


@pytest.mark.parametrize("case", LIVES, ids=lambda case: case.id)
def test_a_life_over_the_protocol_is_the_life_in_this_process(case: LifecycleCase, player: Player) -> None:
    with Reference() as subject:
        here = decide(case, observe(case, subject), exact=True)
    there = decide(case, player.play(case.input), exact=True)
    assert here == there
    assert there.kind in ("pass", "unsupported")


def answers(player: Player, *steps: Step) -> list[object]:
    outcome = player.play(Script(steps=steps))
    assert isinstance(outcome, Answered)
    return list(outcome.value)


OPENED = (OpenWire(fd="a"), Add(fd="a"))


def test_a_step_that_does_not_come_back_waits_and_is_the_last(player: Player) -> None:
    assert answers(player, *OPENED, Read(fd="a"), Close()) == [Done(), Done(), Waiting()]
    assert answers(player, *OPENED, Close()) == [Done(), Done(), Done()]


def _numbers(player: Player) -> list[int]:
    return sorted(map(int, os.listdir(f"/proc/{player.talk.process.pid}/fd")))


def test_a_wire_gets_a_number_that_is_large_enough(player: Player) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 1024:
        pytest.skip("this process may not have so many fds")
    assert answers(player, OpenWire(fd="a", least=1024)) == [Done()]
    assert _numbers(player)[-1] >= 1024


def test_a_new_life_begins_with_nothing_of_those_before(player: Player) -> None:
    assert answers(player, Close()) == [Done()]
    before = _numbers(player)
    assert answers(player, *OPENED, OpenWire(fd="b"), StartRead(fd="a"))[-1] == Waiting()
    assert len(_numbers(player)) > len(before)
    assert answers(player, Close()) == [Done()]
    assert _numbers(player) == before


def test_room_is_made_while_a_write_finishes(player: Player) -> None:
    steps = (StartWrite(fd="a", packet=PACKET, count=64), FinishWrite(fd="a"))
    assert answers(player, *OPENED, *steps)[2:] == [Waiting(), Done()]


def test_a_step_about_something_that_no_step_made_is_an_error_of_the_adapter(player: Player) -> None:
    with pytest.raises(StepBrokenError, match="no container took 'b'") as caught:
        answers(player, *OPENED, StartRead(fd="b"))
    assert "Traceback" in caught.value.trace


def test_a_feed_that_nobody_can_get_is_an_error(player: Player) -> None:
    with pytest.raises(StepBrokenError, match=r"Broken pipe"):
        answers(player, *OPENED, Close(), Feed(fd="a", frame=bytes.fromhex("00")))


def test_a_feed_to_a_wire_that_no_step_made_names_the_step(player: Player) -> None:
    with pytest.raises(ValueError, match=r"step 2 \(Feed"):
        answers(player, *OPENED, Feed(fd="b", frame=bytes.fromhex("00")))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (OkReply(id=1), ValueError),
        (RejectedReply(id=1, detail="no"), TurnedDownError),
        (UnsupportedReply(id=1, what="no"), UnsupportedError),
    ],
)
def test_a_reply_that_is_no_answer_comes_out(reply: Reply, error: type[Exception]) -> None:
    replies = iter([OkReply(id=0), reply])
    with pytest.raises(error):
        RemoteLifecycle().play(Script(steps=(Close(),)), lambda *_: next(replies), os.close)


@pytest.mark.parametrize("op", ["lifecycle", "step"])
def test_an_adapter_that_ends_leaves_no_fd_behind(op: str) -> None:
    def ended(asked: str, *_: object) -> Reply:
        if asked == op:
            raise ConnectionError("ended")
        return OkReply(id=0, answer=Done())

    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(ConnectionError):
        RemoteLifecycle().play(Script(steps=OPENED), ended, lambda _: None)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_fds_go_to_the_adapter_for_the_steps_that_make_one() -> None:
    sent: list[bool] = []
    steps = (OpenWire(fd="a"), OpenOther(fd="x", what="closed"), Close())
    RemoteLifecycle().play(Script(steps=steps), lambda *_: OkReply(id=0, answer=Done()), lambda _: sent.append(True))
    assert sent == [True]
