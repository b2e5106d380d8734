"""KVM where it works, which is found out by trying: a node that opens may still belong to a host that cannot nest."""

import os
import time

from tunproof.matrix.guests import Guests
from tunproof.matrix.kernels import Kernel

__all__ = ["accelerator_for"]

_KVM = "/dev/kvm"
_PATIENCE = 8.0  # seconds in which a kernel that KVM runs has long said something on its console
_LOOK = 0.05


def accelerator_for(kernel: Kernel, guests: Guests) -> str:
    """Return "kvm" where this kernel says something under it, else "tcg". Raises `EnvironmentProblem`."""
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return "tcg"
    with guests.started(kernel, "kvm") as machine:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and machine.is_running:
            if "Linux version" in machine.console:
                return "kvm"
            time.sleep(_LOOK)
    return "tcg"
