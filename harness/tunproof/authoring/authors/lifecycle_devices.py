"""Lives of containers and queues on real TUNs, in a separate namespace.

Not covered, because a container is given fds and opens nothing itself: a second process that attaches to a device by
its name, and an open that fails halfway. A kernel that refuses USO is one that lacks it: there the answers without
`tx-udp-segmentation` are the right ones. A TUN without IFF_NO_PI cannot be told from one with it by its fd: the bit
that TUNGETIFF returns there is IFF_NOFILTER, which has the same value and is always set for a TUN.
"""

from typing import Any

from scapy.layers.inet import TCP, UDP

from tunproof.authoring.draft import Topic, contract, kernel, uapi
from tunproof.authoring.lives import (
    CLOSED,
    CLOSED_FOR_GOOD,
    CONCURRENT,
    NOTHING_OPEN,
    REFUSED,
    ScriptLine,
    add_life,
    does,
    feed,
    feed_frame,
    gso_step,
    packet,
    read_gives,
    reader_gets,
    reader_is_woken,
    reader_waits,
    reads,
    refused,
    taken,
    whole,
    write,
    writes,
)
from tunproof.corpus.script import (
    Add,
    Close,
    CloseQueue,
    Count,
    Down,
    LetGo,
    Link,
    Names,
    Offloads,
    OpenOther,
    OpenTun,
    Queues,
    Read,
    Renew,
    TunFlag,
)
from tunproof.packets.builder import ip4, ip6, payload, pieces, plain, superpacket

_TUN = uapi("include/uapi/linux/if_tun.h", "TUNGETIFF, TUNSETOFFLOAD, TUNGETVNETHDRSZ")
devices = Topic(
    "lifecycle", "devices", requires=("lifecycle.device",), basis=(_TUN, contract("Container.add, A1 to A7"))
)
links = Topic(
    "lifecycle",
    "links",
    requires=("lifecycle.device",),
    basis=(kernel("tun_get_user, tun_do_read", "drivers/net/tun.c"),),
)
TOPICS = (devices, links)

_TSO = ("tx-tcp-segmentation", "tx-tcp6-segmentation")
_ALL = Names(names=(*_TSO, "tx-udp-segmentation"))
_TSO_ONLY = Names(names=_TSO)  # a kernel without USO
_NONE = Names(names=())
_VNET: tuple[TunFlag, ...] = ("TUN", "NO_PI", "VNET_HDR")
_BARE: tuple[TunFlag, ...] = ("TUN", "NO_PI")
_ONE_TUN = "lifecycle/links/down-and-up-offload"  # one TUN and plain packets: it requires no superpackets


def _open(fd: str, *flags: TunFlag, **options: Any) -> ScriptLine:
    return does(OpenTun(fd=fd, device="tun0", flags=flags, **options))


def _added(fd: str, *flags: TunFlag, **options: Any) -> tuple[ScriptLine, ScriptLine]:
    return _open(fd, *flags, **options), does(Add(fd=fd))


def _link(state: str) -> ScriptLine:
    return does(Link(device="tun0", state=state))  # type: ignore[arg-type]


def _offloads(*right: Names) -> ScriptLine:
    return does(Offloads(device="tun0"), *right)


_SAME_OFFLOADS = does(Offloads(device="tun0", changed=True), _NONE)


_GSO = pieces(ip4() / TCP(flags="PA"), [payload(100, seed=1), payload(100, seed=2), payload(7, seed=3)])
_DATA = payload(250, seed=4)
_SUPER = superpacket(ip4(id=5) / TCP(flags="A", seq=100), _DATA, gso_size=100)
_CUT = tuple(
    bytes(ip4(id=5 + index) / TCP(flags="A", seq=100 + 100 * index) / _DATA[100 * index : 100 * index + 100])
    for index in range(3)
)
_BOTH_WAYS = (
    write("a", packet(1)),
    does(gso_step("a", _GSO)),
    taken("a", packet(1), whole(_GSO)),
    feed("a", packet(2)),
    feed_frame("a", _SUPER),
    read_gives("a", packet(2)),
    read_gives("a", *_CUT),
)
_DATAGRAMS = pieces(ip4() / UDP(sport=7), [payload(25, seed=5), payload(25, seed=6)])
_UDP_DATA = payload(300, seed=7)


def _udp_super(length: int) -> bytes:
    """Return the frame of a UDP superpacket with this many bytes of payload."""
    return superpacket(ip4(id=5) / UDP(sport=7), _UDP_DATA[:length], gso_size=100)


def _udp_cut(length: int) -> tuple[bytes, ...]:
    """Return the datagrams of that superpacket."""
    starts = range(0, length, 100)
    return tuple(
        bytes(ip4(id=5 + index) / UDP(sport=7) / _UDP_DATA[start : min(start + 100, length)])
        for index, start in enumerate(starts)
    )


_PARTIAL = plain(ip6() / UDP(sport=7), payload(20))
_COMPLETE = bytes(ip6() / UDP(sport=7) / payload(20))

add_life(
    devices,
    "one-queue",
    "A TUN is added, gets its offloads, and superpackets go through it both ways.",
    *_added("a", *_VNET),
    _offloads(_ALL, _TSO_ONLY),
    _link("up"),
    *_BOTH_WAYS,
    *CLOSED_FOR_GOOD,
    flags=("Basic", "UsoRefusalIsFatal"),
    requires=("gso.tcp4",),
    importance="critical",
)
add_life(
    devices,
    "plain",
    "A TUN without vnet headers: packets go through it bare, and what is read is already completed and cut.",
    *_added("a", *_BARE),
    _offloads(_NONE),
    _link("up"),
    *writes("a", packet(1)),
    feed_frame("a", _PARTIAL),
    feed_frame("a", _SUPER),
    read_gives("a", _COMPLETE),
    *(read_gives("a", one) for one in _CUT),
    *CLOSED_FOR_GOOD,
    backend="plain",
    flags=("HeaderlessBackend", "PartialChecksumUnasked"),
    requires=("lifecycle.plain",),
)
add_life(
    devices,
    "offload-without-header",
    "A backend that needs vnet headers refuses a TUN without them when it is added, not when it is first used.",
    _open("a", *_BARE),
    does(Add(fd="a"), REFUSED),
    does(Queues(), Count(count=0)),
    does(LetGo(fd="a")),
    NOTHING_OPEN,
    flags=("HeaderAssumed", "AddRefusedHalfway", "DescriptorLeak"),
    sibling="header-of-the-first-queue",
    importance="critical",
)
add_life(
    devices,
    "plain-with-header",
    "A backend without vnet headers refuses a TUN that has them.",
    _open("a", *_VNET),
    *refused("a"),
    NOTHING_OPEN,
    backend="plain",
    flags=("HeaderAssumed", "AddRefusedHalfway", "DescriptorLeak"),
    requires=("lifecycle.plain",),
    sibling="plain",
    importance="critical",
)
add_life(
    devices,
    "header-of-the-first-queue",
    "A second queue opened without IFF_VNET_HDR still has vnet headers if the device's first queue has them.",
    _open("a", *_VNET, "MULTI_QUEUE"),
    _open("b", *_BARE, "MULTI_QUEUE"),
    does(LetGo(fd="a")),
    does(Add(fd="b")),
    _link("up"),
    *writes("b", packet(1)),
    *reads("b", packet(2)),
    flags=("HeaderAssumed",),
)
add_life(
    devices,
    "no-header-of-the-first-queue",
    "A second queue opened with IFF_VNET_HDR has no vnet headers if the device's first queue has none: it is refused.",
    _open("a", *_BARE, "MULTI_QUEUE"),
    _open("b", *_VNET, "MULTI_QUEUE"),
    *refused("b"),
    does(LetGo(fd="a")),
    flags=("HeaderAssumed",),
    sibling="header-of-the-first-queue",
)
add_life(
    devices,
    "tap",
    "A TAP, whose frames are Ethernet, is refused and stays open.",
    _open("a", "TAP", "NO_PI", "VNET_HDR"),
    *refused("a"),
    NOTHING_OPEN,
    flags=("HeaderAssumed", "AddRefusedHalfway"),
    sibling=_ONE_TUN,
    level="should",
)
add_life(
    devices,
    "unattached",
    "An open /dev/net/tun without a device is refused and stays open.",
    does(OpenOther(fd="a", what="unattached-tun")),
    *refused("a"),
    NOTHING_OPEN,
    flags=("AddRefusedHalfway", "DescriptorLeak"),
    sibling=_ONE_TUN,
)
add_life(
    devices,
    "header-of-12-bytes",
    "A previous user left vnet headers of 12 bytes: packets are not shifted in either direction, whether the size is "
    "kept or set back.",
    *_added("a", *_VNET, header_size=12),
    _link("up"),
    *_BOTH_WAYS,
    flags=("HeaderSizeInherited",),
    requires=("gso.tcp4",),
)
add_life(
    devices,
    "second-queue",
    "Adding a second queue leaves the device's offloads as they are, and the first queue keeps working.",
    *_added("a", *_VNET, "MULTI_QUEUE"),
    _offloads(_ALL, _TSO_ONLY),
    *_added("b", *_VNET, "MULTI_QUEUE"),
    _SAME_OFFLOADS,
    _link("up"),
    does(gso_step("a", _GSO)),
    write("b", packet(1)),
    taken("a", whole(_GSO), packet(1)),
    does(CloseQueue(fd="b")),
    _SAME_OFFLOADS,
    feed_frame("a", _SUPER),
    read_gives("a", *_CUT),
    *CLOSED_FOR_GOOD,
    flags=("OffloadsLowered",),
    requires=("gso.tcp4",),
)
add_life(
    devices,
    "offloads-of-a-former-user",
    "A previous user of the device enabled superpackets and left: a backend that cannot read them gets them cut.",
    _open("x", *_VNET, offloads=True),
    does(LetGo(fd="x")),
    _offloads(_TSO_ONLY),
    *_added("a", *_BARE),
    _offloads(_NONE),
    _link("up"),
    feed_frame("a", _SUPER),
    *(read_gives("a", one) for one in _CUT),
    backend="plain",
    flags=("OffloadsInherited",),
    requires=("lifecycle.plain",),
    importance="critical",
)
add_life(
    devices,
    "as-much-as-a-former-user",
    "A previous user of the device enabled all offloads that the kernel has, and left: an implementation that handles "
    "UDP superpackets enables no fewer, whatever the kernel's version string says.",
    _open("x", *_VNET, uso=True),
    does(LetGo(fd="x")),
    _offloads(_ALL, _TSO_ONLY),
    *_added("a", *_VNET),
    _SAME_OFFLOADS,
    flags=("UsoRefusalIsFatal",),
    requires=("gso.udp4",),
    level="should",
)
add_life(
    devices,
    "udp-superpacket",
    "UDP superpackets go through a device with USO both ways, with a short and with an equal tail: no IP fragments "
    "come out, and no datagram has the length of the whole. An implementation that fails only here runs on a kernel "
    "with this bug.",
    *_added("a", *_VNET),
    _link("up"),
    feed_frame("a", _udp_super(250)),
    feed_frame("a", _udp_super(300)),
    read_gives("a", *_udp_cut(250)),
    read_gives("a", *_udp_cut(300)),
    does(gso_step("a", _DATAGRAMS)),
    taken("a", whole(_DATAGRAMS)),
    flags=("UdpCutIntoFragments",),
    requires=("gso.udp4",),
    level="should",
    basis=(kernel("udp4_ufo_fragment", "net/ipv4/udp_offload.c"),),
)
add_life(
    devices,
    "reader-parked-then-opened-again",
    "A container is closed while its reader waits: the device is free, and a new session reads its first packet.",
    *_added("a", *_VNET),
    reader_waits("a"),
    does(Close()),
    reader_is_woken("a"),
    NOTHING_OPEN,
    does(Renew()),
    *_added("b", *_VNET),
    _link("up"),
    *reads("b", packet(1)),
    flags=("ParkedReader",),
    requires=(CONCURRENT,),
)

# Links.

for _backend, _flags, _requires in (("offload", _VNET, ()), ("plain", _BARE, ("lifecycle.plain",))):
    _usual: dict[str, Any] = {"backend": _backend, "requires": (*_requires, CONCURRENT)}
    add_life(
        links,
        f"down-and-up-{_backend}",
        "A write to a link that is down fails, but not for good: once the link is up, the same write works.",
        *_added("a", *_flags),
        write("a", packet(1), Down()),
        _link("up"),
        write("a", packet(2)),
        _link("down"),
        write("a", packet(3), Down()),
        _link("up"),
        write("a", packet(4)),
        taken("a", packet(2), packet(4)),
        does(Close()),
        backend=_backend,
        requires=_requires,
        flags=("LinkDownIsFatal",),
    )
    add_life(
        links,
        f"deleted-{_backend}",
        "The device is deleted while a reader waits: reads and writes report that the queue has ended.",
        *_added("a", *_flags),
        _link("up"),
        reader_waits("a"),
        _link("gone"),
        reader_is_woken("a"),
        write("a", packet(1), CLOSED),
        does(Read(fd="a"), CLOSED),
        *CLOSED_FOR_GOOD,
        flags=("DeviceVanished",),
        **_usual,
    )
add_life(
    links,
    "down-and-up-under-a-reader",
    "A waiting reader survives the link going down and coming up again.",
    *_added("a", *_VNET),
    _link("up"),
    reader_waits("a"),
    _link("down"),
    _link("up"),
    feed("a", packet(1)),
    reader_gets("a", packet(1)),
    flags=("LinkDownIsFatal",),
    requires=(CONCURRENT,),
)
add_life(
    links,
    "superpacket-while-down",
    "A superpacket that fails because the link is down was not refused for what it is: offload stays on.",
    *_added("a", *_VNET),
    does(gso_step("a", _GSO), Down()),
    _link("up"),
    does(gso_step("a", _GSO)),
    taken("a", whole(_GSO)),
    flags=("LinkDownIsFatal",),
    requires=("gso.tcp4",),
)
add_life(
    links,
    "deleted-then-a-new-one",
    "A device is deleted, and another takes its name: the old queue stays closed, the new one works.",
    *_added("a", *_VNET),
    _link("gone"),
    write("a", packet(1), CLOSED),
    *_added("b", *_VNET),
    _link("up"),
    write("b", packet(2)),
    write("a", packet(1), CLOSED),
    taken("b", packet(2)),
    *CLOSED_FOR_GOOD,
    flags=("DeviceVanished",),
)
