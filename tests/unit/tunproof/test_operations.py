"""Every operation has an object that presents its cases, in reports and in `tunproof show`."""

from pathlib import Path
from typing import get_args

import pytest

from common.handmade import CASES
from tio.virtio import HEADER_SIZE
from tunproof.cli import show
from tunproof.corpus.cases import Case, ChecksumInput, MustReject, ReadCase, ReadInput, Sum
from tunproof.corpus.load import load
from tunproof.corpus.model import CaseBase
from tunproof.reports import blocks
from tunproof.reports.blocks import Block, Changes, Drawing, Dump, Example, Listing, Prose, Rows
from tunproof.reports.operations import _PRESENTATIONS, Presentation, presentation_of
from tunproof.reports.operations.checksum import ChecksumPresentation
from tunproof.reports.vnet import VNET_LINE

HARNESS = Path(show.__file__).parents[1]
BY_ID = {case.id: case for case in CASES}


class EchoCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="echo"):
    """A case of an operation that has just been invented."""

    input: ChecksumInput
    expect: Sum


def of(case_id: str) -> Presentation:
    return presentation_of(BY_ID[case_id])


def prose(found: object) -> list[str]:
    return [block.text for block in found if isinstance(block, Prose)]


def test_every_case_type_has_a_presentation_of_its_own() -> None:
    assert set(_PRESENTATIONS) == set(get_args(Case))
    assert len(set(_PRESENTATIONS.values())) == len(_PRESENTATIONS)


@pytest.mark.parametrize("path", [*HARNESS.glob("reports/*.py"), HARNESS / "cli/show.py"], ids=lambda path: path.stem)
def test_only_presentations_know_the_type_of_a_case(path: Path) -> None:
    text = path.read_text()
    assert not [kind.__name__ for kind in get_args(Case) if kind.__name__ in text]


@pytest.mark.parametrize("kind", get_args(Case), ids=lambda kind: kind.__name__)
def test_a_presentation_is_for_the_type_under_which_it_stands(kind: type) -> None:
    presented = _PRESENTATIONS[kind]
    assert issubclass(presented, Presentation)
    assert get_args(presented.__orig_bases__[0]) == (kind,)


def test_a_new_operation_without_a_presentation_fails_and_says_what_to_add() -> None:
    like = BY_ID["checksum/sums/three"]
    case = EchoCase(**{name: getattr(like, name) for name in like.__struct_fields__})
    with pytest.raises(TypeError, match=r"EchoCase has no presentation: add one to tunproof\.reports\.operations"):
        presentation_of(case)


@pytest.mark.parametrize("left_out", ["sent", "expected", "input_blocks", "outcome_blocks"])
def test_a_presentation_that_leaves_something_out_cannot_be_made(left_out: str) -> None:
    needed = {name: getattr(ChecksumPresentation, name) for name in Presentation.__abstractmethods__ - {left_out}}
    half = type("Half", (Presentation,), needed)
    with pytest.raises(TypeError, match=left_out):
        half(BY_ID["checksum/sums/three"])


def test_every_block_has_a_renderer() -> None:
    assert set(get_args(Block)) == set(show._DRAW)
    assert {kind.__name__ for kind in get_args(Block)} == set(blocks.__all__) - {"Block"}


def test_every_case_is_described_in_one_to_six_lines() -> None:
    for case in load().cases.values():
        lines = presentation_of(case).sent()
        assert 1 <= len(lines) <= 6, case.id
        assert not any("\n" in line for line in lines), case.id


@pytest.mark.parametrize("case_id", BY_ID)
def test_methods_can_be_called_again(case_id: str) -> None:
    shown = of(case_id)
    for method in (shown.sent, shown.expected, shown.rule, shown.cut, shown.vnet, shown.steps):
        assert method() == method()
    for blocks_of in (shown.input_blocks, shown.outcome_blocks, shown.kernel_blocks):
        assert list(blocks_of()) == list(blocks_of())


def test_only_inputs_with_a_fault_break_a_rule() -> None:
    broken = {case.id for case in CASES if of(case.id).rule()}
    assert broken == {"header/fields/short", "read/cuts/zero", "write_gso/joins/nothing"}
    assert of("read/cuts/zero").rule() is BY_ID["read/cuts/zero"].expect.fault


def test_pictures_are_of_cuts_and_batches() -> None:
    cut = {"headers": 40, "payload": 24, "segments": [[8, 3]]}
    assert of("read/cuts/two").cut() == of("write_gso/joins/three").cut() == cut
    assert of("write_batch/batches/three").cut() == {"packets": [48, 48, 48], "joined": ((0, 1), (2,))}
    drawn = {case.id.partition("/")[0] for case in CASES if of(case.id).cut()}
    assert drawn == {"read", "write", "write_gso", "write_batch"}
    assert of("read/cuts/zero").cut() is None
    assert of("write/plain/empty").cut() is None


def test_vnet_headers_say_whose_they_are() -> None:
    found = {case.id: vnet.whose for case in CASES if (vnet := of(case.id).vnet())}
    assert found["read/cuts/two"] == "vnet header"
    assert found["write_gso/joins/three"] == found["write/plain/one"] == "A right vnet header"
    assert (found["header/fields/emit"], found["header/fields/parse"]) == ("Fields", "What it says")
    assert not {"header/fields/short", "write/plain/empty", "write_gso/joins/nothing"} & set(found)
    assert not {case_id for case_id in found if case_id.startswith(("checksum", "write_batch", "lifecycle"))}
    assert ("gso_type", "129", "TCPV4|ECN") in of("header/fields/parse").vnet().rows


def test_a_frame_that_is_cut_off_has_no_fields_but_a_line() -> None:
    case = BY_ID["read/cuts/zero"]
    stated = ("id", "digest", "about", "flags", "level", "importance", "reach", "basis")
    short = ReadCase(
        **{name: getattr(case, name) for name in stated},
        input=ReadInput(frame=b"\1\2"),
        expect=MustReject(fault=case.expect.fault),
    )
    shown = presentation_of(short)
    assert shown.vnet() == ("vnet header", ())
    assert shown.sent()[-1] == f"{VNET_LINE}cut off in the vnet header (0102)"
    assert list(shown.input_blocks()) == [Prose("a frame of 2 bytes, cut off in the vnet header"), Dump(b"\1\2")]


def test_only_a_lifecycle_has_steps() -> None:
    assert of("lifecycle/life/reads").steps()[3] == ("read a", "packets (48, 48, 48 bytes) or closed")
    assert [case.id for case in CASES if of(case.id).steps() is not None] == ["lifecycle/life/reads"]


def test_a_frame_is_shown_as_header_and_packet_and_its_cut_as_a_drawing() -> None:
    case = BY_ID["read/cuts/two"]
    found = list(of(case.id).input_blocks())
    assert found[-1] == Dump(case.input.frame[HEADER_SIZE:])
    assert any(isinstance(block, Rows) and block.columns == ("field", "byte", "value") for block in found)
    drawing, changes, *_ = of(case.id).outcome_blocks()
    assert isinstance(drawing, Drawing)
    assert isinstance(changes, Changes)
    assert drawing.segments == tuple(changes.packets.values()) == case.expect.packets


def test_a_batch_leaves_its_groups_to_the_judge() -> None:
    case = BY_ID["write_batch/batches/three"]
    found = list(of(case.id).outcome_blocks())
    assert found[-1] == Example(case.input.packets, case.expect)
    assert Listing(("in this order: 0, 1, 2",), "flows") in found
    assert Listing(("never in one superpacket: 1 and 2",), "pairs") in found


def test_what_kernels_do_is_said_in_the_terms_of_the_operation() -> None:
    said = {case.id: prose(of(case.id).kernel_blocks()) for case in CASES}
    assert said["checksum/sums/three"][-1] == "a kernel comes to the same sum"
    assert said["read/cuts/two"] == ["a kernel makes the same packets of it"]
    assert said["write_batch/batches/three"] == [
        "a kernel cuts the frames of that answer into the packets that went in"
    ]
    assert said["lifecycle/life/reads"] == ["not run: nothing reaches a kernel"]
    assert said["read/cuts/other"][1].startswith("first difference: packet 1")
