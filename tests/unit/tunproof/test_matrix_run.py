"""What a matrix run is made of: the guest's archive, modules in order, the wire, and kernels side by side."""

import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from common.made_kernels import CORPUS, kernel
from tio.linux import FORWARD, Delivered, KernelOutcome, Lost, Refused, Way, readback
from tio.tuntap import Offload
from tunproof.corpus.load import Corpus
from tunproof.corpus.model import KernelDelivers
from tunproof.lab.way_json import told_way, way_of
from tunproof.matrix.compare import UNEXPLAINED, differing, grouped, traits_that_differ, unexplained
from tunproof.matrix.cpio import Archive
from tunproof.matrix.markdown import markdown
from tunproof.matrix.modules import load_order
from tunproof.matrix.wire import Answer, Request, Wire, outcome_of, told

# The archive ---------------------------------------------------------------------------------------------------------


def test_cpio_unpacks_what_was_packed(tmp_path: Path) -> None:
    program = shutil.which("cpio")
    if program is None:
        pytest.skip("cpio is not installed (apt-get install cpio)")
    archive = Archive()
    archive.file("/usr/lib/odd", b"abc")
    archive.file("/init", b"#!/bin/true\n", executable=True)
    subprocess.run([program, "-i", "--quiet"], input=archive.to_bytes(), cwd=tmp_path, check=True)
    assert (tmp_path / "usr/lib/odd").read_bytes() == b"abc"
    assert os.access(tmp_path / "init", os.X_OK)


def test_a_path_is_in_the_archive_once() -> None:
    archive = Archive()
    archive.file("/a/b", b"first")
    archive.file("/a/b", b"second")
    assert archive.to_bytes().count(b"a/b\0") == 1
    assert b"second" not in archive.to_bytes()


def test_every_part_of_an_archive_begins_at_a_whole_word() -> None:
    archive = Archive()
    for size in range(9):
        archive.file(f"/{'n' * (size + 1)}", b"x" * size)
    data = archive.to_bytes()
    places = [place for place in range(len(data)) if data.startswith(b"070701", place)]
    assert len(places) == 10
    assert all(place % 4 == 0 for place in places)


# Modules -------------------------------------------------------------------------------------------------------------


def test_a_module_is_loaded_behind_those_that_it_needs(tmp_path: Path) -> None:
    for name, depends in (("tun", "udp-tunnel,ipv6"), ("udp_tunnel", ""), ("ipv6", "crc"), ("crc", ""), ("other", "")):
        (tmp_path / f"{name}.ko").write_bytes(b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0")
    assert [name for name, _ in load_order(tmp_path, ("tun", "built_in"))] == ["udp_tunnel", "crc", "ipv6", "tun"]


# The wire ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Refused(22), Lost(), Delivered((b"a", b"")), Delivered(())])
def test_an_outcome_travels(outcome: KernelOutcome) -> None:
    receiving, sending = os.pipe()
    try:
        Wire(sending).send(Answer(outcomes=[told(outcome)]))
        answer = Wire(receiving).receive(Answer)
    finally:
        os.close(receiving)
        os.close(sending)
    assert answer is not None
    assert [outcome_of(one) for one in answer.outcomes if not isinstance(one, str)] == [outcome]


@pytest.mark.parametrize("way", [Way(), FORWARD, readback(Offload.TSO | Offload.USO), Way(up=False, readable=4)])
def test_a_way_travels(way: Way) -> None:
    told = told_way(way)
    assert way_of(msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=type(told))) == way


def test_a_closed_wire_says_nothing_more() -> None:
    receiving, sending = os.pipe()
    os.write(sending, b"\0\0\0\x09half")
    os.close(sending)
    try:
        assert Wire(receiving).receive(Request) is None
    finally:
        os.close(receiving)


# Kernels side by side ------------------------------------------------------------------------------------------------


def test_where_kernels_differ_a_trait_explains_it() -> None:
    rows = differing([kernel("7.3.4"), kernel("5.10.262"), kernel("6.12.95")], CORPUS)
    assert len(rows) > 100
    assert all(row.because for row in rows)
    assert list(rows[0].answers) == ["5.10.262-cloud-amd64", "6.12.95-cloud-amd64", "7.3.4-cloud-amd64"]
    uso = next(row for row in rows if row.case.id.startswith("read/udp4/"))
    assert list(uso.answers.values()) == ["EINVAL", "as expected", "as expected"]
    assert "uso" in uso.because


def test_kernels_that_are_alike_differ_in_nothing() -> None:
    assert differing([kernel("6.18.15"), kernel("6.18.15")], CORPUS) == []


def test_what_no_trait_explains_stands_first() -> None:
    name = "read/tcp4/cwr-on-first-segment-only"
    rows = differing([kernel("7.3.4"), kernel("6.12.95", disagree=(name,))], CORPUS)
    assert rows[0].case.id == name
    assert rows[0].answers["6.12.95-cloud-amd64"] == UNEXPLAINED
    assert rows[0].because == ()


def test_rows_with_the_same_reason_and_answers_are_one_group() -> None:
    name = "read/tcp4/cwr-on-first-segment-only"
    rows = differing([kernel("7.3.4", disagree=(name,)), kernel("5.10.262"), kernel("6.12.95")], CORPUS)
    groups = grouped(rows)
    assert groups[0].because == ()
    assert [case.id for case in groups[0].cases] == [name]
    sizes = [len(group.cases) for group in groups]
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    assert sum(sizes) == len(rows) > 10 * len(groups)
    told = [(group.because, *group.answers.items()) for group in groups]
    assert len(set(told)) == len(told)
    of = {case.id: group for group in groups for case in group.cases}
    assert all(of[row.case.id].answers == row.answers and of[row.case.id].because == row.because for row in rows)
    assert grouped([]) == []


def test_packets_have_the_same_name_whichever_kernel_delivers_them() -> None:
    ways = tuple(
        KernelDelivers(when={"min_gso_8": has}, packets=(packet,)) for has, packet in ((False, "aa"), (True, "bb"))
    )
    corpus = Corpus([])
    corpus.cases["x"] = msgspec.structs.replace(next(iter(CORPUS.cases.values())), id="x", kernel=ways)
    kernels = [kernel("5.10.1", traits=()), kernel("5.10.2", traits=("min_gso_8",)), kernel("5.10.3", traits=())]
    (row,) = differing(kernels, corpus)
    assert list(row.answers.values()) == ["other packets", "other packets (2)", "other packets"]


def test_cases_and_frames_that_differ_are_counted_together() -> None:
    one = kernel("6.12.95", disagree=("read/tcp4/cwr-on-first-segment-only",), differences=5)
    assert (one.asked, one.differences) == (2, 6)
    assert unexplained([one, kernel("7.3.4")]) == 6


def test_a_kernel_without_any_trait_is_one_of_them() -> None:
    assert "tso_csum_checked" in traits_that_differ([kernel("5.10.262"), kernel("6.18.15")])


def test_the_report_names_kernels_traits_and_regressions() -> None:
    text = markdown([kernel("6.17.8"), kernel("5.10.262")], CORPUS)
    assert text.index("5.10.262-cloud-amd64") < text.index("6.17.8-cloud-amd64")
    assert "| `data_valid_lost` | · | yes |" in text
    assert "Regressions" in text


def test_the_report_has_a_line_for_each_group_of_cases() -> None:
    kernels = [kernel("6.17.8"), kernel("5.10.262")]
    groups = grouped(differing(kernels, CORPUS))
    lines = markdown(kernels, CORPUS).partition("## Where they differ")[2].partition("##")[0].strip().splitlines()
    assert lines[0].startswith(f"{sum(len(group.cases) for group in groups)} cases have more than one answer")
    assert len(lines) == 4 + len(groups)
    first = groups[0]
    assert lines[4] == f"| {len(first.cases)} | `{first.cases[0].id}` | `uso` | EINVAL | as expected |"
