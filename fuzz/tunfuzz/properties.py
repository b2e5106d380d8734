"""Which invariant is tried on which strategy, by name: what `python -m tunfuzz` goes through."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tio import MAX_FRAGMENTS
from tunfuzz import invariants
from tunfuzz.strategies.anything import frames, packets
from tunfuzz.strategies.arguments import gso_arguments
from tunfuzz.strategies.lifecycles import lifecycles
from tunfuzz.strategies.oddities import tunnel_frames, ufo_frames
from tunfuzz.strategies.superpackets import canonical_superpackets, partial_packets
from tunfuzz.strategies.traffic import batches
from tunfuzz.strategies.vnet import in_any_layout, vnet_bytes
from tunfuzz.values import Framed

__all__ = ["PROPERTIES", "Property", "joinable_superpackets", "laid_out_frames", "unrelated_packets"]


@dataclass(frozen=True, slots=True)
class Property:
    """An invariant: its `name`, where values come from, and the check, which gets the kernel too if it `needs_lab`."""

    name: str
    strategy: SearchStrategy[Any]
    check: Callable[..., None]
    needs_lab: bool = False


def joinable_superpackets() -> SearchStrategy[Any]:
    """Draw a canonical superpacket that joining can give back: as `coalesce` would make it by C2, C5 and C10."""
    return canonical_superpackets(ipv4_options=False, max_segments=MAX_FRAGMENTS, stream=True)


def unrelated_packets() -> SearchStrategy[list[bytes]]:
    """Draw a list of packets that are unrelated, or not packets at all."""
    return st.lists(st.one_of(packets(), st.binary(max_size=100)), max_size=8)


def laid_out_frames() -> SearchStrategy[Framed]:
    """Draw a frame for a device with long or big-endian vnet headers."""
    some = st.one_of(canonical_superpackets(max_segments=6), partial_packets(), ufo_frames())
    return st.one_of(in_any_layout(some), tunnel_frames())


PROPERTIES = (
    Property("joins-back", joinable_superpackets(), invariants.check_joins_back),
    Property("transparent", batches(), invariants.check_transparent),
    Property("transparent-unrelated", unrelated_packets(), invariants.check_transparent),
    Property("joined-headers", batches(), invariants.check_joined_headers),
    Property("arguments", gso_arguments(), invariants.check_arguments),
    Property("legal-arguments", gso_arguments(valid=True), invariants.check_legal_arguments),
    Property("only-frame-errors", frames(), invariants.check_only_frame_errors),
    Property("header-bytes", vnet_bytes(), invariants.check_header_bytes),
    Property("any-layout", laid_out_frames(), invariants.check_same_in_any_layout),
    Property("lifecycles", lifecycles(), invariants.check_lifecycle),
    Property("kernel-cuts", canonical_superpackets(hints=True), invariants.check_kernel_agrees, needs_lab=True),
    Property(
        "kernel-passes-small",
        partial_packets(hints=True, typed=True),
        invariants.check_kernel_completes,
        needs_lab=True,
    ),
    Property("kernel-completes", partial_packets(hints=True), invariants.check_kernel_completes, needs_lab=True),
)
