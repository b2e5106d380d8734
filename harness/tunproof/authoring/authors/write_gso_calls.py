"""`write_gso` after other calls: nothing of one shows in the next."""

from dataclasses import replace

from scapy.layers.inet import IPOption

from tunproof.authoring.authors.write_gso_kinds import BASIS, KINDS, NOP, add, usual
from tunproof.authoring.authors.write_gso_superpackets import fragments, tcp
from tunproof.authoring.draft import ANY_KERNEL, Topic, contract, gso
from tunproof.packets.builder import GsoPieces, ip4, pieces

calls = Topic("write_gso", "calls", basis=BASIS)

_EACH_ALONE = contract("write_gso: nothing of one call shows in the next")
_GOOD = usual("tcp4", 8, 8, 4)
_BROKEN = replace(_GOOD, hdr=_GOOD.hdr[:10] + b"\xde\xad" + _GOOD.hdr[12:])
_AFTER: dict[str, tuple[str, GsoPieces, tuple[GsoPieces, ...], str]] = {
    "smaller-after-larger": (
        "tcp4",
        usual("tcp4", 8, 8, 4),
        (usual("tcp4", *[100] * 20),),
        "Fewer and smaller pieces than in the previous call: nothing of its tail is written again.",
    ),
    "after-a-refusal": (
        "tcp4",
        usual("tcp4", 8, 8, 4),
        (_BROKEN,),
        "The previous call was refused: nothing of it is written later.",
    ),
    "after-too-many-fragments": (
        "tcp4",
        usual("tcp4", 8, 8),
        (usual("tcp4", *[8] * 1022),),
        "The previous call had more pieces than fit, and none of them is left.",
    ),
    "udp-after-tcp": (
        "udp4",
        usual("udp4", 8, 8, 4),
        (usual("tcp4", 100, 100),),
        "UDP after TCP: type, csum_offset and hdr_len are UDP's.",
    ),
    "tcp-after-udp": (
        "tcp6",
        usual("tcp6", 8, 8, 4),
        (usual("udp6", 100, 100),),
        "TCP after UDP: type, csum_offset and hdr_len are TCP's.",
    ),
    "single-after-superpacket": (
        "tcp4",
        usual("tcp4", 100),
        (usual("tcp4", 100, 100, 50),),
        "A single fragment: type NONE, gso_size 0, whatever the previous call had.",
    ),
    "single-datagram-after-superpacket": (
        "udp6",
        usual("udp6", 100),
        (usual("udp6", 100, 100, 50),),
        "A single fragment: type NONE, gso_size 0, whatever the previous call had.",
    ),
    "superpacket-after-single": (
        "tcp6",
        usual("tcp6", 100, 100, 50),
        (usual("tcp6", 100),),
        "Several fragments after a single one have a type and a gso_size again.",
    ),
    "ipv6-after-ipv4": (
        "tcp6",
        usual("tcp6", 8, 8, 4),
        (usual("tcp4", 8, 8, 4),),
        "IPv6 after IPv4: type and csum_start are IPv6's.",
    ),
    "ipv4-after-ipv6": (
        "tcp4",
        usual("tcp4", 8, 8, 4),
        (usual("tcp6", 8, 8, 4),),
        "IPv4 after IPv6: type and csum_start are IPv4's.",
    ),
    "without-cwr-after-cwr": (
        "tcp4",
        usual("tcp4", 8, 8, 4),
        (pieces(ip4() / tcp("CA"), fragments(8, 8, 4)),),
        "The ECN qualifier goes with CWR, and is gone without it.",
    ),
    "without-options-after-options": (
        "tcp4",
        usual("tcp4", 8, 8, 4),
        (pieces(ip4(options=[IPOption(b"\1" * 40)]) / tcp(options=[NOP] * 40), fragments(8, 8, 4)),),
        "csum_start and hdr_len are those of short headers again.",
    ),
    "the-same-twice": (
        "tcp4",
        usual("tcp4", 100, 100, 50),
        (usual("tcp4", 100, 100, 50),),
        "The caller's headers are not changed: written again, they give the same result.",
    ),
}

for _name, (_kind, _first, _before, _about) in _AFTER.items():
    # A single datagram has no type, so every kernel accepts it.
    _kernels = ANY_KERNEL if len(_first.pays) == 1 else KINDS[_kind][2]
    add(calls, _kind, _name, _about, gso(_first, *_before), "StateBetweenCalls", basis=(_EACH_ALONE,), kernels=_kernels)
