"""What this machine can test, determined by trying, and what to do about the rest.

Whatever can be tried is tried, not inferred from a version number: a namespace is created, each wiring is set up and a
packet sent through it, and each offload and header size is requested. Nothing is left behind.

The only effect on the process is that of `lab.ensure`: without privileges it ends up in a new user namespace.
"""

import enum
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from tio import tuntap
from tio.linux import Lost
from tio.tuntap import Offload
from tio.virtio import HEADER_SIZES
from tunproof import lab
from tunproof.errors import EnvironmentProblem
from tunproof.lab import links, privilege
from tunproof.lab.ground import Ground

__all__ = ["Check", "Status", "examine"]


class Status(enum.Enum):
    """The result of a check: `WARN` rules out some tests, `MISSING` all that need a real TUN."""

    OK = "ok"
    WARN = "warn"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding. `cure` is empty if there is nothing to cure."""

    name: str
    status: Status
    detail: str
    cure: str = ""


Finding = tuple[Status, str, str]


def examine() -> tuple[Check, ...]:
    """Try everything and return the findings, in order of importance. Never raises."""
    ground = tuple(_check(name, find) for name, find in _GROUND)
    missing = next((check for check in ground if check.status is Status.MISSING), None)
    if missing is None:
        built = tuple(_check(name, find) for name, find in _BUILT)
    else:
        built = tuple(_not_tried(name, missing) for name, _ in _BUILT)
    return ground + built + tuple(_check(name, _tool(name, package, use)) for name, package, use in _TOOLS)


def _check(name: str, find: Callable[[], Finding]) -> Check:
    try:
        status, detail, cure = find()
    except EnvironmentProblem as problem:
        status, detail, cure = Status.MISSING, problem.what, problem.cure
    except Exception as error:  # noqa: BLE001 - a crashing doctor helps nobody: the error is the finding
        status, detail = Status.MISSING, f"{type(error).__name__}: {error}"
        cure = "this is unexpected: please report it with the output of `tunproof doctor`"
    return Check(name=name, status=status, detail=detail, cure=cure)


def _not_tried(name: str, missing: Check) -> Check:
    return Check(name=name, status=Status.MISSING, detail=f"not tried: {missing.name}", cure=missing.cure)


def _ok(detail: str) -> Finding:
    return Status.OK, detail, ""


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036 - a checkout can be run with any version
        return Status.MISSING, version, "install Python 3.11 or newer"
    return _ok(version)


def _kernel() -> Finding:
    if sys.platform != "linux":
        return Status.MISSING, platform.platform(), "run this on Linux: nothing else has TUN devices with vnet headers"
    return _ok(f"Linux {platform.release()} on {platform.machine()}")


def _device() -> Finding:
    obstacle = privilege.device_obstacle()
    if obstacle is not None:
        return Status.MISSING, obstacle.what, obstacle.cure
    return _ok(f"{tuntap.DEVICE} opens")


def _privileges() -> Finding:
    if privilege.has_capabilities():
        return _ok("CAP_SYS_ADMIN and CAP_NET_ADMIN")
    obstacle = privilege.userns_obstacle()
    if obstacle is not None:
        return Status.MISSING, obstacle.what, obstacle.cure
    return _ok(f"none, but uid {os.geteuid()} may create user namespaces, which is enough")


def _namespace() -> Finding:
    lab.ensure()
    begin = time.perf_counter()
    with lab.Namespace() as namespace:
        names = [name for _, name in namespace.run(socket.if_nameindex)]
    return _ok(f"a new one with {', '.join(names)} in {_milliseconds(begin)}")


def _redirect() -> Finding:
    return _pair(lab.redirect)


def _readback() -> Finding:
    return _pair(lambda: lab.readback(Offload.TSO))


def _forward() -> Finding:
    return _pair(lab.forward)


def _pair(stand_up: Callable[[], lab.Pair]) -> Finding:
    begin = time.perf_counter()
    with stand_up() as pair:
        took = _milliseconds(begin)
        if lab.Exchange(pair).settle() != Lost():
            what = "packets came out of a lab although nothing was sent"
            return Status.MISSING, what, "please report it: tunproof cannot tell them from test traffic"
    return _ok(f"set up in {took}, and a packet gets through")


def _socket() -> Finding:
    begin = time.perf_counter()
    with lab.socket(addresses=lab.Addresses(lab.NEAR.ipv4, None)) as end:
        took = _milliseconds(begin)
        with end.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"tunproof", (str(lab.FAR.ipv4).partition("/")[0], 9))
        os.read(end.tun, 1 << 16)
    return _ok(f"set up in {took}, and the kernel sends through it")


def _traffic_control() -> Finding:
    with lab.redirect() as pair:
        return _ok(f"ingress, {pair.classifier} and mirred")


def _tso() -> Finding:
    with closing(Ground()) as ground:
        ground.open_queue("probe", offload=Offload.TSO)
    return _ok("TUNSETOFFLOAD accepts TSO4, TSO6 and ECN")


def _uso() -> Finding:
    with closing(Ground()) as ground:
        try:
            ground.open_queue("probe", offload=Offload.TSO | Offload.USO)
        except EnvironmentProblem as problem:
            return Status.WARN, problem.what, "use kernel 6.2 or newer; UDP cases cannot be tested here"
    return _ok("TUNSETOFFLOAD accepts USO4 and USO6")


def _header_sizes() -> Finding:
    with closing(Ground()) as ground:
        for size in HEADER_SIZES:
            ground.open_queue(f"probe{size}", offload=Offload.NONE, header_size=size)
    return _ok("10, 12 and 24 bytes")


def _ipv6() -> Finding:
    if links.has_ipv6():
        return _ok("enabled")
    return Status.WARN, "this kernel runs without it", "boot without ipv6.disable=1, or build with CONFIG_IPV6"


def _tool(name: str, package: str, use: str) -> Callable[[], Finding]:
    def find() -> Finding:
        path = shutil.which(name)
        if path is None:
            return Status.WARN, f"optional, not installed: {use}", f"apt-get install {package}"
        return _ok(f"{path}: {use}")

    return find


def _milliseconds(begin: float) -> str:
    return f"{(time.perf_counter() - begin) * 1000:.0f} ms"


_GROUND = (("Python", _python), ("kernel", _kernel), (tuntap.DEVICE, _device), ("privileges", _privileges))
"""If any of these is missing, nothing in `_BUILT` can work."""

_BUILT = (
    ("network namespace", _namespace),
    ("traffic control", _traffic_control),
    ("wiring redirect", _redirect),
    ("wiring readback", _readback),
    ("wiring forward", _forward),
    ("wiring socket", _socket),
    ("offload TSO", _tso),
    ("offload USO", _uso),
    ("vnet header sizes", _header_sizes),
    ("IPv6", _ipv6),
)

_TOOLS = (
    ("tshark", "tshark", "a third opinion on packets in the evidence"),
    ("qemu-system-x86_64", "qemu-system-x86", "boots other kernels for `tunproof matrix`"),
)
"""Program, Debian package, purpose."""
