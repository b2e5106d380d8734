"""What the running kernel can do, found out by asking it, never by its version."""

import os

from tio.tuntap import Offload, set_offload
from tunproof.lab import Namespace
from tunproof.lab.device import open_queue

__all__ = ["TRAITS", "probe"]

TRAITS = {"uso": "UDP superpackets (GSO_UDP_L4) can be written to and read from a TUN; Linux 6.2"}
"""Every trait that a case may name, explained."""


def probe() -> frozenset[str]:
    """Return the traits of the running kernel. Raises `EnvironmentProblem` where no namespace can be made."""
    with Namespace() as namespace:
        return namespace.run(_probe_here)


def _probe_here() -> frozenset[str]:
    fd = open_queue("probe", offload=Offload.NONE)
    try:
        set_offload(fd, Offload.TSO | Offload.USO)
    except OSError:
        return frozenset()
    finally:
        os.close(fd)
    return frozenset({"uso"})
