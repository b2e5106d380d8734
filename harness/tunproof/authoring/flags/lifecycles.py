"""Classes of bugs in the life of containers and queues."""

from tunproof.corpus.model import Flag

__all__ = ["LIFECYCLES"]

_NEBULA = "https://github.com/slackhq/nebula/pull/1704"
_WIREGUARD = "https://github.com/WireGuard/wireguard-go/commit/"
_FIREZONE = "https://github.com/firezone/firezone/"
_TUN_RS = "https://github.com/tun-rs/tun-rs/"

LIFECYCLES: dict[str, Flag] = {
    "UseAfterClose": Flag(
        description="Every call after close reports that the queue is closed.",
        effect="A crash while a tunnel is taken down, or bytes go to an fd that has since been reused.",
        links=(_WIREGUARD + "ec8f6f82", _NEBULA),
    ),
    "DoubleClose": Flag(
        description="Closing twice is harmless.",
        effect="The second close crashes, or closes the fd of another part of the program.",
        links=(_WIREGUARD + "0f4809f3",),
    ),
    "CloseWakes": Flag(
        description="Close wakes every call that waits in the queue, and each call returns.",
        effect="A program hangs when it is stopped, or a reader and close race over a reused fd number.",
        links=(_NEBULA,),
    ),
    "ParkedReader": Flag(
        description="A reader that is waiting when the container is closed releases its fd.",
        effect="The device cannot be opened again, or the old reader takes the first packets of the next session.",
        links=(_FIREZONE + "pull/14633",),
    ),
    "DescriptorLeak": Flag(
        description="Opening and closing, and opening that fails halfway, leave no fd behind.",
        effect="After a few thousand reconnects the process runs out of fds.",
        links=(_NEBULA, _WIREGUARD + "eae5e0f3", _FIREZONE + "commit/fa597432"),
    ),
    "AddAfterClose": Flag(
        description="A closed container accepts no more fds.",
        effect="A queue is never closed, and waits for an event that never comes.",
        links=(_NEBULA,),
    ),
    "AddRefusedHalfway": Flag(
        description="A refused fd stays the caller's, open and unchanged.",
        effect="The caller closes it a second time, or tries the other backend on an fd that is gone.",
        links=(_NEBULA, _WIREGUARD + "eae5e0f3"),
    ),
    "HeaderAssumed": Flag(
        description="Whether an fd has vnet headers is read from the fd, not assumed from the flags meant for opening "
        "it.",
        effect="Every packet is misread by ten bytes: unknown IP version 0.",
        links=(
            _NEBULA,
            "https://github.com/apernet/hysteria/issues/1549",
            _FIREZONE + "commit/3e161b83",
            "https://github.com/expressvpn/lightway/pull/465",
        ),
    ),
    "HeaderSizeInherited": Flag(
        description="A device may have vnet headers of 12 bytes, left by a previous user: TUNGETVNETHDRSZ tells.",
        effect="Every packet is shifted by two bytes.",
        links=("https://github.com/microsoft/openvmm/pull/2996",),
    ),
    "OffloadsInherited": Flag(
        description="Offloads belong to the device, and outlive a user of it: an implementation that cannot read "
        "superpackets must turn them off.",
        effect="Ping works and bulk TCP does not: superpackets arrive without a header to identify them.",
        links=(_TUN_RS + "pull/141", "https://github.com/hermit-os/uhyve/pull/1369"),
    ),
    "OffloadsLowered": Flag(
        description="TUNSETOFFLOAD is device-wide: adding a queue must not turn off what the others rely on.",
        effect="Throughput collapses when a second queue is added.",
        links=(_NEBULA,),
    ),
    "UsoRefusalIsFatal": Flag(
        description="TUNSETOFFLOAD tells whether a kernel has USO, its version does not; without USO there is still "
        "TSO.",
        effect="No offload at all on kernels before 6.2; or no USO on a kernel that has it but whose version is "
        "misread.",
        links=("https://github.com/SagerNet/sing-tun/commit/35b5747b", _FIREZONE + "commit/1bd7d59c"),
    ),
    "UdpCutIntoFragments": Flag(
        description="A UDP superpacket from a packet socket or a TUN (untrusted, SKB_GSO_DODGY) that leaves through a "
        "device with USO is cut into datagrams, or passed on whole with its type.",
        effect="It is refused, or sent as IP fragments of one datagram, which receivers drop (Linux 6.2 to 6.4).",
        links=("https://git.kernel.org/torvalds/c/9840036786d9",),
    ),
    "PartialChecksumUnasked": Flag(
        description="TUN_F_CSUM says that the reader handles partial checksums; one that does not must not set it.",
        effect="Packets with an unfinished checksum are passed on, and their receivers drop them.",
        links=("https://github.com/firecracker-microvm/firecracker/issues/4659",),
    ),
    "DeviceVanished": Flag(
        description="The device is deleted from outside (EBADFD): the queue has ended, and every call reports it.",
        effect="The reader spins, or the process dies.",
        links=(_WIREGUARD + "99e8b4ba",),
    ),
    "LinkDownIsFatal": Flag(
        description="A link that is down (EIO) loses packets, but can come up again.",
        effect="The tunnel stops for good when its interface is set down and up again.",
        links=("https://github.com/masipcat/wireguard-go-docker/issues/25",),
    ),
    "LargeDescriptor": Flag(
        description="An fd may have a number of 1024 or more, which `select` cannot handle.",
        effect="Memory past a bitmap is overwritten, but only in programs with many connections.",
        links=(_TUN_RS + "commit/62995b2c", _TUN_RS + "commit/c0c2ac38"),
    ),
    "LentTooLong": Flag(
        description="A packet that was read keeps its bytes until the next read, and never shows another packet's.",
        effect="Data of one connection appears in another.",
        links=(_NEBULA,),
    ),
    "LentOverrun": Flag(
        description="A packet that was read can be grown without overwriting the next one.",
        effect="A consumer that appends a tag destroys the next segment.",
        links=(_NEBULA,),
    ),
    "BadFrameStopsReader": Flag(
        description="A frame that cannot be read is dropped, and the next one is read.",
        effect="One odd packet ends the tunnel, or all packets vanish without a trace.",
        links=(_NEBULA,),
    ),
    "EmptyIsNoEnd": Flag(
        description="An empty datagram is not the end of a wire, and the end is not an empty datagram.",
        effect="A reader stops for no reason, or spins on a wire that is gone.",
    ),
    "WriterState": Flag(
        description="Nothing of one write is left for the next: headers, fragments, offsets.",
        effect="A plain packet after a superpacket is cut, or carries bytes of the superpacket.",
        links=(_NEBULA, _TUN_RS + "commit/56921af1"),
    ),
    "WriteOrder": Flag(
        description="Packets leave in the order in which they were written, plain ones and superpackets alike.",
        effect="Fragments and retransmissions overtake data, and receivers drop it.",
        links=(_NEBULA,),
    ),
    "ConcurrentWriters": Flag(
        description="Writers that wait at the same time share nothing.",
        effect="A wake-up is lost and one of them waits forever, or its packet is damaged.",
        links=(
            _NEBULA,
            "https://github.com/tailscale/tailscale/pull/13138",
            "https://github.com/tailscale/tailscale/pull/13172",
        ),
    ),
    "HeaderlessBackend": Flag(
        description="Without vnet headers packets are read and written bare, and superpackets are refused: nothing "
        "would say where to cut them and that their checksum is a partial.",
        effect="Ten bytes too many or too few whenever offload is switched off, or unfinished checksums.",
        links=(_TUN_RS + "commit/a75d6a49", "https://github.com/LekKit/RVVM/issues/84"),
    ),
}
