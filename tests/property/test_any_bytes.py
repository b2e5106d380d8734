"""No bytes crash the reference."""

from hypothesis import given, settings

from tunfuzz import Framed, VnetBytes, frames, invariants, vnet_bytes
from tunfuzz.properties import laid_out_frames


@settings(max_examples=2 * settings.default.max_examples)
@given(frames())
def test_nothing_but_frame_errors(data: bytes) -> None:
    """Any bytes: parse, segment, coalesce and check_geometry raise nothing but FrameError."""
    invariants.check_only_frame_errors(data)


@given(vnet_bytes())
def test_a_header_is_read_as_virtio_lays_it_out(header: VnetBytes) -> None:
    """Each size, each byte order: the fields are where virtio says, and come back as they were; too few are H1."""
    invariants.check_header_bytes(header)


@given(laid_out_frames())
def test_how_long_the_vnet_header_is_changes_nothing(framed: Framed) -> None:
    """With 10, 12 or 24 bytes of vnet header, in either byte order, a frame is cut into the same segments."""
    invariants.check_same_in_any_layout(framed)
