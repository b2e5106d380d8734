"""Classes of bugs in checksums, in the vnet header by itself, and in packets that are written as they are."""

from tunproof.corpus.model import Flag

__all__ = ["VALUES"]

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_WIREGUARD = "https://github.com/WireGuard/wireguard-go/commit/"

VALUES = {
    "SumInBlocks": Flag(
        description="A checksum that adds many bytes at a time, at lengths close to its block size.",
        effect="Packets of certain lengths fail their checksum: the connection hangs on one of them.",
        links=(_WIREGUARD + "895d6c2", _WIREGUARD + "305a817", _WIREGUARD + "9793666c", _WIREGUARD + "8ccfeec"),
    ),
    "SumCarry": Flag(
        description="A carry out of 16, 32 or 64 bits is added back in, as often as it takes.",
        effect="One packet in a few thousand fails its checksum, and so does each retransmission of it.",
        links=("https://www.rfc-editor.org/rfc/rfc1071#section-2", _WIREGUARD + "9793666c"),
    ),
    "SumZero": Flag(
        description="A sum folds to 0x0000 only if all words are zero; any other multiple of 0xFFFF folds to 0xFFFF.",
        effect="A checksum of 0x0000 is stored where 0xFFFF belongs or the reverse; for UDP that means none at all.",
        links=("https://github.com/firezone/firezone/pull/14110", "https://www.rfc-editor.org/rfc/rfc1624#section-3"),
    ),
    "SumByteOrder": Flag(
        description="Words are summed in network order, or the sum is swapped once at the end.",
        effect="No packet has a correct checksum on little-endian machines.",
        links=("https://www.rfc-editor.org/rfc/rfc1071#section-2",),
    ),
    "SumGoesOn": Flag(
        description="A sum continues from another one: that of the pseudo-header, or of the headers.",
        effect="Every segment is dropped by its receiver, because addresses or headers are not covered.",
        links=("https://github.com/tun-rs/tun-rs/commit/9dce8c86",),
    ),
    "VnetLayout": Flag(
        description="Each field of the vnet header has its own offset and width.",
        effect="A kernel refuses everything, or cuts at the size of the headers.",
        links=("https://docs.oasis-open.org/virtio/virtio/v1.3/virtio-v1.3.html",),
    ),
    "VnetByteOrder": Flag(
        description="The fields are in the byte order of the device, both when read and when written.",
        effect="One side of a program reads what the other writes with swapped bytes; on a device set to the other "
        "order nothing works.",
    ),
    "VnetSize": Flag(
        description="A vnet header has 10, 12 or 24 bytes: only the device knows which.",
        effect="Every packet is shifted by two or fourteen bytes, or two sides disagree about the room for the header.",
        links=("https://github.com/microsoft/openvmm/pull/2996", "https://github.com/containers/libkrun/pull/493"),
    ),
    "VnetUnknownBits": Flag(
        description="Unknown bits and numbers are preserved.",
        effect="A type of a newer kernel is mistaken for an older one, and its packets are cut wrong, not rejected.",
    ),
    "NarrowingCast": Flag(
        description="A number that does not fit its field is refused, not truncated to its low bits.",
        effect="A length of 65536 goes out as 0.",
        links=("https://github.com/tun-rs/tun-rs/commit/0d4fedc8", _NEBULA),
    ),
    "DataValid": Flag(
        description="A writer must not set DATA_VALID: a TUN ignores it, and checksums are still verified.",
        effect="A packet with a wrong checksum is expected to pass, but the receiver drops it.",
        links=(_NEBULA,),
    ),
    "EmptyWrite": Flag(
        description="Writing an empty packet succeeds, and nothing reaches the device.",
        effect="A crash on the missing first byte, or a vnet header without a packet.",
        links=(_NEBULA, "https://github.com/amnezia-vpn/amneziawg-go/issues/141"),
    ),
    "WrittenAsItIs": Flag(
        description="A plain packet is written byte for byte: no checksum computed or repaired, no field inspected.",
        effect="Fragments, options or damaged packets are dropped or repaired on the way, or crash the writer.",
    ),
}
