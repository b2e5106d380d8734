"""What this process needs in order to make network namespaces and TUNs, and how it gets that.

Two things are needed, and they are independent:

1. `/dev/net/tun` opens for reading and writing. Only the node's mode (and a container's device list) decides:
   `tun_chr_open` asks for no capability.
2. `CAP_SYS_ADMIN` for `unshare(CLONE_NEWNET)` (`copy_namespaces`) and `CAP_NET_ADMIN` over the new namespace for
   `TUNSETIFF` (`tun_set_iff`) and netlink. Root has both. Any other user gets both inside a user namespace, if the
   machine allows those.

`ensure` enters that user namespace in place, without restarting the program: `unshare(CLONE_NEWUSER)` is refused to a
process with threads (EINVAL, `check_unshare_flags`), so a command calls `ensure` before anything else. The caller's uid
and gid become 0 inside: a child that is started with `exec` then keeps its capabilities (an adapter may want to open a
TUN by name), while every file it makes still belongs to the user outside. Supplementary groups stay in force, so a node
that opens for a group still opens.

A refusal may come at the second or third step (AppArmor allows `unshare` and takes the capabilities away), which would
leave the process in a useless state. So the steps are first tried in a forked child that ends at once.
"""

import enum
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tio import tuntap
from tunproof.errors import EnvironmentProblem
from tunproof.lab.libc import CLONE_NEWNET, CLONE_NEWUSER, unshare

__all__ = [
    "Obstacle",
    "Refusal",
    "Step",
    "device_obstacle",
    "ensure",
    "has_capabilities",
    "sysctl_obstacles",
    "trial",
    "userns_obstacle",
]

_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21
_NEEDED = 1 << _CAP_NET_ADMIN | 1 << _CAP_SYS_ADMIN

_AS_ROOT = "or run the command as root (sudo)"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One obstacle: `what` it is, and the command that removes it (`cure`)."""

    what: str
    cure: str


class Step(enum.Enum):
    """The steps of a process towards its own TUN, in order."""

    USER_NAMESPACE = "unshare(CLONE_NEWUSER)"
    ID_MAPS = "writing /proc/self/uid_map and gid_map"
    NETWORK_NAMESPACE = "unshare(CLONE_NEWNET)"
    TUN = "TUNSETIFF on /dev/net/tun"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The step that the kernel refused, and the `errno` it answered with."""

    step: Step
    errno: int


def ensure() -> None:
    """Make this process able to make network namespaces and TUNs; do nothing if it already is.

    Otherwise the process must have only one thread, and ends up as root of a new user namespace. Raises
    `EnvironmentProblem`, with the process unchanged, if the machine forbids it.
    """
    obstacle = device_obstacle()
    if obstacle is None and not has_capabilities():
        obstacle = userns_obstacle()
        if obstacle is None:
            _enter_user_namespace()
    if obstacle is not None:
        raise EnvironmentProblem(obstacle.what, cure=obstacle.cure)


def has_capabilities(status: Path = Path("/proc/thread-self/status")) -> bool:
    """Return whether CAP_SYS_ADMIN and CAP_NET_ADMIN are in force (`CapEff`)."""
    for line in status.read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) & _NEEDED == _NEEDED
    return False


def device_obstacle(path: str = tuntap.DEVICE) -> Obstacle | None:
    """Return what keeps this process from opening the TUN node, or None. Opening alone makes no device."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return _device_obstacle(path, error)
    return None


def _device_obstacle(path: str, error: OSError) -> Obstacle:
    if error.errno == errno.ENOENT:
        make = f"mkdir -p {Path(path).parent} && mknod {path} c 10 200 && chmod 666 {path}"
        return Obstacle(f"{path} does not exist", f"modprobe tun (or, in a container: {make})")
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return Obstacle(f"{path} exists, but has no driver", "modprobe tun")
    if error.errno == errno.EACCES:
        found = _describe_node(path)
        return Obstacle(f"{path} does not open: permission denied ({found})", f"chmod 666 {path}, {_AS_ROOT}")
    if error.errno == errno.EPERM:
        what = f"{path} does not open: operation not permitted; a container's device list omits it"
        return Obstacle(what, f"start the container with --device {path}")
    return Obstacle(f"{path} does not open: {error.strerror}", "modprobe tun")


def _describe_node(path: str) -> str:
    try:
        node = Path(path).stat()
    except OSError:
        return "its directory is not accessible"
    return f"mode {node.st_mode & 0o7777:04o}, owner {node.st_uid}:{node.st_gid}, this process is uid {os.geteuid()}"


def userns_obstacle() -> Obstacle | None:
    """Return what keeps this process from getting a TUN through a user namespace, or None.

    It is determined by trying, in a child. The sysctls only name the reason. A node that does not open is another
    obstacle (`device_obstacle`) and not part of the answer.
    """
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        what = f"this process has {threads} threads, and the kernel lets only a process with one enter a user namespace"
        return Obstacle(what, f"call tunproof.lab.ensure() before starting threads, {_AS_ROOT}")
    refusal = trial()
    if refusal is None or (refusal.step is Step.TUN and device_obstacle() is not None):
        return None
    reason = f"{refusal.step.value} was refused: {os.strerror(refusal.errno)}"
    known = tuple(sysctl_obstacles())
    if known:
        what = "; ".join([reason, *(obstacle.what for obstacle in known)])
        return Obstacle(what, " && ".join(obstacle.cure for obstacle in known) + f", {_AS_ROOT}")
    return Obstacle(
        f"{reason}; no sysctl explains it: perhaps a container's seccomp filter, a security module or a chroot",
        f"docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN --device {tuntap.DEVICE}, {_AS_ROOT}",
    )


def sysctl_obstacles(root: Path = Path("/proc/sys")) -> Iterator[Obstacle]:
    """Yield the sysctls whose current value forbids user namespaces or network namespaces.

    A sysctl that does not exist forbids nothing: the Debian and the AppArmor one are patches.
    """
    for name, forbidding, cure in (
        ("kernel.unprivileged_userns_clone", 0, 1),
        ("kernel.apparmor_restrict_unprivileged_userns", 1, 0),
        ("user.max_user_namespaces", 0, 10000),
        ("user.max_net_namespaces", 0, 10000),
    ):
        try:
            value = int((root / name.replace(".", "/")).read_text())
        except (OSError, ValueError):
            continue
        if value == forbidding:
            yield Obstacle(f"sysctl {name} is {value}", f"sysctl -w {name}={cure}")


def trial() -> Refusal | None:
    """Take all the steps to a TUN in a child that ends at once; return the step that was refused, or None."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of the parent may run twice: no exception leaves this block, and no Python clean-up runs.
        try:
            os.write(sender, _walk().to_bytes(4, "little"))
        finally:
            os._exit(0)
    os.close(sender)
    answer = os.read(receiver, 4)
    os.close(receiver)
    os.waitpid(child, 0)
    if not answer:  # killed: a seccomp filter may do that instead of returning an error
        return Refusal(Step.USER_NAMESPACE, errno.EPERM)
    code = int.from_bytes(answer, "little")
    return Refusal(tuple(Step)[code >> 16], code & 0xFFFF) if code else None


def _walk() -> int:
    """Take every step; return 0, or the number of the refused step (upper half) and its errno (lower half)."""
    step = Step.USER_NAMESPACE
    try:
        uid, gid = os.geteuid(), os.getegid()
        unshare(CLONE_NEWUSER)
        step = Step.ID_MAPS
        _become_root(uid, gid)
        step = Step.NETWORK_NAMESPACE
        unshare(CLONE_NEWNET)
        step = Step.TUN
        os.close(tuntap.open_tun("", tuntap.Iff.TUN | tuntap.Iff.NO_PI))
    except OSError as error:
        return tuple(Step).index(step) << 16 | (error.errno or errno.EIO)
    return 0


def _enter_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()  # between the unshare and the maps both read 65534
    unshare(CLONE_NEWUSER)
    _become_root(uid, gid)


def _become_root(uid: int, gid: int) -> None:
    # "deny" comes first: without it only CAP_SETGID in the parent namespace may write a gid_map (user_namespaces(7)).
    for name, line in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path("/proc/self", name).write_text(line)
