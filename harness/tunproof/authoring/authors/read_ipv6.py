"""The IPv6 header and its extension headers in frames that are read: superpackets of TCP and UDP, single packets."""

from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Jumbo,
    PadN,
    RouterAlert,
)
from scapy.packet import Packet, Raw

from tunproof.authoring.authors.read_udp import udp
from tunproof.authoring.authors.shapes import Kinds, patched, tcp
from tunproof.authoring.draft import LOST, Topic, by_trait, kernel, like, needs, observed, rfc
from tunproof.packets.builder import frame, ip6, payload, superpacket, whole

fields = Topic(
    "read",
    "ipv6",
    basis=(kernel("ipv6_gso_segment", "net/ipv6/ip6_offload.c"), kernel("tun_get_user", "drivers/net/tun.c")),
)
TOPICS = (fields,)

_KINDS = {"tcp": (tcp(chksum=0), "gso.tcp6"), "udp": (udp(), "gso.udp6"), "single": (UDP(), "csum.partial")}
_NUMBERS = {"tcp": 6, "udp": 17, "single": 17}
_BY_KIND = Kinds(fields, _KINDS)
_frame, _add = _BY_KIND.frame, _BY_KIND.add
_IP = 10  # where the IP header begins in a frame
_DATA = payload(24)
_ROUTE = ["2001:db8::7", "2001:db8::8"]


def _pad(length: int = 4, **fields: object) -> Packet:
    """Return destination options that hold nothing but `length` bytes of padding."""
    return IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(length))], **fields)


def _hop(**fields: object) -> Packet:
    """Return a hop-by-hop header of padding."""
    return IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))], **fields)


def _words(protocol: int, first: int, *rest: bytes) -> Packet:
    """Return bytes in the place of an extension header: what follows, its length byte, and the rest."""
    return Raw(bytes((protocol, first)) + b"".join(rest))


for _kind in _KINDS:
    _add(_kind, "valid", "A valid frame: the sibling of the faulty ones.", _frame(_kind, ip6()), "Basic")
    _add(
        _kind,
        "valid-with-extension",
        "A valid frame with an extension header: the sibling of the faulty chains.",
        _frame(_kind, ip6() / _pad()),
        "ExtensionHeaders",
    )

# The fixed header.

_COPIED: dict[str, tuple[str, dict[str, object], str]] = {
    "traffic-class": ("udp", {"tc": 0xFF}, "All eight bits of the traffic class are copied; they span two bytes."),
    "congestion-experienced": ("tcp", {"tc": 3}, "A CE mark on the superpacket marks every segment."),
    "ect-1": ("udp", {"tc": 1}, "ECT(1), which L4S uses, is copied."),
    "flow-label": ("udp", {"fl": 0xFFFFF}, "All twenty bits of the flow label are copied."),
    "flow-label-low-byte": ("tcp", {"fl": 1}, "A flow label is not a counter: it is the same in every segment."),
    "hop-limit-zero": ("tcp", {"hlim": 0}, "A hop limit of zero is copied: dropping the packet is up to a router."),
    "hop-limit-largest": ("udp", {"hlim": 255}, "A hop limit of 255, as neighbour discovery requires it, is copied."),
}

for _name, (_kind, _changes, _about) in _COPIED.items():
    _add(_kind, _name, _about, _frame(_kind, ip6(**_changes)), "Ipv6Header", basis=(rfc(8200, "3"),))

# Chains that are walked. Simpler ones of TCP superpackets are in read/tcp6.

_CHAINS: dict[str, tuple[tuple[str, ...], Packet, str]] = {
    "hop-by-hop": (("udp", "single"), _hop(), "A hop-by-hop header."),
    "router-alert": (("tcp",), IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)]), "A hop-by-hop router alert."),
    "destination-options": (("single",), _pad(), "Destination options."),
    "routing-header": (("udp", "single"), IPv6ExtHdrRouting(addresses=_ROUTE[:1], segleft=0), "A spent source route."),
    "two-destination-options": (("tcp", "udp"), _pad() / _pad(12), "Two headers of destination options in a row."),
    "hop-by-hop-not-first": (("tcp", "udp"), _pad(nh=0) / _hop(), "A hop-by-hop header that is not the first."),
    "chain-of-three": (
        ("tcp", "udp", "single"),
        _hop(nh=60) / _pad(12, nh=43) / IPv6ExtHdrRouting(addresses=_ROUTE, segleft=0),
        "Hop-by-hop, destination options and a routing header of 8, 16 and 40 bytes.",
    ),
    "largest-extension": (
        ("tcp",),
        IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(254))] * 7 + [PadN(optdata=bytes(252))]),
        "Destination options of 2048 bytes, the most that their length byte allows.",
    ),
    "unknown-option": (
        ("udp",),
        _words(17, 0, b"\x1e\x04\x01\x02\x03\x04"),
        "Destination options with an undefined option.",
    ),
}

for _name, (_kinds, _chain, _about) in _CHAINS.items():
    for _kind in _kinds:
        _first = {"hop-by-hop-not-first": 60, "unknown-option": 60}.get(_name)
        _add(
            _kind,
            _name,
            f"{_about} The chain is copied to every segment and counted in its payload length."
            if _kind != "single"
            else f"{_about} csum_start says where the transport header is.",
            _frame(_kind, (ip6() if _first is None else ip6(nh=_first)) / _chain),
            "ExtensionHeaders" if _kind != "single" else "ChecksumCompleted",
            basis=(rfc(8200, "4"),),
        )

_add(
    "tcp",
    "jumbo-option",
    "A jumbo payload option on a packet that needs none: Linux adds one to large superpackets, and it is copied.",
    _frame("tcp", ip6() / IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=52)])),
    "ExtensionHeaders",
    level="should",
    importance="low",
    basis=(rfc(2675, "2"),),
)


def _source_routed(kind: str) -> bytes:
    """Return a frame with a hop left, whose partial names the last one, as the sender's own stack sums it."""
    routed = _frame(kind, ip6() / IPv6ExtHdrRouting(addresses=_ROUTE[:1], segleft=1))
    final = _frame(kind, ip6(dst=_ROUTE[0]) / _pad(20))
    field = _IP + 40 + 24 + (16 if kind == "tcp" else 6)
    return routed[:field] + final[field : field + 2] + routed[field + 2 :]


for _kind in _KINDS:
    _add(
        _kind,
        "routing-header-with-a-hop-left",
        "The partial covers the last hop's address, which is in the routing header: it is used as given, not "
        "recomputed.",
        _source_routed(_kind),
        "FinalDestination",
        basis=(rfc(8200, "8.1"),),
        importance="medium",
    )

# Chains that lead elsewhere.

_ELSEWHERE: dict[str, tuple[tuple[str, ...], int, bytes, str]] = {
    "authentication-header": (
        ("tcp", "udp"),
        51,
        b"\x04" + bytes(22),
        "AH protects the whole packet with a checksum.",
    ),
    "encapsulating-security": (("tcp",), 50, b"\x00" + bytes(6), "What follows ESP is encrypted."),
    "no-next-header": (("tcp", "udp"), 59, b"\x00" + bytes(6), "Nothing follows No Next Header, whatever the bytes."),
    "mobility-header": (("tcp",), 135, b"\x00" + bytes(6), "A Mobility header has the form of an extension header."),
    "host-identity": (("udp",), 139, b"\x00" + bytes(6), "HIP has the form of an extension header."),
    "shim6": (("tcp",), 140, b"\x00" + bytes(6), "Shim6 has the form of an extension header."),
    "experimental": (("tcp",), 253, b"\x00" + bytes(6), "An unknown next header."),
}

for _name, (_kinds, _number, _rest, _about) in _ELSEWHERE.items():
    for _kind in _kinds:
        _chain = Raw(bytes((_NUMBERS[_kind],)) + _rest)
        _add(
            _kind,
            _name,
            f"{_about} The frame is rejected: no superpacket is looked for after it.",
            _frame(_kind, ip6(nh=_number) / _chain),
            "UnknownNextHeader",
            sibling=f"{_kind}-valid-with-extension",
            basis=(rfc(8200, "4"),),
        )

for _name in ("authentication-header", "no-next-header"):
    _, _number, _rest, _about = _ELSEWHERE[_name]
    _add(
        "single",
        _name,
        f"{_about} A single packet is still summed from csum_start on.",
        _frame("single", ip6(nh=_number) / Raw(b"\x11" + _rest)),
        "ChecksumCompleted",
        sound=False,
        level="should",
        importance="low",
    )

_add(
    "tcp",
    "authentication-header-behind-options",
    "The walk goes through destination options and stops at the AH after them.",
    _frame("tcp", ip6(nh=60) / _pad(nh=51) / _words(6, 4, bytes(22))),
    "UnknownNextHeader",
    sibling="tcp-valid-with-extension",
    basis=(rfc(4302, "3.1.1"),),
)
_add(
    "tcp",
    "authentication-header-of-8-bytes",
    "An AH whose length byte is 0: read like any other extension header, it would end where TCP begins.",
    _frame("tcp", ip6(nh=51) / _words(6, 0, bytes(6))),
    "UnknownNextHeader",
    sibling="tcp-valid-with-extension",
    basis=(rfc(4302, "2.2"),),
)
for _name, _number in (("icmp6", 58), ("other-transport", 17), ("ipv6-in-ipv6", 41)):
    _add(
        "tcp",
        f"next-header-{_name}",
        "The protocol after the extension header is not the one that the type says.",
        _frame("tcp", ip6() / _pad(nh=_number)),
        "TypeMismatch",
        sibling="tcp-valid-with-extension",
    )
_add(
    "udp",
    "next-header-tcp",
    "The type says UDP, but the next header says TCP.",
    patched(_frame("udp", ip6()), 6, b"\x06"),
    "TypeMismatch",
    sibling="udp-valid",
)
_add(
    "udp",
    "fragment-header",
    "A Fragment header before UDP: this is a fragment, not a superpacket.",
    _frame("udp", ip6() / IPv6ExtHdrFragment(offset=0, m=1, id=7)),
    "Fragmented",
    sibling="udp-valid-with-extension",
)
_add(
    "tcp",
    "fragment-header-behind-routing",
    "The walk goes through a routing header and stops at the Fragment header after it.",
    _frame("tcp", ip6() / IPv6ExtHdrRouting(addresses=_ROUTE[:1], segleft=0) / IPv6ExtHdrFragment(m=0, id=7)),
    "Fragmented",
    sibling="tcp-valid-with-extension",
)

# Chains that are cut off.

for _kind in ("tcp", "udp"):
    _add(
        _kind,
        "second-extension-past-the-end",
        "The second extension header is longer than the rest of the packet.",
        patched(_frame(_kind, ip6(nh=60) / _pad(nh=60) / _pad()), 40 + 8 + 1, b"\xff"),
        "ExtensionHeaders",
        sibling=f"{_kind}-hop-by-hop-not-first",
        basis=(rfc(8200, "4.2"),),
    )
    _add(
        _kind,
        "extension-to-the-end",
        "The extension header runs to the last byte of the packet and leaves no room for a transport header.",
        patched(
            superpacket(ip6() / _pad() / _KINDS[_kind][0], payload(28 if _kind == "tcp" else 24), gso_size=8),
            41,
            b"\x06" if _kind == "tcp" else b"\x04",
        ),
        "Truncated",
        sibling=f"{_kind}-valid-with-extension",
        basis=(rfc(8200, "4.2"),),
    )
    _add(
        _kind,
        "csum-start-at-the-extension",
        "csum_start is 40, as if there were no extension header.",
        _frame(_kind, ip6() / _pad(), csum_start=40),
        "BadCsumFields",
        sibling=f"{_kind}-valid-with-extension",
        importance="critical",
        basis=(kernel("tcp_gso_segment", "net/ipv4/tcp_offload.c"), observed("Linux 5.10.262 does not look at it")),
        kernels=by_trait("tso_csum_checked", yes=LOST, no=like(_frame("tcp", ip6() / _pad())))
        if _kind == "tcp"
        else needs("uso"),
    )

_LEFT = {
    1: "only the next-header byte",
    2: "only the next-header and length bytes",
    7: "all but one byte",
}

for _kind in ("tcp", "udp"):
    for _first in (8, 24):
        for _left, _there in _LEFT.items():
            _chain = whole(ip6(nh=60) / _pad(_first - 4, nh=60) / _pad(nh=_NUMBERS[_kind]))[: 40 + _first + _left]
            _add(
                _kind,
                f"second-extension-of-{_left}-bytes-behind-{_first}",
                f"The packet ends inside the second extension header, with {_there} present. Its length must not be "
                "read past the end of the packet, and there is no transport header.",
                frame(
                    patched(bytes(_IP) + _chain, 4, (_first + _left).to_bytes(2, "big"))[_IP:],
                    flags=1,
                    gso_type=4 if _kind == "tcp" else 5,
                    hdr_len=40 + _first + _left,
                    gso_size=8,
                    csum_start=40 + _first,
                    csum_offset=16 if _kind == "tcp" else 6,
                ),
                "Truncated",
                "ExtensionHeaders",
                sibling=f"{_kind}-valid-with-extension",
                basis=(rfc(8200, "4.2"),),
            )

# The payload length.

_LENGTHS = {
    "tcp": (("zero", 0), ("one-more", 45), ("one-less", 43), ("of-one-segment", 28), ("largest", 0xFFFF)),
    "udp": (("zero", 0), ("one-more", 33), ("one-less", 31)),
}

for _kind, _lengths in _LENGTHS.items():
    for _name, _length in _lengths:
        _add(
            _kind,
            f"payload-length-{_name}",
            "The payload length of a superpacket does not match its actual length.",
            patched(_frame(_kind, ip6()), 4, _length.to_bytes(2, "big")),
            "LengthMismatch",
            sibling=f"{_kind}-valid",
            level="should",
            importance="low",
            basis=(rfc(8200, "3"),),
            differs="a redirect passes the frame on without checking the payload length, which cutting rewrites; a "
            "frame that goes through the IP layer is trimmed or dropped there",
        )
_add(
    "tcp",
    "payload-length-without-extension",
    "The payload length leaves out the extension header, but must count everything after the 40 fixed bytes.",
    patched(_frame("tcp", ip6() / _pad()), 4, b"\0\x2c"),
    "LengthMismatch",
    sibling="tcp-valid-with-extension",
    level="should",
    importance="low",
    basis=(rfc(8200, "3"),),
    differs="a redirect passes the frame on without checking the payload length, which cutting rewrites",
)
for _name, _value in (("zero", b"\0\0"), ("one-less", b"\0\x1f"), ("largest", b"\xff\xff")):
    _add(
        "single",
        f"payload-length-{_name}",
        "The sum runs to the end of what was read, whatever the payload length says.",
        patched(_frame("single", ip6()), 4, _value),
        "ChecksumCompleted",
        sound=False,
        level="should",
        importance="low",
    )
