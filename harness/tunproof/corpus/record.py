"""From a draft to a case: ask the reference, ask the running kernel, ask scapy, and accept only what they agree on.

The kernel is the judge of the reference. Where the two differ and the author did not say that they may, or where they
agree although the author said that they differ, nothing is recorded and both sides are shown.
"""

import errno
import os
from collections.abc import Sequence

from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

import tio
from tunproof import reference
from tunproof.corpus.authoring import Draft
from tunproof.corpus.builder import GsoPieces
from tunproof.corpus.model import (
    Case,
    GsoInput,
    KernelDelivers,
    KernelExpectation,
    KernelLost,
    KernelNotAsked,
    KernelRefused,
    KernelSame,
    Packets,
    ReadCase,
    ReadInput,
    Rejected,
    WriteGsoCase,
    Written,
    digest_of,
)
from tunproof.errors import TunproofError
from tunproof.judge import describe_packets, first_difference
from tunproof.kernel import describe_outcome
from tunproof.lab import Delivered, Exchange, Lost, Outcome
from tunproof.lab import Refused as WriteRefused

__all__ = ["DisagreementError", "record"]


class DisagreementError(TunproofError):
    """Reference, kernel, scapy or author do not agree about a case; building stops."""

    exit_code = 1


def record(draft: Draft, exchange: Exchange, wire: reference.Wire) -> Case:
    """Return the case of a draft, as the reference and the running kernel see it. Raises `DisagreementError`."""
    if isinstance(draft.built, GsoPieces):
        return _record_write_gso(draft, draft.built, exchange, wire)
    expect = reference.read(draft.built)
    packets = expect.packets if isinstance(expect, Packets) else None
    kernel = _ask_kernel(draft, exchange, draft.built, packets)
    if isinstance(expect, Rejected):
        _demand_sibling(draft)
    case_input = ReadInput(frame=draft.built.hex())
    digest = digest_of(case_input, expect, kernel)
    return ReadCase(input=case_input, expect=expect, kernel=kernel, digest=digest, **_stated(draft, kernel))  # type: ignore[arg-type]


def _record_write_gso(draft: Draft, built: GsoPieces, exchange: Exchange, wire: reference.Wire) -> Case:
    expect = reference.write_gso(wire, built.hdr, built.transport_hdr, built.pays)
    kernel: KernelExpectation = KernelNotAsked()
    if isinstance(expect, Written):
        frame = bytes.fromhex(expect.header) + b"".join((built.hdr, built.transport_hdr, *built.pays))
        broken = tio.violations(frame, byte_order=tio.ByteOrder.LITTLE)
        if broken:
            raise DisagreementError(f"{draft.id}: the reference wrote an illegal header\n{'; '.join(map(str, broken))}")
        kernel = _ask_kernel(draft, exchange, frame, expect.segments)
    else:
        _demand_sibling(draft)
    case_input = GsoInput(
        hdr=built.hdr.hex(),
        transport_hdr=built.transport_hdr.hex(),
        pays=tuple(pay.hex() for pay in built.pays),
    )
    digest = digest_of(case_input, expect, kernel)
    return WriteGsoCase(input=case_input, expect=expect, kernel=kernel, digest=digest, **_stated(draft, kernel))  # type: ignore[arg-type]


def _stated(draft: Draft, kernel: KernelExpectation) -> dict[str, object]:
    """Return what the author stated, by the names of the case, and the kernel that was asked."""
    return {
        "id": draft.id,
        "about": draft.about,
        "flags": draft.flags,
        "level": draft.level,
        "importance": draft.importance,
        "requires": draft.requires,
        "traits": draft.traits,
        "basis": draft.basis,
        "confirmed": () if isinstance(kernel, KernelNotAsked) else (os.uname().release,),
        "sibling": draft.sibling,
    }


def _demand_sibling(draft: Draft) -> None:
    if draft.sibling is None:
        raise DisagreementError(f"{draft.id}: a case with a fault must name its valid sibling")


def _ask_kernel(draft: Draft, exchange: Exchange, frame: bytes, packets: Sequence[str] | None) -> KernelExpectation:
    """Return what the kernel does with a frame, checked against what the reference does."""
    mine = None if packets is None else tuple(map(bytes.fromhex, packets))
    theirs = exchange.send(frame, len(mine or ()))
    same = theirs.packets == mine if isinstance(theirs, Delivered) else mine is None
    if same and draft.differs is not None:
        raise DisagreementError(f"{draft.id}: says that kernel and reference differ; they agree")
    if not same and draft.differs is None:
        raise DisagreementError(f"{draft.id}: kernel and reference differ\n{_both_sides(mine, theirs)}")
    if mine is not None and draft.sound:
        _check_with_scapy(draft, mine)
    return _stated_outcome(theirs, draft.differs)


def _stated_outcome(outcome: Outcome, because: str | None) -> KernelExpectation:
    match outcome:
        case Delivered(packets=packets) if because is not None:
            return KernelDelivers(packets=tuple(packet.hex() for packet in packets), because=because)
        case Delivered():
            return KernelSame()
        case WriteRefused(errno=number):
            return KernelRefused(errno=errno.errorcode[number], because=because)
        case Lost():
            return KernelLost(because=because)


def _both_sides(mine: Sequence[bytes] | None, theirs: Outcome) -> str:
    says = "turns the frame down" if mine is None else describe_packets(mine)
    text = f"  reference: {says}\n  kernel: {describe_outcome(theirs)}"
    if mine is not None and isinstance(theirs, Delivered):
        text += f"\n{first_difference(theirs.packets, mine)}"
    return text


def _check_with_scapy(draft: Draft, packets: Sequence[bytes]) -> None:
    """Have scapy compute lengths and checksums of each packet anew, and demand that nothing changes.

    A TCP checksum of 0x0000 and one of 0xFFFF are the same number, and scapy always writes the latter.
    """
    for index, packet in enumerate(packets):
        dissected = (IP if packet[0] >> 4 == 4 else IPv6)(packet)
        for layer, fields in ((IP, ("len", "chksum")), (IPv6, ("plen",)), (TCP, ("chksum",)), (UDP, ("len", "chksum"))):
            if layer in dissected:
                for field in fields:
                    delattr(dissected[layer], field)
        rebuilt = raw(dissected)
        if rebuilt != packet and not _same_but_for_zero(dissected, rebuilt, packet):
            difference = first_difference([rebuilt], [packet])
            raise DisagreementError(f"{draft.id}: scapy disagrees about packet {index}\n{difference}")


def _same_but_for_zero(dissected: IP | IPv6, rebuilt: bytes, packet: bytes) -> bool:
    if TCP not in dissected:
        return False
    at = len(packet) - len(raw(dissected[TCP])) + 16
    zeros = {b"\x00\x00", b"\xff\xff"}
    return {rebuilt[at : at + 2], packet[at : at + 2]} == zeros and rebuilt[:at] + rebuilt[at + 2 :] == packet[
        :at
    ] + packet[at + 2 :]
