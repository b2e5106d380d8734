"""The running kernel is the judge: a real lab delivers what the reference says about a canonical frame."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from tunfuzz import Framed, canonical_superpackets, invariants, partial_packets
from tunproof import lab
from tunproof.errors import EnvironmentProblem

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def kernel() -> Iterator[lab.Exchange]:
    try:
        lab.ensure()
        pair = lab.redirect()
    except EnvironmentProblem as problem:
        pytest.skip(str(problem))
    with pair:
        yield lab.Exchange(pair)


@pytest.mark.parametrize("protocol", [pytest.param(6, id="tcp"), pytest.param(17, id="udp")])
@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_cuts_what_segment_says(kernel: lab.Exchange, version: int, protocol: int) -> None:
    """What segment says equals what the kernel cuts, byte for byte, for every canonical superpacket."""

    @settings(max_examples=settings.default.max_examples * 2)
    @given(canonical_superpackets(version=version, protocol=protocol, hints=True))
    def agrees(framed: Framed) -> None:
        invariants.check_kernel_agrees(framed, kernel)

    agrees()


@pytest.mark.parametrize("protocol", [pytest.param(6, id="tcp"), pytest.param(17, id="udp")])
@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_completes_a_checksum_as_the_reference_does(
    kernel: lab.Exchange, version: int, protocol: int
) -> None:
    """GSO_NONE with NEEDS_CSUM: the kernel's packet equals complete_checksum's and segment's exactly."""

    @given(partial_packets(version=version, protocol=protocol, hints=True))
    def agrees(framed: Framed) -> None:
        invariants.check_kernel_completes(framed, kernel)

    agrees()


def test_the_kernel_does_not_cut_what_is_too_short(kernel: lab.Exchange) -> None:
    """A type, but a payload not longer than gso_size: one packet, completed as with GSO_NONE."""

    @given(partial_packets(hints=True, typed=True))
    def agrees(framed: Framed) -> None:
        invariants.check_kernel_completes(framed, kernel)

    agrees()
