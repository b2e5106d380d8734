"""What a kernel is, in words: its traits, how they differ from those of its release, and its known regressions."""

from collections.abc import Iterator
from typing import Any

from tio.linux import ABOUT, Trait, observable, traits_of
from tunproof.kernel.probes import PROBES, UNSEEN, Probed

__all__ = ["as_json", "concerns_tunnels_only", "departures", "describe", "regressions", "tell"]


def regressions(probed: Probed) -> list[Trait]:
    """Return the known regressions that a kernel has."""
    return [trait for trait in PROBES if trait in probed.traits and ABOUT[trait].regression]


def concerns_tunnels_only(trait: Trait) -> bool:
    """Whether only users who put superpackets inside UDP tunnels notice it."""
    return ABOUT[trait].needs is Trait.UDP_TUNNEL


def tell(trait: Trait) -> str:
    """Return what a regression is and what it means for a user, in two sentences."""
    about = ABOUT[trait]
    end = f"fixed by {about.fixed}" if about.fixed else "not fixed so far"
    return f"this kernel {about.symptom}, {end}. {about.effect}"


def describe(probed: Probed) -> Iterator[tuple[str, str]]:
    """Yield what is known about the traits of a kernel, each under a heading: has, lacks, unknown, unseen."""
    told = [trait for trait in PROBES if not ABOUT[trait].regression]
    yield "has", ", ".join(trait for trait in told if trait in probed.traits)
    yield "lacks", ", ".join(trait for trait in told if trait not in probed.traits | probed.unknown.keys())
    for trait, reason in probed.unknown.items():
        yield "unknown", f"{trait}: {reason}"
    yield "unseen", f"{', '.join(UNSEEN)}: no frame can tell"


def departures(probed: Probed, release: str) -> str:
    """Return how a kernel differs from its release as that left kernel.org; "" if `release` is not a version number."""
    version = release.partition("-")[0].partition("+")[0]
    try:
        known = observable(traits_of(version))
    except ValueError:
        return ""
    departs = [
        trait for trait in PROBES if (trait in known) != (trait in probed.traits) and trait not in probed.unknown
    ]
    if not departs:
        return f"as {version} left kernel.org"
    words = [f"it {'has' if trait in probed.traits else 'lacks'} {trait}" for trait in departs]
    return f"not as {version} left kernel.org: {', '.join(words)}"


def as_json(probed: Probed) -> dict[str, Any]:
    """Return the traits of a kernel, regressions among them, as plain data."""
    return {
        "traits": sorted(probed.traits),
        "regressions": [
            {
                "name": trait,
                "means": ABOUT[trait].means,
                "effect": ABOUT[trait].effect,
                "commit": ABOUT[trait].commit,
                "fixed": ABOUT[trait].fixed,
            }
            for trait in regressions(probed)
        ],
        "unknown": dict(probed.unknown),
        "unseen": dict(UNSEEN),
    }
