"""Traits: behaviours in which kernels differ, each named once. A kernel is the set of the traits that it has.

Behaviour follows the point release, the distribution's backports and the vendor's patches, so a version number decides
nothing: `tunproof kernel` finds out with frames which traits a kernel has. `traits_of` says what is known of a release
as it left kernel.org: a starting point, and a basis for comparison.

A regression is a trait too: one that no kernel should have.
"""

import enum
import re
from dataclasses import dataclass
from typing import Final

__all__ = ["ABOUT", "About", "Trait", "Traits", "observable", "traits_of"]


class Trait(enum.StrEnum):
    """A behaviour in which kernels differ; `ABOUT` explains each. Sorted by where a frame meets it."""

    # what may be written
    HDR_LEN_LOOSE = "hdr_len_loose"
    LONG_FRAMES = "long_frames"
    USO = "uso"
    USO_STRICT = "uso_strict"
    USO_128 = "uso_128"
    UDP_TUNNEL = "udp_tunnel"
    CSUM_START_FLOOR = "csum_start_floor"
    CSUM_START_CEILING = "csum_start_ceiling"
    NOCSUM_MIN_LEN = "nocsum_min_len"
    DISSECTED = "dissected"
    TSO_CSUM_CHECKED = "tso_csum_checked"
    MIN_GSO_8 = "min_gso_8"
    NIBBLE_PULLED = "nibble_pulled"
    # what is segmented
    HBH_JUMBO_STRIP = "hbh_jumbo_strip"
    BIGTCP_CSUM = "bigtcp_csum"
    ACCECN_CWR = "accecn_cwr"
    # what is forwarded
    TOTLEN0 = "totlen0"
    PAYLEN0 = "paylen0"
    FRAG_CSUM_START = "frag_csum_start"
    # what a reader gets
    GSO_SEGS_COUNTED = "gso_segs_counted"
    LINEAR_CAPPED = "linear_capped"
    VNET_PAD = "vnet_pad"
    BACKPRESSURE = "backpressure"
    # regressions
    HBH_JUMBO_ETHERNET = "hbh_jumbo_ethernet"
    GSO_REMAINDER_CHECKED = "gso_remainder_checked"
    NOCSUM_CSUM_OFFSET = "nocsum_csum_offset"
    TUNNEL_OUTER_ETHERNET = "tunnel_outer_ethernet"
    TUNNEL_READ_EFAULT = "tunnel_read_efault"
    DATA_VALID_LOST = "data_valid_lost"
    EXTENSIONS_READ_AS_TCP = "extensions_read_as_tcp"
    READ_STACK_LEAK = "read_stack_leak"


Traits = frozenset[Trait]
"""How a kernel behaves where kernels differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of a trait.

    `means`       what a kernel does that has it, and what one does that has not
    `commit`      introduced it
    `releases`    have it: "6.11+" from there on, "6.6.46+" in that branch from there on, "6.17-6.17.10" from there to
                  there; a release that is not listed is not known to have it
    `regression`  it is a bug; `fixed` is the commit that ended it, "" if there is none
    `symptom`     what "this kernel" does, in a clause that says since when (regressions)
    `effect`      what a user notices of it (regressions)
    `unseen`      why no frame can detect it from outside; "" if one can
    `needs`       it shows only in a kernel that also has this trait
    `implied_by`  a kernel with that trait does what this one says, so whether it has this one does not show
    """

    means: str
    commit: str
    releases: str
    regression: bool = False
    fixed: str = ""
    symptom: str = ""
    effect: str = ""
    unseen: str = ""
    needs: Trait | None = None
    implied_by: Trait | None = None

    @property
    def since(self) -> str:
        """The mainline release that introduced it."""
        return self.releases.split(" ", 1)[0].rstrip("+").partition("-")[0]


ABOUT: Final[dict[Trait, About]] = {
    Trait.HDR_LEN_LOOSE: About(
        means="hdr_len is compared with everything after the first 10 bytes of the vnet header, so after a longer "
        "header it may be more than the packet has; without it, it is compared with the packet.",
        commit="2506251e81d1",
        releases="6.15+",
    ),
    Trait.LONG_FRAMES: About(
        means="A frame may be longer than 69632 bytes plus its linear part; without it that fails with EMSGSIZE.",
        commit="ce7c7fef1473",
        releases="6.6+",
    ),
    Trait.USO: About(
        means="UDP superpackets (UDP_L4) can be written to a TUN; without it the type is refused with EINVAL.",
        commit="860b7f27b8f7",
        releases="6.2+",
    ),
    Trait.USO_STRICT: About(
        means="A UDP superpacket must have NEEDS_CSUM, csum_offset 6 and no ECN bit, and the number of its segments is "
        "limited; without it the first three are not checked on a write.",
        commit="fc8b2a619469",
        releases="6.6+ 6.5.9+",
        needs=Trait.USO,
    ),
    Trait.USO_128: About(
        means="A UDP superpacket may have 128 segments, not 64.",
        commit="1382e3b6a350",
        releases="6.9+",
        needs=Trait.USO_STRICT,
    ),
    Trait.UDP_TUNNEL: About(
        means="Superpackets inside UDP tunnels can be written with a vnet header of 24 bytes or more; without it "
        "their types are refused.",
        commit="a2fb4bc4e2a6",
        releases="6.17+",
    ),
    Trait.CSUM_START_FLOOR: About(
        means="csum_start inside the first 20 bytes (40 for TCPV6) is refused; without it the checksum is written "
        "there, into the IP header.",
        commit="49d14b54a527",
        releases="6.12+ 6.11.3+",
    ),
    Trait.CSUM_START_CEILING: About(
        means="csum_start that becomes 65535 after the headroom of 64 bytes, the number for a missing transport "
        "header, is refused; without it only a larger one is.",
        commit="424f8416bb39",
        releases="6.4+ 6.3.4+ 6.1.30+",
    ),
    Trait.NOCSUM_MIN_LEN: About(
        means="Without NEEDS_CSUM 20 bytes (TCPV6: 40) of a typed packet count as IP header; without the trait the "
        "IP header counts as payload, and a packet with a payload of gso_size is accepted and lost.",
        commit="9181d6f8a2bb",
        releases="6.8+ 6.6.14+",
        implied_by=Trait.DISSECTED,
    ),
    Trait.DISSECTED: About(
        means="Without NEEDS_CSUM a typed packet is dissected: its IP version and protocol must be what the type says, "
        "or the write is refused, and in an IP or GRE tunnel those of the inner packet count; the version nibble is "
        "checked before the vnet header.",
        commit="44378d02c5aa",
        releases="7.3+ 7.2.11+",
    ),
    Trait.TSO_CSUM_CHECKED: About(
        means="csum_offset of a TCP superpacket must be 16, or the write is refused, and csum_start of a TCP or UDP "
        "superpacket must point at that header, or the packet is lost; without it both are ignored.",
        commit="89add40066f9",
        releases="6.11+ 6.10.5+ 6.6.46+ 6.1.107+ 5.15.167+",
    ),
    Trait.MIN_GSO_8: About(
        means="gso_size of a TCP superpacket is raised to 8: the packet is not cut where the sender said.",
        commit="c27c449d455a",
        releases="7.2+ 6.12.110+ 6.1.188+",
    ),
    Trait.NIBBLE_PULLED: About(
        means="The first byte of a packet is made linear before its version nibble is read.",
        commit="",
        releases="7.2+ 6.12.117+ 6.1.192+",
        unseen="the first byte of what write(2) hands over is always linear",
    ),
    Trait.HBH_JUMBO_STRIP: About(
        means="A hop-by-hop header with nothing but a jumbo payload option is removed from an IPv6 TCP superpacket "
        "over 65536 bytes; without it every segment has a copy.",
        commit="09f3d1a3a52c",
        releases="5.19-6.18",
    ),
    Trait.BIGTCP_CSUM: About(
        means="TCP checksums of superpackets over 65535 bytes are right; without it all are off by one.",
        commit="82a01ab35bd0",
        releases="6.4+ 6.3.8+ 6.1.34+",
    ),
    Trait.ACCECN_CWR: About(
        means="CWR stays on all segments of a superpacket with the AccECN mark.",
        commit="023af5a72ab1",
        releases="6.15+",
        unseen="no type of a vnet header sets the mark up to 7.3; only GRO does",
    ),
    Trait.TOTLEN0: About(
        means="A TCP superpacket with an IPv4 total length of 0 is taken at its actual length; without it the packet "
        "is lost in the IP layer.",
        commit="b1a78b9b9886",
        releases="6.3+",
    ),
    Trait.PAYLEN0: About(
        means="A TCP superpacket with an IPv6 payload length of 0 is taken at its actual length; without it the packet "
        "is lost in the IP layer.",
        commit="b2936b4fd562",
        releases="7.0+ 6.12.115+",
    ),
    Trait.FRAG_CSUM_START: About(
        means="A packet with a partial checksum whose csum_start is inside the IP header is lost when it has to be "
        "fragmented; without it the checksum is written there first.",
        commit="",
        releases="7.3+ 7.2.11+ 6.12.113+ 6.1.190+",
    ),
    Trait.GSO_SEGS_COUNTED: About(
        means="gso_max_segs of the outgoing link limits what a reader gets whole; without it the segments of frames "
        "that were written to a TUN are never counted.",
        commit="be1b70ab21cb",
        releases="6.19+",
    ),
    Trait.LINEAR_CAPPED: About(
        means="With hdr_len 0 the first 3712 bytes of a long frame are linear; without it the whole frame is, which "
        "shows in the hdr_len that a reader gets.",
        commit="6231e47b6fad",
        releases="6.6+",
    ),
    Trait.VNET_PAD: About(
        means="Bytes 10 and up of a longer vnet header are zero when it is read; without it they are whatever the "
        "reader's buffer held.",
        commit="4adf74971018",
        releases="6.15+",
    ),
    Trait.BACKPRESSURE: About(
        means="A TUN can be opened with IFF_BACKPRESSURE.",
        commit="",
        releases="7.3+",
        unseen="it is a flag of TUNSETIFF: no frame shows it",
    ),
    Trait.HBH_JUMBO_ETHERNET: About(
        means="A jumbo payload option is removed as if an Ethernet header preceded the packet: the first 14 bytes "
        "of TCP are overwritten.",
        commit="09f3d1a3a52c",
        releases="5.19-6.2",
        regression=True,
        fixed="89300468e2b2",
        symptom="breaks IPv6 superpackets over 65536 bytes that are written to a TUN: the regression of Linux 5.19",
        effect="Segments have the wrong ports, or are lost, depending on the sequence number.",
        needs=Trait.HBH_JUMBO_STRIP,
    ),
    Trait.GSO_REMAINDER_CHECKED: About(
        means="A frame with NEEDS_CSUM and a gso_size is refused unless its whole length, headers included, divided by "
        "gso_size leaves no remainder or one that is larger than the headers.",
        commit="e269d79c7d35",
        releases="6.10.3-6.10.4 6.6.44-6.6.45 6.1.103-6.1.106 5.15.165-5.15.166",
        regression=True,
        fixed="89add40066f9",
        symptom="refuses legal superpackets whose length, headers included, leaves a small remainder: the regression "
        "of Linux 6.6.44",
        effect="Legal superpackets are refused with EINVAL, depending on length: throughput of tunnels collapses.",
    ),
    Trait.NOCSUM_CSUM_OFFSET: About(
        means="A TCP superpacket without NEEDS_CSUM is refused unless its csum_offset, which nothing uses, is 16.",
        commit="89add40066f9",
        releases="6.10.5-6.10.10 6.6.46-6.6.51 6.1.107-6.1.110",
        regression=True,
        fixed="6513eb3d3191",
        symptom="refuses TCP superpackets without NEEDS_CSUM unless their csum_offset, which nothing uses, is 16: the "
        "regression of Linux 6.6.46",
        effect="Writers that leave NEEDS_CSUM out get EINVAL for every superpacket.",
    ),
    Trait.TUNNEL_OUTER_ETHERNET: About(
        means="The offset of an outer transport header is checked as if an Ethernet header preceded the packet: "
        "a plain outer IP header is refused on a TUN.",
        commit="a2fb4bc4e2a6",
        releases="6.17+",
        regression=True,
        symptom="refuses superpackets inside UDP tunnels with a plain outer IP header: the regression of Linux 6.17",
        effect="Superpackets inside UDP tunnels work on a TUN only with 16 bytes of outer IP options.",
        needs=Trait.UDP_TUNNEL,
    ),
    Trait.TUNNEL_READ_EFAULT: About(
        means="A reader that enables UDP tunnels (TUN_F_UDP_TUNNEL_GSO) with a vnet header under 24 bytes gets EFAULT "
        "for every packet.",
        commit="288f30435132",
        releases="6.17+",
        regression=True,
        symptom="fails every read if the reader enables UDP tunnels with a vnet header under 24 bytes: the regression "
        "of Linux 6.17",
        effect="Every read fails, and every packet is lost, until the offload or the header size is changed.",
        needs=Trait.UDP_TUNNEL,
    ),
    Trait.DATA_VALID_LOST: About(
        means="DATA_VALID is missing from packets whose checksum the kernel knows to be right.",
        commit="a2fb4bc4e2a6",
        releases="6.17-6.17.10",
        regression=True,
        fixed="1cd1c472343b",
        symptom="does not set DATA_VALID for checksums that it knows to be right: the regression of Linux 6.17",
        effect="Readers verify checksums again that the kernel has already verified.",
    ),
    Trait.EXTENSIONS_READ_AS_TCP: About(
        means="A forwarded TCP superpacket is lost unless what follows its IPv6 header and hop-by-hop options "
        "looks like a TCP header, although more extension headers may follow.",
        commit="7fb4c1967011",
        releases="7.1+ 7.0.10+ 6.12.117+",
        regression=True,
        symptom="loses forwarded IPv6 superpackets with destination options or a routing header, depending on the "
        "first bytes of TCP: the regression of Linux 7.1",
        effect="Connections through a router stall while their sequence numbers are low, whether the superpackets were "
        "written to a TUN or merged by GRO.",
    ),
    Trait.READ_STACK_LEAK: About(
        means="Bytes 10 to 23 of the vnet header of packets outside tunnels are left over from the kernel's stack.",
        commit="288f30435132",
        releases="6.17-6.18",
        regression=True,
        fixed="7f2fcff15e99",
        symptom="leaves bytes of its stack in long vnet headers: the regression of Linux 6.17",
        effect="Kernel memory leaks to the reader of the TUN.",
        unseen="kernels that are built to clear their stack, as distributions do, show zeros",
    ),
}


def traits_of(release: str) -> Traits:
    """Return the traits that a release is known to have: "6.12.43", or as uname gives it. Raises `ValueError`.

    Distributions backport: what such a kernel does can only be probed.
    """
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", release)
    if found is None:
        raise ValueError(f"{release!r} does not begin with a kernel's version, such as 6.12.43")
    version = tuple(int(number or 0) for number in found.groups())
    return frozenset(
        trait for trait, about in ABOUT.items() if any(_has(version, releases) for releases in about.releases.split())
    )


def observable(traits: Traits) -> Traits:
    """Return the part of a set of traits that shows from outside: kernels for which it is equal behave alike.

    It omits what no frame can detect and what lacks a trait that it needs, and includes what another one implies.
    """
    implied = {trait for trait, about in ABOUT.items() if about.implied_by in traits}
    return frozenset(trait for trait in traits | implied if not ABOUT[trait].unseen and _shows(trait, traits))


def _shows(trait: Trait, traits: Traits) -> bool:
    """Whether a kernel has all that a trait needs to show, and all that those need."""
    needs = ABOUT[trait].needs
    return needs is None or (needs in traits and _shows(needs, traits))


def _has(version: tuple[int, ...], releases: str) -> bool:
    if not releases.endswith("+"):
        first, _, last = releases.partition("-")
        return _numbers(first) <= version and version[: last.count(".") + 1] <= _numbers(last)
    since = _numbers(releases[:-1])
    return since <= version and (len(since) == 2 or version[:2] == since[:2])


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))
