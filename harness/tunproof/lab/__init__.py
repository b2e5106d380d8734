"""The lab: real TUN devices in disposable network namespaces, and what the kernel does between them.

closeable   what is closed at the end of a `with` block
libc        unshare(2) and setns(2), which Python 3.11 lacks
privilege   whether this process may make namespaces and TUNs, and if not, why not
namespace   an anonymous network namespace held by an fd
device      opening, counting and describing one TUN
links       links, addresses, routes and traffic control over netlink
ground      a namespace and all that must be closed with it
packets     a packet socket with vnet headers: the other side of a TUN
wiring      the four labs: redirect, readback, forward, socket
exchange    one frame in, its outcome out
program     the device under a program that opens or adopts a TUN
running     the running kernel as a device: any frame on any path
modelled    the model of a kernel as a device
way_json    a frame's path as data, for findings and guests

>>> from tunproof import lab
>>> lab.ensure()
>>> with lab.redirect() as pair:
...     outcome = lab.Exchange(pair).send(frame, 3)
"""

from tunproof.lab.device import Counters
from tunproof.lab.exchange import Exchange
from tunproof.lab.namespace import Namespace
from tunproof.lab.privilege import ensure
from tunproof.lab.program import ProgramLab
from tunproof.lab.running import Device, KernelDevice, RunningKernel
from tunproof.lab.wiring import FAR, NEAR, Addresses, Pair, SocketLab, forward, readback, redirect, socket

__all__ = [
    "FAR",
    "NEAR",
    "Addresses",
    "Counters",
    "Device",
    "Exchange",
    "KernelDevice",
    "Namespace",
    "Pair",
    "ProgramLab",
    "RunningKernel",
    "SocketLab",
    "ensure",
    "forward",
    "readback",
    "redirect",
    "socket",
]
