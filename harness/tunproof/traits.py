"""What the running kernel can do, found out by asking it, never by its version."""

from tio import tuntap
from tunproof.lab import Namespace

__all__ = ["TRAITS", "probe"]

TRAITS = {"uso": "UDP superpackets (GSO_UDP_L4) can be written to and read from a TUN; Linux 6.2"}
"""Every trait that a case may name, explained."""


def probe() -> frozenset[str]:
    """Return the traits of the running kernel. Raises `EnvironmentProblem` where no namespace can be made."""
    with Namespace() as namespace:
        return namespace.run(_probe_here)


def _probe_here() -> frozenset[str]:
    fd = tuntap.open_tun("probe", tuntap.Iff.TUN | tuntap.Iff.NO_PI | tuntap.Iff.VNET_HDR)
    with open(fd, "rb", buffering=0):
        try:
            tuntap.set_offload(fd, tuntap.Offload.TSO | tuntap.Offload.USO)
        except OSError:
            return frozenset()
        return frozenset({"uso"})
