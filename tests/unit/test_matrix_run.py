"""What a matrix run is made of: the guest's archive, modules in order, the wire, and kernels side by side."""

import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from tio.linux import FORWARD, Delivered, Lost, Outcome, Refused, Way, readback, traits_of
from tio.tuntap import Offload
from tunproof.corpus.load import load
from tunproof.matrix.compare import UNEXPLAINED, differing, traits_that_differ
from tunproof.matrix.conduct import KernelResult
from tunproof.matrix.cpio import Archive
from tunproof.matrix.markdown import markdown
from tunproof.matrix.modules import load_order
from tunproof.matrix.wire import Answer, Request, Wire, outcome_of, told
from tunproof.ways import told_way, way_of

CORPUS = load()


# The archive ---------------------------------------------------------------------------------------------------------


def test_cpio_unpacks_what_was_packed(tmp_path: Path) -> None:
    program = shutil.which("cpio")
    if program is None:
        pytest.skip("cpio is not installed (apt-get install cpio)")
    archive = Archive()
    archive.file("/usr/lib/odd", b"abc")
    archive.file("/init", b"#!/bin/true\n", executable=True)
    archive.link("/lib", "usr/lib")
    subprocess.run([program, "-i", "--quiet"], input=archive.to_bytes(), cwd=tmp_path, check=True)
    assert (tmp_path / "usr/lib/odd").read_bytes() == b"abc"
    assert os.access(tmp_path / "init", os.X_OK)
    assert (tmp_path / "lib").readlink() == Path("usr/lib")


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
def test_an_outcome_travels(outcome: Outcome) -> None:
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


def kernel(version: str, *, disagree: tuple[str, ...] = ()) -> KernelResult:
    return KernelResult(
        release=f"{version}-cloud-amd64",
        version=version,
        package="",
        boots=1,
        seconds=1.0,
        traits=sorted(traits_of(version)),
        cases=len(CORPUS.cases),
        agree=1,
        disagree=list(disagree),
    )


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


def test_a_kernel_without_any_trait_is_one_of_them() -> None:
    assert "tso_csum_checked" in traits_that_differ([kernel("5.10.262"), kernel("6.18.15")])


def test_the_report_names_kernels_traits_and_regressions() -> None:
    text = markdown([kernel("6.17.8"), kernel("5.10.262")], CORPUS)
    assert text.index("5.10.262-cloud-amd64") < text.index("6.17.8-cloud-amd64")
    assert "| `data_valid_lost` | · | yes |" in text
    assert "Regressions" in text
