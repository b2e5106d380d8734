"""What all cases share, and its JSON; the seven operations are in `cases`, the steps of a lifecycle in `script`.

A case states an operation, its input, what an implementation must do with it (`expect`) and what kernels do with the
same bytes (`kernel`). Its meaning never changes: the id names the idea permanently, the digest names the bytes.

The types define the JSON: `msgspec` decodes into these structs, rejects unknown keys, and generates the JSON Schemas
from them (`schema`). Bytes are lower-case hex in JSON and bytes everywhere else (`codec`). Keys at their default are
left out.
"""

import hashlib
from typing import Annotated, Literal

import msgspec

from tunproof.corpus.codec import Hex, builtins_of, encode

__all__ = [
    "FORMAT",
    "Basis",
    "CaseBase",
    "Digest",
    "Flag",
    "KernelAnswer",
    "KernelDelivers",
    "KernelLoses",
    "KernelRefuses",
    "KernelSame",
    "Level",
    "OffloadName",
    "Reach",
    "Reached",
    "Slug",
    "Strict",
    "Trait",
    "Wiring",
    "digest_of",
    "fits",
]

FORMAT = "tunproof-corpus/1"

Slug = Annotated[str, msgspec.Meta(pattern="^[a-z_]+(/[a-z0-9][a-z0-9-]*){2}$")]
Digest = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")]
TraitName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$")]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A struct that rejects unknown keys, and whose JSON leaves out keys at their default."""


class Basis(Strict, frozen=True, kw_only=True):
    """Why a verdict can be trusted."""

    kind: Literal["rfc", "virtio", "kernel", "uapi", "contract", "observed", "bug"]
    ref: str


class Flag(Strict, frozen=True, kw_only=True):
    """A class of bug that a case guards against: what it is, what users see of it, where it has happened."""

    description: str
    effect: str
    links: tuple[str, ...] = ()


class Trait(Strict, frozen=True, kw_only=True):
    """A named behaviour in which kernels differ: what kernels with it do, and the commit that introduced it."""

    description: str
    since: str
    commit: str


class _Answer(Strict, frozen=True, kw_only=True, tag_field="outcome"):
    """What kernels do with the frame.

    Attributes:
        when: the traits that a kernel must have (true) or lack (false) for this answer to apply; with none, it applies
            to all kernels. For any kernel, exactly one answer of a case applies.
        because: why implementations do something else, if they do so whatever the kernel.
    """

    when: dict[TraitName, bool] = msgspec.field(default_factory=dict)
    because: str | None = None


class KernelSame(_Answer, frozen=True, kw_only=True, tag="same"):
    """The kernel does with the frame what `expect` says."""


class KernelDelivers(_Answer, frozen=True, kw_only=True, tag="delivered"):
    """The kernel turns the frame into these packets."""

    packets: tuple[Hex, ...]


class KernelRefuses(_Answer, frozen=True, kw_only=True, tag="refused"):
    """The write fails with this errno."""

    errno: str


class KernelLoses(_Answer, frozen=True, kw_only=True, tag="lost"):
    """The write succeeds, but nothing ever comes out."""


KernelAnswer = KernelSame | KernelDelivers | KernelRefuses | KernelLoses

Level = Literal["must", "should", "may"]
"""How binding a verdict is."""

Reach = Literal["kernel", "peer", "caller", "hostile"]
"""Where input comes from: a kernel, the other end of a tunnel, the code that calls, or only somebody who means harm."""

Wiring = Literal["readback", "forward", "socket"]
"""How a kernel comes to have a packet for a reader: `tunproof.lab.wiring`."""

OffloadName = Literal["CSUM", "TSO4", "TSO6", "TSO_ECN", "USO4", "USO6"]


class Reached(Strict, frozen=True, kw_only=True):
    """Kernels that handed the frames of a case to the reader of a TUN: observed, never derived.

    One record for all kernels that agree, as `confirmed` is one list for them: a record for each would make the corpus
    some megabytes longer and say nothing more.

    Attributes:
        wiring: how the frames came to the reader.
        offloads: what the reader asked for with TUNSETOFFLOAD, without `TUN_F_`: no more than these frames take.
        hdr_len: what these kernels gave, if that differs from the hdr_len of the case's frame.
        releases: the kernels. One whose release names a private build has its version alone.
    """

    wiring: Wiring
    offloads: tuple[OffloadName, ...] = ()
    hdr_len: int | None = None
    releases: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class CaseBase(Strict, frozen=True, kw_only=True):
    """What cases of all operations have in common.

    Attributes:
        id: operation, topic and name; permanent.
        digest: of `input` and `expect`.
        about: what must hold, and why it matters.
        flags: the classes of bug that the case guards against.
        level: how binding the verdict is.
        importance: how much a failure hurts.
        reach: where an implementation can meet such input.
        requires: the capabilities that a subject needs; without them the case is unsupported (`capabilities`).
        basis: why the verdict can be trusted; never the reference alone.
        sibling: for a case with a fault, the nearest valid case.
        kernel: what kernels do; empty if nothing reaches a kernel.
        confirmed: kernel releases that were observed to do what `kernel` says for their traits.
        reached: for a `read` of reach `kernel`, the kernels that handed over every frame of it, `before` included.
    """

    id: Slug
    digest: Digest
    about: str
    flags: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    level: Level
    importance: Literal["critical", "high", "medium", "low"]
    reach: Reach
    requires: tuple[str, ...] = ()
    basis: Annotated[tuple[Basis, ...], msgspec.Meta(min_length=1)]
    sibling: str | None = None
    kernel: tuple[KernelAnswer, ...] = ()
    confirmed: tuple[str, ...] = ()
    reached: tuple[Reached, ...] = ()

    @property
    def traits(self) -> frozenset[str]:
        """The kernel traits that decide between the answers."""
        return frozenset(trait for answer in self.kernel for trait in answer.when)

    def answer_of(self, traits: frozenset[str]) -> KernelAnswer | None:
        """Return what a kernel with these traits does, or None if the case does not apply to kernels."""
        return next((answer for answer in self.kernel if fits(answer.when, traits)), None)


def fits(when: dict[str, bool], traits: frozenset[str]) -> bool:
    """Whether `when` applies to a kernel with these traits."""
    return all((trait in traits) is wanted for trait, wanted in when.items())


def digest_of(case_input: msgspec.Struct, expect: msgspec.Struct) -> str:
    """Return the digest of a case: SHA-256 over the canonical JSON of its input and expected output.

    The explanation for people (`fault`) and what kernels do are left out: a known failure of an implementation stays
    the same when an explanation is reworded or another kind of kernel is described.
    """
    outcome = builtins_of(expect)
    outcome.pop("fault", None)
    canonical = encode([case_input, outcome], order="sorted")
    return "sha256:" + hashlib.sha256(canonical).hexdigest()
