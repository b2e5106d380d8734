"""Classes of bugs in writing batches: joining, ordering, leaving alone."""

from tunproof.corpus.model import Flag

__all__ = ["BATCHES"]

BATCHES: dict[str, Flag] = {}
