"""Where input comes from: the rule, the records of kernels, and the search for frames that a kernel hands over."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from scapy.layers.inet import TCP, UDP

from common.handmade import CASES, case_of
from tio.linux import Delivered, KernelOutcome, Lost, Refused, Way, traits_of
from tio.tuntap import Offload
from tunproof.authoring.reach import merged, reach_of, version_of, with_reach
from tunproof.corpus.cases import (
    BatchInput,
    Case,
    ChecksumInput,
    EmitInput,
    Fault,
    Fields,
    GsoInput,
    HeaderBytes,
    Joined,
    MustRefuse,
    MustReject,
    Nothing,
    Packets,
    ParseInput,
    ReadCase,
    ReadInput,
    Sum,
    VnetFields,
    WriteInput,
)
from tunproof.corpus.model import Reached
from tunproof.kernel.handover import handed_over, sending_on
from tunproof.lab.modelled import ModelDevice
from tunproof.packets.builder import frame, ip4, ip6, packet_bytes, payload, superpacket

BY_ID = {case.id: case for case in CASES}
FAULT = MustReject(fault=Fault(rule="R5", field="vnet.gso_size", offset=4, found="0"))
REFUSED = MustRefuse(fault=FAULT.fault)
NEW = "6.18.15"
VNET = struct.Struct("<BBHHHH")


def fields(**changed: int) -> Fields:
    zeros = dict.fromkeys(("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset"), 0)
    return Fields(fields=VnetFields(**(zeros | changed)))


def parse(size: int = 10) -> ParseInput:
    return ParseInput(bytes=bytes(10), size=size)


# The rule.


@pytest.mark.parametrize(
    ("given", "expect", "reach"),
    [
        (ReadInput(frame=b"\0"), FAULT, "hostile"),
        (ReadInput(frame=b"\0"), Packets(packets=()), "hostile"),
        (WriteInput(packet=b""), Nothing(), "peer"),
        (WriteInput(packet=b"\0"), REFUSED, "peer"),
        (BatchInput(packets=()), Joined(order=(), ideal=(), example=()), "peer"),
        (ChecksumInput(data=b""), Sum(sum=0), "peer"),
        (GsoInput(hdr=b"", transport_hdr=b"", pays=()), REFUSED, "caller"),
        (EmitInput(fields=fields().fields), HeaderBytes(bytes=bytes(10)), "caller"),
        (EmitInput(fields=fields().fields, size=11), FAULT, "caller"),
        (parse(), fields(), "kernel"),
        (parse(), fields(flags=1, gso_type=0x84, hdr_len=0x0B0A, csum_start=0xFFFF), "kernel"),
        (parse(), fields(flags=2), "kernel"),
        (parse(), fields(gso_type=5), "kernel"),
        (parse(), fields(flags=4), "hostile"),
        (parse(), fields(gso_type=0x85), "hostile"),
        (parse(), fields(gso_type=3), "hostile"),
        (parse(), FAULT, "hostile"),
        (parse(9), FAULT, "caller"),
        (BY_ID["lifecycle/life/reads"].input, BY_ID["lifecycle/life/reads"].expect, "caller"),
    ],
)
def test_the_reach_of_an_operation(given: Any, expect: Any, reach: str) -> None:
    assert reach_of(given, expect) == reach


def test_a_read_is_a_kernels_if_one_hands_it_over_and_nothing_else_changes() -> None:
    case = BY_ID["read/cuts/two"]
    without = with_reach(case, ())
    assert (without.reach, without.reached, without.digest) == ("hostile", (), case.digest)
    assert with_reach(without, case.reached) == case
    written = BY_ID["write/plain/one"]
    assert with_reach(written, case.reached) is written


# Records.


def record(*releases: str, wiring: Any = "readback", hdr_len: int | None = None) -> Reached:
    return Reached(wiring=wiring, offloads=("CSUM",), hdr_len=hdr_len, releases=releases)


def test_kernels_that_agree_share_a_record_in_whatever_order_they_came() -> None:
    once = merged([record("6.1", "5.10")], [record("7.3"), record("7.3", wiring="forward")])
    assert once == (record("5.10", "6.1", "7.3"), record("7.3", wiring="forward"))
    assert merged([record("7.3", wiring="forward")], [record("7.3"), record("6.1"), record("5.10")]) == once
    assert merged(once, once) == once


def test_what_was_recorded_of_a_kernel_stays() -> None:
    old = [record("6.1", hdr_len=40)]
    assert merged(old, ()) == tuple(old)
    assert merged(old, [record("6.1", hdr_len=64)]) == tuple(old)
    assert merged(old, [record("6.1", wiring="forward")]) == (*old, record("6.1", wiring="forward"))
    assert merged(old, [record("6.2", hdr_len=64)]) == (*old, record("6.2", hdr_len=64))


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.18.44-mine-v669", "6.18.44"), ("7.3.4", "7.3.4"), ("6.12.117+deb13-amd64", "6.12.117"), ("linux", "linux")],
)
def test_a_private_build_has_its_version_alone(release: str, version: str) -> None:
    assert version_of(release) == version


# The search.


def read_case(wanted: bytes, *before: bytes) -> Case:
    return case_of(ReadCase, "found/one", ReadInput(frame=wanted, before=before), Packets(packets=(wanted[10:],)))


def found(case: Case, version: str = NEW) -> tuple[Reached, ...]:
    traits = traits_of(version)
    return handed_over([case], traits, sending_on(ModelDevice(traits)), version).get(case.id, ())


def changed(wanted: bytes, **numbers: int) -> bytes:
    names = ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset")
    values = dict(zip(names, VNET.unpack(wanted[:10]), strict=True)) | numbers
    return VNET.pack(*(values[name] for name in names)) + wanted[10:]


def ways(reached: Iterable[Reached]) -> list[tuple[str, tuple[str, ...], int | None]]:
    return [(one.wiring, one.offloads, one.hdr_len) for one in reached]


BIG4 = superpacket(ip4() / TCP(flags="A"), payload(24), gso_size=8)
BIG6 = superpacket(ip6() / TCP(flags="A"), payload(24), gso_size=8)
DATAGRAMS = superpacket(ip4() / UDP(sport=1000, dport=2000), payload(24), gso_size=8)
PLAIN = frame(packet_bytes(ip4() / UDP(sport=1000, dport=2000) / payload(9)))
CWR = superpacket(ip4() / TCP(flags="AC"), payload(24), gso_size=8)


@pytest.mark.parametrize(
    ("wanted", "offloads", "hdr_len"),
    [
        (PLAIN, (), None),
        (BIG4, ("CSUM", "TSO4"), 64),
        (BIG6, ("CSUM", "TSO6"), 84),
        (DATAGRAMS, ("CSUM", "USO4", "USO6"), 52),
        (CWR, ("CSUM", "TSO4", "TSO_ECN"), 64),
        (changed(BIG4, hdr_len=64), ("CSUM", "TSO4"), None),
    ],
)
def test_what_a_kernel_hands_over_is_found_on_both_wirings_for_the_fewest_offloads(
    wanted: bytes, offloads: tuple[str, ...], hdr_len: int | None
) -> None:
    both = found(read_case(wanted))
    assert ways(both) == [("readback", offloads, hdr_len), ("forward", offloads, hdr_len)]
    assert {one.releases for one in both} == {(NEW,)}


@pytest.mark.parametrize("hdr_len", [40, 41, 63, 64])
def test_hdr_len_may_be_any_from_the_headers_to_the_packet(hdr_len: int) -> None:
    assert found(read_case(changed(BIG4, hdr_len=hdr_len)))


@pytest.mark.parametrize(
    "wanted",
    [
        changed(BIG4, hdr_len=39),
        changed(BIG4, hdr_len=0),
        changed(BIG4, hdr_len=65),
        changed(DATAGRAMS, hdr_len=27),
        changed(PLAIN, hdr_len=28),
        changed(PLAIN, gso_size=8),
        changed(BIG4, flags=0),
        changed(BIG4, flags=3),
        changed(BIG4, gso_type=2),
        changed(BIG4, gso_type=4),
        changed(BIG4, gso_size=24),
        changed(BIG4, csum_start=21),
        BIG4[:9],
        b"",
    ],
)
def test_what_no_kernel_hands_over_is_not_found(wanted: bytes) -> None:
    assert found(read_case(wanted)) == ()


def test_every_frame_of_a_case_must_come_and_one_reader_gets_them_all() -> None:
    assert ways(found(read_case(PLAIN, BIG4)))[0] == ("readback", ("CSUM", "TSO4"), None)
    assert found(read_case(PLAIN, changed(BIG4, gso_size=0))) == ()
    assert found(read_case(changed(BIG4, gso_size=0), PLAIN)) == ()


@pytest.mark.parametrize("hops", [0, 255])
def test_a_router_hands_over_no_packet_that_it_would_not_have_sent(hops: int) -> None:
    """256 hops do not fit, and what arrives with one left goes no further."""
    for stack in (ip4(ttl=hops), ip6(hlim=hops)):
        packet = frame(packet_bytes(stack / UDP() / payload(9)))
        assert [one.wiring for one in found(read_case(packet))] == ["readback"]


def test_a_kernel_without_uso_is_not_asked_for_it() -> None:
    class Old(ModelDevice):
        def send(self, frame: bytes, way: Way) -> KernelOutcome:
            assert not (way.reader or 0) & Offload.USO, "TUNSETOFFLOAD would fail"
            return super().send(frame, way)

    traits = traits_of("5.10.262")
    cases = [read_case(DATAGRAMS)]
    assert handed_over(cases, traits, sending_on(Old(traits)), "5.10.262") == {}
    assert found(cases[0])


OTHER = BIG4[:-1] + b"\0"


@pytest.mark.parametrize(
    "outcome",
    [
        Lost(),
        Refused(22),
        Delivered((BIG4, BIG4)),
        Delivered((OTHER,)),
        Delivered((changed(BIG4, gso_size=9),)),
        Delivered((changed(BIG4, flags=0),)),
        Delivered((BIG4[10:],)),
    ],
)
def test_a_kernel_that_does_anything_else_hands_nothing_over(outcome: KernelOutcome) -> None:
    def send(_: Way, frames: Sequence[bytes]) -> Iterator[KernelOutcome]:
        return (outcome for _ in frames)

    assert handed_over([read_case(BIG4)], traits_of(NEW), send, NEW) == {}
    for right in (BIG4, changed(BIG4, hdr_len=64), changed(BIG4, hdr_len=40)):
        outcome = Delivered((right,))
        assert len(handed_over([read_case(BIG4)], traits_of(NEW), send, NEW)["read/found/one"]) == 2


def test_only_reads_are_sent() -> None:
    def send(_: Way, frames: Sequence[bytes]) -> Iterator[KernelOutcome]:
        raise AssertionError(frames)

    others = [case for case in BY_ID.values() if not isinstance(case, ReadCase)]
    assert handed_over(others, traits_of(NEW), send, NEW) == {}
