"""The first root of a guest: Python, our packages, the modules that labs need, and nothing else."""

from tunproof.matrix.cpio import Archive
from tunproof.matrix.kernels import Kernel
from tunproof.matrix.modules import NEEDED, load_order
from tunproof.matrix.runtime import PACKAGES, add_python, interpreter

__all__ = ["Initramfs"]

_PORT = ("virtio_pci", "virtio_console")
_CONSOLE = (5, 1)  # major, minor: without it the first process has no standard streams
_INIT = f"""#!{interpreter()} -ESs
import sys

sys.path.insert(0, {PACKAGES!r})

from tunproof.matrix.guest import main

main()
"""


class Initramfs:
    """What all guests of a run share is made once; each kernel adds its modules."""

    def __init__(self) -> None:
        archive = Archive()
        for folder in ("/dev", "/modules", "/proc", "/sys", "/tmp"):  # noqa: S108 (the guest's)
            archive.folder(folder)
        archive.device("/dev/console", *_CONSOLE)
        archive.file("/init", _INIT.encode(), executable=True)
        add_python(archive)
        self._common = archive.to_bytes()

    def of(self, kernel: Kernel) -> tuple[bytes, bytes]:
        """Return the archives for a kernel, to be concatenated. Raises `EnvironmentProblem`."""
        modules = Archive()
        if kernel.modules is not None:
            for number, (name, content) in enumerate(load_order(kernel.modules, (*_PORT, *NEEDED))):
                modules.file(f"/modules/{number:02}-{name}.ko", content)
        return self._common, modules.to_bytes()
