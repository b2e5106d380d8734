"""Classes of bugs in cutting a superpacket, and in emitting one.

Links lead to where the bug was publicly found or fixed; a flag without one is a rule that no implementation is known to
have broken yet.
"""

from tunproof.corpus.model import Flag

__all__ = ["READING", "WRITING"]

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_LINUX = "https://git.kernel.org/torvalds/c/"

READING = {
    "Basic": Flag(
        description="The ordinary case: a canonical superpacket of this kind.",
        effect="Nothing works, or every connection falls back to retransmission.",
    ),
    "SegmentSize": Flag(
        description="Payload equal to, close to, or far above gso_size: the last segment is short, full, or one byte.",
        effect="Bytes are lost or repeated at segment boundaries; an empty extra segment is sent.",
    ),
    "OddLength": Flag(
        description="Segments or headers of odd length: the last byte is the high half of a checksum word.",
        effect="Packets of odd length fail their checksum and are retransmitted until the connection stalls.",
        links=("https://www.rfc-editor.org/rfc/rfc1071",),
    ),
    "ManySegments": Flag(
        description="As many segments as the sizes allow: counters, buffers and ring entries run out.",
        effect="The tail of a large transfer is dropped without a trace.",
    ),
    "MaximumSize": Flag(
        description="A superpacket of 65535 bytes: all that a 16-bit length allows, plus a vnet header.",
        effect="A read buffer without room for the vnet header loses the last bytes of the largest superpackets.",
        links=(_NEBULA,),
    ),
    "LengthOverflow": Flag(
        description="More bytes than a 16-bit length field can hold.",
        effect="The length wraps, and the receiver sees a short packet followed by garbage.",
        links=(_NEBULA,),
    ),
    "PshOnLastOnly": Flag(
        description="PSH is set on the last segment only.",
        effect="GRO flushes on PSH (tcp_gro_receive): the receiver stops aggregating, and throughput drops.",
    ),
    "FinOnLastOnly": Flag(
        description="FIN is set on the last segment only.",
        effect="The receiver takes the first segment to be the end of the stream; the rest is lost.",
    ),
    "CwrOnFirstOnly": Flag(
        description="CWR is set on the first segment only, with or without the ECN qualifier of the type.",
        effect="Congestion feedback is answered several times over, or a congested flow is blackholed.",
        links=(_NEBULA, "https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2"),
    ),
    "FlagsCopied": Flag(
        description="All other TCP flags and reserved bits are copied to every segment.",
        effect="Urgent data, ECN echoes or resets get lost or appear from nowhere.",
    ),
    "SequenceWrap": Flag(
        description="The sequence number passes 2**32 inside a superpacket.",
        effect="Every connection stalls before its first 4 GiB are through.",
    ),
    "IdWrap": Flag(
        description="The IPv4 identification passes 2**16 inside a superpacket.",
        effect="A range check or a signed integer breaks one superpacket in a few thousand.",
    ),
    "IdIncrement": Flag(
        description="The IPv4 identification grows by one per segment, for UDP too and whatever DF says.",
        effect="The receiver reassembles fragments of different datagrams into one.",
        links=(_NEBULA,),
    ),
    "Ipv4Header": Flag(
        description="IPv4 header fields and options are copied to every segment; length and checksum are recomputed.",
        effect="Segments are dropped by the first router, or lose their marking.",
    ),
    "Ipv6Header": Flag(
        description="IPv6 traffic class, flow label and hop limit are copied; the payload length is recomputed.",
        effect="Flows change their path or marking midway.",
    ),
    "ExtensionHeaders": Flag(
        description="IPv6 extension headers come between the IPv6 and the transport header, and are copied.",
        effect="The transport header is expected at byte 40, or a NIC that does not know these headers has to cut.",
        links=(_LINUX + "864e3396976e",),
    ),
    "TcpOptions": Flag(
        description="TCP options are copied to every segment, and the data offset says where the payload begins.",
        effect="Timestamps are cut into the payload, or every segment repeats payload bytes as options.",
    ),
    "HdrLenIsAHint": Flag(
        description="hdr_len is the linear size of a kernel buffer, not the size of the headers.",
        effect="Payload is copied into every segment's header, or the reader crashes.",
        links=(_NEBULA, "https://github.com/expressvpn/lightway/pull/413"),
    ),
    "WrongPartialCarried": Flag(
        description="A wrong partial checksum stays wrong by the same amount in every segment.",
        effect="A packet that was damaged before the TUN gets a valid checksum and is accepted.",
        links=("https://github.com/firezone/firezone/commit/42319995",),
    ),
    "ChecksumComputed": Flag(
        description="A superpacket without NEEDS_CSUM gets its checksums computed from scratch.",
        effect="The stale checksum is taken for a partial and every segment is dropped; some kernels returned EINVAL.",
        links=(_LINUX + "6513eb3d3191",),
    ),
    "ChecksumCompleted": Flag(
        description="NEEDS_CSUM: the sum from csum_start, partial included, is inverted and stored.",
        effect="Packets of local sockets leave the tunnel with an unfinished checksum, and the receiver drops them.",
        links=(
            "https://github.com/microsoft/openvmm/pull/3413",
            "https://github.com/firecracker-microvm/firecracker/issues/4659",
        ),
    ),
    "ChecksumUntouched": Flag(
        description="Without NEEDS_CSUM not a byte of a single packet is touched, whether its checksum is right or "
        "wrong.",
        effect="Damage is repaired by accident, or healthy packets are damaged.",
    ),
    "ZeroChecksum": Flag(
        description="A completed checksum of zero: always 0xFFFF for UDP; 0x0000 is kept in TCP segments.",
        effect="One UDP datagram in 65535 is sent without a checksum; with IPv6 it is dropped.",
        links=(
            "https://github.com/slackhq/nebula/pull/1823",
            "https://github.com/raspberrypi/linux/issues/7550",
            "https://www.rfc-editor.org/rfc/rfc8200#section-8.1",
        ),
    ),
    "UnknownType": Flag(
        description="A gso_type that is not defined, or that readers never get.",
        effect="A superpacket is delivered whole, as one packet too large for any link.",
        links=(_NEBULA,),
    ),
    "GsoSizeZero": Flag(
        description="A type with gso_size 0.",
        effect="Division by zero, an endless loop, or a superpacket with an unfinished checksum.",
        links=(_NEBULA, "https://github.com/firezone/firezone/commit/0a356ca3"),
    ),
    "NeedsCsumMissing": Flag(
        description="A UDP superpacket without NEEDS_CSUM: the type requires a partial.",
        effect="EINVAL since Linux 6.6; before, datagrams with a stale checksum.",
        links=(_LINUX + "fc8b2a619469",),
    ),
    "Truncated": Flag(
        description="A frame that ends inside the vnet, IP or transport header.",
        effect="A crash, or bytes of an earlier packet are read as part of this one.",
        links=(_NEBULA,),
    ),
    "BadCsumFields": Flag(
        description="csum_start or csum_offset points outside the packet or into the IP header.",
        effect="A checksum is written over addresses or payload.",
        links=(_LINUX + "49d14b54a527", _LINUX + "89add40066f9"),
    ),
    "TypeMismatch": Flag(
        description="The type or the IP header names an IP version or transport other than the actual one.",
        effect="A UDP header is rewritten as TCP: ports and lengths are overwritten.",
        links=(_LINUX + "44378d02c5aa",),
    ),
    "LengthMismatch": Flag(
        description="An IP or UDP length field does not match the length of the packet.",
        effect="Bytes past the packet become payload, or payload is cut off.",
        links=("https://github.com/microsoft/openvmm/pull/3729", "https://github.com/microsoft/openvmm/pull/3730"),
    ),
    "OptionsTrap": Flag(
        description="Payload not longer than gso_size, but longer together with the TCP options: kernels treat the "
        "frame as a superpacket and then find nothing to cut.",
        effect="A write succeeds and the packet never arrives.",
    ),
    "SmallSuperpacket": Flag(
        description="A type on a packet whose payload fits one segment: it is one packet, and its checksum must be "
        "completed.",
        effect="EINVAL on some kernels; an unfinished checksum on some readers.",
        links=(_LINUX + "7c6d2ecbda83",),
    ),
    "TooManyUdpSegments": Flag(
        description="A UDP superpacket of more than 128 segments (64 before Linux 6.9).",
        effect="EINVAL: the whole burst is lost.",
        links=(
            _LINUX + "fc8b2a619469",
            _LINUX + "1382e3b6a350",
            "https://github.com/quic-go/quic-go/issues/3911",
            "https://github.com/esnet/iperf/pull/2033",
        ),
    ),
}

WRITING = {
    "EmptyFragment": Flag(
        description="write_gso with an empty fragment: first, in the middle, last, or alone.",
        effect="A panic that a peer can trigger, or gso_size 0 and a lost burst.",
        links=(_NEBULA,),
    ),
    "EmptyHeader": Flag(
        description="write_gso without an IP header, without a transport header, or without payload.",
        effect="Success is reported although nothing was written.",
        links=(_NEBULA,),
    ),
    "UnequalFragments": Flag(
        description="write_gso with fragments of unequal size other than a shorter last one.",
        effect="The kernel does not cut where the caller did: segments mix two packets.",
        links=(_NEBULA,),
    ),
    "UnknownVersion": Flag(
        description="A version nibble that is neither 4 nor 6.",
        effect="One jumbo packet goes out instead of a superpacket.",
        links=(_NEBULA,),
    ),
    "HeaderLength": Flag(
        description="write_gso with a header that is shorter or longer than it says.",
        effect="The kernel writes the checksum into the payload.",
        links=(_NEBULA,),
    ),
    "HeaderNotFinal": Flag(
        description="write_gso with an IPv4 header checksum or a partial that the caller did not finish.",
        effect="Every segment is dropped by the receiver, far from the mistake.",
        links=("https://github.com/tun-rs/tun-rs/commit/9dce8c86",),
    ),
    "SingleFragment": Flag(
        description="write_gso with one fragment: a plain packet with a partial checksum, type NONE, gso_size 0.",
        effect="Kernels that check a leftover gso_size refuse it (Linux 6.6.44).",
        links=(
            _LINUX + "e269d79c7d35",
            "https://github.com/tailscale/tailscale/issues/13041",
            "https://github.com/firezone/firezone/pull/8932",
            "https://github.com/quinn-rs/quinn/pull/2217",
        ),
    ),
    "LegalRemainder": Flag(
        description="A legal superpacket whose length, headers included, leaves a small remainder when divided by "
        "gso_size.",
        effect="Linux 6.6.44 and its sister releases refused these: throughput of every affected tunnel collapsed.",
        links=(
            _LINUX + "e269d79c7d35",
            _LINUX + "89add40066f9",
            "https://bugzilla.kernel.org/show_bug.cgi?id=219129",
            "https://github.com/tailscale/tailscale/issues/13041",
            "https://github.com/qdm12/gluetun/pull/3424",
        ),
    ),
    "IovecLimit": Flag(
        description="As many fragments as one writev accepts (IOV_MAX 1024), and one more.",
        effect="writev fails with EINVAL and the burst is lost.",
        links=(_NEBULA,),
    ),
    "TinyFragments": Flag(
        description="Several fragments of under 8 bytes: some kernels raise gso_size to 8 and cut in other places.",
        effect="Packets arrive joined together.",
        links=(_LINUX + "c27c449d455a",),
    ),
    "Fragmented": Flag(
        description="An IP fragment where a superpacket is expected.",
        effect="Bytes of a fragment are read as a transport header.",
        links=("https://github.com/WireGuard/wireguard-go/commit/052af4a8",),
    ),
}
