"""The kernel's real TCP connections, through the reference."""

import os
import socket

import pytest

from common.support import open_fds
from tio.errors import Geometry, KernelRefused, LinkDown
from tio.offload import OffloadQueue
from tunproof.testing.tunnel import Tunnel, carry

pytestmark = pytest.mark.lab

MIB = 1 << 20
FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


@pytest.mark.parametrize("direction", ["outward", "homeward"])
@pytest.mark.parametrize("family", FAMILIES)
def test_64_mib_arrive_intact_in_superpackets(family: str, direction: str) -> None:
    """Superpackets of more than ten segments pass on both sides: read whole from one kernel, taken whole by the other.

    The kernels' own counters prove it: each counts one packet where the reference counted more than ten.
    """
    data = os.urandom(64 * MIB)
    with Tunnel(offload=True) as tunnel:
        sender, receiver = (tunnel.near, tunnel.far) if direction == "outward" else (tunnel.far, tunnel.near)
        flow = tunnel.outward if direction == "outward" else tunnel.homeward
        carried = carry(sender, receiver, data, family=FAMILIES[family])
        given, taken = sender.counters(), receiver.counters()
    assert carried.intact
    assert carried.size == 64 * MIB
    assert flow.largest_read > 10
    assert flow.largest_written > 10
    assert flow.packets > 10 * given.tx_packets
    assert flow.packets > 10 * taken.rx_packets
    assert (flow.lost, flow.fallbacks) == (0, 0)
    assert (taken.rx_dropped, taken.rx_frame_errors, given.tx_dropped) == (0, 0, 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_offload_every_packet_goes_by_itself(family: str) -> None:
    data = os.urandom(4 * MIB)
    with Tunnel(offload=False) as tunnel:
        carried = carry(tunnel.near, tunnel.far, data, family=FAMILIES[family])
        packets = tunnel.outward.packets  # before the kernel's own count: acknowledgments may still be under way
        assert tunnel.near.counters().tx_packets >= packets > 4 * MIB // 1500
    assert carried.intact
    assert (tunnel.outward.largest_read, tunnel.outward.superpackets_written) == (1, 0)


def test_superpackets_that_a_kernel_refuses_are_sent_singly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel like Linux 6.6.44 makes the tunnel slower and loses nothing."""

    def refuse(self: OffloadQueue, *_: object) -> None:
        raise KernelRefused("write", 22, Geometry(header=40, payload=2800, gso_size=1400, segments=2))

    monkeypatch.setattr(OffloadQueue, "write_gso", refuse)
    data = os.urandom(4 * MIB)
    with Tunnel(offload=True) as tunnel:
        carried = carry(tunnel.near, tunnel.far, data, family=socket.AF_INET)
    assert carried.intact
    assert tunnel.outward.fallbacks > 0
    assert tunnel.outward.superpackets_written == tunnel.outward.lost == 0


def test_a_tunnel_that_is_closed_leaves_no_fd() -> None:
    with Tunnel(offload=True):
        pass
    before = open_fds()
    for _ in range(5):
        with Tunnel(offload=True):
            pass
    assert open_fds() == before


def test_a_link_that_goes_down_loses_packets_and_not_the_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the segments of a refused superpacket are being sent."""
    down = iter([True] * 3)
    write = OffloadQueue.write

    def refuse(self: OffloadQueue, *_: object) -> None:
        raise KernelRefused("write", 22, Geometry(header=40, payload=2800, gso_size=1400, segments=2))

    def write_on_a_bad_link(self: OffloadQueue, packet: bytes) -> int:
        if len(packet) > 1000 and next(down, False):
            raise LinkDown("write", 5)
        return write(self, packet)

    monkeypatch.setattr(OffloadQueue, "write_gso", refuse)
    monkeypatch.setattr(OffloadQueue, "write", write_on_a_bad_link)
    with Tunnel(offload=True) as tunnel:
        carried = carry(tunnel.near, tunnel.far, os.urandom(MIB), family=socket.AF_INET)
    assert carried.intact
    assert tunnel.outward.lost == 3
