"""Superpackets that are written: header fields, counts and sums."""

from scapy.layers.inet import IPOption, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN
from scapy.packet import Packet

from tunproof.authoring.authors.write_gso_calls import calls
from tunproof.authoring.authors.write_gso_field_faults import faults
from tunproof.authoring.authors.write_gso_kinds import (
    BASIS,
    FOLDING,
    KINDS,
    NOP,
    add,
    folding,
    usual,
    zero_header_checksum,
)
from tunproof.authoring.authors.write_gso_superpackets import fragments, tcp
from tunproof.authoring.draft import Topic, bug, needs, rfc
from tunproof.packets.builder import GsoPieces, ip4, ip6, pieces

fields = Topic("write_gso", "fields", basis=BASIS)
counts = Topic("write_gso", "counts", basis=BASIS)
TOPICS = (fields, counts, faults, calls)

_TAILSCALE = bug("https://github.com/tailscale/tailscale/issues/13041", "tailscale")
_STAMPS = [NOP, NOP, ("Timestamp", (0x01020304, 0x05060708))]

# TCP.

_FLAGS: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "ece": (
        "tcp4",
        "EA",
        ("FlagsCopied", "CwrOnFirstOnly"),
        "ECE alone needs no ECN qualifier: that goes with CWR.",
    ),
    "cwr-and-ece": (
        "tcp6",
        "CEA",
        ("FlagsCopied", "CwrOnFirstOnly"),
        "CWR and ECE: the type has the qualifier, and ECE is on all segments.",
    ),
    "ae": ("tcp4", "NA", ("FlagsCopied", "CwrOnFirstOnly"), "AE is not CWR, and no ECN qualifier goes with it."),
    "fin": ("tcp6", "FA", ("FinOnLastOnly",), "FIN comes out on the last segment."),
    "psh": ("tcp4", "PA", ("PshOnLastOnly",), "PSH comes out on the last segment."),
    "urg": ("tcp6", "UA", ("FlagsCopied",), "URG comes out on all segments."),
    "syn": (
        "tcp4",
        "SA",
        ("FlagsCopied",),
        "SYN: no coalescer joins these, but a writer that is given them writes them.",
    ),
    "rst": (
        "tcp6",
        "RA",
        ("FlagsCopied",),
        "RST: no coalescer joins these, but a writer that is given them writes them.",
    ),
    "no-flags": ("tcp4", "", ("FlagsCopied",), "No flag at all."),
    "all-flags": ("tcp4", "FSRPAUECN", ("FlagsCopied", "CwrOnFirstOnly", "FinOnLastOnly"), "Every flag at once."),
}

for _name, (_kind, _bits, _tags, _about) in _FLAGS.items():
    add(fields, _kind, _name, _about, pieces(KINDS[_kind][0] / tcp(_bits), fragments(8, 8, 8)), *_tags)

for _kind, _words in (("tcp4", 1), ("tcp6", 2), ("tcp6", 4), ("tcp4", 5), ("tcp6", 7), ("tcp4", 9), ("tcp4", 10)):
    add(
        fields,
        _kind,
        f"options-of-{_words * 4}-bytes",
        f"A data offset of {5 + _words}: hdr_len covers the options, and cutting begins after them.",
        pieces(KINDS[_kind][0] / tcp(options=[NOP] * (_words * 4)), fragments(64, 64, 9)),
        "TcpOptions",
        basis=(rfc(9293, "3.1"),),
    )


def _sequence(kind: str, number: int) -> GsoPieces:
    transport = tcp()
    transport.seq = number
    return pieces(KINDS[kind][0] / transport, fragments(8, 8, 8))


for _name, _kind, _number in (("wraps", "tcp4", 0xFFFFFFFC), ("wraps-to-zero", "tcp6", 0xFFFFFFF8)):
    add(
        fields,
        _kind,
        f"sequence-{_name}",
        "The sequence number passes 2**32 inside the superpacket: cutting handles that, and it is not a fault.",
        _sequence(_kind, _number),
        "SequenceWrap",
    )

# IP.

_ROUTE = IPv6ExtHdrRouting(addresses=["2001:db8::7"], segleft=0)
_HEADERS: dict[str, tuple[tuple[str, ...], Packet, tuple[str, ...], str]] = {
    "identification-wraps": (
        ("tcp4", "udp4"),
        ip4(id=0xFFFF, flags=0),
        ("IdWrap",),
        "The second segment's identification is zero.",
    ),
    "identification-without-df": (
        ("tcp4", "udp4"),
        ip4(id=7, flags=0),
        ("IdIncrement",),
        "DF clear: each segment gets its own identification.",
    ),
    "reserved-bit": (
        ("tcp4",),
        ip4(flags="evil+DF"),
        ("Ipv4Header", "Fragmented"),
        "The reserved bit, 0x80, is not MF, which is 0x20.",
    ),
    "tos": (("udp4",), ip4(tos=0xBB), ("Ipv4Header",), "DSCP and ECN are the caller's."),
    "ttl-zero": (("tcp4",), ip4(ttl=0), ("Ipv4Header",), "The TTL is the caller's."),
    "router-alert": (
        ("tcp4", "udp4"),
        ip4(options=[IPOption_Router_Alert()]),
        ("Ipv4Header",),
        "IHL 6: the options are in hdr.",
    ),
    "largest-options": (
        ("tcp4",),
        ip4(options=[IPOption(b"\1" * 40)]),
        ("Ipv4Header",),
        "IHL 15: all options are in hdr.",
    ),
    "traffic-class": (
        ("tcp6", "udp6"),
        ip6(tc=0xBB, fl=0xABCDE, hlim=0),
        ("Ipv6Header",),
        "Traffic class and flow label are the caller's.",
    ),
    "hop-by-hop": (("tcp6",), ip6() / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]), ("ExtensionHeaders",), "-"),
    "destination-options": (
        ("udp6",),
        ip6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]),
        ("ExtensionHeaders",),
        "-",
    ),
    "chain-of-three": (
        ("tcp6", "udp6"),
        ip6() / IPv6ExtHdrHopByHop(nh=60) / IPv6ExtHdrDestOpt(nh=43, options=[PadN(optdata=bytes(12))]) / _ROUTE,
        ("ExtensionHeaders",),
        "-",
    ),
}

for _name, (_kinds, _ip, _tags, _about) in _HEADERS.items():
    for _kind in _kinds:
        add(
            fields,
            _kind,
            _name,
            "Extension headers belong to hdr: csum_start points past them." if _about == "-" else _about,
            pieces(_ip / KINDS[_kind][1], fragments(8, 8, 8)),
            *_tags,
            basis=(rfc(791, "3.1") if _kind.endswith("4") else rfc(8200, "4"),),
        )

# Sums that come out as one of the two zeros.

for _kind in FOLDING:
    add(
        fields,
        _kind,
        "partial-of-all-ones",
        "The pseudo-header sums up to 0xFFFF, which the partial keeps.",
        folding(_kind),
        "MinusZero",
        basis=(rfc(1624, "3"),),
    )


add(
    fields,
    "tcp4",
    "header-checksum-of-zero",
    "The IPv4 header checksum comes out as 0x0000: it is right, not missing.",
    zero_header_checksum(),
    "HeaderChecksumZero",
    basis=(rfc(1624, "3"),),
)

# Counts and sizes.

for _kind in KINDS:
    add(
        counts,
        _kind,
        "tail-one-byte-less",
        "The last fragment is one byte short.",
        usual(_kind, 100, 100, 99),
        "SegmentSize",
    )
    add(
        counts,
        _kind,
        "odd-borders",
        "Fragments of 9 bytes and a tail of 3: every second one begins at an odd byte of the payload.",
        usual(_kind, 9, 9, 9, 3),
        "OddLength",
        basis=(rfc(1071, "4.1"),),
    )
for _kind, _number in (("tcp4", 65), ("tcp6", 129), ("tcp6", 500), ("udp6", 65), ("udp4", 127)):
    _udp = _kind.startswith("udp")
    add(
        counts,
        _kind,
        f"{_number}-fragments",
        "This many fragments are still one superpacket; only UDP limits their number.",
        usual(_kind, *[8] * _number),
        "ManySegments",
        *(("TooManyUdpSegments",) if _udp else ()),
        kernels=needs("uso", "uso_128") if _udp else KINDS[_kind][2],
    )
for _kind, _headers in (("udp4", 28), ("udp6", 48)):
    add(
        counts,
        _kind,
        "largest",
        "65535 bytes in total, the maximum.",
        usual(_kind, *[1400] * ((65535 - _headers) // 1400), (65535 - _headers) % 1400),
        "MaximumSize",
        importance="critical",
    )

# The lengths that Linux 6.6.44 refused: headers and payload, divided by gso_size, leave a remainder neither zero
# nor more than the headers without their options. Equal fragments without options are in write_gso/tcp4 and tcp6.

_REMAINDERS: tuple[tuple[str, bool, int, tuple[int, int]], ...] = (
    ("tcp4", False, 40, (1201, 1239)),
    ("tcp4", True, 52, (1189, 1228)),
    ("tcp6", False, 60, (1181, 1239)),
    ("tcp6", True, 72, (1169, 1228)),
)

for _kind, _stamped, _headers, _tails in _REMAINDERS:
    _options = "with-timestamps-" if _stamped else ""
    _transport = tcp(options=_STAMPS) if _stamped else tcp()
    for _tail in _tails:
        add(
            counts,
            _kind,
            f"{_options}tail-of-{_tail}-after-1240",
            f"The edge of what Linux 6.6.44 refused: {_headers + 2480 + _tail} bytes divided by 1240 leave "
            f"{(_headers + _tail) % 1240}.",
            pieces(KINDS[_kind][0] / _transport, fragments(1240, 1240, _tail)),
            "LegalRemainder",
            basis=(_TAILSCALE,),
            importance="critical",
        )
for _kind, _size in (("tcp4", 40), ("tcp6", 60)):
    add(
        counts,
        _kind,
        f"fragments-of-{_size}-bytes",
        "Fragments that are as long as the headers before them: legal, but refused by Linux 6.6.44.",
        usual(_kind, _size, _size, _size),
        "LegalRemainder",
        basis=(_TAILSCALE,),
    )
