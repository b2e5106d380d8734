"""What happened, in a word and a field: results that one defect explains have the same signature.

A signature is found from what a subject did, never from the names of cases, and stays the same from version to version.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from tio.errors import PacketError
from tio.ip import IPv6, Protocol, parse_ip
from tio.tcp import TcpFlag
from tio.virtio import HEADER_SIZE
from tio.wire import TcpLayout
from tunproof.corpus.cases import (
    Case,
    HeaderCase,
    MustRefuse,
    MustReject,
    ReadCase,
    VnetFields,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
)
from tunproof.judge.outcome import Answered, Broken, Outcome, Transmitted, TurnedDown
from tunproof.judge.verdict import Mismatch, Relation, Signature
from tunproof.packets.fields import packet_fields
from tunproof.packets.frame import rules_broken

__all__ = ["of_batch", "of_outcome"]

_BROKEN: dict[str, Relation] = {
    "error": "raised",
    "crash": "crashed",
    "hang": "hung",
    "oom": "ran-out-of-memory",
    "protocol-error": "answered-outside-the-protocol",
    "flaky": "raised",
}
_FINAL = int(TcpFlag.FIN | TcpFlag.PSH)
_FEW = 2  # flags that differ and are named; of more, what they are depends on the case
_RESTORED = ("sequence", "identification", "checksum", "length", "payload", "payload_length", "total_length")
"""The last parts of the names of fields that cutting computes anew: packets of one superpacket differ in them."""


def of_outcome(case: Case, outcome: Outcome, mismatches: Sequence[Mismatch]) -> Signature:
    """Return the signature of an outcome that is not right. `mismatches` are what the judge found to differ."""
    match outcome:
        case Broken(how=how):
            return Signature(relation=_BROKEN.get(how, "raised"))
        case TurnedDown(frames=()) if not isinstance(case.expect, MustReject | MustRefuse):
            return Signature(relation="refused-although-valid", field=_shape(case))
        case Answered(value=value) if isinstance(case, HeaderCase):
            return _header(case, value)
        case _ if isinstance(case.expect, MustReject | MustRefuse):
            return Signature(relation="accepted-although-faulty", field=case.expect.fault.field)
        case Answered(value=list() as got) | Transmitted(packets=got) if isinstance(
            case, ReadCase | WriteCase | WriteGsoCase
        ):
            return _packets(case, got, mismatches)
    return _first_field(mismatches)


def of_batch(
    case: WriteBatchCase, groups: Sequence[Sequence[int]], mismatches: Sequence[Mismatch], rules: Sequence[str]
) -> Signature:
    """Return the signature of a batch: `groups` are the packets of each frame, `rules` the header rules broken."""
    joined = {pair for group in groups for pair in pairwise(sorted(group))}
    if apart := next((pair for pair in case.expect.apart if _together(pair, groups)), None):
        one, other = (case.input.packets[index] for index in apart)
        return Signature(relation="joined-although-different", field=_first_difference(one, other))
    if rules:
        return Signature(relation="header-rule-broken", field=rules[0])
    if changed := next((one for one in mismatches if one.expected is not None and one.got is not None), None):
        relation: Relation = "joined-although-different" if joined else "field-wrong"
        return Signature(relation=relation, field=_field_of(changed))
    if any(one.got is None for one in mismatches):
        return Signature(relation="lost")
    return Signature(relation="extra" if mismatches else "reordered", field="" if mismatches else _transport(case))


def _field_of(mismatch: Mismatch) -> str:
    """Return the field that a mismatch names, and of flags and checksums how it differs; empty if it names none."""
    field, named, _ = mismatch.place.partition(" at byte ")
    if not named:
        return ""
    right, wrong = ((one or b"")[mismatch.at : mismatch.at + 2] for one in (mismatch.expected, mismatch.got))
    if field.endswith("checksum") and (right, wrong) == (b"\xff\xff", b"\0\0"):
        return f"{field} (0x0000 for 0xFFFF)"
    if field == "tcp.flags" and right and wrong and (right[0] ^ wrong[0]).bit_count() <= _FEW:
        return f"{field} ({_flags(right[0] ^ wrong[0])})"
    return field


def _flags(different: int) -> str:
    """Return the TCP flags that differ. FIN and PSH go together: both belong on the last segment, for one reason."""
    if different & _FINAL and not different & ~_FINAL:
        return "FIN, PSH"
    return ", ".join(bits.name for bits in TcpLayout.FLAGS.bits if bits.of(different))


def _together(pair: Sequence[int], groups: Sequence[Sequence[int]]) -> bool:
    return any(set(pair) <= set(group) for group in groups)


def _first_difference(one: bytes, other: bytes) -> str:
    """Return the first field in which two packets differ, other than those that cutting restores; empty if none."""
    for field in packet_fields(one):
        is_restored = field.name.rpartition(".")[2] in _RESTORED
        if not is_restored and one[field.start : field.end] != other[field.start : field.end]:
            return field.name
    return ""


def _header(case: HeaderCase, value: object) -> Signature:
    right = getattr(case.expect, "fields", None)
    if isinstance(case.expect, MustReject):
        return Signature(relation="accepted-although-faulty", field=case.expect.fault.field)
    if isinstance(right, VnetFields) and isinstance(value, VnetFields):
        different = (name for name in VnetFields.__struct_fields__ if getattr(right, name) != getattr(value, name))
        return Signature(relation="field-wrong", field=f"vnet.{next(different, '')}")
    return Signature(relation="field-wrong", field="vnet")


def _packets(case: Case, got: Sequence[bytes], mismatches: Sequence[Mismatch]) -> Signature:
    """Return the signature of packets or frames that are not those that should have come out."""
    if not got:
        return Signature(relation="lost", field=_shape(case))
    framed = bool(mismatches) and mismatches[0].framed
    if framed and len(got) == 1:
        rule = next((f"{one.rule} {one.field}" for one in rules_broken(got[0]) if one.is_must), "")
        if rule:
            return Signature(relation="header-rule-broken", field=rule)
    if mismatches and Counter(one.expected for one in mismatches) == Counter(one.got for one in mismatches):
        return Signature(relation="reordered", field=_shape(case))
    if any(one.expected is None or one.got is None for one in mismatches):
        return Signature(relation="cut-otherwise", field=_shape(case))
    return _first_field(mismatches)


def _first_field(mismatches: Sequence[Mismatch]) -> Signature:
    return Signature(relation="field-wrong", field=_field_of(mismatches[0]) if mismatches else "")


def _transport(case: WriteBatchCase) -> str:
    return _described(case.input.packets[0]).partition(" ")[0] if case.input.packets else ""


def _shape(case: Case) -> str:
    """Return what kind of packet a case is about."""
    match case:
        case ReadCase(input=given):
            what = "superpacket" if given.frame[1:2] not in {b"", b"\0"} else "packet"
            return f"{_described(given.frame[HEADER_SIZE:])} {what}"
        case WriteCase(input=given):
            return f"{_described(given.packet)} packet"
        case WriteGsoCase(input=given):
            return f"{_described(given.whole)} superpacket"
    return ""


def _described(packet: bytes) -> str:
    """Return the transport of a packet, and whether extension headers or options come before it."""
    try:
        ip = parse_ip(packet)
    except PacketError:
        return "damaged"
    name = {Protocol.TCP: "TCP", Protocol.UDP: "UDP"}.get(ip.protocol, "other")  # type: ignore[call-overload]
    if ip.header_length == ip.min_length:
        return str(name)
    return f"{name} behind {'extension headers' if isinstance(ip, IPv6) else 'IPv4 options'}"
