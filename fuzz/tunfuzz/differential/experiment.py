"""The kernel differential as an experiment: for one process, or for a campaign."""

import gc
import os

from tunfuzz.campaign.request import Experiment
from tunfuzz.differential.kernel import Differential, rules_on_the_ways
from tunproof.corpus.load import load_for_good
from tunproof.errors import EnvironmentProblem
from tunproof.kernel.probes import running_kernel
from tunproof.runs.runner import corpus_digest

__all__ = ["experiment"]


def experiment() -> Experiment:
    """Probe the running kernel, and return the experiment. Raises `EnvironmentProblem`."""
    probed = running_kernel()
    if probed.unknown:
        reasons = "; ".join(f"{trait}: {reason}" for trait, reason in probed.unknown.items())
        raise EnvironmentProblem(
            f"the model needs traits of this kernel that could not be determined: {reasons}",
            cure="`tunproof doctor` tries each lab; `tunproof kernel` works without",
        )
    traits = probed.traits
    corpus = load_for_good()
    gc.freeze()
    runner = Differential(traits, os.uname().release)
    return Experiment(runner=runner, rules=rules_on_the_ways(traits), corpus=corpus_digest(corpus))
