"""Classes of bugs in the life of containers and queues."""

from tunproof.corpus.model import Flag

__all__ = ["LIFECYCLES"]

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_WIREGUARD = "https://github.com/WireGuard/wireguard-go/commit/"
_FIREZONE = "https://github.com/firezone/firezone/"
_TUN_RS = "https://github.com/tun-rs/tun-rs/"

LIFECYCLES: dict[str, Flag] = {
    "UseAfterClose": Flag(
        description="Every call after close answers that the queue is closed.",
        effect="A crash while a tunnel is taken down, or bytes go to a fd that is somebody else's by then.",
        links=(_WIREGUARD + "ec8f6f82", _NEBULA),
    ),
    "DoubleClose": Flag(
        description="Closing twice is harmless.",
        effect="The second close crashes, or closes the fd of another part of the program.",
        links=(_WIREGUARD + "0f4809f3",),
    ),
    "CloseWakes": Flag(
        description="Close ends whatever waits in the queue, with an answer.",
        effect="A program hangs when it is stopped, or a reader and close race for the number of the fd.",
        links=(_NEBULA,),
    ),
    "ParkedReader": Flag(
        description="A reader that waited when the container was closed lets go of the fd.",
        effect="The device cannot be opened again, or the old reader takes the first packets of the next session.",
        links=(_FIREZONE + "pull/14633",),
    ),
    "DescriptorLeak": Flag(
        description="Opening and closing, and opening that fails halfway, leave no fd behind.",
        effect="After some thousand reconnects the process runs out of fds.",
        links=(_NEBULA, _WIREGUARD + "eae5e0f3", _FIREZONE + "commit/fa597432"),
    ),
    "AddAfterClose": Flag(
        description="A container that was closed takes no fd any more.",
        effect="A queue that nobody closes, waiting on an event that never comes.",
        links=(_NEBULA,),
    ),
    "AddRefusedHalfway": Flag(
        description="A fd that is refused stays the caller's, open and as it was.",
        effect="The caller closes it a second time, or tries the other backend on a fd that is gone.",
        links=(_NEBULA, _WIREGUARD + "eae5e0f3"),
    ),
    "HeaderAssumed": Flag(
        description="Whether a fd has vnet headers is asked of the fd, not assumed from how it was to be opened.",
        effect="Every packet is misread by ten bytes: unknown IP version 0.",
        links=(
            _NEBULA,
            "https://github.com/apernet/hysteria/issues/1549",
            _FIREZONE + "commit/3e161b83",
            "https://github.com/expressvpn/lightway/pull/465",
        ),
    ),
    "HeaderSizeInherited": Flag(
        description="A device may have vnet headers of 12 bytes, left by a former user: TUNGETVNETHDRSZ tells.",
        effect="Every packet is shifted by two bytes.",
        links=("https://github.com/microsoft/openvmm/pull/2996",),
    ),
    "OffloadsInherited": Flag(
        description="Offloads belong to the device, and stay when a user of it goes: who cannot read superpackets must "
        "turn them off.",
        effect="Ping works and bulk TCP does not: superpackets arrive without a header that tells.",
        links=(_TUN_RS + "pull/141", "https://github.com/hermit-os/uhyve/pull/1369"),
    ),
    "OffloadsLowered": Flag(
        description="TUNSETOFFLOAD is device-wide: one more queue must not lower what the others rely on.",
        effect="Throughput collapses when a second queue is added.",
        links=(_NEBULA,),
    ),
    "UsoRefusalIsFatal": Flag(
        description="Whether there is USO is what TUNSETOFFLOAD answers, and not a version; without it there still is "
        "TSO.",
        effect="No offload at all on kernels before 6.2; or no USO on a kernel that has it, whose version is misread.",
        links=("https://github.com/SagerNet/sing-tun/commit/35b5747b", _FIREZONE + "commit/1bd7d59c"),
    ),
    "UdpCutIntoFragments": Flag(
        description="A UDP superpacket from a packet socket or a TUN (untrusted, SKB_GSO_DODGY) that leaves by a "
        "device with USO is cut into datagrams or handed over whole, with its type.",
        effect="It is refused, or sent as IP fragments of one datagram, which receivers drop (Linux 6.2 to 6.4).",
        links=("https://git.kernel.org/torvalds/c/9840036786d9",),
    ),
    "PartialChecksumUnasked": Flag(
        description="TUN_F_CSUM says that the reader can take partial checksums; one that cannot must not set it.",
        effect="Packets with an unfinished checksum are passed on, and dropped by whoever gets them.",
        links=("https://github.com/firecracker-microvm/firecracker/issues/4659",),
    ),
    "DeviceVanished": Flag(
        description="The device is deleted from outside (EBADFD): that is the end of the queue, said to each caller.",
        effect="The reader spins, or the process dies.",
        links=(_WIREGUARD + "99e8b4ba",),
    ),
    "LinkDownIsFatal": Flag(
        description="A link that is down (EIO) loses packets, and comes up again.",
        effect="The tunnel stops for good when somebody sets its interface down and up.",
        links=("https://github.com/masipcat/wireguard-go-docker/issues/25",),
    ),
    "LargeDescriptor": Flag(
        description="A fd may have a number of 1024 and more, which `select` cannot take.",
        effect="Memory behind a bitmap is overwritten, in programs with many connections only.",
        links=(_TUN_RS + "commit/62995b2c", _TUN_RS + "commit/c0c2ac38"),
    ),
    "LentTooLong": Flag(
        description="A packet that was read shows its own bytes until the next read, and never another packet's.",
        effect="Data of one connection appears in another.",
        links=(_NEBULA,),
    ),
    "LentOverrun": Flag(
        description="A packet that was read ends where it ends: to grow it does not write into the next one.",
        effect="A consumer that appends a tag destroys the segment behind.",
        links=(_NEBULA,),
    ),
    "BadFrameStopsReader": Flag(
        description="A frame that cannot be read is dropped, and the next one is read.",
        effect="One odd packet ends the tunnel, or all packets vanish without a trace.",
        links=(_NEBULA,),
    ),
    "EmptyIsNoEnd": Flag(
        description="An empty datagram is not the end of a wire, and the end is no empty datagram.",
        effect="A reader stops for nothing, or spins on a wire that is gone.",
    ),
    "WriterState": Flag(
        description="What one write needed is gone before the next: headers, fragments, offsets.",
        effect="A plain packet behind a superpacket is cut, or carries bytes of the one before.",
        links=(_NEBULA, _TUN_RS + "commit/56921af1"),
    ),
    "WriteOrder": Flag(
        description="Packets leave in the order in which they were written, plain ones and superpackets alike.",
        effect="Fragments and retransmissions overtake data, and receivers drop it.",
        links=(_NEBULA,),
    ),
    "ConcurrentWriters": Flag(
        description="Writers that wait at the same time share nothing.",
        effect="A wake-up is lost and one of them waits for ever, or its packet is damaged.",
        links=(
            _NEBULA,
            "https://github.com/tailscale/tailscale/pull/13138",
            "https://github.com/tailscale/tailscale/pull/13172",
        ),
    ),
    "HeaderlessBackend": Flag(
        description="Without vnet headers packets are read and written bare, and superpackets are refused, for nothing "
        "says where they are cut and that their checksum is a partial.",
        effect="Ten bytes too many or too few whenever offload is switched off, or unfinished checksums.",
        links=(_TUN_RS + "commit/a75d6a49", "https://github.com/LekKit/RVVM/issues/84"),
    ),
}
