"""How cases are written: a function that returns the input, under a decorator.

    topic = Topic("read", "tcp4", requires=("gso.tcp4",))

    @topic.case("PshOnLastOnly", basis=[kernel("tcp_gso_segment", "net/ipv4/tcp_offload.c")])
    def psh_on_last_segment_only() -> bytes:
        '''PSH means "deliver up to here", so it is set on the last segment only.'''
        return superpacket(ip4() / TCP(flags="PA"), payload(20), gso_size=8)

The function's name is the last part of the id, its docstring the description. The author does not write the output,
except for batches (which packets belong together) and lifecycles (each step's answers): the reference computes it, the
kernel is run, and both must agree (`record`). An author who knows that they rightly differ says so with `differs`, and
one whose packets carry wrong checksums on purpose with `sound=False`.

If kernels differ from each other, the author says what each kind does:

    kernels=needs("uso")                                      without it the write is refused with EINVAL
    kernels=by_trait("csum_start_floor", yes=RECORDED, no=LOST)
    kernels=by_trait("min_gso_8", yes=like(frame_of_8), no=RECORDED)

`RECORDED` is what the running kernel does, `like(frame)` what it does with another frame. The rule for the running
kernel is checked against what it does; the others are the author's claim, so a case needs a basis for them.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tunproof.corpus.cases import (
    BatchInput,
    ChecksumInput,
    EmitInput,
    GsoArguments,
    GsoInput,
    ParseInput,
    ReadInput,
    WriteInput,
)
from tunproof.corpus.model import Basis, Level
from tunproof.corpus.script import Answer, Script
from tunproof.packets.builder import GsoPieces

__all__ = [
    "ANY_KERNEL",
    "LOST",
    "RECORDED",
    "Batch",
    "Built",
    "Draft",
    "Input",
    "KernelRule",
    "Life",
    "Topic",
    "bug",
    "by_trait",
    "contract",
    "delivers",
    "gso",
    "kernel",
    "like",
    "needs",
    "observed",
    "refused",
    "rfc",
    "uapi",
    "virtio",
]


@dataclass(frozen=True, slots=True)
class Batch:
    """A `write_batch`: the packets, which of them a good coalescer joins, and which must stay apart."""

    input: BatchInput
    ideal: Sequence[Sequence[int]]
    apart: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Life:
    """A lifecycle: the steps, and for each the correct answers."""

    script: Script
    answers: Sequence[Sequence[Answer]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the running kernel does with the case's frame."""


@dataclass(frozen=True, slots=True)
class Like:
    """What the running kernel delivers for another frame."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Delivers:
    """These packets, which the author computed."""

    packets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Refuses:
    """The write fails with this errno, such as "EINVAL"."""

    errno: str


@dataclass(frozen=True, slots=True)
class Loses:
    """The frame is accepted, and lost."""


RECORDED = Recorded()
LOST = Loses()


Does = Recorded | Like | Delivers | Refuses | Loses


@dataclass(frozen=True, slots=True)
class KernelRule:
    """What kernels with (true) and without (false) these traits do."""

    when: Mapping[str, bool]
    does: Does


ANY_KERNEL = (KernelRule({}, RECORDED),)

Input = ReadInput | WriteInput | GsoInput | ChecksumInput | ParseInput | EmitInput | Batch | Life
Built = bytes | GsoPieces | Input
Author = Callable[[], Built]


@dataclass(frozen=True, slots=True)
class Draft:
    """A case as its author wrote it, before anything was recorded."""

    op: str
    topic: str
    name: str
    about: str
    built: Built
    flags: tuple[str, ...]
    basis: tuple[Basis, ...]
    requires: tuple[str, ...]
    kernels: tuple[KernelRule, ...]
    level: Level
    importance: Literal["critical", "high", "medium", "low"]
    sibling: str | None
    differs: str | None
    sound: bool

    @property
    def id(self) -> str:
        """The permanent id."""
        return f"{self.op}/{self.topic}/{self.name}"


@dataclass(slots=True)
class Topic:
    """The cases of one file. `requires` and `basis` are what all its cases share, `kernels` is their default."""

    op: str
    topic: str
    requires: tuple[str, ...] = ()
    kernels: tuple[KernelRule, ...] = ANY_KERNEL
    basis: tuple[Basis, ...] = ()
    drafts: list[Draft] = field(default_factory=list)

    def case(self, *flags: str, **options: object) -> Callable[[Author], Author]:
        """Register the decorated function as one case. For `options` see `add`."""

        def register(author: Author) -> Author:
            about = inspect.cleandoc(author.__doc__ or "")
            self.add(author.__name__.replace("_", "-"), about, author(), flags=flags, **options)  # type: ignore[arg-type]
            return author

        return register

    def add(  # noqa: PLR0913 (one keyword for each thing that a case states)
        self,
        name: str,
        about: str,
        built: Built,
        *,
        flags: Sequence[str],
        basis: Iterable[Basis] = (),
        requires: Iterable[str] = (),
        kernels: tuple[KernelRule, ...] | None = None,
        level: Level = "must",
        importance: Literal["critical", "high", "medium", "low"] = "high",
        sibling: str | None = None,
        differs: str | None = None,
        sound: bool = True,
    ) -> None:
        """Add a case: for sweeps, where a decorator per value would be repetitive.

        `sibling` names a case of this topic, or one of another by its whole id. `differs` is the reason why kernels and
        implementations differ. `kernels` replaces the topic's.
        """
        whole = sibling if sibling is None or "/" in sibling else f"{self.op}/{self.topic}/{sibling}"
        self.drafts.append(
            Draft(
                op=self.op,
                topic=self.topic,
                name=name,
                about=" ".join(about.split()),
                built=built,
                flags=tuple(flags),
                basis=(*self.basis, *basis),
                requires=(*self.requires, *requires),
                kernels=self.kernels if kernels is None else kernels,
                level=level,
                importance=importance,
                sibling=whole,
                differs=differs,
                sound=sound,
            )
        )


def by_trait(trait: str, *, yes: Does, no: Does) -> tuple[KernelRule, ...]:
    """Return what kernels with a trait do, and those without it."""
    return KernelRule({trait: True}, yes), KernelRule({trait: False}, no)


def needs(*traits: str, errno: str = "EINVAL") -> tuple[KernelRule, ...]:
    """Return rules by which a kernel that lacks one of these traits refuses the write: the first applies."""
    lacking = (
        KernelRule({**dict.fromkeys(traits[:at], True), trait: False}, Refuses(errno))
        for at, trait in enumerate(traits)
    )
    return KernelRule(dict.fromkeys(traits, True), RECORDED), *lacking


def delivers(*packets: bytes) -> Delivers:
    """Return the answer of a kernel that turns the frame into these packets."""
    return Delivers(packets)


def refused(errno: str) -> Refuses:
    """Return the answer of a kernel that refuses the write."""
    return Refuses(errno)


def like(frame: bytes) -> Like:
    """Return the answer of a kernel that does with the case's frame what the running one does with this frame."""
    return Like(frame)


def gso(first: GsoPieces, *before: GsoPieces) -> GsoInput:
    """Return the input of a `write_gso` that comes after others."""
    return GsoInput(**_arguments(first), before=tuple(GsoArguments(**_arguments(one)) for one in before))


def _arguments(pieces: GsoPieces) -> dict[str, Any]:
    return {"hdr": pieces.hdr, "transport_hdr": pieces.transport_hdr, "pays": pieces.pays}


def kernel(function: str, file: str, since: str = "") -> Basis:
    """Return a basis in the kernel's source: the function that decides, and since when."""
    return Basis(kind="kernel", ref=f"{file}: {function}" + (f", since {since}" if since else ""))


def rfc(number: int, section: str) -> Basis:
    """Return a basis in an RFC."""
    return Basis(kind="rfc", ref=f"RFC {number}, section {section}")


def virtio(section: str) -> Basis:
    """Return a basis in the virtio specification 1.3."""
    return Basis(kind="virtio", ref=f"virtio 1.3, section {section}")


def uapi(file: str, what: str) -> Basis:
    """Return a basis in the kernel's user-space interface."""
    return Basis(kind="uapi", ref=f"{file}: {what}")


def contract(what: str) -> Basis:
    """Return a basis in the contract of Queue, GSOWriter or Container (`reference/tio/queue.py`)."""
    return Basis(kind="contract", ref=what)


def observed(what: str) -> Basis:
    """Return a basis in what was observed on kernels, named by their releases."""
    return Basis(kind="observed", ref=what)


def bug(link: str, what: str) -> Basis:
    """Return a basis in a documented bug."""
    return Basis(kind="bug", ref=f"{what}: {link}")
