"""Classes of bugs in checksums and in the vnet header by itself."""

from tunproof.corpus.model import Flag

__all__ = ["VALUES"]

VALUES: dict[str, Flag] = {}
