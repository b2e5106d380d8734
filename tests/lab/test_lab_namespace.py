"""Namespaces, privileges and processes: what is requested, what is left behind (nothing), and what is permitted.

Tests that need their own process run in a forked child, without exec: everything has been imported, so a child that has
given up its privileges need not be able to read the interpreter or the checkout.
"""

import contextlib
import ctypes
import errno
import io
import json
import os
import signal
import socket
import stat
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from tio import tuntap
from tio.linux import Delivered
from tio.tuntap import Offload
from tunproof import lab
from tunproof.cli import commands as cli
from tunproof.corpus import load
from tunproof.errors import EnvironmentProblem
from tunproof.lab import links, namespace, privilege
from tunproof.lab.libc import unshare

pytestmark = pytest.mark.lab

FRAME = bytes(10) + bytes(IP(src="192.0.2.1", dst="198.51.100.2") / UDP(sport=1, dport=2) / Raw(b"tunproof"))
LIMIT = Path("/proc/sys/user/max_net_namespaces")
ALL_WIRINGS = (lab.redirect, lambda: lab.readback(Offload.TSO), lab.forward, lab.socket)

CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
PR_SET_DUMPABLE = 4
ORDINARY = 54321
CORPUS = load.load()

LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(autouse=True, scope="module")
def _loaded(_machine: None) -> None:
    with lab.redirect() as pair:  # whatever is imported late is imported before a child loses sight of it
        lab.Exchange(pair).settle()


def in_child(function: Callable[[], None]) -> None:
    """Run `function` in a forked child; what it raises fails (or skips) the test."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            function()
        except pytest.skip.Exception as reason:
            os.write(sender, b"skip" + str(reason).encode())
        except BaseException:  # noqa: BLE001 - a child must not return into pytest
            os.write(sender, b"fail" + traceback.format_exc().encode()[-60000:])
        finally:
            os._exit(0)
    os.close(sender)
    with open(receiver, "rb") as pipe:  # noqa: PTH123 - a fd, not a path
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if said.startswith("skip"):
        pytest.skip(said[4:])
    assert not said, said[4:]
    assert status == 0


def with_own_limit(namespaces: int) -> None:
    """Put this child in a user namespace of its own, in which so many network namespaces may exist."""
    if (refusal := privilege.trial()) is not None:
        pytest.skip(f"no user namespaces on this machine: {refusal}")
    privilege._enter_user_namespace()
    LIMIT.write_text(str(namespaces))


def exchange_works(pair: lab.Pair) -> bool:
    return isinstance(lab.Exchange(pair).send(FRAME, 1), Delivered)


def open_fds() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def tasks() -> int:
    """Count this process's threads as the kernel sees them: one that was joined may need a moment to be gone."""
    deadline = time.monotonic() + 1
    while (count := len(list(Path("/proc/self/task").iterdir()))) > 1 and time.monotonic() < deadline:
        time.sleep(0.001)
    return count


# The namespace


def test_run_is_inside_and_the_caller_is_not() -> None:
    link = Path("/proc/thread-self/ns/net")
    own = link.readlink()
    with lab.Namespace() as space:
        inside = space.run(link.readlink)
        assert inside == space.run(link.readlink) != own
        assert [name for _, name in space.run(socket.if_nameindex)] == ["lo"]
    assert link.readlink() == own


def test_run_raises_what_the_function_raised() -> None:
    def fail() -> None:
        raise KeyError("x")

    with lab.Namespace() as space, pytest.raises(KeyError, match="x"):
        space.run(fail)


def test_a_closed_namespace_runs_nothing_and_closes_again() -> None:
    space = lab.Namespace()
    space.close()
    space.close()
    with pytest.raises(ValueError, match="closed"):
        space.run(os.getpid)


@pytest.mark.parametrize("moment", ["unshare", "setns"])
def test_a_failure_leaves_no_fd_and_no_thread(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EPERM, "no")

    before = open_fds(), threading.active_count()
    monkeypatch.setattr(namespace, moment, refuse)
    with pytest.raises((EnvironmentProblem, OSError)):
        lab.redirect()
    assert (open_fds(), threading.active_count()) == before


def test_a_wiring_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise EnvironmentProblem("no mirred", cure="modprobe act_mirred")

    def child() -> None:
        with_own_limit(2)
        monkeypatch.setattr(links, "redirect_all", refuse)
        before = open_fds()
        for _ in range(10):
            with pytest.raises(EnvironmentProblem, match="no mirred"):
                lab.redirect()
        assert (open_fds(), tasks()) == (before, 1)

    in_child(child)


def test_two_hundred_labs_leave_nothing_behind() -> None:
    def child() -> None:
        with_own_limit(8)
        lab.redirect().close()
        before = open_fds()
        for turn in range(200):
            with ALL_WIRINGS[turn % len(ALL_WIRINGS)]() as made:
                assert isinstance(made, lab.SocketLab) or exchange_works(made)
        assert (open_fds(), tasks()) == (before, 1)

    in_child(child)


def test_too_many_labs_at_once_name_the_sysctl(monkeypatch: pytest.MonkeyPatch) -> None:
    def child() -> None:
        with_own_limit(2)
        monkeypatch.setattr(namespace, "PATIENCE", 0.3)
        with lab.redirect(), lab.redirect():
            before = open_fds()
            with pytest.raises(EnvironmentProblem, match=r"user\.max_net_namespaces") as problem:
                lab.redirect()
            assert "sysctl -w user.max_net_namespaces" in problem.value.cure
            assert (open_fds(), tasks()) == (before, 1)
        lab.redirect().close()

    in_child(child)


def test_a_killed_process_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one namespace may exist: while the victim holds it nobody gets another, and afterwards somebody does."""

    def child() -> None:
        with_own_limit(1)
        receiver, sender = os.pipe()
        victim = os.fork()
        if victim == 0:
            with lab.redirect():
                os.write(sender, b"up")
                time.sleep(60)
            os._exit(1)
        assert os.read(receiver, 2) == b"up"
        with monkeypatch.context() as patch:
            patch.setattr(namespace, "PATIENCE", 0.2)
            with pytest.raises(EnvironmentProblem, match="max_net_namespaces"):
                lab.redirect()
        os.kill(victim, signal.SIGKILL)
        assert os.waitpid(victim, 0)[1] == signal.SIGKILL
        with lab.redirect() as pair:
            assert exchange_works(pair)

    in_child(child)


# The privileges


def test_an_ordinary_user_runs_a_lab(tmp_path: Path) -> None:
    os.chown(tmp_path, ORDINARY, ORDINARY)
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)  # the way there may be closed to an ordinary user

    def child() -> None:
        become_ordinary(tmp_path, mode=0o666)
        assert not privilege.has_capabilities()
        lab.ensure()
        for wiring in ALL_WIRINGS:
            with wiring() as made:
                assert isinstance(made, lab.SocketLab) or exchange_works(made)
        made_file = os.open("made", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=directory)
        assert (os.geteuid(), os.fstat(made_file).st_uid) == (0, 0)  # the caller's own uid, seen from inside

    try:
        in_child(child)
    finally:
        os.close(directory)
    assert (tmp_path / "made").stat().st_uid == ORDINARY


def test_a_closed_node_is_named_with_its_mode_and_cure(tmp_path: Path) -> None:
    def child() -> None:
        become_ordinary(tmp_path, mode=0o600)
        with pytest.raises(EnvironmentProblem) as problem:
            lab.ensure()
        assert "mode 0600" in problem.value.what
        assert f"uid {ORDINARY}" in problem.value.what
        assert "chmod 666 /dev/net/tun" in problem.value.cure
        assert privilege.userns_obstacle() is None  # one obstacle, named once
        assert os.geteuid() == ORDINARY

    in_child(child)


def command(*arguments: str) -> tuple[object, str, str]:
    """Run the command in this process; return its exit code and what it printed to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["tunproof", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, out.getvalue(), err.getvalue()


def become_ordinary_with_everything_loaded(directory: Path, *, mode: int) -> None:
    """Become an ordinary user, who may have no way into a checkout and an interpreter that are root's."""
    for arguments in (("doctor",), ("kernel", "--json"), ("kernel",)):
        assert command(*arguments)[0] == 0
    load.load = load.load_for_good = lambda: CORPUS
    become_ordinary(directory, mode=mode)


def test_an_ordinary_user_asks_the_kernel(tmp_path: Path) -> None:
    def child() -> None:
        become_ordinary_with_everything_loaded(tmp_path, mode=0o666)
        code, out, err = command("kernel", "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["disagree"] == []
        assert json.loads(out)["agree"] > 0

    in_child(child)


def test_the_command_exits_3_and_names_what_an_ordinary_user_lacks(tmp_path: Path) -> None:
    def child() -> None:
        become_ordinary_with_everything_loaded(tmp_path, mode=0o600)
        for arguments in (("kernel",), ("kernel", "--json")):
            code, out, err = command(*arguments)
            assert (code, out) == (3, "")
            assert "mode 0600" in err
            assert "cure: chmod 666 /dev/net/tun" in err
        code, out, _ = command("doctor")
        assert code == 3
        assert "mode 0600" in out

    in_child(child)


def test_a_refused_user_namespace_changes_nothing_and_names_the_sysctl() -> None:
    def child() -> None:
        with_own_limit(10)
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        # The keys are given up for good: root of this user namespace is now as unprivileged as anyone.
        drop_capabilities()
        with pytest.raises(EnvironmentProblem, match=r"user\.max_user_namespaces is 0") as problem:
            lab.ensure()
        assert "unshare(CLONE_NEWUSER) was refused" in problem.value.what
        assert "sysctl -w user.max_user_namespaces=" in problem.value.cure

    in_child(child)


def test_a_read_only_proc_sys_costs_forwarding_alone() -> None:
    """As in a container."""

    def child() -> None:
        if not privilege.has_capabilities():
            pytest.skip("needs CAP_SYS_ADMIN for a mount namespace")
        unshare(CLONE_NEWNS)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("/proc/sys", "/proc/sys", flags=MS_BIND)
        mount("none", "/proc/sys", flags=MS_BIND | MS_REMOUNT | MS_RDONLY)
        with lab.redirect() as pair:
            assert exchange_works(pair)
        with pytest.raises(EnvironmentProblem, match="Read-only") as problem:
            lab.forward()
        assert "remount,rw /proc/sys" in problem.value.cure

    in_child(child)


def test_threads_are_named_as_an_obstacle() -> None:
    def child() -> None:
        done = threading.Event()
        threading.Thread(target=done.wait, daemon=True).start()
        obstacle = privilege.userns_obstacle()
        done.set()
        assert obstacle is not None
        assert "2 threads" in obstacle.what

    in_child(child)


def become_ordinary(directory: Path, *, mode: int) -> None:
    """Make this child an ordinary user's process that sees a fresh TUN node of `mode` at /dev/net/tun.

    In a mount namespace of its own: the machine's node keeps its mode.
    """
    if not privilege.has_capabilities() or Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]:
        pytest.skip("only root of the machine can become an ordinary user with another /dev/net/tun")
    unshare(CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    node = directory / "tun"
    mount("none", str(directory), kind="tmpfs")  # any other file system may forbid device nodes
    try:
        os.mknod(node, stat.S_IFCHR, os.makedev(10, 200))
    except PermissionError:
        pytest.skip("this machine lets root make no device nodes")
    node.chmod(mode)
    mount(str(node), tuntap.DEVICE, flags=MS_BIND)
    os.setgroups([])
    os.setresgid(ORDINARY, ORDINARY, ORDINARY)
    os.setresuid(ORDINARY, ORDINARY, ORDINARY)
    # A changed uid makes /proc/self root's; exec, which an ordinary user's process has been through, gives it back.
    assert LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0


def mount(source: str, target: str, *, kind: str = "", flags: int = 0) -> None:
    if LIBC.mount(source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), None):
        raise OSError(ctypes.get_errno(), f"mount {target}")


def drop_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    nothing = (ctypes.c_uint32 * 6)()
    if LIBC.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")
