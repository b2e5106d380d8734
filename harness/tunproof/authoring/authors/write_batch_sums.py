"""Batches with wrong checksums, without checksums, with checksums of zero, and with wrong lengths.

A wrong checksum stops a good writer from joining: cut, the packet would have a right one. Writers that join it anyway
are known; that is a policy, which reports name. Joining a wrong length is not.
"""

import struct
from collections.abc import Callable, Container
from functools import partial
from typing import Final

from scapy.utils import checksum as scapy_checksum

from tunproof.authoring.authors.batching import CUT, KINDS, alone, borders, put
from tunproof.authoring.draft import Topic, bug, kernel, rfc
from tunproof.packets.builder import Flow, patched, whole

_WIREGUARD = bug("https://github.com/WireGuard/wireguard-go/pull/145", "wireguard-go")
checksums = Topic("write_batch", "checksums", basis=(kernel("tcp4_gro_receive", "net/ipv4/tcp_offload.c"),))
lengths = Topic("write_batch", "lengths", basis=(kernel("inet_gro_receive", "net/ipv4/af_inet.c"),))
TOPICS = (checksums, lengths)

Ideal = tuple[tuple[int, ...], ...]
_IP_LENGTH = {"tcp4": 20, "udp4": 20, "tcp6": 40, "udp6": 40}
_FIELD = {"tcp4": 36, "udp4": 26, "tcp6": 56, "udp6": 46}
_FOUR: Final = (16, 16, 16, 16)


def _off_by_one(packet: bytes, offset: int) -> bytes:
    """Return the packet with the word at an offset one too large, and never zero or 0xFFFF."""
    value = int.from_bytes(packet[offset : offset + 2], "big")
    return patched(packet, offset, ((value + 1) if value < 0xFFFE else 1).to_bytes(2, "big"))


def _damaged(kind: str, places: Container[int], damage: Callable[[bytes], bytes]) -> list[bytes]:
    """Return four packets of a flow, those at some places damaged."""
    packets = Flow(KINDS[kind]).packets(*_FOUR)
    return [damage(packet) if at in places else packet for at, packet in enumerate(packets)]


_PLACES: dict[str, tuple[tuple[int, ...], Ideal]] = {
    "first": ((0,), ((0,), (1, 2, 3))),
    "middle": ((1,), ((0,), (1,), (2, 3))),
    "last": ((3,), ((0, 1, 2), (3,))),
    "all": ((0, 1, 2, 3), alone(4)),
}
for _kind in KINDS:
    for _place, (_bad, _ideal) in _PLACES.items():
        put(
            checksums,
            f"{_kind}-wrong-on-{_place}",
            "A wrong transport checksum: the packet comes out as it is, and the receiver drops it. Its neighbours are "
            "right and come out right.",
            _damaged(_kind, _bad, partial(_off_by_one, offset=_FIELD[_kind])),
            ideal=_ideal,
            flags=("ChecksumRepaired",),
            basis=(_WIREGUARD,),
            importance="critical",
        )
    put(
        checksums,
        f"{_kind}-two-wrong-then-two-right",
        "Two packets with wrong checksums and two with right ones. Joining all is a policy, joining none is allowed; "
        "an implementation that joins only the wrong ones has its test inverted.",
        _damaged(_kind, (0, 1), partial(_off_by_one, offset=_FIELD[_kind])),
        ideal=((0,), (1,), (2, 3)),
        flags=("ChecksumVerdictInverted",),
        basis=(_WIREGUARD,),
        importance="critical",
    )
    _packets = Flow(KINDS[_kind]).packets(17, 17, 17)
    put(
        checksums,
        f"{_kind}-last-byte-damaged",
        "Payloads of odd length, and the last byte of the second is damaged: the byte that a sum over words misses.",
        [_packets[0], patched(_packets[1], len(_packets[1]) - 1, bytes([_packets[1][-1] ^ 0x40])), _packets[2]],
        ideal=alone(3),
        flags=("ChecksumRepaired", "OddLength"),
    )
    _packets = Flow(KINDS[_kind]).packets(16, 16, 16)
    put(
        checksums,
        f"{_kind}-damaged-then-repeated",
        "A damaged packet, then the same one undamaged, then the next. Both of the first two come out, in that order.",
        [_off_by_one(_packets[0], _FIELD[_kind]), *_packets],
        ideal=((0,), (1, 2, 3)),
        flags=("ChecksumRepaired",),
        importance="medium",
    )
    _packets = Flow(KINDS[_kind]).packets(16, 16, 16)
    put(
        checksums,
        f"{_kind}-wrong-checksum-and-stale-header",
        "A packet that was to be the first of a superpacket is not joined, because of its checksum. It goes out behind "
        "a vnet header of zeros, whatever was in the memory before it.",
        [_off_by_one(_packets[0], _FIELD[_kind]), *_packets[1:]],
        ideal=((0,), (1, 2)),
        poison=b"\xff",
        flags=("StaleVnetHeader",),
        basis=(_WIREGUARD,),
        importance="critical",
    )

for _kind in ("tcp4", "udp4"):
    for _place, (_bad, _ideal) in _PLACES.items():
        put(
            checksums,
            f"{_kind}-wrong-ip-header-checksum-on-{_place}",
            "A wrong IPv4 header checksum: joining the packet gives a damaged header a right one.",
            _damaged(_kind, _bad, partial(_off_by_one, offset=10)),
            ideal=_ideal,
            flags=("ChecksumRepaired",),
            basis=(rfc(791, "3.1"),),
        )

# Sums of zero.


def _summing_to_zero(flow: Flow, kind: str, size: int = 16) -> bytes:
    """Return the next packet of a flow with a last word by which its transport checksum is zero."""
    packet = flow.packet(size)
    probe = patched(packet, len(packet) - 2, b"\0\0")
    at = _FIELD[kind]
    parsed = KINDS[kind].__class__(probe)
    del parsed.lastlayer().underlayer.chksum
    summed = whole(parsed)
    packet = patched(probe, len(probe) - 2, summed[at : at + 2])
    return patched(packet, at, b"\xff\xff")


def _one_summing_to_zero(kind: str, at: int) -> list[bytes]:
    """Return three packets of a flow, of which the one at `at` has a checksum of zero."""
    flow = Flow(KINDS[kind])
    return [_summing_to_zero(flow, kind) if index == at else flow.packet() for index in range(3)]


for _kind in ("tcp4", "tcp6"):
    for _name, _spelling in (("zero", b"\0\0"), ("all-ones", b"\xff\xff")):
        for _place, _at in (("first", 0), ("middle", 1)):
            _packets = _one_summing_to_zero(_kind, _at)
            _packets[_at] = patched(_packets[_at], _FIELD[_kind], _spelling)
            put(
                checksums,
                f"{_kind}-zero-spelled-{_name}-on-{_place}",
                "A TCP checksum of zero is right whether spelled 0x0000 or 0xFFFF: the packet is joined, and comes out "
                "with either.",
                _packets,
                ideal=((0, 1, 2),),
                flags=("ZeroChecksum",),
                basis=(rfc(1071, "1"), *CUT[_kind]),
            )
for _kind in ("udp4", "udp6"):
    for _place, _at in (("first", 0), ("middle", 1)):
        put(
            checksums,
            f"{_kind}-all-ones-on-{_place}",
            "A UDP checksum that computes to zero is sent as 0xFFFF. Joined and cut, it is 0xFFFF again, never 0.",
            _one_summing_to_zero(_kind, _at),
            ideal=((0, 1, 2),),
            flags=("ZeroChecksum",),
            basis=(rfc(768, "Fields"), *CUT[_kind]),
            importance="critical",
        )

# No checksum at all.

for _kind in ("udp4", "udp6"):
    for _place, (_bad, _ideal) in _PLACES.items():
        put(
            checksums,
            f"{_kind}-none-on-{_place}",
            "UDP over IPv4 may go without a checksum, and comes out without one; joining would give it one."
            if _kind == "udp4"
            else "UDP over IPv6 without a checksum is illegal. Joined, it would become legal; it comes out as it is.",
            _damaged(_kind, _bad, partial(patched, offset=_FIELD[_kind], value=b"\0\0")),
            ideal=_ideal,
            apart=() if _kind == "udp4" else borders(_ideal),
            flags=("NoUdpChecksum",),
            basis=(rfc(768, "Fields") if _kind == "udp4" else rfc(8200, "8.1"),),
            importance="critical",
        )

    for _place, _at, _ideal in (("first", 0, ((0,), (1, 2))), ("middle", 1, ((0,), (1,), (2,)))):
        _packets = _one_summing_to_zero(_kind, _at)
        _packets[_at] = patched(_packets[_at], _FIELD[_kind], b"\0\0")
        put(
            checksums,
            f"{_kind}-none-that-sums-up-on-{_place}",
            "A datagram without a checksum whose bytes happen to sum up to a right one. It still has none: a writer "
            "that only checks the sum joins it, and the field becomes 0xFFFF.",
            _packets,
            ideal=_ideal,
            apart=() if _kind == "udp4" else borders(_ideal),
            flags=("NoUdpChecksum", "ZeroChecksum"),
            basis=(rfc(768, "Fields") if _kind == "udp4" else rfc(8200, "8.1"),),
        )

# Lengths: two packets, a wrong one in the flow, two more.

_CLOSES: Ideal = ((0, 1), (2,), (3, 4))


def _wrong_length(kind: str, name: str, about: str, packet: bytes, rest: list[bytes]) -> None:
    """Add a batch. A writer may trim what is behind the length that IP states, as `ip_rcv` does: then it may join."""
    trims = name.startswith(("trailing", "ip-length-too-small"))
    packets = [*rest[:2], packet, *rest[2:]]
    put(
        lengths,
        f"{kind}-{name}",
        f"{about} The packet must not be joined with its neighbours{', unless it is trimmed' * trims}.",
        packets,
        ideal=_CLOSES,
        apart=((1, 2), (2, 3)),
        flags=("LengthMismatch",),
        level="may" if trims else "must",
    )


def _word(packet: bytes, offset: int, change: int) -> bytes:
    value = int.from_bytes(packet[offset : offset + 2], "big") + change
    return patched(packet, offset, value.to_bytes(2, "big"))


def _ip_checksum_mended(packet: bytes) -> bytes:
    """Return an IPv4 packet with a right header checksum, all else as it is."""
    parsed = KINDS["tcp4"].__class__(packet[:20])
    del parsed.chksum
    return whole(parsed)[:20] + packet[20:]


for _kind in KINDS:
    _offset = 2 if _kind.endswith("4") else 4
    for _name, _change, _about in (
        ("ip-length-too-small", -4, "The IP length field is smaller than the packet: the rest is not part of it."),
        ("ip-length-too-large", 4, "The IP length field is larger than the packet: bytes are missing."),
    ):
        _made = Flow(KINDS[_kind]).packets(16, 16, 16, 16, 16)
        _bad_packet = _word(_made[2], _offset, _change)
        _bad_packet = _ip_checksum_mended(_bad_packet) if _kind.endswith("4") else _bad_packet
        _wrong_length(_kind, _name, _about, _bad_packet, _made[:2] + _made[3:])
    _made = Flow(KINDS[_kind]).packets(16, 16, 16, 16, 16)
    _wrong_length(
        _kind,
        "trailing-bytes",
        "Four bytes after the end of the packet, as a link with a minimum length adds them. They are not payload.",
        _made[2] + b"\0\0\0\0",
        _made[:2] + _made[3:],
    )
    _made = Flow(KINDS[_kind]).packets(16, 16, 12, 16, 16)
    _wrong_length(
        _kind,
        "trailing-bytes-to-full-size",
        "A shorter packet with bytes after its end that make it as long as its neighbours.",
        _made[2] + b"\0\0\0\0",
        _made[:2] + _made[3:],
    )


def _summed(kind: str, packet: bytes) -> bytes:
    """Return a datagram with a checksum that is right for the length that it has, whatever the length it states."""
    at, field = _IP_LENGTH[kind], _FIELD[kind]
    addresses = packet[12:20] if kind == "udp4" else packet[8:40]
    datagram = patched(packet, field, b"\0\0")[at:]
    total = scapy_checksum(addresses + struct.pack(">HH", 17, len(datagram)) + datagram)
    return patched(packet, field, total.to_bytes(2, "big"))


for _kind in ("udp4", "udp6"):
    _offset = _FIELD[_kind] - 2
    for _name, _change, _about in (
        ("udp-length-too-small", -4, "The UDP length field is smaller than the datagram."),
        ("udp-length-too-large", 4, "The UDP length field is larger than the datagram."),
        ("udp-length-zero", -24, "A UDP length of zero, which only a jumbogram may have."),
        ("udp-length-below-header", -17, "A UDP length of 7 does not even cover the header."),
    ):
        _made = Flow(KINDS[_kind]).packets(16, 16, 16, 16, 16)
        _bad_packet = _summed(_kind, _word(_made[2], _offset, _change))
        _wrong_length(_kind, _name, _about, _bad_packet, _made[:2] + _made[3:])
