"""UDP superpackets (USO, `GSO_UDP_L4`) that are read."""

from scapy.layers.inet import UDP, IPOption
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, PadN
from scapy.packet import Packet

from tunproof.authoring.draft import Topic, bug, kernel, needs, rfc
from tunproof.packets.builder import ip4, ip6, payload, superpacket

_CUT = kernel("__udp_gso_segment", "net/ipv4/udp_offload.c", since="6.2 for TUN")

udp4 = Topic("read", "udp4", requires=("gso.udp4",), kernels=needs("uso"), basis=(_CUT,))
udp6 = Topic("read", "udp6", requires=("gso.udp6",), kernels=needs("uso"), basis=(_CUT,))
TOPICS = (udp4, udp6)


def udp() -> Packet:
    """Return a UDP header."""
    return UDP(sport=40000, dport=443)


_SIZES = {
    "two-datagrams": (16, 8, ("SegmentSize",), "Two whole datagrams."),
    "last-datagram-of-one-byte": (17, 8, ("SegmentSize",), "The last datagram has one byte."),
    "odd-gso-size": (27, 9, ("OddLength",), "Datagrams of odd length."),
    "ethernet-sized": (3600, 1200, ("Basic",), "Three datagrams of 1200 bytes, as QUIC sends them."),
    "ethernet-sized-short-tail": (2900, 1200, ("Basic",), "Two full datagrams and a short one."),
    "one-byte-datagrams": (5, 1, ("SegmentSize",), "Datagrams of one byte: gso_size is never raised for UDP."),
    "sixty-four-datagrams": (512, 8, ("ManySegments",), "64 datagrams: the limit before Linux 6.9."),
}

for _name, (_length, _gso_size, _flags, _about) in _SIZES.items():
    for _topic, _ip in ((udp4, ip4()), (udp6, ip6())):
        _topic.add(
            _name,
            _about,
            superpacket(_ip / udp(), payload(_length), gso_size=_gso_size),
            flags=_flags,
            importance="critical" if "Basic" in _flags else "high",
        )


def _data_with_checksum_zero(headers: Packet, gso_size: int) -> bytes:
    """Return data for two datagrams, the first of which has a computed checksum of zero.

    Scapy's own checksum of the first datagram is brought to zero by adding it to a word of the data.
    """
    data = bytearray(payload(2 * gso_size))
    first = (headers / bytes(data[:gso_size])).__class__(bytes(headers / bytes(data[:gso_size])))
    total = int.from_bytes(data[0:2], "big") + first[UDP].chksum
    data[0:2] = (total % 0xFFFF).to_bytes(2, "big")
    return bytes(data)


for _topic, _ip in ((udp4, ip4()), (udp6, ip6())):
    _topic.add(
        "checksum-that-folds-to-zero",
        "The first datagram's checksum comes out as zero, which would mean no checksum: it is sent as 0xFFFF.",
        superpacket(_ip / udp(), _data_with_checksum_zero(_ip / udp(), 8), gso_size=8),
        flags=("ZeroChecksum",),
        basis=(rfc(768, "Fields"), bug("https://github.com/slackhq/nebula/pull/1823", "nebula")),
        importance="critical",
    )
    _good = superpacket(_ip / udp(), payload(24), gso_size=8)
    _field = 10 + len(bytes(_ip)) + 6
    _partial = int.from_bytes(_good[_field : _field + 2], "big")
    for _name, _value in (("one-too-large", (_partial + 1) % 0xFFFF), ("zero", 0)):
        _topic.add(
            f"partial-{_name}",
            "The partial is adjusted, not recomputed, and a partial of zero is not a missing checksum. A reader may as "
            "well compute it anew, or reject the frame.",
            _good[:_field] + _value.to_bytes(2, "big") + _good[_field + 2 :],
            flags=("WrongPartialCarried",),
            level="may",
            sound=False,
        )
    for _name, _hdr_len in (("zero", 0), ("whole-packet", len(_good) - 10)):
        _topic.add(
            f"hdr-len-{_name}",
            "hdr_len is a hint, for UDP as for TCP.",
            superpacket(_ip / udp(), payload(24), gso_size=8, hdr_len=_hdr_len),
            flags=("HdrLenIsAHint",),
        )


for _name, _fields, _about in (
    (
        "identification-grows",
        {"id": 7, "flags": 0},
        "Each datagram has its own identification, one more than the last.",
    ),
    ("identification-wraps", {"id": 0xFFFF, "flags": 0}, "The second datagram's identification is zero."),
):
    udp4.add(
        _name,
        _about,
        superpacket(ip4(**_fields) / udp(), payload(24), gso_size=8),
        flags=("IdWrap",) if "wraps" in _name else ("IdIncrement",),
        basis=(kernel("inet_gso_segment", "net/ipv4/af_inet.c"),),
    )

udp4.add(
    "identification-grows-with-df",
    "The identification grows even with DF set; an atomic packet may carry any (RFC 6864, section 4.1).",
    superpacket(ip4(id=7) / udp(), payload(24), gso_size=8),
    flags=("IdIncrement",),
    basis=(kernel("inet_gso_segment", "net/ipv4/af_inet.c"),),
    level="should",
    importance="low",
)
udp4.add(
    "ip-options",
    "IPv4 options are copied to every datagram.",
    superpacket(ip4(options=[IPOption(b"\x01" * 8)]) / udp(), payload(24), gso_size=8),
    flags=("Ipv4Header",),
    importance="medium",
)
udp6.add(
    "destination-options",
    "Extension headers are copied to every datagram.",
    superpacket(ip6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")]) / udp(), payload(24), gso_size=8),
    flags=("ExtensionHeaders",),
    basis=(rfc(8200, "4"),),
)
