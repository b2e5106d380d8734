"""Each wiring works, is quiet, and shows the kernel's own work; scapy independently checks the output."""

import os
import select
import socket as sockets
import struct
import time
from collections.abc import Iterator

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from tio.linux import Delivered, Lost
from tio.tuntap import Offload
from tunproof import lab
from tunproof.errors import EnvironmentProblem
from tunproof.lab.wiring import IN, OUT

pytestmark = pytest.mark.lab

VNET = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
NEEDS_CSUM = 1
NONE, TCPV4, TCPV6 = 0, 1, 4
PLAIN = VNET.pack(0, NONE, 0, 0, 0, 0)


def ip4(**fields: object) -> Packet:
    return IP(src="192.0.2.1", dst="198.51.100.2", **fields)


def ip6(**fields: object) -> Packet:
    return IPv6(src="2001:db8::1", dst="2001:db8::2", **fields)


def superpacket(network: Packet, *, segments: int = 3, size: int = 1400) -> bytes:
    """Return a frame that stands for `segments` TCP segments of `size` bytes."""
    packet = network / TCP(sport=1, dport=2, seq=1000, flags="A") / Raw(os.urandom(segments * size))
    packet[TCP].chksum = 0
    data = bytearray(bytes(packet))
    start = len(bytes(network))
    addresses = data[12:20] if network.version == 4 else data[8:40]
    partial = int.from_bytes(addresses + struct.pack(">HH", 6, len(data) - start), "big") % 0xFFFF
    struct.pack_into(">H", data, start + 16, partial)
    kind = TCPV4 if network.version == 4 else TCPV6
    return VNET.pack(NEEDS_CSUM, kind, start + 20, size, start, 16) + bytes(data)


def parse(packet: bytes) -> Packet:
    """Dissect a packet and check every checksum and length by building it again."""
    layer = IP if packet[0] >> 4 == 4 else IPv6
    found = layer(packet)
    again = layer(packet)
    for field, where in (("chksum", IP), ("len", IP), ("plen", IPv6), ("chksum", TCP), ("chksum", UDP), ("len", UDP)):
        if where in again:
            delattr(again[where], field)
    assert bytes(again) == packet
    return found


def delivered(pair: lab.Pair, frame: bytes, hint: int) -> tuple[bytes, ...]:
    outcome = lab.Exchange(pair).send(frame, hint)
    assert isinstance(outcome, Delivered), outcome
    return outcome.packets


@pytest.fixture(scope="module")
def redirect() -> Iterator[lab.Pair]:
    with lab.redirect() as pair:
        yield pair


@pytest.fixture(scope="module")
def forward() -> Iterator[lab.Pair]:
    with lab.forward() as pair:
        yield pair


@pytest.mark.parametrize("network", [ip4(ttl=9), ip6(hlim=9)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(("wiring", "hops"), [("redirect", 0), ("forward", 1)])
def test_a_superpacket_comes_out_as_segments(
    request: pytest.FixtureRequest, wiring: str, hops: int, network: Packet
) -> None:
    frame = superpacket(network)
    segments = [parse(packet) for packet in delivered(request.getfixturevalue(wiring), frame, 3)]
    assert [segment[TCP].seq for segment in segments] == [1000, 2400, 3800]
    assert b"".join(bytes(segment[TCP].payload) for segment in segments) == frame[-4200:]
    assert {getattr(segment, "ttl" if network.version == 4 else "hlim") for segment in segments} == {9 - hops}


@pytest.mark.parametrize("network", [ip4(), ip6()], ids=["IPv4", "IPv6"])
def test_readback_gives_the_superpacket_and_the_kernels_header(network: Packet) -> None:
    frame = superpacket(network)
    with lab.readback(Offload.TSO) as pair:
        (packet,) = delivered(pair, frame, 1)
    assert packet[10:] == frame[10:]
    flags, kind, _, size, start, offset = VNET.unpack(packet[:10])
    assert (flags, kind, size, start, offset) == (NEEDS_CSUM, frame[1], 1400, len(bytes(network)), 16)


def test_readback_without_offload_gives_complete_segments() -> None:
    with lab.readback(Offload.NONE) as pair:
        packets = delivered(pair, superpacket(ip4()), 3)
    assert {packet[:10] for packet in packets} == {PLAIN}
    assert [parse(packet[10:])[TCP].seq for packet in packets] == [1000, 2400, 3800]


@pytest.mark.parametrize("size", [12, 24])
def test_a_longer_header_is_written(size: int) -> None:
    frame = superpacket(ip4())
    with lab.redirect(header_size=size) as pair:
        assert len(delivered(pair, frame[:10] + bytes(size - 10) + frame[10:], 3)) == 3


def test_a_superpacket_of_the_most_segments_fits_the_ring(redirect: lab.Pair) -> None:
    frame = superpacket(ip4(), segments=65495, size=1)
    packets = delivered(redirect, frame, 1)
    assert b"".join(packet[40:] for packet in packets) == frame[50:]
    assert len(packets) in {65495, 8187}  # since Linux 7.2 and its stable siblings no segment is below 8 bytes


def test_the_counters_name_the_stage(redirect: lab.Pair) -> None:
    exchange = lab.Exchange(redirect)
    frame = superpacket(ip4())
    wrong_start = VNET.pack(NEEDS_CSUM, TCPV4, 40, 1400, 24, 16) + frame[10:]
    for bad, device, counter in (
        (VNET.pack(NEEDS_CSUM, TCPV4, 40, 0, 20, 16) + frame[10:], IN, "rx_frame_errors"),
        (PLAIN + b"\x05" + frame[11:], IN, "rx_dropped"),
        (wrong_start, OUT, "tx_dropped"),
    ):
        before = getattr(redirect.counters(device), counter)
        exchange.send(bad, 0)
        assert getattr(redirect.counters(device), counter) == before + 1, counter


MARTIANS = [
    ("127.0.0.1", "127.0.0.2"),
    ("10.0.0.1", "10.0.0.1"),
    ("240.0.0.1", "169.254.1.1"),
    ("8.8.8.8", "10.77.0.1"),
]


@pytest.mark.parametrize(("source", "destination"), MARTIANS)
def test_forward_takes_any_address_that_can_be_forwarded(forward: lab.Pair, source: str, destination: str) -> None:
    packet = IP(src=source, dst=destination, ttl=7) / UDP(sport=1, dport=2) / Raw(b"tunproof")
    (out,) = delivered(forward, PLAIN + bytes(packet), 1)
    found = parse(out)
    assert (found.src, found.dst, found.ttl) == (source, destination, 6)


@pytest.mark.parametrize(
    "packet",
    [ip4(ttl=1), ip6(hlim=1), IP(src="192.0.2.1", dst="224.0.0.9"), IPv6(src="::1", dst="2001:db8::2")],
    ids=["TTL 1", "hop limit 1", "IPv4 multicast", "IPv6 loopback"],
)
def test_forward_loses_what_a_router_must_and_sends_no_icmp(forward: lab.Pair, packet: Packet) -> None:
    frame = PLAIN + bytes(packet / UDP(sport=1, dport=2) / Raw(b"tunproof"))
    assert lab.Exchange(forward).send(frame, 1) == Lost()
    assert not readable(forward.writer)


def test_forward_with_a_small_mtu() -> None:
    with lab.forward(mtu=1000) as pair:
        assert len(delivered(pair, superpacket(ip4(flags="DF"), size=960), 3)) == 3
        assert lab.Exchange(pair).send(superpacket(ip4(flags="DF"), size=961), 0) == Lost()
        assert len(delivered(pair, superpacket(ip4(), size=961), 6)) == 6


def test_forward_with_offload_keeps_the_superpacket_whole() -> None:
    with lab.forward(offload=Offload.TSO) as pair:
        (packet,) = delivered(pair, superpacket(ip4(ttl=9)), 1)
    assert packet[1] == TCPV4
    assert packet[10 + 8] == 8


def readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def test_every_lab_is_quiet() -> None:
    """Router solicitations and multicast reports come within a second or two of a link's start."""
    with lab.redirect() as one, lab.readback(Offload.TSO) as two, lab.forward() as three, lab.socket() as four:
        time.sleep(2.5)
        fds = [fd for pair in (one, two, three) for fd in (pair.writer, pair.reader)] + [four.tun]
        assert [fd for fd in fds if readable(fd)] == []


def test_closing_twice_is_harmless_and_closes_the_fds() -> None:
    pair = lab.redirect()
    pair.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(pair.reader)
    pair.close()


def shuttle(near: lab.SocketLab, far: lab.SocketLab) -> list[bytes]:
    """Carry frames both ways while there are any; return those of `near`."""
    ways = {near.tun: far.tun, far.tun: near.tun}
    carried = []
    while ready := select.select(list(ways), [], [], 0)[0]:
        for fd in ready:
            frame = os.read(fd, 1 << 17)
            os.write(ways[fd], frame)
            if fd == near.tun:
                carried.append(frame)
    return carried


@pytest.mark.parametrize(
    ("family", "near_host", "far_host", "kind"),
    [
        (sockets.AF_INET, "10.77.0.1", "10.77.0.2", TCPV4),
        (sockets.AF_INET6, "fd77::1", "fd77::2", TCPV6),
    ],
    ids=["IPv4", "IPv6"],
)
def test_kernel_sockets_send_superpackets(family: int, near_host: str, far_host: str, kind: int) -> None:
    data = os.urandom(1 << 18)
    with (
        lab.socket(offload=Offload.TSO) as near,
        lab.socket(offload=Offload.TSO, addresses=lab.FAR) as far,
        far.socket(family, sockets.SOCK_STREAM) as listener,
        near.socket(family, sockets.SOCK_STREAM) as client,
    ):
        listener.bind((far_host, 7))
        listener.listen()
        client.setblocking(False)
        client.connect_ex((far_host, 7))
        shuttle(near, far)
        server, peer = listener.accept()
        assert peer[0] == near_host
        with server:
            frames, received = pump(client, server, data, (near, far))
    assert received == data
    supers = [frame for frame in frames if VNET.unpack(frame[:10])[3]]
    assert {frame[1] & 0x7F for frame in supers} == {kind}
    assert max(map(len, supers)) > 10_000


def pump(
    client: sockets.socket, server: sockets.socket, data: bytes, ends: tuple[lab.SocketLab, lab.SocketLab]
) -> tuple[list[bytes], bytes]:
    server.setblocking(False)
    frames: list[bytes] = []
    sent, received = 0, b""
    deadline = time.monotonic() + 10
    while len(received) < len(data):
        assert time.monotonic() < deadline
        if sent < len(data) and select.select([], [client], [], 0)[1]:
            sent += client.send(data[sent:])
        frames += shuttle(*ends)
        while select.select([server], [], [], 0)[0]:
            received += server.recv(1 << 16)
    return frames, received


def test_a_tun_without_vnet_header_carries_plain_packets() -> None:
    with lab.socket() as end, end.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as sender:
        sender.sendto(b"tunproof", ("10.77.0.2", 9))
        packet = parse(os.read(end.tun, 1 << 16))
        assert (packet.src, packet.dst, bytes(packet[UDP].payload)) == ("10.77.0.1", "10.77.0.2", b"tunproof")


def test_a_taken_tun_is_its_takers() -> None:
    end = lab.socket()
    fd = end.take()
    with pytest.raises(ValueError, match="taken"):
        _ = end.tun
    end.close()
    os.fstat(fd)
    os.close(fd)


def test_two_queues_share_one_device_and_its_offloads() -> None:
    with lab.socket(offload=Offload.TSO | Offload.USO, multi_queue=True) as end:
        every = frozenset({"tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation"})
        assert end.segmentation_features() == every
        second = end.open_queue()
        try:
            assert second != end.tun
            assert end.segmentation_features() == every
        finally:
            os.close(second)
    with lab.socket(offload=Offload.CSUM) as end:
        assert end.segmentation_features() == frozenset()


def test_one_queue_is_all_there_is_without_multi_queue() -> None:
    with lab.socket(offload=Offload.TSO) as end, pytest.raises(EnvironmentProblem, match="'tun'"):
        end.open_queue()
