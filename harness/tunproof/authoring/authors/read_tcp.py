"""TCP superpackets that are read: everything that a correct kernel and implementation must cut the same way."""

from scapy.layers.inet import IPOption
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN

from tunproof.authoring.authors.shapes import TIMESTAMPS, tcp
from tunproof.authoring.draft import Topic, kernel, rfc, virtio
from tunproof.packets.builder import frame, ip4, ip6, payload, superpacket

_CUT = kernel("tcp_gso_segment", "net/ipv4/tcp_offload.c")
_CUT4 = kernel("inet_gso_segment", "net/ipv4/af_inet.c")
_CUT6 = kernel("ipv6_gso_segment", "net/ipv6/ip6_offload.c")

tcp4 = Topic("read", "tcp4", requires=("gso.tcp4",), basis=(_CUT, _CUT4))
tcp6 = Topic("read", "tcp6", requires=("gso.tcp6",), basis=(_CUT, _CUT6))
TOPICS = (tcp4, tcp6)

# Sizes. Segments are small where size is not the point; 8 bytes is where all kernels agree.

_SIZES = {
    "two-segments": (16, 8, "Two whole segments."),
    "last-segment-of-one-byte": (17, 8, "The last segment has one byte."),
    "one-byte-less-than-whole": (23, 8, "The last segment is one byte short."),
    "odd-gso-size": (27, 9, "Segments of odd length: the last byte of each is the high half of a checksum word."),
    "odd-last-segment": (29, 10, "Only the last segment is odd."),
    "ethernet-sized": (4200, 1400, "Three segments of 1400 bytes, as a tunnel sees them all day."),
    "ethernet-sized-short-tail": (3000, 1400, "Two full segments and a tail of 200 bytes."),
}

for _name, (_length, _gso_size, _about) in _SIZES.items():
    _flags = ("Basic",) if "ethernet" in _name else ("OddLength",) if "odd" in _name else ("SegmentSize",)
    for _topic, _ip in ((tcp4, ip4()), (tcp6, ip6())):
        _topic.add(
            _name,
            _about,
            superpacket(_ip / tcp(), payload(_length), gso_size=_gso_size),
            flags=_flags,
            importance="critical",
        )


for _topic, _ip, _headers in ((tcp4, ip4(), 40), (tcp6, ip6(), 60)):
    _topic.add(
        "largest",
        "A superpacket of 65535 bytes. A read buffer of 65535 bytes has no room for its vnet header and loses the end.",
        superpacket(_ip / tcp(), payload(65535 - _headers), gso_size=1024),
        flags=("MaximumSize", "ManySegments"),
        importance="critical",
    )


@tcp4.case("ManySegments")
def five_hundred_segments() -> bytes:
    """500 segments of 8 bytes: more than a ring of the default txqueuelen of 500 takes at once (about 490)."""
    return superpacket(ip4() / tcp(), payload(4000), gso_size=8)


# Flags. The superpacket is cut in three, so that there is a first, a middle and a last segment for each flag.

_FLAGS = {
    "psh-on-last-segment-only": ("PA", "PshOnLastOnly", "PSH means: deliver everything up to here."),
    "fin-on-last-segment-only": ("FA", "FinOnLastOnly", "FIN ends the stream after its last byte."),
    "fin-and-psh-on-last-segment-only": ("FPA", "FinOnLastOnly", "FIN and PSH go on the last segment together."),
    "ece-on-all-segments": ("EA", "FlagsCopied", "ECE is repeated until it is answered, so every segment has it."),
    "urg-on-all-segments": ("UA", "FlagsCopied", "URG and the urgent pointer are copied as they are."),
    "syn-on-all-segments": (
        "SA",
        "FlagsCopied",
        "SYN is copied; no stack sends this, but every reader must survive it.",
    ),
    "rst-on-all-segments": ("RA", "FlagsCopied", "RST is copied."),
    "no-flags": ("", "FlagsCopied", "No flag at all, not even ACK."),
}

for _name, (_bits, _flag, _about) in _FLAGS.items():
    for _topic, _ip in ((tcp4, ip4()), (tcp6, ip6())):
        _topic.add(
            _name,
            _about,
            superpacket(_ip / tcp(flags=_bits, urgptr=5 if "U" in _bits else 0), payload(24), gso_size=8),
            flags=(_flag,),
            basis=(rfc(9293, "3.1"),),
        )

for _topic, _ip, _type in ((tcp4, ip4(), 1), (tcp6, ip6(), 4)):
    _topic.add(
        "cwr-on-first-segment-only",
        "CWR answers one ECE, so it is set on one segment, the first. The type carries the ECN qualifier.",
        superpacket(_ip / tcp(flags="CA"), payload(24), gso_size=8),
        flags=("CwrOnFirstOnly", "EcnQualifier"),
        basis=(rfc(3168, "6.1.2"), virtio("5.1.6.2")),
        importance="critical",
    )
    _topic.add(
        "cwr-without-ecn-qualifier",
        "CWR is set on the first segment only, whether or not the type carries the ECN qualifier.",
        superpacket(_ip / tcp(flags="CA"), payload(24), gso_size=8, gso_type=_type),
        flags=("CwrOnFirstOnly",),
        basis=(rfc(3168, "6.1.2"),),
    )
    _topic.add(
        "ecn-qualifier-without-cwr",
        "The qualifier without CWR breaks the sender's rule (V9). Cutting takes CWR from the TCP header alone.",
        superpacket(_ip / tcp(), payload(24), gso_size=8, gso_type=_type | 0x80),
        flags=("CwrOnFirstOnly",),
        importance="low",
    )
    _topic.add(
        "all-flags",
        "Every flag and reserved bit: CWR on the first segment only, FIN and PSH on the last only, the others on all.",
        superpacket(_ip / tcp(flags=0x1FF, reserved=7, urgptr=3), payload(24), gso_size=8),
        flags=("FlagsCopied", "CwrOnFirstOnly", "FinOnLastOnly"),
        basis=(rfc(9293, "3.1"),),
    )


# Sequence, window, options.

for _topic, _ip in ((tcp4, ip4()), (tcp6, ip6())):
    _topic.add(
        "sequence-wraps",
        "The second segment's sequence number passes 2**32.",
        superpacket(_ip / tcp(seq=0xFFFFFFFC), payload(24), gso_size=8),
        flags=("SequenceWrap",),
        basis=(rfc(9293, "3.4"),),
    )
    _topic.add(
        "sequence-wraps-to-zero",
        "The second segment's sequence number is exactly zero.",
        superpacket(_ip / tcp(seq=0xFFFFFFF8), payload(24), gso_size=8),
        flags=("SequenceWrap",),
        basis=(rfc(9293, "3.4"),),
    )
    _topic.add(
        "timestamps",
        "The timestamp option (12 bytes with padding) is copied to every segment.",
        superpacket(_ip / tcp(options=TIMESTAMPS), payload(3000), gso_size=1388),
        flags=("TcpOptions", "Basic"),
        basis=(rfc(7323, "3"),),
        importance="critical",
    )
    _topic.add(
        "sack-blocks",
        "Two SACK blocks and padding: 20 bytes of options.",
        superpacket(
            _ip / tcp(options=[("NOP", None), ("NOP", None), ("SAck", (1, 2, 5, 9))]), payload(70), gso_size=30
        ),
        flags=("TcpOptions",),
        basis=(rfc(2018, "3"),),
    )
    _topic.add(
        "forty-bytes-of-options",
        "A data offset of 15, the largest: 40 bytes of options.",
        superpacket(_ip / tcp(options=[("NOP", None)] * 40), payload(150), gso_size=64),
        flags=("TcpOptions",),
        basis=(rfc(9293, "3.1"),),
    )


# The IPv4 header.

_IPV4: dict[str, tuple[dict[str, object], str, str]] = {
    "identification-wraps": ({"id": 0xFFFF, "flags": 0}, "IdWrap", "The second segment's identification is zero."),
    "identification-without-df": (
        {"id": 7, "flags": 0},
        "IdIncrement",
        "DF clear: each segment needs its own identification.",
    ),
    "identification-zero": ({"id": 0, "flags": 0}, "IdIncrement", "Zero is an identification like any other."),
    "evil-bit": ({"flags": "evil+DF"}, "Ipv4Header", "The reserved bit is copied."),
    "tos": ({"tos": 0xB9}, "Ipv4Header", "DSCP and ECN are copied."),
    "ttl-one": ({"ttl": 1}, "Ipv4Header", "TTL is copied; acting on it is not up to the reader."),
}

for _name, (_fields, _flag, _about) in _IPV4.items():
    tcp4.add(
        _name,
        _about,
        superpacket(ip4(**_fields) / tcp(), payload(24), gso_size=8),
        flags=(_flag,),
        basis=(rfc(791, "3.1"),) if _flag == "Ipv4Header" else (rfc(6864, "4"),),
    )

tcp4.add(
    "identification-with-df",
    "The identification grows even with DF set; an atomic packet may carry any (RFC 6864, section 4.1).",
    superpacket(ip4(id=7) / tcp(), payload(24), gso_size=8),
    flags=("IdIncrement",),
    level="should",
    importance="low",
)

for _words in (1, 5, 10):
    tcp4.add(
        f"ip-options-of-{_words * 4}-bytes",
        "IPv4 options are copied to every segment, and the transport header begins after them.",
        superpacket(ip4(options=[IPOption(b"\x01" * (_words * 4))]) / tcp(), payload(24), gso_size=8),
        flags=("Ipv4Header",),
        basis=(rfc(791, "3.1"),),
        importance="medium",
    )


@tcp4.case("Ipv4Header", basis=(rfc(791, "3.1"),), importance="medium")
def ip_header_checksum_is_computed_anew() -> bytes:
    """A wrong IPv4 header checksum on the superpacket does not reach the segments."""
    good = superpacket(ip4() / tcp(), payload(24), gso_size=8)
    return good[:20] + b"\xde\xad" + good[22:]


# The IPv6 header.


@tcp6.case("Ipv6Header", basis=(rfc(8200, "3"),))
def traffic_class_and_flow_label() -> bytes:
    """Traffic class, flow label and hop limit are copied to every segment."""
    return superpacket(ip6(tc=0xB9, fl=0xABCDE, hlim=1) / tcp(), payload(24), gso_size=8)


_CHAINS = {
    "hop-by-hop": IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0\0\0")]),
    "destination-options": IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")]),
    "destination-options-of-64-bytes": IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(60))]),
    "routing-header": IPv6ExtHdrRouting(addresses=["2001:db8::7"], segleft=0),
    "hop-by-hop-and-destination-options": IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0\0\0")])
    / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")]),
}

for _name, _chain in _CHAINS.items():
    tcp6.add(
        _name,
        "Extension headers are copied to every segment and counted in its payload length.",
        superpacket(ip6() / _chain / tcp(), payload(24), gso_size=8),
        flags=("ExtensionHeaders",),
        basis=(rfc(8200, "4"), kernel("ipv6_gso_pull_exthdrs", "net/ipv6/ip6_offload.c")),
    )


# hdr_len and the checksum.

for _topic, _ip, _headers in ((tcp4, ip4(), 40), (tcp6, ip6(), 60)):
    for _name, _hdr_len in (
        ("zero", 0),
        ("one", 1),
        ("whole-packet", _headers + 24),
        ("into-the-payload", _headers + 5),
    ):
        _topic.add(
            f"hdr-len-{_name}",
            "hdr_len says how much of the kernel's buffer is linear; only the headers say how long they are.",
            superpacket(_ip / tcp(), payload(24), gso_size=8, hdr_len=_hdr_len),
            flags=("HdrLenIsAHint",),
            basis=(virtio("5.1.6.4"), kernel("virtio_net_hdr_from_skb", "include/linux/virtio_net.h")),
        )
    _good = superpacket(_ip / tcp(), payload(24), gso_size=8)
    _field = 10 + _headers - 20 + 16
    _partial = int.from_bytes(_good[_field : _field + 2], "big")
    for _name, _value in (("one-too-large", (_partial + 1) % 0xFFFF), ("zero", 0), ("all-ones", 0xFFFF)):
        _topic.add(
            f"partial-{_name}",
            "The partial is adjusted, not recomputed: a wrong one stays wrong by the same amount in every segment. A "
            "reader may as well compute it anew, or reject the frame.",
            _good[:_field] + _value.to_bytes(2, "big") + _good[_field + 2 :],
            flags=("WrongPartialCarried",),
            level="may",
            sound=False,
        )
    _topic.add(
        "without-needs-csum",
        "Without NEEDS_CSUM the checksum field means nothing, and every segment's checksum is computed from scratch.",
        frame(
            _good[10:_field] + b"\xbe\xef" + _good[_field + 2 :],
            gso_type=1 if _topic is tcp4 else 4,
            hdr_len=_headers,
            gso_size=8,
        ),
        flags=("ChecksumComputed",),
        importance="medium",
    )
