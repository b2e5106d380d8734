"""Classes of bugs in writing batches: joining, ordering, leaving alone."""

from tunproof.corpus.model import Flag

__all__ = ["BATCHES"]

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_WIREGUARD = "https://github.com/WireGuard/wireguard-go/commit/"
_TUN_RS = "https://github.com/tun-rs/tun-rs/commit/"
_LINUX = "https://git.kernel.org/torvalds/c/"

BATCHES: dict[str, Flag] = {
    "PacketsJoined": Flag(
        description="The ordinary case: packets that continue each other go out together and are cut as they came.",
        effect="Nothing arrives, or every packet is a system call of its own and the tunnel is slow.",
    ),
    "ExtraBytes": Flag(
        description="A workaround of a fault in a kernel adds a byte or a datagram of its own: only what went in may "
        "come out.",
        effect="The receiver gets datagrams that nobody sent, and some network cards crash over their shape.",
        links=(
            "https://github.com/tailscale/tailscale/issues/20994",
            "https://github.com/tailscale/tailscale/issues/21335",
            "https://github.com/tailscale/tailscale/issues/19777",
        ),
    ),
    "PartialOfJoined": Flag(
        description="The checksum field of a superpacket holds the pseudo-header sum of the whole, folded, not "
        "inverted.",
        effect="Every joined packet is dropped by the receiver for its checksum; single ones arrive.",
        links=(_TUN_RS + "9dce8c86",),
    ),
    "FieldNotCompared": Flag(
        description="A header field in which two packets of a flow differ is not compared before they are joined.",
        effect="The later packet arrives with the field of the first: a window, a mark or a TTL that nobody sent.",
    ),
    "Ipv6FieldOffsets": Flag(
        description="IPv6 headers are compared at the places where IPv4 has its fields.",
        effect="Packets of different traffic class are joined, or packets that could be joined are not.",
        links=(_WIREGUARD + "052af4a8",),
    ),
    "FragmentJoined": Flag(
        description="A fragment is joined: the more-fragments bit was looked for elsewhere, or only the offset was.",
        effect="The receiver never completes the datagram, or takes the middle of one for a header.",
        links=(_WIREGUARD + "052af4a8",),
    ),
    "Ipv4OptionsLost": Flag(
        description="The options of an IPv4 header that is not the first of its superpacket are thrown away.",
        effect="Router alerts and record-route vanish, or option bytes are taken for the transport header.",
        links=(_WIREGUARD + "aad7fca9",),
    ),
    "IdNotRestored": Flag(
        description="Packets without DF are joined although their identifications are not consecutive.",
        effect="Identifications that were unique repeat, and fragments of two datagrams are put together.",
        links=("https://www.rfc-editor.org/rfc/rfc6864#section-4",),
    ),
    "SequenceNotContinued": Flag(
        description="TCP data that does not continue where the last ended is joined: a gap, an overlap, a step back.",
        effect="Stream bytes end up at wrong places: silent corruption, or a connection that hangs.",
    ),
    "TcpOptionsNotCompared": Flag(
        description="Packets whose TCP options differ are joined.",
        effect="Timestamps and SACK blocks of the later packet are lost: wrong round-trip times, needless repeats.",
    ),
    "UnequalSizesJoined": Flag(
        description="A packet larger than the first, or one behind a short one, is joined.",
        effect="The kernel cuts at other borders than the sender: datagrams mix, or TCP packets are resized.",
        links=(_NEBULA,),
    ),
    "PshInvented": Flag(
        description="PSH appears on a packet that had none, because closing a superpacket and PSH were one bit.",
        effect="The receiver's own joining is flushed at every superpacket, and throughput drops.",
        links=(_NEBULA,),
    ),
    "FlagMoved": Flag(
        description="A TCP flag of one packet is lost, or appears on another packet of the superpacket.",
        effect="A stream ends too early or not at all; congestion is answered for packets that did not say it.",
        links=("https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2",),
    ),
    "ControlJoined": Flag(
        description="Packets with SYN, RST or URG are joined: a stack that is handed the superpacket whole sees one.",
        effect="A reset or an urgent pointer acts on the wrong bytes of the stream.",
        links=(_LINUX + "bf296b125b21",),
    ),
    "PureAckOrder": Flag(
        description="A pure acknowledgment among data is lost, joined, or passes data, or data loses its own order.",
        effect="Duplicate acknowledgments that ask for a repeat vanish, or data comes in the wrong order.",
        links=(_NEBULA,),
    ),
    "EmptyPayload": Flag(
        description="An empty datagram or an empty item of a batch: nothing to join, and nothing to index.",
        effect="A panic that a peer can trigger, a lost datagram, or an extra empty packet.",
        links=(_NEBULA, "https://github.com/amnezia-vpn/amneziawg-go/issues/141"),
    ),
    "FlowOvertaken": Flag(
        description="Packets that are not joined take another lane than others, and pass packets of their flow.",
        effect="Fragments, damaged packets and resets overtake data: reordering at every burst.",
        links=(_NEBULA,),
    ),
    "RetransmissionSorted": Flag(
        description="Packets of a flow are sorted by sequence number before they are joined.",
        effect="A repeat with a newer timestamp goes first, and the receiver throws the older data away (PAWS).",
        links=(_NEBULA, "https://www.rfc-editor.org/rfc/rfc7323#section-5"),
    ),
    "FlowsMixed": Flag(
        description="Two flows are taken for one: the key lacks a port, an address, the direction or the protocol.",
        effect="Data of one connection is delivered to another.",
    ),
    "InterleavedNotJoined": Flag(
        description="Packets of a flow with packets of others between them: each flow is joined by itself.",
        effect="Throughput drops as soon as two connections are busy at once.",
    ),
    "ChecksumRepaired": Flag(
        description="A packet with a wrong checksum is joined, and the kernel computes a right one for each segment.",
        effect="A packet that was damaged before the tunnel is believed by the receiver.",
        links=("https://github.com/firezone/firezone/commit/42319995",),
    ),
    "ChecksumVerdictInverted": Flag(
        description="The test for a right checksum is the wrong way round, or stops after the first packet.",
        effect="No good packet is joined any more, and bad ones are.",
        links=(_TUN_RS + "2f4e9eb0", _TUN_RS + "42cae210"),
    ),
    "StaleVnetHeader": Flag(
        description="A packet that is taken out of the joining goes out behind a vnet header that nobody wrote.",
        effect="Leftover bytes are read as a vnet header: EINVAL, or a packet cut to pieces.",
        links=(
            "https://github.com/tailscale/tailscale/issues/19820",
            "https://github.com/tailscale/wireguard-go/pull/59",
            "https://github.com/WireGuard/wireguard-go/pull/145",
            _TUN_RS + "2f4e9eb0",
        ),
    ),
    "VnetHeaderMissing": Flag(
        description="Packets that are never joined are written by another path, which puts no vnet header before them.",
        effect="The kernel takes the IP header for a vnet header: ICMP and UDP die while TCP works.",
        links=(
            "https://github.com/SagerNet/sing-tun/commit/90ea7a0b",
            "https://github.com/MetaCubeX/mihomo/issues/1632",
            "https://github.com/SagerNet/sing-box/issues/1238",
        ),
    ),
    "NoUdpChecksum": Flag(
        description="UDP with a checksum field of zero: none over IPv4, forbidden over IPv6.",
        effect="Datagrams without a checksum are dropped or gain one; with IPv6, illegal ones become legal.",
        links=(
            "https://github.com/tailscale/wireguard-go/pull/70",
            "https://www.rfc-editor.org/rfc/rfc8200#section-8.1",
        ),
    ),
    "BatchTooLarge": Flag(
        description="Packets are joined beyond 65535 bytes, or a large packet meets a buffer that was made for small.",
        effect="A 16-bit length wraps and the burst is lost, or the receiving task dies.",
        links=(
            "https://github.com/firezone/firezone/commit/4b4e8fdd",
            "https://github.com/firezone/firezone/commit/54b1ca50",
            "https://github.com/mullvad/gotatun/pull/145",
        ),
    ),
    "NarrowCounters": Flag(
        description="More packets or flows in a batch than an 8-bit index can count.",
        effect="Index 256 is index 0 again: packets are written twice and others never.",
        links=(_TUN_RS + "0d4fedc8",),
    ),
    "BatchStateLeaks": Flag(
        description="What a batch, or one kind of its packets, left behind (flows, buffers, a failure) meets the next.",
        effect="Packets of two bursts are joined or repeated, or borrowed memory is written a second time.",
        links=(_NEBULA,),
    ),
}
