"""Batches at the limits: counts, sizes, nothing at all."""

from tunproof.authoring.authors.batching import CUT, KINDS, alone, borders, put, tcp
from tunproof.authoring.draft import Topic, kernel, rfc, uapi
from tunproof.packets.builder import Flow, ip4

limits = Topic("write_batch", "limits", basis=(rfc(791, "3.1"),))
TOPICS = (limits,)

_UDP_LIMIT = kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h", since="fc8b2a619469")


def _runs(total: int, size: int) -> tuple[tuple[int, ...], ...]:
    """Return indices in groups of `size`."""
    return tuple(tuple(range(start, min(start + size, total))) for start in range(0, total, size))


# Counts.

for _kind in ("udp4", "udp6"):
    for _count in (64, 65, 127, 128, 129):
        if _kind == "udp6" and _count in (65, 127):
            continue  # the count does not depend on the IP version; for the other one its ends suffice
        _ideal = _runs(_count, 128)
        put(
            limits,
            f"{_kind}-{_count}-datagrams",
            "A UDP superpacket has at most 128 segments; kernels before 6.9 accepted 64, and a writer may stop there.",
            Flow(KINDS[_kind]).packets(*[8] * _count),
            ideal=_ideal,
            flags=("TooManyUdpSegments",),
            basis=(_UDP_LIMIT, *CUT[_kind]),
            traits=("uso", "uso_128") if _count > 64 else ("uso",),
        )

put(
    limits,
    "tcp4-1022-packets",
    "One packet more than one system call has room for: 1024 pieces of memory, headers included.",
    Flow(KINDS["tcp4"]).packets(*[8] * 1022),
    ideal=_runs(1022, 1021),
    flags=("IovecLimit",),
    basis=(uapi("include/uapi/linux/uio.h", "UIO_MAXIOV"),),
)
_made = [Flow(ip4() / tcp(sport=1024 + number), seed=number) for number in range(260)]
put(
    limits,
    "tcp4-260-flows",
    "More flows and packets than a byte can count, each flow with one packet in the first half and one in the second.",
    [flow.packet(8) for flow in _made] + [flow.packet(8) for flow in _made],
    ideal=tuple((number, 260 + number) for number in range(260)),
    flags=("NarrowCounters",),
)

# Bytes. Four packets of equal size and a tail that decides.

_HEADERS = {"tcp4": 40, "tcp6": 60, "udp4": 28}
for _kind, _total in (("tcp4", 65535), ("tcp4", 65536), ("tcp6", 65536), ("udp4", 65535), ("udp4", 65536)):
    _size, _tail = divmod(65535 - _HEADERS[_kind], 4)
    put(
        limits,
        f"{_kind}-{_total}-bytes",
        "Joined, these packets would have 65535 bytes, the most that a length field can hold."
        if _total == 65535
        else "Joined, these packets would have 65536 bytes, one too many: the last one goes out alone.",
        Flow(KINDS[_kind]).packets(*[_size] * 4, _tail + _total - 65535),
        ideal=((0, 1, 2, 3, 4),) if _total == 65535 else ((0, 1, 2, 3), (4,)),
        flags=("BatchTooLarge",),
        importance="critical",
    )
put(
    limits,
    "tcp4-largest-packet-between-small-ones",
    "A packet of 65535 bytes in a flow of small ones, as a host without fragmentation limits may send.",
    Flow(KINDS["tcp4"]).packets(16, 16, 65495, 16, 16),
    ideal=((0, 1), (2, 3), (4,)),
    apart=((1, 2),),
    flags=("BatchTooLarge",),
    importance="critical",
)
put(
    limits,
    "tcp6-too-large-packet-between-small-ones",
    "A packet of 65536 bytes is more than a superpacket may have: it is refused or passed on, and the others come out.",
    Flow(KINDS["tcp6"]).packets(16, 16, 65476, 16, 16),
    ideal=((0, 1), (3, 4)),
    apart=((1, 2), (2, 3)),
    flags=("BatchTooLarge",),
)

# Payloads under 8 bytes: some kernels cut no smaller.

_FLOOR = kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h", since="c27c449d455a")
for _kind in KINDS:
    for _sizes, _ideal in (
        ((7, 7, 7), alone(3)),
        ((1, 1, 1), alone(3)),
        ((8, 8, 8), ((0, 1, 2),)),
        ((8, 8, 1), ((0, 1, 2),)),
        ((8, 7, 8), ((0, 1), (2,))),
    ):
        put(
            limits,
            f"{_kind}-payloads-of-{'-'.join(map(str, _sizes))}",
            "Packets with fewer than 8 bytes of data go out alone, except for one at the end: some kernels cut TCP no "
            "smaller, whatever gso_size says.",
            Flow(KINDS[_kind]).packets(*_sizes),
            ideal=_ideal,
            apart=borders(_ideal) if "tcp" in _kind or _sizes == (8, 7, 8) else (),
            flags=("TinyFragments",),
            basis=(_FLOOR,),
            level="should" if _ideal == alone(3) else "must",
            importance="medium",
        )

# Next to nothing.

put(limits, "no-packets", "A batch without packets: nothing is written.", [], ideal=(), flags=("EmptyPayload",))
put(
    limits,
    "only-empty-items",
    "A batch of empty items: nothing is written, and nothing breaks.",
    [b"", b"", b""],
    ideal=(),
    flags=("EmptyPayload",),
)
put(
    limits,
    "empty-items-around",
    "Empty items first and last: the packets between them are joined as if the empty ones were not there.",
    [b"", *Flow(KINDS["tcp6"]).packets(16, 16), b"", b""],
    ideal=((1, 2),),
    flags=("EmptyPayload",),
)
for _kind in KINDS:
    put(
        limits,
        f"{_kind}-one-packet",
        "A batch of one packet: it goes out as it is, not as a superpacket.",
        Flow(KINDS[_kind]).packets(16),
        ideal=alone(1),
        flags=("SmallSuperpacket",),
        importance="critical",
    )
