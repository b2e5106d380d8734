"""The Python kit, copied elsewhere and run with nothing installed, as users run it."""

import ast
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.talk import Talk, outcome_of, received, runs_of, talking, wire
from tunproof.corpus.cases import Case
from tunproof.corpus.load import load
from tunproof.judge.decide import decide
from tunproof.protocol.kits import adapter
from tunproof.protocol.messages import SENTINEL, ErrorReply, OkReply, RejectedReply, UnsupportedReply

KIT = Path(adapter.__file__)
ALONE = [sys.executable, "-E", "-s", "-S"]  # the standard library, and what is beside the script

SCRIPT = """
import os
from adapter import Rejected, Unsupported, serve

fd = None

def checksum(data, initial):
    print("printed", flush=True)
    os.system("echo by a child")
    return initial // len(data)

def read(frame):
    raise Rejected("not this one", [b"came", frame])

def write(packet, poison):
    if fd is None:
        return [packet, bytes([poison])] if poison is not None else []
    os.write(fd, packet)

def write_gso(hdr, transport_hdr, pays):
    if not pays:
        raise Unsupported("no pays")
    raise Rejected("not those", [hdr + transport_hdr + b"".join(pays)])

def attach(mode, number, name):
    global fd
    print(mode, number is not None, name)
    fd = number

def read_some():
    packet = os.read(fd, 65536)
    if packet.startswith(b"bad"):
        raise Rejected(packet[3:].decode(), [packet[:3]])
    return packet.split(b",") if packet else []

told = []

def begin(descriptors, backend):
    told.append((descriptors, backend))

def step(step):
    told.append(step)
    return {"is": "count", "count": len(told)} if step["do"] == "queues" else None

serve(
    {"implementation": {"name": "x", "version": "2", "language": "Python"}, "capabilities": [],
     "modes": ["memory", "wire"], "rejectStyle": "silent", "maxBatch": 3},
    {"checksum": checksum, "read": read, "write": write, "write_gso": write_gso, "lifecycle": (begin, step)},
    attach=attach,
    read_some=read_some,
)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "stderr"


@pytest.fixture
def kit(tmp_path: Path) -> list[str]:
    return [*ALONE, str(shutil.copy(KIT, tmp_path))]


@pytest.fixture
def command(tmp_path: Path, kit: list[str]) -> list[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    return [*ALONE, str(script)]


@pytest.fixture
def talk(command: list[str], log: Path) -> Iterator[Talk]:
    with talking(command, log) as made:
        made.hello()
        yield made


def cases(op: str) -> list[Case]:
    return load().select(f"{op}/*")


@pytest.mark.parametrize("op", ["checksum", "header"])
def test_the_example_passes_every_case_of_its_ops(op: str, kit: list[str], log: Path) -> None:
    with talking(kit, log) as talk:
        assert op in talk.hello().ops
        wrong = {case.id: decide(case, outcome_of(talk.run(op, runs_of(case)[-1]))).difference for case in cases(op)}
    assert len(wrong) > 50
    assert not {name: difference for name, difference in wrong.items() if difference}


def test_the_example_claims_what_its_cases_require(kit: list[str], log: Path) -> None:
    required = {what for op in ("checksum", "header") for case in cases(op) for what in case.requires}
    with talking(kit, log) as talk:
        assert set(talk.hello().capabilities) == required


def test_hello_is_answered_with_what_the_author_says(command: list[str], log: Path) -> None:
    with talking(command, log) as talk:
        hello = talk.hello()
    assert hello.ops == ("checksum", "read", "write", "write_gso", "lifecycle")
    assert (hello.protocol, hello.implementation.name, hello.reject_style, hello.max_batch) == (2, "x", "silent", 3)
    assert hello.modes == ("memory", "wire")


def test_who_reads_from_a_fd_alone_reads(command: list[str], tmp_path: Path, log: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(script.read_text().replace('"read": read, ', ""))
    with wire() as (near, far), talking(command, log, pass_fds=[near.fileno()]) as talk:
        assert "read" in talk.hello({"mode": "wire", "fd": near.fileno()}).ops
        far.send(b"a," + SENTINEL)
        assert talk.run("read", {"frame": None}) == OkReply(id=1, packets=(b"a",))


@pytest.mark.parametrize("op", ["segment", "header", "step2"])
def test_an_op_that_is_not_there_is_unsupported(op: str, talk: Talk) -> None:
    assert talk.run(op, {}) == UnsupportedReply(id=1, what=f"op {op}")


def test_step_comes_with_lifecycle_alone(kit: list[str], log: Path) -> None:
    with talking(kit, log) as talk:
        talk.hello()
        assert isinstance(talk.run("step", {"step": {"do": "queues"}}), UnsupportedReply)


def test_a_refusal_is_rejected_with_what_came(talk: Talk) -> None:
    assert talk.run("read", {"frame": "ff"}) == RejectedReply(id=1, detail="not this one", packets=(b"came", b"\xff"))
    given = {"hdr": "01", "transport_hdr": "02", "pays": ["03", "04"]}
    assert talk.run("write_gso", given) == RejectedReply(id=2, detail="not those", frames=(b"\1\2\3\4",))


def test_what_the_implementation_lacks_is_unsupported(talk: Talk) -> None:
    given = {"hdr": "01", "transport_hdr": "02", "pays": []}
    assert talk.run("write_gso", given) == UnsupportedReply(id=1, what="no pays")


def test_an_exception_is_an_error_with_its_trace(talk: Talk) -> None:
    reply = talk.run("checksum", {"data": "", "initial": 5})
    assert isinstance(reply, ErrorReply)
    assert reply.detail.startswith("ZeroDivisionError: ")
    assert "script.py" in reply.trace
    assert isinstance(talk.run("checksum", {"data": "00", "initial": 5}), OkReply)


def test_an_input_that_is_not_hex_is_an_error(talk: Talk) -> None:
    assert isinstance(talk.run("write", {"packet": "xy", "poison": None}), ErrorReply)


def test_what_is_printed_goes_to_the_log(talk: Talk, log: Path) -> None:
    assert talk.run("checksum", {"data": "0000", "initial": 9}) == OkReply(id=1, sum=4)
    assert log.read_text().split("\n")[:2] == ["printed", "by a child"]


def test_poison_is_a_number_or_nothing(talk: Talk) -> None:
    assert talk.run("write", {"packet": "ab", "poison": "fe"}) == OkReply(id=1, frames=(b"\xab", b"\xfe"))
    assert talk.run("write", {"packet": "ab", "poison": None}) == OkReply(id=2, frames=())


def test_a_batch_is_answered_in_order(talk: Talk) -> None:
    bad, good = ("checksum", {"data": "", "initial": 0}), ("checksum", {"data": "00", "initial": 3})
    replies = talk.batch([good, bad, ("none", {}), good])
    assert [type(reply) for reply in replies] == [OkReply, ErrorReply, UnsupportedReply, OkReply]


def test_long_lines_go_through_both_ways(talk: Talk) -> None:
    packet = b"\0" * (3 << 20)
    assert talk.run("write", {"packet": packet, "poison": "01"}) == OkReply(id=1, frames=(packet, b"\1"))


@pytest.mark.parametrize("last", [lambda talk: talk.say({"cmd": "bye"}), lambda _: None])
def test_bye_and_the_end_of_the_input_end_it(last: Callable[[Talk], Any], command: list[str], log: Path) -> None:
    talk = Talk(command, log)
    talk.hello()
    last(talk)
    assert talk.end() == 0


def test_after_bye_nothing_is_read(talk: Talk) -> None:
    talk.say({"cmd": "bye"})
    assert talk.process.wait(10) == 0


@pytest.fixture
def attached(command: list[str], log: Path) -> Iterator[tuple[Talk, Any]]:
    with wire() as (near, far), talking(command, log, pass_fds=[near.fileno()]) as talk:
        talk.hello({"mode": "wire", "fd": near.fileno()})
        yield talk, far


def test_attach_is_told_mode_fd_and_name(command: list[str], log: Path) -> None:
    with talking(command, log) as talk:
        talk.hello({"mode": "device-create", "name": "tun3"})
    assert log.read_text() == "device-create False tun3\n"


def test_reading_goes_on_until_the_sentinel_comes_out(attached: tuple[Talk, Any]) -> None:
    talk, far = attached
    for packet in (b"a,b", b"", b"c", SENTINEL):
        far.send(packet)
    assert talk.run("read", {"frame": None}) == OkReply(id=1, packets=(b"a", b"b", b"c"))
    far.send(SENTINEL)
    assert talk.run("read", {"frame": None}) == OkReply(id=2, packets=())


def test_the_sentinel_may_come_with_packets_before_it(attached: tuple[Talk, Any]) -> None:
    talk, far = attached
    far.send(b"a," + SENTINEL)
    assert talk.run("read", {"frame": None}) == OkReply(id=1, packets=(b"a",))


def test_a_refusal_counts_once_the_sentinel_is_out(attached: tuple[Talk, Any]) -> None:
    talk, far = attached
    for packet in (b"a", b"badone", b"badtwo", b"b", SENTINEL):
        far.send(packet)
    came = (b"a", b"bad", b"bad", b"b")
    assert talk.run("read", {"frame": None}) == RejectedReply(id=1, detail="one", packets=came)
    far.send(SENTINEL)
    assert talk.run("read", {"frame": None}) == OkReply(id=2, packets=())


def test_a_write_to_the_fd_is_answered_without_frames(attached: tuple[Talk, Any]) -> None:
    talk, far = attached
    assert talk.run("write", {"packet": "abcd", "poison": None}) == OkReply(id=1)
    assert received(far) == [b"\xab\xcd"]


def test_lifecycles_and_their_steps_go_to_the_pair(command: list[str], log: Path) -> None:
    with talking(command, log) as talk:
        talk.hello(descriptors=17)
        assert talk.run("lifecycle", {"backend": "plain"}) == OkReply(id=1)
        reply = talk.run("step", {"step": {"do": "queues"}})
        assert isinstance(reply, OkReply)
        assert reply.answer is not None
        assert reply.answer.count == 2


def test_the_kit_is_one_short_file_of_the_standard_library() -> None:
    source = KIT.read_text()
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module).partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names <= set(sys.stdlib_module_names)
    assert len(source.splitlines()) < 220
