"""KVM if it works, which is determined by trying: a node that opens may still belong to a host that cannot nest."""

import os
import time
from collections.abc import Sequence

from tunproof.errors import TunproofError
from tunproof.matrix.guests import Guests
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.machine import GuestGone, Machine

__all__ = ["accelerator_for"]

_KVM = "/dev/kvm"
_PATIENCE = 4.0  # seconds, ample for a kernel under KVM to print something on its console
_LOOK = 0.05


def accelerator_for(kernels: Sequence[Kernel], guests: Guests) -> str:
    """Return "kvm" if one of the kernels prints something under it, else "tcg"."""
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return "tcg"
    for kernel in kernels:
        try:
            with guests.started(kernel, "kvm") as machine:
                return "kvm" if _speaks(machine) else "tcg"
        except (GuestGone, TunproofError):  # reported when its turn comes
            continue
    return "tcg"


def _speaks(machine: Machine) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and machine.is_running:
        if "Linux version" in machine.console:
            return True
        time.sleep(_LOOK)
    return False
