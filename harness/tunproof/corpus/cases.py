"""The seven operations: what goes in, what must come out, and the file that holds the cases of one topic.

    checksum     bytes and a starting sum            ->  the sum
    header       bytes of a vnet header, or fields   ->  fields, or bytes
    read         one frame                           ->  packets, or a rejection
    write        one packet                          ->  one frame, nothing, or a refusal
    write_gso    headers and fragments               ->  one frame, or a refusal
    write_batch  packets in order                    ->  frames that stand for exactly these packets
    lifecycle    steps                               ->  an answer a step

`before` is what the same instance is given first: its outcome is no affair of the case, but what it leaves behind is.
`poison` is a byte with which whatever a subject owns around the packets (headroom, spare capacity, scratch) is filled
first, so that bytes that nobody wrote show.
"""

from typing import Annotated, Literal

import msgspec

from tunproof.corpus.model import CaseBase, Flag, Hex, KernelAnswer, KernelDelivers, KernelSame, Strict, Trait
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
    "Nothing",
    "Packets",
    "ParseInput",
    "ReadCase",
    "ReadInput",
    "Refused",
    "Rejected",
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
"""Every operation; the cases of each are in a folder of its name."""

Byte = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{2}$")]
Index = Annotated[int, msgspec.Meta(ge=0)]
Word = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]

_HEADER_SIZE = 10  # `tio.virtio.HEADER_SIZE`, said again: the corpus is loaded without the reference that it tests


class ChecksumInput(Strict, frozen=True, kw_only=True):
    """Bytes to be summed as big-endian words, and a sum to go on from."""

    data: Hex
    initial: Word = 0


class Sum(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="sum"):
    """The folded one's-complement sum, not inverted (RFC 1071)."""

    sum: Word


class VnetFields(Strict, frozen=True, kw_only=True):
    """The fields of a vnet header. `num_buffers` is there with 12 bytes and more, `rest` (12 bytes) with 24."""

    flags: int
    gso_type: int
    hdr_len: int
    gso_size: int
    csum_start: int
    csum_offset: int
    num_buffers: int | None = None
    rest: Hex | None = None


class ParseInput(Strict, frozen=True, kw_only=True, tag_field="direction", tag="parse"):
    """Bytes that begin with a vnet header of `size` bytes."""

    bytes: Hex
    size: int = _HEADER_SIZE
    byte_order: Literal["little", "big"] = "little"


class EmitInput(Strict, frozen=True, kw_only=True, tag_field="direction", tag="emit"):
    """Fields that become a vnet header of `size` bytes."""

    fields: VnetFields
    size: int = _HEADER_SIZE
    byte_order: Literal["little", "big"] = "little"


class Fields(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="fields"):
    """The header says this."""

    fields: VnetFields


class HeaderBytes(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="bytes"):
    """The header is exactly these bytes."""

    bytes: Hex


class ReadInput(Strict, frozen=True, kw_only=True):
    """One frame, as `read(2)` on the TUN returns it: 10 bytes of little-endian vnet header, then a packet."""

    frame: Hex
    before: tuple[Hex, ...] = ()


class Packets(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="packets"):
    """`read` gives exactly these packets, in this order."""

    packets: tuple[Hex, ...]


class Fault(Strict, frozen=True, kw_only=True):
    """What is wrong, in the reference's words: documentation, never compared with what an implementation says.

    Attributes:
        rule: the number of the rule that is broken, such as R5 or G12.
        field: the field at fault, such as vnet.gso_size.
        offset: where it begins, in bytes from the vnet header for its fields, from the packet for others; for
            fragments of a `write_gso` their index.
        found: what stands there.
    """

    rule: str
    field: str
    offset: int
    found: str

    def __str__(self) -> str:
        """Return the fault in one line."""
        return f"{self.rule}: {self.field} at {self.offset} is {self.found}"


class Rejected(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="rejected"):
    """What came in is turned down, by an error or silently."""

    fault: Fault


class WriteInput(Strict, frozen=True, kw_only=True):
    """One complete packet."""

    packet: Hex
    before: tuple[Hex, ...] = ()
    poison: Byte | None = None


class GsoArguments(Strict, frozen=True, kw_only=True):
    """The arguments of one `write_gso`."""

    hdr: Hex
    transport_hdr: Hex
    pays: tuple[Hex, ...]

    @property
    def whole(self) -> bytes:
        """The superpacket that they make up."""
        return bytes.fromhex(self.hdr + self.transport_hdr + "".join(self.pays))


class GsoInput(GsoArguments, frozen=True, kw_only=True):
    """The arguments of `write_gso`, and those of calls before it."""

    before: tuple[GsoArguments, ...] = ()


class Written(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="written"):
    """One frame is written: a vnet header that keeps V1 to V14, and the packet, byte for byte.

    `header` is one such header (the reference's). `segments` are the packets that the frame stands for.
    """

    header: Hex
    segments: tuple[Hex, ...]


class Nothing(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="nothing"):
    """The call succeeds, and nothing is written."""


class Refused(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="refused"):
    """The call fails, and nothing is written."""

    fault: Fault


class BatchInput(Strict, frozen=True, kw_only=True):
    """Packets in the order in which they arrived, and batches that were written before them."""

    packets: tuple[Hex, ...]
    before: tuple[tuple[Hex, ...], ...] = ()
    poison: Byte | None = None


class Joined(Strict, frozen=True, kw_only=True, tag_field="outcome", tag="joined"):
    """Frames are written that stand for exactly these packets. All lists hold indices of packets, counted from 0.

    Every frame has a vnet header that keeps V1 to V14. Cut, the frames give every packet back once, byte for byte, with
    two freedoms: a TCP checksum of 0x0000 and one of 0xFFFF are the same, and the IPv4 identification of an atomic
    packet (DF set, no fragment) is free.

    Attributes:
        order: packets that leave in this order, a list for each flow.
        order_should: the same with pure ACKs and packets with damaged headers among them, which had better keep their
            places.
        apart: pairs that must not stand in one superpacket.
        silent: packets of which nothing is written, because they are empty.
        optional: packets that are written or refused, because kernels turn them down or no length field can say how
            long they are: a version nibble that is neither 4 nor 6, more than 65535 bytes.
        repairable: packets that are whole but for a wrong checksum, of the IPv4 header or of the transport. To join
            them repairs it: a policy, named in reports, not failed.
        unsummed: UDP over IPv4 without a checksum. To join them sums them: a policy as well.
        ideal: which packets a good coalescer puts in one superpacket. Merge quality is scored, never demanded.
        example: the frames of one right answer, the reference's.
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
    """Bytes that are summed. A kernel sums them too: they go to it as a packet with a checksum to complete."""

    input: ChecksumInput
    expect: Sum


class HeaderCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="header"):
    """A vnet header by itself."""

    input: ParseInput | EmitInput
    expect: Fields | HeaderBytes | Rejected


class ReadCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="read"):
    """A frame that is read."""

    input: ReadInput
    expect: Packets | Rejected


class WriteCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="write"):
    """A packet that is written as it is."""

    input: WriteInput
    expect: Written | Nothing | Refused


class WriteGsoCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="write_gso"):
    """A superpacket that is written."""

    input: GsoInput
    expect: Written | Refused


class WriteBatchCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="write_batch"):
    """Packets that are written, joined where that is transparent."""

    input: BatchInput
    expect: Joined


class LifecycleCase(CaseBase, frozen=True, kw_only=True, tag_field="op", tag="lifecycle"):
    """A container and its queues over their lives."""

    input: Script
    expect: Answers


Case = ChecksumCase | HeaderCase | ReadCase | WriteCase | WriteGsoCase | WriteBatchCase | LifecycleCase
Expectation = Sum | Fields | HeaderBytes | Packets | Rejected | Written | Nothing | Refused | Joined | Answers


def differs(case: Case, answer: KernelAnswer) -> bool:
    """Whether a kernel does something else than an implementation must; both turn a fault down in their own way."""
    if isinstance(case.expect, Rejected):
        return isinstance(answer, KernelDelivers)
    return not isinstance(answer, KernelSame)


class CorpusFile(Strict, frozen=True, kw_only=True):
    """One file of cases. `flags` and `traits` explain each flag and each kernel trait that its cases name."""

    format: str
    topic: str
    flags: dict[str, Flag]
    traits: dict[str, Trait]
    cases: tuple[Case, ...]
