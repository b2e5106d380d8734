"""Classes of bugs in writing batches: joining, ordering, leaving alone."""

from tunproof.corpus.model import Flag

__all__ = ["BATCHES"]

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_WIREGUARD = "https://github.com/WireGuard/wireguard-go/commit/"
_TUN_RS = "https://github.com/tun-rs/tun-rs/commit/"
_LINUX = "https://git.kernel.org/torvalds/c/"

BATCHES: dict[str, Flag] = {
    "PacketsJoined": Flag(
        description="The ordinary case: consecutive packets go out together, and cutting gives them back unchanged.",
        effect="Nothing arrives, or every packet costs a system call and the tunnel is slow.",
    ),
    "ExtraBytes": Flag(
        description="A workaround for a kernel bug adds a byte or a datagram: only what went in may come out.",
        effect="The receiver gets datagrams that were never sent, and some network cards crash on their shape.",
        links=(
            "https://github.com/tailscale/tailscale/issues/20994",
            "https://github.com/tailscale/tailscale/issues/21335",
            "https://github.com/tailscale/tailscale/issues/19777",
        ),
    ),
    "PartialOfJoined": Flag(
        description="The checksum field of a superpacket holds the pseudo-header sum of the whole, folded, not "
        "inverted.",
        effect="The receiver drops every joined packet for its checksum; single ones arrive.",
        links=(_TUN_RS + "9dce8c86",),
    ),
    "FieldNotCompared": Flag(
        description="A header field in which two packets of a flow differ is not compared before they are joined.",
        effect="The later packet arrives with the first one's value: a window, mark or TTL that was never sent.",
    ),
    "Ipv6FieldOffsets": Flag(
        description="IPv6 headers are compared at the offsets of IPv4 fields.",
        effect="Packets of different traffic classes are joined, or packets that could be joined are not.",
        links=(_WIREGUARD + "052af4a8",),
    ),
    "FragmentJoined": Flag(
        description="A fragment is joined: the more-fragments bit is tested in the wrong place, or not at all.",
        effect="The receiver never completes the datagram, or mistakes the middle of one for a header.",
        links=(_WIREGUARD + "052af4a8",),
    ),
    "Ipv4OptionsLost": Flag(
        description="IPv4 options are discarded from every packet of a superpacket but the first.",
        effect="Router alerts and record routes vanish, or option bytes are read as the transport header.",
        links=(_WIREGUARD + "aad7fca9",),
    ),
    "IdNotRestored": Flag(
        description="Packets without DF are joined although their identifications are not consecutive.",
        effect="Identifications that were unique repeat, and fragments of two datagrams are reassembled into one.",
        links=("https://www.rfc-editor.org/rfc/rfc6864#section-4",),
    ),
    "SequenceNotContinued": Flag(
        description="TCP data is joined although it does not continue the last packet's: a gap, an overlap, a step "
        "back.",
        effect="Stream bytes end up in the wrong place: silent corruption, or a connection that hangs.",
    ),
    "TcpOptionsNotCompared": Flag(
        description="Packets whose TCP options differ are joined.",
        effect="Timestamps and SACK blocks of the later packet are lost: wrong round-trip times, needless "
        "retransmissions.",
    ),
    "UnequalSizesJoined": Flag(
        description="A packet larger than the first, or one that follows a short one, is joined.",
        effect="The kernel does not cut where the sender did: datagrams are mixed up, or TCP packets are resized.",
        links=(_NEBULA,),
    ),
    "PshInvented": Flag(
        description="PSH appears on a packet that had none, because PSH and closing a superpacket shared one bit.",
        effect="The receiver's GRO is flushed at every superpacket, and throughput drops.",
        links=(_NEBULA,),
    ),
    "FlagMoved": Flag(
        description="A TCP flag of one packet is lost, or appears on another packet of the superpacket.",
        effect="A stream ends too early or not at all; congestion signals appear on packets that did not carry them.",
        links=("https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2",),
    ),
    "ControlJoined": Flag(
        description="Packets with SYN, RST or URG are joined: a stack that gets the superpacket whole sees only one.",
        effect="A reset or an urgent pointer acts on the wrong bytes of the stream.",
        links=(_LINUX + "bf296b125b21",),
    ),
    "PureAckOrder": Flag(
        description="A pure acknowledgment among data is lost, joined or reordered, or the data itself is reordered.",
        effect="Duplicate acknowledgments that request a retransmission vanish, or data arrives out of order.",
        links=(_NEBULA,),
    ),
    "EmptyPayload": Flag(
        description="An empty datagram or an empty item of a batch: nothing to join, and nothing to index.",
        effect="A panic that a peer can trigger, a lost datagram, or an extra empty packet.",
        links=(_NEBULA, "https://github.com/amnezia-vpn/amneziawg-go/issues/141"),
    ),
    "FlowOvertaken": Flag(
        description="Packets that are not joined take a separate path, and overtake packets of their own flow.",
        effect="Fragments, damaged packets and resets overtake data: reordering in every burst.",
        links=(_NEBULA,),
    ),
    "RetransmissionSorted": Flag(
        description="Packets of a flow are sorted by sequence number before they are joined.",
        effect="A retransmission with a newer timestamp goes first, and the receiver discards the older data (PAWS).",
        links=(_NEBULA, "https://www.rfc-editor.org/rfc/rfc7323#section-5"),
    ),
    "FlowsMixed": Flag(
        description="Two flows are treated as one: the key lacks a port, an address, the direction or the protocol.",
        effect="Data of one connection is delivered to another.",
    ),
    "InterleavedNotJoined": Flag(
        description="Packets of several flows are interleaved: each flow is still joined separately.",
        effect="Throughput drops as soon as two connections are busy at once.",
    ),
    "ChecksumRepaired": Flag(
        description="A packet with a wrong checksum is joined, and the kernel computes a right one for each segment.",
        effect="The receiver accepts a packet that was damaged before the tunnel.",
        links=("https://github.com/firezone/firezone/commit/42319995",),
    ),
    "ChecksumVerdictInverted": Flag(
        description="The checksum test is inverted, or stops after the first packet.",
        effect="Good packets are no longer joined, and bad ones are.",
        links=(_TUN_RS + "2f4e9eb0", _TUN_RS + "42cae210"),
    ),
    "StaleVnetHeader": Flag(
        description="A packet that is excluded from joining goes out behind a vnet header that was never written.",
        effect="Leftover bytes are read as a vnet header: EINVAL, or a packet cut to pieces.",
        links=(
            "https://github.com/tailscale/tailscale/issues/19820",
            "https://github.com/tailscale/wireguard-go/pull/59",
            "https://github.com/WireGuard/wireguard-go/pull/145",
            _TUN_RS + "2f4e9eb0",
        ),
    ),
    "VnetHeaderMissing": Flag(
        description="Packets that are never joined are written by a separate path, which omits the vnet header.",
        effect="The kernel reads the IP header as a vnet header: ICMP and UDP fail while TCP works.",
        links=(
            "https://github.com/SagerNet/sing-tun/commit/90ea7a0b",
            "https://github.com/MetaCubeX/mihomo/issues/1632",
            "https://github.com/SagerNet/sing-box/issues/1238",
        ),
    ),
    "NoUdpChecksum": Flag(
        description="UDP with a checksum field of zero: no checksum over IPv4, illegal over IPv6.",
        effect="Datagrams without a checksum are dropped or gain one; over IPv6, illegal ones become legal.",
        links=(
            "https://github.com/tailscale/wireguard-go/pull/70",
            "https://www.rfc-editor.org/rfc/rfc8200#section-8.1",
        ),
    ),
    "BatchTooLarge": Flag(
        description="Packets are joined beyond 65535 bytes, or a large packet meets a buffer made for small ones.",
        effect="A 16-bit length wraps and the burst is lost, or the receiving task dies.",
        links=(
            "https://github.com/firezone/firezone/commit/4b4e8fdd",
            "https://github.com/firezone/firezone/commit/54b1ca50",
            "https://github.com/mullvad/gotatun/pull/145",
        ),
    ),
    "NarrowCounters": Flag(
        description="More packets or flows in a batch than an 8-bit index can count.",
        effect="Index 256 is index 0 again: some packets are written twice and others never.",
        links=(_TUN_RS + "0d4fedc8",),
    ),
    "BatchStateLeaks": Flag(
        description="State left by a batch, or by one kind of its packets (flows, buffers, a failure), affects the "
        "next.",
        effect="Packets of two bursts are joined or repeated, or borrowed memory is written a second time.",
        links=(_NEBULA,),
    ),
}
