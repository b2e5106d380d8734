"""An outcome is decided, not waited for: refused, lost, delivered, or none of the three."""

import errno
import os
import struct
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from tio.linux import Delivered, Lost, Refused
from tio.tuntap import Offload
from tunproof import lab
from tunproof.errors import EnvironmentProblem
from tunproof.lab import exchange as module
from tunproof.lab import links
from tunproof.lab.wiring import IN, OUT

pytestmark = pytest.mark.lab

VNET = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
NEEDS_CSUM, TCPV4 = 1, 1

SEGMENT = 1400
IP4 = bytes.fromhex("4500000012344000400600000a4d00010a4d0002")
IP6 = bytes.fromhex("60000000000006402001 0db8000000000000000000000001 20010db8000000000000000000000002")
TCP = bytes.fromhex("0001000200000001000000005010ffff00000000")


def partial(addresses: bytes, length: int) -> bytes:
    return (int.from_bytes(addresses + struct.pack(">HH", 6, length), "big") % 0xFFFF).to_bytes(2, "big")


def tcp4(payload: int, size: int = SEGMENT) -> bytes:
    """Return a TCPv4 frame with `payload` bytes of payload, to be cut into segments of `size`."""
    ip = bytearray(IP4)
    ip[2:4] = (40 + payload).to_bytes(2, "big")
    ip[10:12] = (~(int.from_bytes(ip, "big") % 0xFFFF) & 0xFFFF).to_bytes(2, "big")
    tcp = TCP[:16] + partial(ip[12:20], 20 + payload) + TCP[18:]
    return VNET.pack(NEEDS_CSUM, TCPV4, 40, size, 20, 16) + ip + tcp + bytes(payload)


def tcp6_called_tcp4(payload: int) -> bytes:
    ip = IP6[:4] + (20 + payload).to_bytes(2, "big") + IP6[6:]
    tcp = TCP[:16] + partial(ip[8:40], 20 + payload) + TCP[18:]
    return VNET.pack(NEEDS_CSUM, TCPV4, 60, SEGMENT, 40, 16) + ip + tcp + bytes(payload)


FRAME = tcp4(3 * SEGMENT)
NO_SIZE = VNET.pack(NEEDS_CSUM, TCPV4, 40, 0, 20, 16) + FRAME[10:]
WIRINGS = {
    "redirect": lab.redirect,
    "readback": lambda: lab.readback(Offload.TSO),
    "forward": lab.forward,
}


@pytest.fixture(scope="module", params=WIRINGS)
def pair(request: pytest.FixtureRequest) -> Iterator[lab.Pair]:
    with WIRINGS[request.param]() as made:
        yield made


@pytest.fixture
def exchange(pair: lab.Pair) -> lab.Exchange:
    return lab.Exchange(pair)


@pytest.fixture
def redirect() -> Iterator[lab.Pair]:
    with lab.redirect() as made:
        yield made


def test_nothing_in_nothing_out(exchange: lab.Exchange) -> None:
    assert exchange.settle() == Lost()


@pytest.mark.parametrize("hint", [0, 1, 2, 3, 4, 100])
def test_the_hint_does_not_change_the_outcome(pair: lab.Pair, exchange: lab.Exchange, hint: int) -> None:
    outcome = exchange.send(FRAME, hint)
    assert isinstance(outcome, Delivered)
    assert [len(packet) for packet in outcome.packets] == ([4250] if pair.reader_header_size else [1440] * 3)
    assert exchange.send(FRAME, hint) == outcome


@pytest.mark.parametrize("hint", [0, 1, 3])
def test_a_superpacket_without_segment_size_is_refused(exchange: lab.Exchange, hint: int) -> None:
    assert exchange.send(NO_SIZE, hint) == Refused(errno.EINVAL)


@pytest.mark.parametrize("hint", [0, 1, 3])
def test_a_superpacket_of_the_wrong_family_is_lost(exchange: lab.Exchange, hint: int) -> None:
    assert exchange.send(tcp6_called_tcp4(3 * SEGMENT), hint) == Lost()


@pytest.mark.parametrize("frame", [b"", bytes(9), bytes(10), bytes(11)])
def test_less_than_a_packet_is_refused(exchange: lab.Exchange, frame: bytes) -> None:
    assert exchange.send(frame, 0) == Refused(errno.EINVAL)


def test_outcomes_stay_with_their_frames(exchange: lab.Exchange) -> None:
    sizes = [1 * SEGMENT, 2 * SEGMENT, 5 * SEGMENT + 1]
    alone = {size: exchange.send(tcp4(size), 0) for size in sizes}
    for _ in range(50):
        for size in sizes:
            assert exchange.send(NO_SIZE, 3) == Refused(errno.EINVAL)
            assert exchange.send(tcp4(size), 2) == alone[size]
            assert exchange.send(tcp6_called_tcp4(size + SEGMENT), 1) == Lost()


def test_a_frame_as_long_as_the_kernel_takes(redirect: lab.Pair) -> None:
    packet = b"\x45" + os.urandom(500_000)
    outcome = lab.Exchange(redirect).send(bytes(10) + packet, 1)
    # Linux before 6.6 stops at 69632 bytes beyond the headers, unless hdr_len is 0 as here.
    assert outcome in (Delivered((packet,)), Refused(errno.ENOBUFS), Refused(errno.ENOMEM))


@pytest.mark.parametrize("hint", [0, 100, 500])
def test_a_full_ring_is_no_verdict(hint: int) -> None:
    with lab.redirect(queue_length=128) as pair:
        exchange = lab.Exchange(pair)
        with pytest.raises(EnvironmentProblem, match="ring of 128 entries") as problem:
            exchange.send(tcp4(500 * 8, size=8), hint)
        assert "queue_length" in problem.value.cure
        assert pair.counters(OUT).tx_dropped > 300
        assert isinstance(exchange.send(FRAME, 3), Delivered)


def test_a_ring_that_is_exactly_full_is_no_verdict_either() -> None:
    with lab.redirect(queue_length=128) as pair, pytest.raises(EnvironmentProblem, match="ring of 128 entries"):
        lab.Exchange(pair).send(tcp4(128 * 8, size=8), 128)


def test_a_link_that_is_down_is_no_verdict(redirect: lab.Pair) -> None:
    redirect.ground.run(set_down, IN)
    with pytest.raises(EnvironmentProblem, match="the link is down"):
        lab.Exchange(redirect).send(FRAME, 3)


def set_down(name: str) -> None:
    with links.netlink() as ip:
        ip.link("set", index=ip.link_lookup(ifname=name)[0], state="down")


def test_a_missing_sentinel_is_no_verdict(redirect: lab.Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SENTINEL_PATIENCE", 0.05)
    redirect.ground.run(set_down, OUT)
    with pytest.raises(EnvironmentProblem, match="did not come through the lab"):
        lab.Exchange(redirect).send(FRAME, 3)


def test_a_closed_lab_is_no_verdict() -> None:
    with lab.redirect() as pair:
        exchange = lab.Exchange(pair)
    with pytest.raises(EnvironmentProblem, match="closed"):
        exchange.send(FRAME, 3)


def test_late_packets_are_found_by_the_sentinel(redirect: lab.Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the kernel delivered later than it does, the sentinel would still come behind the frame's packets."""
    exchange = lab.Exchange(redirect)
    answers = iter([[], [], []])
    poll = exchange._poll
    monkeypatch.setattr(exchange, "_poll", lambda timeout: next(answers, None) if timeout == 0 else poll(timeout))
    outcome = exchange.send(FRAME, 0)
    assert isinstance(outcome, Delivered)
    assert len(outcome.packets) == 3


def test_the_hot_path_is_its_system_calls(redirect: lab.Pair) -> None:
    """A frame whose packets are as many as hinted costs a write, their reads, and one look that nothing follows.

    What that is worth is `tunproof bench`'s to say: a rate depends on what else the machine does.
    """
    send = lab.Exchange(redirect).send
    calls: list[str] = []

    def note(_frame: FrameType | None, event: str, function: Callable[..., object]) -> None:
        if event == "c_call":
            calls.append(function.__qualname__)

    sys.setprofile(note)
    try:
        outcome = send(FRAME, 3)
    finally:
        sys.setprofile(None)
    assert isinstance(outcome, Delivered)
    in_python = {"len", "list.append", "setprofile"}
    assert [one for one in calls if one not in in_python] == ["write", "read", "read", "read", "poll.poll"]
