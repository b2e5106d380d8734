"""Scapy, which shares no code with the reference, finds nothing wrong with its segments."""

import pytest
from hypothesis import given, settings

from tunfuzz import Framed, canonical_superpackets
from tunfuzz.independent import check_scapy_agrees


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", [6, 17])
def test_checksums_of_segments_are_what_scapy_computes(version: int, protocol: int) -> None:
    """Every segment's checksums and lengths are what scapy computes for its bytes."""

    @settings(max_examples=settings.default.max_examples // 4)
    @given(canonical_superpackets(version=version, protocol=protocol, max_segments=12))
    def agrees(framed: Framed) -> None:
        check_scapy_agrees(framed)

    agrees()
