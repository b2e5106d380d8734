"""What Linux does with a frame written to a TUN: an executable account of the kernel's side.

>>> predict(frame, traits_of("6.18"))
Delivered(packets=(...))
"""

from tio.linux.model import Model, predict
from tio.linux.outcome import Delivered, KernelOutcome, Lost, NotModelled, Refused
from tio.linux.rules import RULES, Rule
from tio.linux.traits import ABOUT, About, Trait, Traits, observable, traits_of
from tio.linux.way import FORWARD, REDIRECT, Way, readback

__all__ = [
    "ABOUT",
    "FORWARD",
    "REDIRECT",
    "RULES",
    "About",
    "Delivered",
    "KernelOutcome",
    "Lost",
    "Model",
    "NotModelled",
    "Refused",
    "Rule",
    "Trait",
    "Traits",
    "Way",
    "observable",
    "predict",
    "readback",
    "traits_of",
]
