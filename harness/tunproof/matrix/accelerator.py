"""KVM where it works, which is found out by trying: a node that opens may still belong to a host that cannot nest."""

import os
import tempfile
import time
from pathlib import Path

from tunproof.matrix.initramfs import Initramfs
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.machine import Machine

__all__ = ["accelerator_for"]

_KVM = "/dev/kvm"
_PATIENCE = 8.0  # seconds in which a kernel that KVM runs has long said something on its console
_LOOK = 0.05


def accelerator_for(kernel: Kernel, initramfs: Initramfs) -> str:
    """Return "kvm" where this kernel says something under it, else "tcg"."""
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return "tcg"
    with tempfile.TemporaryDirectory(prefix="tunproof-matrix-") as folder:
        image = Path(folder) / "initramfs"
        initramfs.write(kernel, image)
        with Machine(kernel, image, accelerator="kvm") as machine:
            deadline = time.monotonic() + _PATIENCE
            while time.monotonic() < deadline and machine.is_running:
                if "Linux version" in machine.console:
                    return "kvm"
                time.sleep(_LOOK)
    return "tcg"
