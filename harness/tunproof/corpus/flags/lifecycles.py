"""Classes of bugs in the life of containers and queues."""

from tunproof.corpus.model import Flag

__all__ = ["LIFECYCLES"]

LIFECYCLES: dict[str, Flag] = {}
