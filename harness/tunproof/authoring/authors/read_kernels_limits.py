"""How much kernels accept: UDP segments, bytes in a frame, and UDP fragmentation, which only they still do.

Type 3 over IPv6 is left out: the kernel invents the identification of its fragments.
"""

from scapy.layers.inet import UDP, IPOption
from scapy.packet import Packet
from scapy.utils import checksum as rfc1071

from tunproof.authoring.authors.shapes import NO_CSUM, SHAPES, patched
from tunproof.authoring.draft import RECORDED, Topic, by_trait, kernel, needs, observed, refused
from tunproof.packets.builder import ip4, payload, superpacket

limits = Topic(
    "read",
    "kernel-limits",
    basis=(
        kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h"),
        observed("Linux 5.10.262, 6.1.192, 6.12.95, 6.12.117, 6.17.13, 7.2.12 and 7.3.4, booted"),
    ),
)
TOPICS = (limits,)

_TCP4, _, _UDP4, _UDP6 = SHAPES

# uso and uso_128: UDP superpackets. Other counts up to 128 are in udp4, udp6 and sizes, 129 over IPv4 in vnet-faults.

for _shape, _name, _length, _about in (
    (_UDP4, "65-datagrams", 65 * 8, "One datagram more than kernels accepted before the limit was doubled."),
    (_UDP6, "a-65th-datagram-of-one-byte", 64 * 8 + 1, "The 65th datagram counts, however short it is."),
    (_UDP6, "128-datagrams", 128 * 8, "As many datagrams as a UDP superpacket may have."),
):
    limits.add(
        f"{_shape.name}-{_name}",
        _about,
        _shape.superpacket(_length),
        flags=("ManySegments", "TooManyUdpSegments"),
        requires=_shape.requires,
        kernels=needs("uso", "uso_128"),
        importance="critical",
    )
for _shape in (_UDP4, _UDP6):
    limits.add(
        f"{_shape.name}-a-129th-datagram-of-one-byte",
        "128 datagrams and one byte: more than any kernel accepts, however short the last one is.",
        _shape.superpacket(128 * 8 + 1),
        flags=("TooManyUdpSegments",),
        requires=_shape.requires,
        sibling=_shape.sibling if _shape is _UDP4 else "udp6-128-datagrams",
    )
limits.add(
    "udp6-129-datagrams",
    "One datagram more than a UDP superpacket may have.",
    _UDP6.superpacket(129 * 8),
    flags=("TooManyUdpSegments",),
    requires=("gso.udp6",),
    sibling="udp6-128-datagrams",
)

# long_frames: more than 64 KiB. Readers never get that unless the device's gso_max_size is raised.


def _big_tcp() -> bytes:
    """Return a frame of 70000 bytes of data, total length 0, as the kernel itself sends it (BIG TCP over IPv4)."""
    data = payload(70_000)
    header = _TCP4.superpacket(8, gso_size=35_000)[: 10 + 40]
    # The partial covers a length of more than 16 bits: the high bits are added in, as in any one's-complement sum.
    partial = ~rfc1071(header[22:30] + (6).to_bytes(2, "big") + (20 + len(data)).to_bytes(4, "big")) & 0xFFFF
    return patched(patched(header, 2, b"\0\0"), 36, partial.to_bytes(2, "big")) + data


limits.add(
    "tcp4-of-70000-bytes",
    "A superpacket of more than 65535 bytes, total length 0. No IP length field can hold its size: it is rejected.",
    _big_tcp(),
    flags=("LengthOverflow",),
    requires=("gso.tcp4",),
    sibling=_TCP4.sibling,
    kernels=by_trait("long_frames", yes=RECORDED, no=refused("EMSGSIZE")),
    level="should",
    importance="low",
    differs="the kernel's own BIG TCP leaves the length zero and cuts by the size of the buffer",
)

# Type 3, UDP fragmentation: gso_size counts the UDP header, and the pieces are IP fragments.

_UFO: dict[str, tuple[Packet, int, int, str]] = {  # header, payload, gso_size
    "exact-multiple": (ip4(flags=0), 40, 24, "UDP header and payload are exactly two pieces."),
    "with-df": (ip4(flags="DF"), 40, 24, "DF is set, and the kernel overwrites it in the fragments."),
    "whole": (ip4(flags=0), 40, 48, "UDP header and payload are exactly gso_size: one packet, its checksum completed."),
    "one-byte-too-much": (ip4(flags=0), 41, 48, "UDP header and payload are one byte more than gso_size."),
    "odd-size": (ip4(flags=0), 43, 17, "gso_size is not a multiple of 8: the fragments cannot be reassembled."),
    "options": (ip4(flags=0, options=[IPOption(b"\x01" * 4)]), 40, 24, "IPv4 options are copied into all fragments."),
}


def _ufo(name: str, about: str, built: bytes) -> None:
    limits.add(
        f"udp4-fragmentation-{name}",
        f"{about} A reader rejects the type.",
        built,
        flags=("UdpFragmentation",),
        requires=("gso.udp4",),
        sibling=_UDP4.sibling,
        basis=(kernel("udp4_ufo_fragment", "net/ipv4/udp_offload.c"),),
        importance="low",
        differs="on a write the kernel still fragments such a packet itself; readers cannot ask for it",
    )


for _name, (_ip, _length, _size, _about) in _UFO.items():
    _built = superpacket(_ip / UDP(), payload(_length), gso_size=_size, gso_type=3)
    _ufo(_name, f"Type 3, UDP fragmentation. {_about}", _built)
_ufo(
    "without-needs-csum",
    "Type 3, UDP fragmentation, without NEEDS_CSUM.",
    superpacket(ip4(flags=0) / UDP(), payload(40), gso_size=24, gso_type=3, **NO_CSUM),
)
