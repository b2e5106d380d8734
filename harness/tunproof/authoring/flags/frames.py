"""Classes of bugs in what a reader assumes about a frame: its vnet header, its kernel, and the frames before it."""

from tunproof.corpus.model import Flag

__all__ = ["FRAMES"]

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_LINUX = "https://git.kernel.org/torvalds/c/"

FRAMES: dict[str, Flag] = {
    "FlagBitsIgnored": Flag(
        description="Only NEEDS_CSUM matters among the flags: DATA_VALID, RSC_INFO and unknown bits change nothing.",
        effect="Testing flags == 1 leaves checksums unfinished; trusting DATA_VALID passes damaged packets on.",
        links=("https://github.com/microsoft/openvmm/pull/3413",),
    ),
    "LeftOverFields": Flag(
        description="csum_start and csum_offset without NEEDS_CSUM, gso_size and hdr_len without a type, mean nothing.",
        effect="Stale fields cause valid packets to be refused, or a checksum is written where none was requested.",
        links=(
            _LINUX + "e269d79c7d35",
            _LINUX + "6513eb3d3191",
            "https://github.com/tailscale/tailscale/issues/13041",
        ),
    ),
    "EcnQualifier": Flag(
        description="0x80 qualifies the TCP types only: it is neither a type nor part of one.",
        effect="Superpackets with CWR are blackholed just when congestion is signalled, or escape the version check.",
        links=(_NEBULA,),
    ),
    "AccEcnQualifier": Flag(
        description="0x10, proposed for Accurate ECN: a reader that does not know the bit rejects the frame.",
        effect="CWR is cleared in later segments, which corrupts Accurate ECN counters; or a type is misread.",
    ),
    "TunnelType": Flag(
        description="0x20 and 0x40 mark superpackets inside a UDP tunnel, which need a vnet header of 24 bytes.",
        effect="The outer header is cut as if it were the inner one, and every datagram has wrong lengths.",
        links=(_LINUX + "a2fb4bc4e2a6", _LINUX + "288f30435132"),
    ),
    "GsoByFrags": Flag(
        description="gso_size 0xFFFF has a special meaning inside the kernel (GSO_BY_FRAGS).",
        effect="Kernels before 6.5 crash; later ones refuse the write.",
        links=(_LINUX + "b616be6b9768",),
    ),
    "GsoSizeUnderEight": Flag(
        description="gso_size under 8 for TCP: some kernels raise it to 8, and do not cut where they should.",
        effect="A batch of tiny packets arrives joined together, or is lost if it has TCP options.",
        links=(_LINUX + "c27c449d455a",),
    ),
    "WideGsoSize": Flag(
        description="gso_size far larger than the payload, up to the 16-bit maximum.",
        effect="A signed or narrow integer turns one packet into thousands of segments, or none.",
    ),
    "CsumFieldsOverflow": Flag(
        description="The sum of csum_start and csum_offset does not fit 16 bits, and looks harmless when it wraps.",
        effect="A hostile frame causes two bytes to be written outside the packet.",
    ),
    "CsumFieldsTrusted": Flag(
        description="A single packet's checksum goes where csum_start and csum_offset say, whatever the protocol is.",
        effect="ICMPv6 and tunnelled packets leave with an unfinished checksum because only TCP and UDP are handled.",
    ),
    "CsumStartAssumed": Flag(
        description="csum_start of a superpacket is not where its transport header begins.",
        effect="Kernels before 6.11 ignored it; later ones accept the write and lose the packet.",
        links=(_LINUX + "89add40066f9",),
    ),
    "CsumStartFloor": Flag(
        description="csum_start inside the IP header.",
        effect="Kernels before 6.12 write a checksum over the IP header; later ones refuse the write.",
        links=(_LINUX + "49d14b54a527",),
    ),
    "HeaderCountedAsPayload": Flag(
        description="Without NEEDS_CSUM older kernels do not know where the payload begins, and count headers too.",
        effect="A packet of exactly gso_size bytes is accepted and never arrives.",
        links=(_LINUX + "9181d6f8a2bb", _LINUX + "44378d02c5aa"),
    ),
    "UdpFragmentation": Flag(
        description="Type 3, UDP fragmentation (UFO): kernels still cut it into IP fragments, but readers never get "
        "it.",
        effect="Fragments at offsets that are not a multiple of 8, which cannot be reassembled.",
    ),
    "ReaderGoesOn": Flag(
        description="A rejected frame leaves the reader as it was: the next one is delivered.",
        effect="One damaged frame stops the tunnel, or takes the next packet down with it.",
        links=(_NEBULA,),
    ),
    "StaleBytes": Flag(
        description="A runt after a longer frame: what remains of the earlier frame in the buffer is not part of it.",
        effect="Bytes of another packet leak to the wrong recipient; or an index is out of range.",
        links=(_NEBULA,),
    ),
    "StateBetweenReads": Flag(
        description="Each frame is cut independently: no counter, length, flag or checksum of an earlier one is left.",
        effect="Packets are right one at a time in a test, and wrong in a tunnel.",
    ),
}
