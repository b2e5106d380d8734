"""Links, addresses, routes, traffic control and sysctls of a lab, over netlink and /proc/sys. No `ip`, no `tc`.

Everything here is called inside the namespace. Lessons learned:

- *Quiet before up.* IPv6 sends packets unprompted, and on a TUN those are noise: router solicitations (prevented by
  `addr_gen_mode none`, which leaves the link without a link-local address to send them from) and multicast listener
  reports (a router joins ff02::2 on every link with IFF_MULTICAST: `dev_forward_change`, and `ipv6_add_dev` when
  forwarding was on first). So both are settled before a link goes up, and forwarding is turned on last.
- *No queueing discipline.* Which one a TUN gets is the machine's choice (`net.core.default_qdisc`), and some, such as
  cake, segment superpackets themselves. `noqueue` sends straight from `__dev_queue_xmit` to `tun_net_xmit`.
- A sysctl under /proc/sys/net belongs to the calling thread's namespace. It is written only when it differs: a
  container may have /proc/sys read-only and still suffice for most labs.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunproof.errors import EnvironmentProblem

if TYPE_CHECKING:
    from pyroute2 import IPRoute

__all__ = [
    "IPV6_LEAST_MTU",
    "LOOPBACK",
    "accept_any_ipv4",
    "add_address",
    "bring_down",
    "bring_up",
    "enable_forwarding",
    "has_ipv6",
    "limit_segments",
    "netlink",
    "redirect_all",
    "route_from_link",
]

IPV6_LEAST_MTU = 1280
"""A link with a lower MTU loses IPv6 altogether (`addrconf_notify`)."""

LOOPBACK = "lo"

_SYSCTLS = Path("/proc/sys/net")

_IFF_UP = 0x1
_IFF_MULTICAST = 0x1000
_ADDR_GEN_NONE = 1  # IN6_ADDR_GEN_MODE_NONE
_QUIET_IPV6 = {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", _ADDR_GEN_NONE)]})]}

_SHORT_QUEUE = 0x7FFF
_TC_ROOT = 0xFFFFFFFF
_TC_INGRESS = 0xFFFF0000
_ETH_P_ALL = 3
_U32_TERMINAL = 0x10000
_FORWARD_TABLE = 100
_FORWARD_PRIORITY = 10


@contextmanager
def netlink() -> Iterator["IPRoute"]:
    """Open a netlink socket of this thread's namespace."""
    from pyroute2 import IPRoute  # takes half a second, which commands without a lab should not spend

    with IPRoute() as ip:
        yield ip


def has_ipv6() -> bool:
    """Return whether this kernel has IPv6, not disabled at boot (ipv6.disable=1)."""
    return (_SYSCTLS / "ipv6").is_dir()


def bring_up(ip: "IPRoute", name: str, *, queue_length: int = 0, mtu: int | None = None) -> int:
    """Set a link up that sends nothing unprompted.

    `queue_length` is txqueuelen, the entries of a TUN's ring; 0 leaves it unchanged. Returns what the kernel accepted:
    some accept at most 32767 (seen: 6.12.117, 7.2.13, 7.3.4; not 6.18.15).
    """
    with _refusals(f"link {name!r} does not come up", "a kernel with sch_generic's noqueue (any since 4.3)"):
        index = socket.if_nametoindex(name)
        if has_ipv6():
            ip.link("set", index=index, IFLA_AF_SPEC=_QUIET_IPV6)
        if queue_length:
            queue_length = _set_queue_length(ip, index, queue_length)
        wanted = {} if mtu is None else {"mtu": mtu}
        ip.link("set", index=index, flags=_IFF_UP, change=_IFF_UP | _IFF_MULTICAST, **wanted)
        ip.tc("replace", "noqueue", index, parent=_TC_ROOT)
    return queue_length


def _set_queue_length(ip: "IPRoute", index: int, wanted: int) -> int:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        ip.link("set", index=index, txqlen=wanted)
    except NetlinkError as error:
        if error.code != errno.ERANGE or wanted <= _SHORT_QUEUE:
            raise
        return _set_queue_length(ip, index, _SHORT_QUEUE)
    return wanted


def bring_down(name: str) -> None:
    """Set a link down."""
    with netlink() as ip, _refusals(f"link {name!r} does not go down", "the right to administer the namespace"):
        ip.link("set", index=socket.if_nametoindex(name), flags=0, change=_IFF_UP)


def limit_segments(name: str, most: int) -> None:
    """Set how many segments a link takes in one superpacket (gso_max_segs)."""
    with netlink() as ip, _refusals(f"link {name!r} takes no gso_max_segs", "a kernel of 4.16 or newer"):
        ip.link("set", index=socket.if_nametoindex(name), gso_max_segs=most)


def add_address(ip: "IPRoute", name: str, address: str) -> None:
    """Give a link an address, "10.0.0.1/24" or "fd00::1/64", usable at once (no duplicate address detection)."""
    with _refusals(f"address {address} was not taken by {name!r}", "a kernel with IPv6, or addresses without it"):
        host, _, length = address.partition("/")
        ip.addr("add", index=socket.if_nametoindex(name), address=host, prefixlen=int(length), flags=_nodad(host))


def _nodad(host: str) -> int:
    return 0x02 if ":" in host else 0  # IFA_F_NODAD; IPv4 has no such flag


def redirect_all(ip: "IPRoute", source: str, target: str) -> str:
    """Send everything that arrives on `source` out of `target` before any protocol sees it; return the classifier used.

    u32 first: it is older, and built in more often. A filter without an action would hide a missing mirred.
    """
    from pyroute2.netlink.exceptions import NetlinkError

    cure = "modprobe -a sch_ingress cls_u32 act_mirred (Debian, Ubuntu: the package linux-modules-extra may have them)"
    inwards, outwards = socket.if_nametoindex(source), socket.if_nametoindex(target)
    action = {"kind": "mirred", "direction": "egress", "action": "redirect", "ifindex": outwards}
    common: dict[str, Any] = {"parent": _TC_INGRESS, "prio": 1, "protocol": _ETH_P_ALL, "action": action}
    with _refusals("tc refused an ingress queueing discipline", cure):
        ip.tc("add", "ingress", inwards, _TC_INGRESS)
    try:
        ip.tc("add-filter", "u32", inwards, target=_U32_TERMINAL, keys=["0x0/0x0+0"], **common)
    except NetlinkError as error:
        if error.code != errno.ENOENT:  # ENOENT: no such classifier, or no such action
            raise EnvironmentProblem(f"tc refused u32 + mirred: {error}", cure=cure) from error
    else:
        return "u32"
    with _refusals("tc has neither u32 + mirred nor matchall + mirred", cure):
        ip.tc("add-filter", "matchall", inwards, **common)
    return "matchall"


def route_from_link(ip: "IPRoute", source: str, target: str, *, family: int) -> None:
    """Forward everything that arrives on `source` to `target`, whatever its addresses.

    The rule names the incoming link, not addresses: what the kernel sends unprompted (ICMP errors about the frames) has
    no incoming link and finds an empty main table, so no noise comes out anywhere.
    """
    outwards = socket.if_nametoindex(target)
    with _refusals("routing by incoming link was refused", "a kernel with CONFIG_IP_MULTIPLE_TABLES"):
        ip.rule("add", family=family, table=_FORWARD_TABLE, iifname=source, priority=_FORWARD_PRIORITY)
        ip.route("add", family=family, dst="default", oif=outwards, table=_FORWARD_TABLE)


def accept_any_ipv4(name: str) -> None:
    """Turn off what makes the kernel call an address on this link a martian, and the log about the rest.

    The reverse-path filter is the larger of "all" and the link's own, and what a new namespace starts with is the
    machine's choice (`devinet_init_net`); so both are set. `accept_local` is not needed: no address is local here.
    """
    for conf in ("all", name):
        _write_sysctl(f"ipv4/conf/{conf}/rp_filter", 0)
        _write_sysctl(f"ipv4/conf/{conf}/log_martians", 0)
    _write_sysctl(f"ipv4/conf/{name}/route_localnet", 1)


def enable_forwarding(*, ipv6: bool) -> None:
    """Make the namespace a router on all its links. Comes after `bring_up`, which keeps a router quiet."""
    _write_sysctl("ipv4/conf/all/forwarding", 1)
    if ipv6:
        _write_sysctl("ipv6/conf/all/forwarding", 1)


def _write_sysctl(name: str, value: int) -> None:
    path = _SYSCTLS / name
    try:
        if int(path.read_text()) != value:
            path.write_text(str(value))
    except OSError as error:
        what = f"{path} could not be set to {value} in the lab's own namespace: {error.strerror}"
        raise EnvironmentProblem(what, cure="mount -o remount,rw /proc/sys (in a container: --privileged)") from error


@contextmanager
def _refusals(what: str, cure: str) -> Iterator[None]:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except (NetlinkError, OSError) as error:
        number = error.code if isinstance(error, NetlinkError) else error.errno
        raise EnvironmentProblem(f"{what}: {os.strerror(number or errno.EIO)}", cure=cure) from error
