"""The kits for Go, Rust and C: compiled as users compile them, and driven unchanged and with another example."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.examples import EXAMPLES
from adapters.talk import Talk, outcome_of, received, runs_of, talking, wire
from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.cases import Case
from tunproof.corpus.load import load
from tunproof.judge.decide import decide
from tunproof.judge.verdict import Kind
from tunproof.protocol import kits
from tunproof.protocol.messages import SENTINEL, ErrorReply, OkReply, RejectedReply, UnsupportedReply

KITS = Path(kits.__file__).parent

COMPILERS = {
    "go": ["go", "build", "-o"],
    "rs": ["rustc", "-O", "-D", "warnings", "--edition", "2021", "-o"],
    "c": ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-std=c11", "-o"],
}
SANITIZED = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
LANGUAGES = ("go", "rs", "c", "c-sanitized")


def compiled(language: str, source: str, folder: Path) -> list[str]:
    """Return the command of a program made of one source file. Skips where there is no compiler."""
    suffix, _, sanitized = language.partition("-")
    command = COMPILERS[suffix]
    if shutil.which(command[0]) is None:
        pytest.skip(f"no compiler: {command[0]}")
    file = folder / f"adapter.{suffix}"
    file.write_text(source)
    program = folder / "adapter"
    built = subprocess.run(
        [*command, str(program), *(SANITIZED if sanitized else []), str(file)],
        cwd=folder,
        env={**os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    if sanitized and "asan" in built.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    assert not built.stderr
    return [str(program)]


def with_example(language: str, example: str) -> str:
    """Return the source of a kit with something else between its marks."""
    source = (KITS / f"adapter.{language.partition('-')[0]}").read_text()
    before, begin, rest = source.partition("// example begin")
    _, end, after = rest.partition("// example end\n")
    assert begin
    assert end
    assert not after
    return before + example


@pytest.fixture(scope="module", params=LANGUAGES)
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    language = request.param
    source = (KITS / f"adapter.{language.partition('-')[0]}").read_text()
    return compiled(language, source, tmp_path_factory.mktemp(language))


@pytest.fixture(scope="module", params=LANGUAGES)
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The kit with the example of `examples`, which does all that the kit's own does not."""
    language = request.param
    example = EXAMPLES[language.partition("-")[0]]
    return compiled(language, with_example(language, example), tmp_path_factory.mktemp(language))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "stderr"


@pytest.fixture
def talk(other: list[str], log: Path) -> Iterator[Talk]:
    with talking(other, log) as made:
        made.hello()
        yield made


@pytest.fixture
def attached(other: list[str], log: Path) -> Iterator[tuple[Talk, Any]]:
    with wire() as (near, far), talking(other, log, pass_fds=[near.fileno()]) as talk:
        talk.hello({"mode": "wire", "fd": near.fileno()})
        yield talk, far


def claimed(talk: Talk) -> list[Case]:
    hello = talk.hello()
    assert set(hello.ops) == {"checksum", "header"}
    assert set(hello.capabilities) <= set(CAPABILITIES)
    cases = [case for op in hello.ops for case in load().select(f"{op}/*")]
    return [case for case in cases if set(case.requires) <= set(hello.capabilities)]


def test_the_example_passes_every_case_of_what_it_claims(kit: list[str], log: Path) -> None:
    with talking(kit, log) as talk:
        cases = claimed(talk)
        verdicts = [decide(case, outcome_of(talk.run(op_of(case), runs_of(case)[-1]))) for case in cases]
    assert len(cases) >= 90
    assert {verdict.kind for verdict in verdicts} == {Kind.PASS}, [verdict.difference for verdict in verdicts]


def test_the_example_passes_the_same_in_batches(kit: list[str], log: Path) -> None:
    with talking(kit, log) as talk:
        cases = claimed(talk)
        for start in range(0, len(cases), 64):
            some = cases[start : start + 64]
            replies = talk.batch([(op_of(case), runs_of(case)[-1]) for case in some])
            verdicts = [decide(case, outcome_of(reply)) for case, reply in zip(some, replies, strict=True)]
            assert {verdict.kind for verdict in verdicts} == {Kind.PASS}


def op_of(case: Case) -> str:
    return case.id.partition("/")[0]


@pytest.mark.parametrize("op", ["segment", "read", "write_gso", "lifecycle", "step"])
def test_an_op_that_is_not_there_is_unsupported(op: str, kit: list[str], log: Path) -> None:
    with talking(kit, log) as talk:
        talk.hello()
        given = {"frame": "00", "hdr": "", "transport_hdr": "", "pays": [], "step": {"do": "x"}, "backend": None}
        assert isinstance(talk.run(op, given), UnsupportedReply)
        assert talk.run("checksum", {"data": "0001", "initial": 1}) == OkReply(id=2, sum=2)


def test_what_is_printed_goes_to_the_log(talk: Talk, log: Path) -> None:
    assert talk.run("checksum", {"data": "0000", "initial": 9}) == OkReply(id=1, sum=2)
    assert talk.run("checksum", {"data": "0000", "initial": 9}) == OkReply(id=2, sum=2)
    assert talk.end() == 0
    assert log.read_text().count("printed") == 2


def test_a_panic_is_an_error_and_a_crash_is_a_crash(talk: Talk, other: list[str], log: Path) -> None:
    if Path(other[0]).with_suffix(".c").exists():
        talk.say({"cmd": "run", "id": 1, "op": "checksum", "input": {"data": "", "initial": 5}})
        assert talk.process.wait(10) != 0
        return
    reply = talk.run("checksum", {"data": "", "initial": 5})
    assert isinstance(reply, ErrorReply)
    assert reply.detail == 'no "data"\n at all'
    assert talk.run("checksum", {"data": "00", "initial": 5}) == OkReply(id=2, sum=2)


def test_a_refusal_is_rejected_with_what_came(talk: Talk) -> None:
    reply = talk.run("read", {"frame": "ff"})
    assert isinstance(reply, RejectedReply)
    assert reply.packets == (b"came", b"\xff")
    assert reply.detail == 'not "this"\n one'
    given = {"hdr": "01", "transport_hdr": "02", "pays": ["03", "0405"]}
    reply = talk.run("write_gso", given)
    assert isinstance(reply, RejectedReply)
    assert reply.frames == (b"\1\2\3\4\5",)


def test_what_the_implementation_lacks_is_unsupported(talk: Talk) -> None:
    assert isinstance(talk.run("write_gso", {"hdr": "", "transport_hdr": "", "pays": []}), UnsupportedReply)


def test_poison_is_a_byte_or_nothing_and_no_frames_are_a_list(talk: Talk) -> None:
    assert talk.run("write", {"packet": "ab", "poison": "fe"}) == OkReply(id=1, frames=(b"\xab", b"\xfe"))
    assert talk.run("write", {"packet": "ab", "poison": None}) == OkReply(id=2, frames=())


def test_a_batch_of_packets_comes_back_in_order_and_no_larger_than_it_was(talk: Talk) -> None:
    """The examples give all of the memory behind a packet: a read past its end meets the end, not what is left over."""
    packets = (b"\xaa", b"", b"\xbb\xbb", b"\xcc", bytes(range(77)))
    assert talk.run("write_batch", {"packets": packets, "poison": None}) == OkReply(id=1, frames=packets)


def test_a_reply_of_many_packets_and_a_long_line_go_through(talk: Talk) -> None:
    packets = tuple(number.to_bytes(41, "big") for number in range(65495))
    assert talk.run("write_batch", {"packets": packets, "poison": None}) == OkReply(id=1, frames=packets)
    packet = b"\x5a" * (3 << 20)
    assert talk.run("write", {"packet": packet, "poison": "00"}) == OkReply(id=2, frames=(packet, b"\0"))


def test_requests_may_be_written_in_any_order_and_with_more_in_them(kit: list[str], log: Path) -> None:
    with talking(kit, log) as talk:
        talk.hello()
        line = (
            rb' { "input" :{"more": [1, -2.5e3, true, [], {}, {"a\\": "\"]}\\\/\u00e9"}, "\\\\"],'
            b"\t\r"
            rb' "initial":1,"data" : "0001" },"op":"checksum" , "id": 9007199254740991 ,"cmd":"run"} '
        )
        talk._in.write(line + b"\n")
        talk._in.flush()
        assert talk.hear().replace(b" ", b"") in {
            b'{"id":9007199254740991,"status":"ok","sum":2}',
            b'{"status":"ok","id":9007199254740991,"sum":2}',
        }


def test_a_line_that_ends_anywhere_ends_it(kit: list[str]) -> None:
    line = rb'{"cmd":"batch","runs":[{"cmd":"run","id":1,"op":"a\"b\\","input":{"c":[-1.5,null]}}]}'
    for end in range(1, len(line)):
        done = subprocess.run(kit, input=line[:end], capture_output=True, timeout=10, check=False)
        assert (done.returncode, done.stdout) == (1, b""), line[:end]
        assert b"adapter: " in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "[]",
        "{}",
        '{"cmd":"dance"}',
        '{"cmd":"run"',
        '{"cmd":"run","id":1,"op":"checksum","input":{"data":"00","initial":0}',
        '{"cmd":"run","id":1,"op":"checksum","input":{"data":"00"}}',
        '{"cmd":"run","id":1,"op":"checksum","input":{"data":["00"],"initial":0}}',
        '{"cmd":"run","id":1,"op":"checksum","input":{"data":"00,"initial":0}}',
        '{"cmd" "run","id":1,"op":"checksum","input":{"data":"00","initial":0}}',
        '{"cmd":"run","id":1 "op":"checksum","input":{"data":"00","initial":0}}',
        '{"cmd":"run","id":1,"op":"checksum","input":{"data":"0","initial":0}}',
        '{"cmd":"run","id":1,"op":"checksum","input":{"data":"0g","initial":0}}',
        '{"cmd":"run","id":1,"op":"checksum","input":{"data":"00","initial":"0"}}',
        '{"cmd":"run","id":1,"op":"checksum"}',
        "}",
        '"',
        '"\\\\',
    ],
)
def test_a_line_that_is_no_request_ends_it(line: str, kit: list[str]) -> None:
    done = subprocess.run(kit, input=line.encode() + b"\n", capture_output=True, timeout=10, check=False)
    assert done.returncode == 1
    assert not done.stdout
    assert b"adapter: " in done.stderr


def test_bye_and_the_end_of_the_input_end_it(kit: list[str], log: Path) -> None:
    with talking(kit, log) as talk:
        talk.hello()
        talk.say({"cmd": "bye"})
        assert talk.process.wait(10) == 0
    ended = Talk(kit, log)
    ended.hello()
    assert ended.end() == 0


def test_attach_is_told_mode_fd_and_name(other: list[str], log: Path) -> None:
    with talking(other, log) as talk:
        talk.hello({"mode": "device-create", "name": "tun3"})
    assert "device-create" in log.read_text()
    assert "tun3" in log.read_text()


def test_reading_goes_on_until_the_sentinel_comes_out(attached: tuple[Talk, Any]) -> None:
    talk, far = attached
    for packet in (b"a", b"b", b"c", SENTINEL):
        far.send(packet)
    assert talk.run("read", {"frame": None}) == OkReply(id=1, packets=(b"a", b"b", b"c"))
    far.send(SENTINEL)
    assert talk.run("read", {"frame": None}) == OkReply(id=2, packets=())


def test_a_refusal_counts_once_the_sentinel_is_out(attached: tuple[Talk, Any]) -> None:
    talk, far = attached
    for packet in (b"a", b"bad", b"bad", b"b", SENTINEL):
        far.send(packet)
    reply = talk.run("read", {"frame": None})
    assert isinstance(reply, RejectedReply)
    assert reply.packets == (b"a", b"bad", b"bad", b"b")
    far.send(SENTINEL)
    assert talk.run("read", {"frame": None}) == OkReply(id=2, packets=())


def test_a_write_to_the_fd_is_answered_without_frames(attached: tuple[Talk, Any]) -> None:
    talk, far = attached
    talk.say({"cmd": "run", "id": 1, "op": "write", "input": {"packet": "abcd", "poison": None}})
    assert json.loads(talk.hear()) == {"id": 1, "status": "ok"}
    assert received(far) == [b"\xab\xcd"]


@pytest.mark.parametrize("language", ["py", "go", "rs", "c"])
def test_a_kit_is_one_short_file(language: str) -> None:
    lines = (KITS / f"adapter.{language}").read_text().expandtabs(4).splitlines()
    assert len(lines) < 220
    assert max(map(len, lines)) <= (120 if language == "py" else 110)
