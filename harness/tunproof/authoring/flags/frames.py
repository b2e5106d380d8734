"""Classes of bugs in what a reader believes of a frame: its vnet header, its kernel, and the frames before it."""

from tunproof.corpus.model import Flag

__all__ = ["FRAMES"]

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_LINUX = "https://git.kernel.org/torvalds/c/"

FRAMES: dict[str, Flag] = {
    "FlagBitsIgnored": Flag(
        description="Of the flags only NEEDS_CSUM says anything: DATA_VALID, RSC_INFO and unknown bits change nothing.",
        effect="Comparing flags with 1 leaves checksums unfinished; believing DATA_VALID passes damaged packets on.",
        links=("https://github.com/microsoft/openvmm/pull/3413",),
    ),
    "LeftOverFields": Flag(
        description="csum_start and csum_offset without NEEDS_CSUM, gso_size and hdr_len without a type: no meaning.",
        effect="Stale fields get healthy packets refused, or a checksum is written where nobody asked for one.",
        links=(
            _LINUX + "e269d79c7d35",
            _LINUX + "6513eb3d3191",
            "https://github.com/tailscale/tailscale/issues/13041",
        ),
    ),
    "EcnQualifier": Flag(
        description="0x80 qualifies the TCP types and no other: it is neither a type nor part of one.",
        effect="Superpackets with CWR are blackholed just when congestion is signalled, or escape the version check.",
        links=(_NEBULA,),
    ),
    "AccEcnQualifier": Flag(
        description="0x10, proposed for Accurate ECN: a reader that does not know the bit turns the frame down.",
        effect="CWR is cleared in later segments, which corrupts Accurate ECN counters; or a type is misread.",
    ),
    "TunnelType": Flag(
        description="0x20 and 0x40, superpackets inside a UDP tunnel: they need a vnet header of 24 bytes.",
        effect="The outer header is cut as if it were the inner one, and every datagram has wrong lengths.",
        links=(_LINUX + "a2fb4bc4e2a6", _LINUX + "288f30435132"),
    ),
    "GsoByFrags": Flag(
        description="gso_size 0xFFFF means something else inside the kernel (GSO_BY_FRAGS).",
        effect="Kernels before 6.5 crash; later ones refuse the write.",
        links=(_LINUX + "b616be6b9768",),
    ),
    "GsoSizeUnderEight": Flag(
        description="gso_size under 8 for TCP: some kernels raise it to 8 and cut elsewhere than they were told.",
        effect="A batch of tiny packets arrives joined together, or is lost where TCP options are in the way.",
        links=(_LINUX + "c27c449d455a",),
    ),
    "WideGsoSize": Flag(
        description="gso_size far above the payload, up to the last value of 16 bits.",
        effect="A signed or narrow number makes thousands of segments of one packet, or none.",
    ),
    "CsumFieldsOverflow": Flag(
        description="csum_start and csum_offset whose sum does not fit 16 bits and looks harmless when it wraps.",
        effect="A hostile frame has two bytes written outside the packet.",
    ),
    "CsumFieldsTrusted": Flag(
        description="A single packet has its checksum where csum_start and csum_offset say, whatever the protocol is.",
        effect="ICMPv6 and tunnelled packets leave with an unfinished checksum because only TCP and UDP are looked at.",
    ),
    "CsumStartAssumed": Flag(
        description="csum_start of a superpacket that is not where the transport header begins.",
        effect="Kernels before 6.11 ignored it; later ones accept the write and lose the packet.",
        links=(_LINUX + "89add40066f9",),
    ),
    "CsumStartFloor": Flag(
        description="csum_start inside the IP header.",
        effect="Kernels before 6.12 write a checksum over the IP header; later ones refuse.",
        links=(_LINUX + "49d14b54a527",),
    ),
    "HeaderCountedAsPayload": Flag(
        description="Without NEEDS_CSUM older kernels do not know where the payload begins, and count headers with it.",
        effect="A packet of exactly gso_size bytes is accepted and never arrives.",
        links=(_LINUX + "9181d6f8a2bb", _LINUX + "44378d02c5aa"),
    ),
    "UdpFragmentation": Flag(
        description="Type 3, UDP fragmentation (UFO): kernels still cut it into IP fragments, readers never get it.",
        effect="Fragments at offsets that are no multiple of 8, which nobody can put together again.",
    ),
    "ReaderGoesOn": Flag(
        description="A frame that is turned down leaves the reader as it was: the next one is delivered.",
        effect="One damaged frame stops the tunnel, or takes the packet behind it along.",
        links=(_NEBULA,),
    ),
    "StaleBytes": Flag(
        description="A runt after a longer frame: what is left of the earlier frame in the buffer is not part of it.",
        effect="Bytes of another packet are sent to somebody they were not meant for; or an index out of range.",
        links=(_NEBULA,),
    ),
    "StateBetweenReads": Flag(
        description="Each frame is cut for itself: counters, lengths, flags and checksums of earlier ones are gone.",
        effect="Packets are right one by one in a test, and wrong in a tunnel.",
    ),
}
