"""What a subject claims beside its operations and capabilities, and which cases lie outside that.

A capability says what code can do; a claim says under which conditions it was written to do it. Cases outside the
claims are not run and not failed: they are listed as `outside`, with the reason. Claims that are left out are those of
an ordinary tunnel: it asks for the usual offloads, trusts its kernel, and has no limits of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec

from tunproof.corpus.cases import (
    Case,
    HeaderCase,
    MustRefuse,
    Packets,
    ReadCase,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
)

__all__ = ["EVERYTHING", "OFFLOADS", "ORDINARY", "Claims", "MostOf", "in_pieces", "outside"]

OFFLOADS = {
    "CSUM": "TUN_F_CSUM: packets whose checksum is not complete (NEEDS_CSUM)",
    "TSO4": "TUN_F_TSO4: TCP superpackets over IPv4",
    "TSO6": "TUN_F_TSO6: TCP superpackets over IPv6",
    "TSO_ECN": "TUN_F_TSO_ECN: TCP superpackets whose first segment alone has CWR (the qualifier ECN)",
    "USO4": "TUN_F_USO4: UDP superpackets over IPv4",
    "USO6": "TUN_F_USO6: UDP superpackets over IPv6",
}
"""Every offload that a reader can ask for (TUNSETOFFLOAD), and what the kernel may hand over then."""

Most = Annotated[int, msgspec.Meta(ge=1)]

_NEEDS_CSUM, _ECN = 0x01, 0x80
_BY_TYPE = {1: "TSO4", 4: "TSO6"}
_UDP_L4 = 5
_HEADER = 10  # bytes of vnet header before the packet of a frame


class MostOf(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Limits that the code documents; null where it has none of its own.

    Attributes:
        segments: packets that one frame is cut into.
        packets: packets of a batch. Longer batches are sent in pieces of this length.
        fragments: payloads of one `write_gso`.
        bytes: of an IP packet, or of the packet of a frame.
    """

    segments: Most | None = None
    packets: Most | None = None
    fragments: Most | None = None
    bytes: Most | None = None


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a subject claims. Names that are not known are ignored, so that later versions may add some.

    Attributes:
        offloads: the offloads that it asks the kernel for (`OFFLOADS`): frames that need another never come.
        trust: whose frames it reads: those of its own `kernel`, or `anyone`'s, such as a guest's. Under `kernel`,
            frames that no kernel hands over are a matter of hardening, and fail nothing.
        validates: whether `write_gso` checks what its contract makes the caller's duty: lengths, partial checksum,
            equal payloads.
        limits: what it documents.
        header_sizes: `headerSizes`, the sizes of vnet header that its functions are called with. Code that takes the
            size as an argument may list sizes that it must reject.
        rejects_empty: `rejectsEmpty`, whether it rejects empty packets; without it, it may write nothing, or reject.
    """

    offloads: tuple[str, ...] = ("CSUM", "TSO4", "TSO6", "USO4", "USO6")
    trust: Literal["kernel", "anyone"] = "kernel"
    validates: bool = False
    limits: MostOf = MostOf()
    header_sizes: tuple[int, ...] = msgspec.field(default=(10, 12, 24), name="headerSizes")
    rejects_empty: bool = msgspec.field(default=False, name="rejectsEmpty")


ORDINARY = Claims()
"""The claims of an ordinary tunnel."""

EVERYTHING = Claims(offloads=tuple(OFFLOADS), trust="anyone", validates=True, header_sizes=(0, 9, 10, 11, 12, 20, 24))
"""The claims that no case lies outside of: those of the reference."""


def outside(case: Case, claims: Claims) -> str:
    """Return why a case lies outside the claims, in words; empty if it does not."""
    look = _OUTSIDE.get(type(case))
    return "" if look is None else look(case, claims)


def _header(case: HeaderCase, claims: Claims) -> str:
    size = case.input.size
    return "" if size in claims.header_sizes else f"vnet headers of {size} bytes are not claimed (headerSizes)"


def _read(case: ReadCase, claims: Claims) -> str:
    frames = (*case.input.before, case.input.frame)
    segments = len(case.expect.packets) if isinstance(case.expect, Packets) else 0
    longest = max(map(len, frames)) - _HEADER
    return _unasked(frames, claims) or _beyond(claims.limits, segments=segments, bytes=longest)


def _write(case: WriteCase, claims: Claims) -> str:
    return _beyond(claims.limits, bytes=max(map(len, (*case.input.before, case.input.packet))))


def _write_gso(case: WriteGsoCase, claims: Claims) -> str:
    if isinstance(case.expect, MustRefuse) and not claims.validates:
        return "such arguments are the caller's mistake, and that they are checked is not claimed (validates)"
    calls = (*case.input.before, case.input)
    fragments, longest = max(len(one.pays) for one in calls), max(len(one.whole) for one in calls)
    return _beyond(claims.limits, fragments=fragments, bytes=longest)


def _write_batch(case: WriteBatchCase, claims: Claims) -> str:
    batches = (*case.input.before, case.input.packets)
    return _beyond(claims.limits, bytes=max((len(packet) for batch in batches for packet in batch), default=0))


_OUTSIDE: dict[type, Callable[[Any, Claims], str]] = {
    HeaderCase: _header,
    ReadCase: _read,
    WriteCase: _write,
    WriteGsoCase: _write_gso,
    WriteBatchCase: _write_batch,
}


def in_pieces(packets: Sequence[bytes], limits: MostOf) -> list[Sequence[bytes]]:
    """Return a batch in pieces no longer than is claimed: one piece without such a claim, and for an empty batch."""
    most = limits.packets or max(len(packets), 1)
    return [packets[start : start + most] for start in range(0, max(len(packets), 1), most)]


def _unasked(frames: Iterable[bytes], claims: Claims) -> str:
    """Return which offload a reader of these frames must have asked for and did not, in words."""
    for frame in frames:
        for offload in _offloads_of(frame):
            if offload not in claims.offloads:
                return f"the offload {offload} is not claimed (offloads)"
    return ""


def _offloads_of(frame: bytes) -> Sequence[str]:
    """Return the offloads without which a kernel hands no such frame over. Headers that are no header need none."""
    if len(frame) <= _HEADER:
        return ()
    flags, kind, version = frame[0], frame[1], frame[_HEADER] >> 4
    found = ["CSUM"] if flags & _NEEDS_CSUM else []
    if kind & ~_ECN in _BY_TYPE:
        found.append(_BY_TYPE[kind & ~_ECN])
        found += ["TSO_ECN"] if kind & _ECN else []
    elif kind & ~_ECN == _UDP_L4:
        found.append("USO6" if version == 6 else "USO4")
    return found


def _beyond(limits: MostOf, **sizes: int) -> str:
    """Return which limit is exceeded, in words."""
    for name, size in sizes.items():
        most: Any = getattr(limits, name)
        if most is not None and size > most:
            return f"{size} {name}, and the limit claimed is {most}"
    return ""
