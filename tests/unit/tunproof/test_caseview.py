"""One case for people: every operation and outcome, on a terminal and in a pipe."""

import io
import json
import subprocess
import sys

import pytest

from common.handmade import CASES, file_of
from tunproof.cli import show as caseview
from tunproof.cli.terminal import Terminal
from tunproof.corpus.load import Corpus, load

BY_ID = {case.id: case for case in CASES}
CORPUS = Corpus([file_of("all", CASES)])


def shown(case_id: str, *, width: int | None = None) -> str:
    """Return what is printed: for a terminal of some width, or for a pipe."""
    terminal = Terminal()
    terminal.out.file = io.StringIO()
    if width is not None:
        terminal.out._force_terminal = True
        terminal.out.soft_wrap = False
        terminal.out.width = width
        terminal.out.no_color = True
    caseview.show(terminal, BY_ID[case_id], CORPUS)
    return terminal.out.file.getvalue()


@pytest.mark.parametrize(
    ("case_id", "texts"),
    [
        (
            "checksum/sums/three",
            ("3 bytes, to be summed from 0x0001", "0x0403, the folded sum", "0xfbfc", "a kernel comes to the same sum"),
        ),
        ("header/fields/parse", ("vnet header of 12 bytes, little-endian", "num_buffers", "TCPV4|ECN", "0300")),
        ("header/fields/emit", ("to be made into a vnet header of 10 bytes", "NEEDS_CSUM", "not run: nothing")),
        ("header/fields/short", ("must be rejected", "rule R5: vnet.gso_size at 4 is 0", "sibling: header/")),
        (
            "read/cuts/two",
            (
                *("a frame of 74 bytes", "gso_size 8", "4, 5", "DF, 0", "segment 2", "tcp.sequence", "makes the same"),
                "must, importance high, reach kernel\n",
                "readback, to a reader that asks for CSUM, TSO4, with hdr_len 64: 5.10.1, 6.1.0\n",
            ),
        ),
        (
            "read/cuts/udp",
            (
                "a kernel with uso makes the same packets",
                "a kernel without uso refuses the write: EINVAL",
                "Linux 6.2 (860b7f27b8f7)",
                "requires gso.udp4: UDP superpackets over IPv4",
            ),
        ),
        (
            "read/cuts/zero",
            (
                "before it, to the same instance, 1 frame (74 bytes)",
                "refuses the write: EINVAL",
                "reach hostile: no known kernel",
            ),
        ),
        (
            "read/cuts/other",
            (
                "delivers 1 packet (48 bytes)",
                "first difference: packet 1, number of packets",
                "why the two may differ: kernels stop after the first",
            ),
        ),
        (
            "write/plain/one",
            ("reach peer: the bytes", "a packet of 48 bytes", "type NONE", "byte for byte what went in"),
        ),
        ("write/plain/empty", ("filled with 0xff before", "nothing is written")),
        ("write_gso/joins/three", ("3 fragments: 8, 8, 8", "transport_hdr", "V1 to V14", "segment 2", "loses it")),
        ("write_gso/joins/nothing", ("0 fragments: none", "must be refused: the call fails, and nothing is written")),
        (
            "write_batch/batches/three",
            (
                "a batch of 3 packets (48, 48, 48 bytes)",
                "filled with 0xa5 before",
                "tcp.sequence",
                "in this order: 0, 1, 2",
                "never in one superpacket: 1 and 2",
                "0, 1: 66 bytes; flags NEEDS_CSUM",
                "2: 58 bytes; flags 0",
            ),
        ),
        (
            "lifecycle/life/reads",
            (
                "5 steps of one container, which has vnet headers",
                "open-wire a",
                "feed a frame of 74 bytes (flags NEEDS_CSUM",
                "packets (48, 48, 48 bytes) or closed",
                "frames (no bytes)",
                "requires lifecycle.wire: a container that takes a socket",
            ),
        ),
    ],
)  # fmt: skip
def test_every_operation_and_outcome_is_told(case_id: str, texts: tuple[str, ...]) -> None:
    text = shown(case_id)
    for part in (*texts, BY_ID[case_id].about, "effect: Bytes are lost.", "https://example.org/1", "basis, RFC"):
        assert part in text
    assert "\x1b" not in text
    assert f"digest of input and outcomes: {BY_ID[case_id].digest}\n" in text  # no line is broken in a pipe


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("case_id", BY_ID)
def test_nothing_is_wider_than_the_terminal(case_id: str, width: int) -> None:
    assert max(map(len, shown(case_id, width=width).splitlines())) <= width


def test_long_inputs_are_cut_off_and_say_how_much_more_there_is() -> None:
    corpus = load()
    case = max(corpus.cases.values(), key=lambda case: len(getattr(case.input, "frame", "")))
    terminal = Terminal()
    terminal.out.file = io.StringIO()
    caseview.show(terminal, case, corpus)
    text = terminal.out.file.getvalue()
    assert "more bytes" in text
    assert len(text) < 12_000


def test_markup_in_a_case_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    case = BY_ID["read/cuts/two"]
    monkeypatch.setitem(BY_ID, case.id, type(case)(**{name: getattr(case, name) for name in case.__struct_fields__} | {
        "about": "It is [red]not red[/red]."
    }))  # fmt: skip
    assert "It is [red]not red[/red]." in shown(case.id)


def test_json_is_the_case_and_what_explains_it() -> None:
    found = caseview.as_json(BY_ID["read/cuts/udp"], CORPUS)
    assert found["case"]["op"] == "read"
    assert found["case"]["input"]["frame"]
    assert found["flags"]["Wrong"]["effect"] == "Bytes are lost."
    assert list(found["traits"]) == ["uso"]


def test_the_command_prints_json() -> None:
    case_id = next(iter(load().cases))
    command = [sys.executable, "-m", "tunproof", "show", "--json", case_id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["case"]["id"] == case_id


def test_the_first_case_of_every_topic_can_be_shown() -> None:
    corpus = load()
    first = {case.id.rpartition("/")[0]: case for case in reversed(corpus.cases.values())}
    for case in first.values():
        terminal = Terminal()
        terminal.out.file = io.StringIO()
        caseview.show(terminal, case, corpus)
        assert case.about in terminal.out.file.getvalue()
