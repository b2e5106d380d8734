"""tunproof: proves whether a TUN offload implementation, or a Linux kernel, handles superpackets right."""

from tunproof.version import __version__

__all__ = ["__version__"]
