"""The reference's queues on real TUN devices: what the unit tests do on wires, done with the kernel."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scapy.layers.inet import TCP, UDP

import tio
from tio.tuntap import Offload
from tunproof import lab
from tunproof.lab import Pair, SocketLab, links
from tunproof.packets.builder import ip4, ip6, packet_bytes, payload, pieces, superpacket

pytestmark = pytest.mark.lab

STACKS = {
    "tcp4": ip4() / TCP(flags="PA"),
    "tcp6": ip6() / TCP(flags="PA"),
    "udp4": ip4() / UDP(),
    "udp6": ip6() / UDP(),
}


@contextmanager
def queue_on(fd: int) -> Iterator[tio.OffloadQueue]:
    """The reference on a copy of a lab's fd, which stays the lab's."""
    with tio.OffloadContainer() as container:
        container.add(os.dup(fd))
        (queue,) = container.queues()
        assert isinstance(queue, tio.OffloadQueue)
        yield queue


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with lab.redirect() as made:
        yield made


@pytest.mark.parametrize("stack", STACKS)
def test_the_kernel_cuts_what_write_gso_wrote_into_the_fragments(pair: Pair, stack: str) -> None:
    pays = [payload(100, seed=index) for index in range(5)] + [payload(7)]
    built = pieces(STACKS[stack], pays)
    with queue_on(pair.writer) as queue:
        queue.write_gso(built.hdr, built.transport_hdr, built.pays)
    packets = [os.read(pair.reader, 65535) for _ in pays]
    assert [packet[-len(pay) :] for packet, pay in zip(packets, pays, strict=True)] == pays
    assert packets == tio.Superpacket(built.hdr, built.transport_hdr, built.pays).packets()


def test_a_plain_packet_arrives_untouched(pair: Pair) -> None:
    packet = packet_bytes(ip4() / UDP() / payload(33))
    with queue_on(pair.writer) as queue:
        assert queue.write(packet) == len(packet)
    assert os.read(pair.reader, 65535) == packet


@pytest.mark.parametrize("stack", STACKS)
def test_read_cuts_what_the_kernel_hands_over(stack: str) -> None:
    """The kernel's own vnet header, with its linear hdr_len, stands before the superpacket."""
    written = superpacket(STACKS[stack], payload(5000), gso_size=1200)
    with lab.readback(Offload.TSO | Offload.USO) as made, queue_on(made.reader) as queue:
        os.write(made.writer, written)
        packets = [bytes(packet) for packet in queue.read()]
    assert packets == tio.segment(written, byte_order="little")
    assert len(packets) == 5


def test_the_largest_superpacket_is_read_whole() -> None:
    written = superpacket(STACKS["tcp4"], payload(65535 - 40), gso_size=1400)
    with lab.readback(Offload.TSO) as made, queue_on(made.reader) as queue:
        os.write(made.writer, written)
        packets = [bytes(packet) for packet in queue.read()]
    assert b"".join(packet[40:] for packet in packets) == payload(65535 - 40)


def test_packets_that_could_be_a_burst_cross_the_device_joined_and_come_out_apart(pair: Pair) -> None:
    packets = tio.segment(superpacket(STACKS["tcp6"], payload(20000), gso_size=1000), byte_order="little")
    with queue_on(pair.writer) as queue:
        (joined,) = tio.coalesce(packets)
        assert isinstance(joined, tio.Superpacket)
        queue.write_gso(joined.hdr, joined.transport_hdr, joined.pays)
    assert [os.read(pair.reader, 65535) for _ in packets] == packets


def test_a_second_queue_of_one_device_leaves_the_offloads_as_they_are() -> None:
    with lab.socket(offload=Offload.NONE, multi_queue=True) as made, tio.OffloadContainer() as container:
        assert made.segmentation_features() == frozenset()
        second = made.open_queue()
        container.add(made.take())
        features = made.segmentation_features()
        assert {"tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation"} <= features
        container.add(second)
        assert made.segmentation_features() == features
        first, other = container.queues()
        assert first.interface.multi_queue
        assert first.interface.name == other.interface.name == lab.wiring.TUN
        assert first.uso_supported()
        assert other.uso_supported()


def test_a_fd_that_does_not_fit_the_backend_is_refused_and_stays_open() -> None:
    with lab.socket(offload=Offload.NONE) as with_header, lab.socket(offload=None) as without:
        for container, fd in ((tio.PollContainer(), with_header.tun), (tio.OffloadContainer(), without.tun)):
            os.set_blocking(fd, True)
            with container, pytest.raises(tio.AddRefused, match="A4") as caught:
                container.add(fd)
            assert caught.value.rule == "A4"
            assert os.get_blocking(fd)


def test_a_tun_that_was_never_attached_is_refused() -> None:
    fd = os.open("/dev/net/tun", os.O_RDWR)
    with tio.OffloadContainer() as container, pytest.raises(tio.AddRefused, match="A3"):
        container.add(fd)
    os.close(fd)


@pytest.mark.parametrize("size", [12, 24])
def test_longer_vnet_headers_are_found_out_and_written(size: int) -> None:
    built = pieces(STACKS["tcp4"], [payload(100), payload(50)])
    with lab.redirect(header_size=size) as made, queue_on(made.writer) as queue:
        queue.write_gso(built.hdr, built.transport_hdr, built.pays)
        assert [os.read(made.reader, 65535)[40:] for _ in range(2)] == [payload(100), payload(50)]


@pytest.mark.parametrize("backend", [tio.OffloadContainer, tio.PollContainer])
def test_a_down_link_is_a_soft_error(backend: type[tio.OffloadContainer | tio.PollContainer]) -> None:
    packet = packet_bytes(ip4() / UDP() / payload(8))
    offload = Offload.NONE if backend is tio.OffloadContainer else None
    with lab.socket(offload=offload) as made, backend() as container:
        container.add(made.take())
        (queue,) = container.queues()
        set_link(made, "down")
        with pytest.raises(tio.LinkDown):
            queue.write(packet)
        set_link(made, "up")
        assert queue.write(packet) == len(packet)


@pytest.mark.parametrize("backend", [tio.OffloadContainer, tio.PollContainer])
def test_a_vanished_device_is_a_closed_error_for_readers_and_writers(
    backend: type[tio.OffloadContainer | tio.PollContainer],
) -> None:
    offload = Offload.NONE if backend is tio.OffloadContainer else None
    with lab.socket(offload=offload) as made, backend() as container:
        container.add(made.take())
        (queue,) = container.queues()
        raised: list[BaseException] = []
        reader = threading.Thread(target=lambda: raised.append(error_of(queue)))
        reader.start()
        made._ground.run(delete_link, lab.wiring.TUN)
        reader.join(timeout=10)
        assert not reader.is_alive()
        assert isinstance(raised[0], tio.Closed)
        with pytest.raises(tio.Closed):
            queue.write(packet_bytes(ip4() / UDP() / payload(8)))


def error_of(queue: tio.Queue) -> BaseException:
    try:
        while True:
            queue.read()
    except tio.QueueError as error:
        return error


def set_link(made: SocketLab, state: str) -> None:
    def inside() -> None:
        with links.netlink() as ip:
            (index,) = ip.link_lookup(ifname=lab.wiring.TUN)
            ip.link("set", index=index, state=state)

    made._ground.run(inside)


def delete_link(name: str) -> None:
    with links.netlink() as ip:
        (index,) = ip.link_lookup(ifname=name)
        ip.link("del", index=index)


def test_a_uso_superpacket_reaches_a_socket_as_its_datagrams() -> None:
    """Local delivery: the kernel cuts for a socket that did not ask for UDP_GRO."""
    with lab.socket(offload=Offload.NONE) as made, made.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("10.77.0.1", 4000))
        sink.settimeout(10)
        pays = [payload(50, seed=index) for index in range(3)]
        built = pieces(ip4(src="10.77.0.9", dst="10.77.0.1") / UDP(sport=5000, dport=4000), pays)
        with queue_on(made.tun) as queue:
            queue.write_gso(built.hdr, built.transport_hdr, built.pays)
        assert [sink.recv(2000) for _ in pays] == pays


def test_frames_that_the_kernel_refuses_are_refused_with_their_geometry() -> None:
    """A frame that breaks no rule of ours, refused by the kernel: a header length that the device does not have."""
    with lab.redirect(header_size=24) as made, queue_on(made.writer) as queue:
        # Unknown to the queue, the device's headers become longer: the kernel now reads packet bytes as header.
        tio.tuntap.set_vnet_header_size(made.writer, 60)
        with pytest.raises(tio.KernelRefused) as caught:
            queue.write(packet_bytes(ip4() / UDP() / payload(8)))
    assert caught.value.errno == 22
    assert caught.value.geometry == tio.Geometry(header=0, payload=36, gso_size=0, segments=1)
