"""Segmenting and joining are inverses: what the reference promises without a kernel."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tio import MAX_FRAGMENTS
from tunfuzz import Framed, GsoArguments, batches, canonical_superpackets, gso_arguments, invariants, packets

JOINABLE = canonical_superpackets(ipv4_options=False, max_segments=MAX_FRAGMENTS, stream=True)


@settings(max_examples=2 * settings.default.max_examples)
@given(JOINABLE)
def test_cutting_then_joining_gives_the_superpacket_back(framed: Framed) -> None:
    """coalesce(segment(superpacket)) is that superpacket: the same packet, the same vnet header."""
    invariants.check_joins_back(framed)


@settings(max_examples=2 * settings.default.max_examples)
@given(batches())
def test_joining_then_cutting_gives_a_batch_back(batch: list[bytes]) -> None:
    """segment(coalesce(batch)) is the batch: each packet once, byte for byte, in order within its flow."""
    invariants.check_transparent(batch)


@given(st.lists(st.one_of(packets(), st.binary(max_size=100)), max_size=8))
def test_joining_then_cutting_gives_any_bytes_back(batch: list[bytes]) -> None:
    """segment(coalesce(batch)) is the batch, for packets that have nothing to do with each other or are none at all."""
    invariants.check_transparent(batch)


@settings(max_examples=settings.default.max_examples // 2)
@given(batches())
def test_what_is_joined_keeps_the_header_rules(batch: list[bytes]) -> None:
    """Every superpacket that coalesce makes passes check_geometry, keeps V2 to V11, and segment cuts its fragments."""
    invariants.check_joined_headers(batch)


@settings(max_examples=2 * settings.default.max_examples)
@given(gso_arguments())
def test_what_check_geometry_lets_pass_is_a_legal_frame(arguments: GsoArguments) -> None:
    """What check_geometry accepts keeps V2 to V11 and is cut into its fragments; it raises nothing but FrameError."""
    invariants.check_arguments(arguments)


@given(gso_arguments(valid=True))
def test_check_geometry_takes_legal_arguments(arguments: GsoArguments) -> None:
    """check_geometry accepts every legal superpacket and every legal single fragment."""
    invariants.check_legal_arguments(arguments)
