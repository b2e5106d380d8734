"""The probes, tried on models of kernels: the probes must find exactly the model's traits."""

import pytest

from tio.linux import ABOUT, REDIRECT, KernelOutcome, Lost, Trait, Traits, Way, observable, traits_of
from tunproof.corpus.traits import TRAITS
from tunproof.errors import EnvironmentProblem
from tunproof.kernel.describe import as_json, departures, describe, regressions, tell
from tunproof.kernel.probes import PROBES, UNSEEN, Probed, probe
from tunproof.lab.modelled import ModelDevice

RELEASES = [
    *("5.10.262", "5.15.165", "6.1.103", "6.1.108", "6.1.192", "6.2", "6.5.9", "6.6.44", "6.6.46", "6.6.60", "6.8"),
    *("6.10.3", "6.10.5", "6.10.11", "6.11", "6.12.95", "6.12.117", "6.15", "6.16", "6.17.8", "6.17.13", "6.18.44"),
    *("7.0", "7.2.6", "7.2.12", "7.3.4"),
]

TUNNELS = {Trait.TUNNEL_OUTER_ETHERNET, Trait.TUNNEL_READ_EFAULT}
HIDDEN = {
    "5.10.262": {Trait.USO_STRICT, Trait.USO_128, Trait.HBH_JUMBO_ETHERNET} | TUNNELS,
    "6.18.44": set(),
    "7.3.4": {Trait.NOCSUM_MIN_LEN, Trait.HBH_JUMBO_ETHERNET},
}
"""By release: the traits that do not show when they alone are different, beside those that never do."""


@pytest.mark.parametrize("release", RELEASES)
def test_the_probes_find_the_traits_of_every_release(release: str) -> None:
    assert probe(ModelDevice(traits_of(release))) == Probed(observable(traits_of(release)), {})


@pytest.mark.parametrize("trait", Trait)
@pytest.mark.parametrize("release", HIDDEN)
def test_the_probes_find_every_trait_that_is_flipped_alone(release: str, trait: Trait) -> None:
    before, after = observable(traits_of(release)), observable(traits_of(release) ^ {trait})
    assert (before == after) == (trait in HIDDEN[release] or trait in UNSEEN)
    assert probe(ModelDevice(traits_of(release) ^ {trait})) == Probed(after, {})


def test_every_trait_is_probed_or_said_to_be_unseen() -> None:
    assert PROBES.keys() | UNSEEN.keys() == set(Trait)
    assert not PROBES.keys() & UNSEEN.keys()


def test_what_a_trait_needs_is_asked_before_it() -> None:
    order = list(PROBES)
    for trait in order:
        needs = ABOUT[trait].needs
        assert needs is None or order.index(needs) < order.index(trait), trait


@pytest.mark.parametrize(
    ("traits", "shows"),
    [
        ({Trait.USO, Trait.USO_STRICT, Trait.USO_128}, {Trait.USO, Trait.USO_STRICT, Trait.USO_128}),
        ({Trait.USO_STRICT, Trait.USO_128}, set()),
        ({Trait.USO, Trait.USO_128}, {Trait.USO}),
        ({Trait.DISSECTED}, {Trait.DISSECTED, Trait.NOCSUM_MIN_LEN}),
        ({Trait.BACKPRESSURE, Trait.READ_STACK_LEAK}, set()),
        (TUNNELS, set()),
    ],
)
def test_what_shows_from_outside(traits: Traits, shows: Traits) -> None:
    assert observable(frozenset(traits)) == shows


class Faulty(ModelDevice):
    """A device on some of whose ways nothing can be asked."""

    def __init__(self, traits: Traits, faults: dict[str, Exception | KernelOutcome]) -> None:
        super().__init__(traits)
        self.faults = faults

    def send(self, frame: bytes, way: Way) -> KernelOutcome:
        fault = self.faults.get(_kind(frame, way))
        if isinstance(fault, Exception):
            raise fault
        return super().send(frame, way) if fault is None else fault


def _kind(frame: bytes, way: Way) -> str:
    if way.forwarded:
        return "forwarded ipv6" if frame[way.header_size] >> 4 == 6 else "forwarded"
    if way.reader is not None and way.reader_header_size > 10:
        return "long header"
    return "tunnel" if way.header_size >= 24 else "plain" if way == REDIRECT else "read"


@pytest.mark.parametrize(
    ("fault", "unknown"),
    [
        ({"forwarded": EnvironmentProblem("/proc/sys is read-only", cure="mount it")}, {"totlen0", "frag_csum_start"}),
        ({"forwarded ipv6": Lost()}, {"paylen0", "extensions_read_as_tcp"}),
        ({"long header": OSError(22, "Invalid argument")}, {"vnet_pad", "tunnel_read_efault"}),
        (
            {"tunnel": EnvironmentProblem("no header of 24 bytes", cure="none")},
            {"udp_tunnel", "tunnel_outer_ethernet", "tunnel_read_efault"},
        ),
    ],
)
def test_what_cannot_be_asked_is_unknown_and_says_why(
    fault: dict[str, Exception | KernelOutcome], unknown: set[str]
) -> None:
    traits = traits_of("6.18.44")
    probed = probe(Faulty(traits, fault))
    assert set(probed.unknown) == unknown
    assert all(probed.unknown.values())
    assert probed.traits == observable(traits) - unknown


def test_a_kernel_that_lets_nothing_through_cannot_be_probed() -> None:
    with pytest.raises(EnvironmentProblem, match="no tun"):
        probe(Faulty(frozenset(), {"plain": EnvironmentProblem("no tun", cure="modprobe tun")}))


# In words ------------------------------------------------------------------------------------------------------------


def test_a_regression_is_named_with_what_it_means() -> None:
    probed = probe(ModelDevice(traits_of("6.6.44")))
    assert regressions(probed) == [Trait.GSO_REMAINDER_CHECKED]
    assert tell(Trait.GSO_REMAINDER_CHECKED) == (
        "this kernel refuses legal superpackets whose length, headers included, leaves a small remainder:"
        " the regression of Linux 6.6.44, fixed by 89add40066f9."
        " Legal superpackets are refused with EINVAL, depending on length: throughput of tunnels collapses."
    )
    (one,) = as_json(probed)["regressions"]
    assert (one["name"], one["commit"], one["fixed"]) == ("gso_remainder_checked", "e269d79c7d35", "89add40066f9")


def test_every_regression_has_words_for_it() -> None:
    for trait, about in ABOUT.items():
        assert about.regression == bool(about.symptom) == bool(about.effect), trait


def test_a_kernel_is_compared_with_its_release() -> None:
    known = observable(traits_of("6.12.95"))
    assert departures(Probed(known, {}), "6.12.95-amd64") == "as 6.12.95 left kernel.org"
    patched = Probed(known - {Trait.USO_128} | {Trait.MIN_GSO_8}, {Trait.TOTLEN0: "no forwarding"})
    assert departures(patched, "6.12.95") == "not as 6.12.95 left kernel.org: it lacks uso_128, it has min_gso_8"
    assert departures(patched, "rolling") == ""


def test_every_trait_stands_in_the_description_once() -> None:
    words = list(describe(Probed(frozenset({Trait.USO}), {Trait.TOTLEN0: "no forwarding"})))
    assert ("has", "uso") in words
    assert ("unknown", "totlen0: no forwarding") in words
    told = " ".join(text.partition(":")[0] for _, text in words).replace(",", "").split()
    assert sorted(told) == sorted({*TRAITS, *UNSEEN})


def test_a_case_may_name_what_can_be_probed_and_is_no_regression() -> None:
    assert set(TRAITS) == {trait for trait in PROBES if not ABOUT[trait].regression}
