"""A corpus of a few small cases, one or two for each operation and outcome, written by hand: tests do not depend on
the contents of the golden one."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
from scapy.layers.inet import TCP, UDP

import tio
from tunproof.authoring.reach import reach_of
from tunproof.corpus.cases import (
    BatchInput,
    Case,
    ChecksumCase,
    ChecksumInput,
    CorpusFile,
    EmitInput,
    Fault,
    Fields,
    GsoInput,
    HeaderBytes,
    HeaderCase,
    Joined,
    LifecycleCase,
    MustRefuse,
    MustReject,
    Nothing,
    Packets,
    ParseInput,
    ReadCase,
    ReadInput,
    Sum,
    VnetFields,
    WriteBatchCase,
    WriteCase,
    WriteGsoCase,
    WriteInput,
    Written,
)
from tunproof.corpus.codec import formatted
from tunproof.corpus.model import (
    FORMAT,
    Basis,
    Flag,
    KernelDelivers,
    KernelLoses,
    KernelRefuses,
    KernelSame,
    Reached,
    digest_of,
)
from tunproof.corpus.script import Add, Answers, Closed, Done, Feed, Frames, OpenWire, Read, ReadPackets, Script, Take
from tunproof.corpus.traits import TRAITS
from tunproof.packets.builder import ip4, packet_bytes, payload, superpacket

__all__ = ["CASES", "FLAG", "encoded", "file_of", "write_corpus"]

FLAG = Flag(
    description="Something is cut at the wrong place.", effect="Bytes are lost.", links=("https://example.org/1",)
)
_FRAME = superpacket(ip4() / TCP(seq=7, flags="A"), payload(24), gso_size=8)
_UDP = superpacket(ip4() / UDP(sport=1000, dport=2000), payload(16), gso_size=8)
_HEADER = VnetFields(flags=1, gso_type=0x81, hdr_len=40, gso_size=8, csum_start=20, csum_offset=16)
_PACKETS = [packet_bytes(ip4(id=at) / TCP(seq=8 * at, flags="A") / payload(8, seed=at)) for at in range(3)]
_FAULT = Fault(rule="R5", field="vnet.gso_size", offset=4, found="0")
_SAME = (KernelSame(),)
_HANDED = (Reached(wiring="readback", offloads=("CSUM", "TSO4"), hdr_len=64, releases=("5.10.1", "6.1.0")),)


def case_of(kind: type, name: str, given: Any, expect: Any, kernel: tuple[Any, ...] = (), **more: Any) -> Case:
    """Return a case with everything that lint asks for."""
    stated = {
        "id": f"{kind.__struct_config__.tag}/{name}",
        "digest": digest_of(given, expect),
        "about": "One thing must hold, for otherwise another breaks.",
        "flags": ("Wrong",),
        "level": "must",
        "importance": "high",
        "reach": reach_of(given, expect, more.get("reached", ())),
        "basis": (Basis(kind="rfc", ref="RFC 1071, section 1"),),
        "kernel": kernel,
        "confirmed": ("6.1.0",) if kernel else (),
    }
    made: Case = kind(input=given, expect=expect, **(stated | more))
    return made


def _segments(frame: bytes) -> tuple[bytes, ...]:
    return tuple(tio.segment(frame, byte_order=tio.ByteOrder.LITTLE))


def _joined() -> Joined:
    (item,) = tio.coalesce(_PACKETS[:2])
    assert isinstance(item, tio.Superpacket)
    frame = superpacket(ip4(id=0) / TCP(seq=0, flags="A"), b"".join(item.pays), gso_size=8)
    example = (frame, bytes(10) + _PACKETS[2])
    return Joined(order=((0, 1, 2),), apart=((1, 2),), ideal=((0, 1), (2,)), example=example)


def _lifecycle() -> Case:
    steps = (OpenWire(fd="a"), Add(fd="a"), Feed(fd="a", frame=_FRAME), Read(fd="a"), Take(fd="a"))
    packets = ReadPackets(packets=_segments(_FRAME))
    answers = ((Done(),), (Done(),), (Done(),), (packets, Closed()), (Frames(packets=()),))
    return case_of(
        LifecycleCase, "life/reads", Script(steps=steps), Answers(answers=answers), requires=("lifecycle.wire",)
    )


def _cases() -> list[Case]:
    parsed = ParseInput(bytes=bytes.fromhex("0181280008001400100003000000"), size=12)
    fields = msgspec.structs.replace(_HEADER, num_buffers=3)
    emitted = HeaderBytes(bytes=bytes.fromhex("01812800080014001000"))
    gso = {"hdr": _FRAME[10:30], "transport_hdr": _FRAME[30:50]}
    pays = tuple(_FRAME[50 + 8 * at : 58 + 8 * at] for at in range(3))
    other = KernelDelivers(packets=_segments(_FRAME)[:1], because="kernels stop after the first")
    by_trait = (KernelSame(when={"uso": True}), KernelRefuses(when={"uso": False}, errno="EINVAL"))
    udp = {"requires": ("gso.udp4",)}
    batch = BatchInput(packets=tuple(_PACKETS), poison=b"\xa5")
    faulty = ReadInput(frame=_FRAME[:4] + bytes(2) + _FRAME[6:], before=(_FRAME,))
    return [
        case_of(ChecksumCase, "sums/three", ChecksumInput(data=b"\1\2\3", initial=1), Sum(sum=0x0403), _SAME),
        case_of(HeaderCase, "fields/parse", parsed, Fields(fields=fields)),
        case_of(HeaderCase, "fields/emit", EmitInput(fields=_HEADER), emitted),
        case_of(
            HeaderCase, "fields/short", ParseInput(bytes=b"\1"), MustReject(fault=_FAULT), sibling="header/fields/parse"
        ),
        case_of(
            ReadCase, "cuts/two", ReadInput(frame=_FRAME), Packets(packets=_segments(_FRAME)), _SAME, reached=_HANDED,
        ),
        case_of(ReadCase, "cuts/udp", ReadInput(frame=_UDP), Packets(packets=_segments(_UDP)), by_trait, **udp),
        case_of(
            ReadCase, "cuts/zero", faulty, MustReject(fault=_FAULT), (KernelRefuses(errno="EINVAL"),),
            sibling="read/cuts/two",
        ),
        case_of(ReadCase, "cuts/other", ReadInput(frame=_FRAME), Packets(packets=_segments(_FRAME)), (other,)),
        case_of(
            WriteCase, "plain/one", WriteInput(packet=_PACKETS[0]),
            Written(header=bytes(10), segments=(_PACKETS[0],)), _SAME,
        ),
        case_of(WriteCase, "plain/empty", WriteInput(packet=b"", poison=b"\xff"), Nothing()),
        case_of(
            WriteGsoCase, "joins/three", GsoInput(**gso, pays=pays),
            Written(header=_FRAME[:10], segments=_segments(_FRAME)),
            (KernelLoses(because="kernels lose it"),),
        ),
        case_of(
            WriteGsoCase, "joins/nothing", GsoInput(**gso, pays=()), MustRefuse(fault=_FAULT),
            sibling="write_gso/joins/three",
        ),
        case_of(WriteBatchCase, "batches/three", batch, _joined(), _SAME),
        _lifecycle(),
    ]  # fmt: skip


CASES = _cases()


def file_of(topic: str, cases: Iterable[Case]) -> CorpusFile:
    """Return a file of these cases that explains what they name."""
    kept = tuple(cases)
    traits = sorted({trait for case in kept for trait in case.traits})
    flags = sorted({flag for case in kept for flag in case.flags})
    return CorpusFile(
        format=FORMAT,
        topic=topic,
        flags=dict.fromkeys(flags, FLAG),
        traits={name: TRAITS[name] for name in traits},
        cases=kept,
    )


def encoded(file: CorpusFile) -> bytes:
    """Return a file as `corpus build` writes it."""
    return formatted(file)


def write_corpus(root: Path) -> Path:
    """Write the cases as a corpus below `root`."""
    for place, group in groupby(CASES, key=lambda case: case.id.rpartition("/")[0]):
        op, _, topic = place.partition("/")
        (root / "golden" / op).mkdir(parents=True, exist_ok=True)
        (root / "golden" / op / f"{topic}.json").write_bytes(encoded(file_of(topic, group)))
    return root
