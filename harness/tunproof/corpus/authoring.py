"""How cases are written: a function that returns a frame or the arguments of a `write_gso`, under a decorator.

    topic = Topic("read", "tcp4", requires=("gso.tcp4",))

    @topic.case("PshOnLastOnly", basis=[kernel("tcp_gso_segment", "net/ipv4/tcp_offload.c")])
    def psh_on_last_segment_only() -> bytes:
        '''PSH means "deliver up to here", so it stands on the last segment only.'''
        return superpacket(ip4() / TCP(flags="PA"), payload(20), gso_size=8)

The function's name is the last part of the id, its docstring the description. What comes out is not written by the
author: the reference computes it, the kernel is asked, and both must agree (`record`). An author who knows that they
differ by right says so with `differs`, and one whose packets carry wrong checksums on purpose with `sound=False`.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tunproof.corpus.builder import GsoPieces
from tunproof.corpus.model import Basis

__all__ = ["Draft", "Topic", "bug", "kernel", "rfc", "uapi", "virtio"]

Built = bytes | GsoPieces
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
    traits: tuple[str, ...]
    level: Literal["must", "should", "may"]
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
    """The cases of one file. `requires` and `basis` are what all its cases share."""

    op: str
    topic: str
    requires: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
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
        traits: Iterable[str] = (),
        level: Literal["must", "should", "may"] = "must",
        importance: Literal["critical", "high", "medium", "low"] = "high",
        sibling: str | None = None,
        differs: str | None = None,
        sound: bool = True,
    ) -> None:
        """Add a case: for sweeps, where a decorator per value would only repeat itself.

        `sibling` names a case of this topic. `differs` is the reason why kernel and implementation may differ.
        """
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
                traits=(*self.traits, *traits),
                level=level,
                importance=importance,
                sibling=f"{self.op}/{self.topic}/{sibling}" if sibling else None,
                differs=differs,
                sound=sound,
            )
        )


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
    """Return a basis in the kernel's interface for programs."""
    return Basis(kind="uapi", ref=f"{file}: {what}")


def bug(link: str, what: str) -> Basis:
    """Return a basis in a documented bug."""
    return Basis(kind="bug", ref=f"{what}: {link}")
