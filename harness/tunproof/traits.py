"""The traits: behaviours in which kernels differ, each named and explained once; `probes` finds them out.

Behaviour follows the point release, the distribution's backports and the vendor's patches, so a version number decides
nothing. A regression is no trait: a kernel that refuses legal superpackets disagrees with the corpus, and should.
"""

from tunproof.corpus.model import Trait

__all__ = ["TRAITS"]

TRAITS = {
    "uso": Trait(
        description="UDP superpackets (UDP_L4) can be written to a TUN; without it the type is refused with EINVAL.",
        since="6.2",
        commit="860b7f27b8f7",
    ),
    "uso_128": Trait(
        description="A UDP superpacket may have 128 segments, not 64.",
        since="6.9",
        commit="1382e3b6a350",
    ),
    "csum_start_floor": Trait(
        description="csum_start inside the first 20 bytes (40 for TCPV6) is refused; without it the checksum is "
        "written there, into the IP header.",
        since="6.12",
        commit="49d14b54a527",
    ),
    "tso_csum_checked": Trait(
        description="csum_offset of a TCP superpacket must be 16, or the write is refused, and csum_start of a TCP or "
        "UDP superpacket must be where that header is, or the packet is lost; without it these are ignored.",
        since="6.11",
        commit="89add40066f9",
    ),
    "nocsum_min_len": Trait(
        description="Without NEEDS_CSUM a typed packet is measured with 20 bytes (TCPV6: 40) of IP header; without it "
        "the IP header counts as payload, and a payload of gso_size is accepted and lost.",
        since="6.8",
        commit="9181d6f8a2bb",
    ),
    "min_gso_8": Trait(
        description="gso_size of a TCP superpacket is raised to 8: the packet is cut elsewhere than the sender said.",
        since="7.2",
        commit="c27c449d455a",
    ),
    "dissected": Trait(
        description="Without NEEDS_CSUM a typed packet is dissected: its IP version and protocol must be what the type "
        "says, or the write is refused; the version nibble is looked at before the vnet header.",
        since="7.3",
        commit="44378d02c5aa",
    ),
    "long_frames": Trait(
        description="A frame may be longer than 69632 bytes and its linear part; without it that is EMSGSIZE.",
        since="6.6",
        commit="ce7c7fef1473",
    ),
}
"""Every trait that a case may name, explained. `since` is the mainline release; stable releases carry some as well."""
