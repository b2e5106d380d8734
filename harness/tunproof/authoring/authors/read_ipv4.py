"""The IPv4 header of frames that are read, field by field: superpackets of TCP and UDP, and single packets."""

from scapy.layers.inet import TCP, UDP, IPOption, IPOption_EOL, IPOption_LSRR, IPOption_Router_Alert, IPOption_RR
from scapy.packet import Packet

from tunproof.authoring.authors.read_udp import udp
from tunproof.authoring.authors.shapes import Kinds, patched, tcp
from tunproof.authoring.draft import LOST, Topic, by_trait, kernel, refused, rfc
from tunproof.packets.builder import ip4, payload, plain, superpacket

fields = Topic(
    "read",
    "ipv4",
    basis=(kernel("inet_gso_segment", "net/ipv4/af_inet.c"), kernel("tun_get_user", "drivers/net/tun.c")),
)
TOPICS = (fields,)

_KINDS = {"tcp": (tcp(), "gso.tcp4"), "udp": (udp(), "gso.udp4"), "single": (UDP(), "csum.partial")}
_BY_KIND = Kinds(fields, _KINDS)
_frame, _add = _BY_KIND.frame, _BY_KIND.add
_DISSECTS = kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h", since="44378d02c5aa it dissects the packet")
_IP = 10  # where the IP header begins in a frame
_DATA = payload(24)


for _kind in _KINDS:
    _add(_kind, "valid", "A valid frame: the sibling of the faulty ones.", _frame(_kind, ip4()), "Basic")

# Fields that are copied.

_COPIED: dict[str, tuple[str, dict[str, object], str]] = {
    "ect-0": ("tcp", {"tos": 2}, "ECT(0) is copied: a sender that probes for ECN counts every mark."),
    "ect-1": ("udp", {"tos": 1}, "ECT(1), which L4S uses, is copied."),
    "congestion-experienced": ("tcp", {"tos": 3}, "A CE mark on the superpacket marks every segment."),
    "congestion-experienced-udp": ("udp", {"tos": 3}, "A CE mark on the superpacket marks every datagram."),
    "dscp-all-ones": ("tcp", {"tos": 0xFC}, "All six bits of DSCP are copied."),
    "ttl-zero": ("tcp", {"ttl": 0}, "A TTL of zero is copied: dropping the packet is up to a router."),
    "ttl-largest": ("udp", {"ttl": 255}, "A TTL of 255, which some protocols demand, is not decremented."),
    "reserved-bit": ("udp", {"flags": "evil"}, "The reserved bit is copied, and DF stays clear."),
    "no-flags": ("tcp", {"flags": 0}, "DF is clear and stays clear."),
}

for _name, (_kind, _changes, _about) in _COPIED.items():
    _add(
        _kind,
        _name.removesuffix("-udp"),
        _about,
        _frame(_kind, ip4(**_changes)),
        "Ipv4Header",
        basis=(rfc(791, "3.1"),),
    )

for _kind in ("tcp", "udp"):
    _add(
        _kind,
        "more-fragments",
        "MF on a superpacket makes no sense; it is copied to every segment, just like DF.",
        _frame(_kind, ip4(flags="MF")),
        "Ipv4Header",
        level="should",
        importance="low",
    )
    _add(
        _kind,
        "fragment-offset",
        "A fragment offset on a superpacket makes no sense; it is copied to every segment unchanged.",
        _frame(_kind, ip4(flags=0, frag=185)),
        "Ipv4Header",
        level="should",
        importance="low",
    )

# Identification.

_IDENTIFICATIONS: dict[str, tuple[str, dict[str, object], str, str]] = {
    "identification-carries": (
        "tcp",
        {"id": 0x00FF, "flags": 0},
        "IdIncrement",
        "The low byte of the identification carries into the high byte.",
    ),
    "identification-carries-udp": (
        "udp",
        {"id": 0x12FF, "flags": 0},
        "IdIncrement",
        "The low byte of the identification carries into the high byte.",
    ),
    "identification-changes-sign": (
        "tcp",
        {"id": 0x7FFF, "flags": 0},
        "IdIncrement",
        "The identification goes from 0x7FFF to 0x8000: it is unsigned.",
    ),
    "identification-wraps-behind-the-first": (
        "tcp",
        {"id": 0xFFFE, "flags": 0},
        "IdWrap",
        "Only the third segment's identification is zero.",
    ),
    "identification-zero": (
        "udp",
        {"id": 0, "flags": 0},
        "IdIncrement",
        "With DF clear, zero is an identification like any other.",
    ),
    "identification-wraps-with-df": (
        "tcp",
        {"id": 0xFFFF},
        "IdWrap",
        "The identification wraps even with DF set, and the header checksums match it.",
    ),
    "identification-zero-with-df": (
        "udp",
        {"id": 0},
        "IdIncrement",
        "Zero with DF, as in Linux's atomic packets: it may grow or stay, and the header checksums must match.",
    ),
}

for _name, (_kind, _changes, _flag, _about) in _IDENTIFICATIONS.items():
    _add(_kind, _name.removesuffix("-udp"), _about, _frame(_kind, ip4(**_changes)), _flag, basis=(rfc(6864, "4"),))

# The header checksum.


def _identification_for_zero(kind: str, index: int) -> int:
    """Return the identification with which scapy's header checksum of the segment `index` is zero."""
    transport = len(bytes(_KINDS[kind][0]))
    header = ip4(id=0, flags=0, len=20 + transport + 8, proto=6 if kind == "tcp" else 17)
    return int(ip4().__class__(bytes(header)).chksum) - index


for _kind, _index, _where in (("tcp", 0, "first"), ("tcp", 1, "middle"), ("tcp", 2, "last"), ("udp", 1, "middle")):
    _add(
        _kind,
        f"header-checksum-zero-in-{_where}",
        f"The header checksum of the {_where} segment is 0x0000 and is stored as such: 0xFFFF is for UDP only.",
        _frame(_kind, ip4(id=_identification_for_zero(_kind, _index), flags=0)),
        "HeaderChecksumZero",
        basis=(rfc(1624, "3"), rfc(791, "3.1")),
    )

for _name, _value in (("wrong", b"\xde\xad"), ("zero", b"\0\0"), ("all-ones", b"\xff\xff")):
    _add(
        "udp",
        f"header-checksum-{_name}",
        "The superpacket's header checksum does not matter: each datagram gets its own.",
        patched(_frame("udp", ip4()), 10, _value),
        "Ipv4Header",
        importance="medium",
    )
_add(
    "single",
    "header-checksum-wrong",
    "NEEDS_CSUM is about the transport checksum: a wrong header checksum stays as it is.",
    patched(_frame("single", ip4()), 10, b"\xde\xad"),
    "ChecksumUntouched",
    sound=False,
)

# Options: each header length that no other case has, and each kind that gets special treatment somewhere.

_OPTIONS: dict[str, tuple[str, list[Packet], str]] = {
    "router-alert": ("udp", [IPOption_Router_Alert()], "IHL 6: router alert, as RSVP and IGMP use it."),
    "end-of-options": ("tcp", [IPOption(b"\x01" * 4), IPOption_EOL()], "IHL 7: an end of options and its padding."),
    "short-record-route": (
        "tcp",
        [IPOption_RR(routers=["203.0.113.1", "203.0.113.2"]), IPOption(b"\x01")],
        "IHL 8: a record route with two slots used.",
    ),
    "unknown-option": ("udp", [IPOption(b"\x5e\x0c" + bytes(range(10)))], "IHL 8: an undefined option."),
    "stream-id-and-no-operations": (
        "tcp",
        [IPOption(b"\x88\x04\x12\x34" + b"\x01" * 12)],
        "IHL 9: an option before the padding.",
    ),
    "largest-options": (
        "udp",
        [IPOption(b"\x07\x27\x04" + bytes(36)), IPOption(b"\x01")],
        "IHL 15: the longest possible record route.",
    ),
}

for _name, (_kind, _options, _about) in _OPTIONS.items():
    _add(
        _kind,
        _name,
        f"{_about} It is copied to every segment, and the transport header begins after it.",
        _frame(_kind, ip4(options=_options)),
        "Ipv4Header",
        basis=(rfc(791, "3.1"),),
    )
_add(
    "single",
    "options",
    "A single packet with IPv4 options: csum_start says where the transport header is.",
    _frame("single", ip4(options=[IPOption_Router_Alert()])),
    "ChecksumCompleted",
)


def _source_routed(transport: Packet, protocol: int, checksum_at: int) -> bytes:
    """Return a source-routed superpacket whose partial names the last hop, as the sender's own stack sums it."""
    route = [IPOption_LSRR(routers=["203.0.113.7"], pointer=4), IPOption(b"\x01")]
    routed = superpacket(ip4(options=route) / transport, _DATA, gso_size=8)
    final = superpacket(ip4(dst="203.0.113.7", proto=protocol) / transport, _DATA, gso_size=8)
    at = _IP + 28 + checksum_at
    return routed[:at] + final[_IP + 20 + checksum_at :][:2] + routed[at + 2 :]


for _kind, _transport, _protocol, _at in (("tcp", tcp(), 6, 16), ("udp", udp(), 17, 6)):
    _add(
        _kind,
        "source-route",
        "A source route with a hop left: the partial covers the last hop's address, so it is adjusted, not recomputed.",
        _source_routed(_transport, _protocol, _at),
        "FinalDestination",
        basis=(rfc(1122, "3.2.1.8"),),
        importance="low",
    )

# Faults.

# Without NEEDS_CSUM, and with an acknowledgment that looks like a data offset of 5: nothing else is wrong with it.
_add(
    "tcp",
    "header-length-4-without-needs-csum",
    "An IHL of 4: the TCP header would begin in the destination address, and still look valid.",
    superpacket(ip4(ihl=4) / tcp(ack=0x5A0B0C0D), _DATA, gso_size=8, flags=0, hdr_len=40, csum_start=0, csum_offset=0),
    "Truncated",
    sibling="read/tcp4/without-needs-csum",
    basis=(rfc(791, "3.1"), _DISSECTS),
    kernels=by_trait("dissected", yes=refused("EINVAL"), no=LOST),
)
for _kind in ("tcp", "udp"):
    for _ihl in (0, 4):
        _add(
            _kind,
            f"header-length-{_ihl}",
            "An IHL under 5: the header would end inside its own fixed part.",
            patched(_frame(_kind, ip4()), 0, bytes((0x40 | _ihl,))),
            "Truncated",
            sibling=f"{_kind}-valid",
            basis=(rfc(791, "3.1"),),
        )
    _add(
        _kind,
        "header-length-into-the-payload",
        "An IHL that leaves no room for a transport header after it.",
        patched(_frame(_kind, ip4()), 0, b"\x4f" if _kind == "tcp" else b"\x4c"),
        "Truncated",
        sibling=f"{_kind}-valid",
        basis=(rfc(791, "3.1"),),
    )
_add(
    "udp",
    "header-length-past-the-end",
    "An IHL of 15 in a packet of 52 bytes: the header would end past the packet.",
    patched(_frame("udp", ip4()), 0, b"\x4f"),
    "Truncated",
    sibling="udp-valid",
    basis=(rfc(791, "3.1"),),
)

_LENGTHS = {
    "tcp": (("zero", 0), ("of-the-headers", 40), ("of-one-segment", 48), ("largest", 0xFFFF)),
    "udp": (("zero", 0), ("of-one-datagram", 36), ("one-more", 53), ("one-less", 51)),
}

for _kind, _lengths in _LENGTHS.items():
    for _name, _length in _lengths:
        _add(
            _kind,
            f"total-length-{_name}",
            "The total length of a superpacket does not match its actual length.",
            _frame(_kind, ip4(len=_length)),
            "LengthMismatch",
            sibling=f"{_kind}-valid",
            level="should",
            importance="low",
            basis=(rfc(791, "3.1"),),
            differs="a redirect passes the frame on without checking the IP length, which cutting rewrites; a frame "
            "that goes through the IP layer is trimmed or dropped there",
        )

_PROTOCOLS = {
    "tcp": (("hop-by-hop", 0), ("ipv6", 41), ("esp", 50), ("reserved", 255)),
    "udp": (("tcp", 6), ("dccp", 33), ("udp-lite", 136)),
}

for _kind, _numbers in _PROTOCOLS.items():
    for _name, _number in _numbers:
        _add(
            _kind,
            f"protocol-{_name}",
            "The protocol is not the one that the type says, whatever the bytes after the IP header look like.",
            _frame(_kind, ip4(proto=_number)),
            "TypeMismatch",
            sibling=f"{_kind}-valid",
        )

# Single packets: only csum_start and csum_offset are trusted. What the IP header says does not matter.

_SINGLES: dict[str, tuple[Packet, str]] = {
    "total-length-short": (ip4(len=30), "The sum runs to the end of what was read, not of the IP length."),
    "total-length-zero": (ip4(len=0), "A total length of zero, as a stack leaves it to hardware, does not matter."),
    "total-length-long": (ip4(len=0xFFFF), "Nothing is read past the end of the packet."),
    "header-length-4": (ip4(ihl=4), "An IHL under 5 does not matter without a type."),
    "header-length-15": (ip4(ihl=15), "An IHL past the end does not matter without a type."),
    "fragment": (ip4(flags="MF"), "A first fragment with NEEDS_CSUM is summed as it is."),
    "protocol-unknown": (ip4(proto=0xFD), "The protocol is ignored: csum_start and csum_offset say it all."),
}

for _name, (_header, _about) in _SINGLES.items():
    _add(
        "single",
        _name,
        _about,
        _frame("single", _header),
        "ChecksumCompleted",
        sound=False,
        level="should",
        importance="low",
    )
_add(
    "single",
    "tcp-without-df",
    "A single TCP packet: identification, flags and header checksum are not touched.",
    plain(ip4(id=0xFFFF, flags=0) / TCP(flags="FPA"), _DATA),
    "ChecksumCompleted",
)
