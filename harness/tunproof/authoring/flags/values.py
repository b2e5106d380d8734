"""Classes of bugs in checksums, in the vnet header by itself, and in packets that are written as they are."""

from tunproof.corpus.model import Flag

__all__ = ["VALUES"]

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_WIREGUARD = "https://github.com/WireGuard/wireguard-go/commit/"

VALUES = {
    "SumInBlocks": Flag(
        description="A checksum that adds many bytes at a time, at lengths next to the size of a block.",
        effect="Packets of some lengths fail their checksum, others do not: the connection hangs on one of them.",
        links=(_WIREGUARD + "895d6c2", _WIREGUARD + "305a817", _WIREGUARD + "9793666c", _WIREGUARD + "8ccfeec"),
    ),
    "SumCarry": Flag(
        description="A carry out of 16, 32 or 64 bits is added in again, as often as it takes.",
        effect="One packet in some thousand fails its checksum, and so does each copy of it that is sent again.",
        links=("https://www.rfc-editor.org/rfc/rfc1071#section-2", _WIREGUARD + "9793666c"),
    ),
    "SumZero": Flag(
        description="A sum folds to 0x0000 only where all words are zero; what else is zero modulo 0xFFFF is 0xFFFF.",
        effect="A checksum of 0x0000 is stored where 0xFFFF belongs or the reverse; for UDP that means none at all.",
        links=("https://github.com/firezone/firezone/pull/14110", "https://www.rfc-editor.org/rfc/rfc1624#section-3"),
    ),
    "SumByteOrder": Flag(
        description="Words are summed in network order, or the sum is swapped once in the end.",
        effect="No packet has a right checksum on little-endian machines.",
        links=("https://www.rfc-editor.org/rfc/rfc1071#section-2",),
    ),
    "SumGoesOn": Flag(
        description="A sum goes on from another one: the pseudo-header's, or that of the headers.",
        effect="Every segment is dropped by its receiver, because addresses or headers are not covered.",
        links=("https://github.com/tun-rs/tun-rs/commit/9dce8c86",),
    ),
    "VnetLayout": Flag(
        description="Each field of the vnet header at its own offset, in its own width.",
        effect="A kernel refuses everything, or cuts at the size of the headers.",
        links=("https://docs.oasis-open.org/virtio/virtio/v1.3/virtio-v1.3.html",),
    ),
    "VnetByteOrder": Flag(
        description="The fields are in the byte order of the device, for reading and writing alike.",
        effect="What one side of a program writes its other side reads with swapped bytes; on a device that was set to "
        "the other order nothing works.",
    ),
    "VnetSize": Flag(
        description="A vnet header has 10, 12 or 24 bytes: what the device says, nothing else.",
        effect="Every packet is shifted by two or fourteen bytes, or the header room of two sides does not match.",
        links=("https://github.com/microsoft/openvmm/pull/2996", "https://github.com/containers/libkrun/pull/493"),
    ),
    "VnetUnknownBits": Flag(
        description="Bits and numbers that nobody knows yet are kept as they are.",
        effect="A type of a newer kernel is taken for an older one, and its packets are cut wrong instead of refused.",
    ),
    "NarrowingCast": Flag(
        description="A number that does not fit its field is refused, not cut to its low bits.",
        effect="A length of 65536 goes out as 0.",
        links=("https://github.com/tun-rs/tun-rs/commit/0d4fedc8", _NEBULA),
    ),
    "DataValid": Flag(
        description="DATA_VALID is not a writer's to set: a TUN ignores it, and checksums are verified all the same.",
        effect="A packet with a wrong checksum is believed to pass, and is dropped by the receiver.",
        links=(_NEBULA,),
    ),
    "EmptyWrite": Flag(
        description="Writing an empty packet succeeds, and nothing reaches the device.",
        effect="A crash on the first byte that is not there, or a vnet header without a packet.",
        links=(_NEBULA, "https://github.com/amnezia-vpn/amneziawg-go/issues/141"),
    ),
    "WrittenAsItIs": Flag(
        description="A plain packet is written byte for byte: no checksum made or mended, no field looked at.",
        effect="Fragments, options or damaged packets are dropped or repaired on the way, or crash the writer.",
    ),
}
