"""Classes of bugs in single fields of IP, TCP and UDP headers, and in what one call leaves behind for the next."""

from tunproof.corpus.model import Flag

__all__ = ["PACKETS"]

PACKETS: dict[str, Flag] = {
    "HeaderChecksumZero": Flag(
        description="An IPv4 header whose checksum computes to 0x0000: it is stored as such, not as 0xFFFF.",
        effect="Updating the old checksum instead of recomputing it gives 0xFFFF, which strict receivers drop.",
        links=("https://www.rfc-editor.org/rfc/rfc1624#section-3",),
    ),
    "MinusZero": Flag(
        description="One's complement has two zeros: a partial that adjusts to 0xFFFF, and data that sums to zero "
        "or to all ones.",
        effect="One packet in 65535, or every packet of zeros, gets a checksum that does not verify.",
        links=(
            "https://github.com/firezone/firezone/pull/14110",
            "https://github.com/firezone/firezone/commit/b5c7b674",
        ),
    ),
    "FinalDestination": Flag(
        description="A source route with hops left: the pseudo-header names the last hop, the IP header the next one. "
        "The given partial is adjusted, never recomputed from the IP header.",
        effect="Source-routed segments arrive with a wrong checksum.",
        links=("https://www.rfc-editor.org/rfc/rfc8200#section-8.1",),
    ),
    "UnknownNextHeader": Flag(
        description="An extension chain that leads to something other than the protocol of the type: AH, ESP, "
        "No Next Header, Mobility, HIP, Shim6, an unknown number.",
        effect="Bytes of an authentication or mobility header are rewritten as ports and sequence numbers.",
    ),
    "TcpFieldsCopied": Flag(
        description="Ports, acknowledgment, window and urgent pointer are copied to every segment as they are.",
        effect="Acknowledgments or window updates are lost, or urgent data is expected in the wrong place.",
    ),
    "StateBetweenCalls": Flag(
        description="State that one call leaves behind (type, gso_size, checksum fields, pieces) shows in the next.",
        effect="A packet goes out with the vnet header of another: refused, cut in the wrong places, or summed twice.",
        links=("https://github.com/tun-rs/tun-rs/commit/56921af1",),
    ),
}
