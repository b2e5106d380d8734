"""No bytes bring the reference to its knees."""

from hypothesis import given, settings

from tunfuzz import frames, invariants


@settings(max_examples=2 * settings.default.max_examples)
@given(frames())
def test_nothing_but_frame_errors(data: bytes) -> None:
    """Any bytes: parse, segment, coalesce and check_geometry raise nothing but FrameError."""
    invariants.check_only_frame_errors(data)
