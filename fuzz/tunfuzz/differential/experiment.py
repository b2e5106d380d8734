"""The kernel differential as an experiment: for one process, or for a campaign."""

import gc
import os

from tio.linux import traits_of
from tunfuzz.campaign.request import Experiment
from tunfuzz.differential.kernel import Differential, rules_on_the_ways
from tunproof import lab
from tunproof.corpus.load import load_for_good
from tunproof.runner import corpus_digest

__all__ = ["experiment"]


def experiment() -> Experiment:
    """Probe the running kernel, and return what is asked of it. Raises `EnvironmentProblem`."""
    lab.ensure()
    traits = traits_of(os.uname().release)  # XX
    corpus = load_for_good()
    gc.freeze()
    return Experiment(runner=Differential(traits), rules=rules_on_the_ways(traits), corpus=corpus_digest(corpus))
