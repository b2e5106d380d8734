"""Batches in which two neighbours differ in exactly one field of the IP header.

Four packets each: two, and two more that have another value. A writer that joins across the border gives the later ones
the value of the first; one that gives up at the border joins nothing after it.
"""

from collections.abc import Mapping
from typing import Any

from scapy.layers.inet import IPOption
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, PadN
from scapy.packet import Packet

from tunproof.authoring.authors.batching import GRO, GRO_UDP, KINDS, PAIRS_APART, alone, borders, put, tcp, udp
from tunproof.authoring.draft import Topic, kernel, rfc
from tunproof.packets.builder import Flow, ip4, ip6

_ip4 = Topic("write_batch", "pairs-ip4", basis=(kernel("inet_gso_segment", "net/ipv4/af_inet.c"),))
_ip6 = Topic("write_batch", "pairs-ip6", basis=(kernel("ipv6_gso_segment", "net/ipv6/ip6_offload.c"),))
TOPICS = (_ip4, _ip6)

Fields = Mapping[str, object]
_PAIRS = ((0, 1), (2, 3))


def _put(kind: str, name: str, *what: Any, **options: Any) -> None:
    """Add a batch of a kind to the topic of its IP version."""
    put(_ip4 if kind.endswith("4") else _ip6, f"{kind[:3]}-{name}", *what, **options)


def _border(kind: str, name: str, about: str, *flags: str, network: Fields) -> None:
    """Add two packets, and two more with other fields."""
    flow = Flow(KINDS[kind])
    packets = flow.packets(16, 16) + [flow.packet(network=network) for _ in range(2)]
    basis = (GRO if "tcp" in kind else GRO_UDP,)
    _put(kind, name, f"{about} {PAIRS_APART}", packets, ideal=_PAIRS, apart=((1, 2),), flags=flags, basis=basis)


for _kind in ("tcp4", "udp4"):
    _border(
        _kind,
        "tos-dscp",
        "Packets of different DSCP are treated differently.",
        "FieldNotCompared",
        network={"tos": 0xB8},
    )
    _border(
        _kind,
        "tos-ecn",
        "A router marked the later packets (CE). Joined, the mark is lost and the sender does not slow down.",
        "FieldNotCompared",
        network={"tos": 0x03},
    )
    _border(
        _kind,
        "ttl",
        "The later packets came another way and have a different TTL.",
        "FieldNotCompared",
        network={"ttl": 63},
    )
    _border(
        _kind,
        "df-cleared",
        "The later packets may be fragmented; joined, a router would drop them as too big.",
        "FieldNotCompared",
        network={"flags": 0},
    )
    _border(
        _kind,
        "reserved-bit",
        "Cutting copies the reserved bit of the flags, so it must be the same.",
        "FieldNotCompared",
        network={"flags": "evil+DF"},
    )
    _border(
        _kind,
        "source",
        "The later packets come from another host, with the same ports.",
        "FlowsMixed",
        network={"src": "192.0.2.3"},
    )
    _border(
        _kind,
        "destination",
        "The later packets go to another host, with the same ports.",
        "FlowsMixed",
        network={"dst": "198.51.100.4"},
    )

for _kind in ("tcp6", "udp6"):
    _border(
        _kind,
        "traffic-class-dscp",
        "Packets of different DSCP: the traffic class spans the first two bytes.",
        "FieldNotCompared",
        "Ipv6FieldOffsets",
        network={"tc": 0xB8},
    )
    _border(
        _kind,
        "traffic-class-low-half",
        "Only the low half of the traffic class differs, which is in the second byte: ECN and the end of DSCP.",
        "FieldNotCompared",
        "Ipv6FieldOffsets",
        network={"tc": 0x03},
    )
    _border(
        _kind,
        "traffic-class-high-half",
        "Only the high half of the traffic class differs, which shares a byte with the version.",
        "FieldNotCompared",
        "Ipv6FieldOffsets",
        network={"tc": 0x80},
    )
    _border(_kind, "flow-label", "The flow label can choose the path.", "FieldNotCompared", network={"fl": 0x00001})
    _border(
        _kind,
        "flow-label-high-bits",
        "The high bits of the flow label share a byte with the traffic class.",
        "FieldNotCompared",
        network={"fl": 0xF0000},
    )
    _border(
        _kind,
        "hop-limit",
        "The later packets came another way and have a different hop limit.",
        "FieldNotCompared",
        network={"hlim": 63},
    )
    _border(
        _kind, "source", "The last byte of the source address differs.", "FlowsMixed", network={"src": "2001:db8::3"}
    )
    _border(
        _kind,
        "source-prefix",
        "The first half of the source address differs.",
        "FlowsMixed",
        network={"src": "2001:db8:1::1"},
    )
    _border(
        _kind,
        "destination",
        "The last byte of the destination address differs.",
        "FlowsMixed",
        network={"dst": "2001:db8:ffff::4"},
    )

_SAME_ID = "Cutting counts the identification up from the first packet's, so {}."


def _identifications(
    kind: str, name: str, about: str, ids: tuple[int, ...], ideal: tuple[tuple[int, ...], ...]
) -> None:
    """Add packets with these identifications, once without DF and once with.

    Repeated ones are joined by Linux itself (`inet_gro_receive`). Of TCP a TUN reader gets them cut again, with their
    identifications kept; of UDP it does not.
    """
    lenient = (kind, name) == ("udp4", "repeated")
    for df, suffix in ((False, ""), (True, "-with-df")):
        flow = Flow(KINDS[kind])
        fields = {"flags": "DF" if df else 0}
        packets = [flow.packet(network={"id": value, **fields}) for value in ids]
        _put(
            kind,
            f"identification-{name}{suffix}",
            about + (" With DF set it means nothing, and a writer need not keep it." if df else ""),
            packets,
            ideal=ideal,
            apart=() if df else borders(ideal),
            flags=("IdNotRestored",) if "wraps" not in name else ("IdWrap",),
            basis=(rfc(6864, "4"),),
            importance="medium" if df else "high",
            level="should" if lenient else "must",
        )


for _kind in ("tcp4", "udp4"):
    _identifications(
        _kind, "wraps", "The identification goes from 65535 to 0.", (0xFFFE, 0xFFFF, 0, 1), ((0, 1, 2, 3),)
    )
    _identifications(_kind, "gap", _SAME_ID.format("a gap is lost"), (7, 8, 10, 11), _PAIRS)
    _identifications(_kind, "repeated", _SAME_ID.format("a repeated one is lost"), (7, 7, 7), alone(3))
    _identifications(_kind, "backwards", _SAME_ID.format("one that counts down is lost"), (9, 8, 7), alone(3))
    _identifications(
        _kind,
        "low-byte-wraps",
        "The identification carries into its high byte.",
        (0x12FE, 0x12FF, 0x1300, 0x1301),
        ((0, 1, 2, 3),),
    )
    _identifications(
        _kind,
        "high-byte",
        "The low byte of the identification continues, but the high byte does not.",
        (0x0107, 0x0208, 0x0209),
        ((0,), (1, 2)),
    )


def _one_other(kind: str, name: str, about: str, *flags: str, other: Packet) -> None:
    """Add two packets, one with another IP header, and two more that continue."""
    flow = Flow(KINDS[kind])
    first = flow.packets(16, 16)
    third = {"id": 0x1236} if kind.endswith("4") else {}
    middle = Flow(other).packet(start=32, network=third)
    packets = [*first, middle, flow.packet(start=48), flow.packet()]
    stated = f"{about} That packet must not be joined with its neighbours."
    _put(kind, name, stated, packets, ideal=((0, 1), (2,), (3, 4)), apart=((1, 2), (2, 3)), flags=flags)


_NOPS = [IPOption(b"\x01" * 4)]
for _kind, _l4 in (("tcp4", tcp()), ("udp4", udp())):
    _one_other(
        _kind,
        "one-with-ip-options",
        "One packet has IPv4 options, which the others lack.",
        "Ipv4OptionsLost",
        other=ip4(options=_NOPS) / _l4,
    )
    for _name, _about, _fields in (
        ("first", "offset 0, more fragments follow. The bit is 0x20 of byte 6.", {"flags": "MF+DF"}),
        ("last", "the offset is 16 bytes, and what looks like a header is data.", {"frag": 2}),
        ("far-last", "the offset is 2048 bytes, which only byte 6 shows.", {"frag": 0x100}),
    ):
        _one_other(
            _kind,
            f"one-{_name}-fragment",
            f"One packet is a fragment: {_about}",
            "FragmentJoined",
            other=ip4(**_fields) / _l4,
        )
    _one_other(
        _kind,
        "one-other-protocol",
        "One packet has protocol 253, but bytes like those of this flow.",
        "FlowsMixed",
        other=ip4(proto=253) / _l4,
    )
    _put(
        _kind,
        "all-with-same-ip-options",
        "All packets have the same IPv4 options. Cutting copies them, so joining would be transparent; joined or not, "
        "they come out intact.",
        Flow(ip4(options=_NOPS) / _l4).packets(16, 16, 16),
        ideal=alone(3),
        flags=("Ipv4OptionsLost",),
        basis=(rfc(791, "3.1"),),
    )
    _flow = Flow(KINDS[_kind])
    _put(
        _kind,
        "ip-options-differ",
        "Each packet has different IPv4 options: they must not be joined.",
        [_flow.packet(network={"options": [IPOption(bytes([1, 1, 1, end]))]}) for end in (1, 0)],
        ideal=alone(2),
        apart=((0, 1),),
        flags=("Ipv4OptionsLost",),
        basis=(rfc(791, "3.1"),),
    )


def _padding(fill: int) -> PadN:
    return PadN(optdata=bytes([fill]) * 4)


for _kind, _l4 in (("tcp6", tcp()), ("udp6", udp())):
    _put(
        _kind,
        "same-extension-header",
        "All packets have the same extension header, which cutting copies.",
        Flow(ip6() / IPv6ExtHdrDestOpt(options=[_padding(0)]) / _l4).packets(16, 16, 16),
        ideal=((0, 1, 2),),
        flags=("ExtensionHeaders",),
        basis=(rfc(8200, "4"),),
        importance="medium",
    )
    _one_other(
        _kind,
        "one-with-fragment-header",
        "One packet has a fragment header with offset 0 and none to follow (an atomic fragment).",
        "FragmentJoined",
        other=ip6() / IPv6ExtHdrFragment(id=7) / _l4,
    )
    _one_other(
        _kind,
        "one-with-extension-header",
        "One packet has an extension header that the others lack.",
        "FieldNotCompared",
        "ExtensionHeaders",
        other=ip6() / IPv6ExtHdrDestOpt(options=[_padding(0)]) / _l4,
    )
    _pads = [Flow(ip6() / IPv6ExtHdrHopByHop(options=[_padding(fill)]) / _l4) for fill in (0, 1)]
    _put(
        _kind,
        "extension-header-differs",
        "The extension headers differ in one byte of an option: the packets must not be joined.",
        [_pads[0].packet(16), _pads[1].packet(16, start=16 if "tcp" in _kind else 0)],
        ideal=alone(2),
        apart=((0, 1),),
        flags=("FieldNotCompared", "ExtensionHeaders"),
        basis=(rfc(8200, "4"),),
    )
