"""What the running kernel hands to the reader of a TUN: what the corpus says of it, and hdr_len."""

import os
import socket
import struct
from collections.abc import Iterator

import pytest
from scapy.layers.inet import TCP

from tio.linux import Delivered, Trait, Way
from tio.tuntap import Offload
from tunproof import lab
from tunproof.authoring.reach import version_of
from tunproof.corpus.cases import ReadCase
from tunproof.corpus.load import load
from tunproof.kernel.handover import handed_over, sending_on
from tunproof.kernel.probes import running_traits
from tunproof.packets.builder import ip4, payload, superpacket

pytestmark = pytest.mark.lab

VNET = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
READS = [case for case in load().cases.values() if isinstance(case, ReadCase)]
TO_TSO = Way(reader=Offload.TSO)
_UDP_SEGMENT = 103  # include/uapi/linux/udp.h


@pytest.fixture(scope="module")
def kernel() -> Iterator[lab.RunningKernel]:
    with lab.RunningKernel() as running:
        yield running


def test_the_running_kernel_hands_over_what_all_recorded_kernels_do(kernel: lab.RunningKernel) -> None:
    """Traits decide about the rest, and about what one hands over that is not recorded itself."""
    handed = handed_over(READS, running_traits(), sending_on(kernel), "here")
    releases = {release for case in READS for one in case.reached for release in one.releases}
    for case in READS:
        by = {release for one in case.reached if one.wiring == "readback" for release in one.releases}
        if by == releases:
            assert "readback" in {one.wiring for one in handed.get(case.id, ())}, case.id
    if version_of(os.uname().release) in releases:
        assert set(handed) <= {case.id for case in READS if case.reach == "kernel"}


def hdr_len_of_what_comes(kernel: lab.RunningKernel, frame: bytes) -> int:
    outcome = kernel.send(frame, TO_TSO)
    assert isinstance(outcome, Delivered)
    (came,) = outcome.packets
    assert came[:2] + came[4:] == frame[:2] + frame[4:]
    return int(VNET.unpack(came[:10])[2])


def written_with(hdr_len: int, length: int) -> bytes:
    """A superpacket with 12 bytes of TCP options, whose headers are 52 bytes long."""
    options = [("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)]
    made = superpacket(ip4() / TCP(flags="A", options=options), payload(length), gso_size=500)
    return made[:2] + hdr_len.to_bytes(2, "little") + made[4:]


@pytest.mark.parametrize("hdr_len", [52, 53, 100, 3000])
def test_a_long_superpacket_comes_with_any_hdr_len_from_its_headers_on(kernel: lab.RunningKernel, hdr_len: int) -> None:
    assert hdr_len_of_what_comes(kernel, written_with(hdr_len, 9000)) == hdr_len


@pytest.mark.parametrize("hdr_len", [1, 40, 51])
def test_no_superpacket_comes_with_less_than_its_headers(kernel: lab.RunningKernel, hdr_len: int) -> None:
    assert hdr_len_of_what_comes(kernel, written_with(hdr_len, 9000)) == 52


@pytest.mark.parametrize("hdr_len", [0, 1, 52, 53])
def test_a_short_superpacket_is_in_one_piece(kernel: lab.RunningKernel, hdr_len: int) -> None:
    assert hdr_len_of_what_comes(kernel, written_with(hdr_len, 1500)) == 52 + 1500


@pytest.mark.parametrize(
    ("family", "address", "headers"), [(socket.AF_INET, "10.77.0.2", 28), (socket.AF_INET6, "fd77::2", 48)]
)
def test_the_kernels_own_sockets_leave_the_payload_apart(family: int, address: str, headers: int) -> None:
    """So a short superpacket with an hdr_len of just its headers does come from a kernel."""
    if Trait.USO not in running_traits():
        pytest.skip("this kernel has no UDP superpackets for a TUN")
    with lab.socket(offload=Offload.TSO | Offload.USO) as made, made.socket(family, socket.SOCK_DGRAM) as one:
        one.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, 8)
        one.sendto(payload(24), (address, 2000))
        came = os.read(made.tun, 1 << 16)
    assert VNET.unpack(came[:10])[1:4] == (5, headers, 8)
    assert came[10 + headers :] == payload(24)
