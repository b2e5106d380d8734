"""The numbered cases of a campaign: which frame case 4711 of seed 1 is, and which path it takes.

Cases come in blocks. A block is determined by the seed and its own number, so shards can begin and end at any block and
run the same. All cases of a block take one path, and share some templates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from tio.linux import FORWARD, REDIRECT, Trait, Traits, Way, readback
from tio.tuntap import Offload
from tunfuzz.differential.mutations import LONG, STRUCTURES, STRUCTURES_OF_LONG, VALUES, outer_header, resum
from tunfuzz.differential.nested import nested
from tunfuzz.differential.routed import ROUTED, near_the_mtu
from tunfuzz.differential.templates import Template, grammar, huge, of_corpus, tunnelled

__all__ = ["BLOCK", "SHAPES", "WAYS", "block", "way_of", "within"]

BLOCK = 1000
"""Cases that are determined together."""

SHAPES = ("grammar", "values", "structure", "raw")
"""How a frame is made: as a writer would, with changed values, with a changed structure, from random bytes."""

_TEMPLATES = 25
_OUTER = 0.8  # of the cases in tunnels leave the outer headers unchanged
_HUGE = 0.05  # of the blocks have one template of about 64 KiB: a frame from it takes as long as twenty others
_HUGE_FOR_ROUTERS = 0.2  # the same for routers, which read jumbo payload options
_HUGE_FOR_READERS = 0.25  # the same for readers, which do not get all of them whole
_FIRST = bytes((0x45, 0x60, 0x45, 0x60, 0x4F, 0x65, 0x00, 0x50))

_TUNNELS = Way(header_size=24)
_READERS = (
    Offload.TSO | Offload.USO,
    Offload.CSUM,
    Offload.TSO,
    Offload.NONE,
    Offload.CSUM | Offload.TSO4 | Offload.TSO6,
    Offload.CSUM | Offload.TSO4,
    Offload.CSUM | Offload.USO,
    Offload.CSUM | Offload.TSO6 | Offload.TSO_ECN,
)
_IMPOSSIBLE = (Way(up=False), Way(attached=False), Way(readable=4), Way(readable=30))

_ROUTED = (
    FORWARD,
    replace(FORWARD, mtu=1280),
    FORWARD,
    replace(FORWARD, mtu=600),
    FORWARD,
    replace(FORWARD, mtu=1280),
    FORWARD,
    replace(FORWARD, reader=Offload.TSO | Offload.USO),
)

_FAULTING = readback(Offload.TSO | Offload.UDP_TUNNEL)
_OTHER_SIZES = (
    Way(header_size=12),
    Way(header_size=20, reader=Offload.TSO),
    Way(header_size=24, reader=Offload.TSO | Offload.USO),
    Way(header_size=12, readable=11),
)
_PADDED = Way(reader=Offload.TSO, reader_header_size=12, reader_fill=0xA5)
_RARE = (
    *map(readback, _READERS[:4]),
    *_IMPOSSIBLE[:2],
    *map(readback, _READERS[4:]),
    *_IMPOSSIBLE[2:],
    _FAULTING,
    _PADDED,
    *_OTHER_SIZES,
)

WAYS = (REDIRECT, _TUNNELS, *_ROUTED, *_RARE)
"""All paths that cases take."""

_TURNS: tuple[tuple[Way, ...], ...] = (
    (REDIRECT,),
    (_TUNNELS,),
    _ROUTED,
    (REDIRECT,),
    _RARE[::2],
    (_TUNNELS,),
    (REDIRECT,),
    _ROUTED,
    (REDIRECT,),
    _RARE[1::2],
)
"""The paths that blocks take in turn; a group of several takes turns within itself."""


def way_of(number: int) -> Way:
    """Return the path of block `number`."""
    turn, place = divmod(number, len(_TURNS))
    ways = _TURNS[place]
    return ways[turn % len(ways)]


def within(traits: Traits, way: Way) -> Way:
    """Return a path as a kernel with these traits can have it: without the offloads that its TUNs refuse."""
    if way.reader is None:
        return way
    reader = way.reader
    if Trait.USO not in traits:
        reader &= ~Offload.USO
    if Trait.UDP_TUNNEL not in traits:
        reader &= ~(Offload.UDP_TUNNEL | Offload.UDP_TUNNEL_CSUM)
    return replace(way, reader=reader)


def block(seed: int, number: int, corpus: Sequence[bytes]) -> Iterator[tuple[bytes, str]]:
    """Yield the frames of a block, each with its shape. `corpus` has frames with 10 bytes of vnet header."""
    random = Random(f"{seed}/{number}")
    way = way_of(number)
    templates = _templates(random, way, corpus)
    count = len(templates)
    rnd = random.random
    for _ in range(BLOCK):
        chance = rnd()
        if chance < 0.04:
            yield _raw(random, way.header_size), "raw"
            continue
        template = templates[int(rnd() * count)]
        if chance < 0.12:
            yield template.frame, "grammar"
            continue
        frame = bytearray(template.frame)
        shape = "values"
        if chance < 0.44:
            VALUES[int(rnd() * len(VALUES))](frame, template, random)
        if chance > 0.34:
            shape = "structure"
            structures = STRUCTURES if len(frame) < LONG else STRUCTURES_OF_LONG
            structures[int(rnd() * len(structures))](frame, template, random)
            if chance > 0.75:
                structures[int(rnd() * len(structures))](frame, template, random)
        if way.forwarded:
            _for_a_router(frame, template, random)
        elif way is _TUNNELS and chance > _OUTER:
            outer_header(frame, template, random)
        yield bytes(frame), shape


def _for_a_router(frame: bytearray, template: Template, random: Random) -> None:
    """Change what a router checks, and get it past the header's checksum."""
    chance = random.random()
    if chance < 0.85:
        resum(frame, template)
    if chance < 0.35:
        ROUTED[int(random.random() * len(ROUTED))](frame, template, random)


def _templates(random: Random, way: Way, corpus: Sequence[bytes]) -> list[Template]:
    picked = [corpus[random.randrange(len(corpus))] for _ in range(_TEMPLATES // 3)] if corpus else []
    templates = of_corpus(picked, way.header_size)
    if way.header_size >= 24:
        templates += [tunnelled(random) for _ in range(_TEMPLATES // 2)]
    if random.random() < (
        _HUGE_FOR_READERS if way.reader is not None else _HUGE_FOR_ROUTERS if way.forwarded else _HUGE
    ):
        templates.append(huge(random, way.header_size, jumbo=way.forwarded))
    templates.append(nested(random, way.header_size))
    while len(templates) < _TEMPLATES:
        templates.append(grammar(random, way.header_size))
    if way.forwarded:
        templates[::5] = [near_the_mtu(template, way.mtu, random) for template in templates[::5]]
    return templates


def _raw(random: Random, header_size: int) -> bytes:
    """Return random bytes; most begin like an IP packet, and have a plausible vnet header."""
    packet = random.randbytes(random.randrange(1, 120))
    if random.random() < 0.2:
        return packet
    header = bytes(
        (random.getrandbits(1), random.choice((0, 1, 3, 4, 5)), random.randrange(64), 0, random.randrange(32), 0)
    )
    header += bytes((random.choice((20, 40, 28, 0)), 0, random.choice((6, 16)), 0))
    return header.ljust(header_size, b"\0") + bytes((random.choice(_FIRST),)) + packet
