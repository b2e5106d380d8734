"""The model: what Linux does with any frame written to a TUN, given the kernel's traits and the frame's path.

write      `write`       refused, or taken for a superpacket or a single packet
forward    `forward`     the IP layer checks, trims, decrements the TTL, applies the MTU (only if forwarded)
transmit   `transmit`    segmented in software, or passed on whole, or its checksum completed, or lost
read       `reader`      the vnet header that the reader gets (only if it has one)
"""

from collections.abc import Callable, Iterator

from tio.linux import write
from tio.linux.forward import Router
from tio.linux.outcome import Delivered, KernelOutcome, Lost, Refused
from tio.linux.rules import rules_of
from tio.linux.skb import PROTOCOLS, TUNNEL, UFO, Skb
from tio.linux.traits import Trait, Traits
from tio.linux.transmit import Transmission
from tio.linux.way import REDIRECT, Way

__all__ = ["Model", "predict"]

_LOST = Lost()
_NO_TYPE = 0

_Refusal = tuple[str, Refused, Callable[[Skb, Way], bool]]
"""A rule's name, what the writer sees if it applies, and whether it applies."""


class Model:
    """A kernel with given traits, at the end of a path. The constructor selects the rules; `predict` applies them."""

    def __init__(self, traits: Traits, way: Way = REDIRECT) -> None:
        self.traits = traits
        self.way = way
        self._refusals = {kind: tuple(_refusals(traits, way, kind)) for kind in (*PROTOCOLS, _NO_TYPE)}
        self._header_read = write.header_read(traits, way)
        self._type_mask = 0x7F & ~TUNNEL if self._header_read == write.TUNNEL_HEADER_SIZE else 0x7F
        self._dissects = Trait.DISSECTED in traits
        self._counted_headers = self._choose_headers()
        self._router = Router(traits, way) if way.forwarded else None
        self._transmission = Transmission(traits, way)

    def predict(self, frame: bytes) -> KernelOutcome:
        """Return what the kernel does with `frame`."""
        return self.explain(frame)[0]

    def explain(self, frame: bytes) -> tuple[KernelOutcome, list[str]]:
        """Return what the kernel does with `frame`, and the names of the rules that it met."""
        trail: list[str] = []
        skb = Skb(frame, self.way.header_size, self._type_mask)
        skb.header_read = self._header_read
        skb.linear = write.linear_length(skb)
        for name, refused, refuses in self._refusals.get(skb.type) or self._refusals[_NO_TYPE]:
            if refuses(skb, self.way):
                trail.append(name)
                return refused, trail
        self._take(skb, trail)
        packets = self._send(skb, trail)
        return (Delivered(tuple(packets)) if packets else _LOST), trail

    def _send(self, skb: Skb, trail: list[str]) -> list[bytes] | None:
        """Return what the reader gets, read by read; nothing if the packet is lost."""
        if self._router is None:
            return self._transmission.send(skb, trail)
        routed = self._router.route(skb, trail) or ()
        return [packet for one in routed for packet in self._transmission.send(one, trail) or ()]

    def _take(self, skb: Skb, trail: list[str]) -> None:
        """Decide whether there is something to segment."""
        if skb.linear:
            trail.append("linear_length")
        if skb.raw_type == 0:
            return
        size = skb.raw_gso_size
        if Trait.MIN_GSO_8 in self.traits:
            size = write.raised_gso_size(skb)
            if size != skb.raw_gso_size:
                trail.append("raised_gso_size")
        name, count = self._counted_headers
        skb.headers = count(skb)
        if self._dissects and write.ufo_taken_for_ipv6(skb):
            trail.append("ufo_taken_for_ipv6")
            skb.version = 6
        if skb.type == UFO:
            trail.append("ufo_counts_its_header")
            skb.headers -= write.ufo_counts_its_header(skb)
        if write.nothing_to_cut(skb, size):
            trail += ("nothing_to_cut", name)
        else:
            skb.gso_size = size

    def _choose_headers(self) -> tuple[str, Callable[[Skb], int]]:
        if self._dissects:
            return "counted_headers_dissected", write.counted_headers_dissected
        if Trait.NOCSUM_MIN_LEN in self.traits:
            return "counted_headers", write.counted_headers
        return "counted_headers_without_ip", write.counted_headers_without_ip


def _refusals(traits: Traits, way: Way, kind: int) -> Iterator[_Refusal]:
    """Yield the refusals that a frame of a type can meet, in order; those for no type also apply to unknown types."""
    for rule in rules_of(write.__name__, "refusal", traits=traits, way=way):
        if not rule.of or kind in rule.of:
            yield rule.name, Refused(rule.errno or 0), rule.function


def predict(frame: bytes, traits: Traits, way: Way = REDIRECT) -> KernelOutcome:
    """Return what a kernel with these traits does with a frame. For many frames, make a `Model` once."""
    return Model(traits, way).predict(frame)
