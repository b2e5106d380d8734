"""Single packets that are read: frames without a type, and types on packets that fit one segment."""

from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6ExtHdrFragment
from scapy.packet import Packet, Raw

from tunproof.authoring.draft import ANY_KERNEL, KernelRule, Topic, kernel, needs, rfc, virtio
from tunproof.packets.builder import frame, ip4, ip6, packet_bytes, payload, plain, superpacket

plain_topic = Topic("read", "plain", basis=(kernel("tun_get_user", "drivers/net/tun.c"),))
csum = Topic(
    "read", "csum", requires=("csum.partial",), basis=(kernel("skb_checksum_help", "net/core/dev.c"), virtio("5.1.6.2"))
)
small = Topic("read", "small", basis=(kernel("virtio_net_hdr_to_skb", "include/linux/virtio_net.h"),))
TOPICS = (plain_topic, csum, small)

_PLAIN: dict[str, tuple[Packet, str]] = {
    "tcp4": (ip4() / TCP(flags="A") / Raw(payload(20)), "A complete TCP packet."),
    "tcp6": (ip6() / TCP(flags="A") / Raw(payload(20)), "A complete TCP packet over IPv6."),
    "udp4": (ip4() / UDP() / Raw(payload(20)), "A complete UDP packet."),
    "udp4-without-checksum": (ip4() / UDP(chksum=0) / Raw(payload(20)), "UDP over IPv4 may go without a checksum."),
    "icmp4": (ip4() / ICMP() / Raw(payload(20)), "An ICMP packet."),
    "icmp6": (ip6() / ICMPv6EchoRequest(data=payload(20)), "An ICMPv6 packet."),
    "tcp4-wrong-checksum": (
        ip4() / TCP(flags="A", chksum=0x1234) / Raw(payload(20)),
        "A wrong checksum stays as it is.",
    ),
    "udp6-zero-checksum": (
        ip6() / UDP(chksum=0) / Raw(payload(20)),
        "A UDP checksum of zero is illegal over IPv6, but not for the reader to repair.",
    ),
    "fragment4": (ip4(flags="MF", frag=0) / UDP() / Raw(payload(24)), "A first fragment."),
    "fragment4-later": (ip4(flags=0, frag=3, proto=17) / Raw(payload(24)), "A later fragment has no ports."),
    "fragment6": (
        ip6() / IPv6ExtHdrFragment(offset=0, m=1, id=7) / UDP(len=48) / Raw(payload(24)),
        "An IPv6 fragment.",
    ),
    "pure-ack": (ip4() / TCP(flags="A"), "A TCP packet without payload."),
}

for _name, (_packet, _about) in _PLAIN.items():
    plain_topic.add(
        _name,
        f"{_about} Without NEEDS_CSUM and a type, not a byte is touched.",
        frame(packet_bytes(_packet)),
        flags=("ChecksumUntouched",),
        sound=False,
    )

plain_topic.add(
    "largest",
    "A single packet of 65535 bytes is passed on whole.",
    frame(packet_bytes(ip4() / UDP() / Raw(payload(65535 - 28)))),
    flags=("MaximumSize",),
)

for _name, _header, _layer in (
    ("tcp4", ip4(), TCP(flags="A")),
    ("tcp6", ip6(), TCP(flags="A")),
    ("udp4", ip4(), UDP()),
    ("udp6", ip6(), UDP()),
):
    csum.add(
        f"{_name}-even",
        "A packet from a local socket: the checksum is completed from the partial.",
        plain(_header / _layer, payload(20)),
        flags=("ChecksumCompleted",),
        importance="critical",
    )
    csum.add(
        f"{_name}-odd",
        "A packet with a partial and an odd number of bytes: the last one is the high half of a word.",
        plain(_header / _layer, payload(21)),
        flags=("ChecksumCompleted", "OddLength"),
        importance="critical",
    )
    csum.add(
        f"{_name}-without-payload",
        "A packet with a partial and no payload: the checksum is completed all the same.",
        plain(_header / _layer, b""),
        flags=("ChecksumCompleted",),
    )


def _zero_sum_data(headers: Packet, layer: type[Packet]) -> bytes:
    """Return data that makes scapy's checksum of the packet zero."""
    data = bytearray(payload(8))
    built = headers.__class__(bytes(headers / bytes(data)))
    data[0:2] = ((int.from_bytes(data[0:2], "big") + built[layer].chksum) % 0xFFFF).to_bytes(2, "big")
    return bytes(data)


for _name, _header, _layer, _kind in (
    ("tcp4", ip4(), TCP(flags="A"), TCP),
    ("udp4", ip4(), UDP(), UDP),
    ("udp6", ip6(), UDP(), UDP),
):
    csum.add(
        f"{_name}-sum-that-folds-to-zero",
        "The completed checksum is zero and is stored as 0xFFFF: UDP must, TCP may, and Linux does so for both here.",
        plain(_header / _layer, _zero_sum_data(_header / _layer, _kind)),
        flags=("ZeroChecksum",),
        basis=(rfc(768, "Fields"),),
        importance="critical",
    )

_partial = plain(ip4() / UDP(), payload(20))
csum.add(
    "wrong-partial",
    "A wrong partial gives a wrong checksum. A reader may as well compute it anew, or reject the frame.",
    _partial[:36] + bytes((_partial[36] ^ 0x40,)) + _partial[37:],
    flags=("WrongPartialCarried",),
    level="may",
    sound=False,
)
csum.add(
    "left-over-gso-size",
    "Without a type gso_size means nothing. Linux 6.6.44 refused this as a write.",
    plain(ip4() / UDP(), payload(20), gso_size=1200),
    flags=("SingleFragment", "ChecksumCompleted"),
    importance="medium",
)
csum.add(
    "hdr-len-of-whole-packet",
    "Without a type hdr_len means nothing.",
    plain(ip4() / UDP(), payload(20), hdr_len=48),
    flags=("HdrLenIsAHint",),
    importance="medium",
)

# A type on a packet that fits one segment.

_TYPED: tuple[tuple[str, Packet, Packet, tuple[KernelRule, ...]], ...] = (
    ("tcp4", ip4(), TCP(flags="PA"), ANY_KERNEL),
    ("tcp6", ip6(), TCP(flags="PA"), ANY_KERNEL),
    ("udp4", ip4(), UDP(), needs("uso")),
    ("udp6", ip6(), UDP(), needs("uso")),
)

for _name, _header, _layer, _kernels in _TYPED:
    for _case, _length in (("payload-equal-to-gso-size", 24), ("payload-below-gso-size", 9), ("no-payload", 0)):
        small.add(
            f"{_name}-{_case}",
            "This is just one packet: its checksum is completed, and its flags stay.",
            superpacket(_header / _layer, payload(_length), gso_size=24),
            flags=("SmallSuperpacket",),
            requires=(f"gso.{_name}",),
            kernels=_kernels,
        )

for _name, _header in (("tcp4", ip4()), ("tcp6", ip6())):
    small.add(
        f"{_name}-options-trap",
        "12 bytes of TCP options and a payload of gso_size: one segment. The kernel counts the options as payload when "
        "it decides whether this is a superpacket, but not when it cuts.",
        superpacket(
            _header / TCP(flags="A", options=[("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]),
            payload(24),
            gso_size=24,
        ),
        flags=("OptionsTrap",),
        requires=(f"gso.{_name}",),
        basis=(kernel("tcp_gso_segment", "net/ipv4/tcp_offload.c"), virtio("5.1.6.2"), rfc(9293, "3.1")),
        differs="a reader sees the payload and delivers one packet; every kernel accepts such a write and loses it",
    )
