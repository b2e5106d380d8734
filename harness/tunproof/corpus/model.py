"""What a case is, and its JSON. One file holds the cases of one operation and topic.

A case states an operation, its input, what an implementation must do with it (`expect`) and what kernels do with the
same bytes (`kernel`), which is the same unless the case says otherwise and why. It never changes its meaning: the id
names the idea for ever, the digest names the bytes.

Types and JSON are one thing: `msgspec` decodes into these structs and refuses unknown keys. Bytes are lower-case hex.
"""

import hashlib
from typing import Annotated, Literal

import msgspec

__all__ = [
    "FORMAT",
    "Basis",
    "Case",
    "CorpusFile",
    "Expectation",
    "Flag",
    "GsoInput",
    "KernelDelivers",
    "KernelExpectation",
    "KernelLost",
    "KernelRefused",
    "KernelSame",
    "Packets",
    "ReadCase",
    "ReadInput",
    "Refused",
    "Rejected",
    "WriteGsoCase",
    "Written",
    "digest_of",
]

FORMAT = "tunproof-corpus/1"

Hex = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2})*$")]
Slug = Annotated[str, msgspec.Meta(pattern="^[a-z_]+(/[a-z0-9][a-z0-9-]*){2}$")]
Digest = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A struct that refuses unknown keys."""


class Basis(Strict, frozen=True):
    """Why a verdict is believed."""

    kind: Literal["rfc", "virtio", "kernel", "uapi", "observed", "bug"]
    ref: str


class Flag(Strict, frozen=True):
    """A class of bugs that a case guards against: what it is, what users see, where it happened."""

    description: str
    effect: str
    links: tuple[str, ...] = ()


class ReadInput(Strict, frozen=True):
    """One frame, as `read(2)` on the TUN returns it: 10 bytes of little-endian vnet header, then a packet."""

    frame: Hex


class GsoInput(Strict, frozen=True):
    """The arguments of `write_gso`."""

    hdr: Hex
    transport_hdr: Hex
    pays: tuple[Hex, ...]


class Packets(Strict, frozen=True, tag_field="outcome", tag="packets"):
    """`read` gives exactly these packets, in this order."""

    packets: tuple[Hex, ...]


class Rejected(Strict, frozen=True, tag_field="outcome", tag="rejected"):
    """`read` drops the frame, or reports it; `rule` is the reference's, and documentation only."""

    rule: str


class Written(Strict, frozen=True, tag_field="outcome", tag="written"):
    """`write_gso` writes one frame: a vnet header that keeps V1 to V13, and the packet, byte for byte.

    `header` is one such header (the reference's). `segments` are the packets that the frame stands for.
    """

    header: Hex
    segments: tuple[Hex, ...]


class Refused(Strict, frozen=True, tag_field="outcome", tag="refused"):
    """`write_gso` refuses, and nothing is written; `rule` is the reference's, and documentation only."""

    rule: str


class KernelSame(Strict, frozen=True, tag_field="outcome", tag="same"):
    """A kernel makes the same packets of the frame."""


class KernelDelivers(Strict, frozen=True, tag_field="outcome", tag="delivered"):
    """A kernel makes these packets of the frame; `because` says why an implementation may differ."""

    packets: tuple[Hex, ...]
    because: str


class KernelRefused(Strict, frozen=True, tag_field="outcome", tag="refused"):
    """A kernel refuses the write with this errno; `because` says why an implementation may differ, if it does."""

    errno: str
    because: str | None = None


class KernelLost(Strict, frozen=True, tag_field="outcome", tag="lost"):
    """A kernel takes the frame and drops it; `because` says why an implementation may differ, if it does."""

    because: str | None = None


class KernelNotAsked(Strict, frozen=True, tag_field="outcome", tag="not-asked"):
    """Nothing reaches a kernel, because nothing is written."""


Expectation = Packets | Rejected | Written | Refused
KernelExpectation = KernelSame | KernelDelivers | KernelRefused | KernelLost | KernelNotAsked


class CaseBase(Strict, frozen=True):
    """What cases of all operations have.

    Attributes:
        id: permanent: operation, topic, name.
        digest: of input and expectations.
        about: what must hold, and why it matters.
        flags: the classes of bugs that it guards against.
        level: how binding the verdict is.
        importance: how much a failure hurts.
        requires: what a subject must be able to do, else the case is unsupported.
        traits: kernel behaviours that the kernel's outcome depends on; without them the case does not apply.
        basis: why the verdict is believed; never the reference alone.
        confirmed: kernel releases that were seen to do what `kernel` says.
        sibling: for a case with a fault, the nearest valid case.
    """

    id: Slug
    digest: Digest
    about: str
    flags: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    level: Literal["must", "should", "may"]
    importance: Literal["critical", "high", "medium", "low"]
    requires: tuple[str, ...]
    traits: tuple[str, ...]
    basis: Annotated[tuple[Basis, ...], msgspec.Meta(min_length=1)]
    confirmed: tuple[str, ...]
    sibling: str | None
    kernel: KernelExpectation


class ReadCase(CaseBase, frozen=True, tag_field="op", tag="read"):
    """A frame that is read."""

    input: ReadInput
    expect: Packets | Rejected

    @property
    def frame(self) -> bytes:
        """The frame."""
        return bytes.fromhex(self.input.frame)


class WriteGsoCase(CaseBase, frozen=True, tag_field="op", tag="write_gso"):
    """A superpacket that is written."""

    input: GsoInput
    expect: Written | Refused

    @property
    def pieces(self) -> tuple[bytes, bytes, list[bytes]]:
        """The three arguments of `write_gso`."""
        pays = [bytes.fromhex(pay) for pay in self.input.pays]
        return bytes.fromhex(self.input.hdr), bytes.fromhex(self.input.transport_hdr), pays

    @property
    def frame(self) -> bytes | None:
        """The frame that goes to the kernel, if one does."""
        if isinstance(self.expect, Refused):
            return None
        return bytes.fromhex(self.expect.header + self.input.hdr + self.input.transport_hdr + "".join(self.input.pays))


Case = ReadCase | WriteGsoCase


class CorpusFile(Strict, frozen=True):
    """One file of cases. `flags` explains each flag that its cases carry."""

    format: str
    topic: str
    flags: dict[str, Flag]
    cases: tuple[Case, ...]


def digest_of(case_input: msgspec.Struct, expect: msgspec.Struct, kernel: msgspec.Struct) -> str:
    """Return the digest of a case: SHA-256 over the canonical JSON of what goes in and what must come out."""
    canonical = msgspec.json.encode([case_input, expect, kernel], order="sorted")
    return "sha256:" + hashlib.sha256(canonical).hexdigest()
