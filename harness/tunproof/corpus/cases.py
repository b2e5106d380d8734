"""The seven operations: their input and expected output, and the file that holds the cases of one topic.

    checksum     bytes and a starting sum            ->  the sum
    header       bytes of a vnet header, or fields   ->  fields, or bytes
    read         one frame                           ->  packets, or a rejection
    write        one packet                          ->  one frame, nothing, or a refusal
    write_gso    headers and fragments               ->  one frame, or a refusal
    write_batch  packets in order                    ->  frames that stand for exactly these packets
    lifecycle    steps                               ->  an answer per step

`before` is input that the same instance gets first: its outcome is not judged, but what it leaves behind is. `poison`
is a byte: the memory that a subject owns around the packets (headroom, spare capacity, scratch buffers) is filled with
it first, so that bytes left unwritten show up.
"""

from typing import Annotated, Literal

import msgspec

from tunproof.corpus.codec import Hex, HexByte
from tunproof.corpus.model import CaseBase, Flag, KernelAnswer, KernelDelivers, KernelSame, Strict, Trait
from tunproof.corpus.script import Answers, Script

__all__ = [
    "OPERATIONS",
    "BatchInput",
    "Case",
    "ChecksumCase",
    "ChecksumInput",
    "CorpusFile",
    "EmitInput",
    "Expectation",
    "Fault",
    "Fields",
    "GsoArguments",
    "GsoInput",
    "HeaderBytes",
    "HeaderCase",
    "Joined",
    "LifecycleCase",
    "MustRefuse",
    "MustReject",
    "Nothing",
    "Packets",
    "ParseInput",
    "ReadCase",
    "ReadInput",
    "Sum",
    "VnetFields",
    "WriteBatchCase",
    "WriteCase",
    "WriteGsoCase",
    "WriteInput",
    "Written",
    "differs",
]

OPERATIONS = ("checksum", "header", "read", "write", "write_gso", "write_batch", "lifecycle")
"""Every operation; the cases of each are in a folder with its name."""

_SHORTEST = 10
"""Bytes of the shortest vnet header: `tio.virtio.HEADER_SIZE`, stated again because the corpus is data, and is loaded
without the reference that it judges."""

Index = Annotated[int, msgspec.Meta(ge=0)]
Word = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]


class ChecksumInput(Strict, frozen=True, kw_only=True):
    """Bytes to be summed as big-endian words, and the sum to start from."""

    data: Hex
    initial: Word = 0


class Sum(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="sum"):
    """The folded one's-complement sum, not inverted (RFC 1071)."""

    sum: Word


class VnetFields(Strict, frozen=True, kw_only=True):
    """The fields of a vnet header. Headers of 12 bytes and more have `num_buffers`, those of 24 `rest` (12 bytes)."""

    flags: int
    gso_type: int
    hdr_len: int
    gso_size: int
    csum_start: int
    csum_offset: int
    num_buffers: int | None = None
    rest: Hex | None = None


class ParseInput(Strict, frozen=True, kw_only=True, tag_field="direction", tag="parse"):
    """Bytes that start with a vnet header of `size` bytes."""

    bytes: Hex
    size: int = _SHORTEST
    byte_order: Literal["little", "big"] = "little"


class EmitInput(Strict, frozen=True, kw_only=True, tag_field="direction", tag="emit"):
    """Fields to build a vnet header of `size` bytes from."""

    fields: VnetFields
    size: int = _SHORTEST
    byte_order: Literal["little", "big"] = "little"


class Fields(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="fields"):
    """The header has these fields."""

    fields: VnetFields


class HeaderBytes(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="bytes"):
    """The header is exactly these bytes."""

    bytes: Hex


class ReadInput(Strict, frozen=True, kw_only=True):
    """One frame, as `read(2)` on the TUN returns it: 10 bytes of little-endian vnet header, then a packet."""

    frame: Hex
    before: tuple[Hex, ...] = ()


class Packets(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="packets"):
    """`read` returns exactly these packets, in this order."""

    packets: tuple[Hex, ...]


class Fault(Strict, frozen=True, kw_only=True):
    """What is wrong, in the reference's words: documentation, never compared with what an implementation says.

    Attributes:
        rule: the number of the rule that is violated, such as R5 or G12.
        field: the field at fault, such as vnet.gso_size.
        offset: where the field starts, in bytes: from the start of the vnet header for its own fields, of the packet
            for all others; for a fragment of a `write_gso`, its index.
        found: the value found there.
    """

    rule: str
    field: str
    offset: int
    found: str

    def __str__(self) -> str:
        """Return the fault in one line."""
        return f"{self.rule}: {self.field} at {self.offset} is {self.found}"


class MustReject(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="rejected"):
    """The input is rejected, with an error or silently."""

    fault: Fault


class WriteInput(Strict, frozen=True, kw_only=True):
    """One complete packet."""

    packet: Hex
    before: tuple[Hex, ...] = ()
    poison: HexByte | None = None

    @property
    def whole(self) -> bytes:
        """The packet that is written, as `GsoArguments.whole`."""
        return self.packet


class GsoArguments(Strict, frozen=True, kw_only=True):
    """The arguments of one `write_gso`."""

    hdr: Hex
    transport_hdr: Hex
    pays: tuple[Hex, ...]

    @property
    def whole(self) -> bytes:
        """The superpacket that they form."""
        return b"".join((self.hdr, self.transport_hdr, *self.pays))


class GsoInput(GsoArguments, frozen=True, kw_only=True):
    """The arguments of `write_gso`, and those of calls before it."""

    before: tuple[GsoArguments, ...] = ()


class Written(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="written"):
    """One frame is written: a vnet header that follows V1 to V14, and the packet, byte for byte.

    `header` is one such header (the reference's). `segments` are the packets that the frame stands for.
    """

    header: Hex
    segments: tuple[Hex, ...]


class Nothing(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="nothing"):
    """The call succeeds, but nothing is written."""


class MustRefuse(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="refused"):
    """The call fails, and nothing is written."""

    fault: Fault


class BatchInput(Strict, frozen=True, kw_only=True):
    """Packets in the order in which they arrived, and batches that are written before them."""

    packets: tuple[Hex, ...]
    before: tuple[tuple[Hex, ...], ...] = ()
    poison: HexByte | None = None


class Joined(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="joined"):
    """Frames are written that stand for exactly these packets. All lists hold indices of packets, counted from 0.

    Every frame has a vnet header that follows V1 to V14. When the frames are segmented, every packet comes out once,
    byte for byte, with two freedoms: TCP checksums of 0x0000 and 0xFFFF are equal, and the IPv4 identification of an
    atomic packet (DF set, not a fragment) is free.

    Attributes:
        order: packets that must leave in this order, one list per flow.
        order_should: the same, including packets that only should keep their places: pure ACKs, packets with damaged
            headers, and TCP in fragments or behind extension headers.
        apart: pairs that must not share a superpacket.
        silent: packets for which nothing is written, because they are empty.
        optional: packets that may be written or refused: kernels refuse them (a version nibble other than 4 and 6),
            no length field can hold their length (more than 65535 bytes), or every receiver drops them for their
            headers (cut off, or with an impossible length).
        repairable: packets that are intact except for a wrong checksum, in the IPv4 header or the transport header.
            Joining them repairs it, which is a policy: reports mention it, but it is not a failure.
        unsummed: UDP over IPv4 without a checksum. Joining them adds one: also a policy.
        ideal: which packets a good coalescer puts into one superpacket. Merge quality is scored, never required.
        example: the frames of one correct output, the reference's.
    """

    order: tuple[tuple[Index, ...], ...]
    order_should: tuple[tuple[Index, ...], ...] = ()
    apart: tuple[tuple[Index, Index], ...] = ()
    silent: tuple[Index, ...] = ()
    optional: tuple[Index, ...] = ()
    repairable: tuple[Index, ...] = ()
    unsummed: tuple[Index, ...] = ()
    ideal: tuple[tuple[Index, ...], ...]
    example: tuple[Hex, ...]


class ChecksumCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="checksum"):
    """Bytes to sum. A kernel sums them too: they reach it as a packet with a checksum to complete."""

    input: ChecksumInput
    expect: Sum


class HeaderCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="header"):
    """A vnet header by itself."""

    input: ParseInput | EmitInput
    expect: Fields | HeaderBytes | MustReject


class ReadCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="read"):
    """A frame to read."""

    input: ReadInput
    expect: Packets | MustReject


class WriteCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="write"):
    """A packet to write unchanged."""

    input: WriteInput
    expect: Written | Nothing | MustRefuse


class WriteGsoCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="write_gso"):
    """A superpacket to write."""

    input: GsoInput
    expect: Written | MustRefuse


class WriteBatchCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="write_batch"):
    """Packets to write, joined where that is transparent."""

    input: BatchInput
    expect: Joined


class LifecycleCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="lifecycle"):
    """The life of a container and its queues."""

    input: Script
    expect: Answers


Case = ChecksumCase | HeaderCase | ReadCase | WriteCase | WriteGsoCase | WriteBatchCase | LifecycleCase
Expectation = Sum | Fields | HeaderBytes | Packets | MustReject | Written | Nothing | MustRefuse | Joined | Answers


def differs(case: Case, answer: KernelAnswer) -> bool:
    """Whether a kernel does something other than implementations must; each rejects faulty input in its own way."""
    if isinstance(case.expect, MustReject):
        return isinstance(answer, KernelDelivers)
    return not isinstance(answer, KernelSame)


class CorpusFile(Strict, frozen=True, kw_only=True):
    """One file of cases. `flags` and `traits` explain each flag and each kernel trait that its cases name."""

    format: str
    topic: str
    flags: dict[str, Flag]
    traits: dict[str, Trait]
    cases: tuple[Case, ...]
