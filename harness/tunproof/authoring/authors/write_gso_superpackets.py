"""Superpackets that are written, and what the kernel makes of them."""

from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, PadN
from scapy.packet import Packet

from tunproof.authoring.draft import ANY_KERNEL, Topic, bug, kernel, needs, rfc, virtio
from tunproof.packets.builder import ip4, ip6, payload, pieces

_BASIS = (virtio("5.1.6.2.1"), kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h"))
tcp4 = Topic("write_gso", "tcp4", requires=("gso.tcp4",), basis=_BASIS)
tcp6 = Topic("write_gso", "tcp6", requires=("gso.tcp6",), basis=_BASIS)
udp4 = Topic("write_gso", "udp4", requires=("gso.udp4",), kernels=needs("uso"), basis=_BASIS)
udp6 = Topic("write_gso", "udp6", requires=("gso.udp6",), kernels=needs("uso"), basis=_BASIS)
TOPICS = (tcp4, tcp6, udp4, udp6)

_TIMESTAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (0x01020304, 0x05060708))]


def fragments(*sizes: int) -> list[bytes]:
    """Return payloads of these sizes, cut from one pattern."""
    whole = payload(sum(sizes))
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return [whole[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def tcp(flags: str = "A", **fields: object) -> Packet:
    """Return a TCP header of a flow of data."""
    return TCP(sport=40000, dport=443, seq=0x01020304, ack=0x0A0B0C0D, flags=flags, **fields)


_SHAPES = {
    "two-equal-fragments": ([100, 100], ("Basic",), "Two fragments of one size."),
    "short-tail": ([100, 100, 7], ("SegmentSize",), "A shorter last fragment, even under 8 bytes."),
    "tail-of-one-byte": ([8, 1], ("SegmentSize",), "The smallest superpacket: 8 bytes and one."),
    "odd-fragments": ([101, 101, 33], ("OddLength",), "Odd sizes: fragments do not end at words."),
    "ethernet-sized": ([1400, 1400, 1400], ("Basic",), "What a tunnel writes all day."),
    "single-fragment": ([100], ("SingleFragment",), "One fragment is one packet: type NONE, gso_size 0, NEEDS_CSUM."),
    "single-small-fragment": ([1], ("SingleFragment",), "One fragment of one byte."),
    "sixty-four-fragments": ([64] * 64, ("ManySegments",), "64 fragments."),
}

for _name, (_sizes, _flags, _about) in _SHAPES.items():
    for _topic, _headers in (
        (tcp4, ip4() / tcp()),
        (tcp6, ip6() / tcp()),
        (udp4, ip4() / UDP(sport=40000, dport=443)),
        (udp6, ip6() / UDP(sport=40000, dport=443)),
    ):
        single = ANY_KERNEL if len(_sizes) == 1 else None  # one fragment has no type, so every kernel accepts it
        _topic.add(
            _name,
            _about,
            pieces(_headers, fragments(*_sizes)),
            flags=(*_flags, "ExtraBytes") if _name == "two-equal-fragments" and _topic in (udp4, udp6) else _flags,
            kernels=single,
            importance="critical" if "Basic" in _flags else "high",
        )

for _topic, _ip in ((tcp4, ip4()), (tcp6, ip6())):
    _topic.add(
        "cwr",
        "CWR in the header: the type carries the ECN qualifier, and the kernel leaves CWR on the first segment only.",
        pieces(_ip / tcp("CA"), fragments(8, 8, 8)),
        flags=("CwrOnFirstOnly",),
        basis=(rfc(3168, "6.1.2"),),
    )
    _topic.add(
        "cwr-has-ecn-qualifier",
        "CWR in the header: the type carries the ECN qualifier (V14). Linux cuts it right without; a NIC that gets the "
        "superpacket whole, without the qualifier, repeats CWR on every segment.",
        pieces(_ip / tcp("CEA"), fragments(16, 16, 9)),
        flags=("EcnQualifier",),
        level="should",
        basis=(virtio("5.1.6.2.1"),),
    )
    _topic.add(
        "fin-and-psh",
        "FIN and PSH in the header: they come out on the last segment.",
        pieces(_ip / tcp("FPA"), fragments(8, 8, 8)),
        flags=("FinOnLastOnly", "PshOnLastOnly"),
    )
    _topic.add(
        "timestamps",
        "12 bytes of TCP options: hdr_len and the cut take them into account.",
        pieces(_ip / tcp(options=_TIMESTAMPS), fragments(1388, 1388, 500)),
        flags=("TcpOptions", "Basic"),
        importance="critical",
    )
    _topic.add(
        "iovec-limit",
        "1021 fragments: with the vnet header and two headers as many pieces as one writev accepts.",
        pieces(_ip / tcp(), fragments(*[8] * 1021)),
        flags=("IovecLimit", "ManySegments"),
    )
    # The header as counted by the kernels that refused these: IPv4 40 bytes, IPv6 60 bytes.
    _topic.add(
        "equal-segments-of-1240",
        "All segments are equal: the length, headers included, divided by gso_size leaves just the headers.",
        pieces(_ip / tcp(), fragments(1240, 1240)),
        flags=("LegalRemainder",),
        basis=(bug("https://github.com/tailscale/tailscale/issues/13041", "tailscale"),),
        importance="critical",
    )
    _topic.add(
        "tail-of-1210-after-1240",
        "A slightly shorter tail: the length, headers included, divided by gso_size leaves a small remainder.",
        pieces(_ip / tcp(), fragments(1240, 1240, 1210)),
        flags=("LegalRemainder",),
        basis=(bug("https://github.com/tailscale/tailscale/issues/13041", "tailscale"),),
        importance="critical",
    )
    _headers_length = 40 if _topic is tcp4 else 60
    _topic.add(
        "largest",
        "65535 bytes in total, the maximum.",
        pieces(_ip / tcp(), fragments(*[1400] * ((65535 - _headers_length) // 1400), (65535 - _headers_length) % 1400)),
        flags=("MaximumSize",),
        importance="critical",
    )

for _topic, _ip in ((udp4, ip4()), (udp6, ip6())):
    _topic.add(
        "128-fragments",
        "As many datagrams as one UDP superpacket may have.",
        pieces(_ip / UDP(sport=40000, dport=443), fragments(*[8] * 128)),
        flags=("ManySegments", "TooManyUdpSegments"),
        kernels=needs("uso", "uso_128"),
    )

tcp6.add(
    "destination-options",
    "An extension header belongs to hdr: csum_start points past it.",
    pieces(ip6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")]) / tcp(), fragments(8, 8, 8)),
    flags=("ExtensionHeaders",),
    basis=(rfc(8200, "4"),),
)
